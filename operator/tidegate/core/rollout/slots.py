"""The places in a Rollout's status that name its AnalysisRuns: one for each kind of analysis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.api import names


@dataclass(frozen=True, slots=True)
class Slot:
    """A run's place in the status.

    part, name: where it is. run_type: of its runs. words: what an abort calls it.
    holds_up: whether the update waits for its verdict.
    """

    part: str
    name: str
    run_type: names.RunType
    words: str
    holds_up: bool = True


STEP: Final = Slot("canary", "currentStepAnalysisRunStatus", "Step", "Step-based")
BACKGROUND: Final = Slot("canary", "currentBackgroundAnalysisRunStatus", "Background", "Background", holds_up=False)
PRE_PROMOTION: Final = Slot("blueGreen", "prePromotionAnalysisRunStatus", "PrePromotion", "Pre-promotion")
POST_PROMOTION: Final = Slot("blueGreen", "postPromotionAnalysisRunStatus", "PostPromotion", "Post-promotion")
EXPERIMENT: Final = "currentExperiment"
"""In `status.canary`: the name of the present step's Experiment."""
SLOTS: Final = (STEP, BACKGROUND, PRE_PROMOTION, POST_PROMOTION)


def entries(status: Mapping[str, Any]) -> Iterator[tuple[Slot, Mapping[str, Any]]]:
    """The places of a status that name a run, with what they say of it: name, status and perhaps a message."""
    for slot in SLOTS:
        if entry := (status.get(slot.part) or {}).get(slot.name):
            yield slot, entry


def named_in(status: Mapping[str, Any]) -> set[str]:
    """The names of the runs that a Rollout's status holds on to."""
    return {entry["name"] for _, entry in entries(status)}
