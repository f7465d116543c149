/** A card for each direction: what is heard and what is said, side by side, and how the interpreter keeps up. */

import { icon } from "./elements.js";
import { button, h, inLanguage, keyed, setAttribute, setClass, setShown, setText } from "./dom.js";
import { Meter, setPossible } from "./parts.js";
import { clock, languageName, number, t } from "./strings.js";

/** Rows of a card: the last utterances. */
const ROWS = 12;
const KINDS = { as_self: "asSelf", unspoken: "unspoken", lost: "lostWords" };
const VERDICT_ICONS = { match: "done", mismatch: "warning", one_sided: "info", term: "warning" };

export class RoomDirections extends HTMLElement {
  /** @param {import("./desk.js").Desk} desk */
  begin(desk) {
    this.desk = desk;
    this.none = h("p", { class: "card hint", text: t("noDirections") });
    this.cards = h("div", { class: "cards" });
    this.append(h("h2", { class: "visually-hidden", text: t("directions") }), this.none, this.cards);
  }

  /** @param {any} room */
  show(room) {
    setShown(this.none, Object.keys(room.directions).length === 0);
    keyed(
      this.cards,
      Object.entries(room.directions),
      (key) => {
        const card = /** @type {any} */ (document.createElement("direction-card"));
        card.begin(this.desk, key);
        return card;
      },
      (card, direction) => card.show(direction, room),
    );
    // All cards are changed before any is measured: one layout, not one for each.
    for (const card of this.cards.children) /** @type {any} */ (card).settle();
  }

  /** @param {any} levels @param {number} now */
  levels(levels, now) {
    for (const card of this.cards.children) /** @type {any} */ (card).levels(levels, now);
  }

  /** @param {number} index @returns whether there is such a card to go to. */
  focusCard(index) {
    const card = /** @type {any} */ (this.cards.children[index]);
    card?.title_.focus();
    return Boolean(card);
  }
}

