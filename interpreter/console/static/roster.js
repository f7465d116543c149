/** Everybody in the room: how they are heard, and in which role and voice they are interpreted. */

import { button, field, h, keyed, setOptions, setShown, setText } from "./dom.js";
import { Draft, Meter, setPossible } from "./parts.js";
import { inOwn, languageName, t } from "./strings.js";

/** With more people than this, or on a phone, what can be chosen of each is folded away at first. */
const OPEN_UP_TO = 3;
const ROOMY = matchMedia("(width >= 48rem)");

/** Shown beside a name where it holds. */
const BADGES = {
  leads: "host",
  microphone_off: "microphoneOff",
  opted_out: "optedOut",
  muted: "muted",
  stopped: "personStopped",
  isolated: "isolated",
  original_only: "originalOnly",
};

export class RoomRoster extends HTMLElement {
  /** @param {import("./desk.js").Desk} desk */
  begin(desk) {
    this.desk = desk;
    this.list = h("ul", { class: "people" });
    this.nobody = h("p", { class: "hint", text: t("nobody") });
    this.className = "card";
    this.append(h("h2", { text: t("people") }), this.nobody, this.list);
  }

  /** @param {any} room */
  show(room) {
    setShown(this.nobody, Object.keys(room.people).length === 0);
    keyed(
      this.list,
      Object.entries(room.people),
      (id) => {
        const row = document.createElement("roster-person");
        /** @type {any} */ (row).begin(this.desk, id);
        return h("li", {}, row);
      },
      (item, person) => item.firstElementChild.show(person),
    );
  }

  /** @param {any} levels @param {number} now */
  levels(levels, now) {
    for (const item of this.list.children) /** @type {any} */ (item.firstElementChild).levels(levels, now);
  }
}

export class RosterPerson extends HTMLElement {
  /** @param {import("./desk.js").Desk} desk @param {string} id */
  begin(desk, id) {
    this.desk = desk;
    this.id_ = id;
    this.draft = new Draft(desk, `role/${id}`);
    this.person = null;
    this.name_ = h("bdi", { class: "person-name" });
    this.badges = h("span", { class: "badges" });
    this.meter = new Meter("");
    this.language = h("select", { onchange: () => this.chose("language", this.language.value) });
    this.roleChoice = h("select", { onchange: () => this.chose("role", this.roleChoice.value) });
    this.voice = h("select", { onchange: () => this.chose("voice", this.voice.value) });
    this.preview = button(t("preview"), () => preview(desk, this.voice.value, this.person.language, this));
    this.sample = h("span", { class: "sample" });
    this.waits = h("p", { class: "hint", role: "status" });
    this.editors = h("p", { class: "hint" });
    this.apply = button(t("apply"), () => this.give(), "primary");
    this.discard = button(t("discard"), () => this.forget());
    this.mute = button("", () => desk.give(this.person.muted ? "unmute" : "mute", { participant: id }));
    this.repeat = button(t("askRepeat"), () => desk.give("ask-repeat", { participant: id }));
    this.slower = button(t("slower"), () => desk.give("slower", { participant: id }));
    this.swap = button(t("swap"), () => desk.give("swap", { participant: id }));
    this.choices = h("div", { class: "choices" }, field(t("language"), this.language), field(t("role"), this.roleChoice), field(t("voice"), this.voice));
    this.more = h(
      "details",
      { open: ROOMY.matches && Object.keys(desk.room.people).length <= OPEN_UP_TO },
      h("summary", { text: t("choices") }),
      this.choices,
      h("div", { class: "row" }, this.preview, this.sample),
      h("div", { class: "row" }, this.mute, this.repeat, this.slower, this.swap),
    );
    this.append(
      h("div", { class: "person-head" }, this.name_, this.badges),
      this.meter.element,
      this.waits,
      this.editors,
      h("div", { class: "row" }, this.apply, this.discard),
      this.more,
    );
  }

  /** @param {string} what @param {string} value */
  chose(what, value) {
    const person = this.person;
    this.draft.choose(what, value, what === "language" ? person.language_wanted : person[what].wanted);
    this.show(person);
  }

  async give() {
    const argument = (/** @type {string} */ name) => (name === "language" ? "tag" : "name");
    await this.draft.apply((name, value) => ({ name, arguments: { [argument(name)]: value, participant: this.id_ } }));
    this.show(this.person);
  }

