/**
 * The interpreter's cards: what it does, what it keeps, and what a person may ask of it.
 *
 * What holds is what the server last said: a control shows a person's wish only until it is answered.
 */

import { AttestationReader } from "./attestations.js";
import { sentence } from "./strings.js";
import { icon } from "./elements.js";
import { element, make, worded } from "./view.js";

/** A request that is not answered by then is given up, which is said. */
const REPLY_LIMIT_MS = 8000;
const REPLY_SHOWN_MS = 30000;
/** The slider tells the server no more often than this. */
const BALANCE_INTERVAL_MS = 250;
const CHECKSUM_SHOWN = 12;
/** Requests whose control shows by itself that they were granted. */
const SELF_EVIDENT = new Set(["balance", "original-only", "captions"]);
const MODES = { simultaneous: "modeSimultaneous", consecutive: "modeConsecutive", captions: "modeCaptions" };
const LAMPS = {
  interpreting: ["interpreting", "lampInterpreting"],
  idle: ["idle", "lampIdle"],
  captions: ["captions", "lampCaptions"],
  paused: ["paused", "lampPaused"],
  human: ["human", "lampHuman"],
  down: ["warning", "lampDown"],
};
const STATUSES = {
  live: "statusLive",
  held: "statusHeld",
  captions: "statusCaptions",
  paused: "statusPaused",
  stopped: "statusStopped",
  unserved: "statusUnserved",
  down: "statusDown",
};

/** @typedef {{opted_out: boolean, stopped: boolean, original_only: boolean, balance: number, captions: boolean, language: string}} Own */
/** @typedef {{speaker_id: string, language: string, status: keyof typeof STATUSES}} Direction */
/** @typedef {{name: string, titles: Record<string, string>, voice: string}} RoleChoice */
/** @typedef {{lamp: keyof typeof LAMPS, mode: string, role: string, role_checksum: string, stored: string[], own: Own, directions: Direction[], opted_out: string[], human_asked: boolean, human_present: boolean, paused: boolean, closed: boolean, choices: RoleChoice[]}} State */

/** The cards about the interpreter, and the line about the interpreter below everybody's name. */
export class InterpreterCards {
  /**
   * @param {import("./view.js").View} view
   * @param {(id: string, name: string, args: Record<string, string | number | boolean>) => void} send
   */
  constructor(view, send) {
    this.view = view;
    this.send = send;
    /** @type {State | null} what the server last said */
    this.state = null;
    /** @type {Map<string, {name: string, place: string, timer: number}>} requests that are not answered yet, by id */
    this.waiting = new Map();
    this.requests = 0;
    this.balanceTimer = 0;
    /** @type {Map<string, number>} by the id of the box that shows a reply */
    this.replyTimers = new Map();
    /** Called when what is shown, or what is waited for, may be another. */
    this.onShown = () => {};
    this.records = new AttestationReader(() => this.showRecords());
    this.listen();
  }

  listen() {
    for (const name of ["repeat", "human"]) element(name).addEventListener("click", () => this.askOnce(name));
    element("stop").addEventListener("click", () => this.askOnce(this.state?.own.stopped ? "start" : "stop"));
    element("listen").addEventListener("change", (event) => this.mayListen(event.target.checked));
    element("original-only").addEventListener("change", (event) => this.hearOriginalOnly(event.target.checked));
    element("captions-on").addEventListener("change", (event) => this.switchCaptions(event.target.checked));
    element("balance").addEventListener("input", () => this.moveBalance());
    element("page-language").addEventListener("change", () => this.show());
  }

  /** @param {State} state */
  receive(state) {
    const before = this.state?.own.language;
    const language = state.own.language;
    if (language && language !== before) element("room-language").value = language; // else it is the person's to choose
    this.state = state;
    this.appear(true);
    this.show();
  }

  appear(known) {
    for (const id of ["interpreter", "choices"]) element(id).hidden = !known;
  }

  /** @param {{id: string, accepted: boolean, text: string, language: string}} reply */
  replied({ id, accepted, text, language }) {
    const request = this.waiting.get(id);
    if (request === undefined) return;
    this.forget(id);
    if (!accepted || !SELF_EVIDENT.has(request.name)) this.showReply(request.place, accepted, worded(text, language));
    this.showOwn();
  }

