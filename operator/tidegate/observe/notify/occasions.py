"""What of a Rollout's state is an occasion to tell of, and by which trigger.

Read from the Rollout and its AnalysisRuns alone, so that whoever leads finds the same occasions, after a crash too.
Each has a name of its own (`once`): told once means that this name was told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tidegate.api import names
from tidegate.core.times import parse_time

Obj = Mapping[str, Any]

_RUN_PHASES: Final = {
    names.RUN_RUNNING: "Normal",
    names.RUN_SUCCESSFUL: "Normal",
    names.RUN_INCONCLUSIVE: "Normal",
    names.RUN_FAILED: "Warning",
    names.RUN_ERROR: "Warning",
}
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Occasion:
    """reason, type: of the event that tells of the same. at: when it was. rollout: as it was then, for templates."""

    reason: str
    type: str
    once: str
    at: datetime
    rollout: Obj

    @property
    def trigger(self) -> str:
        """The trigger's name, by Argo Rollouts' rule."""
        return trigger_of(self.reason)


def trigger_of(reason: str) -> str:
    """The trigger that belongs to an event's reason: RolloutAborted gives on-rollout-aborted."""
    return "on-" + "-".join(_WORD.split(reason)).lower()


LASTING: Final = frozenset(
    (
        names.REASON_ABORTED,
        names.REASON_COMPLETED,
        names.REASON_PAUSED,
        names.REASON_STEP_COMPLETED,
        names.REASON_UPDATED,
        *(f"AnalysisRun{phase}" for phase in _RUN_PHASES),
    )
)
"""The reasons that a state shows. Others, such as ScalingReplicaSet, are told from their event, which dies with the
process."""
_TIMED: Final = frozenset((names.REASON_COMPLETED, names.REASON_STEP_COMPLETED, names.REASON_UPDATED))


def shows(rollout: Obj, reason: str) -> bool:
    """Whether a Rollout's state shows such occasions.

    When an update begins, takes a step and ends stands in fields of Tidegate's own. Argo Rollouts' definitions drop
    them, and an update that was taken over in its middle has none.
    """
    return reason in LASTING and (reason not in _TIMED or bool(_duration(rollout).get("rolloutStartedAt")))


def at_step(rollout: Obj, index: int) -> Obj:
    """A Rollout as it was when this step was completed, with the index still at the step, as templates expect it."""
    return {**rollout, "status": {**(rollout.get("status") or {}), "currentStepIndex": index}}


def occasions(rollout: Obj, runs: Sequence[Obj]) -> Iterator[Occasion]:
    """The occasions that a Rollout and the AnalysisRuns that it owns show now, oldest kind first."""
    status = rollout.get("status") or {}
    duration = _duration(rollout)
    hash_ = status.get("currentPodHash") or ""
    yield from _updated(rollout, hash_, duration)
    yield from _steps(rollout, status, hash_, duration)
    for run in runs:
        yield from _run(rollout, run)
    for pause in status.get("pauseConditions") or ():
        if at := _time(pause.get("startTime")):
            once = f"{pause.get('reason')}@{pause['startTime']}"
            yield Occasion(names.REASON_PAUSED, "Normal", once, at, rollout)
    if status.get("abort") and (at := _time(status.get("abortedAt"))):
        yield Occasion(names.REASON_ABORTED, "Warning", f"{hash_}@{status['abortedAt']}", at, rollout)
    yield from _completed(rollout, status, hash_, duration)


def _updated(rollout: Obj, hash_: str, duration: Obj) -> Iterator[Occasion]:
    metadata = rollout["metadata"]
    if str((rollout.get("status") or {}).get("observedGeneration")) != str(metadata.get("generation")):
        return  # The revision may be of a template that the status does not tell of yet.
    revision = (metadata.get("annotations") or {}).get(names.REVISION)
    if hash_ and revision and (at := _time(duration.get("rolloutStartedAt"))):
        yield Occasion(names.REASON_UPDATED, "Normal", f"{revision}.{hash_}", at, rollout)


def _completed(rollout: Obj, status: Obj, hash_: str, duration: Obj) -> Iterator[Occasion]:
    ended = duration.get("completionStatus") not in (None, "Aborted", "FastRolledBack")
    if ended and hash_ and status.get("stableRS") == hash_ and (at := _time(duration.get("finishedAt"))):
        yield Occasion(names.REASON_COMPLETED, "Normal", f"{hash_}@{duration['finishedAt']}", at, rollout)


def _steps(rollout: Obj, status: Obj, hash_: str, duration: Obj) -> Iterator[Occasion]:
    """Every step that this update has completed."""
    begun = duration.get("rolloutStartedAt")
    for index, text in enumerate((status.get("releases") or {}).get("steps") or ()):
        if begun and (at := _time(text)):
            once = f"{hash_}@{begun}.{index}"
            yield Occasion(names.REASON_STEP_COMPLETED, "Normal", once, at, at_step(rollout, index))


def _run(rollout: Obj, run: Obj) -> Iterator[Occasion]:
    status, meta = run.get("status") or {}, run["metadata"]
    phase = status.get("phase")
    if phase not in _RUN_PHASES:
        return
    when = status.get("startedAt") if phase == names.RUN_RUNNING else status.get("completedAt")
    if at := _time(when or meta.get("creationTimestamp")):
        yield Occasion(f"AnalysisRun{phase}", _RUN_PHASES[phase], meta["name"], at, rollout)


def _duration(rollout: Obj) -> Obj:
    return (rollout.get("status") or {}).get("duration") or {}


def _time(text: Any) -> datetime | None:
    """A time; None for what is none, for anybody may write a status."""
    try:
        return parse_time(text) if isinstance(text, str) else None
    except ValueError:
        return None
