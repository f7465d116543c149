/** Small parts that several screens share. */

import { icon } from "./elements.js";
import { button, h, setAttribute, setText } from "./dom.js";
import { t } from "./strings.js";

const LAMP_ICONS = { off: "off", standby: "idle", on_air: "interpreting", held: "paused", human: "human" };
const METER_FLOOR_DBFS = -60;
/** The words of a meter, and its value for screen readers, change no oftener. */
const METER_WORDS_MS = 1000;

/** The lamp: a colour, a shape and a word, since no one of them is enough. */
export class Lamp {
  constructor() {
    this.words = h("span");
    this.icon = h("span", { class: "lamp-icon" });
    this.element = h("span", { class: "lamp" }, this.icon, this.words);
    this.shown = "";
  }

  /** @param {string} lamp */
  show(lamp) {
    setText(this.words, t(`lamp:${lamp}`));
    if (this.shown === lamp) return;
    this.shown = lamp;
    this.element.dataset.lamp = lamp;
    this.icon.replaceChildren(icon(/** @type {any} */ (LAMP_ICONS)[lamp] ?? "info"));
  }
}

/** A level meter. The bar moves with every call, its words once a second. */
export class Meter {
  /** @param {string} label */
  constructor(label) {
    this.bar = h("div", { class: "meter-bar" });
    this.words = h("span", { class: "level-text" });
    this.meter = h(
      "div",
      { class: "meter", role: "meter", "aria-valuemin": METER_FLOOR_DBFS, "aria-valuemax": 0, "aria-label": label },
      this.bar,
    );
    this.element = h("div", { class: "level" }, this.meter, this.words);
    this.told = 0;
    this.scale = -1;
    this.show(undefined, 0); // a meter without a value is none, and the first levels may be a while in coming
  }

  /** @param {number | undefined} dbfs @param {number} now - milliseconds. */
  show(dbfs, now) {
    const level = Math.max(METER_FLOOR_DBFS, dbfs ?? METER_FLOOR_DBFS);
    const scale = Math.round((1 - level / METER_FLOOR_DBFS) * 100) / 100;
    if (scale !== this.scale) {
      this.scale = scale;
      this.bar.style.transform = `scaleX(${scale})`;
    }
    if (now - this.told < METER_WORDS_MS && this.told) return;
    this.told = now;
    const words = t(level <= METER_FLOOR_DBFS ? "levelNone" : level < -42 ? "levelQuiet" : level < -6 ? "levelGood" : "levelLoud");
    setText(this.words, words);
    setAttribute(this.meter, "aria-valuenow", String(Math.round(level)));
    setAttribute(this.meter, "aria-valuetext", words);
  }
}

/** What is chosen and not given yet: one operator's draft of one person, or of everybody. */
export class Draft {
  /** @param {any} desk @param {string} slot */
  constructor(desk, slot) {
    this.desk = desk;
    this.slot = slot;
    /** @type {Map<string, any>} */
    this.values = new Map();
    this.expect = 0;
  }

  /** @param {string} name @param {any} value @param {any} applied - what a draft of it would not differ from. */
  choose(name, value, applied) {
    if (this.values.size === 0) this.expect = this.desk.room.revision;
    if (value === applied) this.values.delete(name);
    else this.values.set(name, value);
    this.desk.link.editing(this.desk.id, this.values.size ? this.slot : "");
  }

  clear() {
    if (this.values.size) this.desk.link.editing(this.desk.id, "");
    this.values.clear();
  }

  /** @param {(name: string, value: any) => {name: string, arguments: Record<string, any>}} command */
  async apply(command) {
    const commands = [...this.values].map(([name, value]) => command(name, value));
    const reply = await this.desk.link.apply(this.desk.id, commands, this.expect);
    this.desk.answered(reply);
    if (reply.accepted) this.clear();
    else if (reply.code === "stale") this.expect = this.desk.room.revision; // pressed again, it is meant
    return reply;
  }
}

/** Asks once more; the answer is what was pressed. @param {string} question @returns {Promise<boolean>} */
export function confirmed(question) {
  return new Promise((resolve) => {
    const words = h("p", { id: "question", text: question });
    const dialog = h("dialog", { class: "card dialog", "aria-labelledby": "question" }, words);
    const close = (/** @type {boolean} */ yes) => {
      dialog.close();
      dialog.remove();
      resolve(yes);
    };
    dialog.addEventListener("cancel", () => close(false));
    dialog.append(
      h("div", { class: "row" }, button(t("cancel"), () => close(false)), button(t("confirm"), () => close(true), "danger")),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** @param {any} node @param {boolean} possible */
export function setPossible(node, possible) {
  if (node.disabled === possible) node.disabled = !possible;
}
