"""What a Rollout may write on the runs that it makes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.objects import BLUE_GREEN, CANARY, Json, spoilt
from tidegate.api.parsing import parse_rollout

PLACES = [
    (CANARY, "spec.strategy.canary.analysis"),
    (CANARY, "spec.strategy.canary.steps[2].analysis"),
    (BLUE_GREEN, "spec.strategy.blueGreen.prePromotionAnalysis"),
    (BLUE_GREEN, "spec.strategy.blueGreen.postPromotionAnalysis"),
]
WRONG = [
    ({"labels": {"a b": "c"}}, "labels[a b]", "is not a label's key"),
    ({"labels": {"a": "b c"}}, "labels[a]", "is not a label's value"),
    ({"labels": {"rollout-type": "Mine"}}, "labels[rollout-type]", "is set by Tidegate"),
    ({"labels": {"rollouts-pod-template-hash": "x"}}, "labels[rollouts-pod-template-hash]", "is set by Tidegate"),
    ({"annotations": {"-a": "b"}}, "annotations[-a]", "is not a label's key"),
    ({"annotations": {"rollout.argoproj.io/revision": "7"}}, "annotations[rollout.argoproj.io/revision]", "is set by"),
    ({"labels": {"a": 1}}, ".labels.a", "must be text"),
    ({"name": "mine"}, ".name", "is not a field of"),
]


@pytest.mark.parametrize(("valid", "place"), PLACES)
@pytest.mark.parametrize(("value", "where", "told"), WRONG)
def test_given_metadata_that_a_run_cannot_have_then_it_is_refused_in_every_place(
    valid: Json, place: str, value: Any, where: str, told: str
) -> None:
    _, (problem,) = parse_rollout(spoilt(valid, (f"{place}.analysisRunMetadata", value)))
    assert problem.path == f"{place}.analysisRunMetadata.{where.removeprefix('.')}"
    assert told in problem.message


@pytest.mark.parametrize(("valid", "place"), PLACES)
@pytest.mark.parametrize("value", [None, {}, {"labels": None}, {"annotations": {"a.b/c": "any text, even\nlines"}}])
def test_given_metadata_that_a_run_can_have_then_it_is_accepted(valid: Json, place: str, value: Any) -> None:
    assert parse_rollout(spoilt(valid, (f"{place}.analysisRunMetadata", value)))[1] == ()
