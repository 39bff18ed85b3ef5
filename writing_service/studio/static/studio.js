// The studio: what happens when. Everything else is in a module of its own.

import { byId, made } from "./page.js";
import { askForKey } from "./dialogs.js";
import { complain, forgiveAll, keepSeed, nameLanguages, offer, read, tagOf, write } from "./form.js";
import { keep } from "./history.js";
import { chosenSeed, dismiss, entryOf, present, presented, sayAgain } from "./result.js";
import * as service from "./service.js";
import { openShelf, refresh } from "./shelf.js";
import * as stage from "./stage.js";
import { inBrowser } from "./storage.js";
import { keepLanguage, LANGUAGES, preferredLanguage, say, useLanguage } from "./texts.js";

const UNFINISHED = "job"; // In the browser's storage: the job that was not over when the page was last here.

let running = null; // The picture on its way: {id, cancelled}; its id is null until the service has answered.

async function open() {
  await speak(preferredLanguage());
  byId("languages").append(...Object.entries(LANGUAGES).map(languageButton));
  listen();
  practise();
  byId("page").hidden = false;
  byId("word").focus();
  await openShelf(showAgain);
  if (await learnOptions()) await resume();
}

// A picture, from the wish to the shelf.

async function draw() {
  if (running) return;
  const request = { ...read(), include_conditioning_images: true, include_prompt: true };
  const attempt = randomName();
  begin(request);
  await concluded(async () => {
    const job = await service.start(request, attempt);
    if (running.cancelled) await service.cancel(job.id);
    await follow(job);
  });
}

/** Goes on with the job that was running when the page was left. */
async function resume() {
  const id = inBrowser.get(UNFINISHED);
  if (!id || running) return;
  begin({});
  await concluded(async () => {
    const job = await service.state(id);
    write(job.request);
    practise();
    await follow(job);
  });
}

async function follow(job) {
  running.id = job.id;
  inBrowser.set(UNFINISHED, job.id);
  stage.follow(job);
  for await (const status of service.watch(job.id, stage.lost)) {
    job = status;
    if (!service.isOver(status)) stage.follow(status);
  }
  if (job.state === "succeeded") await conclude(entryOf(await service.finished(job.id)));
  if (job.state === "cancelled") abandon();
  inBrowser.remove(UNFINISHED);
  if (job.state === "failed") throw service.Problem.from(job.error);
}

async function conclude(entry) {
  present(entry);
  const { word, translation: meaning } = entry.request;
  stage.announce(meaning ? "stage.done_meaning" : "stage.done", { word, meaning });
  if (!(await keep(entry))) tell("shelf.full");
  await refresh();
}

function abandon() {
  stage.clear();
  stage.announce("stage.cancelled");
  tell("stage.cancelled");
}

function begin(request) {
  running = { id: null, cancelled: false };
  forgiveAll();
  byId("notice").hidden = true;
  dismiss();
  byId("draw").setAttribute("aria-disabled", "true"); // Not disabled: that would lose the keyboard.
  stage.prepare(request);
  byId("canvas").scrollIntoView({ block: "nearest" });
}

/** Runs it to its end, whatever that is. */
async function concluded(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof service.Problem)) throw error;
    if (error.status === 404) inBrowser.remove(UNFINISHED);
    stage.clear();
    complainOf(error);
  } finally {
    running = null;
    byId("draw").removeAttribute("aria-disabled");
  }
}

async function cancel() {
  if (!running) return;
  running.cancelled = true;
  if (running.id) await service.cancel(running.id).catch(complainOf);
}

// What went wrong.

async function complainOf(problem) {
  if (problem.status === 401) return refused(problem);
  const unplaced = complain(problem.fields);
  if (!problem.fields.length || unplaced.length) notify(problem, problem.status === 422 ? null : tryAgain);
}

/** The service wants a key: whoever has one goes on with it. */
async function refused(problem) {
  notify(problem, tryAgain);
  if (await askForKey()) await tryAgain();
}

/** A job that the service has taken is not begun twice. */
function tryAgain() {
  return inBrowser.get(UNFINISHED) ? resume() : draw();
}

/** What the service can draw. Without that there is nothing to choose from; gives whether it is known. */
async function learnOptions() {
  try {
    offer(await service.options());
    byId("draw").disabled = false;
    if (presented()) fillIn(presented()); // Someone was quicker at the shelf.
    return true;
  } catch (error) {
    if (!(error instanceof service.Problem)) throw error;
    if (error.status === 401 && (await askForKey())) return learnOptions();
    notify(error, () => location.reload());
    return false;
  }
}

function notify({ status, sentence, retryAfter }, again) {
  if (status === 0) tell("error.unreachable");
  else if (status === 404) tell("error.expired");
  else if (sentence) tell("error.plain", { sentence }, "en"); // The service speaks English.
  else tell("error.status", { status });
  byId("notice-wait").hidden = !retryAfter;
  say(byId("notice-wait"), "error.wait", { seconds: retryAfter });
  byId("notice-action").hidden = !again;
  byId("notice-action").onclick = again && (() => again());
}

function tell(key, values = {}, language = "") {
  byId("notice").hidden = false;
  byId("notice-wait").hidden = byId("notice-action").hidden = true;
  say(byId("notice-text"), key, values);
  byId("notice-text").lang = language || document.documentElement.lang;
}

// The past.

function showAgain(entry) {
  if (running) return;
  byId("notice").hidden = true;
  present(entry);
  if (!byId("draw").disabled) fillIn(entry); // Else there are no choices yet.
  byId("stage").focus();
}

function fillIn(entry) {
  write({ ...entry.request, seed: entry.metadata.seed_used });
  practise();
}

// Wiring.

function listen() {
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    draw();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) cancel();
  });
  byId("cancel").addEventListener("click", cancel);
  byId("word").addEventListener("input", practise);
  byId("language").addEventListener("change", practise);
  byId("again").addEventListener("click", drawAnother);
  byId("keep-seed").addEventListener("click", () => {
    keepSeed(chosenSeed());
    stage.announce("result.kept");
  });
  byId("copy-seed").addEventListener("click", copySeed);
  byId("key").addEventListener("click", askForKey);
}

function practise() {
  const language = tagOf(byId("language").value);
  byId("word").lang = language;
  stage.practise(byId("word").value.trim(), language);
}

/** The same wish, another seed. */
function drawAnother() {
  write({ ...presented().request, seed: null });
  practise();
  draw();
}

/** Browsers have a clipboard on https and localhost alone; elsewhere the seed is selected, ready to be copied. */
async function copySeed() {
  if (navigator.clipboard) await navigator.clipboard.writeText(chosenSeed());
  else getSelection().selectAllChildren(byId("seed-used"));
  stage.announce(navigator.clipboard ? "result.copied" : "result.selected");
}

async function speak(language) {
  await useLanguage(language);
  nameLanguages();
  sayAgain();
  for (const button of byId("languages").children) button.setAttribute("aria-pressed", String(button.lang === language));
}

function languageButton([language, name]) {
  const button = made("button", name, "quiet");
  button.type = "button";
  button.lang = language;
  button.setAttribute("aria-pressed", String(document.documentElement.lang === language));
  button.addEventListener("click", () => {
    keepLanguage(language);
    speak(language);
  });
  return button;
}

/** Not crypto.randomUUID, which browsers have on https alone. */
function randomName() {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((one) => one.toString(16)).join("-");
}

await open();
