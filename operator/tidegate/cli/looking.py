"""The verbs that read: get, list, status, history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from tidegate.api import names
from tidegate.cli import experiments
from tidegate.cli.drawing import draw
from tidegate.cli.mirror import Mirror, following
from tidegate.cli.printing import Output, age, coloured, dump, echo, note, paint, span, table
from tidegate.cli.screen import Screen, next_picture
from tidegate.cli.session import Obj, Session, visit
from tidegate.cli.told import Told
from tidegate.cli.words import Where
from tidegate.core.times import parse_time
from tidegate.core.view.history import history as releases_of
from tidegate.core.view.outcome import Outcome, canary_weight, judge, strategy_word
from tidegate.core.view.phase import shown_phase, step_index, steps_of
from tidegate.core.view.tree import RolloutView, images_of, picture

HEALTHY, UNDONE, PERSON, LIMIT = 0, 1, 2, 3
"""How `status` ends."""


# -- get ---------------------------------------------------------------------------------------------------------------


def get(where: Where, name: str, output: Output | None, watch: bool) -> None:
    """Show a Rollout's tree."""
    visit(where, lambda session: _get_rollout(session, name, output, watch))


async def _get_rollout(session: Session, name: str, output: Output | None, watch: bool) -> None:
    rollout = await session.get(names.ROLLOUT, name)
    if output is Output.name:
        echo(f"rollout.{names.GROUP}/{name}")
        return
    if watch:
        await _watch_rollout(session, rollout, output)
        return
    notes: list[str] = []
    sets = await session.all("ReplicaSet", names.POD_TEMPLATE_HASH)
    pods = await session.list_if_allowed("Pod", names.POD_TEMPLATE_HASH, notes)
    runs = await session.list_if_allowed(names.ANALYSIS_RUN, "", notes)
    runs += await session.list_if_allowed("Experiment")
    view = picture(rollout, sets, pods, runs, workload_generation=await _workload_generation(session, rollout))
    _show(view, notes, output)


async def _workload_generation(session: Session, rollout: Obj) -> int | None:
    workload = await session.workload(rollout)
    return None if workload is None else workload["metadata"].get("generation")


def _show(view: RolloutView, notes: list[str], output: Output | None) -> None:
    if output in (Output.json, Output.yaml):
        dump(asdict(view), output)
        return
    echo(draw(view, notes, wide=output is Output.wide))


async def _watch_rollout(session: Session, rollout: Obj, output: Output | None) -> None:
    changed = asyncio.Event()
    name = rollout["metadata"]["name"]
    label = names.POD_TEMPLATE_HASH
    rollouts = Mirror(session, names.ROLLOUT, changed, name=name, needed=True)
    sets = Mirror(session, "ReplicaSet", changed, label=label, needed=True)
    pods = Mirror(session, "Pod", changed, label=label, needed=False)
    runs = Mirror(session, names.ANALYSIS_RUN, changed, needed=False)
    experiments = Mirror(session, "Experiment", changed, needed=False)
    mirrors = [rollouts, sets, pods, runs, experiments]
    screen = Screen()
    async with following(mirrors):
        while rollouts.objects:
            changed.clear()
            for mirror in mirrors:
                mirror.check()
            view = picture(rollouts.objects[0], sets.objects, pods.objects, [*runs.objects, *experiments.objects])
            lost = [f"out of touch: {mirror.lost}" for mirror in mirrors if mirror.lost]
            if output in (Output.json, Output.yaml):
                dump(asdict(view), output)
            else:
                screen.show(draw(view, dict.fromkeys(lost), wide=output is Output.wide))
            await next_picture(changed, tick=output is None and coloured())
    echo(f"Rollout {name} has been deleted")


# -- list --------------------------------------------------------------------------------------------------------------


def list_all(where: Where, kind: str, output: Output | None, selector: str) -> None:
    """Show all Rollouts, or Experiments, in columns."""
    visit(where, lambda session: _list(session, kind, output, selector))


