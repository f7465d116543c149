/**
 * The WebSocket to the room: messages as described in `protocol.py`.
 */

/** Waiting times between attempts to reach the server again, in milliseconds; the last one repeats. */
const BACKOFF_MS = [500, 1000, 2000, 4000, 8000, 15000];

/**
 * How long to wait before an attempt, spread by ±20 % so that a full room does not come back in one instant.
 * @param {number} attempt - 0 for the first.
 * @returns {number} milliseconds.
 */
export function backoffMs(attempt) {
  const wait = BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)];
  return wait * (0.8 + 0.4 * Math.random());
}

/** One connection to the room's signalling; it is never reused. */
export class Signalling {
  /**
   * @param {string} roomPath - the path of the room's link.
   * @param {() => void} onOpen
   * @param {(message: any) => void} onMessage
   * @param {() => void} onLost - the connection ended without `close` having been called.
   */
  constructor(roomPath, onOpen, onMessage, onLost) {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(`${scheme}//${location.host}${roomPath}/signalling`);
    this.ended = false;
    this.socket.addEventListener("open", () => this.ended || onOpen());
    this.socket.addEventListener("message", (event) => this.ended || onMessage(JSON.parse(event.data)));
    this.socket.addEventListener("close", () => {
      if (this.ended) return;
      this.ended = true;
      onLost();
    });
  }

  /**
   * Sends a message; one that can no longer be sent is dropped, as everything is sent anew after reconnecting.
   * @param {string} type
   * @param {Record<string, unknown>} [fields]
   */
  send(type, fields = {}) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type, ...fields }));
  }

  close() {
    this.ended = true;
    this.socket.close();
  }
}
