"""Defects of Flagger, as stories in virtual time. docs/peers.md lists all of them."""

from __future__ import annotations

import pytest

from tests.rollout.objects import ANALYSIS, Obj, blue_green, canary
from tests.rollout.stage import Stage, Verdict, deployed

ROUTED = ("hosts", "subsets", "two", "turns")


# -- undoing


@pytest.mark.parametrize("how", ROUTED)
def test_flagger_381_a_rollback_never_overloads_a_stable_version_that_was_scaled_down(how: str) -> None:
    """#381, #869, #1209, #635: all traffic went at once to a primary that its autoscaler had shrunk. The stage
    raises on any write that gives a version more than its pods can carry."""
    stage = deployed(canary({"setWeight": 80}, {"pause": {}}, how=how), replicas=10)
    stage.image("v2")
    stage.play(30)
    stage.crash_pods("v1", 7)
    stage.user(abort=True)
    stage.play(1)
    assert stage.weight() == 70, "what three of ten stable pods cannot carry"

    stage.heal_pods("v1")
    stage.play(10)
    assert stage.weight() == 0


def test_flagger_381_a_dynamic_stable_scale_comes_up_before_its_traffic_comes_back() -> None:
    stage = deployed(canary({"setWeight": 80}, {"pause": {}}, dynamicStableScale=True), replicas=10)
    stage.image("v2")
    stage.play(60)
    assert stage.sizes() == {"v1": 2, "v2": 8}
    stage.user(abort=True)
    stage.play(60)
    assert (stage.weight(), stage.sizes()) == (0, {"v1": 10})


@pytest.mark.parametrize("strategy", [canary({"setWeight": 50}, how=how) for how in ROUTED] + [blue_green()])
def test_flagger_639_the_fix_gets_through_while_stable_is_down(strategy: Obj) -> None:
    """#639, #1588, #1898: a version that nobody can use any more must not keep the next one away from its users."""
    stage = deployed(strategy)
    stage.boot["v1"] = None
    stage.crash_pods("v1", 99)
    stage.image("v2")
    stage.settle()

    assert stage.phase() == ("Healthy", "")
    assert stage.sizes() == {"v2": 4}


def test_flagger_1801_a_metric_that_fails_undoes_the_update_while_a_person_is_waited_for() -> None:
    """#1801: failed checks did not count while a gate was closed."""
    stage = deployed(canary({"setWeight": 50}, {"pause": {}}, analysis=ANALYSIS))
    stage.verdicts["Background"] = [Verdict("Failed", 60.0)]
    stage.image("v2")
    stage.play(30)
    assert stage.phase()[0] == "Paused"
    stage.play(60)

    assert stage.phase()[0] == "Degraded" and "Background analysis" in stage.phase()[1]
    assert stage.weight() == 0


def test_flagger_1801_blue_green_too() -> None:
    stage = deployed(blue_green(autoPromotionEnabled=False, prePromotionAnalysis=ANALYSIS))
    stage.verdicts["PrePromotion"] = [Verdict("Failed", 60.0)]
    stage.image("v2")
    stage.play(90)

    assert stage.phase()[0] == "Degraded"
    assert stage.selects("app-active") == "v1"


def test_flagger_1248_an_analysis_that_has_passed_is_not_asked_again_while_a_person_is_waited_for() -> None:
    """#1248: the hooks before a rollout ran again and again while a gate at weight 0 was closed."""
    stage = deployed(canary({"analysis": ANALYSIS}, {"pause": {}}, {"setWeight": 50}))
    stage.image("v2")
    stage.play(600)
    assert stage.phase() == ("Paused", "CanaryPauseStep")
    assert list(stage.runs().values()) == ["Successful"]


# -- telling


def test_flagger_status_5_a_rollout_that_waits_for_its_promotion_tells_the_weight_that_users_have() -> None:
    """status.go zeroes the weight when it begins to wait for the promotion, with all of it live."""
    stage = deployed(canary({"setWeight": 100}, {"pause": {}}))
    stage.image("v2")
    stage.play(30)
    assert stage.phase() == ("Paused", "CanaryPauseStep")
    assert stage.weight() == stage.status["canary"]["weights"]["canary"]["weight"] == 100


@pytest.mark.parametrize("strategy", [canary({"setWeight": 50}), canary(how="pods"), blue_green()])
def test_flagger_1816_a_version_that_never_gets_ready_is_told_of_by_an_event(strategy: Obj) -> None:
    """#1816, #1663: rolled back at its deadline without a word to anybody."""
    stage = deployed(strategy, stage=Stage(boot={"v2": None}), progressDeadlineSeconds=60, progressDeadlineAbort=True)
    stage.image("v2")
    stage.play(120)

    warnings = [event for event in stage.told if event.type == "Warning"]
    assert [event.reason for event in warnings] == ["RolloutAborted"]
    assert "timed out" in warnings[0].message


# -- being level


def test_flagger_1573_labels_of_others_do_not_move_weights() -> None:
    """A label that Argo CD put on the VirtualService reset the weights to 100 and 0, again and again."""
    stage = deployed(canary({"setWeight": 50}, {"pause": {}}, how="two"))
    stage.image("v2")
    stage.play(30)
    stage.writes.clear()
    for key in [key for key in stage.objects if key.kind == "VirtualService"]:
        stage.edit(key, {"metadata": {"labels": {"argocd.argoproj.io/instance": "shop"}, "annotations": {"a": "b"}}})
    stage.play(60)

    assert (stage.weight(), stage.weight("other")) == (50, 50)
    assert stage.writes == []


ASKED = blue_green(autoPromotionSeconds=10, prePromotionAnalysis=ANALYSIS, postPromotionAnalysis=ANALYSIS)


@pytest.mark.parametrize("strategy", [canary({"setWeight": 50}), canary(how="pods"), blue_green(), ASKED])
def test_flagger_2_a_rollout_scaled_to_nothing_is_scaled_to_nothing(strategy: Obj) -> None:
    """deployment_ready.go compares pointers, so the guard for a primary without pods never holds."""
    stage = deployed(strategy)
    stage.spec(replicas=0)
    stage.settle()
    assert (stage.phase(), stage.sizes()) == (("Healthy", ""), {})
    stage.image("v2")
    stage.settle()
    assert (stage.phase(), stage.sizes()) == (("Healthy", ""), {})
    stage.spec(replicas=3)
    stage.settle()
    assert (stage.phase(), stage.sizes()) == (("Healthy", ""), {"v2": 3})
