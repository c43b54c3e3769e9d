"""The progress deadline and analyses that take longer than it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.rollout.objects import ANALYSIS, Obj, blue_green, canary
from tests.rollout.stage import Stage, Verdict, deployed

LONG = {kind: [Verdict("Successful", 1500.0)] for kind in ("Step", "PrePromotion", "PostPromotion")}

awaiting_an_analysis = pytest.mark.parametrize(
    "strategy",
    [
        canary({"setWeight": 50}, {"analysis": ANALYSIS}),
        blue_green(prePromotionAnalysis=ANALYSIS),
        blue_green(postPromotionAnalysis=ANALYSIS),
    ],
    ids=["step", "before the flip", "after the flip"],
)


@awaiting_an_analysis
def test_given_an_analysis_longer_than_the_deadline_then_it_is_waited_for_and_nothing_is_aborted(strategy: Obj) -> None:
    stage = deployed(strategy, replicas=2, stage=Stage(verdicts=LONG), progressDeadlineAbort=True)
    stage.image("v2")
    stage.play(1200)
    assert "abort" not in stage.status

    stage.settle()

    assert stage.phase() == ("Healthy", "")
    assert stage.sizes() == {"v2": 2}


@awaiting_an_analysis
def test_given_a_pod_that_is_away_when_a_long_analysis_ends_then_it_has_the_whole_deadline_to_come_back(
    strategy: Obj,
) -> None:
    stage = deployed(strategy, replicas=2, stage=Stage(verdicts=LONG), progressDeadlineAbort=True)
    stage.image("v2")
    stage.play(800)
    stage.crash_pods("v2", 2, 800)

    stage.settle()

    assert not any(status.get("abort") for status in stage.statuses)
    assert stage.phase() == ("Healthy", "")


def test_given_a_verdict_and_a_missed_deadline_at_the_same_look_then_one_status_tells_both() -> None:
    """One status write a reconcile."""
    strategy = canary({"setWeight": 50}, analysis=ANALYSIS)
    verdicts = {"Background": [Verdict("Successful", 900.0)]}
    stage = deployed(strategy, replicas=2, stage=Stage(verdicts=verdicts), progressDeadlineAbort=True)
    stage.boot["v2"] = None
    stage.image("v2")
    stage.play(1)

    stage.now += timedelta(seconds=1000)
    stage.play(1)

    first = next(status for status in stage.statuses if status.get("abort"))
    assert first["canary"]["currentBackgroundAnalysisRunStatus"]["status"] == "Successful"
