"""Fields that do nothing beside the others are told, and only where they do nothing.

Wrong programs this catches: one that passes a field over without a word, and one that warns of what has an effect.
"""

from __future__ import annotations

import pytest

from tests.rollout.objects import ANALYSIS, Obj, blue_green, canary, rollout
from tidegate.api.idle import idle_fields
from tidegate.api.parsing import parse_rollout

C, B = "spec.strategy.canary", "spec.strategy.blueGreen"
WITH_ROUTER: Obj = {"minPodsPerReplicaSet": 2, "scaleDownDelayRevisionLimit": 1, "abortScaleDownDelaySeconds": 5}


@pytest.mark.parametrize(
    ("strategy", "idle"),
    [
        pytest.param(canary(how="pods", **WITH_ROUTER), [f"{C}.{name}" for name in WITH_ROUTER], id="without a router"),
        pytest.param(canary(how="host", **WITH_ROUTER), [], id="with a router"),
        pytest.param(canary(how="host", maxSurge="50%", maxUnavailable=0), [f"{C}.maxSurge"], id="surge with a router"),
        pytest.param(canary(how="pods", maxSurge="50%", maxUnavailable=0), [], id="surge without a router"),
        pytest.param(
            blue_green(autoPromotionEnabled=False, autoPromotionSeconds=9), [f"{B}.autoPromotionSeconds"], id="by hand"
        ),
        pytest.param(blue_green(autoPromotionSeconds=9), [], id="by time"),
        pytest.param(
            canary({"setWeight": 5}, {"setWeight": 50}, analysis=ANALYSIS | {"startingStep": 2}),
            [f"{C}.analysis.startingStep"],
            id="an analysis after the last step",
        ),
        pytest.param(canary({"setWeight": 5}, analysis=ANALYSIS), [], id="an analysis from the first step on"),
        pytest.param(canary(analysis=ANALYSIS), [], id="an analysis without steps"),
        pytest.param(
            canary({"experiment": {"templates": [{"name": "one", "specRef": "canary", "service": {}}]}}),
            [f"{C}.steps[0].experiment.templates[0].service"],
            id="a Service for pods without a port",
        ),
        pytest.param(canary(how="pods"), [], id="defaults"),
    ],
)
def test_given_a_spec_then_the_fields_without_effect_are_named(strategy: Obj, idle: list[str]) -> None:
    spec, problems = parse_rollout(rollout(strategy))
    assert not problems and spec
    told = list(idle_fields(spec))
    assert [problem.path for problem in told] == idle
    assert all("has no effect" in problem.message for problem in told)