export class DirectionCard extends HTMLElement {
  /** @param {import("./desk.js").Desk} desk @param {string} key */
  begin(desk, key) {
    this.desk = desk;
    this.key_ = key;
    this.className = "card direction";
    this.title_ = h("h3", { tabIndex: -1 });
    this.state = h("span", { class: "badge" });
    this.held = h("span", { class: "badge held" });
    this.muted = h("span", { class: "badge muted" });
    this.span = h("dd");
    this.waiting = h("p", { class: "hint" });
    this.pending = h("p", { class: "hint", text: t("pending") });
    this.meter = new Meter("");
    this.heardHead = h("th", { scope: "col" });
    this.spokenHead = h("th", { scope: "col" });
    this.rows = h("tbody");
    this.words = h(
      "div",
      { class: "words", role: "region", tabIndex: 0, onscroll: () => this.scrolled() },
      h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "time" }, h("span", { class: "visually-hidden", text: t("clock") })), this.heardHead, this.spokenHead)), this.rows),
    );
    const about = () => ({ direction: this.pair, participant: this.direction.speaker });
    this.hold = button("", () => desk.give(this.direction.held ? "release" : "hold", about()));
    this.mute = button("", () => desk.give(this.direction.muted ? "unmute-direction" : "mute-direction", about()));
    this.repeat = button(t("askRepeat"), () => desk.give("ask-repeat", { participant: this.direction.speaker }));
    this.swap = button(t("swap"), () => desk.give("swap", { participant: this.direction.speaker }));
    this.append(
      h("div", { class: "card-head" }, this.title_, h("span", { class: "badges" }, this.state, this.held, this.muted)),
      h("dl", { class: "facts" }, h("div", {}, h("dt", { text: t("span") }), this.span)),
      this.meter.element,
      this.waiting,
      this.pending,
      this.words,
      h("div", { class: "row" }, this.hold, this.mute, this.repeat, this.swap),
    );
    this.seen = {};
    this.atEnd = true;
    this.grew = false;
  }

  /** Whoever looks at the newest words goes on seeing them; whoever has gone back to older ones stays there. */
  scrolled() {
    this.atEnd = this.words.scrollTop + this.words.clientHeight >= this.words.scrollHeight - 8;
  }

  settle() {
    if (this.grew && this.atEnd) this.words.scrollTop = this.words.scrollHeight;
    this.grew = false;
  }

  get pair() {
    return `${this.direction.language_in}>${this.direction.language_out}`;
  }

  /** @param {any} direction @param {any} room */
  show(direction, room) {
    this.direction = direction;
    const { desk } = this;
    const person = room.people[direction.speaker];
    const name = person?.name ?? direction.speaker;
    const title = `${name}: ${languageName(direction.language_in)} → ${languageName(direction.language_out)}`;
    setText(this.title_, title);
    setText(this.state, t(`status:${direction.status}`));
    this.state.dataset.status = direction.status;
    setText(this.held, direction.held ? t("directionHeld") : "");
    setText(this.muted, direction.muted ? t("directionMuted") : "");
    setShown(this.held, direction.held);
    setShown(this.muted, direction.muted);
    const { now_s, p95_s } = direction.span;
    setText(this.span, now_s === null ? t("spanNone") : t("spanWords", { now: number(now_s, 1), p95: p95_s === null ? "–" : number(p95_s, 1) }));
    setText(this.waiting, direction.waiting_s >= 0.5 ? t("waiting", { seconds: number(direction.waiting_s, 1) }) : "");
    setShown(this.pending, direction.pending);
    setAttribute(this.meter.meter, "aria-label", t("outputLevel", { direction: title }));
    setAttribute(this.words, "aria-label", t("words", { direction: title }));
    setText(this.hold, t(direction.held ? "release" : "hold"));
    setText(this.mute, t(direction.muted ? "unmuteDirection" : "muteDirection"));
    const acts = { [direction.held ? "release" : "hold"]: this.hold, [direction.muted ? "unmute-direction" : "mute-direction"]: this.mute, "ask-repeat": this.repeat, swap: this.swap };
    for (const [command, control] of Object.entries(acts)) {
      setShown(control, desk.link.can(command));
      setPossible(control, desk.can(command));
    }
    this.showWords(direction, person, room.facts);
  }

  /** @param {any} direction @param {any} person @param {any[]} facts */
  showWords(direction, person, facts) {
    const seen = { heard: person?.heard, transcribed: person?.transcribed, spoken: direction.spoken, facts };
    if (Object.entries(seen).every(([name, value]) => /** @type {any} */ (this.seen)[name] === value)) return;
    this.seen = seen;
    setText(this.heardHead, `${t("heard")} (${languageName(direction.language_in)})`);
    setText(this.spokenHead, `${t("spoken")} (${languageName(direction.language_out)})`);
    const own = facts.filter((one) => one.direction === this.key_);
    const rows = aligned(person?.transcribed ? person.heard : null, direction.spoken, own).slice(-ROWS);
    keyed(this.rows, rows.map((row) => [row.key, row]), () => new WordRow().element, (element, row) => {
      element.row.show(row, direction, Boolean(person?.transcribed));
    });
    this.grew = true;
  }

  /** @param {any} levels @param {number} now */
  levels(levels, now) {
    this.meter.show(levels.directions[this.key_], now);
  }
}

/** One row: an utterance as it was heard, and what was said for it. */
class WordRow {
  constructor() {
    this.time = h("th", { scope: "row", class: "time" });
    this.heard = h("td");
    this.words = h("div");
    this.facts = h("div");
    this.spoken = h("td", {}, this.words, this.facts);
    /** @type {any} */
    this.element = h("tr", {}, this.time, this.heard, this.spoken);
    this.element.row = this;
    this.drawn = "";
  }

  /** @param {Row} row @param {any} direction @param {boolean} transcribed */
  show(row, direction, transcribed) {
    // Pieces never change, they only come and go.
    const drawn = [row.heard, row.spoken, row.facts].map((all) => `${all.length}/${all.at(-1)?.n}`).join() + transcribed;
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    setText(this.time, clock(row.at_s));
    inLanguage(this.heard, transcribed ? direction.language_in : "");
    setText(this.heard, transcribed ? textOf(row.heard) : t("heardNot"));
    setClass(this.heard, "hint", !transcribed);
    inLanguage(this.words, direction.language_out);
    this.words.replaceChildren(...runs(row.spoken));
    keyed(this.facts, row.facts.map((fact) => [String(fact.n), fact]), (n) => factChip(row.facts.find((fact) => String(fact.n) === n), direction), () => {});
  }
}

