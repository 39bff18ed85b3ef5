// Finished pictures: one in large or several side by side, what is known of them, what can be done with them.

import { byId, made } from "./page.js";
import { tagOf } from "./form.js";
import { finish } from "./stage.js";
import { alt, label, say, text, textOr } from "./texts.js";

const UNSAFE_IN_NAMES = /[\\/:*?"<>|\s]+/g;

let shown = null; // The entry on the stage, its pictures' addresses, and which of them is chosen.

/**
 * What is kept of a finished job: its request, what the service told, and all pictures as Blobs.
 * `files` are the pictures as they were served, `word` and `controls` what they were made from.
 */
export function entryOf(job) {
  const result = job.result;
  const controls = Object.entries(result.conditioning_images_base64).map(([kind, methods]) => [
    kind,
    blobOf(Object.values(methods)[0]),
  ]);
  return {
    id: job.id,
    madeAt: job.finished_at,
    request: job.request,
    metadata: result.generation_metadata,
    prompt: result.prompt_used,
    warnings: result.warnings,
    files: result.images_base64.map((one) => blobOf(one)),
    word: blobOf(result.base_image_base64),
    controls: Object.fromEntries(controls),
  };
}

/** Puts an entry on the stage. */
export function present(entry) {
  dismiss();
  const addresses = entry.files.map((file) => URL.createObjectURL(file));
  const drawings = Object.entries({ word: entry.word, ...entry.controls });
  const steps = Object.fromEntries(drawings.map(([step, file]) => [step, URL.createObjectURL(file)]));
  shown = { entry, addresses, all: [...addresses, ...Object.values(steps)], chosen: 0 };
  byId("canvas").style.setProperty("--ratio", `${entry.metadata.width} / ${entry.metadata.height}`);
  byId("pictures").replaceChildren(...addresses.map(pictureOf));
  byId("pictures").dataset.count = addresses.length;
  byId("result").hidden = false;
  tellCaption(entry);
  byId("warnings").replaceChildren(...entry.warnings.map((one) => made("li", one)));
  finish({ ...steps, picture: addresses[0] }, entry.request.word);
  choose(0);
}

/** Takes what is on the stage away. */
export function dismiss() {
  for (const address of shown?.all ?? []) URL.revokeObjectURL(address);
  shown = null;
  byId("pictures").replaceChildren();
  byId("result").hidden = true;
}

/** The entry that is on the stage, or null. */
export function presented() {
  return shown?.entry ?? null;
}

/** The seed of the chosen picture. */
export function chosenSeed() {
  return seedOf(shown.entry, shown.chosen);
}

/** Says again what does not follow the language by itself. */
export function sayAgain() {
  if (!shown) return;
  const { entry, chosen } = shown;
  present(entry);
  choose(chosen);
}

function pictureOf(address, index) {
  const { entry, addresses } = shown;
  const image = made("img");
  image.src = address;
  describe(image, entry);
  if (addresses.length === 1) return image;
  const button = made("button", "", "picture-choice");
  button.type = "button";
  label(button, "result.choose", { number: index + 1, count: addresses.length });
  button.append(image);
  button.addEventListener("click", () => choose(index));
  return button;
}

function describe(image, { request, metadata }) {
  const values = { word: request.word, meaning: request.translation, style: styleName(metadata.style) };
  alt(image, request.translation ? "result.alt_meaning" : "result.alt", values);
}

function choose(index) {
  const { entry, addresses } = shown;
  shown.chosen = index;
  for (const [at, choice] of byId("pictures").querySelectorAll("button").entries()) {
    choice.setAttribute("aria-pressed", String(at === index));
  }
  const seed = seedOf(entry, index);
  byId("download").href = addresses[index];
  byId("download").download = `${entry.request.word.replace(UNSAFE_IN_NAMES, "_")}-${seed}.png`;
  byId("seed-used").textContent = seed;
  tellLegibility(entry.metadata.legibility, index);
  tellFacts(entry);
}

/** Pictures of one request have the seeds seed, seed + 1, ... */
function seedOf(entry, index) {
  return String(BigInt(entry.metadata.seed_used) + BigInt(index));
}

function tellCaption({ request, metadata }) {
  const word = made("bdi", request.word);
  word.lang = tagOf(metadata.language) || metadata.language;
  const parts = request.translation ? [word, made("span", request.translation, "caption-meaning")] : [word];
  byId("caption").replaceChildren(...parts);
}

function tellLegibility(legibility, index) {
  const score = legibility?.pictures?.[index]?.score ?? null;
  byId("legibility").hidden = score === null;
  if (score === null) return;
  const key = score >= legibility.min_score ? "result.legibility_good" : "result.legibility_poor";
  say(byId("legibility"), key, { score: Math.floor(100 * score) / 100 });
}

function tellFacts({ metadata: told, prompt }) {
  const facts = {
    style: styleName(told.style),
    size: `${told.width} × ${told.height}`,
    steps: told.num_inference_steps,
    guidance: told.guidance_scale,
    language: told.language,
    pictogram: told.pictogram_used?.name,
    methods: byKind(told.conditioning_methods_used, (methods) => methods.join(", ").replaceAll("_", " ")),
    weights: byKind(told.conditioning_weights_used, String),
    model: told.model_used,
    seconds: (told.generation_time_ms / 1000).toFixed(1),
    prompt,
  };
  const rows = Object.entries(facts).filter(([, value]) => value !== undefined && value !== null && value !== "");
  byId("facts").replaceChildren(...rows.flatMap(([name, value]) => [made("dt", text(`fact.${name}`)), made("dd", String(value))]));
}

function byKind(told, written) {
  return Object.entries(told).map(([kind, value]) => `${text(`kind.${kind}`)}: ${written(value)}`).join(" · ");
}

function styleName(style) {
  return textOr(`style.${style}`, style);
}

/** All that the studio asks for is PNG: it keeps its parameters. */
function blobOf(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
