/** What an operator sets for the whole room: mode, role and voice of all, ducking, glossary, human, export. */

import { button, download, field, h, keyed, setOptions, setShown, setText } from "./dom.js";
import { Draft, confirmed, setPossible } from "./parts.js";
import { alertWords, engineWords } from "./rooms.js";
import { roleOptions, voiceOptions } from "./roster.js";
import { exactTime, languageName, t } from "./strings.js";

const MODES = ["simultaneous", "consecutive", "captions"];
const FORMATS = ["vtt", "srt", "jsonl", "notes", "audit", "attest"];

export class RoomTools extends HTMLElement {
  /** @param {import("./desk.js").Desk} desk */
  begin(desk) {
    this.desk = desk;
    this.append(this.settings(), this.human(), this.glossary(), this.exports());
  }

  settings() {
    const { desk } = this;
    this.draft = new Draft(desk, "role/everybody");
    this.mode = h("select", { onchange: () => this.chose("mode", this.mode.value) });
    this.roleChoice = h("select", { onchange: () => this.chose("role", this.roleChoice.value) });
    this.voice = h("select", { onchange: () => this.chose("voice", this.voice.value) });
    this.modeWaits = h("p", { class: "hint", role: "status" });
    this.editors = h("p", { class: "hint" });
    this.apply = button(t("apply"), () => this.give(), "primary");
    this.discard = button(t("discard"), () => this.forget());
    this.duckWords = h("output", { class: "hint" });
    this.duck = h("input", {
      type: "range",
      min: -60,
      max: 0,
      step: 1,
      oninput: () => setText(this.duckWords, t("duckingWords", { db: this.duck.value })),
      onchange: () => desk.give("duck", { gain: Number(this.duck.value) }),
    });
    this.priority = h("select", {
      onchange: () => desk.give("priority", this.priority.value ? { tag: this.priority.value } : {}),
    });
    this.priorityField = field(t("priority"), this.priority);
    this.slower = button(t("slower"), () => desk.give("slower"));
    this.swap = button(t("swapAll"), () => desk.give("swap"));
    return h(
      "section",
      { class: "card", "aria-label": t("settings") },
      h("h2", { text: t("settings") }),
      field(t("chooseMode"), this.mode),
      field(`${t("role")}: ${t("everybody")}`, this.roleChoice),
      field(`${t("voice")}: ${t("everybody")}`, this.voice),
      this.modeWaits,
      this.editors,
      h("div", { class: "row" }, this.apply, this.discard),
      h("label", { class: "field" }, h("span", { class: "field-label" }, t("ducking"), " ", this.duckWords), this.duck),
      this.priorityField,
      h("div", { class: "row" }, this.slower, this.swap),
    );
  }

  human() {
    const { desk } = this;
    this.humanState = h("p", { role: "status" });
    this.handover = button(t("handover"), () => this.handOver());
    this.handback = button(t("handback"), () => desk.give("handback"), "primary");
    this.invite = button(t("invite"), () => this.showInvite());
    this.link = h("div", { class: "invite" });
    return h(
      "section",
      { class: "card", "aria-label": t("human") },
      h("h2", { text: t("human") }),
      this.humanState,
      h("div", { class: "row" }, this.handover, this.handback, this.invite),
      this.link,
    );
  }

  async handOver() {
    if (!(await confirmed(t("handoverSure")))) return;
    const reply = await this.desk.give("handover");
    if (reply.accepted && this.desk.can("invite")) await this.showInvite();
  }

  async showInvite() {
    const reply = await this.desk.link.command(this.desk.id, "invite");
    if (reply.result?.kind !== "link") {
      this.desk.answered(reply);
      return;
    }
    const address = h("input", { readOnly: true, value: reply.result.url });
    const copy = button(t("copy"), async () => {
      address.select();
      await navigator.clipboard?.writeText(address.value);
      this.desk.tell(t("copied"));
    });
    this.link.replaceChildren(field(t("inviteHint"), address), copy);
  }

  glossary() {
    const { desk } = this;
    this.termDirection = h("select");
    this.term = h("input", { maxLength: 100, autocomplete: "off" });
    this.translation = h("input", { maxLength: 100, autocomplete: "off" });
    this.terms = h("ul", { class: "terms" });
    this.addTerm = h("button", { type: "submit", text: t("add") });
    const add = async (/** @type {Event} */ event) => {
      event.preventDefault();
      const [direction, term, translation] = [this.termDirection.value, this.term.value.trim(), this.translation.value.trim()];
      const reply = await desk.give("glossary-add", { direction, term, translation });
      if (!reply.accepted) return;
      this.term.value = this.translation.value = "";
      this.term.focus();
    };
    this.glossaryForm = h(
      "form",
      { onsubmit: add },
      field(t("direction"), this.termDirection),
      field(t("term"), this.term),
      field(t("translation"), this.translation),
      this.addTerm,
    );
    return h("section", { class: "card", "aria-label": t("glossary") }, h("h2", { text: t("glossary") }), this.terms, this.glossaryForm);
  }

