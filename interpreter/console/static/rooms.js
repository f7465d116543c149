/** All rooms, and how much room the engines have left. */

import { button, field, h, keyed, setShown, setText } from "./dom.js";
import { Lamp, confirmed, setPossible } from "./parts.js";
import { inOwn, languageName, number, t, timeOfDay } from "./strings.js";

export class ConsoleRooms extends HTMLElement {
  /** @param {import("./link.js").Link} link @param {(words: string, language?: string) => void} tell */
  begin(link, tell) {
    this.link = link;
    this.tell = tell;
    this.none = h("p", { class: "card hint", text: t("noRooms") });
    this.cards = h("ul", { class: "room-cards" });
    this.alerts = h("div", { class: "notices", role: "status" });
    this.url = h("input", { type: "text", inputMode: "url", maxLength: 500, autocomplete: "off", spellcheck: false });
    this.joinButton = h("button", { type: "submit", class: "primary", text: t("join") });
    this.joinForm = h("form", { class: "card", onsubmit: (/** @type {Event} */ event) => this.join(event) }, h("h2", { text: t("joinTitle") }), field(t("joinUrl"), this.url), this.joinButton);
    this.engines = h("tbody");
    this.cost = h("p");
    const head = ["engine", "checkpoint", "lanes", "tick", "busy"].map((key) => h("th", { scope: "col", text: t(key) }));
    this.append(
      h("h1", { tabIndex: -1, text: t("rooms") }),
      this.alerts,
      this.none,
      this.cards,
      this.joinForm,
      h(
        "section",
        { class: "card" },
        h("h2", { text: t("engines") }),
        h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": t("engines") }, h("table", {}, h("thead", {}, h("tr", {}, ...head)), this.engines)),
        this.cost,
      ),
    );
  }

  /** @param {Event} event */
  async join(event) {
    event.preventDefault();
    const url = this.url.value.trim();
    if (!url) return;
    const reply = await this.link.command(null, "join", { url });
    this.tell(reply.text || t(`code:${reply.code}`), reply.language);
    if (reply.accepted) this.url.value = "";
  }

  /** @param {any} house */
  show(house) {
    const rooms = Object.entries(house.rooms);
    keyed(this.alerts, Object.entries(house.alerts), () => h("p"), (item, one) => {
      item.className = `notice ${one.level}`;
      setText(item, alertWords(one, engineWords(house, one.about)));
    });
    setShown(this.none, rooms.length === 0);
    setShown(this.joinForm, house.can_join && this.link.can("join"));
    setPossible(this.joinButton, this.link.live);
    keyed(this.cards, rooms, (id) => new RoomCard(this, id).element, (item, room) => item.card.show(room, house));
    keyed(this.engines, Object.entries(house.engines), () => h("tr"), (row, engine, name) => showEngine(row, engine, name));
    setText(this.cost, costWords(house.cost));
  }
}

class RoomCard {
  /** @param {ConsoleRooms} page @param {string} id */
  constructor(page, id) {
    this.page = page;
    this.id = id;
    this.link = h("a", { href: `#/room/${id}`, dir: "auto" });
    this.lamp = new Lamp();
    this.reason = h("span", { class: "reason" });
    this.about = h("p", { class: "hint" });
    this.people = h("p");
    this.directions = h("ul", { class: "direction-list" });
    this.alerts = h("p", { class: "alerts" });
    this.leave = button(t("leave"), () => this.goodbye());
    /** @type {any} */
    this.element = h(
      "li",
      { class: "card" },
      h("h2", {}, this.link),
      h("div", { class: "lamp-line" }, this.lamp.element, this.reason),
      this.about,
      this.people,
      this.directions,
      this.alerts,
      h("div", { class: "row" }, this.leave),
    );
    this.element.card = this;
  }

  async goodbye() {
    if (!(await confirmed(t("leaveSure", { room: this.room.name })))) return;
    const reply = await this.page.link.command(this.id, "leave");
    this.page.tell(reply.text || t(`code:${reply.code}`), reply.language);
  }

  /** @param {any} room @param {any} house */
  show(room, house) {
    this.room = room;
    setText(this.link, room.name);
    this.lamp.show(room.lamp);
    setText(this.reason, room.reason ? t(`reason:${room.reason}`) : "");
    setText(this.about, [t(`transport:${room.transport}`), inOwn(house.roles[room.role]?.titles) || room.role, t(`mode:${room.mode}`), `${t("since")} ${timeOfDay(room.opened_at)}`].join(" · "));
    setText(this.people, t(room.people === 1 ? "peopleOne" : "peopleCount", { count: room.people, speaking: room.speaking }));
    keyed(this.directions, /** @type {[string, string][]} */ (Object.entries(room.directions)), () => h("li"), (item, status, pair) => {
      setText(item, `${pair.split(">").map(languageName).join(" → ")}: ${t(`status:${status}`)}`);
      item.dataset.status = status;
    });
    setText(this.alerts, room.alerts ? t(room.alerts === 1 ? "alertsOne" : "alertsCount", { count: room.alerts }) : "");
    this.alerts.className = `alerts badge ${room.worst}`;
    setShown(this.alerts, room.alerts > 0);
    setShown(this.leave, this.page.link.can("leave"));
    setPossible(this.leave, this.page.link.live);
  }
}

/** @param {any} alert @param {string} about - in words. */
export const alertWords = (alert, about) => t(`alert:${alert.code}`, { about });

/** An engine in words. @param {any} house @param {string} name */
export function engineWords(house, name) {
  const engine = house?.engines[name];
  if (!engine) return name;
  const demonstration = inOwn(engine.demonstration);
  return `${name} (${engine.checkpoint}${demonstration ? `: ${demonstration}` : ""})`;
}

/** @param {any} row @param {any} engine @param {string} name */
export function showEngine(row, engine, name) {
  if (!row.firstChild) row.append(h("th", { scope: "row" }), ...Array.from({ length: 4 }, () => h("td")));
  const { tick_p50_ms, tick_p95_ms, tick_budget_ms } = engine;
  const demonstration = inOwn(engine.demonstration);
  const cells = [
    name,
    `${engine.checkpoint}, ${engine.licence}${demonstration ? ` (${demonstration})` : ""}`,
    t("lanesUsed", { used: engine.used, lanes: engine.lanes, free: engine.free }),
    tick_p95_ms ? t("tickWords", { p50: number(tick_p50_ms), p95: number(tick_p95_ms), budget: number(tick_budget_ms) }) : t("tickNone"),
    `${number(100 * engine.busy)} %`,
  ];
  for (const [n, words] of cells.entries()) setText(row.children[n], words);
  row.children[3].classList.toggle("over", tick_p95_ms > tick_budget_ms);
}

/** @param {any} cost */
export function costWords(cost) {
  const used = t("costWords", { minutes: number(cost.interpreted_s / 60, 1), engine: number(cost.engine_s / 60, 1) });
  const money = cost.money ? ` ${t("costMoney", { money: cost.money, held: cost.money_held, currency: cost.currency })}` : "";
  return `${t("cost")}: ${used}.${money}`;
}

customElements.define("console-rooms", ConsoleRooms);
