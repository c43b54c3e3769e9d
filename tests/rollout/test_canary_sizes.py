"""How many pods canary and stable have behind a router, step by step."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rollout.objects import canary, rollout
from tests.rollout.stage import NAMESPACE, Stage, deployed
from tidegate.api.parsing import parse_rollout
from tidegate.core.plan import Key

HOLD = {"pause": {}}


def at(stage: Stage, index: int) -> Stage:
    """Resume pauses until the story stands still at this step."""
    stage.play(60)
    for _ in range(index):
        if stage.status["currentStepIndex"] < index:
            stage.user(pauseConditions=None)
            stage.play(60)
    assert stage.status["currentStepIndex"] == index
    return stage


def update(*steps: dict[str, Any], replicas: int = 10, stage: Stage | None = None, **fields: Any) -> Stage:
    """v2 on its way over these steps, not yet begun."""
    stage = deployed(canary(*steps, **fields), replicas=replicas, stage=stage)
    stage.image("v2")
    return stage


@pytest.mark.parametrize(
    ("scale", "pods"),
    [
        ({"replicas": 3}, 3),
        ({"replicas": 12}, 12),
        ({"replicas": 0}, 0),
        ({"weight": 25}, 3),
        ({"weight": 0}, 0),
        ({"matchTrafficWeight": True}, 0),
    ],
)
def test_given_a_canary_scale_then_the_canary_has_as_many_pods_without_any_traffic(
    scale: dict[str, Any], pods: int
) -> None:
    stage = at(update({"setCanaryScale": scale}, HOLD), 1)

    assert stage.sizes().get("v2", 0) == pods
    assert stage.sizes()["v1"] == 10
    assert stage.weight() == 0


def test_given_a_canary_scale_then_it_holds_until_the_next_one() -> None:
    steps = (
        {"setCanaryScale": {"weight": 50}},
        {"setWeight": 10},
        HOLD,
        {"setCanaryScale": {"matchTrafficWeight": True}},
        {"setWeight": 20},
        HOLD,
        {"setCanaryScale": {"replicas": 4}},
        HOLD,
    )
    stage = update(*steps)
    seen = []
    for index in (2, 5, 7):
        at(stage, index)
        seen.append((stage.weight(), stage.sizes()["v2"]))

    assert seen == [(10, 5), (20, 2), (20, 4)]


def test_given_a_scale_below_what_the_weight_needs_then_pods_come_up_for_the_weight() -> None:
    """1. Traffic only goes where there is capacity; Argo Rollouts sends 50 % to one pod of ten here."""
    stage = at(update({"setCanaryScale": {"replicas": 1}}, HOLD, {"setWeight": 50}, HOLD), 1)
    assert stage.sizes()["v2"] == 1

    at(stage, 3)

    assert (stage.weight(), stage.sizes()["v2"]) == (50, 5)


def test_given_a_scale_that_is_not_available_yet_then_the_step_waits() -> None:
    stage = Stage(boot={"v2": 50.0})
    update({"setCanaryScale": {"replicas": 2}}, HOLD, stage=stage).play(40)
    assert stage.status["currentStepIndex"] == 0

    stage.play(20)

    assert stage.status["currentStepIndex"] == 1


def test_given_a_lost_pod_of_the_scale_then_set_weight_waits_for_it() -> None:
    stage = at(update({"setCanaryScale": {"replicas": 4}}, HOLD, {"setWeight": 10}, HOLD), 1)
    stage.crash_pods("v2", 1, 40)

    stage.user(pauseConditions=None)
    stage.play(30)
    assert (stage.weight(), stage.status["currentStepIndex"]) == (10, 2)

    stage.play(30)
    assert stage.status["currentStepIndex"] == 3


def test_given_scales_up_and_down_in_a_row_then_each_is_reached_once() -> None:
    """Progress is written down before pods that a step was found done by are taken away."""
    scales = ({"replicas": 5}, {"replicas": 2}, {"replicas": 6})
    stage = at(update(*({"setCanaryScale": scale} for scale in scales), HOLD), 3)

    sizes = [
        w.body["spec"]["replicas"]
        for w in stage.writes
        if w.key.kind == "ReplicaSet" and "replicas" in w.body.get("spec", {})  # type: ignore[union-attr]
    ]
    assert sizes == [5, 6]
    assert stage.sizes()["v2"] == 6


def test_given_a_scale_then_the_end_of_the_steps_and_an_abort_forget_it() -> None:
    steps = ({"setCanaryScale": {"replicas": 2}}, HOLD)
    done = at(update(*steps), 1)
    done.user(pauseConditions=None)
    done.settle()
    assert done.sizes() == {"v2": 10}

    given_up = at(update(*steps), 1)
    given_up.user(abort=True)
    given_up.settle()
    assert given_up.sizes() == {"v1": 10}


def test_given_promotion_in_full_then_no_scale_holds_it_back() -> None:
    stage = at(update({"setCanaryScale": {"replicas": 1}}, HOLD), 1)

    stage.user(promoteFull=True)
    stage.settle()

    assert stage.sizes() == {"v2": 10}


def test_given_a_rollout_scaled_to_nothing_then_a_scale_brings_no_pods_up() -> None:
    stage = deployed(canary({"setCanaryScale": {"replicas": 3}}, HOLD), replicas=2)
    stage.spec(replicas=0)
    stage.settle()

    stage.image("v2")
    stage.play(60)

    assert stage.sizes() == {}


@pytest.mark.parametrize(
    ("replicas", "least", "weight", "pods"),
    [(10, 3, 10, 3), (10, 3, 50, 5), (2, 3, 10, 2), (10, 3, 0, 0), (10, 0, 10, 1)],
)
def test_given_the_fewest_pods_of_a_version_then_the_canary_has_none_or_as_many(
    replicas: int, least: int, weight: int, pods: int
) -> None:
    """As far as spec.replicas goes."""
    stage = at(update({"setWeight": weight}, HOLD, replicas=replicas, minPodsPerReplicaSet=least), 1)

    assert stage.sizes().get("v2", 0) == pods
    assert stage.weight() == weight


def test_given_the_fewest_pods_then_a_scale_in_percent_heeds_it_and_one_in_pods_does_not() -> None:
    steps = ({"setCanaryScale": {"weight": 10}}, HOLD, {"setCanaryScale": {"replicas": 1}}, HOLD)
    stage = at(update(*steps, minPodsPerReplicaSet=3), 1)
    assert stage.sizes()["v2"] == 3

    assert at(stage, 3).sizes()["v2"] == 1


@pytest.mark.parametrize(
    ("threshold", "lost", "weight", "index"),
    [
        (None, 1, 0, 0),
        ({"type": "Percent", "value": 80}, 1, 40, 1),
        ({"type": "Percent", "value": 80}, 2, 0, 0),
        ({"type": "Pods", "value": 3}, 2, 30, 1),
        ({"type": "Pod", "value": 3}, 3, 0, 0),
        ({"type": "Pod", "value": 30}, 1, 0, 0),
        ({"type": "Percent", "value": 0}, 4, 10, 1),
        ({"type": "Percent", "value": 0}, 5, 0, 0),
    ],
)
def test_given_a_threshold_then_a_step_counts_as_reached_with_as_many_pods_and_what_they_carry(
    threshold: dict[str, Any] | None, lost: int, weight: int, index: int
) -> None:
    """1. Traffic only goes where there is capacity: 4 of 10 pods get 40 % of the traffic for a step of 50 %."""
    fields = {} if threshold is None else {"replicaProgressThreshold": threshold}
    stage = update({"setWeight": 50}, HOLD, **fields)
    stage.reconcile()
    stage.crash_pods("v2", lost)

    stage.play(60)

    assert (stage.weight(), stage.status["currentStepIndex"]) == (weight, index)
    for pod in stage.pods[stage.sets()["v2"]["metadata"]["uid"]]:
        pod.ready_at = min(pod.ready_at, 200)
    stage.play(300)
    assert (stage.weight(), stage.status["currentStepIndex"]) == (50, 1)


def test_given_a_threshold_and_a_pod_that_is_lost_later_then_the_weight_stays() -> None:
    stage = at(update({"setWeight": 50}, HOLD, replicaProgressThreshold={"type": "Percent", "value": 60}), 1)

    stage.crash_pods("v2", 1)
    stage.play(60)

    assert stage.weight() == 50


def test_given_a_threshold_then_the_promotion_still_waits_for_every_pod() -> None:
    stage = update({"setWeight": 50}, replicaProgressThreshold={"type": "Percent", "value": 50})
    stage.reconcile()
    stage.crash_pods("v2", 1, 100)
    stage.play(60)
    assert stage.weight() == 90
    assert stage.status["stableRS"] == stage.hash("v1")

    stage.play(100)

    assert stage.status["stableRS"] == stage.hash("v2")


def test_given_a_threshold_without_a_router_then_it_counts_pods() -> None:
    steps = ({"setWeight": 50}, HOLD)
    threshold = {"type": "Percent", "value": 80}
    reached = []
    for fields in ({}, {"replicaProgressThreshold": threshold}):
        stage = deployed(canary(*steps, how="pods", maxSurge=2, maxUnavailable=0, **fields), replicas=10)
        stage.image("v2")
        stage.reconcile()
        stage.crash_pods("v2", 1)
        stage.play(60)
        reached.append(stage.status["currentStepIndex"])

    assert reached == [0, 1]


RAMP = ({"setWeight": 20}, HOLD, {"setWeight": 60}, HOLD)


def walk(stage: Stage) -> list[tuple[int, int, int]]:
    """What a watcher sees: each (weight, stable pods, canary pods) that differed from the one before."""
    seen: list[tuple[int, int, int]] = []
    for _ in range(200):
        found = stage.weight(), stage.sizes().get("v1", 0), stage.sizes().get("v2", 0)
        if not seen or seen[-1] != found:
            seen.append(found)
        stage.play(0.5)
    return seen


def test_given_a_dynamic_stable_scale_then_stable_shrinks_as_the_weight_moves() -> None:
    stage = update(*RAMP, dynamicStableScale=True)
    seen = []
    for index in (1, 3):
        at(stage, index)
        seen.append((stage.weight(), stage.sizes()))

    assert seen == [(20, {"v1": 8, "v2": 2}), (60, {"v1": 4, "v2": 6})]
    stage.user(pauseConditions=None)
    stage.play(10)
    assert stage.sizes() == {"v1": 1, "v2": 10}, "the last pod has its delay after the promotion"
    stage.settle()
    assert stage.sizes() == {"v2": 10}


def test_given_a_weight_that_goes_back_then_stable_comes_up_before_its_traffic() -> None:
    """1. Traffic only goes where there is capacity: checked on the way back."""
    stage = at(update({"setWeight": 60}, HOLD, {"setWeight": 20}, HOLD, dynamicStableScale=True), 1)
    stage.boot["v1"] = 30.0

    stage.user(pauseConditions=None)
    stage.play(20)
    assert (stage.weight(), stage.sizes()) == (60, {"v1": 8, "v2": 6})

    stage.play(60)
    assert (stage.weight(), stage.sizes()) == (20, {"v1": 8, "v2": 2})


def test_given_the_fewest_pods_of_a_version_then_stable_keeps_as_many() -> None:
    stage = at(update({"setWeight": 90}, HOLD, dynamicStableScale=True, minPodsPerReplicaSet=3), 1)

    assert stage.sizes() == {"v1": 3, "v2": 9}


@pytest.mark.parametrize("room", [11, 12, 20])
def test_given_an_abort_with_a_dynamic_scale_then_the_weight_walks_back_to_nothing(room: int) -> None:
    """Argo Rollouts #4841, #4898: an abort with dynamicStableScale that never reaches 0, or waits for room that only
    the canary's own pods can give."""
    stage = at(update(*RAMP, dynamicStableScale=True), 3)

    stage.room = room
    stage.user(abort=True)
    seen = walk(stage)

    weights = [weight for weight, _, _ in seen]
    assert weights == sorted(weights, reverse=True)
    assert seen[-1] == (0, 10, 0)
    if room == 11:
        assert len(set(weights)) > 4, "as stable's pods become available, not all at once"


