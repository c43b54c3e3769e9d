"""The step `pause`: hold for a time, or until a person promotes."""

from __future__ import annotations

from tidegate.api import names
from tidegate.api.rollout import CanaryStep
from tidegate.core.rollout import pauses
from tidegate.core.rollout.release import Draft
from tidegate.core.times import parse_duration


def ask(draft: Draft, step: CanaryStep, index: int) -> bool:
    """Done when its time is over, or a client has lifted it."""
    assert step.pause is not None
    given = step.pause.duration
    duration = None if given is None else parse_duration(given)
    if not pauses.over(draft, names.PAUSE_CANARY_STEP, duration, index):
        return False
    pauses.release(draft)
    return True