  forget() {
    this.draft.clear();
    this.show(this.person);
  }

  /** @param {any} person */
  show(person) {
    this.person = person;
    const { desk, draft } = this;
    setText(this.name_, person.name);
    this.meter.meter.setAttribute("aria-label", t("level", { name: person.name }));
    const badges = Object.entries(BADGES).filter(([member]) => person[member]);
    const texts = [...(person.speaking ? ["speaking"] : []), ...badges.map(([, key]) => key)];
    keyed(this.badges, texts.map((key) => [key, key]), (key) => h("span", { class: `badge ${key}` }), (one, key) => setText(one, t(key)));
    setOptions(this.language, languageOptions(desk, person), draft.values.get("language") ?? person.language_wanted);
    setOptions(this.roleChoice, roleOptions(desk, person.role.wanted), draft.values.get("role") ?? person.role.wanted);
    setOptions(this.voice, voiceOptions(desk, person.voice.wanted), draft.values.get("voice") ?? person.voice.wanted);
    const waits = ["role", "voice"].filter((what) => person[what].applied && person[what].applied !== person[what].wanted);
    setText(this.waits, waits.map((what) => t("waits", { wanted: person[what].wanted || t("voiceDefault") })).join(" "));
    const editors = desk.editors(draft.slot);
    setText(this.editors, editors.length ? t("editing", { name: editors.join(", ") }) : "");
    const chosen = draft.values.size > 0;
    setShown(this.apply, chosen);
    setShown(this.discard, chosen);
    setPossible(this.apply, desk.can("role"));
    setText(this.mute, t(person.muted ? "unmutePerson" : "mutePerson"));
    const offered = { language: this.language, role: this.roleChoice, voice: this.voice };
    for (const [name, control] of Object.entries(offered)) setPossible(control, desk.can(name));
    const acts = { mute: this.mute, "ask-repeat": this.repeat, slower: this.slower, swap: this.swap, "preview-voice": this.preview };
    for (const [name, control] of Object.entries(acts)) {
      setShown(control, desk.link.can(name));
      setPossible(control, desk.can(name));
    }
    setShown(this.preview, desk.link.can("preview-voice") && Boolean(desk.house?.voices[this.voice.value]?.preview));
  }

  /** @param {any} levels @param {number} now */
  levels(levels, now) {
    this.meter.show(levels.people[this.id_], now);
  }
}

/** @param {import("./desk.js").Desk} desk @param {any} person @returns {[string, string][]} */
function languageOptions(desk, person) {
  const tags = new Set([...(desk.house?.languages ?? []), person.language_wanted]);
  return [...tags].map((tag) => [tag, languageName(tag)]);
}

/** @param {import("./desk.js").Desk} desk @param {string} wanted @returns {[string, string][]} */
export function roleOptions(desk, wanted) {
  const roles = Object.entries(desk.house?.roles ?? {});
  const options = roles.map(([name, role]) => /** @type {[string, string]} */ ([name, inOwn(role.titles) || name]));
  return options.some(([name]) => name === wanted) ? options : [[wanted, wanted], ...options];
}

/** @param {import("./desk.js").Desk} desk @param {string} wanted @returns {[string, string][]} */
export function voiceOptions(desk, wanted) {
  const names = Object.keys(desk.house?.voices ?? {});
  const options = names.map((name) => /** @type {[string, string]} */ ([name, name]));
  return names.includes(wanted) ? options : [[wanted, wanted || t("voiceDefault")], ...options];
}

/** @param {import("./desk.js").Desk} desk @param {string} voice @param {string} language @param {any} place */
async function preview(desk, voice, language, place) {
  setText(place.sample, t("previewing", { voice }));
  const reply = await desk.link.command(desk.id, "preview-voice", { name: voice, ...(language ? { tag: language } : {}) });
  place.sample.replaceChildren();
  if (reply.result?.kind !== "sound") {
    desk.answered(reply);
    return;
  }
  const bytes = Uint8Array.from(atob(reply.result.base64), (character) => character.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type: reply.result.content_type }));
  const player = h("audio", { src: url, controls: true, autoplay: true, "aria-label": `${t("preview")}: ${voice}` });
  player.addEventListener("ended", () => URL.revokeObjectURL(url), { once: true });
  place.sample.append(player);
}

customElements.define("roster-person", RosterPerson);
customElements.define("room-roster", RoomRoster);
