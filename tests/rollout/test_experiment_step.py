"""The canary step `experiment`: what it makes, what its verdict means, and where the users are meanwhile."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.rollout import stage as stages
from tests.rollout.objects import Obj, canary, template, trial
from tests.rollout.stage import HASH, NAMESPACE, Stage, Verdict
from tidegate.api import names
from tidegate.core.plan import Key
from tidegate.core.times import parse_time

deployed, set_up = partial(stages.deployed, ports=True), partial(stages.set_up, ports=True)

PAUSE: Obj = {"pause": {}}
ASKED: Obj = {"name": "look", "templateName": "ok", "requiredForCompletion": True}


def at_step(*weights: int | None, how: str = "hosts", replicas: int = 10, **fields: Any) -> Stage:
    """v2 is tried in the first step of a canary, for as long as nobody ends it, and then pauses."""
    verdicts = fields.pop("verdicts", {"Experiment": [Verdict(after=None)]})
    labels = fields.pop("labels", {})
    step = trial(*(weights or (None,)), **{"analyses": [ASKED], **fields})
    stage = deployed(canary(step, PAUSE, how=how), replicas=replicas, stage=Stage(verdicts=verdicts, twice=True))
    if labels:
        stage.edit(Key("Rollout", NAMESPACE, "app"), {"metadata": {"labels": labels}})
    stage.image("v2")
    stage.play(10)
    return stage


def tried(stage: Stage) -> dict[str, Obj]:
    """The Experiments by name, oldest first."""
    return {key.name: obj for key, obj in sorted(stage.objects.items()) if key.kind == "Experiment"}


def phases(stage: Stage) -> list[str]:
    return [obj["status"]["phase"] for obj in tried(stage).values()]


def current(stage: Stage) -> str:
    found: str = stage.status["canary"].get("currentExperiment", "")
    return found


def end(stage: Stage, phase: str) -> None:
    """The analysis of the running Experiment ends like this."""
    stage.verdicts = {"Experiment": [Verdict(after=None)]}
    for key, obj in list(stage.objects.items()):
        if key.kind == "AnalysisRun" and obj["status"]["phase"] == "Running":
            stage.store({**obj, "status": {"phase": phase, "message": f"scripted {phase}"}})


def test_the_experiment_is_the_rollouts_versions_as_the_contract_has_it() -> None:
    stage = at_step(
        None,
        5,
        replicas=4,
        dryRun=[{"metricName": "up"}],
        analysisRunMetadata={"labels": {"team": "shop"}, "annotations": {"note": "x"}},
        scaleDownDelaySeconds=7,
        duration="30m",
        labels={names.INSTANCE_ID: "a", "team": "shop"},
    )

    hash_ = stage.hash("v2")
    name = f"app-{hash_}-2-0"
    obj = tried(stage)[name]
    assert current(stage) == name
    assert obj["metadata"]["labels"] == {names.INSTANCE_ID: "a", "team": "shop", HASH: hash_}
    assert obj["metadata"]["annotations"] == {names.REVISION: "2"}
    (owner,) = obj["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Rollout", stage.rollout["metadata"]["uid"], True)
    spec = obj["spec"]
    one, two = spec["templates"]
    assert [each["name"] for each in (one, two)] == ["one", "two"]
    assert [each["template"]["spec"]["containers"][0]["image"] for each in (one, two)] == ["v2", "v1"]
    assert HASH not in one["template"]["metadata"]["labels"]
    assert "service" not in one and two["service"] == {}
    assert spec["analyses"] == [ASKED]
    assert (spec["duration"], spec["scaleDownDelaySeconds"], spec["dryRun"]) == ("30m", 7, [{"metricName": "up"}])
    assert spec["analysisRunMetadata"] == {"labels": {"team": "shop"}, "annotations": {"note": "x"}}
    assert "ExperimentCreated" in stage.events


def test_a_template_bears_and_selects_what_the_step_says() -> None:
    either = [{"key": "tried", "operator": "In", "values": ["yes", "no"]}]
    one = {
        "name": "one",
        "specRef": "stable",
        "replicas": 2,
        "metadata": {"labels": {"tried": "yes"}, "annotations": {"note": "x"}},
        "selector": {"matchLabels": {"app": "app"}, "matchExpressions": either},
        "service": {"name": "tried-one"},
    }
    stage = deployed(canary({"experiment": {"templates": [one], "duration": "1h"}}), minReadySeconds=3)
    stage.image("v2")
    stage.play(20)

    ((name, obj),) = tried(stage).items()
    (given,) = obj["spec"]["templates"]
    assert given["template"]["metadata"] == {"labels": {"app": "app", "tried": "yes"}, "annotations": {"note": "x"}}
    assert given["selector"] == {"matchLabels": {"app": "app", "tried": "yes"}, "matchExpressions": either}
    assert (given["replicas"], given["minReadySeconds"]) == (2, 3)
    assert Key("Service", NAMESPACE, "tried-one") in stage.objects
    hash_ = stage.objects[Key("ReplicaSet", NAMESPACE, f"{name}-one")]["metadata"]["labels"][HASH]
    assert hash_ not in (stage.hash("v1"), stage.hash("v2")), "or the Rollout's Services would find these pods"


def test_arguments_are_settled_when_the_experiment_is_made() -> None:
    args = [
        {"name": "old", "valueFrom": {"podTemplateHashValue": "Stable"}},
        {"name": "new", "valueFrom": {"podTemplateHashValue": "Latest"}},
        {"name": "app", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "tried", "value": "{{templates.one.podTemplateHash}}"},
    ]
    ok = template()
    ok["spec"]["args"] = [{"name": each["name"]} for each in args]
    stage = deployed(canary(trial(None, analyses=[{**ASKED, "args": args}])))
    stage.put(ok)
    stage.image("v2")
    stage.play(10)

    ((name, _),) = tried(stage).items()
    run = stage.objects[Key("AnalysisRun", NAMESPACE, f"{name}-look")]
    own = stage.objects[Key("ReplicaSet", NAMESPACE, f"{name}-one")]["metadata"]["labels"][HASH]
    values = {each["name"]: each["value"] for each in run["spec"]["args"]}
    assert values == {"old": stage.hash("v1"), "new": stage.hash("v2"), "app": "app", "tried": own}


def test_a_cluster_wide_template_reaches_the_experiment() -> None:
    asked = {"name": "look", "templateName": "wide", "clusterScope": True}
    stage = set_up(canary(trial(None, duration="1h", analyses=[asked])))
    wide = {**template("wide"), "kind": "ClusterAnalysisTemplate"}
    stage.objects[Key("ClusterAnalysisTemplate", "", "wide")] = {
        **wide,
        "metadata": {"name": "wide", "resourceVersion": "1"},
    }
    stage.settle()
    stage.image("v2")
    stage.play(10)

    ((name, obj),) = tried(stage).items()
    assert obj["spec"]["analyses"] == [asked] and f"{name}-look" in stage.runs()


def test_the_step_is_done_when_its_experiment_was_successful_and_not_before() -> None:
    stage = at_step(None)
    stage.play(3600)
    assert stage.status["currentStepIndex"] == 0 and phases(stage) == ["Running"]
    assert stage.phase()[0] == "Progressing", "a long experiment is no lack of progress"
    end(stage, "Successful")
    stage.play(5)

    assert stage.phase() == ("Paused", "CanaryPauseStep")
    assert stage.status["currentStepIndex"] == 1 and not current(stage)
    stage.user(pauseConditions=None)
    stage.settle()
    assert stage.phase() == ("Healthy", "") and stage.sizes() == {"v2": 10}


@pytest.mark.parametrize("phase", ["Failed", "Error"])
def test_an_experiment_that_fails_aborts_the_update(phase: str) -> None:
    stage = at_step(10, 10)
    name = current(stage)
    end(stage, phase)
    stage.play(5)

    status, message = stage.phase()
    assert status == "Degraded"
    assert f"RolloutAborted: Rollout aborted update to revision 2: Experiment {name} has ended as {phase}" in message
    assert "scripted" in message and "ExperimentFailed" in stage.events
    assert stage.more_weights() == {} and not current(stage)

    stage.user(abort=False)
    stage.play(10)
    assert current(stage) == f"{name}-1", "another try is another Experiment"
    end(stage, "Successful")
    stage.play(5)
    assert stage.status["currentStepIndex"] == 1


def test_one_in_doubt_pauses_and_is_asked_again_when_resumed() -> None:
    stage = at_step(None)
    name = current(stage)
    end(stage, "Inconclusive")
    stage.play(5)
    assert stage.phase() == ("Paused", "InconclusiveExperiment")
    stage.play(3600)
    assert stage.phase() == ("Paused", "InconclusiveExperiment")

    stage.user(pauseConditions=None)
    stage.play(5)
    assert current(stage) == f"{name}-1" and "controllerPause" not in stage.status
    end(stage, "Successful")
    stage.play(5)
    assert stage.status["currentStepIndex"] == 1


def test_one_in_doubt_is_left_behind_when_promoted() -> None:
    """The kubectl plugin clears the pause and moves the index in one patch."""
    stage = at_step(None)
    end(stage, "Inconclusive")
    stage.play(5)
    stage.user(pauseConditions=None, controllerPause=False, currentStepIndex=1)
    stage.play(5)

    assert stage.phase() == ("Paused", "CanaryPauseStep") and not current(stage)
    assert len(tried(stage)) == 1


@pytest.mark.parametrize("way", ["abort", "new template", "promote in full", "next step", "back to stable"])
def test_an_experiment_that_nobody_waits_for_is_ended(way: str) -> None:
    stage = at_step(10, 5)
    name = current(stage)
    match way:
        case "abort":
            stage.user(abort=True)
        case "new template":
            stage.image("v3")
        case "promote in full":
            stage.user(promoteFull=True)
        case "next step":
            stage.user(currentStepIndex=1)
        case _:
            stage.image("v1")
    stage.play(2)

    assert tried(stage)[name]["spec"]["terminate"] is True
    assert tried(stage)[name]["status"]["phase"] not in ("Pending", "Running")
    assert not any(host.startswith(f"{name}-") for host in stage.more_weights())
    stage.play(60)
    assert not any(
        obj["spec"]["replicas"]
        for key, obj in stage.objects.items()
        if key.name.startswith(f"{name}-") and "spec" in obj and key.kind == "ReplicaSet"
    )


@pytest.mark.parametrize("how", ["hosts", "subsets", "two"])
def test_versions_get_their_weight_while_they_are_up_and_the_status_tells_it(how: str) -> None:
    stage = at_step(10, 5, how=how)
    name = current(stage)
    assert stage.more_weights() == {f"{name}-one": 10, f"{name}-two": 5}
    weights = stage.status["canary"]["weights"]
    assert (weights["canary"]["weight"], weights["stable"]["weight"]) == (0, 85)
    one, two = weights["additional"]
    assert (one["serviceName"], one["weight"]) == (f"{name}-one", 10)
    versions = {each["name"]: each for each in tried(stage)[name]["status"]["templateStatuses"]}
    assert [one["podTemplateHash"], two["podTemplateHash"]] == [versions[x]["podTemplateHash"] for x in ("one", "two")]
    end(stage, "Successful")
    stage.play(3)

    assert stage.more_weights() == {} and "additional" not in stage.status["canary"]["weights"]
    for key, obj in stage.objects.items():
        if key.kind == "DestinationRule":
            assert [each["name"] for each in obj["spec"]["subsets"]] == ["canary", "stable", "gold"]


@pytest.mark.parametrize("how", ["hosts", "subsets"])
def test_no_user_comes_before_proxies_can_have_heard_of_the_new_service_or_subset(how: str) -> None:
    """A route that a proxy hears of before the endpoints that it leads to answers 503."""
    stage = deployed(canary(trial(10, analyses=[ASKED]), PAUSE, how=how), replicas=10, stage=Stage(twice=True))
    stage.verdicts = {"Experiment": [Verdict(after=None)]}
    stage.image("v2")
    while not stage.more_weights():
        subsets = [obj["spec"]["subsets"] for key, obj in stage.objects.items() if key.kind == "DestinationRule"]
        stage.play(0.25)
    (experiment,) = tried(stage).values()

    assert stage.now - parse_time(experiment["status"]["availableAt"]) >= timedelta(seconds=1)
    assert all("app-" in str([each["name"] for each in found]) for found in subsets), "the subset came with the weight"


def test_no_weight_before_all_are_up_and_none_for_pods_that_are_lost() -> None:
    stage = at_step(10, 5)
    name = current(stage)
    stage.crash_pods("v2", 0)
    uid = stage.objects[Key("ReplicaSet", NAMESPACE, f"{name}-one")]["metadata"]["uid"]
    stage.pods[uid][0].ready_at += 10_000
    stage.cluster_moves()
    stage.play(2)
    assert stage.more_weights() == {f"{name}-two": 5}

    slow = deployed(canary(trial(10, duration="1h")), replicas=10, stage=Stage(boot={"v2": 60.0}))
    slow.image("v2")
    slow.play(50)
    assert slow.more_weights() == {}
    slow.play(20)
    assert sum(slow.more_weights().values()) == 10


def test_a_version_gets_no_more_than_its_pods_can_carry() -> None:
    """1. Traffic only goes where there is capacity: one pod of ten carries a tenth."""
    assert sum(at_step(30, replicas=10).more_weights().values()) == 10
    grown = at_step(30, replicas=5)
    assert sum(grown.more_weights().values()) == 20
    grown.spec(replicas=20)
    grown.play(30)
    assert sum(grown.more_weights().values()) == 5


def test_4890_no_host_is_empty_where_the_pods_have_no_port() -> None:
    """Argo Rollouts makes no Service then, and writes a destination without a host."""
    stage = deployed(canary(trial(10, duration="1h")))
    bare = {"spec": {"containers": [{"name": "main", "image": "v2"}]}}
    stage.spec(template=bare)
    stage.settle()

    at = "spec.strategy.canary.steps[0].experiment.templates[0].weight"
    assert stage.phase()[0] == "Degraded" and f"{at}: needs a Service" in stage.phase()[1]
    assert stage.more_weights() == {} and tried(stage) == {}


def test_pods_stay_while_users_are_led_to_them_whatever_the_delay() -> None:
    """3. Pods outlive their routes: with no delay at all, the Rollout's hand is waited for."""
    stage = at_step(10, scaleDownDelaySeconds=0)
    name = current(stage)
    stage.spec(paused=True)
    end(stage, "Successful")
    stage.play(60)
    assert phases(stage) == ["Successful"] and sum(stage.more_weights().values()) == 10
    assert stage.objects[Key("ReplicaSet", NAMESPACE, f"{name}-one")]["spec"]["replicas"] == 1

    stage.spec(paused=False)
    stage.play(5)
    assert stage.more_weights() == {}
    assert stage.objects[Key("ReplicaSet", NAMESPACE, f"{name}-one")]["spec"]["replicas"] == 0


