"""`restartAt`: pods are replaced by eviction, a few at once, and nothing else moves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.rollout.objects import Obj, blue_green, canary, rollout
from tests.rollout.stage import Stage, deployed
from tidegate.api.parsing import parse_rollout
from tidegate.core.times import format_time


def restart(stage: Stage, after: float = 0.0) -> str:
    stage.play(10)
    at = format_time(stage.now + timedelta(seconds=after))
    stage.spec(restartAt=at)
    return at


def names(stage: Stage, image: str) -> set[str]:
    return {pod.name for pod in stage.pods[stage.sets()[image]["metadata"]["uid"]]}


@pytest.mark.parametrize("strategy", [canary({"setWeight": 50}), canary(how="pods"), blue_green()])
def test_every_old_pod_is_evicted_and_the_status_says_when(strategy: Obj) -> None:
    stage = deployed(strategy)
    before, sets = names(stage, "v1"), set(stage.sets())

    at = restart(stage)
    stage.reconcile()
    assert stage.phase() == ("Progressing", "rollout is restarting")
    assert "restartedAt" not in stage.status
    stage.settle()

    assert set(stage.evicted) == before
    assert len(names(stage, "v1")) == 4 and not names(stage, "v1") & before
    assert stage.status["restartedAt"] == at
    assert stage.phase() == ("Healthy", "")
    assert set(stage.sets()) == sets, "no new revision"


@pytest.mark.parametrize(
    ("strategy", "replicas", "at_once"),
    [
        (canary(how="pods", maxUnavailable=2), 5, 2),
        (canary(how="pods", maxUnavailable="25%"), 8, 2),
        (canary(how="pods", maxUnavailable=0), 4, 1),
        (canary({"setWeight": 5}, maxUnavailable=3), 5, 3),
        (blue_green(maxUnavailable="50%"), 6, 3),
        (blue_green(), 3, 1),
    ],
)
def test_no_more_than_max_unavailable_pods_are_missing_at_once(strategy: Obj, replicas: int, at_once: int) -> None:
    stage = deployed(strategy, replicas=replicas)
    restart(stage)
    fewest = replicas

    for _ in range(400):
        stage.play(0.25)
        fewest = min(fewest, stage.available(stage.hash("v1")))

    assert fewest == replicas - at_once
    assert len(stage.evicted) == replicas


def test_a_refusal_of_the_disruption_budget_is_asked_again_after_half_a_minute() -> None:
    stage = deployed(canary(how="pods"))
    stage.budget = 4
    restart(stage)
    begun = stage.now

    stage.play(95)
    asked = [write for write in stage.writes if write.subresource == "eviction"]
    assert len(asked) == 4, "at once, and after 30, 60 and 90 seconds"
    assert stage.evicted == []
    assert stage.phase() == ("Progressing", "rollout is restarting")

    stage.budget = 3
    stage.settle()
    assert len(stage.evicted) == 4
    assert stage.phase() == ("Healthy", "")
    assert stage.now > begun


def test_a_time_to_come_is_waited_for_and_pods_are_not_read_before() -> None:
    stage = deployed(canary(how="pods"))
    restart(stage, after=100)

    stage.play(99)
    assert stage.pod_lists == 0
    assert stage.phase() == ("Healthy", "")
    stage.settle()

    assert len(stage.evicted) == 4
    read = stage.pod_lists
    stage.image("v2")
    stage.settle()
    assert stage.pod_lists == read, "once it is done, nobody reads pods"


def test_stable_goes_first_then_the_canary() -> None:
    stage = deployed(canary({"setWeight": 50}, {"pause": {}}))
    stage.image("v2")
    stage.settle()
    order = [*sorted(names(stage, "v1")), *sorted(names(stage, "v2"))]

    restart(stage)
    stage.settle()

    assert [image_of(name, order) for name in stage.evicted] == ["v1"] * 4 + ["v2"] * 2
    assert stage.phase() == ("Paused", "CanaryPauseStep"), "the step is as it was"
    assert stage.weight() == 50


def image_of(name: str, order: list[str]) -> str:
    return "v1" if order.index(name) < 4 else "v2"


def test_pods_that_all_crash_are_restarted_too() -> None:
    """Argo Rollouts waits for other pods to be available before it evicts, and never ends where none is."""
    stage = deployed(canary(how="pods"))
    stage.crash_pods("v1", 99)
    stage.play(5)

    restart(stage)
    stage.settle()

    assert len(stage.evicted) == 4
    assert stage.phase() == ("Healthy", "")


def test_a_restart_that_another_controller_carried_out_is_not_repeated() -> None:
    stage = deployed(canary(how="pods"))
    stage.play(10)
    at = format_time(stage.now)
    stage.user(restartedAt=at)
    stage.spec(restartAt=at)
    stage.settle()

    assert stage.evicted == [] and stage.pod_lists == 0


def test_a_time_that_is_none_is_refused_by_its_path() -> None:
    _, problems = parse_rollout(rollout(canary(how="pods"), restartAt="tomorrow"))
    assert [problem.path for problem in problems] == ["spec.restartAt"]
    _, problems = parse_rollout(rollout(blue_green(maxUnavailable="101%")))
    assert [problem.path for problem in problems] == ["spec.strategy.blueGreen.maxUnavailable"]
