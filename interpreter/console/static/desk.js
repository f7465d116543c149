/** What a screen about one room works with: the room's state, and the commands an operator gives in it. */

import { t } from "./strings.js";

export class Desk {
  /** @param {import("./link.js").Link} link @param {string} id @param {(words: string, language?: string) => void} tell */
  constructor(link, id, tell) {
    this.link = link;
    this.id = id;
    this.tell = tell;
  }

  get room() {
    return this.link.topics.state(`room/${this.id}`);
  }

  get notes() {
    return this.link.topics.state(`notes/${this.id}`);
  }

  get house() {
    return this.link.topics.state("house");
  }

  /** Whether a command may be given, and can be now. @param {string} command */
  can(command) {
    return this.link.live && this.link.can(command);
  }

  /**
   * Gives a command and tells what came of it.
   *
   * @param {string} name
   * @param {Record<string, any>} [args]
   */
  async give(name, args = {}) {
    // Every button acts upon what is shown in the moment in which it is pressed.
    const expect = this.link.commands.get(name)?.guarded ? this.room?.revision : undefined;
    const reply = await this.link.command(this.id, name, args, expect);
    this.answered(reply);
    return reply;
  }

  async halt() {
    const reply = await this.link.halt(this.id);
    if (reply.code === "not-connected") this.tell(t("stopNotSent"));
    else this.answered(reply);
    return reply;
  }

  /** @param {import("./link.js").Reply} reply */
  answered(reply) {
    const own = reply.text ? "" : t(`code:${reply.code}`);
    this.tell(reply.text || own, reply.text ? (reply.language ?? "") : "");
  }

  /** @param {string} id */
  nameOf(id) {
    return this.room?.people[id]?.name ?? id;
  }

  /** Who else is changing something here. @param {string} slot @returns {string[]} names */
  editors(slot) {
    const own = this.link.you?.id;
    return Object.entries(this.house?.operators ?? {})
      .filter(([id, one]) => id !== own && one.room === this.id && one.editing === slot)
      .map(([, one]) => one.name);
  }
}
