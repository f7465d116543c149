/** The last two minutes as lanes on a canvas: people, renderings, overlaps, and where a rendering gave way. */

import { h, keyed, setShown, setText } from "./dom.js";
import { clock, languageName, t } from "./strings.js";
import { SHOWN_S, overlapsOf, turnsOf, wordsAt } from "./turns.js";

const LANE_PX = 26;
const NAMES_PX = 132;
const AXIS_PX = 20;
/** Drawn no oftener: what moves by the second needs no more. */
const DRAW_MS = 200;
const STEP_S = 1;
const SIGNS = { ducked: "▾", restored: "▴", cut: "✕", goes_on: "▸", lost: "…", pause_wanted: "‖", full: "!" };

export class TurnTimeline extends HTMLElement {
  /** @param {import("./desk.js").Desk} desk */
  begin(desk) {
    this.desk = desk;
    this.className = "card";
    this.at_s = 0;
    this.heardAt = performance.now();
    this.drawn = 0;
    this.visible = true;
    this.cursor = null;
    this.canvas = h("canvas", {
      tabIndex: 0,
      role: "img",
      "aria-label": `${t("timeline")}. ${t("timelineHint")}`,
      onclick: (/** @type {MouseEvent} */ event) => this.pick(event),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
    });
    this.found = h("p", { class: "found", role: "status" });
    this.list = h("ol");
    this.details = h("details", { ontoggle: () => this.showList() }, h("summary", { text: t("timelineList") }), h("div", { class: "log", tabIndex: 0, role: "region", "aria-label": t("timelineList") }, this.list));
    this.append(h("h2", { text: t("timeline") }), h("p", { class: "hint", text: t("timelineHint") }), this.canvas, this.found, this.details);
    const seen = (/** @type {IntersectionObserverEntry[]} */ [entry]) => {
      this.visible = entry.isIntersecting;
      if (this.visible) this.draw();
    };
    this.observer = new IntersectionObserver(seen, { rootMargin: "50%" });
    this.observer.observe(this.canvas);
  }

  disconnectedCallback() {
    this.observer?.disconnect();
  }

  /** @param {any} room */
  show(room) {
    const same = this.room?.timeline === room.timeline && this.room?.people === room.people && this.room?.directions === room.directions;
    this.room = room;
    if (same) return;
    const lanes = [
      ...Object.entries(room.people).map(([id, person]) => ({ lane: id, name: person.name, kind: "person" })),
      ...Object.entries(room.directions).map(([key, one]) => ({
        lane: key,
        name: `→ ${languageName(one.language_out)}: ${room.people[one.speaker]?.name ?? ""}`,
        kind: "rendering",
      })),
    ];
    this.lanes = lanes;
    this.rows = new Map(lanes.map((one, row) => [one.lane, row]));
    this.turns = turnsOf(room.timeline).filter((turn) => this.rows.has(turn.lane));
    this.overlaps = overlapsOf(this.turns.slice(-200), this.now_s());
    this.showList();
  }

  /** @param {any} levels */
  levels(levels) {
    this.at_s = levels.at_s;
    this.heardAt = performance.now();
    this.tick();
  }

  now_s() {
    return this.at_s + Math.min(1, (performance.now() - this.heardAt) / 1000);
  }

  tick() {
    const now = performance.now();
    if (!this.visible || document.hidden || now - this.drawn < DRAW_MS) return;
    this.drawn = now;
    this.draw();
  }

  draw() {
    if (!this.room || !this.lanes) return;
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [this.clientWidth - 40, this.lanes.length * LANE_PX + AXIS_PX];
    if (width < NAMES_PX) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const pen = canvas.getContext("2d");
    const colour = colours(this);
    const now_s = this.now_s();
    const x = (/** @type {number} */ at_s) => NAMES_PX + ((at_s - now_s + SHOWN_S) / SHOWN_S) * (width - NAMES_PX);
    this.x = x;
    this.scale = { now_s, width };
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "13px system-ui, sans-serif";
    pen.textBaseline = "middle";
    this.drawAxis(pen, colour, x, now_s, width, height);
    for (const { from_s, to_s } of this.overlaps ?? []) {
      pen.fillStyle = colour.overlap;
      span(pen, x, from_s, to_s, 0, height - AXIS_PX);
    }
    for (const [row, lane] of this.lanes.entries()) {
      pen.fillStyle = colour.text;
      pen.fillText(shortened(pen, lane.name, NAMES_PX - 10), 0, row * LANE_PX + LANE_PX / 2);
    }
    for (const { lane, from_s, to_s } of this.turns ?? []) {
      const row = /** @type {number} */ (this.rows?.get(lane));
      pen.fillStyle = this.lanes[row].kind === "person" ? colour.person : colour.rendering;
      span(pen, x, from_s, to_s ?? now_s, row * LANE_PX + 5, LANE_PX - 10);
    }
    pen.fillStyle = colour.text;
    pen.textAlign = "center";
    for (const mark of this.room.timeline) {
      const row = this.rows?.get(mark.lane);
      const sign = /** @type {any} */ (SIGNS)[mark.event];
      if (sign && row !== undefined && mark.at_s > now_s - SHOWN_S) pen.fillText(sign, x(mark.at_s), row * LANE_PX + LANE_PX / 2);
    }
    pen.textAlign = "start";
    if (this.cursor) {
      pen.strokeStyle = colour.focus;
      pen.lineWidth = 2;
      pen.strokeRect(x(this.cursor.at_s) - 3, this.cursor.row * LANE_PX + 2, 6, LANE_PX - 4);
    }
  }

