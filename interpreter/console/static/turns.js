/** Turns out of marks: who sounded when, where two sounded at once, and where a rendering gave way. Pure. */

export const SHOWN_S = 120;

/** @typedef {{lane: string, from_s: number, to_s: number | null}} Turn - `to_s` is null while it sounds. */

/**
 * The stretches of sound of every lane.
 *
 * @param {{at_s: number, lane: string, event: string}[]} marks
 * @returns {Turn[]}
 */
export function turnsOf(marks) {
  /** @type {Turn[]} */
  const turns = [];
  /** @type {Map<string, Turn>} */
  const sounding = new Map();
  for (const { at_s, lane, event } of marks) {
    if (event === "begin") {
      const turn = { lane, from_s: at_s, to_s: null };
      sounding.set(lane, turn);
      turns.push(turn);
    } else if (event === "end") {
      const turn = sounding.get(lane);
      if (turn) turn.to_s = at_s;
      else turns.push({ lane, from_s: -Infinity, to_s: at_s }); // it began before everything that is kept
      sounding.delete(lane);
    }
  }
  return turns;
}

/**
 * Where two turns of different people sounded at once.
 *
 * @param {Turn[]} turns
 * @param {number} now_s
 * @returns {{from_s: number, to_s: number}[]}
 */
export function overlapsOf(turns, now_s) {
  const overlaps = [];
  for (const [n, one] of turns.entries()) {
    for (const other of turns.slice(n + 1)) {
      if (one.lane === other.lane) continue;
      const from_s = Math.max(one.from_s, other.from_s);
      const to_s = Math.min(one.to_s ?? now_s, other.to_s ?? now_s);
      if (from_s < to_s) overlaps.push({ from_s, to_s });
    }
  }
  return overlaps;
}

/**
 * The words of a lane around a time: those of the utterance that was the last to begin by then.
 *
 * @param {{at_s: number, utterance: number, text: string}[]} pieces
 * @param {number} at_s
 */
export function wordsAt(pieces, at_s) {
  const last = pieces.findLast((piece) => piece.at_s <= at_s + 1) ?? null;
  if (!last) return "";
  return pieces.filter((piece) => piece.utterance === last.utterance).map((piece) => piece.text).join("").trim();
}
