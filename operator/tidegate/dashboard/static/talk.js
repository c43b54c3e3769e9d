// Between the page and its server: one stream at a time, and requests that only this page can make.

import { byId } from "./dom.js";

let stream = null;

export class Refused extends Error {
  constructor(status, body) {
    super(body.said ?? `The page's server answered ${status}.`);
    this.status = status;
    this.signIn = Boolean(body.signIn);
  }
}

export async function call(method, path, body) {
  const given = { method, credentials: "same-origin", headers: { Accept: "application/json" } };
  if (method !== "GET") {
    given.headers["Content-Type"] = "application/json";
    given.headers["X-Tidegate-Page"] = "1";
    given.body = JSON.stringify(body ?? {});
  }
  let answer;
  try {
    answer = await fetch(path, given);
  } catch {
    throw new Refused(0, { said: "The page's server does not answer. Is it still running?" });
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, said);
  return said;
}

export function connection(words) {
  const place = byId("connection");
  if (place.textContent !== words) place.textContent = words;
  place.hidden = !words;
}

export function close() {
  stream?.close();
  stream = null;
}

// Follow a stream. handlers: by event name; `refused` is told once and ends it.
export function follow(path, handlers) {
  close();
  const opened = new EventSource(path);
  stream = opened;
  const mine = (use) => (event) => {
    if (stream === opened) use(JSON.parse(event.data));
  };
  for (const [name, use] of Object.entries(handlers)) opened.addEventListener(name, mine(use));
  opened.addEventListener("refused", () => opened.close());
  opened.addEventListener("trouble", mine((data) => connection(data.said)));
  opened.addEventListener("open", () => stream === opened && connection(""));
  opened.addEventListener("error", () => {
    if (stream !== opened) return;
    connection("The connection is lost; what you see may be out of date. Trying again…");
    if (opened.readyState === EventSource.CLOSED) setTimeout(() => stream === opened && follow(path, handlers), 3000);
  });
}

// Said aloud by screen readers, and shown for a while.
let quiet = 0;
export function tell(words, bad = false) {
  const place = byId("told");
  place.className = bad ? "shown bad" : "shown";
  place.textContent = words;
  clearTimeout(quiet);
  quiet = setTimeout(() => {
    place.className = "";
    place.textContent = "";
  }, bad ? 15000 : 8000);
}
