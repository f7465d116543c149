/**
 * The connection to the interpreter: tickets, one WebSocket, topics, commands and their answers.
 *
 * Events: `state` (`this.state` is another), `topic` (detail: its name), `levels` (detail), `told` (detail: a sentence).
 */

import { Topics } from "./store.js";

const SUBPROTOCOL = "interpreter.console.1";
const STALE_MS = 2000;
const RETRY_MS = [500, 1000, 2000, 4000, 5000];
const ANSWER_MS = 10000;

/** @typedef {{accepted: boolean, code: string, text: string, language?: string, revision?: number, result?: any}} Reply */
/** @typedef {"signed-out" | "refused" | "connecting" | "live" | "stale"} LinkState */

export class Link extends EventTarget {
  constructor() {
    super();
    /** @type {LinkState} */
    this.state = "signed-out";
    this.topics = new Topics();
    /** @type {{id: string, name: string, standing: string} | null} */
    this.you = null;
    /** @type {Map<string, any>} */
    this.commands = new Map();
    /** @type {string | null} */
    this.room = null;
    this.language = "en";
    this.token = "";
    /** @type {WebSocket | null} */
    this.socket = null;
    this.attempt = 0;
    this.generation = 0;
    this.number = 0;
    /** @type {Map<string, (reply: Reply) => void>} */
    this.waiting = new Map();
    this.followed = new Set();
    this.staleTimer = 0;
    this.retryTimer = 0;
  }

  /** @param {string} token */
  signIn(token) {
    this.signOut();
    this.token = token;
    this.enter("connecting");
    this.connect(++this.generation);
  }

  signOut() {
    this.generation += 1;
    clearTimeout(this.retryTimer);
    this.drop();
    this.token = "";
    this.you = null;
    this.topics = new Topics(); // what a meeting said is not left behind
    this.attempt = 0;
    this.enter("signed-out");
  }

  /** Whether what is shown is what is so, and may be changed. */
  get live() {
    return this.state === "live";
  }

  /** @param {string} command - whether whoever is signed in may give it at all. */
  can(command) {
    return this.commands.has(command);
  }

  /** @param {string | null} room */
  watch(room) {
    if (this.room === room) return;
    if (this.room) for (const topic of [`room/${this.room}`, `notes/${this.room}`]) this.topics.gone(topic);
    this.room = room;
    this.send({ type: "watch", room });
  }

  /** Follows a further topic, also over new connections. @param {string} topic */
  follow(topic) {
    this.followed.add(topic);
    this.send({ type: "sync", topic });
  }

  /** In which language answers come. @param {string} tag */
  speak(tag) {
    this.language = tag;
    this.send({ type: "language", tag });
  }

  /** @param {string} room @param {string} slot */
  editing(room, slot) {
    this.send({ type: "editing", room, slot });
  }

  /**
   * Gives a command.
   *
   * @param {string | null} room
   * @param {string} name
   * @param {Record<string, any>} [args]
   * @param {number} [expect] - revision of the room when the operator began to choose.
   * @returns {Promise<Reply>}
   */
  command(room, name, args = {}, expect = undefined) {
    const message = { type: "command", name, arguments: args };
    return this.ask({ ...message, ...(room ? { room } : {}), ...(expect === undefined ? {} : { expect }) });
  }

  /** @param {string} room @param {{name: string, arguments: Record<string, any>}[]} commands @param {number} expect */
  apply(room, commands, expect) {
    return this.ask({ type: "apply", room, commands, expect });
  }

  /** STOP: over the socket where it lives, else by a request of its own; it never waits for a connection. @param {string} room */
  async halt(room) {
    if (this.live) return this.command(room, "halt");
    return this.request("POST", `/api/rooms/${room}/commands/halt`, { arguments: {} });
  }

