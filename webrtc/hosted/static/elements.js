/** What every page of ours draws alike, the hosted page and the console. */

const SVG = "http://www.w3.org/2000/svg";

/** Scripts written from right to left, by language (CLDR). */
const RIGHT_TO_LEFT = new Set(["ar", "arc", "ckb", "dv", "fa", "he", "ks", "nqo", "ps", "sd", "syr", "ug", "ur", "yi"]);

/** How a language is written. @param {string} tag - BCP 47. @returns {"rtl" | "ltr"} */
export const directionOf = (tag) => (RIGHT_TO_LEFT.has(tag.toLowerCase().split("-")[0]) ? "rtl" : "ltr");

/** @param {string} name - a symbol of icon.svg. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `/static/icon.svg#${name}`);
  svg.append(use);
  return svg;
}