  /** @param {any} pen @param {any} colour @param {(at: number) => number} x @param {number} now_s @param {number} width @param {number} height */
  drawAxis(pen, colour, x, now_s, width, height) {
    pen.strokeStyle = colour.line;
    pen.fillStyle = colour.soft;
    pen.lineWidth = 1;
    const every_s = width < 480 ? 60 : 20;
    for (let at_s = Math.ceil((now_s - SHOWN_S) / every_s) * every_s; at_s <= now_s; at_s += every_s) {
      if (at_s < 0) continue;
      pen.beginPath();
      pen.moveTo(x(at_s), 0);
      pen.lineTo(x(at_s), height - AXIS_PX);
      pen.stroke();
      if (x(at_s) < width - 30) pen.fillText(clock(at_s), x(at_s) + 2, height - AXIS_PX / 2);
    }
  }

  /** @param {MouseEvent} event */
  pick(event) {
    if (!this.scale || !this.lanes?.length) return;
    const box = this.canvas.getBoundingClientRect();
    const row = Math.min(this.lanes.length - 1, Math.max(0, Math.floor((event.clientY - box.top) / LANE_PX)));
    const share = (event.clientX - box.left - NAMES_PX) / (this.scale.width - NAMES_PX);
    this.look(row, this.scale.now_s - SHOWN_S + Math.max(0, share) * SHOWN_S);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const [dx, dy] = { ArrowLeft: [-STEP_S, 0], ArrowRight: [STEP_S, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if ((!dx && !dy) || !this.lanes?.length) return;
    event.preventDefault();
    const from = this.cursor ?? { row: 0, at_s: this.now_s() };
    const row = Math.min(this.lanes.length - 1, Math.max(0, from.row + dy));
    this.look(row, Math.min(this.now_s(), Math.max(0, from.at_s + dx)));
  }

  /** @param {number} row @param {number} at_s */
  look(row, at_s) {
    this.cursor = { row, at_s };
    const { lane, name, kind } = this.lanes[row];
    const pieces = kind === "person" ? this.room.people[lane].heard : this.room.directions[lane].spoken;
    const words = wordsAt(pieces, at_s) || t("timelineNoText");
    const stored = this.room.disclosure.stored.includes("audio") ? ` (${t("timelineAudio", { time: clock(at_s) })})` : "";
    setText(this.found, t("timelineText", { who: name, time: clock(at_s), words }) + stored);
    this.draw();
  }

  showList() {
    if (!this.details.open || !this.room) return;
    const marks = this.room.timeline.filter((/** @type {any} */ one) => this.rows?.has(one.lane)).slice(-60);
    keyed(this.list, marks.map((/** @type {any} */ one) => [String(one.n), one]).reverse(), () => h("li"), (item, one) => {
      const lane = this.lanes[/** @type {number} */ (this.rows?.get(one.lane))];
      setText(item, `${clock(one.at_s)} ${lane.name}: ${t(`mark:${one.event}`, { by: this.desk.nameOf(one.by) })}`);
    });
    setShown(this.list, marks.length > 0);
  }
}

/** @param {any} pen @param {(at: number) => number} x @param {number} from_s @param {number} to_s @param {number} y @param {number} height */
function span(pen, x, from_s, to_s, y, height) {
  const left = Math.max(NAMES_PX, x(from_s));
  const right = x(to_s);
  if (right > left) pen.fillRect(left, y, Math.max(1, right - left), height);
}

/** @param {any} pen @param {string} text @param {number} width */
function shortened(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let letters = [...text];
  while (letters.length && pen.measureText(`${letters.join("")}…`).width > width) letters = letters.slice(0, -1);
  return `${letters.join("")}…`;
}

/** @param {Element} element */
function colours(element) {
  const style = getComputedStyle(element);
  const of = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  return { text: of("text"), soft: of("soft"), line: of("line"), person: of("person"), rendering: of("accent"), overlap: of("overlap"), focus: of("focus") };
}

customElements.define("turn-timeline", TurnTimeline);
