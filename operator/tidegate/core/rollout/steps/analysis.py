"""The step `analysis`: go on only when its run was successful."""

from __future__ import annotations

from tidegate.api.rollout import CanaryStep
from tidegate.core.rollout import gates
from tidegate.core.rollout.release import Draft


def ask(draft: Draft, step: CanaryStep, index: int) -> bool:
    """Done when the run was successful."""
    assert step.analysis is not None
    return gates.ask(draft, gates.step_gate(index), step.analysis)