async def _list(session: Session, kind: str, output: Output | None, selector: str) -> None:
    found = sorted(await session.all(kind, selector), key=lambda o: (o["metadata"]["namespace"], o["metadata"]["name"]))
    rows = [_row(obj) if kind == names.ROLLOUT else experiments.row(obj) for obj in found]
    if output in (Output.json, Output.yaml):
        dump({"items": rows}, output)
        return
    if output is Output.name:
        for row in rows:
            echo(f"{kind.lower()}.{names.GROUP}/{row['name']}")
        return
    if not rows:
        note(f"No {kind}s found in {session.namespace or 'any'} namespace.")
        return
    hidden = {"message", "images"} if output is not Output.wide else set()
    shown = [{k: v for k, v in row.items() if k not in hidden} for row in rows]
    if session.namespace:
        shown = [{k: v for k, v in row.items() if k != "namespace"} for row in shown]
    head = [_HEADS.get(key, key.upper()) for key in shown[0]]
    table(head, [[_cell(key, value) for key, value in row.items()] for row in shown])


_HEADS: Final = {"created": "AGE"}


def _row(rollout: Obj) -> dict[str, Any]:
    status, metadata = rollout.get("status") or {}, rollout["metadata"]
    phase, message, _ = shown_phase(rollout)
    index = step_index(rollout)
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "strategy": strategy_word(rollout),
        "status": phase,
        "step": "" if index is None else f"{index}/{len(steps_of(rollout))}",
        "weight": canary_weight(rollout),
        "ready": f"{status.get('readyReplicas') or 0}/{rollout['spec'].get('replicas', 1)}",
        "desired": rollout["spec"].get("replicas", 1),
        "updated": status.get("updatedReplicas") or 0,
        "available": status.get("availableReplicas") or 0,
        "created": metadata.get("creationTimestamp", ""),
        "message": message,
        "images": list(images_of(rollout["spec"].get("template") or {})),
    }


def _cell(key: str, value: object) -> str:
    if key == "created":
        return age(str(value))
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "-" if value in (None, "") and key not in ("message",) else str(value)


# -- status ------------------------------------------------------------------------------------------------------------


def status(where: Where, name: str, output: Output | None, timeout: float | None) -> int:
    """Follow an update to its end, or until it waits for a person; the exit code."""
    return visit(where, lambda session: _follow(session, name, output, timeout))


async def _follow(session: Session, name: str, output: Output | None, limit: float | None) -> int:
    rollout = await session.get(names.ROLLOUT, name)
    quiet = output in (Output.json, Output.yaml)
    changed = asyncio.Event()
    watched = Mirror(session, names.ROLLOUT, changed, name=name, needed=True)
    began = time.monotonic()
    followed, said, lost = "", "", ""
    outcome = judge(rollout)
    async with following([watched]):
        while True:
            changed.clear()
            watched.check()
            if watched.lost and watched.lost != lost:
                note(f"out of touch, trying again: {watched.lost}")
            lost = watched.lost
            if not watched.objects:
                raise Told(f"Rollout {name} was deleted while it was being followed", UNDONE)
            rollout = watched.objects[0]
            generation = await _workload_generation(session, rollout)
            outcome = judge(rollout, followed=followed, workload_generation=generation)
            if not followed and not shown_phase(rollout, generation).unseen:
                followed = (rollout.get("status") or {}).get("currentPodHash") or ""
            line = _line(outcome)
            if line != said:
                (note if quiet else echo)(f"{datetime.now(UTC):%H:%M:%S}  {line}")
                said = line
            over = limit is not None and time.monotonic() - began >= limit
            if outcome.verdict != "running" or over:
                break
            await _wait(changed, limit, began)
    if outcome.verdict == "undone":
        runs = await session.list_if_allowed(names.ANALYSIS_RUN)
        uid = rollout["metadata"]["uid"]
        own = [r for r in runs if any(o.get("uid") == uid for o in r["metadata"].get("ownerReferences") or ())]
        outcome = judge(rollout, own, followed=followed, workload_generation=generation)
    return _end(rollout, outcome, output, time.monotonic() - began)


