// The service's HTTP: options, jobs and how they go on. Knows nothing of the page.
//
// Addresses are relative to the page's own, so that it works behind a proxy under any path.

import { inTab } from "./storage.js";

const API = "../api/writing";
const SILENCE_MS = 40_000; // The service says something every 15 s; a line that is silent for so long is dead.
const STREAMS = 3; // After so many lost lines, polling is surer.
const RETRY_MS = 2_000;

/** An answer that is no success: its status (0: the service was not reached), its sentence, its fields. */
export class Problem extends Error {
  constructor(status, sentence, fields = [], retryAfter = null) {
    super(sentence || `HTTP ${status}`);
    this.status = status;
    this.sentence = sentence;
    this.fields = fields;
    this.retryAfter = retryAfter;
  }

  /** As the service tells it, in an answer or of a failed job. */
  static from(told, retryAfter = null) {
    return new Problem(told.status, told.detail, told.errors ?? [], retryAfter);
  }
}

/** What can be asked for. */
export async function options() {
  return (await json("GET", "/status")).result;
}

/** Begins a picture. `attempt` names this wish: sent twice, it is still one job. */
export function start(request, attempt) {
  return json("POST", "/jobs", request, { "Idempotency-Key": attempt });
}

/** A finished job with its result. Raises a Problem of status 404 when it has expired. */
export function finished(id) {
  return json("GET", `/jobs/${encodeURIComponent(id)}`);
}

/** A job's state without its result. */
export function state(id) {
  return json("GET", `/jobs/${encodeURIComponent(id)}?result=false`);
}

/** Stops exactly this job. */
export function cancel(id) {
  return json("DELETE", `/jobs/${encodeURIComponent(id)}`);
}

export function isOver(status) {
  return ["succeeded", "failed", "cancelled"].includes(status.state);
}

/**
 * A job's states as they change, the last one over. Reads the stream of events; where that breaks, it asks.
 * `onLost` is told whenever the service cannot be reached; it goes on trying.
 */
export async function* watch(id, onLost) {
  for (let streams = 0; ; streams += 1) {
    if (streams < STREAMS) {
      for await (const status of streamed(id)) {
        yield status;
        if (isOver(status)) return;
      }
    }
    const status = await asked(id, onLost);
    yield status;
    if (isOver(status)) return;
    await pause(status.poll_after_ms);
  }
}

export function useKey(key) {
  if (key) inTab.set("key", key);
  else inTab.remove("key");
}

export function hasKey() {
  return inTab.get("key") !== null;
}

/** Ends quietly when the line is lost. */
async function* streamed(id) {
  const line = new AbortController();
  let silence = setTimeout(() => line.abort(), SILENCE_MS);
  try {
    const response = await send("GET", `/jobs/${encodeURIComponent(id)}/events`, { signal: line.signal });
    for await (const event of eventsIn(response.body)) {
      clearTimeout(silence);
      silence = setTimeout(() => line.abort(), SILENCE_MS);
      if (event.data) yield parsed(event.data);
    }
  } catch (error) {
    if (!(error instanceof Problem || error instanceof TypeError || error.name === "AbortError")) throw error;
  } finally {
    clearTimeout(silence);
    line.abort();
  }
}

/** Server-Sent Events, comments among them as events without data. */
async function* eventsIn(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (pending + value).split(/\r?\n\r?\n/);
    pending = blocks.pop();
    for (const block of blocks) yield { data: dataOf(block) };
  }
}

function dataOf(block) {
  const lines = block.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice(5).trimStart()).join("\n");
}

async function asked(id, onLost) {
  for (;;) {
    try {
      return await state(id);
    } catch (error) {
      if (!(error instanceof Problem) || !isPassing(error)) throw error;
      onLost(error);
      await pause(error.retryAfter ? 1000 * error.retryAfter : RETRY_MS);
    }
  }
}

function isPassing(problem) {
  return problem.status === 0 || problem.status === 429 || problem.status >= 500;
}

async function json(method, path, body, headers = {}) {
  const response = await send(method, path, {
    body: body && JSON.stringify(body),
    headers: body ? { "Content-Type": "application/json", ...headers } : headers,
  });
  return parsed(await response.text());
}

/** Raises a Problem for whatever is no success. */
async function send(method, path, { headers = {}, ...rest } = {}) {
  const key = inTab.get("key");
  const allowed = key ? { Authorization: `Bearer ${key}`, ...headers } : headers;
  const response = await fetch(API + path, { method, headers: allowed, cache: "no-store", ...rest }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "");
  });
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  const seconds = Number(response.headers.get("Retry-After")) || null;
  const told = await response.json().catch(() => ({})); // A proxy's own page is no problem+json.
  return Problem.from({ ...told, status: response.status }, seconds);
}

/** Seeds go up to 2^63 - 1, beyond what JavaScript's numbers hold: large ones become strings. */
function parsed(source) {
  return JSON.parse(source.replace(/("seed(?:_used)?"\s*:\s*)(\d{16,})/g, '$1"$2"'));
}

function pause(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}
