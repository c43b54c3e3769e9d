"""The rules of the definitions, kept by a real API server: what each refuses, and that it refuses nothing else.

Wrong programs that these catch: a rule that the server finds too costly, one that refuses what the operator would carry
out, one that says something else than the operator does, and one that locks an object which is older than the rule.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.client import ApiError, wait_for
from lab.cluster import Lab
from tests.api.objects import BLUE_GREEN, CANARY, REMOVED, RUN, TEMPLATE, Json, spoilt
from tidegate.api.cel import RULES
from tidegate.api.parsing import parse_rollout, parse_run, parse_template
from tidegate.api.problems import Problem

ROOT = Path(__file__).parents[2]
AT = "spec.strategy.canary"
ROUTING = (f"{AT}.trafficRouting", REMOVED)
DELAY = (f"{AT}.scaleDownDelaySeconds", REMOVED)
METRIC = "spec.metrics[0]"
PAIR = {"pingService": "ping", "pongService": "ping"}

BROKEN: dict[str, tuple[Json, tuple[tuple[str, Any], ...], str]] = {
    "deadline": (CANARY, (("spec.progressDeadlineSeconds", 5),), "spec.progressDeadlineSeconds"),
    "default-deadline": (CANARY, (("spec.minReadySeconds", 600),), "spec.progressDeadlineSeconds"),
    "strategies": (CANARY, (("spec.strategy.blueGreen", {"activeService": "a"}),), "spec.strategy"),
    "one-service": (CANARY, ((f"{AT}.stableService", "shop-canary"),), f"{AT}.stableService"),
    "no-routing-delay": (CANARY, (ROUTING,), f"{AT}.scaleDownDelaySeconds"),
    "no-routing-scale": (
        CANARY,
        (ROUTING, DELAY, (f"{AT}.dynamicStableScale", True)),
        f"{AT}.dynamicStableScale",
    ),
    "delay-and-scale": (CANARY, ((f"{AT}.dynamicStableScale", True),), f"{AT}.dynamicStableScale"),
    "no-routing-step": (
        CANARY,
        (ROUTING, DELAY, (f"{AT}.steps[0]", {"setCanaryScale": {"weight": 1}})),
        f"{AT}.steps",
    ),
    "weight-above": (CANARY, ((f"{AT}.steps[0].setWeight", 101),), f"{AT}.steps"),
    "weight-below": (CANARY, ((f"{AT}.steps[0].setWeight", -1),), f"{AT}.steps[0].setWeight"),
    "two-kinds": (CANARY, ((f"{AT}.steps[0].pause", {}),), f"{AT}.steps[0]"),
    "two-other-kinds": (CANARY, ((f"{AT}.steps[2].setMirrorRoute", {"name": "m"}),), f"{AT}.steps[2]"),
    "one-ping": (
        CANARY,
        (
            (f"{AT}.canaryService", REMOVED),
            (f"{AT}.stableService", REMOVED),
            (f"{AT}.trafficRouting.istio.destinationRule", REMOVED),
            (f"{AT}.pingPong", PAIR),
        ),
        f"{AT}.pingPong.pongService",
    ),
    "services-and-one": (
        CANARY,
        ((f"{AT}.trafficRouting.istio.virtualService", {"name": "x"}),),
        f"{AT}.trafficRouting.istio",
    ),
    "one-preview": (
        BLUE_GREEN,
        (("spec.strategy.blueGreen.previewService", "shop"),),
        "spec.strategy.blueGreen.previewService",
    ),
    "no-interval": (TEMPLATE, ((f"{METRIC}.count", 2), (f"{METRIC}.interval", "")), f"{METRIC}.interval"),
    "inconclusive-below": (TEMPLATE, ((f"{METRIC}.inconclusiveLimit", -1),), f"{METRIC}.inconclusiveLimit"),
    "errors-below": (RUN, ((f"{METRIC}.consecutiveErrorLimit", -1),), f"{METRIC}.consecutiveErrorLimit"),
}

FINE: dict[str, tuple[Json, tuple[tuple[str, Any], ...]]] = {
    "thousandths": (
        CANARY,
        ((f"{AT}.steps[0].setWeight", 999), (f"{AT}.trafficRouting.maxTrafficWeight", 1000)),
    ),
    "null-strategy": (CANARY, (("spec.strategy.blueGreen", None),)),
    "null-step": (CANARY, ((f"{AT}.steps[0].pause", None),)),
    "null-fields": (
        CANARY,
        (("spec.minReadySeconds", None), (f"{AT}.dynamicStableScale", None), (f"{AT}.pingPong", None)),
    ),
    "no-services": (
        CANARY,
        (ROUTING, DELAY, (f"{AT}.stableService", ""), (f"{AT}.canaryService", "")),
    ),
    "no-services-services": (CANARY, ((f"{AT}.trafficRouting.istio.virtualServices", [{"name": "shop"}]),)),
    "one-virtual-service": (
        CANARY,
        (
            (f"{AT}.trafficRouting.istio.virtualServices", []),
            (f"{AT}.trafficRouting.istio.virtualService", {"name": "shop"}),
        ),
    ),
    "no-dynamic-scale": (CANARY, (ROUTING, DELAY, (f"{AT}.dynamicStableScale", False))),
    "no-steps": (CANARY, ((f"{AT}.steps", []), (f"{AT}.analysis", REMOVED))),
    "no-preview": (BLUE_GREEN, (("spec.strategy.blueGreen.previewService", REMOVED),)),
    "blue-green": (BLUE_GREEN, ()),
    "template": (TEMPLATE, ()),
    "run": (RUN, ()),
    "one-measurement": (TEMPLATE, (("spec.metrics[1].count", 1), ("spec.metrics[1].inconclusiveLimit", 1))),
    "argument-count": (
        TEMPLATE,
        ((f"{METRIC}.count", "{{args.count}}"), (f"{METRIC}.interval", ""), ("spec.args", [{"name": "count"}])),
    ),
    "text-count": (TEMPLATE, ((f"{METRIC}.count", "5"), (f"{METRIC}.interval", "1s"))),
    "canary": (CANARY, ()),
}


KEPT_BY_THE_SERVER = {"x-kubernetes-validations", "minimum", "maxItems"}

PARSERS: dict[str, Callable[[Json], tuple[object, Sequence[Problem]]]] = {
    "Rollout": parse_rollout,
    "AnalysisTemplate": parse_template,
    "AnalysisRun": parse_run,
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_a_rule_refuses_the_operator_refuses_too(case: str) -> None:
    obj, changes, path = BROKEN[case]
    _, problems = PARSERS[obj["kind"]](spoilt(obj, *changes))
    assert any(problem.path.startswith(path) for problem in problems), [str(problem) for problem in problems]


@pytest.mark.parametrize("case", FINE)
def test_what_the_rules_let_through_is_carried_out(case: str) -> None:
    obj, changes = FINE[case]
    _, problems = PARSERS[obj["kind"]](spoilt(obj, *changes))
    assert problems == ()


@pytest.fixture(scope="module")
def server(lab: Lab) -> Lab:
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    lab.kubectl("wait", "--for=condition=Established", "--timeout=20s", "crd/rollouts.argoproj.io")
    return lab


def dry_run(lab: Lab, obj: Json) -> str:
    """What the API server would say; empty when it would take the object."""
    path = lab.client.path(obj["kind"], namespace="default", api_version="argoproj.io/v1alpha1")
    body = {**obj, "metadata": {**obj["metadata"], "namespace": "default"}}
    try:
        lab.client.request("POST", f"{path}?dryRun=All", body)
    except ApiError as error:
        return str(error)
    return ""


@pytest.mark.lab
def test_the_server_refuses_what_breaks_a_rule_and_names_the_field(server: Lab) -> None:
    heard = ""
    for case, (obj, changes, path) in BROKEN.items():
        said = wait_for(lambda: dry_run(server, spoilt(obj, *changes)), f"a refusal of {case}", 10)  # noqa: B023
        assert path in said, f"{case}: {said}"
        heard += said
    for rule in itertools.chain(*RULES.values()):
        assert rule.message in heard, f"no example breaks: {rule.rule}"


@pytest.mark.lab
def test_the_server_takes_what_breaks_none(server: Lab) -> None:
    samples = [spoilt(obj, *changes) for obj, changes in FINE.values()]
    for folder in ("examples", "tests/api/manifests"):
        for path in (ROOT / folder).rglob("*.yaml"):
            samples += [o for o in yaml.safe_load_all(path.read_text()) if o and o["kind"] in PARSERS]
    assert len(samples) > 18
    for sample in samples:
        assert dry_run(server, sample) == "", sample


@pytest.mark.lab
def test_an_object_that_is_older_than_the_rules_can_still_be_worked_with(server: Lab, namespace: str) -> None:
    given = yaml.safe_load((ROOT / "crds" / "rollouts.yaml").read_text())
    server.client.apply(without_rules(given))
    old = spoilt(
        CANARY,
        ("metadata.namespace", namespace),
        (f"{AT}.steps[0].setWeight", 101),
        (f"{AT}.steps[2].pause", {}),
        (f"{AT}.steps[3]", {"setWeight": -5}),
        (f"{AT}.stableService", "shop-canary"),
    )
    wait_for(lambda: server.client.apply(old), "the definition without rules", 10)
    server.client.apply(given)
    wait_for(lambda: dry_run(server, old), "the rules being kept", 10)

    def patch(body: Any, *more: str) -> None:
        server.kubectl("patch", "-n", namespace, "rollout/shop", "--type=merge", "-p", json.dumps(body), *more)

    patch({"metadata": {"annotations": {"rollout.argoproj.io/revision": "2"}}})
    patch({"status": {"phase": "Degraded", "message": "InvalidSpec"}}, "--subresource=status")
    patch({"status": {"abort": True}}, "--subresource=status")
    patch({"spec": {"paused": True, "restartAt": "2026-11-01T10:00:00Z"}})
    patch({"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}})
    server.kubectl("scale", "-n", namespace, "rollout/shop", "--replicas=7")
    with pytest.raises(Exception, match=r"steps\[0\]"):
        patch({"spec": {"strategy": {"canary": {"steps": [{"setWeight": -1}]}}}})
    patch({"spec": {"strategy": CANARY["spec"]["strategy"]}})


def without_rules(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: without_rules(value) for key, value in node.items() if key not in KEPT_BY_THE_SERVER}
    return [without_rules(value) for value in node] if isinstance(node, list) else copy.copy(node)
