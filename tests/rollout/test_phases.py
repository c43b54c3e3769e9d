"""The phase and message of every world that the contract tells apart, in its order of precedence.

Argo CD shows these words and scripts wait for them. Wrong programs this catches: one that tells a later reason while an
earlier one holds, and one whose words differ.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.rollout.objects import ANALYSIS, Obj, blue_green, canary
from tests.rollout.stage import NAMESPACE, Stage, Verdict, deployed
from tidegate.core.plan import Key

SLOW = {"v2": 60.0}
NEVER = {"v2": None}
STEPS = ({"setWeight": 50}, {"pause": {}}, {"setWeight": 100})


def updating(stage: Stage) -> None:
    stage.image("v2")
    stage.play(5)


def held(stage: Stage) -> None:
    updating(stage)
    stage.spec(paused=True)
    stage.play(5)


def aborted(stage: Stage) -> None:
    updating(stage)
    stage.user(abort=True)
    stage.play(5)


def aborted_and_held(stage: Stage) -> None:
    aborted(stage)
    stage.spec(paused=True)
    stage.play(5)


def overdue(stage: Stage) -> None:
    stage.image("v2")
    stage.play(700)


def overdue_and_mended(stage: Stage) -> None:
    overdue(stage)
    stage.heal_pods("v2")
    stage.play(60)


def invalid(stage: Stage) -> None:
    aborted_and_held(stage)
    stage.remove(Key("Service", NAMESPACE, "app-stable"))
    stage.play(5)


def done(stage: Stage) -> None:
    updating(stage)
    stage.user(promoteFull=True)
    stage.play(5)


def scaled_up(stage: Stage) -> None:
    done(stage)
    stage.boot["v2"] = 60.0
    stage.spec(replicas=6)
    stage.play(5)


BY_HOST = canary(*STEPS)
BY_PODS = canary({"setWeight": 50}, {"pause": {"duration": 5}}, how="pods", maxSurge=1, maxUnavailable=0)
INVALID = "InvalidSpec: spec.strategy.canary.stableService: Service app-stable not found"
REVISION_2 = "RolloutAborted: Rollout aborted update to revision 2"
LATE = 'ProgressDeadlineExceeded: ReplicaSet "{}" has timed out progressing.'


@pytest.mark.parametrize(
    ("strategy", "boot", "story", "phase", "message"),
    [
        (BY_HOST, {}, invalid, "Degraded", INVALID),
        (BY_HOST, {}, aborted_and_held, "Degraded", REVISION_2),
        (BY_HOST, {}, aborted, "Degraded", REVISION_2),
        (BY_HOST, NEVER, overdue, "Degraded", LATE),
        (BY_HOST, NEVER, overdue_and_mended, "Paused", "CanaryPauseStep"),
        (BY_HOST, {}, held, "Paused", "manually paused"),
        (BY_HOST, {}, updating, "Paused", "CanaryPauseStep"),
        (BY_HOST, SLOW, updating, "Progressing", "more replicas need to be updated"),
        (BY_HOST, {}, scaled_up, "Progressing", "updated replicas are still becoming available"),
        (BY_HOST, {}, done, "Healthy", ""),
        (BY_PODS, {}, done, "Healthy", ""),
        (blue_green(), SLOW, updating, "Progressing", "updated replicas are still becoming available"),
        (blue_green(autoPromotionEnabled=False), {}, updating, "Paused", "BlueGreenPause"),
        (blue_green(autoPromotionSeconds=60), {}, updating, "Paused", "BlueGreenPause"),
        (blue_green(prePromotionAnalysis=ANALYSIS), {}, updating, "Progressing", "active service cutover pending"),
        (
            blue_green(postPromotionAnalysis=ANALYSIS),
            {},
            updating,
            "Progressing",
            "waiting for analysis to complete",
        ),
        (blue_green(), {}, done, "Healthy", ""),
    ],
)
def test_given_a_world_when_decided_then_its_phase_is_told_in_the_contracts_words(
    strategy: dict[str, object],
    boot: dict[str, float | None],
    story: Callable[[Stage], None],
    phase: str,
    message: str,
) -> None:
    stage = deployed(strategy, stage=Stage(verdicts={kind: [Verdict(after=60.0)] for kind in RUNS}), replicas=4)
    stage.boot.update(boot)

    story(stage)

    named = message.format(f"app-{stage.status['currentPodHash']}")
    assert stage.phase() == (phase, named)


RUNS = ("PrePromotion", "PostPromotion")


@pytest.mark.parametrize(
    ("boot", "story", "told"),
    [
        (SLOW, updating, ("True", "ReplicaSetUpdated", 'ReplicaSet "{}" is progressing.')),
        ({}, updating, ("Unknown", "RolloutPaused", "Rollout is paused")),
        ({}, aborted, ("False", "RolloutAborted", "Rollout aborted update to revision 2")),
        (NEVER, overdue, ("False", "ProgressDeadlineExceeded", 'ReplicaSet "{}" has timed out progressing.')),
        ({}, done, ("True", "NewReplicaSetAvailable", 'ReplicaSet "{}" has successfully progressed.')),
        ({}, scaled_up, ("True", "ReplicaSetNotAvailable", "Rollout does not have minimum availability")),
    ],
)
def test_given_a_world_when_decided_then_progress_is_told_in_the_contracts_words(
    boot: dict[str, float | None], story: Callable[[Stage], None], told: tuple[str, str, str]
) -> None:
    """Also that a promoted version whose pods are missing is told apart from an update."""
    stage = deployed(BY_HOST, stage=Stage(), replicas=4)
    stage.boot.update(boot)

    story(stage)

    (found,) = (each for each in stage.status["conditions"] if each["type"] == "Progressing")
    status, reason, message = told
    named = message.format(f"app-{stage.status['currentPodHash']}")
    assert (found["status"], found["reason"], found["message"]) == (status, reason, named)


def test_given_a_pause_when_its_time_is_over_then_not_a_moment_sooner() -> None:
    stage = deployed(canary({"setWeight": 50}, {"pause": {"duration": "10s"}}, {"setWeight": 60}))
    stage.image("v2")
    stage.play(3)
    assert stage.phase() == ("Paused", "CanaryPauseStep")
    begun = stage.now

    stage.play(8)
    assert stage.weight() == 50
    stage.play(3)
    assert stage.weight() != 50
    assert stage.now - begun < timedelta(seconds=12)


DOUBT = {kind: [Verdict("Inconclusive", 5.0), Verdict("Successful", 5.0)] for kind in ("Step", "PrePromotion")}


@pytest.mark.parametrize(
    "strategy",
    [
        canary({"setWeight": 50}, {"analysis": ANALYSIS}),
        canary({"setWeight": 50}, {"analysis": ANALYSIS}, how="pods"),
        blue_green(prePromotionAnalysis=ANALYSIS),
        blue_green(prePromotionAnalysis=ANALYSIS, autoPromotionSeconds=3),
    ],
    ids=["canary", "by pods", "blue-green", "blue-green after a time"],
)
@pytest.mark.parametrize("how", ["held by hand", "pods missing"])
def test_given_a_verdict_in_doubt_while_nothing_can_be_asked_then_it_pauses_and_nothing_is_asked_anew(
    strategy: Obj, how: str
) -> None:
    """Found by a generated story: the verdict was noted, and later taken for one whose pause somebody had lifted."""
    stage = deployed(strategy, stage=Stage(verdicts=DOUBT), replicas=2)
    stage.image("v2")
    stage.play(4)
    if how == "held by hand":
        stage.spec(paused=True)
    else:
        stage.crash_pods("v2", 2)
    stage.play(20)
    if how == "held by hand":
        stage.spec(paused=False)
    else:
        stage.heal_pods("v2")
    stage.play(20)

    assert stage.phase()[0] == "Paused"
    assert "InconclusiveAnalysisRun" in {each["reason"] for each in stage.status["pauseConditions"]}
    assert stage.status["controllerPause"] is True
    assert list(stage.runs().values()) == ["Inconclusive"]

    stage.user(pauseConditions=None)
    stage.settle()

    assert stage.phase() == ("Healthy", "")
    assert sorted(stage.runs().values()) == ["Inconclusive", "Successful"]
