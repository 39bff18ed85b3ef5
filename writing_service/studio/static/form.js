// The form: the service's options become choices, choices a request, a request choices again, problems sentences.

import { byId, copyOf, KINDS, made } from "./page.js";
import { label, languageName, say, textOr } from "./texts.js";

/** What the service takes as a language, and the tag by which browsers know it where that is another. */
const LANGUAGES = {
  ar: "ar", am: "am", hy: "hy", bn: "bn", my: "my", zh: "zh-Hans", "zh-tw": "zh-Hant", "zh-hk": "zh-Hant-HK", nl: "nl",
  en: "en", fr: "fr", ka: "ka", de: "de", el: "el", he: "he", hi: "hi", id: "id", it: "it", ja: "ja", kk: "kk", km: "km",
  ko: "ko", lo: "lo", mn: "mn", ne: "ne", fa: "fa", pl: "pl", pt: "pt", pa: "pa", ru: "ru", sa: "sa", sr: "sr", si: "si",
  es: "es", sw: "sw", ta: "ta", te: "te", th: "th", bo: "bo", tr: "tr", uk: "uk", ur: "ur", uz: "uz", vi: "vi", yi: "yi",
};

const TEXTS = ["word", "translation", "hint_writing", "language", "preset", "pictogram", "text_direction"];
const NUMBERS = ["width", "height", "num_inference_steps", "guidance_scale"];
const UNSAID = { language: "auto", text_direction: "auto" };

const form = byId("form");
const fields = form.elements;
const moved = new Set(); // Kinds whose weight someone has set by hand: those do not follow the style.
let options = null;

/** The BCP 47 tag of a word's language, "" where nobody says one. */
export function tagOf(language) {
  return LANGUAGES[language] ?? "";
}

/** Makes choices of what the service can draw. */
export function offer(told) {
  options = told;
  byId("styles").replaceChildren(...told.styles.map(styleCard), ownStyleCard());
  byId("kinds").replaceChildren(...KINDS.map(kindRow));
  for (const name of told.presets) byId("preset").append(presetOption(name));
  for (const side of ["width", "height"]) {
    fields[side].placeholder = told.default_image_size[side];
  }
  chooseStyle(told.styles[0]);
  form.addEventListener("change", (event) => event.target.name === "style" && followStyle());
  form.addEventListener("input", (event) => forgive(event.target));
  byId("reset-weights").addEventListener("click", forgetWeights);
  byId("roll").addEventListener("click", roll);
}

/** Names of languages, in the page's own. */
export function nameLanguages() {
  const chosen = fields.language.value || "auto";
  const named = Object.entries(LANGUAGES).map(([code, tag]) => new Option(languageName(tag), code));
  named.sort((one, other) => one.text.localeCompare(other.text, document.documentElement.lang));
  const auto = new Option("", "auto");
  say(auto, "form.language_auto");
  fields.language.replaceChildren(auto, ...named);
  fields.language.value = chosen;
}

/** What is asked for; what is left as it is stays unsaid. */
export function read() {
  const request = { style: chosenStyle(), batch_size: Number(fields.batch_size.value) };
  for (const name of TEXTS) {
    if (fields[name].value !== (UNSAID[name] ?? "")) request[name] = fields[name].value;
  }
  request.word ??= "";
  for (const name of NUMBERS) {
    if (fields[name].value.trim()) request[name] = numberIn(fields[name].value);
  }
  if (fields.seed.value.trim()) request.seed = fields.seed.value.trim();
  request.conditioning_weights = chosenBy(weightOf);
  request.conditioning_methods = chosenBy((kind) => fields[`conditioning_methods.${kind}`].value || null);
  return request;
}

/** Fills the form with a request as it was made. */
export function write(request) {
  for (const name of TEXTS) fields[name].value = request[name] ?? UNSAID[name] ?? "";
  for (const name of [...NUMBERS, "seed"]) fields[name].value = request[name] ?? "";
  fields.batch_size.value = request.batch_size ?? 1;
  moved.clear();
  chooseStyle(request.style ?? options.styles[0]);
  for (const kind of KINDS) {
    fields[`conditioning_methods.${kind}`].value = request.conditioning_methods?.[kind] ?? "";
    const weight = request.conditioning_weights?.[kind];
    if (weight !== undefined) moveWeight(kind, weight);
  }
  forgiveAll();
}

/** What is no number stays as it was typed, for the service to say so. */
function numberIn(typed) {
  const number = Number(typed.replace(",", "."));
  return Number.isNaN(number) ? typed : number;
}

export function keepSeed(seed) {
  fields.seed.value = seed;
  forgive(fields.seed);
}

/** Puts each sentence below the field it is about, and the cursor into the first; gives back what has no field here. */
export function complain(problems) {
  const placed = problems.filter((one) => place(one));
  const first = form.querySelector("[aria-invalid=true]");
  first?.closest("details")?.setAttribute("open", "");
  first?.focus();
  return problems.filter((one) => !placed.includes(one));
}

export function forgiveAll() {
  for (const field of form.querySelectorAll("[aria-invalid=true]")) forgive(field);
}

