// One Rollout in full, live, with its buttons.

import { badge, bar, byId, h, lasting, moment, percent, renew, round } from "./dom.js";
import { evidence, measurements, weights } from "./charts.js";
import { call, connection, follow, tell } from "./talk.js";

export function showRollout(main, namespace, name, refused) {
  const places = Object.fromEntries(["head", "buttons", "steps", "traffic", "experiment", "analyses", "revisions", "events", "history"].map((id) => [id, h("section", { id, "aria-labelledby": `${id}-title` })]));
  places.head.removeAttribute("aria-labelledby");
  let shown = null;
  let skew = 0;
  document.title = `${name} - Tidegate`;
  renew(main, h("nav", { "aria-label": "Way back" }, h("a", { href: "/" }, "Rollouts"), " / ", h("a", { href: `/?namespace=${encodeURIComponent(namespace)}` }, namespace)), h("h1", {}, name), ...Object.values(places));

  const title = (id, text) => h("h2", { id: `${id}-title` }, text);
  const width = () => Math.max(280, Math.min(1080, (places.traffic.clientWidth || 700) - 34));
  const before = {};

  // Draw a part anew only when what it shows has changed: focus and reading position stay where they are.
  function part(id, data, make) {
    const text = JSON.stringify([data, width()]);
    if (before[id] === text) return;
    before[id] = text;
    const made = make(data);
    places[id].hidden = made === null;
    if (made !== null) renew(places[id], made);
  }

  function draw() {
    if (!shown) return;
    if (shown.missing) {
      for (const place of Object.values(places)) place.replaceChildren();
      for (const id of Object.keys(before)) delete before[id];
      if (shown.ready) renew(places.head, h("p", { class: "callout" }, `There is no Rollout ${name} in namespace ${namespace}.`));
      return;
    }
    const { phase, message, waits, asides, notes, weight, pods, strategy } = shown;
    part("head", { phase, message, waits, asides, notes, weight, pods, strategy }, head);
    buttons(shown.actions);
    part("steps", shown.plan, steps);
    traffic();
    part("experiment", shown.experiment, experiment);
    part("analyses", shown.runs, analyses);
    part("revisions", shown.revisions, revisions);
    part("events", shown.events, events);
    part("history", shown.history, releases);
  }

  function head(data) {
    const facts = [["Strategy", data.strategy], ["Pods", `${data.pods.desired} wanted, ${data.pods.available} available, ${data.pods.updated} of the new version`], data.weight !== null && ["Weight", `${data.weight} to the canary, as the route shows it`]].filter(Boolean);
    return [
      h("p", { class: "state", role: "status" }, badge(data.phase), data.message && h("span", {}, data.message)),
      data.waits && h("p", { class: "callout waiting" }, h("strong", {}, "Waits for a person: "), data.waits, "."),
      data.asides.map((text) => h("p", { class: "callout bad" }, text)),
      h("dl", { class: "facts" }, facts.map(([term, text]) => h("div", {}, h("dt", {}, term), h("dd", {}, text)))),
      data.notes.map((text) => h("p", { class: "quiet" }, text)),
    ];
  }

  // Buttons stay the same elements, in the same place: what a finger or the focus is on must not move away.
  const made = new Map();
  function buttons(actions) {
    if (!made.size) places.buttons.append(title("buttons", "Actions"), h("div", { class: "buttons", role: "group", "aria-labelledby": "buttons-title" }), h("p", { class: "quiet", id: "may-not", hidden: true }));
    const group = places.buttons.querySelector(".buttons");
    for (const action of actions) {
      let button = made.get(action.name);
      if (!button) {
        button = h("button", { type: "button", id: `do-${action.name}`, "data-key": action.name, class: { promote: "main", abort: "danger" }[action.name] ?? "" }, action.label);
        button.addEventListener("click", () => press(button.action));
        made.set(action.name, button);
        group.append(button);
      }
      button.action = action;
      button.setAttribute("aria-disabled", String(!action.possible));
      button.title = action.possible ? action.means : action.why;
      button.hidden = false;
    }
    for (const [id, button] of made) {
      if (actions.some((action) => action.name === id)) continue;
      const other = made.get(id === "pause" ? "resume" : "pause");
      if (document.activeElement === button) other?.focus();
      button.hidden = true;
    }
    const barred = actions.filter((action) => !action.allowed);
    const note = byId("may-not");
    note.hidden = !barred.length;
    note.textContent = barred.length === actions.length ? "You may look, and no more: your rights have no patch of Rollouts here." : barred.length ? `Not with your rights: ${barred.map((action) => action.label).join(", ")}.` : "";
  }

  async function press(action) {
    if (!action.possible) return tell(`${action.label}: ${action.why}`, true);
    const body = { seen: action.seen, revision: 0 };
    if (action.ask && !(await sure(action, body))) return undefined;
    try {
      tell((await call("POST", `/api/rollouts/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/${action.name}`, body)).said);
    } catch (error) {
      if (error.signIn) return refused(error);
      tell(error.message, true);
    }
    return undefined;
  }

  function sure(action, body) {
    const dialog = byId("sure");
    byId("sure-title").textContent = `${action.label}: ${name}`;
    byId("sure-means").textContent = action.means;
    byId("sure-yes").textContent = action.label;
    byId("sure-yes").className = action.name === "abort" ? "danger" : "main";
    const choice = action.revisions && h("select", { id: "to-revision" }, action.revisions.map((one) => h("option", { value: one.revision }, `${one.revision}: ${one.images.join(", ")}`)));
    byId("sure-more").replaceChildren(...(choice ? [h("label", { for: "to-revision" }, "Go back to revision"), choice] : []));
    return new Promise((resolve) => {
      let answer = false;
      byId("sure-yes").onclick = () => {
        answer = true;
        if (choice) body.revision = Number(choice.value);
        dialog.close();
      };
      byId("sure-no").onclick = () => dialog.close();
      // A dialog tells of its end a moment later. Whoever was asked again by then has not answered yet.
      dialog.onclose = () => dialog.open || resolve(answer);
      dialog.showModal();
      (choice ?? byId("sure-yes")).focus();
    });
  }

  function steps(plan) {
    if (!plan.length) return null;
    const signs = { done: "✔", now: "▶", next: "○" };
    const items = plan.map((step) =>
      h("li", { class: step.state, "aria-current": step.state === "now" && "step" }, h("span", { class: "mark", "aria-hidden": "true" }, signs[step.state]), h("span", {}, step.words), h("span", { class: "hidden" }, `, ${{ done: "done", now: "under way", next: "still to come" }[step.state]}`), step.until && h("span", { class: "quiet" }, "until ", moment(step.until))),
    );
    const done = plan.filter((step) => step.state === "done").length;
    return [title("steps", `Steps: ${done} of ${plan.length} done`), h("ol", { class: "steps" }, items)];
  }

  function traffic() {
    const now = Date.now() + skew;
    part("traffic", { trail: shown.trail, numbers: shown.numbers, now: Math.round(now / 10000) }, (data) => [title("traffic", "Traffic of the new version"), weights(width(), data.trail, data.numbers, now), h("p", { class: "quiet" }, "As seen since this page’s server began, and as the status tells.")]);
  }

  function experiment(one) {
    if (!one) return null;
    const weighed = one.versions.some((version) => version.weight !== null);
    const rows = one.versions.map((version) => h("tr", {}, h("th", { scope: "row" }, version.name), h("td", {}, badge(version.status)), weighed && h("td", {}, version.weight === null ? "none" : `${version.weight} %`), h("td", {}, `${version.available} of ${version.replicas} available`), h("td", {}, version.message)));
    const heads = ["Version", "State", weighed && "Users", "Pods", "Message"].filter(Boolean);
    const ran = one.analyses.map((run) => h("li", {}, badge(run.phase), " ", h("span", { class: "name" }, run.name), h("span", {}, run.message && `: ${run.message}`)));
    return [title("experiment", "Experiment"), h("p", {}, badge(one.phase), " ", h("span", { class: "name" }, one.name), one.message && `: ${one.message}`),
      h("div", { class: "wide", tabindex: "0", role: "region", "aria-labelledby": "experiment-title" }, h("table", { class: "small" }, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows))), ran.length > 0 && h("ul", { class: "pods" }, ran)];
  }

  function analyses(runs) {
    if (!runs.length) return null;
    return [title("analyses", "Analyses"), runs.map((run, at) => {
      const key = `run ${run.name}`;
      return h("details", { "data-key": key, open: at === 0 || run.phase === "Running" }, h("summary", { "data-key": `${key} summary` }, badge(run.phase), " ", h("span", { class: "name" }, run.name), h("span", { class: "quiet" }, [run.type, run.revision && `revision ${run.revision}`].filter(Boolean).join(", "))),
        run.message && h("p", {}, run.message), run.judge && h("p", {}, run.judge), run.metrics.map((metric) => oneMetric(metric, `${key} ${metric.name}`)));
    })];
  }

  function oneMetric(metric, key) {
    const asks = [metric.success && ["passes if ", h("code", {}, metric.success)], metric.failure && ["fails if ", h("code", {}, metric.failure)]].filter(Boolean);
    return h("article", { class: "metric" }, h("h3", {}, metric.name, " ", badge(metric.phase), metric.dryRun && h("span", { class: "quiet" }, "dry run: decides nothing")),
      asks.length > 0 && h("p", { class: "quiet" }, asks.map((one, at) => [at ? ", " : "", one])), metric.message && h("p", {}, metric.message),
      metric.compare && comparison(metric.compare, metric.name, key), metric.compare?.trail.length ? null : measurements(width() - 34, metric, `${key} values`));
  }

  function comparison(compare, metric, key) {
    const worst = Math.max(...compare.rates.map((rate) => 1 - rate.success), 1e-9);
    const rates = compare.rates.length > 0 && h("dl", { class: "arms" }, compare.rates.map((rate) => h("div", {}, h("dt", {}, rate.arm), h("dd", {}, h("strong", {}, percent(rate.success)), " succeed of ", rate.requests.toLocaleString(), " requests, ", percent(1 - rate.success), " fail ", bar((100 * (1 - rate.success)) / worst, rate.arm, `${percent(1 - rate.success)} fail`)))));
    const others = compare.rates.length === 0 && compare.arms.length > 0 && h("dl", { class: "arms" }, compare.arms.map((arm) => h("div", {}, h("dt", {}, arm.name), h("dd", {}, arm.figures.map(([field, value]) => `${field} ${round(value)}`).join(", ")))));
    const ends = [compare.ratio.lower !== undefined && `at least ${round(compare.ratio.lower)}`, compare.ratio.upper !== undefined && `at most ${round(compare.ratio.upper)}`].filter(Boolean);
    const ratio = compare.ratio.value !== undefined && h("p", {}, `The canary has ${round(compare.ratio.value)} times as much as stable${ends.length ? `: surely ${ends.join(" and ")}` : ""}.`);
    return [h("p", {}, badge(compare.verdict), " ", compare.message), rates, others, ratio, compare.cautions.map((text) => h("p", { class: "quiet" }, text)), evidence(width() - 34, compare, metric, `${key} evidence`)];
  }

  function revisions(list) {
    if (!list.length) return null;
    return [title("revisions", "Revisions"), list.map((revision) => {
      const key = `revision ${revision.replica_set}`;
      const roles = revision.roles.map((role) => h("span", { class: `role ${role}` }, role));
      const pods = revision.pods.map((pod) => h("li", {}, h("span", { class: "name" }, pod.name), ` ${pod.status}, ${pod.ready} ready`, pod.restarts > 0 && `, ${pod.restarts} restart${pod.restarts === 1 ? "" : "s"}`));
      return h("details", { "data-key": key, open: revision.roles.length > 0 }, h("summary", { "data-key": `${key} summary` }, `Revision ${revision.revision} `, roles, revision.weight !== null && h("span", { class: "quiet" }, `${revision.weight} % of the traffic`)),
        h("p", { class: "name" }, revision.images.join(", ")), h("p", { class: "quiet" }, `${revision.available} of ${revision.replicas} pods available. ReplicaSet ${revision.replica_set}`, revision.deadline && [", goes at ", moment(revision.deadline)]), pods.length > 0 && h("ul", { class: "pods" }, pods));
    })];
  }

  function events(list) {
    if (!list.length) return null;
    const line = (event) => h("li", { class: event.type === "Warning" ? "bad" : "" }, moment(event.at), h("strong", {}, event.type === "Warning" && h("span", { class: "mark", role: "img", "aria-label": "warning" }, "▲"), event.reason), h("span", {}, event.message, event.count > 1 && ` (${event.count} times)`));
    const [latest, earlier] = [list.slice(0, 12), list.slice(12)];
    return [title("events", "Events"), h("ul", { class: "events" }, latest.map(line)), earlier.length > 0 && h("details", { "data-key": "earlier" }, h("summary", { "data-key": "earlier summary" }, `${earlier.length} earlier`), h("ul", { class: "events" }, earlier.map(line)))];
  }

  function releases(list) {
    if (!list.length) return null;
    const rows = list.map((one) => h("tr", {}, h("th", { scope: "row" }, one.revision), h("td", {}, badge(one.outcome)), h("td", {}, lasting(one.seconds)), h("td", {}, one.images.join(", ")), h("td", {}, one.reason)));
    return [title("history", "Releases"), h("div", { class: "wide", tabindex: "0", role: "region", "aria-labelledby": "history-title" }, h("table", { class: "small" }, h("thead", {}, h("tr", {}, ["Revision", "Outcome", "Took", "Images", "Reason"].map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows)))];
  }

  follow(`/api/rollouts/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`, {
    whole: (data) => {
      shown = data;
      if (data.now) skew = Date.parse(data.now) - Date.now();
      connection(data.lost ?? "");
      draw();
    },
    refused,
  });
  let resized = 0;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(draw, 150);
  });
  setInterval(() => shown && !shown.missing && traffic(), 10000);
  main.focus({ preventScroll: true });
}
