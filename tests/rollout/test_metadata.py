"""Labels and annotations of a role: on the ReplicaSet and on its pods, without a restart, never in the hash."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.rollout.objects import Obj, blue_green, canary, rollout
from tests.rollout.stage import HASH, ROLLOUT, Stage, deployed
from tidegate.api import names
from tidegate.api.parsing import parse_rollout
from tidegate.core.rollout import metadata
from tidegate.core.rollout.decide import decide
from tidegate.engine.kinds import RULES

STABLE = {"labels": {"role": "stable"}, "annotations": {"for": "everybody"}}
CANARY = {"labels": {"role": "canary"}, "annotations": {"for": "testers"}}
STRATEGIES = [
    canary({"setWeight": 50}, {"pause": {}}, canaryMetadata=CANARY, stableMetadata=STABLE),
    canary({"setWeight": 50}, {"pause": {}}, how="pods", canaryMetadata=CANARY, stableMetadata=STABLE),
    blue_green(previewMetadata=CANARY, activeMetadata=STABLE, autoPromotionEnabled=False),
]


def roles(stage: Stage, image: str) -> set[tuple[Any, Any]]:
    """The label and the annotation of the pods of an image."""
    pods = stage.pods[stage.sets()[image]["metadata"]["uid"]]
    return {(p.metadata["labels"].get("role"), p.metadata.get("annotations", {}).get("for")) for p in pods}


def noted(stage: Stage, image: str) -> Any:
    return orjson.loads(stage.sets()[image]["metadata"]["annotations"].get(names.EPHEMERAL_METADATA, "null"))


def pod_names(stage: Stage) -> set[str]:
    return {pod.name for pods in stage.pods.values() for pod in pods}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_pods_bear_the_metadata_of_their_role_and_change_it_at_the_promotion(strategy: Obj) -> None:
    stage = deployed(strategy)
    assert roles(stage, "v1") == {("stable", "everybody")}

    stage.image("v2")
    stage.settle()
    assert roles(stage, "v1") == {("stable", "everybody")}
    assert roles(stage, "v2") == {("canary", "testers")}
    assert (noted(stage, "v1"), noted(stage, "v2")) == (STABLE, CANARY)
    before = pod_names(stage)

    stage.user(pauseConditions=None)
    stage.play(8)
    stage.settle()
    assert stage.phase() == ("Healthy", "")
    assert roles(stage, "v2") == {("stable", "everybody")}
    assert noted(stage, "v2") == STABLE and noted(stage, "v1") is None
    assert before & pod_names(stage), "pods were patched, not replaced"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_metadata_is_no_part_of_the_hash(strategy: Obj) -> None:
    plain = {kind: {k: v for k, v in s.items() if not k.endswith("Metadata")} for kind, s in strategy.items()}
    stage = deployed(plain)
    hash_, pods = stage.hash("v1"), pod_names(stage)

    stage.spec(strategy=strategy)
    stage.settle()

    assert roles(stage, "v1") == {("stable", "everybody")}
    assert pod_names(stage) == pods
    assert stage.status["currentPodHash"] == stage.hash("v1") == hash_
    assert len(stage.sets()) == 1
    assert stage.sets()["v1"]["metadata"]["labels"] == {"app": "app", HASH: hash_}


def test_what_is_taken_out_of_the_spec_is_taken_off_the_pods() -> None:
    stage = deployed(STRATEGIES[1])
    stage.spec(strategy={"canary": {"stableMetadata": {"labels": {"role": "old"}, "annotations": None}}})
    stage.settle()
    assert roles(stage, "v1") == {("old", None)}

    stage.spec(strategy={"canary": {"stableMetadata": None}})
    stage.settle()
    assert roles(stage, "v1") == {(None, None)}
    assert noted(stage, "v1") is None
    assert stage.sets()["v1"]["spec"]["template"]["metadata"]["labels"] == {"app": "app", HASH: stage.hash("v1")}


def test_a_label_of_the_template_comes_back_with_the_promotion() -> None:
    """Argo Rollouts takes the label away for good."""
    stage = deployed(canary({"pause": {}}, {"setWeight": 50}, {"pause": {}}, canaryMetadata=CANARY))
    template = {"metadata": {"labels": {"role": "mine"}}, "spec": {"containers": [{"name": "main", "image": "v2"}]}}
    stage.spec(template=template)
    stage.settle()
    stage.user(pauseConditions=None)
    stage.settle()
    assert roles(stage, "v2") == {("canary", "testers")}

    stage.user(promoteFull=True)
    stage.settle()
    assert roles(stage, "v2") == {("mine", None)}


def test_a_version_that_comes_back_has_its_template_dressed_before_its_pods_come() -> None:
    stage = deployed(blue_green(previewMetadata=CANARY, activeMetadata=CANARY, scaleDownDelaySeconds=0), replicas=1)
    for image in ("v2", "v1", "v2"):
        stage.image(image)
        stage.play(0)
    assert roles(stage, "v2") == {("canary", "testers")}
    stage.settle()
    assert roles(stage, "v2") == {("canary", "testers")}
    lists = stage.pod_lists
    stage.play(100)
    assert stage.pod_lists == lists


@pytest.mark.parametrize("writes", range(1, 10))
def test_a_crash_between_the_replicaset_and_its_pods_leaves_no_pod_behind(writes: int) -> None:
    """With Argo Rollouts pods stay without: once its ReplicaSet is written, nobody comes back to them."""
    stage = deployed(STRATEGIES[1])
    stage.spec(strategy={"canary": {"stableMetadata": {"labels": {"role": "new"}, "annotations": None}}})
    stage.reconcile(crash_after=writes)
    stage.settle()

    assert roles(stage, "v1") == {("new", None)}
    assert names.PODS_BEHIND not in stage.sets()["v1"]["metadata"]["annotations"]


def test_pods_are_only_looked_at_once_the_controller_has_seen_the_template() -> None:
    """Else a pod that it makes from the template of a moment ago would be missed."""
    stage = deployed(STRATEGIES[1])
    stage.spec(strategy={"canary": {"stableMetadata": CANARY}})
    rs = next(key for key in stage.objects if key.kind == "ReplicaSet")
    generation = stage.objects[rs]["metadata"]["generation"] + 1
    stage.edit(rs, {"metadata": {"generation": generation}, "status": {"observedGeneration": generation - 1}})
    stage.reconcile()
    assert roles(stage, "v1") == {("stable", "everybody")}
    assert not list(metadata.behind(stage.world())) and not decide(stage.world()).actions
    assert stage.pod_lists == 0

    stage.edit(rs, {"status": {"observedGeneration": generation + 1}})
    stage.reconcile()
    assert roles(stage, "v1") == {("canary", "testers")}


def test_the_store_keeps_what_the_controller_has_seen_only_while_pods_are_behind() -> None:
    raw = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "a", "uid": "u", "resourceVersion": "1", "generation": 3},
        "spec": {"replicas": 1},
        "status": {"replicas": 1, "observedGeneration": 2},
    }
    project = RULES["ReplicaSet"].project
    assert project is not None
    kept = project(raw)
    assert "generation" not in kept["metadata"] and "observedGeneration" not in kept["status"]

    raw["metadata"] = {**raw["metadata"], "annotations": {names.PODS_BEHIND: "{}"}}  # type: ignore[dict-item]
    kept = project(raw)
    assert kept["metadata"]["generation"] == 3 and kept["status"]["observedGeneration"] == 2


@pytest.mark.parametrize("field", ["canaryMetadata", "stableMetadata"])
@pytest.mark.parametrize("key", ["app", names.POD_TEMPLATE_HASH, "no key"])
def test_a_label_that_selects_pods_is_refused(field: str, key: str) -> None:
    _, problems = parse_rollout(rollout(canary(how="pods", **{field: {"labels": {key: "x"}}})))
    assert [problem.path for problem in problems] == [f"spec.strategy.canary.{field}.labels[{key}]"]


def test_an_idle_rollout_reads_no_pods() -> None:
    stage = deployed(STRATEGIES[1])
    read = stage.pod_lists
    stage.play(3600)
    assert stage.pod_lists == read
    assert stage.objects[ROLLOUT]["status"]["phase"] == "Healthy"