function place({ field: name, message }) {
  const field = form.querySelector(`[name="${CSS.escape(name)}"]`);
  if (!field) return false;
  const target = name === "style" && isOwn(chosenCard()) ? fields.own_style : field;
  if (target.getAttribute("aria-invalid")) {
    byId(target.getAttribute("aria-describedby")).textContent += ` ${message}`;
    return true;
  }
  const sentence = made("p", message, "error");
  sentence.id = `error-${name}`;
  sentence.lang = "en"; // The service speaks English.
  target.closest(".field").append(sentence);
  target.setAttribute("aria-invalid", "true");
  target.setAttribute("aria-describedby", sentence.id);
  return true;
}

function forgive(field) {
  if (field.getAttribute("aria-invalid") !== "true") return;
  document.getElementById(field.getAttribute("aria-describedby"))?.remove();
  field.removeAttribute("aria-invalid");
  field.removeAttribute("aria-describedby");
}

function roll() {
  keepSeed(crypto.getRandomValues(new Uint32Array(1))[0]);
}

// Styles.

function styleCard(name) {
  const card = copyOf("style-card");
  const picture = card.querySelector("img");
  // The service's owner may have added styles: those show their first letter.
  picture.addEventListener("error", () => picture.replaceWith(made("span", shownName(name).charAt(0), "style-letter")));
  picture.src = `styles/${encodeURIComponent(name)}.webp`;
  card.querySelector("input").value = name;
  nameStyle(card.querySelector(".style-name"), name);
  return card;
}

function nameStyle(element, name) {
  const key = `style.${name}`;
  if (textOr(key, null) === null) element.textContent = shownName(name);
  else say(element, key);
}

function shownName(name) {
  return options.style_defaults[name].display_name;
}

function ownStyleCard() {
  const card = copyOf("style-card");
  card.querySelector("input").dataset.own = "";
  card.querySelector("img").replaceWith(made("span", "…", "style-letter"));
  say(card.querySelector(".style-name"), "style.own");
  return card;
}

/** Whether a card is the one for a style in one's own words. */
function isOwn(card) {
  return "own" in card.dataset;
}

function chosenCard() {
  return form.querySelector("[name=style]:checked");
}

function chosenStyle() {
  const card = chosenCard();
  return isOwn(card) ? fields.own_style.value : card.value;
}

function chosenDefaults() {
  return isOwn(chosenCard()) ? options.free_style_defaults : options.style_defaults[chosenStyle()];
}

function chooseStyle(name) {
  const cards = [...form.querySelectorAll("[name=style]")];
  const known = cards.find((card) => card.value === name && !isOwn(card));
  (known ?? cards.find(isOwn)).checked = true;
  fields.own_style.value = known ? "" : name;
  followStyle();
}

/** Weights, steps and guidance show what the style comes to. */
function followStyle() {
  const defaults = chosenDefaults();
  byId("own-style-line").hidden = !isOwn(chosenCard());
  for (const kind of KINDS.filter((one) => !moved.has(one))) setWeight(kind, defaults.conditioning_weights[kind]);
  fields.num_inference_steps.placeholder = defaults.num_inference_steps;
  fields.guidance_scale.placeholder = defaults.guidance_scale;
}

// The four kinds.

function kindRow(kind) {
  const row = copyOf("kind-row");
  const [slider, methods] = [row.querySelector("[type=range]"), row.querySelector("select")];
  const [on, name] = [row.querySelector("[type=checkbox]"), row.querySelector("span")];
  say(name, `kind.${kind}`);
  on.name = `on.${kind}`;
  slider.name = `conditioning_weights.${kind}`;
  methods.name = `conditioning_methods.${kind}`;
  label(slider, `weight.${kind}`);
  label(methods, `method.${kind}`);
  const bySeed = new Option("", "");
  say(bySeed, "form.method_auto");
  methods.append(bySeed, ...options.conditioning_methods[kind].map((one) => new Option(readable(one), one)));
  slider.addEventListener("input", () => moveWeight(kind, slider.valueAsNumber));
  on.addEventListener("change", () => moveWeight(kind, on.checked ? slider.valueAsNumber : 0));
  return row;
}

function moveWeight(kind, weight) {
  moved.add(kind);
  setWeight(kind, weight);
}

function forgetWeights() {
  moved.clear();
  followStyle();
}

function setWeight(kind, weight) {
  const [slider, on] = [fields[`conditioning_weights.${kind}`], fields[`on.${kind}`]];
  const row = slider.closest(".kind");
  on.checked = weight > 0;
  if (on.checked) slider.value = weight; // Switched off, it stands where it will be when it is on again.
  slider.disabled = fields[`conditioning_methods.${kind}`].disabled = !on.checked;
  row.querySelector("output").textContent = weight.toFixed(2);
  row.classList.toggle("off", !on.checked);
}

function weightOf(kind) {
  const weight = fields[`on.${kind}`].checked ? fields[`conditioning_weights.${kind}`].valueAsNumber : 0;
  return weight === chosenDefaults().conditioning_weights[kind] ? null : weight;
}

/** By kind, without those that are left to the service. */
function chosenBy(choice) {
  const chosen = KINDS.map((kind) => [kind, choice(kind)]).filter(([, value]) => value !== null);
  return Object.fromEntries(chosen);
}

function presetOption(name) {
  const option = new Option(name, name);
  if (textOr(`preset.${name}`, null) !== null) say(option, `preset.${name}`);
  return option;
}

function readable(method) {
  return method.replaceAll("_", " ");
}
