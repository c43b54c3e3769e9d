"""Defects of Argo Rollouts, as stories in virtual time. The stage checks every single write besides.

docs/peers.md lists all of them; those that another test shows are not repeated here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from tests.rollout.objects import ANALYSIS, Obj, blue_green, canary
from tests.rollout.stage import HASH, NAMESPACE, Key, Stage, Verdict, deployed
from tests.rollout.test_workload import DEPLOYMENT, referring, size, update, workload

HALF = ({"setWeight": 50}, {"pause": {}})
ROUTED = ("hosts", "subsets", "two", "turns")
BOTH_ENDS = ("app-canary", "app-stable")


def at_half(how: str = "hosts", *, stage: Stage | None = None, replicas: int = 4, **fields: object) -> Stage:
    """v2 beside v1 with half of the traffic, waiting for a person."""
    stage = deployed(canary(*HALF, how=how, **fields), stage=stage, replicas=replicas)
    stage.image("v2")
    stage.play(30)
    assert (stage.weight(), stage.phase()) == (50, ("Paused", "CanaryPauseStep"))
    return stage


def subsets(stage: Stage) -> dict[str, str]:
    """Which version each of our subsets selects."""
    rule = stage.objects[Key("DestinationRule", NAMESPACE, "app")]
    by_hash = {stage.hash(image): image for image in stage.sets()}
    found = {each["name"]: each.get("labels", {}).get("rollouts-pod-template-hash") for each in rule["spec"]["subsets"]}
    return {name: by_hash[hash_] for name, hash_ in found.items() if hash_}


# -- weights that are told and not there


@pytest.mark.parametrize("how", ROUTED)
def test_argo_4741_a_weight_that_the_route_does_not_have_is_not_told(how: str) -> None:
    """#4741, #3884: the status counts on while the route stays where it is. A held Rollout moves nothing, so what it
    shows of a route that somebody else has reset can only come from the route."""
    stage = at_half(how)
    stage.spec(paused=True)
    stage.play(5)
    for key in [key for key in stage.objects if key.kind == "VirtualService"]:
        edits = [{"op": "add", "path": f"/spec/http/0/route/{at}/weight", "value": w} for at, w in enumerate((100, 0))]
        stage.edit(key, edits)
    stage.play(30)

    weights = stage.status["canary"]["weights"]
    assert (weights["canary"]["weight"], weights["stable"]["weight"]) == (0, 100)

    stage.spec(paused=False)
    stage.play(5)
    assert stage.weight() == stage.status["canary"]["weights"]["canary"]["weight"] == 50


def test_argo_4741_a_step_whose_route_is_gone_is_not_passed() -> None:
    stage = deployed(canary({"setWeight": 20}, {"pause": {"duration": 5}}, {"setWeight": 60}, {"pause": {}}))
    stage.image("v2")
    stage.play(4)
    virtual_service = Key("VirtualService", NAMESPACE, "app")
    stage.edit(virtual_service, [{"op": "replace", "path": "/spec/http/0/name", "value": "renamed"}])
    stage.play(600)

    assert stage.status["currentStepIndex"] == 1
    assert stage.status["canary"]["weights"]["canary"]["weight"] == 20
    assert "primary" in stage.condition("InvalidSpec")["message"]

    stage.edit(virtual_service, [{"op": "replace", "path": "/spec/http/0/name", "value": "primary"}])
    stage.play(30)
    assert stage.weight() == 60


# -- aborts that leave users where they are


def test_argo_1838_an_abort_points_the_canarys_subset_at_stable() -> None:
    stage = at_half("subsets")
    assert subsets(stage) == {"canary": "v2", "stable": "v1"}
    stage.user(abort=True)
    stage.play(5)

    assert stage.weight() == 0
    assert subsets(stage) == {"canary": "v1", "stable": "v1"}


def test_argo_2576_an_abort_points_the_canarys_service_at_stable() -> None:
    stage = at_half()
    assert [stage.selects(name) for name in BOTH_ENDS] == ["v2", "v1"]
    stage.user(abort=True)
    stage.play(5)

    assert [stage.selects(name) for name in BOTH_ENDS] == ["v1", "v1"]


@pytest.mark.parametrize("strategy", [canary(*HALF, how=how) for how in ROUTED] + [canary(*HALF, how="pods")])
def test_argo_4461_an_abort_holds_though_a_full_promotion_was_asked_for(strategy: Obj) -> None:
    """The new version never gets ready, somebody promotes it in full, nothing happens, they abort: that was ignored."""
    stage = deployed(strategy, stage=Stage(boot={"v2": None}))
    stage.image("v2")
    stage.play(10)
    stage.user(promoteFull=True)
    stage.play(10)
    stage.user(abort=True)
    stage.play(120)

    assert stage.phase()[0] == "Degraded" and "aborted" in stage.phase()[1]
    assert not stage.status.get("promoteFull")
    assert stage.sizes() == {"v1": 4}


def test_argo_4461_an_abort_holds_in_blue_green_too() -> None:
    stage = deployed(blue_green(abortScaleDownDelaySeconds=5), stage=Stage(boot={"v2": None}))
    stage.image("v2")
    stage.play(10)
    stage.user(promoteFull=True)
    stage.play(10)
    stage.user(abort=True)
    stage.play(120)

    assert stage.phase()[0] == "Degraded" and not stage.status.get("promoteFull")
    assert stage.selects("app-active") == "v1"
    assert stage.sizes() == {"v1": 4}


@pytest.mark.parametrize("how", ROUTED)
@pytest.mark.parametrize(("unready", "left"), [(1, 25), (2, 50), (3, 75)])
def test_argo_abort_one_unready_stable_pod_does_not_keep_users_on_the_sick_version(
    how: str, unready: int, left: int
) -> None:
    """trafficrouting.go returns before it sets any weight while stable lacks a pod."""
    stage = deployed(canary({"setWeight": 100}, {"pause": {}}, how=how))
    stage.image("v2")
    stage.play(30)
    assert stage.weight() == 100
    stage.crash_pods("v1", unready)
    stage.user(abort=True)
    stage.play(1)
    assert stage.weight() == left

    stage.heal_pods("v1")
    stage.play(10)
    assert stage.weight() == 0


@pytest.mark.parametrize("replicas", [3, 4, 7, 12, 101, 250])
@pytest.mark.parametrize("weight", [10, 50, 90])
@pytest.mark.parametrize("how", ["abort", "way back"])
def test_argo_4841_an_abort_with_a_dynamic_stable_scale_ends_in_a_full_cluster(
    replicas: int, weight: int, how: str
) -> None:
    """#4841, #4898: stable waits for room, the canary for its traffic to go, and neither ever comes. Nor may the parts
    of a whole that weights are hold it up, where numbers of pods do not divide them."""
    strategy = canary({"setWeight": weight}, {"pause": {}}, dynamicStableScale=True)
    stage = deployed(strategy, replicas=replicas)
    stage.image("v2")
    stage.play(120)
    assert stage.weight() == weight
    stage.room = max(replicas + 1, sum(stage.sizes().values()))
    if how == "abort":
        stage.user(abort=True)
    else:
        stage.image("v1")
    stage.play(2000)

    assert stage.weight() == 0
    assert stage.sizes() == {"v1": replicas}


def test_argo_4841_without_room_for_a_single_pod_more_it_ends_once_one_less_is_asked_for() -> None:
    """Somebody has to say that three pods can carry what four did; nothing is overloaded before."""
    stage = at_half(dynamicStableScale=True)
    stage.room = 4
    stage.user(abort=True)
    stage.play(300)
    assert (stage.weight(), stage.sizes()) == (50, {"v1": 4, "v2": 2}), "two pods of v1 can't start"

    stage.spec(replicas=3)
    stage.play(300)
    assert (stage.weight(), stage.sizes()) == (0, {"v1": 3})

    stage.spec(replicas=4)
    stage.settle()
    assert (stage.weight(), stage.sizes()) == (0, {"v1": 4})


@pytest.mark.parametrize("how", ROUTED)
@pytest.mark.parametrize("dynamic", [True, False])
def test_argo_4973_scaling_up_after_an_abort_brings_no_canary_up(how: str, dynamic: bool) -> None:
    stage = at_half(how, dynamicStableScale=dynamic)
    stage.user(abort=True)
    stage.play(120)
    assert stage.sizes() == {"v1": 4}
    stage.boot["v1"] = 20.0
    stage.spec(replicas=8)
    for _ in range(30):
        stage.play(1)
        assert stage.sizes() == {"v1": 8}


@pytest.mark.parametrize("strategy", [canary(*HALF, how=how) for how in (*ROUTED, "pods")] + [blue_green()])
def test_argo_1292_an_abort_with_nothing_under_way_changes_nothing(strategy: Obj) -> None:
    """#1292: it scaled stable to 0. #2982: it set and unset a deadline a thousand times a minute."""
    stage = deployed(strategy)
    stage.user(abort=True)
    stage.settle()

    assert stage.phase() == ("Healthy", "") and not stage.status.get("abort")
    assert stage.sizes() == {"v1": 4}
    assert {write.key.kind for write in stage.writes} <= {"Rollout"} and len(stage.writes) <= 1


