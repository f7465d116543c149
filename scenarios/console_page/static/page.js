/** The console's page of scenarios: choose some, replay them, read how it went, save the reports. */

import { button, download, field, h, keyed, setOptions, setShown, setText } from "/static/dom.js";
import { timeOfDay } from "/static/strings.js";

const SENTENCES = {
  en: {
    title: "Scenarios",
    about: "Dialogues with known words and times, replayed through a whole meeting of their own in a process of their own. Results say what the interpreter did, not what these people said here.",
    filter: "Only those with",
    all: "everything",
    engine: "Interpreted by",
    scripted: "one that knows the dialogue",
    choose: "Choose {count} shown",
    run: "Replay {count}",
    stop: "Stop",
    adminOnly: "Only an admin starts a replay: it takes processors from meetings.",
    runs: "Replays",
    none: "None since the interpreter was started.",
    running: "running: {done} of {asked}",
    ended: "done: {passed} passed, {failed} failed, {invalid} said nothing",
    stopped: "stopped after {done} of {asked}",
    failed: "failed after {done} of {asked}",
    saveAll: "Save the report of all",
    save: "Save the report",
    by: "{time}, {name}, {engine}",
    notSaved: "The report could not be read.",
    catches: "catches {fault}",
    passedOne: "passed",
    failedOne: "failed",
    invalidOne: "says nothing",
  },
  es: {
    title: "Escenarios",
    about: "Diálogos de palabras y tiempos conocidos, que se reproducen en una reunión entera y en un proceso aparte. Los resultados dicen lo que hizo el intérprete, no lo que aquí dijeron estas personas.",
    filter: "Solo los que tienen",
    all: "todo",
    engine: "Interpretado por",
    scripted: "uno que conoce el diálogo",
    choose: "Elegir los {count} visibles",
    run: "Reproducir {count}",
    stop: "Parar",
    adminOnly: "Solo un administrador inicia una reproducción: quita procesador a las reuniones.",
    runs: "Reproducciones",
    none: "Ninguna desde que se inició el intérprete.",
    running: "en marcha: {done} de {asked}",
    ended: "hecho: {passed} bien, {failed} mal, {invalid} sin valor",
    stopped: "parada tras {done} de {asked}",
    failed: "fallida tras {done} de {asked}",
    saveAll: "Guardar el informe de todo",
    save: "Guardar el informe",
    by: "{time}, {name}, {engine}",
    notSaved: "No se pudo leer el informe.",
    catches: "detecta {fault}",
    passedOne: "bien",
    failedOne: "mal",
    invalidOne: "sin valor",
  },
};

class ScenariosPage extends HTMLElement {
  connectedCallback() {
    if (this.chosen) return;
    this.words = SENTENCES[this.console.language] ?? SENTENCES.en;
    this.chosen = new Set();
    this.filter = h("select", { onchange: () => this.draw() });
    this.engine = h("select");
    this.all = button("", () => this.chooseShown());
    this.run = button("", () => this.begin(), "primary");
    this.stop = button(this.t("stop"), () => this.console.request("POST", "/api/pages/scenarios/stop", { arguments: {} }).then((reply) => this.told(reply)), "danger");
    this.answer = h("p", { class: "hint", role: "status" });
    this.list = h("ul", { class: "scenario-list" });
    this.runs = h("ol", { class: "runs" });
    this.none = h("p", { class: "hint", text: this.t("none") });
    const admin = this.console.standing === "admin";
    setShown(this.run, admin);
    setShown(this.stop, false);
    this.append(
      h("h1", { tabIndex: -1, text: this.t("title") }),
      h("p", { class: "hint", text: this.t("about") }),
      h(
        "section",
        { class: "card" },
        h("div", { class: "choices" }, field(this.t("filter"), this.filter), field(this.t("engine"), this.engine)),
        h("div", { class: "row" }, this.all, this.run, this.stop),
        admin ? null : h("p", { class: "hint", text: this.t("adminOnly") }),
        this.answer,
        h("div", { class: "scenario-frame", tabIndex: 0, role: "region", "aria-label": this.t("title") }, this.list),
      ),
      h("section", { class: "card" }, h("h2", { text: this.t("runs") }), this.none, this.runs),
      h("link", { rel: "stylesheet", href: "/pages/scenarios/page.css" }),
    );
    this.className = "scenarios";
    this.console.follow("page/scenarios", (state) => {
      this.state = state;
      this.draw();
    });
  }