def test_given_an_abort_and_a_delay_of_its_own_then_the_canary_keeps_its_pods_for_it() -> None:
    stage = at(update(*RAMP, dynamicStableScale=True, abortScaleDownDelaySeconds=50), 3)

    stage.user(abort=True)
    stage.play(40)
    assert (stage.weight(), stage.sizes()) == (0, {"v1": 10, "v2": 6})

    stage.settle()
    assert stage.sizes() == {"v1": 10}


def test_given_no_dynamic_scale_then_an_abort_moves_all_traffic_at_once() -> None:
    stage = at(update(*RAMP), 3)

    stage.user(abort=True)
    stage.reconcile()

    assert (stage.weight(), stage.sizes()) == (0, {"v1": 10, "v2": 6})


@pytest.mark.parametrize("image", ["v1", "v3"])
def test_given_another_template_in_the_middle_and_little_room_then_it_gets_through(image: str) -> None:
    stage = at(update(*RAMP, dynamicStableScale=True), 3)

    stage.room = 11
    stage.image(image)
    stage.play(60)
    assert (stage.weight(), stage.sizes()["v1"]) == (0, 10), "v2 has given way"
    stage.room = None
    stage.user(promoteFull=True)
    stage.settle()

    assert stage.phase() == ("Healthy", "")
    assert stage.sizes() == {image: 10}


