// The page's own words in the reader's language: one dictionary a language, in locales/.
//
// Elements name what they say (data-text, data-label, data-alt, data-placeholder), so that switching the language
// only needs another pass over the page.

import { inBrowser } from "./storage.js";

export const LANGUAGES = { en: "English", ru: "Русский" };

const ATTRIBUTES = { label: "aria-label", alt: "alt", placeholder: "placeholder" };

let dictionary = {};

/** The language that was chosen here before, else the first of the browser's that there is. */
export function preferredLanguage() {
  const wished = [inBrowser.get("language"), ...navigator.languages];
  const known = wished.map((one) => one?.split("-")[0]).find((one) => one in LANGUAGES);
  return known ?? "en";
}

/** Reads the dictionary and says everything anew in it. */
export async function useLanguage(language) {
  const response = await fetch(`locales/${language}.json`);
  if (!response.ok) throw new Error(`No dictionary for ${language}: ${response.status}`);
  dictionary = await response.json();
  document.documentElement.lang = language;
  document.title = text("page.title");
  sayAll(document);
}

export function keepLanguage(language) {
  inBrowser.set("language", language);
}

/** The text of a key, its {names} filled in; numbers as the language writes them. */
export function text(key, values = {}) {
  const sentence = dictionary[key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (_, name) => written(values[name]));
}

/** The text of a key, or `otherwise` where the dictionary has none: names that the service's owner chose. */
export function textOr(key, otherwise) {
  return dictionary[key] ?? otherwise;
}

/** What an element reads; follows the language. */
export function say(element, key, values = {}) {
  tell(element, "text", key, values);
}

/** What a screen reader hears of an element. */
export function label(element, key, values = {}) {
  tell(element, "label", key, values);
}

/** What stands for a picture. */
export function alt(image, key, values = {}) {
  tell(image, "alt", key, values);
}

/** All elements below `root` that name what they say. */
export function sayAll(root) {
  for (const kind of ["text", ...Object.keys(ATTRIBUTES)]) {
    for (const element of root.querySelectorAll(`[data-${kind}]`)) render(element, kind);
  }
}

/** A name in the page's language, of a language by its code. */
export function languageName(code) {
  const names = new Intl.DisplayNames([document.documentElement.lang], { type: "language" });
  const name = names.of(code);
  return name.charAt(0).toLocaleUpperCase() + name.slice(1);
}

function tell(element, kind, key, values) {
  element.dataset[kind] = key;
  element.dataset.values = JSON.stringify(values);
  render(element, kind);
}

function render(element, kind) {
  const said = text(element.dataset[kind], JSON.parse(element.dataset.values ?? "{}"));
  if (kind === "text") element.textContent = said;
  else element.setAttribute(ATTRIBUTES[kind], said);
}

function written(value) {
  if (typeof value !== "number") return value ?? "";
  return new Intl.NumberFormat(document.documentElement.lang).format(value);
}
