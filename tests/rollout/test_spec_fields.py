"""Each plain field of a Rollout changes what happens, by itself: a value, a story, and what can be seen of it.

Wrong programs this catches: one that reads a field and does not act on it.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from tests.rollout.objects import ANALYSIS, Obj, blue_green, canary, template
from tests.rollout.stage import HASH, Stage, Verdict, deployed

PAUSE = {"pause": {}}
NEVER: dict[str, float | None] = {"v2": None}


def seconds_until(stage: Stage, seen: Any, limit: int = 200) -> float:
    """How long it takes until `seen(stage)`, to the second; infinity if not within the limit."""
    begun = stage.now
    while not seen(stage):
        if stage.now - begun > timedelta(seconds=limit):
            return math.inf
        stage.play(1)
    return (stage.now - begun).total_seconds()


@pytest.mark.parametrize(("seconds", "least"), [(0, 2), (20, 22)])
def test_a_pod_counts_once_it_has_been_ready_for_min_ready_seconds(seconds: int, least: int) -> None:
    stage = deployed(canary({"setWeight": 50}, PAUSE), minReadySeconds=seconds)
    stage.image("v2")

    assert seconds_until(stage, lambda s: s.weight() == 50) == pytest.approx(least, abs=1.1)


@pytest.mark.parametrize(("abort", "deadline"), [(False, 60), (True, 60), (False, 90)])
def test_an_update_without_progress_is_overdue_at_its_deadline_and_undone_if_that_is_asked(
    abort: bool, deadline: int
) -> None:
    fields: Obj = {"progressDeadlineSeconds": deadline, "progressDeadlineAbort": abort}
    stage = deployed(canary({"setWeight": 50}), stage=Stage(boot=NEVER), **fields)
    stage.image("v2")

    assert seconds_until(stage, lambda s: s.phase()[0] == "Degraded") == pytest.approx(deadline, abs=2)
    assert stage.phase()[1].startswith("RolloutAborted" if abort else "ProgressDeadlineExceeded")
    assert bool(stage.status.get("abort")) is abort


@pytest.mark.parametrize(("limit", "kept"), [(None, 4), (2, 3), (0, 1)])
def test_as_many_old_replicasets_are_kept_as_the_limit_says(limit: int | None, kept: int) -> None:
    fields: Obj = {} if limit is None else {"revisionHistoryLimit": limit}
    stage = deployed(canary({"setWeight": 50}), **fields)
    for image in ("v2", "v3", "v4"):
        stage.image(image)
        stage.settle()

    assert len(stage.sets()) == kept


@pytest.mark.parametrize("strategy", [canary({"setWeight": 50}, {"pause": {"duration": 5}}), blue_green()])
def test_a_held_rollout_goes_no_further_and_still_scales(strategy: Obj) -> None:
    stage = deployed(strategy, replicas=2)
    stage.spec(paused=True)
    stage.image("v2")
    stage.play(100)
    assert stage.phase() == ("Paused", "manually paused") and set(stage.sizes()) == {"v1"}

    stage.spec(replicas=3)
    stage.play(5)
    assert stage.sizes() == {"v1": 3}
    stage.spec(paused=False)
    stage.settle()
    assert stage.phase() == ("Healthy", "") and stage.sizes() == {"v2": 3}


@pytest.mark.parametrize(("replicas", "pods"), [(None, 1), (3, 3)])
def test_as_many_pods_run_as_the_spec_says_and_one_where_it_is_silent(replicas: int | None, pods: int) -> None:
    assert deployed(blue_green(), replicas=replicas).sizes() == {"v1": pods}


def test_the_pods_and_their_selector_are_those_of_the_spec() -> None:
    either = {"key": "app", "operator": "In", "values": ["app", "web"]}
    selector: Obj = {"matchLabels": {"app": "app"}, "matchExpressions": [either, {"key": "app", "operator": "Exists"}]}
    stage = deployed(canary({"setWeight": 50}), selector=selector)
    (rs,) = stage.sets().values()

    assert rs["spec"]["selector"]["matchExpressions"] == selector["matchExpressions"]
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "app", HASH: stage.hash("v1")}
    assert rs["spec"]["template"]["spec"] == stage.rollout["spec"]["template"]["spec"]


WAITS = {"canary": canary({"setWeight": 50}), "blueGreen": blue_green()}
STAYS = [(None, 30), (50, 50)]


def with_field(kind: str, **fields: int | None) -> Obj:
    given = {name: value for name, value in fields.items() if value is not None}
    return {kind: {**WAITS[kind][kind], **given}}


@pytest.mark.parametrize("kind", WAITS)
@pytest.mark.parametrize(("delay", "stays"), [*STAYS, (0, 0)])
def test_the_old_version_stays_for_its_delay_after_the_promotion(kind: str, delay: int | None, stays: int) -> None:
    stage = deployed(with_field(kind, scaleDownDelaySeconds=delay))
    stage.image("v2")
    seconds_until(stage, lambda s: "v2" in s.sets() and s.status["stableRS"] == s.hash("v2"))

    # Its Service goes over two seconds later, and the delay is counted from then.
    assert seconds_until(stage, lambda s: "v1" not in s.sizes()) == pytest.approx(stays, abs=3.1)


@pytest.mark.parametrize("kind", WAITS)
@pytest.mark.parametrize(("delay", "stays"), [*STAYS, (0, math.inf)])
def test_the_new_version_stays_for_its_delay_after_an_abort(kind: str, delay: int | None, stays: float) -> None:
    held: dict[str, Obj] = {
        "canary": {"steps": [{"setWeight": 50}, PAUSE]},
        "blueGreen": {"autoPromotionEnabled": False},
    }
    strategy = with_field(kind, abortScaleDownDelaySeconds=delay)
    stage = deployed({kind: {**strategy[kind], **held[kind]}})
    stage.image("v2")
    stage.play(5)
    stage.user(abort=True)
    stage.play(1)

    assert seconds_until(stage, lambda s: "v2" not in s.sizes()) == pytest.approx(stays, abs=2.1)


@pytest.mark.parametrize(("limit", "left"), [(None, {"v1", "v2", "v3"}), (1, {"v2", "v3"}), (0, {"v3"})])
def test_only_so_many_old_versions_of_a_canary_wait_for_their_delay(limit: int | None, left: set[str]) -> None:
    stage = deployed(with_field("canary", scaleDownDelaySeconds=500, scaleDownDelayRevisionLimit=limit))
    for image in ("v2", "v3"):
        stage.image(image)
        stage.play(20)

    assert set(stage.sizes()) == left


@pytest.mark.parametrize(
    ("fields", "waits"),
    [
        ({}, 2),
        ({"autoPromotionSeconds": 40}, 42),
        ({"autoPromotionEnabled": False}, math.inf),
        ({"autoPromotionEnabled": False, "autoPromotionSeconds": 40}, math.inf),
    ],
)
def test_the_preview_is_promoted_at_once_after_a_time_or_by_a_person(fields: Obj, waits: float) -> None:
    stage = deployed(blue_green(**fields))
    stage.image("v2")

    assert seconds_until(stage, lambda s: s.selects("app-active") == "v2") == pytest.approx(waits, abs=1.1)
    assert stage.selects("app-preview") == "v2"
    ends = {"activeSelector": stage.hash(stage.selects("app-active")), "previewSelector": stage.hash("v2")}
    assert stage.status["blueGreen"] == ends
    stage.user(pauseConditions=None)
    stage.settle()
    assert stage.selects("app-active") == "v2"


def test_the_ends_of_the_traffic_are_the_services_that_the_strategy_names() -> None:
    stage = deployed(canary({"setWeight": 50}, PAUSE))
    stage.image("v2")
    stage.play(10)

    assert (stage.selects("app-stable"), stage.selects("app-canary")) == ("v1", "v2")


@pytest.mark.parametrize("how", ["hosts", "subsets", "two"])
def test_every_virtual_service_that_is_named_gets_the_weight_of_the_step(how: str) -> None:
    stage = deployed(canary({"setWeight": 30}, PAUSE, {"setWeight": 70}, PAUSE, how=how))
    stage.image("v2")
    for weight in (30, 70):
        stage.play(10)
        assert {stage.weight(key.name) for key in stage.objects if key.kind == "VirtualService"} == {weight}
        split = {stage.hash("v2"): float(weight), stage.hash("v1"): 100.0 - weight}
        assert next(share for route, share in stage.shares().items() if "primary" in route) == split
        stage.user(pauseConditions=None)


@pytest.mark.parametrize("starting", [0, 2])
def test_the_background_analysis_begins_with_its_step(starting: int) -> None:
    strategy = canary(
        {"setWeight": 30}, PAUSE, {"setWeight": 60}, PAUSE, analysis=ANALYSIS | {"startingStep": starting}
    )
    stage = deployed(strategy, stage=Stage(verdicts={"Background": [Verdict(after=None)]}))
    stage.image("v2")
    stage.play(10)
    assert bool(stage.runs()) is (starting == 0)

    stage.user(pauseConditions=None)
    stage.play(10)
    assert list(stage.runs().values()) == ["Running"]


PLACES = {
    "step": canary({"setWeight": 50}, {"analysis": ANALYSIS}),
    "background": canary({"setWeight": 50}, {"pause": {"duration": 60}}, analysis=ANALYSIS),
    "before": blue_green(prePromotionAnalysis=ANALYSIS),
    "after": blue_green(postPromotionAnalysis=ANALYSIS),
}
SLOTS = {
    "step": ("canary", "currentStepAnalysisRunStatus"),
    "background": ("canary", "currentBackgroundAnalysisRunStatus"),
    "before": ("blueGreen", "prePromotionAnalysisRunStatus"),
    "after": ("blueGreen", "postPromotionAnalysisRunStatus"),
}


@pytest.mark.parametrize("place", PLACES)
def test_an_analysis_that_fails_undoes_the_update_and_the_status_names_its_run(place: str) -> None:
    kinds = ("Step", "Background", "PrePromotion", "PostPromotion")
    stage = deployed(PLACES[place], stage=Stage(verdicts={kind: [Verdict("Failed")] for kind in kinds}))
    stage.image("v2")
    stage.play(20)

    assert stage.phase()[0] == "Degraded" and stage.status["abort"] is True
    part, slot = SLOTS[place]
    (name,) = stage.runs()
    assert stage.status[part][slot] == {"name": name, "status": "Failed", "message": "scripted Failed"}


@pytest.mark.parametrize("place", PLACES)
def test_arguments_and_templates_of_every_analysis_reach_its_run(place: str) -> None:
    args: list[Obj] = [
        {"name": "plain", "value": "x"},
        {"name": "new", "valueFrom": {"podTemplateHashValue": "Latest"}},
        {"name": "app", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    asks: Obj = {"templates": [{"templateName": "mine"}, {"templateName": "all", "clusterScope": True}], "args": args}
    mine, everyones = template("mine"), template("all")
    mine["spec"]["args"] = [{"name": arg["name"]} for arg in args]
    everyones["spec"]["metrics"][0]["name"] = "other"
    cluster_wide = {**everyones, "kind": "ClusterAnalysisTemplate", "metadata": {"name": "all", "namespace": ""}}
    strategy = _replaced(PLACES[place], asks)
    stage = Stage()
    stage.put(mine)
    stage.put(cluster_wide)
    stage = deployed(strategy, stage=stage)
    stage.image("v2")
    stage.play(20)

    (run,) = (obj for key, obj in stage.objects.items() if key.kind == "AnalysisRun")
    given = {arg["name"]: arg["value"] for arg in run["spec"]["args"]}
    assert given == {"plain": "x", "new": stage.hash("v2"), "app": "app"}
    assert [metric["name"] for metric in run["spec"]["metrics"]] == ["up", "other"]


def _replaced(node: Any, analysis: Obj) -> Any:
    if node is ANALYSIS or node == ANALYSIS:
        return analysis
    if isinstance(node, dict):
        return {key: _replaced(value, analysis) for key, value in node.items()}
    return [_replaced(item, analysis) for item in node] if isinstance(node, list) else node


def test_the_status_of_an_update_under_way_is_this() -> None:
    stage = deployed(canary({"setWeight": 25}, PAUSE))
    before = stage.status
    stage.image("v2")
    stage.play(20)
    old, new = stage.hash("v1"), stage.hash("v2")

    status = dict(stage.status)
    conditions = {each["type"]: each for each in status.pop("conditions")}
    (pause,) = status.pop("pauseConditions")
    (first,) = status.pop("releases")["recent"]
    assert (first["podHash"], first["outcome"]) == (old, "Promoted")
    assert pause["reason"] == "CanaryPauseStep" and pause["startTime"] > "2026-03-01T12:00:00Z"
    assert conditions["Paused"].items() >= {"status": "True", "reason": "RolloutPaused"}.items()
    assert conditions["Paused"]["message"] == "Rollout is paused"
    assert conditions["Healthy"]["status"] == "False"
    assert conditions["Paused"]["lastUpdateTime"] >= conditions["Paused"]["lastTransitionTime"] >= pause["startTime"]
    assert status == {
        "phase": "Paused",
        "duration": {"manualPauseStartedAt": "2026-03-01T14:00:02Z", "rolloutStartedAt": "2026-03-01T14:00:00Z"},
        "message": "CanaryPauseStep",
        "observedGeneration": str(stage.rollout["metadata"]["generation"]),
        "currentPodHash": new,
        "stableRS": old,
        "currentStepHash": before["currentStepHash"],
        "currentStepIndex": 1,
        "controllerPause": True,
        "replicas": 5,
        "updatedReplicas": 1,
        "readyReplicas": 5,
        "availableReplicas": 5,
        "HPAReplicas": 5,
        "selector": "app=app",
        "canary": {
            "weights": {
                "canary": {"weight": 25, "serviceName": "app-canary", "podTemplateHash": new},
                "stable": {"weight": 75, "serviceName": "app-stable", "podTemplateHash": old},
            }
        },
    }


def test_other_steps_are_told_by_their_hash_and_begin_anew() -> None:
    stage = deployed(canary({"setWeight": 25}, PAUSE))
    stage.image("v2")
    stage.play(20)
    before = stage.status["currentStepHash"]
    assert stage.status["currentStepIndex"] == 1

    stage.spec(strategy=canary({"setWeight": 30}, {"setWeight": 40}, PAUSE))
    stage.play(20)

    assert stage.status["currentStepHash"] != before
    assert (stage.status["currentStepIndex"], stage.weight()) == (2, 40)


def test_a_person_aborts_retries_and_promotes_by_the_status() -> None:
    stage = deployed(canary({"setWeight": 25}, PAUSE))
    stage.image("v2")
    stage.play(20)
    stage.user(abort=True)
    stage.play(5)
    assert stage.weight() == 0 and stage.status["abortedAt"] and stage.phase()[0] == "Degraded"

    stage.user(abort=False)
    stage.play(20)
    assert "abortedAt" not in stage.status and stage.phase() == ("Paused", "CanaryPauseStep")
    stage.user(promoteFull=True)
    stage.settle()
    assert stage.phase() == ("Healthy", "") and not stage.status.get("promoteFull")


def test_a_name_that_somebody_else_has_is_counted_as_a_collision_and_another_is_taken() -> None:
    scout = deployed(blue_green())
    scout.image("v2")
    scout.settle()
    taken = f"app-{scout.hash('v2')}"
    stage = deployed(blue_green())
    theirs = {**scout.sets()["v2"], "metadata": {"name": taken, "labels": {HASH: scout.hash("v2")}}}
    stage.put({**theirs, "spec": {**theirs["spec"], "replicas": 0}})
    stage.image("v2")
    stage.settle()

    assert stage.phase() == ("Healthy", "") and stage.status["collisionCount"] == 1
    assert stage.status["currentPodHash"] == stage.hash("v2") != scout.hash("v2")


def test_what_others_wrote_into_the_status_stays() -> None:
    named = {"name": "shop", "arn": "arn:aws:shop", "fullName": "app/shop"}
    alb = {"ingress": "shop", **dict.fromkeys(("loadBalancer", "canaryTargetGroup", "stableTargetGroup"), named)}
    plugin = {"index": 0, "name": "p", "operation": "Run", "phase": "Running", "message": "asked", "executions": 2}
    plugin |= dict.fromkeys(("startedAt", "updatedAt", "finishedAt"), "2026-03-01T12:00:00Z")
    plugin |= {"backoff": "10s", "disabled": True, "status": {"seen": 1}}
    theirs: Obj = {"alb": alb, "albs": [alb], "canary": {"stepPluginStatuses": [plugin]}}
    stage = deployed(canary({"setWeight": 50}, PAUSE))
    stage.user(**theirs)
    stage.image("v2")
    stage.play(20)

    assert stage.phase()[0] == "Paused"
    assert {field: stage.status.get(field) for field in ("alb", "albs")} | {"canary": theirs["canary"]} == theirs
    assert stage.status["canary"].items() >= theirs["canary"].items()
