/**
 * The topics a page follows, by the rules of docs/console-protocol.md. Pure: what is not touched by a delta stays the
 * very same object, so that a screen knows by comparing what it need not draw again.
 */

/** @typedef {{op: "set" | "remove" | "append", path: string[], value?: any, drop?: number, values?: any[]}} Op */

/** @param {any} state @param {Op[]} ops */
export function applied(state, ops) {
  return ops.reduce((result, op) => changed(result, op, 0), state);
}

/** @param {any} node @param {Op} op @param {number} depth */
function changed(node, op, depth) {
  if (depth === op.path.length) return op.op === "append" ? [...node.slice(op.drop), ...(op.values ?? [])] : op.value;
  const key = op.path[depth];
  if (op.op === "remove" && depth === op.path.length - 1) {
    const { [key]: _, ...rest } = node;
    return rest;
  }
  return { ...node, [key]: changed(node?.[key], op, depth + 1) };
}

/** What is known of each topic, and which must be asked for again. */
export class Topics {
  constructor() {
    /** @type {Map<string, {seq: number, state: any, missed: boolean}>} */
    this.known = new Map();
  }

  /** @param {string} topic */
  state(topic) {
    return this.known.get(topic)?.state ?? null;
  }

  /** @param {{topic: string, seq: number, state: any}} message */
  snapshot({ topic, seq, state }) {
    this.known.set(topic, { seq, state, missed: false });
  }

  /**
   * Takes a delta in.
   *
   * @param {{topic: string, seq: number, ops: Op[]}} message
   * @returns {boolean} whether the topic must be asked for again.
   */
  delta({ topic, seq, ops }) {
    const one = this.known.get(topic);
    if (!one || one.missed) return false;
    if (seq !== one.seq + 1) {
      one.missed = true;
      return true;
    }
    one.seq = seq;
    one.state = applied(one.state, ops);
    return false;
  }

  /** @param {Record<string, number>} topics - of a heartbeat. @returns {string[]} what must be asked for again. */
  behind(topics) {
    const behind = [];
    for (const [topic, seq] of Object.entries(topics)) {
      const one = this.known.get(topic);
      if (one && !one.missed && one.seq < seq) {
        one.missed = true;
        behind.push(topic);
      }
    }
    return behind;
  }

  /** @param {string} topic */
  gone(topic) {
    this.known.delete(topic);
  }
}