def test_argo_3774_the_delay_after_an_abort_holds_for_the_second_abort_too() -> None:
    stage = at_half(abortScaleDownDelaySeconds=20)
    for _ in range(2):
        stage.user(abort=True)
        stage.play(18)
        assert (stage.weight(), stage.sizes()) == (0, {"v1": 4, "v2": 2})
        stage.user(abort=False)
        stage.play(18)
        assert stage.weight() == 50
    stage.user(abort=True)
    stage.play(25)
    assert stage.sizes() == {"v1": 4}


# -- pods that go while somebody is led to them


@pytest.mark.parametrize("how", ROUTED)
def test_argo_4390_a_third_version_while_stable_is_unready_leaves_no_end_without_pods(how: str) -> None:
    """The canary's end still stood for the second version while that was scaled down."""
    stage = at_half(how)
    stage.crash_pods("v1", 2)
    stage.image("v3")
    stage.play(300)
    ends = stage.shares()
    assert all(stage.available(hash_) for split in ends.values() for hash_, share in split.items() if share), ends

    stage.heal_pods("v1")
    stage.settle()
    assert stage.weight() == 50
    assert stage.sizes() == {"v1": 4, "v3": 2}


def test_argo_4534_a_superseded_canary_keeps_its_pods_for_the_delay() -> None:
    """Proxies may lead users to the second version for a moment yet when the third has taken its place."""
    stage = at_half(scaleDownDelaySeconds=20)
    stage.image("v3")
    stage.play(19)
    assert stage.sizes()["v2"] == 2
    stage.play(30)
    assert "v2" not in stage.sizes()


