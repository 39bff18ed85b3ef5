// The stage: how a picture comes about, and how far it is.

import { byId, copyOf, KINDS } from "./page.js";
import { alt, say, text } from "./texts.js";

const STEPS = ["word", ...KINDS, "picture"];
/** Which steps a stage of the service makes. */
const AT = {
  render: ["word"],
  conditioning: KINDS,
  denoise: ["picture"],
  decode: ["picture"],
  encode: ["picture"],
};

const tiles = Object.fromEntries(STEPS.map((step) => [step, tile(step)]));
byId("process").replaceChildren(...Object.values(tiles));
let announced = "";

/** The word as it is typed, on the squared paper of those who practise writing. */
export function practise(typed, language) {
  const word = typed || byId("word").placeholder;
  const letters = [...new Intl.Segmenter().segment(word)].map((one) => one.segment);
  const sheet = byId("practice");
  sheet.textContent = word;
  sheet.classList.toggle("example", !typed);
  sheet.lang = language;
  sheet.style.setProperty("--letters", Math.max(1, letters.reduce((sum, one) => sum + breadth(one), 0)));
}

/** A new sheet, with nothing on it yet. `request` says which control images are switched off. */
export function prepare(request) {
  announced = "";
  clear(request);
  byId("canvas").classList.add("busy");
  byId("progress").hidden = false;
  byId("progress-bar").removeAttribute("value");
  tell("stage.sent");
}

/** One state of a job. */
export function follow(status) {
  for (const step of STEPS) mark(step, standing(step, status));
  for (const kind of KINDS) fill(kind, status.conditioning_previews[kind]);
  fill("word", status.word_preview);
  fill("picture", status.preview);
  byId("live").classList.toggle("rough", status.preview !== null);
  const latest = status.preview ?? status.word_preview;
  if (latest) enlarge(latest, "stage.live", { word: status.request.word });
  if (status.state === "queued") tellQueue(status);
  else tellStage(status);
}

/** The finished steps, each to be looked at in large. `sources` are addresses of pictures by step. */
export function finish(sources, word) {
  rest();
  byId("live").classList.remove("rough");
  for (const step of STEPS) {
    fill(step, sources[step]);
    mark(step, sources[step] ? "done" : "off");
    tiles[step].querySelector("button").onclick = () => look(step, word);
    tiles[step].querySelector("button").disabled = !sources[step];
  }
  look("picture", word);
}

/** As before the first picture. */
export function clear(request = {}) {
  rest();
  for (const step of STEPS) {
    fill(step, null);
    mark(step, isOff(step, request) ? "off" : "waiting");
    tiles[step].querySelector("button").disabled = true;
    tiles[step].querySelector("button").setAttribute("aria-pressed", "false");
  }
  uncover("practice");
}

export function lost() {
  tell("stage.lost");
  announce("stage.lost");
}

/** Says it once to those who listen. */
export function announce(key, values = {}) {
  const said = text(key, values);
  if (said !== announced) say(byId("announcer"), key, values);
  announced = said;
}

function tile(step) {
  const element = copyOf("process-tile");
  say(element.querySelector(".tile-name"), `kind.${step}`);
  return element;
}

function standing(step, { stage, word_preview, conditioning_previews, request }) {
  if (isOff(step, request)) return "off";
  if (conditioning_previews[step] || (step === "word" && word_preview)) return "done";
  return AT[stage]?.includes(step) ? "active" : "waiting";
}

function isOff(step, request) {
  return request.conditioning_weights?.[step] === 0;
}

function mark(step, state) {
  tiles[step].dataset.state = state;
  if (state === "active") tiles[step].setAttribute("aria-current", "step");
  else tiles[step].removeAttribute("aria-current");
  say(tiles[step].querySelector(".tile-state"), `tile.${state}`);
}

function fill(step, source) {
  const image = tiles[step].querySelector("img");
  image.hidden = !source;
  if (!source) image.removeAttribute("src");
  else if (image.src !== source) image.src = source;
}

/** A step in the middle of the stage; "picture" brings the finished ones back. */
function look(step, word) {
  for (const one of STEPS) tiles[one].querySelector("button").setAttribute("aria-pressed", String(one === step));
  if (step === "picture") uncover("pictures");
  else enlarge(tiles[step].querySelector("img").src, "tile.alt", { step: text(`kind.${step}`), word });
}

function enlarge(source, key, values) {
  const image = byId("live");
  if (image.src !== source) image.src = source;
  alt(image, key, values);
  uncover("live");
}

/** Of the sheet's layers one is seen. */
function uncover(layer) {
  for (const one of ["practice", "live", "pictures"]) byId(one).hidden = one !== layer;
}

function rest() {
  if (document.activeElement === byId("cancel")) byId("draw").focus();
  byId("progress").hidden = true;
  byId("canvas").classList.remove("busy");
}

function tellQueue({ queue_position: position, seconds_left: seconds }) {
  byId("progress-bar").removeAttribute("value");
  if (position > 0) tell("stage.waiting", { position }, seconds);
  else tell("stage.next", {}, seconds);
  announce(position > 0 ? "stage.waiting" : "stage.next", { position });
}

function tellStage({ stage, step, steps, seconds_left: seconds }) {
  const bar = byId("progress-bar");
  if (!stage) return;
  const painting = stage === "denoise" && steps > 0;
  if (painting) [bar.max, bar.value] = [steps, step];
  else bar.removeAttribute("value");
  if (painting) tell("stage.steps", { step, steps }, seconds);
  else tell(`stage.${stage}`, {}, seconds);
  announce(`stage.${stage}`);
}

function tell(key, values = {}, seconds = null) {
  const stage = text(key, values);
  if (seconds === null) say(byId("progress-text"), key, values);
  else say(byId("progress-text"), "stage.left", { stage, seconds: Math.max(1, Math.round(seconds)) });
}

/** How broad a letter is, in squares: Han, kana, hangul and emoji fill one. */
function breadth(letter) {
  return /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Extended_Pictographic}/u.test(letter) ? 1 : 0.62;
}
