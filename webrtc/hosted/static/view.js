/**
 * What is seen and read out. Text typed by people or sent by the server goes through `textContent` only.
 */

import { directionOf, icon } from "./elements.js";
import { choosePageLanguage, sentence } from "./strings.js";

/** How often the meter's text and its value for screen readers may change; the bar itself moves faster. */
const METER_TEXT_MS = 1000;
const TOAST_MS = 6000;
const METER_FLOOR_DBFS = -60;
/** The bar falls no faster than this from one call to the next (some 15 a second): peaks stay readable. */
const METER_FALL_DB = 2;
const CAPTIONS_KEPT = 200;
const TIDY_MS = 60000;
/** What may be kept of a meeting, and its name in strings.js. */
const STORED = {
  transcript: "storedTranscript",
  audio: "storedAudio",
  identity: "storedIdentity",
  audit: "storedAudit",
};

/** @typedef {{id: string, name: string, language: string, muted: boolean}} Person */

/** @param {string} id @returns {any} */
export const element = (id) => document.getElementById(id);

/** @param {string} tag @param {string} className @param {...(Node | string)} children @returns {HTMLElement} */
export function make(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Text that came in a language of its own. @param {string} text @param {string} tag - BCP 47; empty for the page's. */
export function worded(text, tag) {
  const made = make("span", "text", text);
  if (!tag) return made;
  made.lang = tag;
  made.dir = directionOf(tag);
  return made;
}

/** The whole page; knows nothing of networks and microphones. */
export class View {
  constructor() {
    this.pageLanguage = choosePageLanguage(navigator.languages);
    /** Elements whose text follows the page language. @type {Map<Element, [string, Record<string, string>]>} */
    this.said = new Map();
    /** @type {Map<string, string>} language tag -> its name in itself */
    this.languageLabels = new Map();
    /** @type {Map<string, {item: HTMLElement, name: HTMLElement, language: HTMLElement, interpreted: HTMLElement, state: HTMLElement, icon: HTMLElement, person: Person}>} */
    this.people = new Map();
    /** Names of everybody who was ever here: a caption may come after its speaker has left. @type {Map<string, string>} */
    this.names = new Map();
    this.joinLevel = new LevelMeter(this, element("join-level"));
    this.roomLevel = new LevelMeter(this, element("room-level"));
    this.toastTimer = 0;
    /** What the room says it keeps; null where it does not say. @type {string[] | null} */
    this.stored = null;
    for (const found of document.querySelectorAll("[data-text]")) this.say(found, found.dataset.text);
    element("page-language").value = this.pageLanguage;
    element("page-language").addEventListener("change", (event) => this.translate(event.target.value));
    document.documentElement.lang = this.pageLanguage;
    setInterval(() => this.tidy(), TIDY_MS);
  }

  /** Shows a sentence of strings.js, now and after every change of the page language. */
  say(target, key, words = {}) {
    this.said.set(target, [key, words]);
    target.textContent = sentence(this.pageLanguage, key, words);
  }

  /** Empties an element that `say` had filled. */
  hush(target) {
    this.said.delete(target);
    target.textContent = "";
  }

  translate(language) {
    this.pageLanguage = language;
    document.documentElement.lang = language;
    this.tidy();
    for (const [target, [key, words]] of this.said) target.textContent = sentence(language, key, words);
    this.showRoomStored();
    this.joinLevel.translate();
    this.roomLevel.translate();
  }

  /** Forgets what is no longer on the page. */
  tidy() {
    for (const target of this.said.keys()) if (!target.isConnected) this.said.delete(target);
  }

  /** @param {string[]} stored - what is kept. @returns {string} as a sentence. */
  storedWords(stored) {
    const language = this.pageLanguage;
    const things = stored.map((kept) => (kept in STORED ? sentence(language, STORED[kept]) : kept));
    const words = things.length ? new Intl.ListFormat(language).format(things) : sentence(language, "storedNothing");
    return `${words[0].toUpperCase()}${words.slice(1)}.`;
  }

  showRoomStored() {
    element("join-stored").hidden = this.stored === null;
    if (this.stored !== null) element("join-stored-words").textContent = this.storedWords(this.stored);
  }

  /** Read out by screen readers, not seen. */
  announce(key, words = {}) {
    this.say(element("announcer"), key, words);
  }

  /** A short confirmation, seen for a while and read out. */
  toast(key) {
    const toast = element("toast");
    clearTimeout(this.toastTimer);
    this.say(toast, key);
    this.toastTimer = setTimeout(() => this.hush(toast), TOAST_MS);
  }

  /** @param {"join" | "room" | "end"} name */
  show(name) {
    for (const other of ["join", "room", "end"]) element(`${other}-view`).hidden = other !== name;
    element(`${name}-title`).focus();
  }

  /** @param {string} room @param {{tag: string, label: string}[]} languages @param {string[] | null} stored */
  describeRoom(room, languages, stored) {
    this.stored = stored;
    this.showRoomStored();
    for (const place of document.querySelectorAll(".room-name")) place.textContent = room;
    document.title = `${room} – ${sentence(this.pageLanguage, "product")}`;
    this.languageLabels = new Map(languages.map(({ tag, label }) => [tag, label]));
    for (const select of [element("language"), element("room-language")]) {
      select.replaceChildren(
        ...languages.map(({ tag, label }) => Object.assign(new Option(label, tag), { lang: tag })),
      );
    }
    const offered = languages.map(({ tag }) => tag);
    const wanted = navigator.languages.flatMap((tag) => [tag, tag.split("-")[0]]);
    element("language").value = wanted.find((tag) => offered.includes(tag)) ?? offered[0];
  }

  /** @param {MediaDeviceInfo[]} devices @param {string} chosen - device id. */
  listMicrophones(devices, chosen) {
    for (const select of document.querySelectorAll("select.microphones")) {
      select.replaceChildren(...devices.map((device, index) => this.microphoneOption(device, index)));
      select.value = chosen;
    }
  }

  microphoneOption(device, index) {
    const number = String(index + 1);
    return new Option(device.label || sentence(this.pageLanguage, "microphoneNumber", { number }), device.deviceId);
  }

  /** The join form offers to open a microphone, or shows the open one. @param {boolean} open */
  microphoneIsOpen(open) {
    const hadFocus = document.activeElement === element("allow-microphone");
    element("allow-microphone").hidden = open;
    element("microphone").hidden = !open;
    element("join-level").hidden = !open;
    if (hadFocus && open) element("microphone").focus();
  }

  /** @param {boolean} busy */
  joining(busy) {
    const button = element("join");
    button.setAttribute("aria-disabled", String(busy));
    this.say(button.firstElementChild, busy ? "joining" : "join");
  }

  nameProblem(missing) {
    const input = element("name");
    if (missing) this.say(element("name-problem"), "nameMissing");
    else this.hush(element("name-problem"));
    input.setAttribute("aria-invalid", String(missing));
    if (missing) input.focus();
  }

  /**
   * Says in a view's problem box what is wrong and what to do.
   * @param {"join" | "room"} where
   * @param {string} code - stem of two sentences.
   * @param {{label: string, act: () => void}} [action]
   */
  problem(where, code, action) {
    const title = make("strong", "");
    const text = make("span", "");
    const box = element(`${where}-problem`);
    const words = make("p", "", title, " ", text);
    box.dataset.code = code;
    box.replaceChildren(icon("warning"), words);
    this.say(title, `${code}Title`);
    this.say(text, code);
    if (action) box.append(this.button(action));
  }

  button({ label, act }) {
    const button = make("button", "");
    button.setAttribute("type", "button");
    button.addEventListener("click", act);
    this.say(button, label);
    return button;
  }

  /** Takes back the problem shown; with `codes`, only one of those. */
  solved(where, ...codes) {
    const box = element(`${where}-problem`);
    if (codes.length > 0 && !codes.includes(box.dataset.code)) return;
    delete box.dataset.code;
    box.replaceChildren();
  }

  /**
   * The last view: why it is over.
   * @param {string} code - stem of two sentences.
   * @param {string} detail - words from the server, or empty.
   * @param {{label: string, act: () => void} | null} action
   */
  end(code, detail, action) {
    this.say(element("end-title"), `${code}Title`);
    this.say(element("end-text"), code);
    element("end-detail").textContent = detail;
    element("end-action").hidden = action === null;
    if (action !== null) {
      this.say(element("end-action"), action.label);
      element("end-action").onclick = action.act;
    }
    this.show("end");
  }

  /** @param {"connecting" | "connected" | "unstable" | "reconnecting"} state */
  connection(state) {
    element("connection").dataset.state = state;
    this.say(element("connection"), state);
  }

  muted(muted) {
    const button = element("mute");
    const label = make("span", "");
    button.classList.toggle("off", muted);
    button.replaceChildren(icon(muted ? "off" : "on"), label);
    this.say(label, muted ? "unmute" : "mute");
    this.say(element("mute-state"), muted ? "microphoneOff" : "microphoneOn");
  }

  /** Clears the roster: the server tells it anew. */
  emptyRoster() {
    this.people.clear();
    element("people").replaceChildren();
    this.countPeople();
  }

  /** @param {Person} person @param {boolean} isMe */
  showPerson(person, isMe) {
    this.names.set(person.id, person.name);
    if (!this.people.has(person.id)) this.addPerson(person, isMe);
    const shown = this.people.get(person.id);
    shown.person = person;
    shown.name.textContent = person.name;
    shown.language.textContent = this.languageLabels.get(person.language) ?? person.language;
    shown.language.lang = person.language;
    this.personState(person.id, "silent");
  }

  addPerson(person, isMe) {
    const [name, language, state] = [make("bdi", "name"), make("span", "language"), make("span", "state-text")];
    const interpreted = make("div", "interpreted");
    const shape = make("span", "shape");
    shape.setAttribute("aria-hidden", "true");
    const title = make("span", "who", name);
    if (isMe) {
      const you = make("span", "you");
      title.append(" ", you);
      this.say(you, "you");
    }
    const about = make("div", "about", title, language);
    const item = make("li", "person", about, make("span", "state", shape, state), interpreted);
    element("people").append(item);
    this.people.set(person.id, { item, name, language, interpreted, state, icon: shape, person });
    this.countPeople();
  }

  /** @param {string} id @param {"speaking" | "silent"} activity - of somebody who is not muted. */
  personState(id, activity) {
    const shown = this.people.get(id);
    if (shown === undefined) return;
    const state = shown.person.muted ? "muted" : activity;
    if (shown.item.dataset.state === state) return;
    shown.item.dataset.state = state;
    this.say(shown.state, state);
    const bars = () => [make("i", ""), make("i", ""), make("i", "")];
    shown.icon.replaceChildren(...(state === "muted" ? [icon("off")] : bars()));
  }

  /** @param {Record<string, number>} dbfs @param {string[]} speaking - participant ids. */
  levels(dbfs, speaking) {
    for (const [id, { item }] of this.people) {
      this.personState(id, speaking.includes(id) ? "speaking" : "silent");
      item.style.setProperty("--level", String(fraction(dbfs[id] ?? METER_FLOOR_DBFS)));
    }
  }

  removePerson(id) {
    this.people.get(id)?.item.remove();
    this.people.delete(id);
    this.countPeople();
  }

  countPeople() {
    element("people-count").textContent = String(this.people.size);
  }

  /** @param {boolean} on - captions are shown; they are collected in any case. */
  captionsAreOn(on) {
    element("captions-on").checked = on;
    element("captions-scroll").hidden = !on;
    element("captions-off").hidden = on;
  }

  /** @typedef {{id: string, speaker_id: string, language: string, text: string, final: boolean, kind: "rendering" | "heard" | "as-self", cut: boolean}} Caption */
  /** @param {Caption} caption */
  caption(caption) {
    const scroll = element("captions-scroll");
    const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
    const growing = Array.from(element("captions-growing").children).find((line) => line.dataset.id === caption.id);
    const line = this.captionLine(caption);
    if (caption.final) {
      growing?.remove();
      if (caption.text) element("captions").append(line);
      while (element("captions").children.length > CAPTIONS_KEPT) element("captions").firstElementChild.remove();
    } else if (growing) growing.replaceWith(line);
    else element("captions-growing").append(line);
    element("captions-empty").hidden = true;
    if (atEnd) scroll.scrollTop = scroll.scrollHeight;
  }

  captionLine(caption) {
    const line = make("p", `caption ${caption.kind}`, this.captionSpeaker(caption), " ");
    line.append(worded(caption.text, caption.language));
    line.classList.toggle("cut", caption.cut);
    if (caption.cut) line.append(" ", this.remark("notHeard"));
    line.dataset.id = caption.id;
    return line;
  }

  captionSpeaker(caption) {
    const name = make("bdi", "");
    const known = this.names.get(caption.speaker_id);
    if (caption.kind === "as-self") this.say(name, "product");
    else if (known === undefined) this.say(name, "someone");
    else name.textContent = known;
    const who = make("span", "who", name);
    if (caption.kind === "heard") who.append(" ", this.remark("ownWords"));
    return who;
  }

  remark(key) {
    const made = make("span", "remark");
    this.say(made, key);
    return made;
  }

  /** @param {{id: string, level: "info" | "warning" | "alert", language: string, text: string}} notice */
  notice(notice) {
    const region = element(notice.level === "alert" ? "urgent-notices" : "notices");
    const shown = Array.from(document.querySelectorAll(".notice")).find((one) => one.dataset.id === notice.id);
    if (!notice.text || (shown && shown.parentElement !== region)) shown?.remove();
    if (!notice.text) return;
    const label = make("strong", "");
    this.say(label, { info: "noticeInfo", warning: "noticeWarning", alert: "noticeAlert" }[notice.level]);
    const words = make("p", "", label, " ", worded(notice.text, notice.language));
    const box = make("div", `notice ${notice.level}`, icon(notice.level === "info" ? "info" : "warning"), words);
    box.dataset.id = notice.id;
    if (shown?.parentElement === region) shown.replaceWith(box);
    else region.append(box);
  }

  /** Forgets what the server said before a new connection, which says it anew. */
  emptyNotices() {
    for (const region of ["notices", "urgent-notices"]) element(region).replaceChildren();
    element("captions-growing").replaceChildren();
  }

  emptyCaptions() {
    element("captions").replaceChildren();
    element("captions-empty").hidden = false;
  }
}

/** @param {number} dbfs @returns {number} 0 to 1. */
function fraction(dbfs) {
  return Math.min(Math.max(1 - dbfs / METER_FLOOR_DBFS, 0), 1);
}

/** @param {number} dbfs @returns {string} a key of strings.js. */
function levelWord(dbfs) {
  if (dbfs < -55) return "levelNone";
  if (dbfs < -38) return "levelQuiet";
  return dbfs < -6 ? "levelGood" : "levelLoud";
}

/** A bar and a word; the word is of the loudest moment since it last changed. */
class LevelMeter {
  /** @param {View} view @param {HTMLElement} container */
  constructor(view, container) {
    this.view = view;
    this.meter = make("div", "meter", make("div", "meter-bar"));
    this.text = make("span", "level-text");
    this.text.setAttribute("aria-hidden", "true");
    this.meter.setAttribute("role", "meter");
    this.meter.setAttribute("aria-valuemin", "0");
    this.meter.setAttribute("aria-valuemax", "100");
    container.append(this.meter, this.text);
    this.bar = this.loudest = METER_FLOOR_DBFS;
    this.word = "levelNone";
    this.toldAt = -Infinity;
    this.translate();
  }

  /** @param {number} dbfs @param {boolean} muted @param {number} nowMs */
  show(dbfs, muted, nowMs) {
    const shown = muted ? METER_FLOOR_DBFS : dbfs;
    this.bar = muted ? METER_FLOOR_DBFS : Math.max(shown, this.bar - METER_FALL_DB);
    this.meter.firstElementChild.style.transform = `scaleX(${fraction(this.bar)})`;
    this.loudest = Math.max(this.loudest, shown);
    if (nowMs - this.toldAt < METER_TEXT_MS) return;
    this.word = muted ? "levelMuted" : levelWord(this.loudest);
    this.meter.setAttribute("aria-valuenow", String(Math.round(100 * fraction(this.loudest))));
    this.translate();
    this.loudest = METER_FLOOR_DBFS;
    this.toldAt = nowMs;
  }

  translate() {
    const text = sentence(this.view.pageLanguage, this.word);
    this.meter.setAttribute("aria-label", sentence(this.view.pageLanguage, "level"));
    if (!this.meter.hasAttribute("aria-valuenow")) this.meter.setAttribute("aria-valuenow", "0");
    this.meter.setAttribute("aria-valuetext", text);
    this.text.textContent = text;
  }
}