def promoted(stage: Stage) -> None:
    stage.user(promoteFull=True)


def undone(stage: Stage) -> None:
    stage.user(abort=True)


def taken_back(stage: Stage) -> None:
    stage.image("v1")


def superseded(stage: Stage) -> None:
    stage.image("v3")


@pytest.mark.parametrize(("move", "left"), [(promoted, "v1"), (undone, "v2"), (taken_back, "v2"), (superseded, "v2")])
@pytest.mark.parametrize("how", ["hosts", "two", "turns"])
def test_argo_4195_pods_keep_a_service_until_all_proxies_know_the_weights(
    how: str, move: Callable[[Stage], None], left: str
) -> None:
    """The sidecar of a pod that no Service selects refuses whoever comes by a weight of before."""
    stage = deployed(canary({"setWeight": 50}, {"pause": {}}, how=how))
    stage.image("v2")
    stage.play(30)
    gone, ways = stage.hash(left), [routes(stage)]
    move(stage)
    while gone in selected(stage) and len(ways) < 300:
        stage.play(0.1)
        ways.append(routes(stage))
    assert gone not in selected(stage), "the Service follows in the end"
    *_, last = [at for at, (before, after) in enumerate(pairwise(ways[:-1])) if before != after]
    assert len(ways) - 2 - last == pytest.approx(20, abs=1), "tenths of a second since the routes have changed"


@pytest.mark.parametrize("how", ["hosts", "two", "turns"])
@pytest.mark.parametrize("moment", [0.0, 1.0, 1.9])
@pytest.mark.parametrize("move", [taken_back, superseded])
def test_argo_4195_a_new_template_right_after_a_promotion_leads_nobody_back(
    how: str, moment: float, move: Callable[[Stage], None]
) -> None:
    """Stable's Service still selects the version before: the stage checks that no weight leads anybody there."""
    stage = deployed(canary({"setWeight": 50}, {"pause": {}}, how=how))
    stage.image("v2")
    stage.play(30)
    stage.user(promoteFull=True)
    update_to_v2(stage)
    stage.play(moment)
    move(stage)
    stage.play(30)
    assert stage.weight() == 50
    assert stage.shares()["app[primary]"][stage.hash("v2")] == 50


