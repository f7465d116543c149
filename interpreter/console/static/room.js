/** One room: its head, alerts, people, directions, turns, and what an operator sets. */

import "./directions.js";
import "./roster.js";
import "./status.js";
import "./timeline.js";
import "./tools.js";
import { h, setShown } from "./dom.js";
import { Desk } from "./desk.js";
import { t } from "./strings.js";

const PARTS = ["room-status", "room-alerts", "room-roster", "room-directions", "turn-timeline", "room-tools", "room-log"];

export class ConsoleRoom extends HTMLElement {
  /** @param {import("./link.js").Link} link @param {string} id @param {(words: string, language?: string) => void} tell */
  begin(link, id, tell) {
    this.link = link;
    this.id_ = id;
    this.desk = new Desk(link, id, tell);
    this.missing = h("p", { class: "card hint", role: "status", text: t("noRoom") });
    this.viewer = h("p", { class: "hint", text: t("viewerNote") });
    /** @type {Record<string, any>} */
    this.parts = {};
    for (const name of PARTS) {
      this.parts[name] = document.createElement(name);
      this.parts[name].begin(this.desk);
    }
    const middle = h("div", { class: "middle" }, this.parts["room-directions"], this.parts["turn-timeline"], this.parts["room-log"]);
    this.content = h(
      "div",
      { class: "room" },
      this.parts["room-status"],
      this.parts["room-status"].about,
      this.parts["room-alerts"],
      this.viewer,
      h("div", { class: "columns" }, this.parts["room-roster"], middle, this.parts["room-tools"]),
    );
    this.append(this.missing, this.content);
    link.watch(id);
  }

  disconnectedCallback() {
    this.link?.watch(null);
  }

  /** Draws what changed; all of it after a change of what may be done. */
  show() {
    const room = this.desk.room;
    setShown(this.missing, !room && this.link.live);
    setShown(this.content, Boolean(room));
    setShown(this.viewer, this.link.you?.standing === "viewer");
    if (!room) return;
    for (const part of Object.values(this.parts)) part.show(room);
  }

  /** @param {any} levels */
  levels(levels) {
    const now = performance.now();
    if (!this.desk.room) return;
    this.parts["room-status"].tick(levels.at_s);
    this.parts["room-roster"].levels(levels, now);
    this.parts["room-directions"].levels(levels, now);
    this.parts["turn-timeline"].levels(levels);
  }

  /**
   * A single key was pressed, outside of anything that is typed into.
   *
   * @param {string} key
   * @returns {boolean} whether it meant something.
   */
  shortcut(key) {
    const room = this.desk.room;
    if (!room) return false;
    if (key === "p") {
      const command = room.paused || room.halted ? "resume" : "pause";
      if (this.desk.can(command)) this.desk.give(command);
      return true;
    }
    if (key === "n") return this.parts["room-log"].focusNote();
    return /^[1-9]$/.test(key) && this.parts["room-directions"].focusCard(Number(key) - 1);
  }

  halt() {
    if (this.link.can("halt")) this.parts["room-status"].halt();
  }
}

customElements.define("console-room", ConsoleRoom);
