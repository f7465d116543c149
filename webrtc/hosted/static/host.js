/**
 * The host's card: what is asked of the interpreter for everybody. Shown to hosts alone; the server checks all the same.
 *
 * As in the other cards, what holds is what the server last said.
 */

import { sentence } from "./strings.js";
import { element } from "./view.js";

/** Buttons, and the commands whose answer each waits for. */
const BUTTONS = {
  "host-pause": ["pause", "resume"],
  "host-slower": ["slower"],
  "host-stop": ["stop", "start"],
  "host-start": ["stop", "start"],
  "host-mode-set": ["mode"],
  "host-role-set": ["role"],
  "host-human": ["handover", "handback"],
  "host-close": ["close"],
};
const MODES = { simultaneous: "simultaneous", consecutive: "consecutive", captions: "captionsOnly" };
const EVERYBODY = { participant: "all" };

/** Asks once more before something that everybody notices; Escape and `Cancel` take it back. */
class Confirmation {
  /** @param {import("./view.js").View} view */
  constructor(view) {
    this.view = view;
    this.dialog = element("confirm");
    this.act = () => {};
    element("confirm-no").addEventListener("click", () => this.dialog.close());
    element("confirm-yes").addEventListener("click", () => {
      this.dialog.close();
      this.act();
    });
  }

  /** @param {string} stem - of the action's sentence, and of `...Title` and `...Text`. @param {() => void} act */
  ask(stem, act) {
    this.act = act;
    this.view.say(element("confirm-title"), `${stem}Title`);
    this.view.say(element("confirm-text"), `${stem}Text`);
    this.view.say(element("confirm-yes"), stem);
    this.dialog.showModal();
    element("confirm-no").focus();
  }

  close() {
    this.dialog.close();
  }
}

/** A select whose choice is asked for by a button: walking through it by keyboard changes nothing for anybody. */
class Choice {
  /** @param {string} id - of the select. */
  constructor(id) {
    this.select = element(id);
    /** Somebody has chosen, and not asked for it yet. */
    this.open = false;
    this.select.addEventListener("change", () => (this.open = true));
  }

  /** @param {[string, string][]} options - value and words. @param {string} current */
  show(options, current) {
    const value = this.open ? this.select.value : current;
    const offered = options.some(([name]) => name === value) ? options : [...options, [value, value]];
    if (JSON.stringify(offered) !== this.select.dataset.offered) {
      this.select.dataset.offered = JSON.stringify(offered); // made anew, an open list would close
      this.select.replaceChildren(...offered.map(([name, words]) => new Option(words, name)));
    }
    this.select.value = value;
  }
}

export class HostCard {
  /**
   * @param {import("./view.js").View} view
   * @param {import("./interpreter.js").InterpreterCards} interpreter
   */
  constructor(view, interpreter) {
    this.view = view;
    this.interpreter = interpreter;
    /** This person is a host. */
    this.leads = false;
    this.mode = new Choice("host-mode");
    this.role = new Choice("host-role");
    this.confirmation = new Confirmation(view);
    this.listen();
  }

  listen() {
    this.onClick("host-pause", () => this.ask(this.state.paused ? "resume" : "pause"));
    this.onClick("host-slower", () => this.ask("slower"));
    this.onClick("host-stop", () => this.ask("stop", EVERYBODY));
    this.onClick("host-start", () => this.ask("start", EVERYBODY));
    this.onClick("host-mode-set", () => this.choose(this.mode, "mode", "mode"));
    this.onClick("host-role-set", () => this.choose(this.role, "role", "name"));
    this.onClick("host-human", () => this.handOver());
    this.onClick("host-close", () => this.confirmation.ask("closing", () => this.ask("close")));
    this.interpreter.onShown = () => this.show();
  }

  onClick(id, act) {
    element(id).addEventListener("click", () => {
      if (element(id).getAttribute("aria-disabled") !== "true") act();
    });
  }

  get state() {
    return this.interpreter.state;
  }

  /** @param {boolean} leads */
  welcome(leads) {
    this.leads = leads;
    this.show();
  }

  /** The connection is gone: a question would be about a state that may no longer hold. */
  disconnected() {
    this.confirmation.close();
    this.mode.open = this.role.open = false;
  }

  ask(name, args = {}) {
    this.interpreter.askOnce(name, args, "host-reply");
  }

  handOver() {
    if (this.state.human_present) this.ask("handback");
    else this.confirmation.ask("handover", () => this.ask("handover"));
  }

  choose(choice, name, argument) {
    choice.open = false;
    this.ask(name, { [argument]: choice.select.value });
  }

  /** Shows what holds. */
  show() {
    element("host").hidden = !this.leads || this.state === null;
    if (element("host").hidden) return;
    const { paused, human_present, closed, mode, role, choices } = this.state;
    this.view.say(element("host-pause"), paused ? "resume" : "pause");
    this.view.say(element("host-human"), human_present ? "handback" : "handover");
    if (!this.interpreter.isWaiting("mode")) this.mode.show(this.modes(), mode);
    if (!this.interpreter.isWaiting("role")) this.role.show(choices.map((one) => this.roleOption(one)), role);
    this.showClosed(closed);
    this.showBusy();
  }

  modes() {
    return Object.entries(MODES).map(([name, key]) => [name, sentence(this.view.pageLanguage, key)]);
  }

  roleOption({ name, titles, voice }) {
    const language = this.view.pageLanguage;
    const title = titles[language] ?? titles.en;
    return [name, voice ? sentence(language, "roleVoice", { title, voice }) : title];
  }

  /** After the end of the interpretation there is nothing left to lead; the focus must not be lost with the controls. */
  showClosed(closed) {
    const controls = element("host-controls");
    const hadFocus = controls.contains(document.activeElement);
    controls.hidden = closed;
    element("host-ended").hidden = !closed;
    if (closed && hadFocus) element("host-title").focus();
  }

  showBusy() {
    for (const [id, names] of Object.entries(BUTTONS)) {
      element(id).setAttribute("aria-disabled", String(this.interpreter.isWaiting(...names)));
    }
  }
}
