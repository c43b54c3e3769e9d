"""What the steps ask for at a point of the update: the canary's share of the traffic, and the number of its pods.

Both stay in force until a later step says otherwise, so they are read backwards from the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.api.rollout import CanaryStep, SetCanaryScale


@dataclass(frozen=True, slots=True)
class Aim:
    """The canary's weight in percent, and its own scale where one is in force: None where its pods follow the
    weight."""

    weight: int
    scale: SetCanaryScale | None = None


ALL = Aim(100)
"""Everything for the new version."""


def aim_at(steps: Sequence[CanaryStep], index: int) -> Aim:
    """What is in force at a step: the last of each kind up to it; everything past the last step."""
    if index >= len(steps):
        return ALL
    passed = steps[index::-1]
    weight = next((step.set_weight for step in passed if step.set_weight is not None), 0)
    scale = next((step.set_canary_scale for step in passed if step.set_canary_scale is not None), None)
    return Aim(weight, None if scale is None or scale.match_traffic_weight else scale)