def test_given_a_canary_that_dies_then_stable_comes_up_in_full() -> None:
    stage = at(update(*RAMP, dynamicStableScale=True), 3)

    stage.crash_pods("v2", 99)
    stage.boot["v2"] = None
    stage.play(30)

    assert stage.weight() == 0
    assert stage.sizes()["v1"] == 10


def test_given_a_held_update_then_stable_keeps_what_its_traffic_needs() -> None:
    stage = at(update(*RAMP, dynamicStableScale=True), 3)

    stage.spec(paused=True, replicas=20)
    stage.play(60)
    assert stage.sizes() == {"v1": 8, "v2": 12}
    assert stage.weight() == 60


def test_given_a_route_that_somebody_reset_then_stable_does_not_shrink_on_what_another_route_says() -> None:
    stage = at(update({"setWeight": 20}, HOLD, {"setWeight": 60}, HOLD, how="two", dynamicStableScale=True), 1)
    edits = [{"op": "replace", "path": f"/spec/http/0/route/{at_}/weight", "value": 100 - 100 * at_} for at_ in (0, 1)]
    key = next(key for key in stage.objects if key.kind == "VirtualService" and key.name == "other")

    stage.edit(key, edits)
    stage.user(pauseConditions=None)
    stage.play(60)

    assert (stage.weight(), stage.weight("other"), stage.sizes()) == (60, 60, {"v1": 4, "v2": 6})


