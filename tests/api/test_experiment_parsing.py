"""An Experiment is read as it stands, or every mistake in it is told with the path of the field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.objects import CANARY, REMOVED, Json, spoilt
from tidegate.api.parsing import parse_experiment, parse_rollout

_LABELS = {"app": "shop", "version": "one"}
EXPERIMENT: Json = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "trial", "namespace": "default"},
    "spec": {
        "templates": [
            {
                "name": "one",
                "replicas": 2,
                "minReadySeconds": 5,
                "selector": {"matchLabels": _LABELS},
                "template": {
                    "metadata": {"labels": _LABELS},
                    "spec": {"containers": [{"name": "web", "image": "shop:v1", "ports": [{"containerPort": 80}]}]},
                },
                "service": {"name": "one"},
            }
        ],
        "duration": "20m",
        "progressDeadlineSeconds": 60,
        "analyses": [{"name": "look", "templateName": "ok", "args": [{"name": "x", "value": "y"}]}],
    },
}
T = "spec.templates[0]"
STEP: Json = {
    "templates": [{"name": "one", "specRef": "canary", "weight": 5}, {"name": "two", "specRef": "stable"}],
    "duration": "5m",
}
S = "spec.strategy.canary.steps[0].experiment"
BARE: Json = {"spec": {"containers": [{"name": "web", "image": "shop:v1"}]}, "metadata": {"labels": _LABELS}}

MISTAKES: list[tuple[tuple[tuple[str, Any], ...], str, str]] = [
    ((("spec", REMOVED),), "spec", "is required"),
    ((("spec.templates", REMOVED),), "spec.templates", "is required"),
    ((("spec.templates", []),), "spec.templates", "at least one version"),
    ((("spec.duration", "soon"),), "spec.duration", "'soon' is not a duration"),
    ((("spec.duration", "-5m"),), "spec.duration", "must not be negative"),
    ((("spec.duration", 5),), "spec.duration", "must be text, not the number 5"),
    ((("spec.scaleDownDelaySeconds", -1),), "spec.scaleDownDelaySeconds", "must be 0 or more"),
    ((("spec.progressDeadlineSeconds", 3),), f"{T}.minReadySeconds", "is 5, must be at most progressDeadlineSeconds"),
    ((("spec.terminate", "yes"),), "spec.terminate", "must be true or false"),
    ((("spec.durations", "5m"),), "spec.durations", "did you mean duration?"),
    (((f"{T}.name", ""),), f"{T}.name", "is required"),
    (((f"{T}.name", "One"),), f"{T}.name", "use small letters"),
    (((f"{T}.replicas", "2"),), f"{T}.replicas", "must be an integer"),
    (((f"{T}.selector", REMOVED),), f"{T}.selector", "is required"),
    (((f"{T}.selector", {}),), f"{T}.selector", "would take every pod"),
    (((f"{T}.selector.matchLabels", {"a": "b"}),), f"{T}.template.metadata.labels", f"must match {T}.selector"),
    (((f"{T}.template.spec.containers", []),), f"{T}.template.spec.containers", "at least one container"),
    (((f"{T}.template", BARE), (f"{T}.bySubset", True)), f"{T}.bySubset", "for pods with a port"),
    (((f"{T}.service.name", "One"),), f"{T}.service.name", "can't be the name of a Service"),
    (((f"{T}.service.name", "a" * 64),), f"{T}.service.name", "can't be the name of a Service"),
    ((("spec.analyses[0].name", REMOVED),), "spec.analyses[0].name", "is required"),
    ((("spec.analyses[0].templateName", ""),), "spec.analyses[0].templateName", "the name of a template"),
    ((("spec.analyses[0].args[0].name", ""),), "spec.analyses[0].args[0].name", "is required"),
    (
        (("spec.analysisRunMetadata", {"labels": {"rollouts-pod-template-hash": "x"}}),),
        "spec.analysisRunMetadata.labels[rollouts-pod-template-hash]",
        "is set by Tidegate",
    ),
]

STEP_MISTAKES: list[tuple[Any, str, str]] = [
    ({**STEP, "templates": []}, f"{S}.templates", "at least one version"),
    ({"duration": "5m"}, f"{S}.templates", "is required"),
    ({**STEP, "duration": "x"}, f"{S}.duration", "is not a duration"),
    ({**STEP, "templates": [{"name": "a"}]}, f"{S}.templates[0].specRef", "is required"),
    ({**STEP, "templates": [{"name": "a", "specRef": "new"}]}, f"{S}.templates[0].specRef", "'canary' or 'stable'"),
    ({**STEP, "templates": [STEP["templates"][1]] * 2}, f"{S}.templates[1].name", "another one too"),
    (
        {**STEP, "templates": [{"name": "a", "specRef": "canary", "weight": -1}]},
        f"{S}.templates[0].weight",
        "must be 0 or more",
    ),
    (
        {**STEP, "templates": [{"name": "a", "specRef": "canary", "weight": 101}]},
        f"{S}.templates",
        "leaves 100; lower them",
    ),
    (
        {**STEP, "templates": [{"name": "a", "specRef": "canary", "selector": {"matchLabels": {"b": "c"}}}]},
        f"{S}.templates[0].selector",
        "must match the labels",
    ),
    (
        {**STEP, "templates": [{"name": "a", "specRef": "canary", "metadata": {"labels": {"a b": "c"}}}]},
        f"{S}.templates[0].metadata.labels[a b]",
        "is not a label's key",
    ),
    (
        {**STEP, "templates": [{**each, "service": {"name": "same"}} for each in STEP["templates"]]},
        f"{S}.templates[1].service.name",
        "the Service of another template too",
    ),
    ({**STEP, "analyses": [{"name": "a", "templateName": ""}]}, f"{S}.analyses[0].templateName", "is required"),
]


def test_an_experiment_is_read() -> None:
    spec, problems = parse_experiment(EXPERIMENT)
    assert problems == () and spec is not None
    assert (spec.templates[0].desired_replicas, spec.scale_down_delay, spec.duration) == (2, 30, "20m")


@pytest.mark.parametrize(("changes", "path", "message"), MISTAKES)
def test_given_a_mistake_then_it_is_told_with_its_path(
    changes: tuple[tuple[str, Any], ...], path: str, message: str
) -> None:
    spec, problems = parse_experiment(spoilt(EXPERIMENT, *changes))
    assert spec is None
    assert [problem.path for problem in problems] == [path]
    assert message in problems[0].message


@pytest.mark.parametrize(("step", "path", "message"), STEP_MISTAKES)
def test_given_a_mistake_in_a_step_then_it_is_told_with_its_path(step: Any, path: str, message: str) -> None:
    spec, problems = parse_rollout(spoilt(CANARY, ("spec.strategy.canary.steps[0]", {"experiment": step})))
    assert spec is None
    assert [problem.path for problem in problems] == [path]
    assert message in problems[0].message


def test_given_a_weight_without_a_router_then_it_is_refused() -> None:
    without = (
        ("spec.strategy.canary.trafficRouting", REMOVED),
        ("spec.strategy.canary.scaleDownDelaySeconds", REMOVED),
        ("spec.strategy.canary.steps", [{"experiment": STEP}]),
        ("spec.strategy.canary.analysis", REMOVED),
    )
    _, problems = parse_rollout(spoilt(CANARY, *without))
    assert [problem.path for problem in problems] == [f"{S}.templates[0].weight"]
    assert "only possible with trafficRouting" in problems[0].message


def test_given_weights_then_they_share_with_the_canary() -> None:
    steps = [{"setWeight": 97}, {"experiment": STEP}]
    _, problems = parse_rollout(spoilt(CANARY, ("spec.strategy.canary.steps", steps)))
    assert [problem.path for problem in problems] == ["spec.strategy.canary.steps[1].experiment.templates"]
    assert "have weights of 5 together; the canary's weight at this step leaves 3" in problems[0].message


@pytest.mark.parametrize("raw", [{}, {"spec": None}, {"spec": []}, {"spec": {"templates": "x"}}])
def test_given_anything_then_reading_it_does_not_raise(raw: Any) -> None:
    spec, problems = parse_experiment(raw)
    assert spec is None and problems
