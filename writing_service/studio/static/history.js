// The pictures that this browser keeps, in IndexedDB. Nothing of them leaves it.

export const MOST = 100;

const THUMBNAIL = 192; // Pixels of the longer side.
const STORE = "pictures";

let database = null;

/** Whether there is anything to keep pictures in: some browsers forbid it in private windows. */
export async function open() {
  database = await opened().catch(() => null);
  return database !== null;
}

/** All entries, the latest first. */
export async function all() {
  if (!database) return [];
  const entries = await done(store("readonly").getAll());
  return entries.sort((one, other) => other.madeAt.localeCompare(one.madeAt));
}

/** Keeps an entry, and lets the oldest go where there are too many. Gives false where there is no room. */
export async function keep(entry) {
  if (!database) return true; // Said once, when the page opens.
  const kept = { ...entry, thumbnail: await thumbnail(entry.files[0]) };
  try {
    await done(store("readwrite").put(kept));
  } catch (error) {
    if (error.name !== "QuotaExceededError") throw error;
    return false;
  }
  for (const old of (await all()).slice(MOST)) await forget(old.id);
  return true;
}

export async function forget(id) {
  await done(store("readwrite").delete(id));
}

export async function forgetAll() {
  await done(store("readwrite").clear());
}

function opened() {
  const request = indexedDB.open("writing-studio", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
  return done(request);
}

function store(mode) {
  return database.transaction(STORE, mode).objectStore(STORE);
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function thumbnail(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, THUMBNAIL / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, bitmap.width * scale), Math.max(1, bitmap.height * scale)];
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/webp", 0.85));
}