@pytest.mark.parametrize("moment", [0.0, 1.0, 3.0])
def test_argo_4195_the_old_version_that_comes_back_right_after_a_promotion_has_its_delay(moment: float) -> None:
    stage = deployed(canary({"pause": {"duration": 5}}, {"setWeight": 1}), replicas=2)
    update_to_v2(stage)
    stage.play(moment)
    stage.image("v1")
    stage.play(25)
    assert stage.sizes() == {"v1": 2, "v2": 2}
    assert stage.settle().sizes() == {"v1": 2}


@pytest.mark.parametrize("sick", ["v1", "v2"])
def test_argo_4195_a_fix_right_after_a_promotion_gets_through_though_pods_are_down(sick: str) -> None:
    stage = deployed(canary({"setWeight": 50}), replicas=1)
    update_to_v2(stage)
    stage.image("v3")
    stage.crash_pods(sick)
    assert stage.settle().sizes() == {"v3": 1}


def update_to_v2(stage: Stage) -> None:
    """Until the moment in which v2 is stable."""
    stage.image("v2")
    while "v2" not in stage.sets() or stage.status["stableRS"] != stage.hash("v2"):
        stage.play(0.1)


def routes(stage: Stage) -> list[Any]:
    return [obj["spec"]["http"] for key, obj in stage.objects.items() if key.kind == "VirtualService"]


def selected(stage: Stage) -> set[str]:
    services = (obj for key, obj in stage.objects.items() if key.kind == "Service")
    return {service["spec"]["selector"].get(HASH, "") for service in services}


@pytest.mark.parametrize("how", ["hosts", "subsets"])
def test_argo_4775_no_subset_or_service_ever_selects_a_version_without_pods(how: str) -> None:
    """From the first update to an abort, a third version and a promotion, looked at every second."""
    stage = deployed(canary({"setWeight": 20}, {"pause": {"duration": 3}}, {"setWeight": 100}, how=how))
    moves = [lambda: stage.image("v2"), lambda: stage.user(abort=True), lambda: stage.image("v3"), lambda: None]
    for move in moves:
        move()
        for _ in range(45):
            stage.play(1)
            ends = subsets(stage) if how == "subsets" else {name: stage.selects(name) for name in BOTH_ENDS}
            for end, image in ends.items():
                assert stage.available(stage.hash(image)), f"{end} selects {image}: {stage.sizes()}"
    assert stage.sizes() == {"v3": 4}


@dataclass
class Looking(Stage):
    """Notes the new version's share of each route whenever a route or an end is written."""

    seen: list[dict[str, float]] = field(default_factory=list)

    def put(self, obj: Obj) -> Obj:
        done = super().put(obj)
        if obj["kind"] in ("VirtualService", "DestinationRule", "Service") and "v2" in self.sets():
            self.seen.append({route: split.get(self.hash("v2"), 0.0) for route, split in self.shares().items()})
        return done


@pytest.mark.parametrize("how", ROUTED)
def test_argo_587_no_write_of_a_promotion_leads_users_back_to_the_old_version(how: str) -> None:
    """#587, #2507: Services and weights were flipped at once, and whichever a proxy learned of first led to pods that
    were about to go."""
    stage = Looking()
    deployed(canary({"setWeight": 50}, how=how), stage=stage)
    stage.image("v2")
    stage.settle()

    assert stage.phase() == ("Healthy", "")
    assert len(stage.seen) >= 4
    for before, now in pairwise(stage.seen):
        assert all(now[route] >= before[route] for route in now), stage.seen
    assert set(stage.seen[-1].values()) == {100.0}


# -- autoscalers


