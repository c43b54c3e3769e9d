// All Rollouts, live.

import { badge, bar, byId, h, renew } from "./dom.js";
import { connection, follow } from "./talk.js";

const STATES = ["Degraded", "Paused", "Progressing", "Healthy"];

export function showList(main, refused) {
  const rows = new Map();
  const given = new URLSearchParams(location.search);
  const namespace = h("select", { id: "namespace", onchange: chosen }, h("option", { value: "" }, "All namespaces"));
  const state = h("select", { id: "state", onchange: draw }, h("option", { value: "" }, "Any state"), h("option", { value: "waits" }, "Waits for a person"), STATES.map((word) => h("option", {}, word)));
  const words = h("input", { id: "search", type: "search", value: given.get("search") ?? "", oninput: draw, placeholder: "name or message" });
  const sum = h("p", { id: "sum", class: "quiet" }, "Waiting for the first list…");
  const body = h("tbody", { role: "rowgroup" });
  const heads = ["Rollout", "State", "Step", "New version’s traffic", "Pods"].map((text) => h("th", { scope: "col", role: "columnheader" }, text));
  const list = h("table", { class: "rollouts", role: "table", "aria-labelledby": "title", "aria-describedby": "sum" }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)), body);
  const filters = h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
    h("label", { for: "namespace" }, "Namespace", namespace), h("label", { for: "state" }, "State", state), h("label", { for: "search" }, "Search", words));
  document.title = "Rollouts - Tidegate";
  renew(main, h("h1", { id: "title" }, "Rollouts"), filters, sum, list);

  const key = (row) => `${row.namespace}/${row.name}`;

  function chosen() {
    const to = new URL(location.href);
    if (namespace.value) to.searchParams.set("namespace", namespace.value);
    else to.searchParams.delete("namespace");
    history.replaceState(null, "", to);
    draw();
  }

  function choices() {
    const wanted = namespace.value || given.get("namespace") || "";
    const known = [...new Set([...[...rows.values()].map((row) => row.namespace), ...(wanted ? [wanted] : [])])].sort();
    if (known.join() === [...namespace.options].slice(1).map((option) => option.value).join()) return;
    namespace.replaceChildren(namespace.options[0], ...known.map((name) => h("option", { value: name }, name)));
    namespace.value = wanted;
    given.delete("namespace");
  }

  function fits(row) {
    if (namespace.value && row.namespace !== namespace.value) return false;
    if (state.value === "waits" ? !row.waits : state.value && row.phase !== state.value) return false;
    const sought = words.value.trim().toLowerCase();
    return !sought || `${key(row)} ${row.message} ${row.waits}`.toLowerCase().includes(sought);
  }

  function draw() {
    choices();
    const shown = [...rows.values()].filter(fits).sort((a, b) => key(a).localeCompare(key(b)));
    const present = new Map([...body.children].map((node) => [node.dataset.row, node]));
    const nodes = shown.map((row) => {
      const text = JSON.stringify(row);
      const known = present.get(key(row));
      if (known?.text === text) return known;
      const node = known ?? h("tr", { role: "row", "data-row": key(row) });
      node.text = text;
      renew(node, line(row));
      return node;
    });
    if (nodes.length !== body.children.length || nodes.some((node, at) => node !== body.children[at])) renew(body, nodes);
    sum.textContent = told(shown, rows.size);
    list.hidden = !shown.length;
  }

  follow("/api/rollouts", {
    all: (data) => {
      rows.clear();
      for (const row of data.rows) rows.set(key(row), row);
      connection(data.lost);
      if (data.ready) draw();
    },
    row: (row) => {
      rows.set(key(row), row);
      draw();
    },
    gone: (row) => {
      rows.delete(key(row));
      draw();
    },
    refused,
  });
  byId("main").focus({ preventScroll: true });
}

function told(shown, all) {
  if (!all) return "There are no Rollouts that you may see.";
  const waiting = shown.filter((row) => row.waits).length;
  const bad = shown.filter((row) => row.phase === "Degraded").length;
  const moving = shown.filter((row) => row.phase === "Progressing").length;
  const parts = [waiting && `${waiting} wait${waiting === 1 ? "s" : ""} for a person`, bad && `${bad} degraded`, moving && `${moving} moving`].filter(Boolean);
  const count = shown.length === all ? `${all} Rollout${all === 1 ? "" : "s"}` : `${shown.length} of ${all} Rollouts`;
  return parts.length ? `${count}: ${parts.join(", ")}.` : `${count}.`;
}

function cell(label, ...children) {
  return h("td", { role: "cell", "data-label": label }, children);
}

function line(row) {
  const to = `/rollouts/${encodeURIComponent(row.namespace)}/${encodeURIComponent(row.name)}`;
  const name = h("th", { scope: "row", role: "rowheader" }, h("a", { href: to, "data-key": to }, row.name), h("span", { class: "quiet" }, row.namespace));
  const why = row.waits || row.message;
  const step = row.step === null ? row.strategy : row.step >= row.steps ? `all ${row.steps} done` : `${row.step + 1} of ${row.steps}`;
  const share = row.share === null ? "" : [bar(row.share, row.updating ? "canary" : "stable", `${row.share} percent`), h("span", { class: "number" }, `${row.share} %`)];
  return [name, cell("State", badge(row.phase), why && h("span", { class: "why" }, why)), cell("Step", step), cell("New version’s traffic", h("span", { class: "share" }, share)), cell("Pods", `${row.available}/${row.desired}`)];
}
