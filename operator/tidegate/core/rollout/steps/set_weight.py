"""The step `setWeight`: the canary's share of traffic, or of pods where no router splits traffic."""

from __future__ import annotations

from tidegate.api.rollout import CanaryStep
from tidegate.core.rollout import sizing
from tidegate.core.rollout.aims import aim_at
from tidegate.core.rollout.release import Draft


def ask(draft: Draft, step: CanaryStep, index: int) -> bool:
    """Done when the routes show the weight, or the pods stand in that ratio and are available."""
    return sizing.at_weight(draft, aim_at(draft.release.canary, index))
