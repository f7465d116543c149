/**
 * The secret of a host's link: `#host=...`, which browsers put into no request.
 *
 * It is taken out of the address at once: whoever then copies the address, or looks over a shoulder, learns the room's
 * link and no more. This tab alone keeps it, for when the page is loaded again.
 */

/** The key that this page joins with, if it was opened by a host's link. */
export class HostKey {
  /** @param {string} roomPath - the path of the room's link. */
  constructor(roomPath) {
    this.place = `host key of ${roomPath}`;
    /** Empty where there is none. */
    this.value = this.kept() ?? "";
    this.take();
  }

  /** Takes the key out of the address. @returns {boolean} whether another came by it than before. */
  take() {
    const found = new URLSearchParams(location.hash.slice(1)).get("host");
    if (!found) return false;
    history.replaceState(history.state, "", location.pathname + location.search);
    const isNew = found !== this.value;
    this.value = found;
    this.keep();
    return isNew;
  }

  /** The room does not know it. */
  forget() {
    this.value = "";
    this.keep();
  }

  kept() {
    try {
      return sessionStorage.getItem(this.place);
    } catch {
      return null; // the browser lets this site keep nothing
    }
  }

  keep() {
    try {
      if (this.value) sessionStorage.setItem(this.place, this.value);
      else sessionStorage.removeItem(this.place);
    } catch {
      // Then it lasts until the page is loaded again.
    }
  }
}