  /** What the controls show, answered or not; null where nothing is known of the interpreter yet. */
  wish() {
    if (this.state === null) return null;
    return {
      opted_out: !element("listen").checked,
      stopped: this.state.own.stopped,
      original_only: element("original-only").checked,
      balance: Number(element("balance").value) / 100,
      captions: element("captions-on").checked,
    };
  }

  /**
   * Asks, before there is sound, for what the person had chosen before they joined or the connection was lost.
   * @param {Partial<Own>} wish
   */
  restore(wish) {
    if (wish.opted_out) this.ask("optout");
    if (wish.stopped) this.ask("stop");
    if (wish.original_only) this.ask("original-only", { state: true });
    if (wish.balance !== undefined && wish.balance !== 1) this.ask("balance", { level: wish.balance });
    if (wish.captions === false) this.ask("captions", { state: false });
  }

  /** The connection is gone, and with it whoever would answer. */
  disconnected() {
    for (const id of [...this.waiting.keys()]) this.forget(id);
    clearTimeout(this.balanceTimer);
    this.balanceTimer = 0;
    this.records = new AttestationReader(() => this.showRecords());
    this.showRecords();
    this.showLamps([["idle", "lampUnknown"]]);
  }

  /** The person has left: nothing of this meeting is kept. */
  left() {
    this.state = null;
    this.appear(false);
    for (const place of document.querySelectorAll(".reply")) place.replaceChildren();
    this.view.captionsAreOn(true);
    this.onShown();
  }

  /** @param {string} name @param {Record<string, string | number | boolean>} [args] @param {string} [place] - for the reply. */
  ask(name, args = {}, place = "reply") {
    this.requests += 1;
    const id = String(this.requests);
    this.waiting.set(id, { name, place, timer: setTimeout(() => this.unanswered(id), REPLY_LIMIT_MS) });
    this.showBusy();
    this.send(id, name, args);
  }

  /** Asks unless the same question is still open. */
  askOnce(name, args = {}, place = "reply") {
    if (!this.isWaiting(name)) this.ask(name, args, place);
  }

  isWaiting(...names) {
    return Array.from(this.waiting.values()).some((request) => names.includes(request.name));
  }

  forget(id) {
    clearTimeout(this.waiting.get(id)?.timer);
    this.waiting.delete(id);
    this.showBusy();
  }

  unanswered(id) {
    const { place } = this.waiting.get(id);
    this.forget(id);
    const text = make("span", "");
    this.view.say(text, "noReply");
    this.showReply(place, false, text);
    this.showOwn();
  }

  mayListen(allowed) {
    this.showListening(allowed);
    this.ask(allowed ? "optin" : "optout");
  }

  hearOriginalOnly(on) {
    element("balance").disabled = on;
    this.ask("original-only", { state: on });
  }

  switchCaptions(on) {
    this.view.captionsAreOn(on);
    if (this.state !== null) this.ask("captions", { state: on });
  }

  moveBalance() {
    this.showBalanceWords();
    if (this.balanceTimer) return; // the request that is due takes the newest position
    this.balanceTimer = setTimeout(() => {
      this.balanceTimer = 0;
      this.ask("balance", { level: Number(element("balance").value) / 100 });
    }, BALANCE_INTERVAL_MS);
  }

  show() {
    if (this.state === null) return;
    const { lamp, human_asked, mode, role, role_checksum, stored } = this.state;
    const asked = human_asked ? [["human", "lampHumanAsked"]] : [];
    this.showLamps(lamp === "human" && human_asked ? asked : [LAMPS[lamp] ?? LAMPS.down, ...asked]);
    if (mode in MODES) this.view.say(element("mode"), MODES[mode]);
    else this.showAsIs(element("mode"), mode);
    element("role").textContent = role;
    element("role-checksum").textContent = role_checksum.slice(0, CHECKSUM_SHOWN);
    element("role-checksum").title = role_checksum;
    element("stored").textContent = this.view.storedWords(stored);
    this.showRecords();
    this.showOwn();
    this.showPeople();
    this.onShown();
  }