  /** @param {string} key @param {Record<string, any>} [values] */
  t(key, values = {}) {
    return this.words[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
  }

  shown() {
    const tag = this.filter.value;
    return Object.entries(this.state.scenarios).filter(([, one]) => !tag || one.tags.includes(tag));
  }

  chooseShown() {
    for (const [id] of this.shown()) this.chosen.add(id);
    this.draw();
  }

  async begin() {
    const body = { arguments: { scenarios: [...this.chosen], engine: this.engine.value } };
    this.told(await this.console.request("POST", "/api/pages/scenarios/run", body));
  }

  told(reply) {
    setText(this.answer, reply.text ?? "");
  }

  draw() {
    const { state } = this;
    if (!state) return;
    const tags = [...new Set(Object.values(state.scenarios).flatMap((one) => one.tags))].sort();
    setOptions(this.filter, [["", this.t("all")], ...tags.map((tag) => [tag, tag])], this.filter.value);
    const engines = state.engines.map((one) => [one, one === "scripted" ? this.t("scripted") : one]);
    setOptions(this.engine, engines, this.engine.value || state.engines[0]);
    const shown = this.shown();
    setText(this.all, this.t("choose", { count: shown.length }));
    setText(this.run, this.t("run", { count: this.chosen.size }));
    this.run.disabled = this.chosen.size === 0;
    keyed(this.list, shown, (id) => this.made(id), (item, one) => this.drawScenario(item, one));
    const runs = Object.entries(state.runs).reverse();
    setShown(this.none, runs.length === 0);
    setShown(this.stop, this.console.standing === "admin" && runs.some(([, run]) => run.status === "running"));
    keyed(this.runs, runs, () => h("li", { class: "run-card" }), (item, run, number) => this.drawRun(item, run, number));
  }

  /** @param {string} id */
  made(id) {
    const box = h("input", { type: "checkbox", onchange: () => this.toggle(id, box.checked) });
    return h("li", {}, h("label", { class: "check" }, box, h("span", {})));
  }

  toggle(id, on) {
    if (on) this.chosen.add(id);
    else this.chosen.delete(id);
    this.draw();
  }

  drawScenario(item, one) {
    const [box, words] = item.firstElementChild.children;
    box.checked = this.chosen.has(item.key);
    setText(words, `${item.key}: ${one.title}${one.catches ? ` (${this.t("catches", { fault: one.catches.replaceAll("_", " ") })})` : ""}`);
  }

  drawRun(item, run, number) {
    const drawn = JSON.stringify(run);
    if (item.drawn === drawn) return;
    item.drawn = drawn;
    const results = Object.entries(run.results);
    const count = (what) => results.filter(([, result]) => result === what).length;
    const values = { done: results.length, asked: run.asked, passed: count("passed"), failed: count("failed"), invalid: count("invalid") };
    item.replaceChildren(
      h("p", {}, h("strong", { text: this.t(run.status, values) }), ` – ${this.t("by", { time: timeOfDay(run.began_at), name: run.by, engine: run.engine })}`),
      ...(run.status === "running" || run.status === "failed" ? [h("p", { class: "hint", text: run.words })] : []),
      ...(run.has_index ? [button(this.t("saveAll"), () => this.save(`${number}/index.html`, `scenarios-${number}.html`))] : []),
      h(
        "ul",
        {},
        ...results.map(([id, result]) =>
          h("li", { class: "row" }, h("span", { class: `badge ${result === "passed" ? "speaking" : "alert"}`, text: this.t(`${result}One`) }), id, button(this.t("save"), () => this.save(`${number}/${id}/report.html`, `${id}.html`))),
        ),
      ),
    );
  }

  /** A report is a page of its own, with scripts that this page's rules would forbid: it is saved, and opened from there. */
  async save(path, name) {
    const blob = await this.console.file(`/api/pages/scenarios/files/${path}`);
    if (blob) download(name, blob);
    else setText(this.answer, this.t("notSaved"));
  }
}

customElements.define("scenarios-page", ScenariosPage);
