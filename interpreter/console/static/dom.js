/**
 * Elements, made and changed. Whatever came from outside becomes text nodes only: there is no markup to escape.
 */

import { directionOf } from "./elements.js";

/**
 * An element. Members of `about` that begin with `on` are listeners, `class`, `text` and those with a dash are what
 * they say, all others are properties.
 *
 * @param {string} tag
 * @param {Record<string, any>} [about]
 * @param {...(Node | string | null)} children
 * @returns {any}
 */
export function h(tag, about = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name === "text") made.textContent = value;
    else if (name.includes("-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Changes a text only where it is another: what is unchanged is not read out again. @param {Node} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {Element} node @param {string} name @param {string | null} value - null takes it away. */
export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** @param {any} node @param {boolean} shown */
export function setShown(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

/** @param {Element} node @param {string} name @param {boolean} on */
export function setClass(node, name, on) {
  node.classList.toggle(name, on);
}

/**
 * Keeps the children of `container` in step with `entries`: one element per key, moved only where the order changed.
 *
 * @template T
 * @param {Element} container
 * @param {[string, T][]} entries
 * @param {(key: string) => any} make
 * @param {(element: any, value: T, key: string) => void} update
 */
export function keyed(container, entries, make, update) {
  const known = new Map([...container.children].map((child) => [/** @type {any} */ (child).key, child]));
  let place = container.firstElementChild;
  for (const [key, value] of entries) {
    let element = /** @type {any} */ (known.get(key));
    known.delete(key);
    if (!element) {
      element = make(key);
      element.key = key;
    }
    if (element === place) place = place.nextElementSibling;
    else container.insertBefore(element, place);
    update(element, value, key);
  }
  for (const left of known.values()) left.remove();
}

/** Text in a language of its own. @param {any} node @param {string} tag - BCP 47, or empty. */
export function inLanguage(node, tag) {
  setAttribute(node, "lang", tag || null);
  setAttribute(node, "dir", tag ? (directionOf(tag)) : "auto");
  return node;
}

/** A button. @param {string} text @param {() => void} act @param {string} [kind] */
export const button = (text, act, kind = "") => h("button", { type: "button", class: kind, text, onclick: act });

/** A label above a control. @param {string} text @param {any} control */
export const field = (text, control) => h("label", { class: "field" }, h("span", { class: "field-label", text }), control);

/**
 * Fills a select without touching what is open in it.
 *
 * @param {any} select
 * @param {[string, string][]} options - value and words.
 * @param {string} value
 */
export function setOptions(select, options, value) {
  const wanted = JSON.stringify(options);
  if (select.filledWith !== wanted) {
    select.filledWith = wanted;
    select.replaceChildren(...options.map(([one, words]) => h("option", { value: one, text: words })));
  }
  if (select.value !== value) select.value = value;
}

/** Offers a text or bytes as a download. @param {string} name @param {Blob} blob */
export function download(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
