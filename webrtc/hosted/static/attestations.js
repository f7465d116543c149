/**
 * Checks the interpreter's signed records as they come: each signature, and that none is missing in between.
 *
 *     {"record":{"after":"<SHA-256 of the line before>","kind":"...",...},"signature":"<Ed25519, base64url>"}
 *
 * The signature covers the line's bytes up to the quotation mark before it. The key comes with the first line, of kind
 * `attestation`, from the server of this page: what is shown here is that one interpreter signed everything without a
 * gap. Who that is, and whether the sound was the same, `interpreter verify` tells from the recorded files.
 */

const BEFORE_SIGNATURE = ',"signature":"';
const HEAD = "attestation";

/** Reads the lines of one connection, in order. */
export class AttestationReader {
  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.received = 0;
    /** Signed by the key that came first. */
    this.checked = 0;
    /** Not what that key signs, or no such line at all. */
    this.wrong = 0;
    /** Places at which lines are missing. */
    this.gaps = 0;
    /** @type {CryptoKey | null} */
    this.key = null;
    /** Digest of the line before; null after none, or after a head, which is told to whoever joins later. */
    this.last = null;
    /** Lines are checked one after another. */
    this.queue = Promise.resolve();
  }

  /** @param {string} line */
  add(line) {
    this.queue = this.queue.then(() => this.take(line)).then(this.onChange);
  }

  async take(line) {
    this.received += 1;
    if (!globalThis.crypto?.subtle) return; // a page without a secure connection checks nothing
    try {
      const { record, signature } = JSON.parse(line);
      if (record.kind === HEAD) this.key ??= await importKey(record.jwks);
      if (this.key === null) return;
      if (!(await signed(line, signature, this.key))) throw new TypeError("expected another signature");
      this.checked += 1;
      if (this.last !== null && record.after !== this.last) this.gaps += 1;
      this.last = record.kind === HEAD ? null : await digest(line);
    } catch (error) {
      if (error.name === "NotSupportedError") return; // a browser without Ed25519
      this.wrong += 1; // not JSON, not a record, not of the key
    }
  }
}

async function importKey(jwks) {
  const { kty, crv, x } = jwks.keys[0]; // a JWK's other members are not for WebCrypto
  return crypto.subtle.importKey("jwk", { kty, crv, x }, { name: "Ed25519" }, false, ["verify"]);
}

async function signed(line, signature, key) {
  const end = line.lastIndexOf(BEFORE_SIGNATURE) + BEFORE_SIGNATURE.length;
  if (line.slice(end) !== `${signature}"}`) return false;
  return crypto.subtle.verify("Ed25519", key, fromBase64url(signature), new TextEncoder().encode(line.slice(0, end)));
}

async function digest(line) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(line)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fromBase64url(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}
