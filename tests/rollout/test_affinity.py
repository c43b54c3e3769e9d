"""`antiAffinity`: a rule in the new version's template, never in its hash."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rollout.objects import Obj, blue_green, canary, rollout
from tests.rollout.stage import HASH, NAMESPACE, Stage, deployed
from tidegate.api.parsing import parse_rollout
from tidegate.core.hashing import pod_template_hash
from tidegate.core.plan import Key

PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
KINDS = [{PREFERRED: {"weight": 30}}, {REQUIRED: {}}]
OWN = {"labelSelector": {"matchLabels": {"app": "greedy"}}, "topologyKey": "zone"}


def term(stage: Stage, image: str) -> Obj:
    expression = {"key": HASH, "operator": "In", "values": [stage.hash(image)]}
    return {"labelSelector": {"matchExpressions": [expression]}, "topologyKey": "kubernetes.io/hostname"}


def terms(stage: Stage, image: str) -> Any:
    return stage.sets()[image]["spec"]["template"]["spec"].get("affinity", {}).get("podAntiAffinity")


def rule(stage: Stage, kind: Obj, image: str) -> Obj:
    if PREFERRED in kind:
        return {PREFERRED: [{"weight": 30, "podAffinityTerm": term(stage, image)}]}
    return {REQUIRED: [term(stage, image)]}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [lambda **f: canary({"pause": {}}, **f), blue_green])
def test_new_pods_keep_off_stables_nodes(make: Any, kind: Obj) -> None:
    stage = deployed(make(antiAffinity=kind))
    assert terms(stage, "v1") is None, "there is nothing to keep away from yet"

    stage.image("v2")
    stage.play(5)
    assert terms(stage, "v2") == rule(stage, kind, "v1")
    stage.user(promoteFull=True)
    stage.settle()
    assert terms(stage, "v2") == rule(stage, kind, "v1"), "one write less"

    stage.image("v3")
    stage.play(5)
    assert terms(stage, "v3") == rule(stage, kind, "v2")


def test_the_rule_is_no_part_of_the_hash_and_changes_nothing_when_it_comes_or_goes() -> None:
    stage = deployed(canary({"setWeight": 50}, {"pause": {}}))
    stage.image("v2")
    stage.settle()
    sets, pods = set(stage.sets()), {p.name for pods in stage.pods.values() for p in pods}
    stage.spec(strategy={"canary": {"antiAffinity": {REQUIRED: {}}}})
    stage.settle()

    assert terms(stage, "v2") == {REQUIRED: [term(stage, "v1")]}, "for the pods that are yet to come"
    assert stage.hash("v2") == pod_template_hash(stage.rollout["spec"]["template"])
    stage.spec(strategy={"canary": {"antiAffinity": None}})
    stage.settle()
    assert set(stage.sets()) == sets and len(sets) == 2
    assert {p.name for pods in stage.pods.values() for p in pods} == pods
    assert stage.phase() == ("Paused", "CanaryPauseStep")


def test_an_older_version_that_comes_back_keeps_off_those_that_are_stable_now() -> None:
    stage = deployed(canary({"pause": {}}, antiAffinity={REQUIRED: {}}))
    for image in ("v2", "v3"):
        stage.image(image)
        stage.play(5)
        stage.user(promoteFull=True)
        stage.settle()
    stage.image("v2")
    stage.play(5)

    assert terms(stage, "v2") == {REQUIRED: [term(stage, "v3")]}


def test_the_templates_own_affinity_stays_beside_it() -> None:
    stage = deployed(canary({"pause": {}}, antiAffinity={REQUIRED: {}}))
    container = {"name": "main", "image": "v2"}
    affinity = {"podAntiAffinity": {REQUIRED: [OWN]}, "nodeAffinity": {"x": 1}}
    stage.spec(template={"spec": {"containers": [container], "affinity": affinity}})
    stage.play(5)

    assert terms(stage, "v2") == {REQUIRED: [OWN, term(stage, "v1")]}
    assert stage.sets()["v2"]["spec"]["template"]["spec"]["affinity"]["nodeAffinity"] == {"x": 1}
    stage.spec(strategy={"canary": {"antiAffinity": {REQUIRED: None, PREFERRED: {"weight": 5}}}})
    stage.settle()
    assert terms(stage, "v2")[REQUIRED] == [OWN]
    assert terms(stage, "v2")[PREFERRED] == [{"weight": 5, "podAffinityTerm": term(stage, "v1")}]


def test_a_replicaset_with_a_rule_and_another_hash_is_known_by_its_template() -> None:
    """Taken over from a controller that hashes otherwise, with the rule and the metadata of a role put in."""
    stage = deployed(canary({"pause": {}}, antiAffinity={REQUIRED: {}}, canaryMetadata={"labels": {"role": "new"}}))
    stage.image("v2")
    stage.play(5)
    old = stage.sets()["v2"]
    key = Key("ReplicaSet", NAMESPACE, old["metadata"]["name"])
    stage.edit(key, {"metadata": {"labels": {HASH: "elsewhere"}}})
    stage.user(currentPodHash="elsewhere")
    stage.settle()

    assert len(stage.sets()) == 2
    assert stage.status["currentPodHash"] == "elsewhere"


@pytest.mark.parametrize(
    "given", [{}, {**KINDS[0], **KINDS[1]}, {PREFERRED: {"weight": 0}}, {PREFERRED: {"weight": 101}}]
)
def test_what_makes_no_sense_is_refused(given: Obj) -> None:
    _, problems = parse_rollout(rollout(canary(how="pods", antiAffinity=given)))
    assert [problem.path.startswith("spec.strategy.canary.antiAffinity") for problem in problems] == [True]
