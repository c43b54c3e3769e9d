"""`workloadRef`: the template comes from a Deployment, a ReplicaSet or a PodTemplate."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rollout.objects import Obj, blue_green, canary, rollout
from tests.rollout.stage import NAMESPACE, ROLLOUT, Stage, set_up
from tidegate.api import names
from tidegate.core.hashing import pod_template_hash
from tidegate.core.plan import Key
from tidegate.core.rollout.decide import decide

DEPLOYMENT = Key("Deployment", NAMESPACE, "shop")
KINDS = {"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "PodTemplate": "v1"}


def template(image: str, *, ports: bool = False) -> Obj:
    container = {"name": "main", "image": image, **({"ports": [{"containerPort": 80}]} if ports else {})}
    return {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [container]}}


def workload(kind: str, image: str = "v1", replicas: int = 4, *, ports: bool = False, **metadata: Any) -> Obj:
    meta = {"name": "shop", "annotations": {"owner": "shop"}, **metadata}
    if kind == "PodTemplate":
        return {"apiVersion": "v1", "kind": kind, "metadata": meta, "template": template(image)}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "app"}}, "template": template(image, ports=ports)}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": spec}


def referring(
    kind: str, strategy: Obj, *, stage: Stage | None = None, scale_down: str | None = None, **spec: Any
) -> Stage:
    """A Rollout that has neither template nor selector of its own; not reconciled yet."""
    stage = set_up(strategy, stage=stage, **spec)
    ref = {"apiVersion": KINDS[kind], "kind": kind, "name": "shop", **({"scaleDown": scale_down} if scale_down else {})}
    obj = rollout(strategy, **spec)
    del obj["spec"]["template"], obj["spec"]["selector"]
    obj["spec"]["workloadRef"] = ref
    stage.remove(ROLLOUT)
    stage.put(obj)
    return stage


def update(stage: Stage, kind: str, image: str) -> None:
    given = template(image)
    stage.edit(
        Key(kind, NAMESPACE, "shop"), {"template": given} if kind == "PodTemplate" else {"spec": {"template": given}}
    )


def size(stage: Stage) -> int:
    replicas: int = stage.objects[DEPLOYMENT]["spec"]["replicas"]
    return replicas


def lag(stage: Stage) -> tuple[Any, Any]:
    """What Argo CD's health check compares."""
    return stage.rollout["metadata"]["annotations"].get(names.WORKLOAD_GENERATION), stage.status.get(
        "workloadObservedGeneration"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_template_and_the_selector_are_the_workloads(kind: str) -> None:
    stage = referring(kind, canary({"setWeight": 50}, {"pause": {}}))
    stage.put(workload(kind))
    stage.settle()
    assert stage.phase() == ("Healthy", "")
    assert stage.hash("v1") == pod_template_hash(template("v1"))
    assert stage.sets()["v1"]["spec"]["selector"]["matchLabels"]["app"] == "app"
    assert "template" not in stage.rollout["spec"], "nothing is copied into the Rollout"
    first = lag(stage)

    update(stage, kind, "v2")
    stage.settle()
    assert stage.phase() == ("Paused", "CanaryPauseStep")
    assert stage.sizes() == {"v1": 4, "v2": 2}
    second = lag(stage)
    assert first[0] == first[1] and second[0] == second[1] and int(second[0]) > int(first[0])


def test_a_workload_that_is_missing_is_told_and_waited_for() -> None:
    stage = referring("Deployment", canary(how="pods"))
    stage.settle()
    assert stage.phase()[0] == "Degraded"
    assert "spec.workloadRef.name: Deployment shop not found in namespace default" in stage.phase()[1]
    assert stage.sets() == {}

    stage.put(workload("Deployment"))
    stage.settle()
    assert stage.phase() == ("Healthy", "")


def test_a_workload_that_vanishes_changes_nothing_but_the_status() -> None:
    stage = referring("Deployment", canary(how="pods"))
    stage.put(workload("Deployment"))
    stage.settle()
    stage.remove(DEPLOYMENT)
    stage.settle()

    assert stage.phase()[0] == "Degraded"
    assert stage.sizes() == {"v1": 4}


def test_a_template_of_its_own_beside_the_reference_is_refused() -> None:
    stage = referring("Deployment", canary(how="pods"))
    stage.put(workload("Deployment"))
    stage.spec(template=template("v9"))
    stage.settle()
    assert "spec.workloadRef: is given and so is spec.template" in stage.phase()[1]


def test_a_replicaset_of_a_deployment_is_refused_with_the_name_of_that() -> None:
    stage = referring("ReplicaSet", canary(how="pods"))
    owner = {"kind": "Deployment", "name": "boss", "uid": "x", "controller": True}
    stage.put(workload("ReplicaSet", ownerReferences=[owner]))
    stage.settle()
    assert "ReplicaSet shop belongs to Deployment boss; name that instead" in stage.phase()[1]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"kind": "StatefulSet"}, "spec.workloadRef.kind"),
        ({"apiVersion": "v1"}, "spec.workloadRef.apiVersion"),
        ({"name": ""}, "spec.workloadRef.name"),
        ({"scaleDown": "now"}, "spec.workloadRef.scaleDown"),
        ({"kind": "PodTemplate", "apiVersion": "v1", "scaleDown": "onsuccess"}, "spec.workloadRef.scaleDown"),
    ],
)
def test_a_reference_that_makes_no_sense_is_refused(given: Obj, path: str) -> None:
    stage = referring("Deployment", canary(how="pods"))
    stage.put(workload("Deployment"))
    stage.put(workload("PodTemplate"))
    stage.spec(workloadRef=given)
    stage.settle()
    assert f"InvalidSpec: {path}:" in stage.phase()[1] or f"; {path}:" in stage.phase()[1]


