// Charts by hand, as SVG. Lines differ by dash and mark, not by colour alone; each chart has its numbers as a table.

import { h, moment, round, s, table } from "./dom.js";

const HEIGHT = 170;
const LEFT = 54;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 26;

function frame(width, label, ticks, y) {
  const lines = ticks.map(([value, text]) => [
    s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
    s("text", { class: "axis", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, text),
  ]);
  return s("svg", { class: "chart", role: "img", "aria-label": label, width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` }, lines);
}

const scale = (from, to, low, high) => (value) => low + ((value - from) / (to - from || 1)) * (high - low);

function clock(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

function times(svg, width, from, to) {
  svg.append(
    s("text", { class: "axis", x: LEFT, y: HEIGHT - 6 }, clock(from)),
    s("text", { class: "axis", x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, clock(to)),
  );
}

// The new version's share of the traffic over time, a line for each version.
export function weights(width, points, numbers, now) {
  if (!points.length) return h("p", { class: "quiet" }, "Nothing has been seen yet.");
  const moments = points.map((point) => Date.parse(point.at));
  const from = moments[0];
  const to = Math.max(now, moments.at(-1) + 1000, from + 10000);
  const x = scale(from, to, LEFT, width - RIGHT);
  const y = scale(0, 100, HEIGHT - BOTTOM, TOP);
  const name = (hash) => (numbers[hash] ? `revision ${numbers[hash]}` : hash);
  const last = points.at(-1);
  const svg = frame(width, `Traffic of the new version over time; now ${last.share} percent to ${name(last.hash)}`, [[0, "0 %"], [50, "50 %"], [100, "100 %"]], y);
  let start = 0;
  for (let at = 1; at <= points.length; at += 1) {
    if (at < points.length && points[at].hash === points[start].hash) continue;
    const end = at < points.length ? moments[at] : to;
    let line = `M${x(moments[start])} ${y(points[start].share)}`;
    for (let one = start + 1; one < at; one += 1) line += `H${x(moments[one])}V${y(points[one].share)}`;
    line += `H${x(end)}`;
    const current = at === points.length;
    svg.append(
      s("path", { class: `area ${current ? "canary" : "stable"}`, d: `${line}V${y(0)}H${x(moments[start])}Z` }),
      s("path", { class: `line ${current ? "canary" : "stable"}`, d: line }),
    );
    const room = x(end) - x(moments[start]);
    if (room > 70) svg.append(s("text", { class: "name", x: x(moments[start]) + 6, y: points[start].share > 50 ? y(0) - 8 : TOP + 12 }, name(points[start].hash)));
    start = at;
  }
  times(svg, width, from, to);
  const rows = points.map((point) => [moment(point.at), name(point.hash), `${point.share} %`]);
  return [svg, table("Traffic of the new version", ["From", "Version", "Traffic"], rows, "weights")];
}

const SIGNS = { Successful: "●", Failed: "✖", Error: "▲", Inconclusive: "◆" };

// What a metric has measured: each value by the sign of its phase, and the line that its condition draws.
export function measurements(width, metric, key) {
  const points = metric.points.filter((point) => point.at);
  const rows = points.map((point) => [moment(point.at), point.phase, point.values.map(round).join(", ") || "-", point.said]);
  const numbers = table(`Measurements of ${metric.name}`, ["At", "Phase", "Value", "Message"], rows, key);
  const drawn = points.filter((point) => point.values.length);
  if (!drawn.length) return points.length ? [h("p", { class: "quiet" }, "No measurement is a number."), numbers] : [];
  const all = [...drawn.flatMap((point) => point.values), ...metric.limits];
  const room = (Math.max(...all) - Math.min(...all)) * 0.12 || Math.abs(all[0]) * 0.1 || 1;
  const [low, high] = [Math.min(...all) - room, Math.max(...all) + room];
  const moments = drawn.map((point) => Date.parse(point.at));
  const from = Math.min(...moments);
  const to = Math.max(...moments, from + 1000);
  const x = scale(from, to, LEFT + 8, width - RIGHT - 8);
  const y = scale(low, high, HEIGHT - BOTTOM, TOP);
  const last = drawn.at(-1);
  const svg = frame(width, `${metric.name}: ${drawn.length} measurements, the last ${last.values.map(round).join(", ")}, ${last.phase}`, [low + room, (low + high) / 2, high - room].map((value) => [value, round(value)]), y);
  for (const limit of metric.limits) {
    svg.append(s("line", { class: "limit", x1: LEFT, x2: width - RIGHT, y1: y(limit), y2: y(limit) }), s("text", { class: "name", x: width - RIGHT, y: y(limit) - 5, "text-anchor": "end" }, `limit ${round(limit)}`));
  }
  const series = Math.max(...drawn.map((point) => point.values.length));
  for (let one = 0; one < series; one += 1) {
    const mine = drawn.map((point, at) => [moments[at], point.values[one], point.phase]).filter(([, value]) => value !== undefined);
    svg.append(s("path", { class: `line ${one ? "second" : "stable"} thin`, d: mine.map(([at, value], index) => `${index ? "L" : "M"}${x(at)} ${y(value)}`).join("") }));
    for (const [at, value, phase] of mine) svg.append(s("text", { class: `dot ${phase}`, x: x(at), y: y(value) + 4, "text-anchor": "middle" }, SIGNS[phase] ?? "○"));
  }
  times(svg, width, from, to);
  return [svg, numbers];
}

// The judge's evidence at each look, as a share of what settles the question.
export function evidence(width, compare, name, key) {
  const trail = compare.trail;
  if (trail.length < 2) return [];
  const values = trail.flatMap((point) => [point.worse, point.safe]);
  const [low, high] = [Math.min(-0.25, ...values), Math.max(1.15, ...values)];
  const x = scale(trail[0].look, trail.at(-1).look, LEFT, width - RIGHT);
  const y = scale(Math.max(low, -2), Math.min(high, 4), HEIGHT - BOTTOM, TOP);
  const kept = (value) => Math.max(-2, Math.min(4, value));
  const last = trail.at(-1);
  const svg = frame(width, `Evidence of ${name}: ${Math.round(100 * last.worse)} percent of what shows it worse, ${Math.round(100 * last.safe)} percent of what shows it safe`, [[0, "0"], [0.5, "½"], [1, "enough"]], y);
  svg.append(s("line", { class: "limit", x1: LEFT, x2: width - RIGHT, y1: y(1), y2: y(1) }));
  for (const [field, kind] of [["worse", "bad"], ["safe", "good"]]) {
    svg.append(s("path", { class: `line ${kind}`, d: trail.map((point, at) => `${at ? "L" : "M"}${x(point.look)} ${y(kept(point[field]))}`).join("") }));
  }
  svg.append(s("text", { class: "axis", x: LEFT, y: HEIGHT - 6 }, `look ${trail[0].look}`), s("text", { class: "axis", x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, `look ${last.look}`));
  const legend = h("p", { class: "legend" }, sample("bad"), "evidence that it is worse", sample("good"), "evidence that it is safe");
  const rows = trail.map((point) => [point.look, `${Math.round(100 * point.worse)} %`, `${Math.round(100 * point.safe)} %`]);
  return [svg, legend, table(`Evidence of ${name}, of what is enough`, ["Look", "Worse", "Safe"], rows, key)];
}

const sample = (kind) => s("svg", { class: "sample", width: 28, height: 10, "aria-hidden": "true" }, s("path", { class: `line ${kind}`, d: "M0 5H28" }));
