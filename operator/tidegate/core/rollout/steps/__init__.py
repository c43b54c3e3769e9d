"""The kinds of canary steps: one module each, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tidegate.api.rollout import CanaryStep
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.steps import analysis, experiment, managed_route, pause, set_canary_scale, set_weight

KINDS: Final[Mapping[str, Callable[[Draft, CanaryStep, int], bool]]] = {
    # Each says whether its step, the one at this index, is done.
    "setWeight": set_weight.ask,
    "setCanaryScale": set_canary_scale.ask,
    "pause": pause.ask,
    "analysis": analysis.ask,
    "experiment": experiment.ask,
    "setHeaderRoute": managed_route.ask,
    "setMirrorRoute": managed_route.ask,
}
