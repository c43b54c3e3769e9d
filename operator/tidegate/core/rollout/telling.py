"""What a change of the status is called in events.

Events are told from the status before and after, in one place, and recorded once it has been written: so each change
is told once, whichever rule brought it about, and a decision that is made again tells nothing twice. What only the
rule itself knows (why an update was given up, which step is done) is said there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tidegate.api import names
from tidegate.api.idle import idle_fields
from tidegate.core.plan import Event
from tidegate.core.rollout import conditions, pauses, slots
from tidegate.core.rollout.release import Draft

_BAD: Final = (names.RUN_FAILED, names.RUN_ERROR)


def tell(draft: Draft) -> Iterator[Event]:
    """Everything that the draft's status is told by, in the order in which a person would tell it."""
    yield from _runs(draft)
    yield from _resumed(draft)
    yield from draft.events
    yield from _beginning(draft)
    yield from _paused(draft)
    yield from _lateness(draft)


def _beginning(draft: Draft) -> Iterator[Event]:
    before, after, release = draft.before, draft.status, draft.release
    if _truth(before, names.CONDITION_COMPLETED) == "True" and _truth(after, names.CONDITION_COMPLETED) == "False":
        what = f"started update to revision {release.revision} ({release.hash})"
        yield Event(names.REASON_NOT_COMPLETED, f"Rollout not completed, {what}")
    was = before.get("currentPodHash")
    if was == after.get("currentPodHash"):
        return
    for idle in idle_fields(release.spec):
        yield Event(names.REASON_NO_EFFECT, str(idle), "Warning")
    canary = release.spec.strategy.canary
    if was is not None and release.promoted and canary and canary.steps:
        yield Event(names.REASON_SKIP_STEPS, f"Rollback to the stable revision {release.revision}: no steps are taken")


def _runs(draft: Draft) -> Iterator[Event]:
    """Runs whose phase is not the one that the status had. Their beginning is told when they are created."""
    for slot, known in slots.entries(draft.before):
        run = next((r for r in draft.world.runs if r.ours and r.name == known.get("name")), None)
        if run is not None and run.ended and run.phase != known.get("status"):
            previous = known.get("status") or "NoPreviousStatus"
            message = f"{slot.run_type} Analysis Run '{run.name}' Status New: '{run.phase}' Previous: '{previous}'"
            yield Event(f"AnalysisRun{run.phase}", message, "Warning" if run.phase in _BAD else "Normal")


def _resumed(draft: Draft) -> Iterator[Event]:
    """Pauses of the controller's that end. An abort or a new template ends them too, and has its own event."""
    before, after = draft.before, draft.status
    noted = pauses.lifted(before) and not pauses.lifted(after)
    ended = any(pause not in _pauses(after) for pause in _pauses(before))
    goes_on = not after.get("abort") and before.get("currentPodHash") == after.get("currentPodHash")
    if goes_on and (noted or ended):
        yield Event(names.REASON_RESUMED, "Rollout is resumed")


def _paused(draft: Draft) -> Iterator[Event]:
    for pause in _pauses(draft.status):
        if pause not in _pauses(draft.before):
            yield Event(names.REASON_PAUSED, f"Rollout is paused ({pause.get('reason')})")


def _pauses(status: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return status.get("pauseConditions") or ()


def _lateness(draft: Draft) -> Iterator[Event]:
    before = conditions.find(draft.before.get("conditions") or (), names.CONDITION_PROGRESSING) or {}
    after = conditions.find(draft.status.get("conditions") or (), names.CONDITION_PROGRESSING) or {}
    if after.get("reason") == names.REASON_TIMED_OUT != before.get("reason"):
        yield Event(names.REASON_TIMED_OUT, str(after.get("message")), "Warning")


def _truth(status: Mapping[str, Any], type_: str) -> str:
    found = conditions.find(status.get("conditions") or (), type_) or {}
    return str(found.get("status", ""))