  /** @param {string} method @param {string} path @param {any} [body] @returns {Promise<any>} the answer, or a refusal like a reply. */
  async request(method, path, body = undefined) {
    try {
      const response = await fetch(path, {
        method,
        headers: {
          Authorization: `Bearer ${this.token}`,
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
      });
      return await response.json();
    } catch {
      return lost();
    }
  }

  /** A file that is only for whoever has a token. @param {string} path @returns {Promise<Blob | null>} */
  async file(path) {
    try {
      const response = await fetch(path, { headers: { Authorization: `Bearer ${this.token}` }, cache: "no-store" });
      return response.ok ? await response.blob() : null;
    } catch {
      return null;
    }
  }

  /** @param {any} message @returns {Promise<Reply>} */
  ask(message) {
    if (!this.live) return Promise.resolve(lost());
    const id = `q${++this.number}`;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answer(id, lost()), ANSWER_MS);
      this.waiting.set(id, (reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      this.send({ ...message, id });
    });
  }

  /** @param {string} id @param {Reply} reply */
  answer(id, reply) {
    this.waiting.get(id)?.(reply);
    this.waiting.delete(id);
  }

  /** @param {any} message */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** @param {LinkState} state */
  enter(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  /** @param {number} generation */
  async connect(generation) {
    const outcome = await ticketFor(this.token);
    if (generation !== this.generation) return;
    if (outcome.refused) {
      this.token = "";
      this.topics = new Topics();
      this.enter("refused");
      return;
    }
    if (!outcome.ticket) {
      this.again(generation);
      return;
    }
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/socket`, [SUBPROTOCOL, `ticket.${outcome.ticket}`]);
    this.socket = socket;
    socket.addEventListener("message", (event) => {
      if (this.socket === socket) this.receive(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => {
      if (this.socket !== socket) return;
      this.drop();
      this.enter("stale");
      this.again(generation);
    });
  }

  /** @param {number} generation */
  again(generation) {
    if (this.you) this.enter("stale");
    const wait = RETRY_MS[Math.min(this.attempt++, RETRY_MS.length - 1)];
    this.retryTimer = setTimeout(() => this.connect(generation), wait);
  }

  drop() {
    clearTimeout(this.staleTimer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    for (const id of [...this.waiting.keys()]) this.answer(id, lost());
  }

  /** @param {any} message */
  receive(message) {
    switch (message.type) {
      case "welcome":
        this.you = message.you;
        this.commands = new Map(message.commands.map((/** @type {any} */ one) => [one.name, one]));
        this.attempt = 0;
        this.beat();
        this.enter("live");
        this.speak(this.language);
        if (this.room) this.send({ type: "watch", room: this.room });
        for (const topic of this.followed) this.send({ type: "sync", topic });
        break;
      case "snapshot":
        this.topics.snapshot(message);
        this.changed(message.topic);
        break;
      case "delta":
        if (this.topics.delta(message)) this.send({ type: "sync", topic: message.topic });
        else this.changed(message.topic);
        break;
      case "gone":
        this.topics.gone(message.topic);
        this.changed(message.topic);
        break;
      case "heartbeat":
        this.beat();
        this.enter("live");
        for (const topic of this.topics.behind(message.topics)) this.send({ type: "sync", topic });
        break;
      case "levels":
        if (message.room === this.room) this.dispatchEvent(new CustomEvent("levels", { detail: message.levels }));
        break;
      case "reply":
        this.answer(message.id, message);
        break;
      case "error":
      case "closed":
        this.dispatchEvent(new CustomEvent("told", { detail: message }));
        break;
    }
  }

  beat() {
    clearTimeout(this.staleTimer);
    this.staleTimer = setTimeout(() => this.enter("stale"), STALE_MS);
  }

  /** @param {string} topic */
  changed(topic) {
    this.dispatchEvent(new CustomEvent("topic", { detail: topic }));
  }
}

/** @returns {Reply} what a page is told that cannot reach the interpreter. */
const lost = () => ({ accepted: false, code: "not-connected", text: "" });

/** @param {string} token @returns {Promise<{ticket?: string, refused?: boolean}>} */
async function ticketFor(token) {
  try {
    const response = await fetch("/api/tickets", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
    if (response.status === 401) return { refused: true };
    return response.ok ? { ticket: (await response.json()).ticket } : {};
  } catch {
    return {};
  }
}