def test_argo_4607_a_scale_in_the_middle_moves_pods_and_not_the_step() -> None:
    """#4369, #4607: an autoscaler's wish is followed at every step, and its answer does not swing."""
    stage = at_half()
    for replicas in (8, 3, 10):
        stage.spec(replicas=replicas)
        stage.play(60)
        assert stage.sizes() == {"v1": replicas, "v2": -(-replicas // 2)}
        assert stage.status["HPAReplicas"] == sum(stage.sizes().values())
        assert (stage.weight(), stage.status["currentStepIndex"]) == (50, 1)


# -- analysis


def test_argo_1905_a_run_that_cannot_tell_pauses_and_neither_promotes_nor_undoes() -> None:
    stage = deployed(canary({"setWeight": 50}, {"analysis": ANALYSIS}))
    stage.verdicts["Step"] = [Verdict("Inconclusive", 1.0), Verdict("Successful", 1.0)]
    stage.image("v2")
    stage.play(600)
    assert stage.phase() == ("Paused", "InconclusiveAnalysisRun")
    assert stage.weight() == 50


# -- workloadRef


def test_argo_4681_the_deployment_goes_though_an_analysis_after_the_promotion_is_asked_for() -> None:
    """A first deployment has no analysis after its promotion, and the Deployment waited for one for ever."""
    stage = referring("Deployment", blue_green(postPromotionAnalysis=ANALYSIS), scale_down="onsuccess")
    stage.put(workload("Deployment"))
    stage.settle()

    assert stage.phase() == ("Healthy", "")
    assert size(stage) == 0


def test_argo_4321_an_autoscaler_after_the_migration_does_not_wake_the_deployment() -> None:
    stage = referring("Deployment", canary(how="pods"), scale_down="progressively")
    stage.put(workload("Deployment"))
    stage.settle()
    assert size(stage) == 0
    for replicas in (10, 2, 6):
        stage.spec(replicas=replicas)
        stage.play(1)
        assert size(stage) == 0
        stage.settle()
        assert size(stage) == 0


def test_argo_4110_the_workloads_generation_stands_beside_the_phase_that_belongs_to_it() -> None:
    """Whether a change of the Deployment has been seen is what people could not tell."""
    stage = referring("Deployment", canary(*HALF))
    stage.put(workload("Deployment"))
    stage.settle()
    before = stage.status["workloadObservedGeneration"]
    update(stage, "Deployment", "v2")
    stage.settle()
    assert stage.status["workloadObservedGeneration"] != before
    assert stage.status["workloadObservedGeneration"] == str(stage.objects[DEPLOYMENT]["metadata"]["generation"])


# -- deadlines


def test_argo_3414_a_delay_longer_than_the_progress_deadline_is_no_missed_deadline() -> None:
    """Old pods that wait for their delay are no lack of progress."""
    stage = deployed(canary(scaleDownDelaySeconds=300), progressDeadlineSeconds=60)
    stage.image("v2")
    for _ in range(40):
        stage.play(10)
        assert stage.phase()[0] != "Degraded"
    assert stage.sizes() == {"v2": 4}


# -- steps that change under way


def test_argo_steps_that_are_edited_in_the_middle_begin_at_the_first_and_nothing_jumps() -> None:
    """Argo begins anew; Flagger's `nextStepWeight`, which looks its weight up in the list, would go to 100 at once."""
    stage = at_half()
    stage.spec(strategy={"canary": {"steps": [{"setWeight": 25}, {"pause": {}}, {"setWeight": 75}]}})
    seen = set()
    for _ in range(30):
        stage.play(1)
        seen.add(stage.weight())
    assert seen <= {50, 25}
    assert (stage.status["currentStepIndex"], stage.weight()) == (1, 25)


# -- objects that nobody expects


@pytest.mark.parametrize("http", [[], None, [{"name": "primary", "route": []}], [{"name": "primary"}]])
def test_argo_a_route_without_destinations_is_told_and_breaks_nothing(http: object) -> None:
    """createMirrorRoute looks at the first destination of an empty list, and the controller panics."""
    mirror = {"setMirrorRoute": {"name": "copy", "match": [{"method": {"exact": "GET"}}], "percentage": 50}}
    stage = deployed(canary(mirror, *HALF))
    stage.edit(Key("VirtualService", NAMESPACE, "app"), {"spec": {"http": http}})
    stage.image("v2")
    stage.settle()

    assert stage.phase()[0] == "Degraded" and "VirtualService default/app" in stage.condition("InvalidSpec")["message"]
    assert stage.sizes() == {"v1": 4}


def test_argo_a_promoted_rollout_with_managed_routes_is_left_alone() -> None:
    """RemoveManagedRoutes reports a change where there was none: a write and an event at every reconcile."""
    lead = {"setHeaderRoute": {"name": "lead", "match": [{"headerName": "x", "headerValue": {"exact": "y"}}]}}
    stage = deployed(canary(lead, {"setWeight": 50}))
    stage.image("v2")
    stage.settle()
    stage.writes.clear()
    stage.events.clear()
    for _ in range(5):
        stage.put({**stage.rollout, "metadata": {**stage.rollout["metadata"], "annotations": {"looked": str(_)}}})
        stage.play(60)
    assert [write.key.kind for write in stage.writes if write.key.kind == "VirtualService"] == []
    assert stage.events == []
