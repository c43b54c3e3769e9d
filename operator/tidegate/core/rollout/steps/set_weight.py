"""The step `setWeight`: the canary's share of traffic, or of pods where no router splits traffic.

Where nothing follows that could wait, a background analysis that compares holds the step while there has been too
little traffic for a verdict; or a rollout of weights alone would be over before anybody had looked. A pause or an
analysis that follows holds by itself, as does the last step that can be compared at (`judging`), and at a weight of
everything stable has no traffic to compare with.
"""

from __future__ import annotations

from typing import Final

from tidegate.api.rollout import CanaryStep
from tidegate.core.rollout import gates, judging, sizing
from tidegate.core.rollout.aims import aim_at
from tidegate.core.rollout.release import Draft

_WAITING: Final = ("pause", "analysis", "experiment")


def ask(draft: Draft, step: CanaryStep, index: int) -> bool:
    """Done when the routes show the weight, or the pods stand in that ratio and are available."""
    canary = draft.release.canary
    aim = aim_at(canary, index)
    if not sizing.at_weight(draft, aim):
        return False
    coming = (each.kind for each in canary.steps[index + 1 :])
    next_halt = next((kind for kind in coming if kind in ("setWeight", *_WAITING)), "")
    if next_halt in _WAITING or not 0 < aim.weight < canary.whole or judging.is_due(draft, index):
        return True
    lacking = gates.lacks_traffic(draft)
    if lacking:
        draft.waiting = True
        gates.tell(draft, gates.BACKGROUND, lacking)
    return not lacking