  exports() {
    this.format = h("select");
    setOptions(this.format, FORMATS.map((one) => [one, t(`format:${one}`)]), "vtt");
    this.save = button(t("save"), () => this.saveFile());
    this.verify = button(t("verify"), () => this.check());
    this.verdict = h("div", { class: "verdict", role: "status" });
    this.exportCard = h(
      "section",
      { class: "card", "aria-label": t("export") },
      h("h2", { text: t("export") }),
      field(t("format"), this.format),
      h("div", { class: "row" }, this.save, this.verify),
      this.verdict,
    );
    return this.exportCard;
  }

  async saveFile() {
    const reply = await this.desk.link.command(this.desk.id, "export", { format: this.format.value });
    if (reply.result?.kind !== "file") {
      this.desk.answered(reply);
      return;
    }
    download(reply.result.name, new Blob([reply.result.text], { type: reply.result.content_type }));
  }

  async check() {
    const reply = await this.desk.link.command(this.desk.id, "verify");
    if (reply.result?.kind !== "verdict") {
      this.desk.answered(reply);
      return;
    }
    const { ok, lines } = reply.result;
    this.verdict.className = `verdict ${ok ? "ok" : "problem"}`;
    this.verdict.replaceChildren(
      h("p", { text: t(ok ? "verified" : "notVerified") }),
      h("ul", {}, ...lines.map((/** @type {string} */ line) => h("li", { text: line }))),
    );
  }

  /** @param {string} what @param {string} value */
  chose(what, value) {
    const room = this.desk.room;
    this.draft.choose(what, value, { mode: room.mode.wanted, role: room.role.name, voice: "" }[/** @type {"mode"} */ (what)]);
    this.show(room);
  }

  async give() {
    await this.draft.apply((name, value) => ({ name, arguments: { [name === "mode" ? "mode" : "name"]: value } }));
    this.show(this.desk.room);
  }

  forget() {
    this.draft.clear();
    this.show(this.desk.room);
  }

  /** @param {any} room */
  show(room) {
    const { desk, draft } = this;
    setOptions(this.mode, MODES.map((one) => [one, t(`mode:${one}`)]), draft.values.get("mode") ?? room.mode.wanted);
    setOptions(this.roleChoice, roleOptions(desk, room.role.name), draft.values.get("role") ?? room.role.name);
    setOptions(this.voice, voiceOptions(desk, ""), draft.values.get("voice") ?? "");
    const waits = room.mode.applied && room.mode.applied !== room.mode.wanted;
    setText(this.modeWaits, waits ? t("waits", { wanted: t(`mode:${room.mode.wanted}`) }) : "");
    const editors = desk.editors(draft.slot);
    setText(this.editors, editors.length ? t("editing", { name: editors.join(", ") }) : "");
    setShown(this.apply, draft.values.size > 0);
    setShown(this.discard, draft.values.size > 0);
    if (document.activeElement !== this.duck) {
      const db = String(Math.round(room.duck_db));
      if (this.duck.value !== db) this.duck.value = db;
      setText(this.duckWords, t("duckingWords", { db }));
    }
    setShown(this.priorityField, room.listening === "floor");
    setOptions(this.priority, [["", t("priorityNone")], ...room.languages.map((/** @type {string} */ tag) => [tag, languageName(tag)])], room.priority[0] ?? "");
    setText(this.humanState, t(`human:${room.human}`));
    const taken = room.human === "taken_over";
    setShown(this.handover, desk.link.can("handover") && !taken);
    setShown(this.handback, desk.link.can("handback") && taken);
    setShown(this.invite, desk.link.can("invite"));
    this.showGlossary(room);
    setShown(this.exportCard, desk.link.can("export"));
    const controls = {
      mode: this.mode, role: this.roleChoice, voice: this.voice, duck: this.duck, priority: this.priority, slower: this.slower, swap: this.swap,
      handover: this.handover, handback: this.handback, invite: this.invite, "glossary-add": this.addTerm, export: this.save, verify: this.verify,
    };
    for (const [name, control] of Object.entries(controls)) setPossible(control, desk.can(name));
    setPossible(this.apply, desk.can("role"));
    setShown(this.slower, desk.link.can("slower"));
    setShown(this.swap, desk.link.can("swap"));
  }

  /** @param {any} room */
  showGlossary(room) {
    const pairs = new Set(Object.values(room.directions).map((/** @type {any} */ one) => `${one.language_in}>${one.language_out}`));
    const options = [...pairs].map((pair) => /** @type {[string, string]} */ ([pair, pair.split(">").map(languageName).join(" → ")]));
    setOptions(this.termDirection, options, pairs.has(this.termDirection.value) ? this.termDirection.value : (options[0]?.[0] ?? ""));
    setShown(this.glossaryForm, this.desk.link.can("glossary-add") && pairs.size > 0);
    keyed(this.terms, room.glossary.map((/** @type {any} */ one) => [String(one.n), one]), () => h("li"), (item, one) => {
      setText(item, `${one.term} = ${one.translation} (${one.language_in} → ${one.language_out})`);
    });
  }
}

