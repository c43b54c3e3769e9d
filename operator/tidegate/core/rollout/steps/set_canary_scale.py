"""The step `setCanaryScale`: how many pods the canary has, whatever its share of the traffic."""

from __future__ import annotations

from tidegate.api.rollout import CanaryStep
from tidegate.core.rollout import sizing
from tidegate.core.rollout.aims import aim_at
from tidegate.core.rollout.release import Draft


def ask(draft: Draft, step: CanaryStep, index: int) -> bool:
    """Done when as many pods are available."""
    return sizing.at_scale(draft, aim_at(draft.release.canary, index))
