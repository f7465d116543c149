/** The console: signs in, shows the page that the address names, and tells how the connection stands. */

import "./room.js";
import "./rooms.js";
import "./system.js";
import { field, h, keyed, setAttribute, setShown, setText } from "./dom.js";
import { Link } from "./link.js";
import { choosePageLanguage, inOwn, pageLanguage, t } from "./strings.js";

const TOKEN = "console-token";
const SHORTCUTS = "console-shortcuts";
const TOAST_MS = 8000;

const link = new Link();
const element = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
/** @type {any} */
let page = null;
let pageName = "";
let toastTimer = 0;
let drawing = false;

/** @param {string} words @param {string} [language] */
function tell(words, language = "") {
  const toast = element("toast");
  setAttribute(toast, "lang", language || null);
  toast.textContent = words;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (toast.textContent = ""), TOAST_MS);
}

/** The token of the address is kept for this tab only, and taken out of sight. */
function tokenOfAddress() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return sessionStorage.getItem(TOKEN);
  history.replaceState(null, "", `${location.pathname}#/rooms`);
  return decodeURIComponent(found[1]);
}

/** @param {string} token */
function signIn(token) {
  sessionStorage.setItem(TOKEN, token);
  link.signIn(token);
}

function signOut() {
  sessionStorage.removeItem(TOKEN);
  link.signOut();
}

/** @param {string} problem - why the form is shown again, or empty. */
function signInForm(problem) {
  const token = h("input", { type: "password", autocomplete: "off", required: true, "aria-describedby": "token-problem" });
  const trouble = h("p", { id: "token-problem", class: "field-problem", role: "alert", text: problem });
  const enter = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (token.value.trim()) signIn(token.value.trim());
    else setText(trouble, t("tokenMissing"));
  };
  const form = h(
    "form",
    { class: "card narrow", noValidate: true, onsubmit: enter },
    h("h1", { tabIndex: -1, text: t("product") }),
    field(t("token"), token),
    h("p", { class: "hint", text: t("tokenHint") }),
    trouble,
    h("button", { type: "submit", class: "primary", text: t("signIn") }),
  );
  return form;
}

/** Shows the page that the address names. */
async function route() {
  const signedIn = link.you !== null && link.state !== "refused" && link.state !== "signed-out";
  const name = signedIn ? location.hash.replace(/^#\//, "") || "rooms" : `sign-in/${link.state}`;
  if (name === pageName) return;
  pageName = name;
  const [kind, about] = name.split("/");
  page = await made(kind, about);
  if (pageName !== name) return; // another one was asked for while this one was loaded
  element("main").replaceChildren(page);
  document.title = `${titleOf(kind)} – ${t("product")}`;
  page.querySelector("h1")?.focus();
  draw();
}

/** @param {string} kind */
function titleOf(kind) {
  const further = link.topics.state("house")?.pages[kind];
  return further ? inOwn(further.titles) : t(kind === "sign-in" ? "signIn" : kind);
}

/** @param {string} kind @param {string} about @returns {Promise<any>} */
async function made(kind, about) {
  if (kind === "sign-in") {
    if (about === "connecting") return h("p", { class: "card narrow", role: "status", text: t("connecting") });
    return signInForm(about === "refused" ? t("tokenRefused") : "");
  }
  if (kind === "room") return begun("console-room", link, about, tell);
  if (kind === "system") return begun("console-system", link, tell);
  const further = link.topics.state("house")?.pages[kind];
  if (!further) return begun("console-rooms", link, tell);
  try {
    await import(further.module);
  } catch {
    return h("p", { class: "card problem", role: "alert", text: t("pageFailed") });
  }
  const made = /** @type {any} */ (document.createElement(`${kind}-page`));
  made.console = {
    standing: link.you?.standing,
    language: pageLanguage(),
    request: (/** @type {string} */ method, /** @type {string} */ path, /** @type {any} */ body) => link.request(method, path, body),
    file: (/** @type {string} */ path) => link.file(path),
    follow: (/** @type {string} */ topic, /** @type {(state: any) => void} */ callback) => follow(made, topic, callback),
  };
  return made;
}

/** @param {string} name @param {...any} about */
function begun(name, ...about) {
  const made = /** @type {any} */ (document.createElement(name));
  made.begin(...about);
  return made;
}

/** @param {any} from @param {string} topic @param {(state: any) => void} callback */
function follow(from, topic, callback) {
  const told = (/** @type {any} */ event) => {
    if (!from.isConnected && page !== from) link.removeEventListener("topic", told);
    else if (event.detail === topic) callback(link.topics.state(topic));
  };
  link.addEventListener("topic", told);
  link.follow(topic);
}

/** Draws once for all that came in a moment. */
function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw();
  });
}

