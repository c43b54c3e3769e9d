"""Tidegate judges as Argo Rollouts does: the same answer, or an error where it has one."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from tests.conditions.grammar import CONDITIONS
from tests.conditions.judge import Judge
from tidegate.core.analysis.conditions.condition import read
from tidegate.core.analysis.conditions.errors import ConditionError


def judged_here(condition: str, result: object) -> tuple[bool | None, str]:
    """Read as Argo Rollouts reads it, without a list standing for its one number."""
    try:
        return read(condition, lift=False).holds(result), ""
    except ConditionError as error:
        return None, str(error)


def agree(judge: Judge, condition: str, result: object) -> None:
    theirs = judge.ask(condition, result)
    ours, why = judged_here(condition, result)
    assert ours is theirs.holds, f"{condition!r} of {result!r}: {ours} {why} here, {theirs.holds} {theirs.error} there"


@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=CONDITIONS)
def test_any_condition_is_judged_as_by_argo_rollouts(judge: Judge, asked: tuple[str, object]) -> None:
    agree(judge, *asked)