def test_an_experiment_that_is_deleted_leaves_no_route_to_nowhere_and_is_made_again() -> None:
    stage = at_step(10, 5)
    name = current(stage)
    stage.remove(Key("Experiment", NAMESPACE, name))
    stage.reconcile()
    assert stage.more_weights() == {}
    stage.play(10)
    assert list(tried(stage)) == [name] and len(stage.more_weights()) == 2


def test_old_experiments_go_with_the_history_limits() -> None:
    stage = deployed(
        canary(trial(None, duration="1s")),
        analysis={"successfulRunHistoryLimit": 2, "unsuccessfulRunHistoryLimit": 1},
    )
    for round_ in range(3):
        for image in ("v2", "v1"):
            stage.image(f"{image}-{round_}")
            stage.settle()

    assert len(tried(stage)) == 2 and set(phases(stage)) == {"Successful"}


def test_a_mistake_in_an_analysis_holds_the_update_up_before_it_begins() -> None:
    stage = set_up(canary(trial(None, analyses=[{"name": "look", "templateName": "gone"}], duration="1s")))
    stage.put(template("gone"))
    stage.settle()
    stage.remove(Key("AnalysisTemplate", NAMESPACE, "gone"))

    path = "spec.strategy.canary.steps[0].experiment.analyses[0].templateName"
    stage.image("v2")
    stage.settle()
    assert f"{path}: AnalysisTemplate gone not found" in stage.phase()[1]
    stage.put(template("gone"))
    stage.settle()
    assert stage.phase() == ("Healthy", "")


def test_a_rollout_without_such_steps_never_looks_for_experiments() -> None:
    asked: list[str] = []

    class Watched(Stage):
        def owned(self, kind: str, owner_uid: str, namespace: str) -> list[Obj]:
            asked.append(kind)
            return super().owned(kind, owner_uid, namespace)

    stage = deployed(canary({"setWeight": 50}), stage=Watched())
    stage.image("v2")
    stage.settle()
    assert "ReplicaSet" in asked and "Experiment" not in asked
