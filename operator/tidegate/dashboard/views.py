"""What the page shows, as plain data: one row of a Rollout, and one Rollout in full. Pure.

Shown are names, numbers, phases, images and messages. Annotations, environments, arguments of analyses and providers
are never: that is where secrets stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from tidegate.core.times import format_time, parse_duration, parse_time
from tidegate.core.view.experiment import experiment_view
from tidegate.core.view.history import history
from tidegate.core.view.outcome import canary_weight, progress, strategy_word
from tidegate.core.view.phase import shown_phase, step_index, step_words, steps_of, waits_for
from tidegate.core.view.tree import owner_uid, picture
from tidegate.dashboard.actions import Asked, buttons
from tidegate.dashboard.measured import runs_of
from tidegate.dashboard.trails import Point, share

Obj = Mapping[str, Any]
Shown = dict[str, Any]

_MOST_EVENTS: Final = 60
_MOST_RUNS: Final = 12


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything around one Rollout, as far as its visitor may see it.

    notes: what is left out, and why. now: the present time.
    """

    rollout: Obj
    replica_sets: Sequence[Obj]
    runs: Sequence[Obj]
    trail: Sequence[Point]
    now: datetime
    pods: Sequence[Obj] = ()
    experiments: Sequence[Obj] = ()
    events: Sequence[Obj] = ()
    workload: Obj | None = None
    notes: Sequence[str] = ()


def row(rollout: Obj) -> Shown:
    """A Rollout in the list."""
    metadata, status = rollout["metadata"], rollout.get("status") or {}
    shown = shown_phase(rollout)
    return {
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "phase": shown.phase,
        "message": shown.message,
        "waits": waits_for(rollout),
        "strategy": strategy_word(rollout),
        "step": step_index(rollout),
        "steps": len(steps_of(rollout)),
        "share": share(rollout) if status.get("currentPodHash") else None,
        "updating": status.get("currentPodHash") != status.get("stableRS"),
        "desired": int((rollout.get("spec") or {}).get("replicas", 1)),
        "available": int(status.get("availableReplicas") or 0),
        "progress": progress(rollout),
    }


def whole(scene: Scene) -> Shown:
    """One Rollout in full."""
    rollout = scene.rollout
    metadata, status = rollout["metadata"], rollout.get("status") or {}
    tree = picture(rollout, scene.replica_sets, scene.pods, scene.runs)
    revisions = [
        {
            **asdict(revision),
            "runs": [run.name for run in revision.runs],
            "pods": [asdict(pod) for pod in revision.pods],
        }
        for revision in tree.revisions
    ]
    own_events = [event for event in scene.events if _is_about(event, metadata)]
    return {
        **row(rollout),
        "uid": metadata.get("uid", ""),
        "weight": canary_weight(rollout),
        "pods": {field: getattr(tree, field) for field in ("desired", "current", "updated", "ready", "available")},
        "asides": list(tree.asides),
        "plan": _plan(rollout),
        "aborted": bool(status.get("abort")),
        "revisions": revisions,
        "numbers": {revision.hash: revision.revision for revision in tree.revisions if revision.hash},
        "trail": [point._asdict() for point in scene.trail],
        "experiment": _experiment(rollout, scene.experiments),
        "runs": runs_of(rollout, scene.runs)[:_MOST_RUNS],
        "events": _events(own_events),
        "history": [asdict(release) for release in history(rollout, scene.replica_sets, scene.runs, own_events)],
        "actions": buttons(Asked(rollout, scene.replica_sets, scene.now, scene.workload)),
        "notes": list(scene.notes),
        "now": format_time(scene.now),
    }


def in_experiment(rollout: Obj) -> str:
    """The name of the Experiment that the present step is; empty for none."""
    return str(((rollout.get("status") or {}).get("canary") or {}).get("currentExperiment") or "")


def _experiment(rollout: Obj, experiments: Iterable[Obj]) -> Shown | None:
    """The Experiment of the present step, with the part of the users that each of its versions has."""
    name = in_experiment(rollout)
    found = next((each for each in experiments if each["metadata"]["name"] == name), None)
    weights = (rollout["status"]["canary"].get("weights") or {}).get("additional") or () if name else ()
    return None if found is None else asdict(experiment_view(found, weights))


def _plan(rollout: Obj) -> list[Shown]:
    """The steps: done, now or next; of a timed pause that is under way, when it ends."""
    index, steps = step_index(rollout), steps_of(rollout)
    at = len(steps) if index is None else index
    status = rollout.get("status") or {}
    over = status.get("currentPodHash") == status.get("stableRS") or bool(status.get("abort"))
    told: list[Shown] = []
    for number, step in enumerate(steps):
        state = "done" if number < at else ("next" if number > at or over else "now")
        told.append(
            {
                "words": step_words(step),
                "state": "next" if status.get("abort") else state,
                "weight": step.get("setWeight"),
                "until": _until(rollout, step) if state == "now" else "",
            }
        )
    return told


def _until(rollout: Obj, step: Obj) -> str:
    """When the pause that is under way ends by itself; empty where it does not."""
    duration = (step.get("pause") or {}).get("duration")
    pauses = (rollout.get("status") or {}).get("pauseConditions") or ()
    started = next((pause.get("startTime") for pause in pauses if pause.get("reason") == "CanaryPauseStep"), None)
    if duration is None or not started:
        return ""
    try:
        return format_time(parse_time(started) + parse_duration(duration))
    except ValueError:
        return ""


def _is_about(event: Obj, metadata: Obj) -> bool:
    about = event.get("involvedObject") or {}
    return about.get("kind") == "Rollout" and about.get("uid") == metadata.get("uid")


def _events(events: Iterable[Obj]) -> list[Shown]:
    told = [
        {
            "at": _seen_at(event),
            "type": str(event.get("type") or "Normal"),
            "reason": str(event.get("reason") or ""),
            "message": str(event.get("message") or ""),
            "count": int(event.get("count") or (event.get("series") or {}).get("count") or 1),
        }
        for event in events
    ]
    return sorted(told, key=lambda event: str(event["at"]), reverse=True)[:_MOST_EVENTS]


def _seen_at(event: Obj) -> str:
    series = event.get("series") or {}
    moments = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next(filter(None, moments), event["metadata"].get("creationTimestamp") or ""))


def belongs(obj: Obj, uid: str) -> bool:
    """Whether an object is the Rollout's with this uid."""
    return owner_uid(obj) == uid
