"""A release as a trace: spans for itself, its steps with their pauses, and its analyses.

All times are those of the statuses, and all ids follow from the Rollout's uid, the revision and the start, so whoever
exports a release, and however often, exports the same trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from tidegate.api import names
from tidegate.core.times import parse_time

Obj = Mapping[str, Any]

_BAD: Final = frozenset(("Aborted", "FastRolledBack"))
_BAD_RUNS: Final = frozenset((names.RUN_FAILED, names.RUN_ERROR))


@dataclass(frozen=True, slots=True)
class Span:
    """One span. parent: the id of another, 0 for the release itself. problem: what went wrong; empty for nothing."""

    name: str
    trace: int
    id: int
    parent: int
    start: datetime
    end: datetime
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    problem: str = ""


def ended(rollout: Obj) -> datetime | None:
    """When the latest release of a Rollout ended; None while it goes on, and where nothing tells."""
    duration = (rollout.get("status") or {}).get("duration") or {}
    try:
        return parse_time(duration["finishedAt"]) if duration.get("finishedAt") else None
    except (ValueError, TypeError):  # Anybody may write a status.
        return None


def release_spans(rollout: Obj, runs: Sequence[Obj], team_label: str) -> list[Span]:
    """The spans of the latest release, which is over; the release itself first. Empty where nothing is known of it."""
    releases = (rollout.get("status") or {}).get("releases") or {}
    if not releases.get("recent"):
        return []
    record = releases["recent"][-1]
    root = _release(rollout, record, team_label)
    return [root, *_steps(rollout, root, releases.get("steps") or ()), *_analyses(root, record, runs)]


def _release(rollout: Obj, record: Obj, team_label: str) -> Span:
    metadata, status = rollout["metadata"], rollout["status"]
    containers = ((rollout["spec"].get("template") or {}).get("spec") or {}).get("containers") or ()
    attributes: dict[str, str | int] = {
        "k8s.namespace.name": metadata.get("namespace", ""),
        "tidegate.rollout": metadata["name"],
        "tidegate.revision": record["revision"],
        "tidegate.pod_hash": record["podHash"],
        "tidegate.outcome": record["outcome"],
        "tidegate.images": ", ".join(str(container.get("image", "")) for container in containers),
        "tidegate.manual_pause_seconds": (status.get("duration") or {}).get("totalManualPauseDurationSeconds", 0),
    }
    if team := (metadata.get("labels") or {}).get(team_label):
        attributes["tidegate.team"] = team
    for name in ("changedAt", "badAt", "restoredAt"):
        if record.get(name):
            attributes[f"tidegate.{name}"] = record[name]
    seed = f"{metadata['uid']}/{record['revision']}"
    return Span(
        name=f"release {metadata.get('namespace', '')}/{metadata['name']}",
        trace=_number(seed, 16),
        id=_number(f"{seed}/{record['startedAt']}", 8),
        parent=0,
        start=parse_time(record["startedAt"]),
        end=parse_time(record["finishedAt"]),
        attributes=attributes,
        problem=record.get("reason") or record["outcome"] if record["outcome"] in _BAD else "",
    )


def _steps(rollout: Obj, root: Span, times: Sequence[str]) -> Iterator[Span]:
    """Each step from the end of the one before; the one under way when the release ended, up to that."""
    steps = ((rollout["spec"].get("strategy") or {}).get("canary") or {}).get("steps") or ()
    start = root.start
    for index, step in enumerate(steps):
        done = index < len(times)
        end = parse_time(times[index]) if done else root.end
        if end < start or (not done and end == start):
            return
        kind = next(iter(step), "step")
        name = f"step {index + 1}: {_told(kind, step.get(kind))}"
        yield _below(root, name, f"step/{index}", (start, end), attributes={"tidegate.step": kind})
        if not done:
            return
        start = end


def _told(kind: str, value: Any) -> str:
    if kind == "setWeight":
        return f"setWeight {value}"
    if kind == "pause":
        duration = (value or {}).get("duration")
        return f"pause {duration}" if duration is not None else "pause until promoted"
    return kind


def _analyses(root: Span, record: Obj, runs: Sequence[Obj]) -> Iterator[Span]:
    for run in runs:
        metadata, status = run["metadata"], run.get("status") or {}
        labels = metadata.get("labels") or {}
        if labels.get(names.POD_TEMPLATE_HASH) != record["podHash"] or not status.get("startedAt"):
            continue
        start = parse_time(status["startedAt"])
        if start < root.start:
            continue
        end = max(start, parse_time(status["completedAt"]) if status.get("completedAt") else root.end)
        phase = str(status.get("phase", ""))
        about: dict[str, str | int] = {"tidegate.phase": phase, "tidegate.analysis": labels.get(names.RUN_TYPE, "")}
        problem = str(status.get("message") or phase) if phase in _BAD_RUNS else ""
        name, seed = f"analysis {metadata['name']}", f"run/{metadata['uid']}"
        yield _below(root, name, seed, (start, end), attributes=about, problem=problem)


def _below(root: Span, name: str, seed: str, times: tuple[datetime, datetime], **about: Any) -> Span:
    return Span(name, root.trace, _number(f"{root.id}/{seed}", 8), root.id, *times, **about)


def _number(seed: str, size: int) -> int:
    """A number of so many bytes that is never 0, which would be no id."""
    return int.from_bytes(sha256(seed.encode()).digest()[:size], "big") or 1
