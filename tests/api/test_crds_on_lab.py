"""A real API server takes the definitions and treats objects by them as users expect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import Lab
from lab.paths import LabError
from tests.api.objects import CANARY, REMOVED, RUN, Json, spoilt

pytestmark = pytest.mark.lab

_CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="module")
def definitions(lab: Lab) -> Lab:
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(_CRDS))
    names = [yaml.safe_load(path.read_text(encoding="utf-8"))["metadata"]["name"] for path in _CRDS.glob("*.yaml")]
    assert len(names) == 5
    lab.kubectl("wait", "--for=condition=Established", "--timeout=20s", *(f"crd/{name}" for name in names))
    return lab


def create(lab: Lab, namespace: str, obj: Json, *changes: tuple[str, Any]) -> None:
    placed = spoilt(obj, ("metadata.namespace", namespace), *changes)
    lab.kubectl("create", "-f", "-", input=json.dumps(placed))


def get(lab: Lab, namespace: str, what: str) -> Json:
    found: Json = json.loads(lab.kubectl("get", "-n", namespace, what, "-o", "json"))
    return found


def test_given_the_definitions_then_the_server_finds_nothing_wrong_with_their_schemas(definitions: Lab) -> None:
    for item in json.loads(definitions.kubectl("get", "crd", "-o", "json"))["items"]:
        if item["spec"]["group"] == "argoproj.io":
            conditions = {condition["type"]: condition["status"] for condition in item["status"]["conditions"]}
            assert conditions == {"NamesAccepted": "True", "Established": "True"}


def test_given_unknown_and_unsupported_fields_then_they_are_kept_for_us_to_see(
    definitions: Lab, namespace: str
) -> None:
    create(
        definitions,
        namespace,
        CANARY,
        ("spec.unknown", {"a": 1}),
        ("spec.strategy.canary.steps[0]", {"setHeaderRoute": {"name": "testers"}, "plugin": {"name": "x"}}),
        ("spec.strategy.canary.trafficRouting.nginx", {"stableIngress": "x"}),
        ("spec.selector.matchLabel", {"a": "b"}),
        ("spec.template.spec.containers[0].unknown", True),
    )
    spec = get(definitions, namespace, "rollout/shop")["spec"]
    assert spec["unknown"] == {"a": 1}
    assert spec["strategy"]["canary"]["steps"][0] == {"setHeaderRoute": {"name": "testers"}, "plugin": {"name": "x"}}
    assert spec["strategy"]["canary"]["trafficRouting"]["nginx"] == {"stableIngress": "x"}
    assert spec["selector"]["matchLabel"] == {"a": "b"}
    assert spec["template"]["spec"]["containers"][0]["unknown"] is True


def test_given_a_rollout_then_it_reads_back_as_it_was_written(definitions: Lab, namespace: str) -> None:
    create(definitions, namespace, CANARY)
    assert get(definitions, namespace, "rollout/shop")["spec"] == CANARY["spec"]


def test_given_a_wrong_type_then_it_is_refused_at_once_with_its_path(definitions: Lab, namespace: str) -> None:
    with pytest.raises(LabError, match=r"spec\.strategy\.canary\.steps\[0\]\.setWeight"):
        create(definitions, namespace, CANARY, ("spec.strategy.canary.steps[0].setWeight", "ten"))


@pytest.mark.parametrize(
    "change",
    [
        ("spec.strategy", REMOVED),
        ("spec.template", REMOVED),
        ("spec.strategy.canary.steps[1].pause.duration", "soon"),
        ("spec.strategy.canary.steps[0]", {}),
    ],
)
def test_given_a_mistake_that_no_rule_can_name_then_it_is_let_in_to_be_told_in_the_status(
    definitions: Lab, namespace: str, change: tuple[str, Any]
) -> None:
    create(definitions, namespace, CANARY, change)
    assert get(definitions, namespace, "rollout/shop")["kind"] == "Rollout"


def test_given_a_rollout_then_its_selector_cannot_be_changed(definitions: Lab, namespace: str) -> None:
    create(definitions, namespace, CANARY)
    patch = json.dumps({"spec": {"selector": {"matchLabels": {"app": "other"}}}})
    with pytest.raises(LabError, match="is immutable"):
        definitions.kubectl("patch", "-n", namespace, "rollout/shop", "--type=merge", "-p", patch)


def test_given_a_status_then_columns_scale_and_foreign_fields_are_there(definitions: Lab, namespace: str) -> None:
    create(definitions, namespace, CANARY)
    status = {
        "phase": "Paused",
        "replicas": 5,
        "updatedReplicas": 1,
        "availableReplicas": 4,
        "HPAReplicas": 5,
        "selector": "app=shop",
        "currentStepIndex": 1,
        "canary": {"weights": {"canary": {"weight": 10}, "stable": {"weight": 90}}},
        "foreign": {"a": 1},
    }
    patch = json.dumps({"status": status})
    definitions.kubectl("patch", "-n", namespace, "ro/shop", "--subresource=status", "--type=merge", "-p", patch)
    header, row = definitions.kubectl("get", "-n", namespace, "ro").splitlines()
    assert header.split() == ["NAME", "DESIRED", "CURRENT", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row.split()[:5] == ["shop", "4", "5", "1", "4"]
    header, row = definitions.kubectl("get", "-n", namespace, "ro", "-o", "wide").splitlines()
    assert (header.split()[-3:], row.split()[-3:]) == (["PHASE", "STEP", "WEIGHT"], ["Paused", "1", "10"])
    definitions.kubectl("scale", "-n", namespace, "ro/shop", "--replicas=7")
    scaled = get(definitions, namespace, "rollout/shop")
    assert scaled["spec"]["replicas"] == 7
    assert scaled["status"] == status
    definitions.kubectl("wait", "-n", namespace, "--for=jsonpath={.status.phase}=Paused", "ro/shop", "--timeout=5s")


def test_given_a_run_then_its_status_is_written_with_the_object_as_in_argo_rollouts(
    definitions: Lab, namespace: str
) -> None:
    create(definitions, namespace, RUN)
    assert get(definitions, namespace, "ar/shop-1")["status"] == {"phase": "Running"}
    patch = json.dumps({"status": {"phase": "Failed"}})
    definitions.kubectl("patch", "-n", namespace, "ar/shop-1", "--type=merge", "-p", patch)
    assert definitions.kubectl("get", "-n", namespace, "ar").splitlines()[1].split()[:2] == ["shop-1", "Failed"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("rollout.spec.strategy.canary", ["Move traffic to the new version in steps", "canaryService", "steps"]),
        ("rollout.spec.strategy.canary.steps.pause", ["duration", "until somebody promotes"]),
        ("rollout.status.canary.weights", ["as read back from the route"]),
        ("analysistemplate.spec.metrics", ["successCondition", "failureLimit"]),
    ],
)
def test_given_kubectl_explain_then_it_explains(definitions: Lab, path: str, words: list[str]) -> None:
    told = " ".join(definitions.kubectl("explain", path).split())
    for word in words:
        assert word in told