@pytest.mark.parametrize(
    ("strategy", "path", "message"),
    [
        (canary({"setCanaryScale": {}}), "steps[0].setCanaryScale", "has none of"),
        (canary({"setCanaryScale": {"matchTrafficWeight": False}}), "steps[0].setCanaryScale", "has none of"),
        (canary({"setCanaryScale": {"replicas": 1, "weight": 1}}), "steps[0].setCanaryScale", "has more than one of"),
        (canary({"setCanaryScale": {"weight": 101}}), "steps[0].setCanaryScale.weight", "must be from 0 to 100"),
        (canary({"setCanaryScale": {"replicas": -1}}), "steps[0].setCanaryScale.replicas", "must be 0 or more"),
        (canary({"setCanaryScale": {"weight": 1}}, how="pods"), "steps[0].setCanaryScale", "with trafficRouting"),
        (canary({"setCanaryScale": {"weight": 1}, "setWeight": 1}), "steps[0]", "more than one of"),
        (canary(dynamicStableScale=True, scaleDownDelaySeconds=5), "dynamicStableScale", "scaleDownDelaySeconds"),
        (canary(dynamicStableScale=True, how="pods"), "dynamicStableScale", "with trafficRouting"),
        (canary(minPodsPerReplicaSet=-1), "minPodsPerReplicaSet", "must be 0 or more"),
        (canary(replicaProgressThreshold={"type": "Percent"}), "replicaProgressThreshold.value", "is required"),
        (canary(replicaProgressThreshold={"type": "Half", "value": 1}), "replicaProgressThreshold.type", "must be"),
        (canary(replicaProgressThreshold={"value": 101}), "replicaProgressThreshold.value", "must be from 0 to 100"),
    ],
)
def test_given_a_mistake_then_its_path_and_remedy_are_told(strategy: dict[str, Any], path: str, message: str) -> None:
    spec, problems = parse_rollout(rollout(strategy))

    assert spec is None
    assert [problem.path for problem in problems] == [f"spec.strategy.canary.{path}"]
    assert message in problems[0].message


@pytest.mark.parametrize("how", ["an abort", "a third version"])
def test_given_a_version_that_came_back_and_goes_again_then_its_delay_begins_anew(how: str) -> None:
    """What was left of the delay since it was stable does not shorten the one after its users have left again."""
    stage = deployed(canary({"setWeight": 20}, {"pause": {"duration": 5}}))
    stage.image("v2")
    stage.play(30)
    assert stage.sizes() == {"v1": 4, "v2": 4}, "promoted, and the old pods wait"
    stage.image("v1")
    stage.play(3)
    assert stage.weight() == 20
    if how == "an abort":
        stage.user(abort=True)
    else:
        stage.image("v3")
    stage.play(28)
    assert stage.sizes()["v1"] == 1
    stage.play(5)
    assert "v1" not in stage.sizes()


def test_given_a_weight_that_somebody_set_while_both_ends_are_stables_then_stable_does_not_shrink() -> None:
    stage = deployed(canary({"setWeight": 50}, dynamicStableScale=True))
    stage.spec(paused=True)
    stage.image("v2")
    edits = [{"op": "add", "path": f"/spec/http/0/route/{at}/weight", "value": w} for at, w in enumerate((70, 30))]
    stage.edit(Key("VirtualService", NAMESPACE, "app"), edits)
    stage.play(60)

    assert stage.sizes() == {"v1": 4}
