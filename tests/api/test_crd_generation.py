"""The definitions say what the models say, in the form that the API server takes, and the files say the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.api.crds import KINDS, definition, main, render
from tidegate.api.rollout_status import RolloutStatus
from tidegate.api.unsupported import known_fields

_ROOT = Path(__file__).parents[2]
_PLACES = (_ROOT / "crds", _ROOT / "charts" / "tidegate" / "crds")
_DEFINITIONS = {kind.name: definition(kind) for kind in KINDS}
_FILES = render()

Node = dict[str, Any]


def root(kind: str) -> Node:
    found: Node = _DEFINITIONS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def at(kind: str, *path: str) -> Node:
    """The schema of a field; items of a list are gone into by themselves."""
    node = root(kind)
    for name in path:
        node = node.get("items", node)["properties"][name]
    return node


def walk(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    if "items" in node:
        yield from walk(node["items"], f"{path}[]")
    if "additionalProperties" in node:
        yield from walk(node["additionalProperties"], f"{path}[*]")


_NODES = [(path, node) for kind in _DEFINITIONS for path, node in walk(root(kind), kind)]


@pytest.mark.parametrize("place", _PLACES, ids=["crds", "chart"])
def test_given_the_models_then_the_files_are_what_they_generate(place: Path) -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in place.glob("*.yaml")}
    assert found == _FILES, "run `python -m tidegate.api.crds crds charts/tidegate/crds`"


def test_given_a_stale_or_missing_file_then_the_check_fails_and_writing_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert main([*places, "--check"]) == 1
    assert not (tmp_path / "a").exists()
    assert main(places) == 0
    assert main([*places, "--check"]) == 0
    (tmp_path / "b" / "rollouts.yaml").write_text("stale", encoding="utf-8")
    capsys.readouterr()
    assert main([*places, "--check"]) == 1
    told = capsys.readouterr().err
    assert "b/rollouts.yaml" in told
    assert "a/rollouts.yaml" not in told


def test_given_the_files_then_they_hold_no_anchors_and_are_the_definitions() -> None:
    assert [yaml.safe_load(text) for text in _FILES.values()] == list(_DEFINITIONS.values())
    assert not any(": &" in text or ": *" in text for text in _FILES.values())


def test_given_any_node_then_it_is_structural() -> None:
    allowed = {
        "type",
        "format",
        "description",
        "properties",
        "required",
        "items",
        "maxItems",
        "minimum",
        "additionalProperties",
        "anyOf",
        "x-kubernetes-int-or-string",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-map-type",
        "x-kubernetes-validations",
    }
    for path, node in _NODES:
        assert set(node) <= allowed, path
        if node.get("x-kubernetes-int-or-string"):
            assert node["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
            assert "type" not in node, path
        elif "type" not in node:
            assert node["x-kubernetes-preserve-unknown-fields"] is True, "numbers with a fraction, or text"
            assert set(node) == {"description", "x-kubernetes-preserve-unknown-fields"}, path
        else:
            assert node["type"] in {"object", "array", "string", "integer", "boolean"}, path
            assert "anyOf" not in node, path
        assert ("items" in node) == (node.get("type") == "array"), path
        assert not {"properties", "additionalProperties"} <= set(node), path
        # The server drops what is empty, and the next apply, by Helm after kubectl, is a conflict then.
        assert all(value not in ({}, [], "") for value in node.values()), path


def test_given_any_object_of_spec_or_status_then_unknown_fields_are_kept() -> None:
    pruned = [
        path
        for path, node in _NODES
        if path.count(".") >= 1
        and not path.endswith(".metadata")
        and node.get("type") == "object"
        and "additionalProperties" not in node
        and not node.get("x-kubernetes-preserve-unknown-fields")
    ]
    assert pruned == []


def test_given_any_field_then_kubectl_explain_has_words_for_it() -> None:
    silent = [
        path
        for path, node in _NODES
        if not path.endswith(("]", ".apiVersion", ".kind", ".metadata")) and not node.get("description")
    ]
    assert silent == []


def test_given_the_status_of_a_rollout_then_no_field_of_the_contract_is_missing() -> None:
    contract = """
        abort abortedAt pauseConditions controllerPause currentPodHash currentStepHash currentStepIndex replicas
        updatedReplicas readyReplicas availableReplicas HPAReplicas selector collisionCount observedGeneration
        workloadObservedGeneration stableRS restartedAt promoteFull phase message conditions alb albs blueGreen canary
        duration
    """.split()  # noqa: SIM905 - one list of names, not twenty-seven lines
    ours = {"releases"}
    assert set(known_fields(RolloutStatus)) == {*contract, *ours}
    assert set(at("Rollout", "status")["properties"]) == {*contract, *ours}
    assert at("Rollout", "status", "observedGeneration")["type"] == "string"


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("Rollout", ("spec", "strategy", "canary", "steps", "pause", "duration"), {"x-kubernetes-int-or-string": True}),
        ("Rollout", ("spec", "strategy", "canary", "steps", "setWeight"), {"type": "integer", "format": "int32"}),
        ("Rollout", ("spec", "template"), {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        ("Rollout", ("spec", "strategy", "blueGreen"), {"required": ["activeService"]}),
        ("Rollout", ("status", "conditions", "lastUpdateTime"), {"type": "string", "format": "date-time"}),
        ("AnalysisTemplate", ("spec", "metrics"), {"type": "array"}),
        ("AnalysisTemplate", ("spec", "metrics", "count"), {"x-kubernetes-int-or-string": True}),
        ("AnalysisRun", ("status", "metricResults", "metadata"), {"additionalProperties": {"type": "string"}}),
    ],
)
def test_given_a_field_then_its_schema_is_this(kind: str, path: tuple[str, ...], expected: Node) -> None:
    node = at(kind, *path)
    assert {key: node.get(key) for key in expected} == expected


def test_given_a_rollout_that_its_status_must_tell_about_then_the_schema_takes_it() -> None:
    """A Rollout with a workloadRef has neither selector nor template, and must get in to be told."""
    assert "required" not in at("Rollout", "spec")


def test_given_the_selector_then_it_cannot_be_changed() -> None:
    selector = at("Rollout", "spec", "selector")
    assert selector["x-kubernetes-validations"] == [
        {"rule": "self == oldSelf", "message": ".spec.selector is immutable"}
    ]


@pytest.mark.parametrize(
    ("kind", "short", "scope", "subresources", "columns"),
    [
        (
            "Rollout",
            "ro",
            "Namespaced",
            {
                "scale": {
                    "specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.HPAReplicas",
                    "labelSelectorPath": ".status.selector",
                },
                "status": {},
            },
            ["Desired", "Current", "Up-to-date", "Available", "Age"],
        ),
        ("AnalysisTemplate", "at", "Namespaced", None, ["Age"]),
        ("ClusterAnalysisTemplate", "cat", "Cluster", None, ["Age"]),
        ("AnalysisRun", "ar", "Namespaced", None, ["Status", "Age"]),
        ("Experiment", "exp", "Namespaced", None, ["Status", "Age"]),
    ],
)
def test_given_a_kind_then_clients_of_argo_rollouts_find_what_they_know(
    kind: str, short: str, scope: str, subresources: Node | None, columns: list[str]
) -> None:
    spec = _DEFINITIONS[kind]["spec"]
    (version,) = spec["versions"]
    assert spec["group"] == "argoproj.io"
    assert version["name"] == "v1alpha1"
    assert spec["names"]["shortNames"] == [short]
    assert spec["scope"] == scope
    assert version.get("subresources") == subresources
    shown = version["additionalPrinterColumns"]
    assert [column["name"] for column in shown if "priority" not in column] == columns


@pytest.mark.parametrize("kind", list(_DEFINITIONS))
def test_given_a_column_then_its_field_exists(kind: str) -> None:
    for column in _DEFINITIONS[kind]["spec"]["versions"][0]["additionalPrinterColumns"]:
        path = column["jsonPath"].lstrip(".").split(".")
        if path[0] == "metadata":
            continue
        assert at(kind, *path)["type"] == column["type"]