/** @typedef {{key: string, at_s: number, heard: any[], spoken: any[], facts: any[]}} Row */

/**
 * Heard and spoken in rows by time: what is said belongs to the last utterance that had begun by then.
 *
 * @param {any[] | null} heard - null where nothing is written down.
 * @param {any[]} spoken
 * @param {any[]} facts
 * @returns {Row[]}
 */
export function aligned(heard, spoken, facts) {
  const from = heard?.length ? heard : spoken;
  /** @type {Row[]} */
  const rows = [];
  for (const piece of from) {
    const key = `${heard?.length ? "h" : "s"}${piece.utterance}`;
    if (rows.at(-1)?.key !== key) rows.push({ key, at_s: piece.at_s, heard: [], spoken: [], facts: [] });
    if (heard?.length) rows[rows.length - 1].heard.push(piece);
  }
  const rowAt = (/** @type {number} */ at) => rows.findLast((row) => row.at_s <= at) ?? rows[0];
  for (const piece of spoken) (heard?.length ? rowAt(piece.at_s) : rows.find((row) => row.key === `s${piece.utterance}`))?.spoken.push(piece);
  for (const fact of facts) {
    const about = rows.findLast((row) => row.at_s <= fact.at_s && fact.heard && textOf(row.heard).includes(fact.heard.trim()));
    (about ?? rowAt(fact.at_s))?.facts.push(fact);
  }
  return rows;
}

/** @param {any[]} pieces */
const textOf = (pieces) => pieces.map((piece) => piece.text).join("").trim();

/** Spoken pieces in runs of one kind. @param {any[]} pieces @returns {Node[]} */
function runs(pieces) {
  const made = [];
  for (let first = 0; first < pieces.length; ) {
    let last = first;
    while (last < pieces.length && pieces[last].kind === pieces[first].kind) last += 1;
    const kind = pieces[first].kind;
    const words = /** @type {any} */ (KINDS)[kind];
    const text = textOf(pieces.slice(first, last));
    made.push(h("span", { class: `run ${kind}` }, text, ...(words ? [h("span", { class: "run-kind", text: ` (${t(words)})` })] : [])), " ");
    first = last;
  }
  return made;
}

/** @param {any} fact @param {any} direction */
function factChip(fact, direction) {
  const head = [icon(/** @type {any} */ (VERDICT_ICONS)[fact.verdict] ?? "info"), t(`verdict:${fact.verdict}`)];
  const differences = fact.differences.map((/** @type {any} */ one) => {
    const words = { changed: "differenceChanged", missing: "differenceMissing", added: "differenceAdded" }[/** @type {"changed"} */ (one.kind)];
    return h("li", { text: t(words ?? one.kind, { fact: t(`fact:${one.fact}`), heard: one.heard, spoken: one.spoken }) });
  });
  const texts = [[fact.heard, fact.heard_facts, direction.language_in], [fact.spoken, fact.spoken_facts, direction.language_out]];
  return h(
    "details",
    { class: `fact ${fact.verdict}`, open: fact.verdict === "mismatch" },
    h("summary", {}, ...head),
    h("ul", {}, ...differences),
    ...texts.filter(([text]) => text).map(([text, marks, tag]) => inLanguage(h("p", {}, ...marked(text, marks)), tag)),
  );
}

/** A text with its facts marked. @param {string} text @param {{start: number, end: number}[]} marks @returns {(Node | string)[]} */
function marked(text, marks) {
  const letters = [...text]; // positions count characters, not UTF-16 units
  const made = [];
  let at = 0;
  for (const { start, end } of [...marks].sort((a, b) => a.start - b.start)) {
    if (start < at) continue;
    made.push(letters.slice(at, start).join(""), h("mark", { text: letters.slice(start, end).join("") }));
    at = end;
  }
  made.push(letters.slice(at).join(""));
  return made;
}

customElements.define("direction-card", DirectionCard);
customElements.define("room-directions", RoomDirections);
