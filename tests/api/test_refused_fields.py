"""A field that Tidegate does not act on is refused by name, unless its value asks for nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.objects import BLUE_GREEN, CANARY, RUN, TEMPLATE, Json, spoilt
from tidegate.api.parsing import parse_rollout, parse_run, parse_template
from tidegate.api.unsupported import NOT_BUILT, known_fields

C = "spec.strategy.canary"
B = "spec.strategy.blueGreen"
I = f"{C}.trafficRouting.istio"  # noqa: E741
PROVIDER = "spec.metrics[0].provider"

Parse = Callable[[Any], tuple[Any, Any]]

WEB = {**TEMPLATE, "spec": {"metrics": [{"name": "m", "provider": {"web": {"url": "http://checks/rate"}}}]}}

SETTINGS: list[tuple[Parse, Json, str, Any]] = [
    # what reads the object, the object, a field that is not built, a value that asks for something
    (parse_rollout, CANARY, f"{C}.steps[0].plugin", {"name": "argo/step"}),
    (parse_rollout, CANARY, f"{C}.trafficRouting.nginx", {"stableIngress": "shop"}),
    (parse_rollout, CANARY, f"{C}.trafficRouting.alb", {"ingress": "shop", "servicePort": 80}),
    (parse_rollout, CANARY, f"{C}.trafficRouting.smi", {}),
    (parse_rollout, CANARY, f"{C}.trafficRouting.ambassador", {"mappings": ["shop"]}),
    (parse_rollout, CANARY, f"{C}.trafficRouting.appMesh", {}),
    (parse_rollout, CANARY, f"{C}.trafficRouting.traefik", {"weightedTraefikServiceName": "shop"}),
    (parse_rollout, CANARY, f"{C}.trafficRouting.apisix", {}),
    (parse_rollout, CANARY, f"{C}.trafficRouting.plugins", {"argoproj-labs/gatewayAPI": {}, "x": {"a": 1}}),
    (parse_template, TEMPLATE, "spec.args[0].valueFrom.fieldRef", {"fieldPath": "metadata.name"}),
    (parse_template, TEMPLATE, f"{PROVIDER}.plugin", {"a/b": {"c": 1}}),
    (parse_template, TEMPLATE, f"{PROVIDER}.prometheus.authentication.sigv4", {"region": "eu-central-1"}),
    (parse_template, WEB, f"{PROVIDER}.web.authentication.sigv4", {"region": "eu-central-1"}),
    (parse_run, RUN, f"{PROVIDER}.plugin", {"a/b": {"c": 1}}),
]

HARMLESS: list[tuple[Parse, Json, str, Any]] = [
    # what reads the object, the object, a field that is not built, a value of it that asks for nothing
    (parse_rollout, CANARY, "spec.revisionHistoryLimit", None),
    (parse_rollout, CANARY, f"{C}.steps[0].plugin", None),
    (parse_rollout, CANARY, f"{C}.trafficRouting.plugins", {}),
    (parse_rollout, CANARY, f"{C}.trafficRouting.nginx", None),
    (parse_rollout, CANARY, f"{I}.virtualService", None),
    (parse_template, TEMPLATE, f"{PROVIDER}.prometheus.authentication", {"oauth2": {}, "sigv4": {}}),
]


@pytest.mark.parametrize(("parse", "valid", "path", "value"), SETTINGS)
def test_given_a_field_that_is_not_built_then_it_is_refused_by_its_path(
    parse: Parse, valid: Json, path: str, value: Any
) -> None:
    spec, problems = parse(spoilt(valid, (path, value)))
    assert spec is None
    assert [problem.path for problem in problems] == [path]
    assert problems[0].message.startswith("is not supported by this version of Tidegate")


@pytest.mark.parametrize(("parse", "valid", "path", "value"), HARMLESS)
def test_given_a_value_that_asks_for_nothing_then_it_is_accepted(
    parse: Parse, valid: Json, path: str, value: Any
) -> None:
    untouched, _ = parse(valid)
    spec, problems = parse(spoilt(valid, (path, value)))
    assert problems == ()
    assert spec == untouched


@pytest.mark.parametrize(
    ("parse", "valid", "path", "told"),
    [
        (parse_rollout, CANARY, f"{C}.steps[0].setWieght", "is not a field of {}; did you mean setWeight?"),
        (parse_rollout, CANARY, f"{C}.stableSvc", "is not a field of {}; did you mean stableService?"),
        (parse_rollout, CANARY, f"{C}.dynamicStableScaling", "is not a field of {}; did you mean dynamicStableScale?"),
        (parse_rollout, CANARY, f"{I}.destinationRule.subset", "is not a field of {}"),
        (parse_rollout, BLUE_GREEN, f"{B}.steps", "is not a field of {}"),
        (parse_rollout, CANARY, "spec.progressDeadline", "is not a field of {}; did you mean progressDeadlineAbort?"),
        (parse_template, TEMPLATE, "spec.metrics[0].sucessCondition", "is not a field of {}; did you mean successCon"),
        (parse_template, TEMPLATE, f"{PROVIDER}.promtheus", "is not a field of {}; did you mean prometheus?"),
        (parse_run, RUN, "spec.terminated", "is not a field of {}; did you mean terminate?"),
    ],
)
def test_given_a_field_that_nobody_knows_then_the_nearest_name_is_offered(
    parse: Parse, valid: Json, path: str, told: str
) -> None:
    spec, problems = parse(spoilt(valid, (path, 1)))
    assert spec is None
    assert [problem.path for problem in problems] == [path]
    assert problems[0].message.startswith(told.format(path.rpartition(".")[0]))


def test_given_the_table_then_no_field_is_both_built_and_refused() -> None:
    both = [
        (model.__name__, field)
        for model, refused in NOT_BUILT.items()
        for field in refused
        if field in known_fields(model)
    ]
    assert both == []


def test_given_the_table_then_every_entry_is_refused_by_a_test_above() -> None:
    told = {path.rpartition(".")[2] for _, _, path, _ in SETTINGS + HARMLESS}
    assert {field for refused in NOT_BUILT.values() for field in refused} - told == set()
