"""The kinds of canary steps: one module each, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tidegate.api.rollout import CanaryStep
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.steps import analysis, managed_route, pause, set_weight

KINDS: Final[Mapping[str, Callable[[Draft, CanaryStep, int], bool]]] = {
    # Each says whether its step, the one at this index, is done.
    "setWeight": set_weight.ask,
    "pause": pause.ask,
    "analysis": analysis.ask,
    "setHeaderRoute": managed_route.ask,
    "setMirrorRoute": managed_route.ask,
}


def weight_at(steps: Sequence[CanaryStep], index: int, whole: int = 100) -> int:
    """The canary weight in force at a step: that of the last setWeight up to it; all of it past the last step."""
    if index >= len(steps):
        return whole
    given = (step.set_weight for step in reversed(steps[: index + 1]))
    return next((weight for weight in given if weight is not None), 0)
