/**
 * The page's course: join, be in the room, come back after a lost connection, leave.
 *
 * `window.roomState` shows the state, read-only, to tests and to whoever looks into a problem:
 * `id`, `connection`, `muted`, `participants`, `meeting` (what the server last said of the interpreter), `attestations`
 * (how many signed records came, see `AttestationReader`), `stats()` (see `Call.stats`).
 */

import { HostCard } from "./host.js";
import { HostKey } from "./host_key.js";
import { InterpreterCards } from "./interpreter.js";
import { Call, LevelMeasure, MicrophoneError, listMicrophones, microphoneIsAllowed, openMicrophone } from "./media.js";
import { Signalling, backoffMs } from "./signalling.js";
import { View, element } from "./view.js";

const LEVEL_INTERVAL_MS = 66;
const roomPath = location.pathname.replace(/\/$/, "");
/** Ends after which coming back by itself would be wrong or useless; the others lead to a new attempt. */
const FINAL_ENDS = { "room-full": "roomFull", "unknown-room": "unknownRoom", removed: "removed" };
const MICROPHONE_PROBLEMS = ["microphoneDenied", "microphoneMissing", "microphoneBusy", "microphoneLost"];

class Page {
  constructor() {
    this.view = new View();
    this.interpreter = new InterpreterCards(this.view, (id, name, args) =>
      this.signalling?.send("command", { id, name, arguments: args }),
    );
    this.host = new HostCard(this.view, this.interpreter);
    this.hostKey = new HostKey(roomPath);
    /** "outside", "joining", "connecting", "connected", "unstable", "reconnecting" or "ended" */
    this.connection = "outside";
    this.id = "";
    this.name = "";
    this.language = "";
    this.muted = false;
    /** @type {Map<string, import("./view.js").Person>} */
    this.participants = new Map();
    /** @type {MediaStream | null} */
    this.microphone = null;
    this.measure = null;
    this.signalling = null;
    this.call = null;
    /** Whether sound was connected since the person joined: from then on a failure is temporary. */
    this.wasConnected = false;
    this.attempts = 0;
    this.retry = 0;
    /** What the person wants of the interpreter before they are in the room, see `InterpreterCards.restore`. */
    this.wish = {};
    this.listen();
  }