def test_never_leaves_the_deployment_as_it_is() -> None:
    for mode in (None, "never"):
        stage = referring("Deployment", canary(how="pods"), scale_down=mode)
        stage.put(workload("Deployment"))
        stage.settle()
        assert size(stage) == 4
        assert not [write for write in stage.writes if write.key.kind == "Deployment"]


@pytest.mark.parametrize("strategy", [canary({"setWeight": 50}), blue_green()])
def test_on_success_the_deployment_goes_once_the_rollout_is_healthy(strategy: Obj) -> None:
    stage = referring("Deployment", strategy, scale_down="onsuccess")
    stage.put(workload("Deployment"))
    stage.boot["v1"] = None
    stage.play(60)
    assert size(stage) == 4
    stage.heal_pods("v1")
    stage.settle()

    assert stage.phase() == ("Healthy", "")
    assert size(stage) == 0
    assert stage.objects[DEPLOYMENT]["metadata"]["annotations"]["owner"] == "shop"


def test_progressively_the_deployment_goes_as_far_as_the_rollout_stands_in_for_it() -> None:
    stage = referring("Deployment", canary(how="pods"), scale_down="progressively")
    stage.put(workload("Deployment", replicas=8))
    stage.default_boot = math_inf = 1e9
    stage.play(5)
    pods = stage.pods[stage.sets()["v1"]["metadata"]["uid"]]
    seen = []
    for pod in list(pods):
        pod.ready_at = 0.0
        stage.cluster_moves()
        stage.reconcile()
        seen.append(size(stage))
    assert seen == [6, 4, 2, 0]
    assert math_inf and stage.phase() == ("Healthy", "")


def test_when_the_first_version_fails_the_deployment_gets_its_pods_back() -> None:
    stage = referring("Deployment", canary(how="pods"), scale_down="progressively")
    stage.put(workload("Deployment"))
    stage.boot["v1"] = None
    stage.play(5)
    for pod in stage.pods[stage.sets()["v1"]["metadata"]["uid"]][:2]:
        pod.ready_at = 0.0
    stage.play(5)
    assert size(stage) == 2
    stage.crash_pods("v1", 4)
    stage.play(5)
    assert size(stage) == 4


def test_later_versions_and_somebody_elses_scaling_leave_the_deployment_alone() -> None:
    stage = referring("Deployment", canary(how="pods"), scale_down="onsuccess")
    stage.put(workload("Deployment"))
    stage.settle()
    update(stage, "Deployment", "v2")
    stage.settle()
    stage.edit(DEPLOYMENT, {"spec": {"replicas": 3}})
    stage.settle()
    assert size(stage) == 3

    stage = referring("Deployment", canary(how="pods"), scale_down="progressively")
    stage.put(workload("Deployment", replicas=0))
    stage.settle()
    assert size(stage) == 0
    assert names.SCALED_DOWN_BY not in stage.objects[DEPLOYMENT]["metadata"]["annotations"]


def test_a_rollout_that_is_being_deleted_gives_the_deployment_its_pods_back() -> None:
    """Argo Rollouts 3855: the Deployment stays at none after the Rollout is gone."""
    stage = referring("Deployment", canary(how="pods"), scale_down="onsuccess", replicas=2)
    before = workload("Deployment", replicas=5)
    stage.put(before)
    stage.settle()
    assert size(stage) == 0

    stage.edit(ROLLOUT, {"metadata": {"deletionTimestamp": "2026-03-01T13:00:00Z"}})
    stage.settle()
    assert size(stage) == 5
    assert stage.objects[DEPLOYMENT]["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert "labels" not in stage.objects[DEPLOYMENT]["metadata"] or not stage.objects[DEPLOYMENT]["metadata"]["labels"]
    assert decide(stage.world()).actions == ()
