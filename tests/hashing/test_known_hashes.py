"""Hashes that clusters already use. One that moves restarts every pod of every rollout at the next upgrade."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from tests.hashing.oracle import Oracle
from tidegate.core.hashing import HASH_LABEL, earlier_step_hash, pod_template_hash, step_hash, templates_equal

GOLDEN = yaml.safe_load(Path(__file__).with_name("golden.yaml").read_text())
templates = pytest.mark.parametrize("case", GOLDEN["templates"], ids=lambda case: case["name"])
steps = pytest.mark.parametrize("case", GOLDEN["steps"], ids=lambda case: case["name"])


@templates
def test_a_template_keeps_its_hash(case: dict[str, Any]) -> None:
    assert pod_template_hash(case["template"], case.get("collisions")) == case["hash"]


@steps
def test_steps_keep_their_hash(case: dict[str, Any]) -> None:
    assert step_hash(case["steps"]) == case["hash"]


@templates
def test_the_golden_template_hash_is_argo_rollouts_own(oracle: Oracle, case: dict[str, Any]) -> None:
    assert oracle.template(case["template"], case.get("collisions")).hash == case["hash"]


@steps
def test_the_golden_step_hash_is_argo_rollouts_own(oracle: Oracle, case: dict[str, Any]) -> None:
    assert oracle.steps(case["steps"]).hash == case["hash"]


@templates
def test_a_replica_set_of_a_template_is_recognised_whatever_its_hash(oracle: Oracle, case: dict[str, Any]) -> None:
    stored = oracle.equal(case["template"], {}).stored
    stored["metadata"].setdefault("labels", {})[HASH_LABEL] = "66597877b7"
    assert templates_equal(case["template"], stored)
    stored["spec"]["containers"] = [*(stored["spec"]["containers"] or []), {"name": "sidecar"}]
    assert not templates_equal(case["template"], stored)


def test_a_collision_changes_the_hash_even_when_it_is_the_zeroth() -> None:
    assert len({pod_template_hash({}), pod_template_hash({}, 0), pod_template_hash({}, 1)}) == 3


def test_a_frozen_template_hashes_as_its_dict_does() -> None:
    labels = {"app": "shop"}
    frozen = MappingProxyType({"metadata": MappingProxyType({"labels": MappingProxyType(labels)})})
    assert pod_template_hash(frozen) == pod_template_hash({"metadata": {"labels": labels}})


def test_the_order_in_which_fields_are_written_does_not_matter() -> None:
    one = {"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"hostPID": True, "hostIPC": True}}
    other = {"spec": {"hostIPC": True, "hostPID": True}, "metadata": {"labels": {"b": "2", "a": "1"}}}
    assert pod_template_hash(one) == pod_template_hash(other)


@pytest.mark.parametrize(
    ("steps", "hash_"),
    [
        ([{"analysis": {}}], "d9b54c4c5"),
        ([{"setWeight": 25}, {"pause": {"duration": "10s"}}], "7947df4cdd"),
        (
            [{"setWeight": 25}, {"pause": {}}, {"analysis": {"templates": [{"templateName": "ok"}]}}],
            "69697b4c84",
        ),
        (
            [
                {
                    "analysis": {
                        "templates": [
                            {"templateName": "ok", "clusterScope": False},
                            {"templateName": "all", "clusterScope": True},
                        ],
                        "analysisRunMetadata": {"labels": {"team": "shop"}},
                    }
                }
            ],
            "ffcdb5bd7",
        ),
        (
            [
                {
                    "experiment": {
                        "templates": [{"name": "a", "specRef": "stable"}],
                        "analyses": [{"name": "b", "templateName": "ok", "clusterScope": False}],
                    }
                }
            ],
            "5946dd7bff",
        ),
    ],
)
def test_steps_hash_as_argo_rollouts_1_8_has_hashed_them(steps: list[dict[str, Any]], hash_: str) -> None:
    assert earlier_step_hash(steps) == hash_, "from ComputeStepHash of Argo Rollouts 1.8.3"


@steps
def test_given_no_analysis_when_hashed_as_1_8_does_then_nothing_differs(case: dict[str, Any]) -> None:
    if "analysis" not in str(case["steps"]):
        assert earlier_step_hash(case["steps"]) == case["hash"]
