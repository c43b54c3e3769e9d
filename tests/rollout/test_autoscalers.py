"""What the scale subresource shows to autoscalers, and what becomes of their answer."""

from __future__ import annotations

from tests.rollout.objects import ANALYSIS, blue_green, canary
from tests.rollout.stage import HASH, deployed
from tidegate.api import names


def test_a_canarys_autoscaler_sees_the_pods_of_both_versions() -> None:
    stage = deployed(canary({"setWeight": 50}, {"pause": {}}))
    stage.image("v2")
    stage.settle()

    assert stage.status["HPAReplicas"] == 6
    assert stage.status["selector"] == "app=app"


def test_a_blue_greens_autoscaler_sees_the_active_pods_alone() -> None:
    stage = deployed(blue_green(autoPromotionEnabled=False))
    stage.image("v2")
    stage.settle()
    assert stage.sizes() == {"v1": 4, "v2": 4}
    assert stage.status["HPAReplicas"] == 4
    assert stage.status["selector"] == f"app=app,{HASH}={stage.hash('v1')}"

    stage.user(pauseConditions=None)
    stage.play(10)
    assert stage.status["selector"] == f"app=app,{HASH}={stage.hash('v2')}"


def test_an_autoscalers_wish_is_followed_in_the_middle_of_an_update() -> None:
    stage = deployed(canary({"setWeight": 50}, {"pause": {}}))
    stage.image("v2")
    stage.settle()
    stage.spec(replicas=10)
    stage.settle()

    assert stage.sizes() == {"v1": 10, "v2": 5}
    assert stage.status["HPAReplicas"] == 15
    assert stage.phase() == ("Paused", "CanaryPauseStep")


def test_a_run_bears_the_instance_of_its_rollout() -> None:
    stage = deployed(canary({"analysis": ANALYSIS}))
    stage.put({**stage.rollout, "metadata": {**stage.rollout["metadata"], "labels": {names.INSTANCE_ID: "a"}}})
    stage.image("v2")
    stage.settle()

    (run,) = [obj for key, obj in stage.objects.items() if key.kind == "AnalysisRun"]
    assert run["metadata"]["labels"][names.INSTANCE_ID] == "a"
