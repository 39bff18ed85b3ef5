// The shelf: pictures drawn here before, to be shown again, made again, deleted.

import { byId, copyOf } from "./page.js";
import { all, forget, forgetAll, MOST, open } from "./history.js";
import { label, say } from "./texts.js";
import { announce } from "./stage.js";
import { answerOf } from "./dialogs.js";

let addresses = [];

/** Sets the shelf up; `onChosen` gets the entry that someone wants to see again. */
export async function openShelf(onChosen) {
  const keeps = await open();
  byId("clear").addEventListener("click", clearShelf);
  byId("entries").addEventListener("click", (event) => onClick(event, onChosen));
  if (keeps) await refresh();
  else say(byId("shelf-note"), "shelf.off");
}

/** Shows what is kept now. */
export async function refresh() {
  const entries = await all();
  for (const address of addresses) URL.revokeObjectURL(address);
  addresses = [];
  byId("entries").replaceChildren(...entries.map(entryItem));
  byId("clear").hidden = entries.length === 0;
  if (entries.length) say(byId("shelf-note"), "shelf.kept", { most: MOST });
  else say(byId("shelf-note"), "shelf.empty");
}

function entryItem(entry) {
  const item = copyOf("entry");
  item.dataset.id = entry.id;
  const image = item.querySelector("img");
  image.src = URL.createObjectURL(entry.thumbnail);
  addresses.push(image.src);
  const { word, translation } = entry.request;
  item.querySelector(".entry-word").textContent = word;
  label(item.querySelector(".entry-open"), "shelf.open", { what: translation ? `${word}, ${translation}` : word });
  label(item.querySelector(".entry-delete"), "shelf.delete", { word });
  return item;
}

async function onClick({ target }, onChosen) {
  const id = target.closest(".entry")?.dataset.id;
  if (target.closest(".entry-open")) onChosen((await all()).find((entry) => entry.id === id));
  if (target.closest(".entry-delete")) await remove(target.closest(".entry"));
}

/** The cursor goes to the neighbour, so that a keyboard is not lost. */
async function remove(item) {
  const neighbour = item.nextElementSibling ?? item.previousElementSibling;
  await forget(item.dataset.id);
  await refresh();
  const next = neighbour && byId("entries").querySelector(`[data-id="${CSS.escape(neighbour.dataset.id)}"] .entry-delete`);
  (next ?? byId("word")).focus();
  announce("shelf.deleted");
}

async function clearShelf() {
  if ((await answerOf("clear-dialog")) !== "clear") return;
  await forgetAll();
  await refresh();
  byId("word").focus();
  announce("shelf.deleted");
}