  showRecords() {
    const { received, checked, wrong, gaps } = this.records;
    const count = new Intl.NumberFormat(this.view.pageLanguage).format(received);
    const which = [
      [received === 0, "signedNone"],
      [wrong > 0, "signedWrong"],
      [checked < received, "signedUnchecked"],
      [gaps > 0, "signedGaps"],
      [true, "signedChecked"],
    ];
    this.view.say(element("signed"), which.find(([holds]) => holds)[1], { count });
  }

  showAsIs(target, text) {
    this.view.hush(target);
    target.textContent = text;
  }

  /** @param {string[][]} lamps - shape and sentence of each. */
  showLamps(lamps) {
    const keys = lamps.map(([, key]) => key).join(" ");
    if (element("lamps").dataset.keys === keys) return; // the same again would be read out again
    element("lamps").dataset.keys = keys;
    element("lamps").replaceChildren(...lamps.map(([shape, key]) => this.lamp(shape, key)));
  }

  lamp(shape, key) {
    const words = make("span", "");
    const lamp = make("p", "lamp", icon(shape), words);
    lamp.dataset.shape = shape;
    this.view.say(words, key);
    return lamp;
  }

  /** What the person has chosen, but for what they have just asked to be changed. */
  showOwn() {
    if (this.state === null) return;
    const own = this.state.own;
    if (!this.isWaiting("optin", "optout")) this.showListening(!own.opted_out);
    if (!this.isWaiting("captions")) this.view.captionsAreOn(own.captions);
    if (!this.isWaiting("original-only")) {
      element("original-only").checked = own.original_only;
      element("balance").disabled = own.original_only;
    }
    if (!this.isWaiting("balance") && !this.balanceTimer && !element("balance").matches(":active")) {
      element("balance").value = String(Math.round(100 * own.balance));
    }
    this.view.say(element("stop"), own.stopped ? "start" : "stop");
    this.view.say(element("stop-hint"), own.stopped ? "startHint" : "stopHint");
    this.showBalanceWords();
  }

  /** In the form for joining too: what somebody has chosen holds when they come again. */
  showListening(allowed) {
    for (const id of ["listen", "join-listen"]) element(id).checked = allowed;
  }

  showBalanceWords() {
    const share = Number(element("balance").value) / 100;
    const percent = new Intl.NumberFormat(this.view.pageLanguage, { style: "percent" }).format(share);
    element("balance").setAttribute("aria-valuetext", sentence(this.view.pageLanguage, "balanceValue", { percent }));
  }

  showBusy() {
    for (const [id, names] of [["repeat", ["repeat"]], ["human", ["human"]], ["stop", ["stop", "start"]]]) {
      element(id).setAttribute("aria-disabled", String(this.isWaiting(...names)));
    }
    this.onShown();
  }

  /** @param {string} place - id of the box. @param {boolean} accepted @param {HTMLElement} text */
  showReply(place, accepted, text) {
    clearTimeout(this.replyTimers.get(place));
    const box = element(place);
    box.dataset.accepted = String(accepted);
    box.replaceChildren(icon(accepted ? "done" : "warning"), make("p", "", text));
    this.replyTimers.set(place, setTimeout(() => box.replaceChildren(), REPLY_SHOWN_MS));
  }

  /** Says below everybody's name what the interpreter makes of their words. */
  showPeople() {
    if (this.state === null) return;
    for (const [id, { interpreted }] of this.view.people) {
      interpreted.replaceChildren(...this.personLines(id));
    }
  }

  /** @param {string} id - of the speaker. */
  personLines(id) {
    if (this.state.opted_out.includes(id)) return [this.personLine("optedOut", "")];
    return this.state.directions
      .filter((direction) => direction.speaker_id === id)
      .map(({ status, language }) => this.personLine(STATUSES[status] ?? "statusDown", language));
  }

  personLine(key, tag) {
    const line = make("span", "");
    this.view.say(line, key, { language: tag && this.languageName(tag) });
    return line;
  }

  /** @param {string} tag - BCP 47. @returns {string} its name in the page's language. */
  languageName(tag) {
    try {
      return new Intl.DisplayNames([this.view.pageLanguage], { type: "language" }).of(tag) ?? tag;
    } catch {
      return tag; // not a tag of BCP 47
    }
  }
}
