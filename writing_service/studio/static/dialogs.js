// Questions that hold everything else up.

import { byId } from "./page.js";
import { useKey } from "./service.js";

/** Asks, and gives the value of the button that closed the dialog, "" for Escape. */
export function answerOf(id) {
  const dialog = byId(id);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }));
}

/** Asks for the API key and keeps it; false when none was given. */
export async function askForKey() {
  byId("key-input").value = "";
  const used = (await answerOf("key-dialog")) === "use";
  if (used) useKey(byId("key-input").value.trim());
  return used;
}