/** Notes of the operators, and everything that happened. */
export class RoomLog extends HTMLElement {
  /** @param {import("./desk.js").Desk} desk */
  begin(desk) {
    this.desk = desk;
    this.note = h("textarea", { maxLength: 500, rows: 2 });
    this.addNote = h("button", { type: "submit", text: t("addNote") });
    this.noteList = h("ol");
    this.noNotes = h("p", { class: "hint", text: t("noNotes") });
    const keep = async (/** @type {Event} */ event) => {
      event.preventDefault();
      const text = this.note.value.trim();
      if (text && (await desk.give("note", { text })).accepted) this.note.value = "";
    };
    this.noteCard = h(
      "section",
      { class: "card", "aria-label": t("notes") },
      h("h2", { text: t("notes") }),
      h("form", { onsubmit: keep }, field(`${t("note")} (${t("noteHint")})`, this.note), this.addNote),
      this.noNotes,
      h("div", { class: "log", tabIndex: 0, role: "region", "aria-label": t("noteList") }, this.noteList),
    );
    this.filter = h("select", { onchange: () => this.show(desk.room) });
    setOptions(this.filter, [["all", t("logAll")], ["people", t("logPeople")], ["own", t("logOwn")]], "all");
    this.events = h("ol");
    this.noLog = h("p", { class: "hint", text: t("noLog") });
    this.append(
      this.noteCard,
      h("section", { class: "card", "aria-label": t("log") }, h("h2", { text: t("log") }), field(t("logFilter"), this.filter), this.noLog, h("div", { class: "log", tabIndex: 0, role: "region", "aria-label": t("logList") }, this.events)),
    );
  }

  focusNote() {
    if (this.noteCard.hidden) return false;
    this.note.focus();
    return true;
  }

  /** @param {any} room */
  show(room) {
    const notes = this.desk.notes?.notes ?? [];
    setShown(this.noteCard, this.desk.link.can("note"));
    setPossible(this.addNote, this.desk.can("note"));
    setShown(this.noNotes, notes.length === 0);
    keyed(this.noteList, notes.map((/** @type {any} */ one) => [String(one.n), one]), () => h("li"), (item, one) => {
      if (!item.firstChild) item.append(h("span", { class: "time", text: `${exactTime(one.at)} ${one.by}` }), h("p", { dir: "auto", text: one.text }));
    });
    const wanted = this.filter.value;
    const shown = room.log.filter((/** @type {any} */ one) => wanted === "all" || (wanted === "people") === Boolean(one.actor));
    setShown(this.noLog, shown.length === 0);
    const newest = shown.map((/** @type {any} */ one) => [String(one.n), one]).reverse();
    keyed(this.events, newest, () => h("li"), (item, one) => {
      if (!item.firstChild) item.append(h("span", { class: "time", text: exactTime(one.at) }), " ", h("span", { dir: "auto", text: this.line(one) }));
    });
  }

  /** @param {any} event */
  line(event) {
    const words = Object.entries(event.arguments).map(([name, value]) => `${name} ${value}`);
    const about = event.about ? [this.desk.nameOf(event.about)] : [];
    const who = event.actor ? `${event.actor} (${t(`standing:${event.standing}`)})` : t("byInterpreter");
    return `${who}: ${happened(event.event)}${[...about, ...words].length ? ` – ${[...about, ...words].join(", ")}` : ""}`;
  }
}

/** @param {string} event */
const happened = (event) => t(event.startsWith("notice.") && event !== "notice.asked" ? event.replace(".", ":") : `event:${event}`);

/** What is wrong, or only to be known; alerts are read out at once. */
export class RoomAlerts extends HTMLElement {
  /** @param {import("./desk.js").Desk} desk */
  begin(desk) {
    this.desk = desk;
    this.loud = h("div", { role: "alert" });
    this.quiet = h("div", { role: "status" });
    this.append(this.loud, this.quiet);
  }

  /** @param {any} room */
  show(room) {
    // What is wrong with an engine concerns every room that it serves.
    const entries = /** @type {[string, any][]} */ (Object.entries({ ...this.desk.house?.alerts, ...room.alerts }));
    const draw = (/** @type {Element} */ place, /** @type {boolean} */ loud) =>
      keyed(place, entries.filter(([, one]) => (one.level === "alert") === loud), () => h("p", { class: "notice" }), (item, one) => {
        item.className = `notice ${one.level}`;
        setText(item, alertWords(one, this.about(room, one.about)));
      });
    draw(this.loud, true);
    draw(this.quiet, false);
  }

  /** @param {any} room @param {string} key */
  about(room, key) {
    const direction = room.directions[key];
    if (direction) return `${this.desk.nameOf(direction.speaker)} → ${languageName(direction.language_out)}`;
    return room.people[key]?.name ?? engineWords(this.desk.house, key);
  }
}

customElements.define("room-tools", RoomTools);
customElements.define("room-log", RoomLog);
customElements.define("room-alerts", RoomAlerts);