function draw() {
  const house = link.topics.state("house");
  const signedIn = link.you !== null && link.state !== "refused" && link.state !== "signed-out";
  setText(element("connection"), signedIn ? `${t(link.live ? "live" : "stale")} · ${t("signedInAs", { name: link.you?.name, standing: t(`standing:${link.you?.standing}`) })}` : "");
  element("connection").dataset.state = link.state;
  setText(element("stale"), link.state === "stale" ? t("staleWords") : "");
  document.body.classList.toggle("is-stale", link.state === "stale");
  setShown(element("sign-out"), signedIn);
  const others = Object.entries(house?.operators ?? {}).filter(([id]) => id !== link.you?.id);
  setText(element("others"), others.length ? t("others", { names: others.map(([, one]) => one.name).join(", ") }) : "");
  drawPages(house, signedIn);
  if (!house) return;
  if (page?.localName === "console-room") page.show();
  else page?.show?.(house);
}

/** @param {any} house @param {boolean} signedIn */
function drawPages(house, signedIn) {
  const pages = element("pages");
  setShown(pages, signedIn);
  const further = Object.entries(house?.pages ?? {}).map(([name, one]) => /** @type {[string, string]} */ ([name, inOwn(one.titles)]));
  const entries = /** @type {[string, string][]} */ ([["rooms", t("rooms")], ...further, ["system", t("system")]]);
  keyed(pages, entries, (name) => h("a", { href: `#/${name}` }), (one, title, name) => {
    setText(one, title);
    setAttribute(one, "aria-current", pageName.split("/")[0] === name ? "page" : null);
  });
}

function translateShell() {
  document.documentElement.lang = pageLanguage();
  for (const one of document.querySelectorAll("[data-text]")) setText(one, t(/** @type {any} */ (one).dataset.text));
  for (const one of document.querySelectorAll("[data-label]")) setAttribute(one, "aria-label", t(/** @type {any} */ (one).dataset.label));
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.ctrlKey && event.key === ".") {
    event.preventDefault();
    page?.halt?.();
    return;
  }
  const typing = /** @type {Element} */ (event.target).closest("input, textarea, select, [contenteditable], dialog, canvas, audio");
  if (typing || event.ctrlKey || event.altKey || event.metaKey || !element("shortcuts").checked) return;
  if (page?.shortcut?.(event.key)) event.preventDefault();
}

function begin() {
  const language = element("page-language");
  language.value = pageLanguage();
  language.addEventListener("change", () => {
    choosePageLanguage(language.value);
    link.speak(pageLanguage());
    translateShell();
    pageName = ""; // every sentence of the page is made anew
    route();
  });
  const shortcuts = element("shortcuts");
  shortcuts.checked = localStorage.getItem(SHORTCUTS) !== "off";
  shortcuts.addEventListener("change", () => localStorage.setItem(SHORTCUTS, shortcuts.checked ? "on" : "off"));
  element("sign-out").addEventListener("click", signOut);
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", route);
  link.addEventListener("state", () => {
    route();
    drawSoon();
  });
  link.addEventListener("topic", () => {
    if (!pageName || pageName.startsWith("sign-in")) route();
    drawSoon();
  });
  link.addEventListener("levels", (event) => page?.levels?.(/** @type {any} */ (event).detail));
  link.addEventListener("told", (event) => tell(/** @type {any} */ (event).detail.message, "en"));
  translateShell();
  link.speak(pageLanguage());
  const token = tokenOfAddress();
  if (token) signIn(token);
  route();
}

begin();
