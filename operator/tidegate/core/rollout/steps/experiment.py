"""The step `experiment`: go on only when its Experiment was successful."""

from __future__ import annotations

from tidegate.api.rollout import CanaryStep
from tidegate.core.rollout import experiments
from tidegate.core.rollout.release import Draft


def ask(draft: Draft, step: CanaryStep, index: int) -> bool:
    """Done when the Experiment was successful."""
    assert step.experiment is not None
    return experiments.ask(draft, step.experiment, index)
