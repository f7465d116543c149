/** The machine and what runs on it, for operators; read when the page is opened, and again on demand. */

import { button, h, keyed, setShown } from "./dom.js";
import { costWords, showEngine } from "./rooms.js";
import { number, t } from "./strings.js";

export class ConsoleSystem extends HTMLElement {
  /** @param {import("./link.js").Link} link */
  begin(link) {
    this.link = link;
    this.problem = h("p", { class: "problem", role: "alert" });
    this.unready = h("p", { class: "problem", role: "status" });
    this.engines = h("tbody");
    this.cost = h("p");
    this.facts = h("div", { class: "system-facts" });
    const head = ["engine", "checkpoint", "lanes", "tick", "busy"].map((key) => h("th", { scope: "col", text: t(key) }));
    this.append(
      h("h1", { tabIndex: -1, text: t("system") }),
      this.problem,
      this.unready,
      h(
        "section",
        { class: "card" },
        h("h2", { text: t("engines") }),
        h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": t("engines") }, h("table", {}, h("thead", {}, h("tr", {}, ...head)), this.engines)),
        this.cost,
      ),
      this.facts,
      h("div", { class: "row" }, button(t("refresh"), () => this.read())),
    );
    this.read();
  }

  /** @param {any} house */
  show(house) {
    keyed(this.engines, Object.entries(house.engines), () => h("tr"), (row, engine, name) => showEngine(row, engine, name));
    this.cost.textContent = costWords(house.cost);
  }

  async read() {
    const system = this.link.you?.standing === "viewer" ? null : await this.link.request("GET", "/api/system");
    const failed = !system || system.accepted === false;
    this.problem.textContent = this.link.you?.standing === "viewer" ? t("systemNot") : failed ? t("systemFailed") : "";
    setShown(this.problem, failed);
    const unready = failed ? "" : system.not_ready.join(" ");
    this.unready.textContent = unready;
    if (!failed) this.facts.replaceChildren(machineCard(system.machine), versionsCard(system.versions), meetingsCard(system.rooms));
  }
}

/** @param {string} key @param {...(Node | null)} children */
const card = (key, ...children) => h("section", { class: "card", "aria-label": t(key) }, h("h2", { text: t(key) }), ...children);

/** @param {[string, string][]} entries - what it is, and its value. */
const facts = (entries) => h("dl", { class: "facts" }, ...entries.map(([name, value]) => h("div", {}, h("dt", { text: name }), h("dd", { text: value }))));

/** @param {number} bytes */
const gigabytes = (bytes) => `${number(bytes / 1e9, 1)} GB`;

/** @param {any} machine */
function machineCard(machine) {
  const gpus = machine.gpus.map((/** @type {any} */ one) => t("gpuWords", { name: one.name, free: gigabytes(one.free_bytes), total: gigabytes(one.total_bytes) }));
  return card(
    "machine",
    facts([
      [t("system"), machine.system],
      ["Python", machine.python],
      [t("cores"), String(machine.cores)],
      [t("load"), machine.load.map((/** @type {number} */ one) => number(one, 1)).join("  ")],
      [t("freeMemory"), gigabytes(machine.free_bytes)],
      [t("ownMemory"), gigabytes(machine.process_bytes)],
      [t("gpus"), gpus.join("; ") || t("noGpu")],
    ]),
    machine.remark ? h("p", { class: "hint", text: machine.remark }) : null,
  );
}

/** @param {Record<string, string>} versions */
const versionsCard = (versions) => card("versions", facts(Object.entries(versions)));

/** @param {Record<string, any>} rooms */
function meetingsCard(rooms) {
  const each = Object.values(rooms).map((room) =>
    h(
      "section",
      {},
      h("h3", { dir: "auto", text: room.name }),
      facts([
        [t("stored"), room.stored.map((/** @type {string} */ one) => t(`stored:${one}`)).join(", ") || t("storedNothing")],
        [t("identityKey"), room.key],
      ]),
      h("p", { text: costWords(room.cost) }),
    ),
  );
  return card("rooms", ...(each.length ? each : [h("p", { class: "hint", text: t("noRooms") })]));
}

customElements.define("console-system", ConsoleSystem);