async def _wait(changed: asyncio.Event, limit: float | None, began: float) -> None:
    """Until something changes, the time limit is reached, or a few seconds have passed (a workload may change too)."""
    left = 5.0 if limit is None else min(5.0, max(0.0, limit - (time.monotonic() - began)))
    try:
        async with asyncio.timeout(left):
            await changed.wait()
    except TimeoutError:
        return


def _line(outcome: Outcome) -> str:
    told = f"{paint(outcome.phase)}" + (f" - {outcome.message}" if outcome.message else "")
    return f"{told}: {outcome.progress}"


_ENDS: Final[Mapping[str, tuple[int, str]]] = {
    "healthy": (HEALTHY, "is healthy: the present version serves everybody"),
    "undone": (UNDONE, "did not make it"),
    "person": (PERSON, "waits for a person"),
    "running": (LIMIT, "is still under way at the time limit"),
}


def _end(rollout: Obj, outcome: Outcome, output: Output | None, seconds: float) -> int:
    code, words = _ENDS[outcome.verdict]
    name, state = rollout["metadata"]["name"], rollout.get("status") or {}
    if output in (Output.json, Output.yaml):
        dump(
            {
                "name": name,
                "namespace": rollout["metadata"]["namespace"],
                "verdict": outcome.verdict if code != LIMIT else "timeout",
                "exitCode": code,
                "phase": outcome.phase,
                "message": outcome.message,
                "reason": outcome.reason,
                "revision": (rollout["metadata"].get("annotations") or {}).get(names.REVISION, ""),
                "currentPodHash": state.get("currentPodHash", ""),
                "stableRS": state.get("stableRS", ""),
                "step": step_index(rollout),
                "weight": canary_weight(rollout),
                "followedSeconds": round(seconds, 1),
            },
            output,
        )
        return code
    reason = outcome.reason if outcome.verdict != "healthy" else ""
    echo(f"Rollout {name} {words}" + (f": {reason}" if reason else "") + f" (followed for {span(seconds)})")
    hints = {
        PERSON: f"`tidegate promote {name}` lets it go on, `tidegate abort {name}` undoes it.",
        LIMIT: f"It goes on by itself; `tidegate status {name}` follows it again.",
        UNDONE: f"`tidegate get {name}` shows what is there, `tidegate retry {name}` tries again after an abort.",
    }
    if code in hints:
        note(hints[code])
    return code


# -- history -----------------------------------------------------------------------------------------------------------


def history(where: Where, name: str, output: Output | None) -> None:
    """Show the releases of a Rollout."""
    visit(where, lambda session: _history(session, name, output))


async def _history(session: Session, name: str, output: Output | None) -> None:
    rollout = await session.get(names.ROLLOUT, name)
    notes: list[str] = []
    sets = await session.all("ReplicaSet", names.POD_TEMPLATE_HASH)
    runs = await session.list_if_allowed(names.ANALYSIS_RUN, "", notes)
    events = await session.list_if_allowed_events(name, notes)
    releases = releases_of(rollout, sets, runs, events)
    if output in (Output.json, Output.yaml):
        dump({"items": [asdict(release) for release in releases]}, output)
        return
    if output is Output.name:
        for release in releases:
            echo(str(release.revision))
        return
    rows = []
    for release in releases:
        reason = release.reason if output is Output.wide or len(release.reason) <= 90 else release.reason[:89] + "…"
        rows.append(
            (
                str(release.revision),
                release.outcome,
                "-" if release.seconds is None else span(release.seconds),
                _when(release.started),
                "stable" if release.stable else "",
                ",".join(release.images),
                reason.replace("\n", " "),
            )
        )
    table(("REVISION", "OUTCOME", "DURATION", "STARTED", "", "IMAGES", "REASON"), rows)
    for text in notes:
        note(f"note: {text}")


def _when(text: str) -> str:
    try:
        return f"{parse_time(text):%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return "-"
