/** The head of a room: lamp, role, disclosure, clock, and STOP, which is always there. */

import { button, h, setShown, setText } from "./dom.js";
import { Lamp, setPossible } from "./parts.js";
import { clock, inOwn, t } from "./strings.js";

export class RoomStatus extends HTMLElement {
  /** @param {import("./desk.js").Desk} desk */
  begin(desk) {
    this.desk = desk;
    this.lamp = new Lamp();
    this.lamp.element.setAttribute("role", "status");
    this.reason = h("span", { class: "reason" });
    this.heading = h("h1", { tabIndex: -1, dir: "auto" });
    this.roleWords = h("span");
    this.checksum = h("code", { class: "checksum" });
    this.disclosure = h("span");
    this.stored = h("span");
    this.time = h("time", { role: "timer", "aria-label": t("clock") });
    this.pause = button(t("pause"), () => desk.give("pause"));
    this.resume = button(t("resume"), () => desk.give("resume"), "primary");
    this.stop = h(
      "button",
      { type: "button", class: "stop", title: t("stopHint"), "aria-keyshortcuts": "Control+.", onclick: () => this.halt() },
      t("stop"),
    );
    /** Told once and seldom looked at again: it scrolls away, unlike the head. */
    this.about = h(
      "dl",
      { class: "facts card" },
      h("div", {}, h("dt", { text: t("role") }), h("dd", {}, this.roleWords, " ", this.checksum)),
      h("div", {}, h("dt", { text: t("disclosure") }), h("dd", {}, this.disclosure)),
      h("div", {}, h("dt", { text: t("stored") }), h("dd", {}, this.stored)),
    );
    this.append(
      h("div", { class: "status-line" }, this.heading, h("div", { class: "lamp-line" }, this.lamp.element, this.reason), this.time),
      h("div", { class: "status-actions" }, this.pause, this.resume, this.stop),
    );
  }

  async halt() {
    const reply = await this.desk.halt();
    if (reply.accepted) this.desk.tell(t("stopped"));
  }

  /** @param {any} room */
  show(room) {
    setText(this.heading, room.name);
    this.lamp.show(room.lamp);
    setText(this.reason, room.reason ? t(`reason:${room.reason}`) : "");
    setText(this.roleWords, `${inOwn(room.role.titles) || room.role.name} · ${t(`mode:${room.mode.applied}`)}`);
    setText(this.checksum, room.role.checksum.slice(0, 12));
    this.checksum.title = t("checksum", { checksum: room.role.checksum });
    setText(this.disclosure, disclosed(room, this.desk));
    setText(this.stored, room.disclosure.stored.map((/** @type {string} */ one) => t(`stored:${one}`)).join(", ") || t("storedNothing"));
    const idle = room.paused || room.halted;
    setShown(this.pause, this.desk.link.can("pause") && !idle && !room.closed);
    setShown(this.resume, this.desk.link.can("resume") && idle && !room.closed);
    setShown(this.stop, this.desk.link.can("halt"));
    setPossible(this.pause, this.desk.can("pause"));
    setPossible(this.resume, this.desk.can("resume"));
  }

  /** @param {number} at - media time in seconds. */
  tick(at) {
    setText(this.time, clock(at));
  }
}

/** @param {any} room @param {import("./desk.js").Desk} desk */
function disclosed(room, desk) {
  const { opened, reading, given, last } = room.disclosure;
  const parts = [t(opened ? "disclosure:opened" : "disclosure:not-opened")];
  if (reading.length) parts.push(t("disclosureReading", { names: reading.map((/** @type {string} */ id) => desk.nameOf(id)).join(", ") }));
  if (given) parts.push(t("disclosureGiven", { count: given, last: t(`notice:${last}`) }));
  return parts.join("; ");
}

customElements.define("room-status", RoomStatus);