  /** Wires the controls. */
  listen() {
    element("join-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.join();
    });
    element("allow-microphone").addEventListener("click", () => this.useMicrophone(""));
    for (const select of document.querySelectorAll("select.microphones")) {
      select.addEventListener("change", () => this.useMicrophone(select.value));
    }
    element("mute").addEventListener("click", () => this.mute(!this.muted));
    element("mute-key").addEventListener("change", (event) => this.allowMuteKey(event.target.checked));
    element("room-language").addEventListener("change", (event) => this.changeLanguage(event.target.value));
    element("leave").addEventListener("click", () => this.leave());
    element("copy-link").addEventListener("click", () => this.copyLink());
    document.addEventListener("keydown", (event) => this.muteByKey(event));
    navigator.mediaDevices?.addEventListener("devicechange", () => this.refreshMicrophones());
    setInterval(() => this.showLevel(), LEVEL_INTERVAL_MS);
    for (const gesture of ["pointerdown", "keydown"]) {
      document.addEventListener(gesture, () => this.measure?.resume());
    }
    window.addEventListener("hashchange", () => this.takeHostKey());
    window.addEventListener("pagehide", () => this.signalling?.send("leave"));
  }

  /** Shows the join form, or why there is none. */
  async start() {
    const facts = await this.roomFacts();
    if (facts === "unknown") return this.end("unknownRoom", "", null);
    if (facts === null) {
      return this.end("serverGone", "", { label: "tryAgain", act: () => this.start() });
    }
    this.view.describeRoom(facts.room, facts.languages, facts.stored);
    this.showHostKey();
    this.allowMuteKey(element("mute-key").checked);
    this.connection = "outside";
    this.view.microphoneIsOpen(this.microphone !== null);
    this.view.show("join");
    if (!navigator.mediaDevices) this.view.problem("join", "insecure");
    else if (await microphoneIsAllowed()) await this.useMicrophone("");
  }

  async roomFacts() {
    try {
      const response = await fetch(`${roomPath}/room.json`);
      if (response.status === 404) return "unknown";
      return response.ok ? await response.json() : null;
    } catch {
      return null; // fetch fails like this when nobody answers
    }
  }

  /** Opens a microphone in place of the one in use; false when that failed, which has been said. */
  async useMicrophone(deviceId) {
    const where = this.connection === "outside" || this.connection === "joining" ? "join" : "room";
    try {
      const stream = await openMicrophone(deviceId);
      this.stopMicrophone();
      await this.takeMicrophone(stream);
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      const act = () => this.useMicrophone(deviceId);
      this.view.problem(where, error.code, where === "room" ? { label: "tryAgain", act } : undefined);
      return false;
    }
    this.view.solved(where, ...MICROPHONE_PROBLEMS);
    return true;
  }

  /** @param {MediaStream} stream */
  async takeMicrophone(stream) {
    const [track] = stream.getAudioTracks();
    track.enabled = !this.muted;
    track.addEventListener("ended", () => this.microphoneLost());
    this.microphone = stream;
    this.measure = new LevelMeasure(stream);
    this.view.microphoneIsOpen(true);
    await this.refreshMicrophones();
    await this.call?.replaceTrack(track);
  }

  stopMicrophone() {
    this.microphone?.getTracks().forEach((track) => track.stop()); // stopping fires no "ended"
    this.measure?.stop();
    this.microphone = this.measure = null;
  }

  microphoneLost() {
    this.stopMicrophone();
    const where = this.connection === "outside" ? "join" : "room";
    this.view.problem(where, "microphoneLost", { label: "tryAgain", act: () => this.useMicrophone("") });
  }

  async refreshMicrophones() {
    const chosen = this.microphone?.getAudioTracks()[0].getSettings().deviceId ?? "";
    this.view.listMicrophones(await listMicrophones(), chosen);
  }

  showLevel() {
    const meter = element("room-view").hidden ? this.view.joinLevel : this.view.roomLevel;
    if (this.measure !== null) meter.show(this.measure.measure(), this.muted, performance.now());
  }

  async join() {
    if (this.connection === "joining") return;
    this.name = element("name").value.trim();
    this.language = element("language").value;
    this.view.nameProblem(this.name === "");
    if (this.name === "") return;
    this.connection = "joining";
    this.view.joining(true);
    if (this.microphone === null && !(await this.useMicrophone(""))) return this.notJoined();
    this.view.solved("join");
    this.wish = { opted_out: !element("join-listen").checked };
    this.connect();
  }

  /** Back to the form, which says why. */
  notJoined(code) {
    this.disconnect();
    this.connection = "outside";
    this.view.joining(false);
    if (code !== undefined) this.view.problem("join", code);
    element("join").focus();
  }

  /** One attempt to get into the room. */
  connect() {
    this.signalling = new Signalling(
      roomPath,
      () => this.sendJoin(),
      (message) => this.receive(message),
      () => this.lost("serverLost"),
    );
  }

  sendJoin() {
    const key = this.hostKey.value ? { host_key: this.hostKey.value } : {};
    this.signalling.send("join", { name: this.name, language: this.language, ...key });
  }

  showHostKey() {
    element("join-host").hidden = !this.hostKey.value;
  }

  /** A host's link was opened in the tab of the room: who is in the room already comes in again, as a host. */
  takeHostKey() {
    if (!this.hostKey.take()) return;
    this.showHostKey();
    if (!["connecting", "connected", "unstable"].includes(this.connection)) return;
    this.wish = this.interpreter.wish() ?? this.wish;
    this.signalling.send("leave");
    this.disconnect();
    this.connection = "reconnecting";
    this.view.connection("reconnecting");
    this.connect();
  }

  /** The page goes on as a participant's. */
  wrongHostKey() {
    this.hostKey.forget();
    this.showHostKey();
    if (this.connection === "joining") return this.notJoined("wrongHostKey");
    this.sendJoin();
    this.view.problem("room", "noLongerHost");
  }

  disconnect() {
    clearTimeout(this.retry);
    this.signalling?.close();
    this.call?.close();
    this.signalling = this.call = null;
    this.participants.clear();
    this.interpreter.disconnected();
    this.host.disconnected();
  }

  receive(message) {
    switch (message.type) {
      case "welcome": return this.welcome(message);
      case "answer": return this.call.accept(message.sdp);
      case "joined": return this.personJoined(message.participant);
      case "changed": return this.personChanged(message.participant);
      case "muted": return this.showPerson({ ...this.participants.get(message.id), muted: message.muted });
      case "left": return this.personLeft(message.id);
      case "levels": return this.view.levels(message.dbfs, message.speaking);
      case "caption": return this.view.caption(message);
      case "notice": return this.view.notice(message);
      case "state": return this.interpreter.receive(message);
      case "replied": return this.interpreter.replied(message);
      case "error": return this.refused(message);
      case "closed": return this.closed(message);
    }
  }

  async welcome(message) {
    const firstTime = this.connection === "joining";
    this.id = message.id;
    this.connection = "connecting";
    this.view.emptyRoster();
    this.view.emptyNotices();
    message.participants.forEach((person) => this.showPerson(person));
    this.view.connection("connecting");
    this.view.muted(this.muted);
    if (this.muted) this.signalling.send("mute", { muted: true });
    this.host.welcome(message.standing === "host");
    this.interpreter.restore(this.wish);
    if (firstTime) {
      element("room-language").value = this.language;
      this.view.joining(false);
      this.view.show("room");
    }
    await this.startCall(message.ice_servers);
  }

  async startCall(iceServers) {
    const track = this.microphone?.getAudioTracks()[0] ?? null; // none while a lost microphone is not replaced
    const call = new Call(iceServers, track, {
      onState: (state) => this.callState(state),
      onStream: (stream) => this.play(stream),
      onAttestation: (line) => this.interpreter.records.add(line),
    });
    this.call = call;
    const sdp = await call.offer();
    if (this.call === call) this.signalling.send("offer", { sdp }); // otherwise the connection was lost meanwhile
  }

  callState(state) {
    if (state === "failed") return this.callFailed();
    this.connection = state;
    this.view.connection(state);
    if (state !== "connected") return;
    this.wasConnected = true;
    this.attempts = 0;
    this.view.solved("room", "serverLost", "serverClosing");
  }

  /** A call that had been made is made again; one that never was is explained. */
  callFailed() {
    if (this.wasConnected) this.lost("serverLost");
    else this.end("connectionFailed", "", { label: "tryAgain", act: () => this.start() });
  }

  async play(stream) {
    const audio = element("remote-audio");
    audio.srcObject = stream;
    await this.startSound();
  }

  /** Plays, or offers a button where the browser wants a click first. */
  async startSound() {
    try {
      await element("remote-audio").play();
      this.view.solved("room", "soundBlocked");
    } catch (error) {
      if (error.name === "AbortError") return; // replaced by the next connection's stream
      this.view.problem("room", "soundBlocked", { label: "startSound", act: () => this.startSound() });
    }
  }

  showPerson(person) {
    this.participants.set(person.id, person);
    this.view.showPerson(person, person.id === this.id);
    this.interpreter.showPeople();
  }

  personChanged(person) {
    this.showPerson(person);
    if (person.id !== this.id) return;
    this.language = element("room-language").value = person.language;
    this.view.announce("languageChanged", { language: this.interpreter.languageName(person.language) });
  }

  personJoined(person) {
    this.showPerson(person);
    if (person.id !== this.id) this.view.announce("personJoined", { name: person.name });
  }

  personLeft(id) {
    const person = this.participants.get(id);
    this.participants.delete(id);
    this.view.removePerson(id);
    if (person !== undefined) this.view.announce("personLeft", { name: person.name });
  }

  /** The server did not accept a message; only a refused offer leaves the page without sound. */
  refused({ code, message }) {
    console.warn(`the server refused a message: ${code}: ${message}`);
    if (code === "bad-sdp") this.callFailed();
    else if (code === "wrong-host-key") this.wrongHostKey();
    else if (this.connection === "joining") this.notJoined("connectionFailed");
  }

  /** The server's last message. */
  closed({ code, message }) {
    const end = FINAL_ENDS[code];
    if (end === undefined) {
      if (code === "server-closing") this.lost("serverClosing");
      else this.callFailed();
    } else if (this.connection === "joining" && end === "roomFull") this.notJoined("roomFull");
    else if (end === "unknownRoom") this.end(end, "", null);
    else if (end === "removed") this.end(end, message, { label: "joinAgain", act: () => this.start() });
    else this.end(end, "", { label: "tryAgain", act: () => this.start() });
  }

  /** The connection is gone: comes back by itself, later and later, with the same name and language. */
  lost(code) {
    if (this.connection === "joining") return this.notJoined("serverGone");
    const wait = backoffMs(this.attempts);
    this.wish = this.interpreter.wish() ?? this.wish;
    const isNews = this.connection !== "reconnecting";
    this.disconnect();
    this.attempts += 1;
    this.connection = "reconnecting";
    this.view.emptyRoster();
    this.retry = setTimeout(() => this.connect(), wait);
    if (!isNews) return;
    this.view.connection("reconnecting");
    this.view.problem("room", code, { label: "tryNow", act: () => this.tryNow() });
  }

  tryNow() {
    clearTimeout(this.retry);
    this.disconnect();
    this.connect();
  }

  mute(muted) {
    this.muted = muted;
    this.microphone?.getAudioTracks().forEach((track) => (track.enabled = !muted));
    this.signalling?.send("mute", { muted });
    this.view.muted(muted);
    this.view.announce(muted ? "microphoneOff" : "microphoneOn");
  }

  /** A single-character shortcut, which may be switched off (WCAG 2.1.4). */
  muteByKey(event) {
    const typing = event.target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]");
    const held = event.ctrlKey || event.altKey || event.metaKey || event.repeat;
    if (element("room-view").hidden || typing || held || event.key.toLowerCase() !== "m") return;
    if (element("mute-key").checked) this.mute(!this.muted);
  }

  allowMuteKey(allowed) {
    if (allowed) element("mute").setAttribute("aria-keyshortcuts", "M");
    else element("mute").removeAttribute("aria-keyshortcuts");
  }

  changeLanguage(language) {
    this.language = language;
    this.signalling?.send("language", { language });
  }

  async copyLink() {
    try {
      await navigator.clipboard.writeText(location.origin + roomPath);
      this.view.toast("linkCopied");
    } catch {
      this.view.toast("linkNotCopied");
    }
  }

  leave() {
    this.signalling?.send("leave");
    this.end("left", "", { label: "joinAgain", act: () => this.start() });
  }

  end(code, detail, action) {
    this.disconnect();
    this.stopMicrophone();
    this.connection = "ended";
    this.muted = this.wasConnected = false;
    this.attempts = 0;
    this.view.solved("room");
    this.view.emptyCaptions();
    this.interpreter.left();
    this.view.joining(false);
    this.view.end(code, detail, action);
  }
}

const page = new Page();
Object.defineProperty(window, "roomState", {
  value: Object.freeze({
    get id() { return page.id; },
    get connection() { return page.connection; },
    get muted() { return page.muted; },
    get participants() { return Array.from(page.participants.values(), (person) => ({ ...person })); },
    get meeting() { return page.interpreter.state; },
    get attestations() {
      const { received, checked, wrong, gaps } = page.interpreter.records;
      return { received, checked, wrong, gaps };
    },
    stats: () => page.call?.stats() ?? Promise.resolve([]),
  }),
});
page.start();
