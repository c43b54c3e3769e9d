// Building the page. Everything is put in as text: no markup is ever made of what a cluster says.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const byId = (id) => document.getElementById(id);

// Swap what is in `place`, and keep what a person was doing there: the focus, and which details stand open.
export function renew(place, ...children) {
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset?.key : undefined;
  const open = new Set([...place.querySelectorAll("details[open][data-key]")].map((node) => node.dataset.key));
  place.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const node of place.querySelectorAll("details[data-key]")) if (open.has(node.dataset.key)) node.open = true;
  if (focused) [...place.querySelectorAll("[data-key]")].find((node) => node.dataset.key === focused)?.focus({ preventScroll: true });
}

const MARKS = {
  Healthy: ["✔", "good"], Successful: ["✔", "good"], Promoted: ["✔", "good"], FastPromoted: ["✔", "good"], safe: ["✔", "good"],
  Progressing: ["⟳", "moving"], Running: ["⟳", "moving"], Pending: ["◌", "moving"],
  Paused: ["❚❚", "waiting"], Inconclusive: ["?", "waiting"], Superseded: ["↷", "waiting"], RolledBack: ["↶", "waiting"], FastRolledBack: ["↶", "waiting"],
  Degraded: ["✖", "bad"], Aborted: ["✖", "bad"], Failed: ["✖", "bad"], Error: ["▲", "bad"], worse: ["✖", "bad"],
};

// A state by sign, word and colour: each alone is enough.
export function badge(word) {
  const [mark, kind] = MARKS[word] ?? ["·", "plain"];
  return h("span", { class: `badge ${kind}` }, h("span", { class: "mark", "aria-hidden": "true" }, mark), word || "unknown");
}

export function moment(text) {
  const at = new Date(text);
  if (!text || Number.isNaN(at.getTime())) return "";
  const today = at.toDateString() === new Date().toDateString();
  const shown = today ? at.toLocaleTimeString() : at.toLocaleString([], { dateStyle: "short", timeStyle: "short" });
  return h("time", { datetime: text, title: at.toLocaleString() }, shown);
}

export function lasting(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

export const round = (value) => Number(Number(value).toPrecision(4)).toLocaleString();
export const percent = (part) => `${Number((100 * part).toFixed(3)).toLocaleString()} %`;

// A bar beside its number. Width is set through the style object, which the content policy allows.
export function bar(part, kind, label) {
  const inner = h("span", { class: `fill ${kind}` });
  inner.style.width = `${Math.max(0, Math.min(100, part))}%`;
  return h("span", { class: "bar", role: "img", "aria-label": label }, inner);
}

export function table(caption, heads, rows, key) {
  const head = h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)));
  const body = rows.map((cells) => h("tr", {}, cells.map((cell, at) => (at ? h("td", {}, cell) : h("th", { scope: "row" }, cell)))));
  const made = h("table", { class: "small" }, h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, body));
  return h("details", { "data-key": key }, h("summary", { "data-key": `${key} summary` }, "As a table"), h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, made));
}
