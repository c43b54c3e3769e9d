"""The step `analysis`: go on only when its run was successful."""

from __future__ import annotations

from tidegate.api.rollout import CanaryStep
from tidegate.core.rollout import gates
from tidegate.core.rollout.release import Draft


def ask(draft: Draft, step: CanaryStep, index: int) -> tuple[bool, str]:
    """Done when the run was successful; a failed or broken one ends the update."""
    assert step.analysis is not None
    answer = gates.ask(draft, gates.step_gate(index), step.analysis)
    return answer.passed, answer.why
