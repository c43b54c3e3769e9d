"""Pauses: who holds a rollout, since when, and when the hold is over.

The controller marks its own pauses with `controllerPause`. A client resumes by clearing `pauseConditions`; the mark
without a condition is how that is seen. A client that skips a step clears them too and raises `currentStepIndex`, to
where there may be another pause that nobody has lifted: so a pause before a pause notes its step, in
`canary.pausedStepIndex`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from tidegate.core.rollout.release import Draft
from tidegate.core.times import format_micro, parse_time

_STEP: Final = "pausedStepIndex"


def condition(draft: Draft, reason: str) -> dict[str, Any] | None:
    """The pause condition with this reason, if it is there."""
    return next((c for c in draft.status.get("pauseConditions") or () if c.get("reason") == reason), None)


def resumed(draft: Draft) -> bool:
    """Whether the controller had paused and a client has lifted it."""
    return lifted(draft.status)


def lifted(status: Mapping[str, Any]) -> bool:
    """Whether a status shows a pause of the controller's that a client has lifted and nobody has taken note of."""
    return bool(status.get("controllerPause")) and not status.get("pauseConditions")


def at_step(draft: Draft, index: int) -> bool:
    """Whether the controller's latest pause was at this step, as far as is known."""
    return bool(draft.canary.get(_STEP, index) == index)


def hold(draft: Draft, reason: str, step: int | None = None) -> None:
    """Pause for `reason`, once. `step`: the index of the canary's step, where it has any."""
    if condition(draft, reason):
        return
    if step is not None and _before_a_pause(draft, step):
        draft.canary[_STEP] = step
    entry = {"reason": reason, "startTime": format_micro(draft.world.now)}
    draft.status["pauseConditions"] = [*(draft.status.get("pauseConditions") or ()), entry]
    draft.status["controllerPause"] = True


def lift(draft: Draft) -> None:
    """End the controller's pause as a client would, for the step at which it is to take note of it."""
    draft.status.pop("pauseConditions", None)


def release(draft: Draft) -> None:
    """Lift every pause of the controller's."""
    draft.status.pop("pauseConditions", None)
    draft.status.pop("controllerPause", None)
    draft.canary.pop(_STEP, None)


def over(draft: Draft, reason: str, duration: timedelta | None, step: int | None = None) -> bool:
    """Whether the pause for `reason` is over: resumed by a client, or after its duration. Begins it if need be."""
    if resumed(draft):
        return True
    entry = condition(draft, reason)
    if entry is None:
        hold(draft, reason, step)
        if duration is not None:
            draft.wake_at(draft.world.now + duration)
        return False
    if duration is None:
        return False
    return draft.reached(_start(entry) + duration)


def since(draft: Draft, reason: str) -> datetime | None:
    """Since when the pause for `reason` has lasted; None when there is none."""
    entry = condition(draft, reason)
    return _start(entry) if entry else None


def _start(entry: dict[str, Any]) -> datetime:
    return parse_time(entry["startTime"])


def _before_a_pause(draft: Draft, step: int) -> bool:
    strategy = draft.release.spec.strategy.canary
    return strategy is not None and any(after.kind == "pause" for after in strategy.steps[step + 1 : step + 2])
