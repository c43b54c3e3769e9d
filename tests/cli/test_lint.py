"""lint: what is found in manifests, where, and what is left in peace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.paths import REPOSITORY
from tests.cli.conftest import Cli
from tests.rollout import objects
from tidegate.cli.lint import Manifest, lint

Obj = dict[str, Any]
ARGO = "argoproj.io/v1alpha1"


def rollout(strategy: Obj, name: str = "app", **spec: Any) -> Obj:
    template = {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": "app:v1"}]}}
    selector = {"matchLabels": {"app": "app"}}
    body = {"replicas": 10, "selector": selector, "template": template, "strategy": strategy, **spec}
    return {"apiVersion": ARGO, "kind": "Rollout", "metadata": {"name": name}, "spec": body}


def canary(*steps: Obj, **more: Any) -> Obj:
    return {"canary": {"steps": list(steps), **more}}


def by_istio(*steps: Obj, routes: tuple[str, ...] = ("primary",), **more: Any) -> Obj:
    routing = {"istio": {"virtualService": {"name": "app", **({"routes": list(routes)} if routes else {})}}}
    return canary(*steps, canaryService="app-canary", stableService="app-stable", trafficRouting=routing, **more)


def taking_turns(*steps: Obj) -> Obj:
    strategy = by_istio(*steps, pingPong={"pingService": "app-ping", "pongService": "app-pong"})
    return {"canary": {k: v for k, v in strategy["canary"].items() if k not in ("canaryService", "stableService")}}


def metric(**fields: Any) -> Obj:
    provider = {"prometheus": {"address": "http://p", "query": "up"}}
    return {"name": "m", "successCondition": "result[0] > 0.9", "provider": provider, **fields}


def template(*metrics: Obj, name: str = "ok", **spec: Any) -> Obj:
    body = {"metrics": list(metrics), **spec}
    return {"apiVersion": ARGO, "kind": "AnalysisTemplate", "metadata": {"name": name}, "spec": body}


def background(**more: Any) -> Obj:
    return {"templates": [{"templateName": "ok"}], **more}


def comparing() -> Obj:
    found = metric(interval="10s", provider={"prometheus": {"address": "http://p"}})
    del found["successCondition"]
    selectors = {"total": 'x{h="{{arm.podTemplateHash}}"}', "bad": 'x{h="{{arm.podTemplateHash}}",code="500"}'}
    return {**found, "compare": {"counts": selectors}}


COMPARING = comparing()
W10, W50, ENDLESS, SHORT = {"setWeight": 10}, {"setWeight": 50}, {"pause": {}}, {"pause": {"duration": "1m"}}
INLINE = {"analysis": background()}
STEP = "spec.strategy.canary.steps"
BLUE = {"activeService": "app"}

FINDINGS: list[tuple[str, list[Obj], list[tuple[str, str, str, str]]]] = [
    ("a good canary", [rollout(canary(W10, ENDLESS, W50, SHORT))], []),
    (
        "a wrong type",
        [rollout(canary({"setWeight": "ten"}))],
        [("error", "schema", f"{STEP}[0].setWeight", "must be an integer, not the text 'ten'")],
    ),
    (
        "a misspelt field",
        [rollout(canary({"setWieght": 10}))],
        [("error", "schema", f"{STEP}[0].setWieght", "did you mean setWeight?")],
    ),
    (
        "weights that go down",
        [rollout(canary(W50, SHORT, W10, SHORT))],
        [("warning", "weights-down", f"{STEP}[2].setWeight", "goes down from 50 to 10")],
    ),
    (
        "a step that does nothing",
        [rollout(canary(W10, SHORT, W10))],
        [("warning", "no-effect", f"{STEP}[2].setWeight", "is 10, as it was before")],
    ),
    (
        "a weight that pods can't express",
        [rollout(canary(W10, SHORT), replicas=3)],
        [("warning", "coarse-weight", f"{STEP}[0].setWeight", "of 3 pods 1 is the nearest, about 33 %")],
    ),
    (
        "steps behind an analysis without an end",
        [rollout(canary(W10, INLINE, W50)), template(metric(interval="1m"))],
        [
            ("error", "analysis", f"{STEP}[1].analysis.templates", "never ends"),
            ("error", "unreachable", f"{STEP}[2]", "its metric m has an interval and no count"),
        ],
    ),
    (
        "the same in the background",
        [rollout(canary(W10, SHORT, analysis=background())), template(metric(interval="10s"))],
        [],
    ),
    (
        "a background analysis without time",
        [rollout(canary(W10, W50, analysis=background())), template(metric(interval="10s"))],
        [("warning", "no-time", "spec.strategy.canary.analysis", "no step from its first on pauses")],
    ),
    (
        "one that compares holds the weights until it has looked",
        [rollout(canary(W10, W50, analysis=background())), template(COMPARING)],
        [],
    ),
    (
        "one that compares where only one version ever has users",
        [rollout(canary(SHORT, {"setWeight": 100}, analysis=background())), template(COMPARING)],
        [("error", "analysis", STEP, "metric m compares the canary with stable, and would never see users of both")],
    ),
    (
        "a background analysis that can't undo in time",
        [rollout(canary(W10, SHORT, analysis=background())), template(metric(interval="30s", failureLimit=2))],
        [("warning", "no-time", "spec.strategy.canary.analysis", "fails after 1m at the earliest")],
    ),
    (
        "a background analysis that begins too late",
        [rollout(canary(W10, SHORT, analysis=background())), template(metric(interval="1s", initialDelay="5m"))],
        [("warning", "no-time", "spec.strategy.canary.analysis", "waits 5m before it measures")],
    ),
    (
        "an argument that nobody gives",
        [rollout(canary(W10, SHORT, analysis=background())), template(metric(interval="1s"), args=[{"name": "x"}])],
        [("error", "analysis", "spec.strategy.canary.analysis.args", "x")],
    ),
    (
        "an argument that is not declared",
        [template(metric(provider={"prometheus": {"address": "http://p", "query": "up{app='{{args.app}}'}"}}))],
        [("warning", "argument", "spec.metrics[0].provider.prometheus.query", "{{args.app}}, which spec.args")],
    ),
    (
        "a metric that can't fail",
        [template(metric(count=3, interval="1s", failureLimit=3))],
        [("warning", "never-fails", "spec.metrics[0].failureLimit", "tolerates 3 failures of 3")],
    ),
    (
        "a request that has to be answered with success",
        [template({**metric(provider={"web": {"url": "http://app/healthz"}}), "successCondition": ""})],
        [],
    ),
    (
        "a metric that judges nothing",
        [template({**metric(), "successCondition": ""})],
        [("warning", "no-condition", "spec.metrics[0]", "every answer counts as good")],
    ),
    (
        "a condition that is none",
        [template(metric(successCondition="result[0] >"))],
        [("error", "schema", "spec.metrics[0].successCondition", "is not a condition")],
    ),
    (
        "a template that is not there",
        [rollout(canary(W10, SHORT, analysis=background())), objects.service("other")],
        [("warning", "reference", "spec.strategy.canary.analysis.templates[0].templateName", "AnalysisTemplate ok")],
    ),
    ("a Rollout alone says nothing of what is elsewhere", [rollout(by_istio(W10, SHORT, analysis=background()))], []),
    (
        "a Service that is not there",
        [rollout(by_istio(W10, SHORT)), objects.service("app-stable"), objects.virtual_service()],
        [("warning", "reference", "spec.strategy.canary.canaryService", "names Service app-canary")],
    ),
    (
        "a Service that selects others' pods",
        [
            rollout(by_istio(W10, SHORT)),
            objects.service("app-stable"),
            objects.service("app-canary", tier="gold"),
            objects.virtual_service(),
        ],
        [("error", "selector", "spec.strategy.canary.canaryService", "selects tier=gold")],
    ),
    (
        "a route that is not there",
        [
            rollout(by_istio(W10, SHORT, routes=("main",))),
            objects.service("app-stable"),
            objects.service("app-canary"),
            objects.virtual_service(),
        ],
        [("error", "route", "spec.strategy.canary.trafficRouting.istio.virtualService.routes[0]", "main")],
    ),
    (
        "two Services that take turns",
        [
            rollout(taking_turns(W10, SHORT)),
            objects.service("app-ping"),
            objects.service("app-pong"),
            objects.virtual_service(turns=True),
        ],
        [],
    ),
    (
        "two Rollouts that want one Service",
        [rollout({"blueGreen": BLUE}), rollout({"blueGreen": BLUE}, "web")],
        [("error", "shared", "spec.strategy.blueGreen.activeService", "is claimed by Rollout app too")],
    ),
    (
        "one object twice",
        [rollout(canary()), rollout(canary())],
        [("warning", "twice", "metadata.name", "stands in")],
    ),
    (
        "a setting of blue-green that is ignored",
        [rollout({"blueGreen": {**BLUE, "autoPromotionEnabled": False, "autoPromotionSeconds": 30}})],
        [
            (
                "warning",
                "no-effect",
                "spec.strategy.blueGreen.autoPromotionSeconds",
                "has no effect, because autoPromotionEnabled",
            )
        ],
    ),
    (
        "a Service for pods without a port",
        [
            {
                "apiVersion": ARGO,
                "kind": "Experiment",
                "metadata": {"name": "app"},
                "spec": {
                    "templates": [
                        {
                            "name": "one",
                            "service": {},
                            "selector": {"matchLabels": {"app": "app"}},
                            "template": {
                                "metadata": {"labels": {"app": "app"}},
                                "spec": {"containers": [{"name": "app", "image": "app"}]},
                            },
                        }
                    ]
                },
            }
        ],
        [("warning", "no-effect", "spec.templates[0].service", "has no effect: no container")],
    ),
    (
        "a preview that nobody reaches",
        [rollout({"blueGreen": {**BLUE, "prePromotionAnalysis": background()}})],
        [("warning", "no-preview", "spec.strategy.blueGreen.prePromotionAnalysis", "previewService")],
    ),
    (
        "a template from a Deployment elsewhere",
        [
            {
                "apiVersion": ARGO,
                "kind": "Rollout",
                "metadata": {"name": "app"},
                "spec": {"workloadRef": {"kind": "Deployment", "name": "app"}, "strategy": canary(W50, SHORT, W10)},
            }
        ],
        [
            ("warning", "weights-down", f"{STEP}[2].setWeight", "goes down"),
        ],
    ),
    (
        "objects of others",
        [{"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {}}, {"kind": "x"}],
        [],
    ),
]


@pytest.mark.parametrize(("given", "expected"), [row[1:] for row in FINDINGS], ids=[row[0] for row in FINDINGS])
def test_findings(given: list[Obj], expected: list[tuple[str, str, str, str]]) -> None:
    found = lint(Manifest(obj) for obj in given)

    told = sorted((f.severity, f.rule, f.path, f.message) for f in found)
    assert [row[:3] for row in told] == sorted(row[:3] for row in expected), told
    for (*_, message), (*_, words) in zip(told, sorted(expected), strict=True):
        assert words in message


@pytest.mark.parametrize("example", sorted(p.name for p in (REPOSITORY / "examples").iterdir() if p.is_dir()))
def test_the_examples_are_clean(cli: Cli, example: str) -> None:
    answer = cli("lint", str(REPOSITORY / "examples" / example), "--strict")

    assert (answer.code, answer.out) == (0, ""), answer


def test_a_finding_names_the_file_and_the_line(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(f"# first\n---\n{yaml.safe_dump(rollout(canary(W50, SHORT, W10)), sort_keys=False)}")
    line = 1 + file.read_text().splitlines().index("      - setWeight: 10")

    answer = cli("lint", str(tmp_path))

    assert answer.out.startswith(f"{file}:{line}: warning [weights-down] Rollout app: {STEP}[2].setWeight goes down")
    assert answer.err == "0 errors, 1 warning in 1 object\n"
    assert (answer.code, cli("lint", str(file), "--strict").code) == (0, 1)


def test_standard_input_lists_and_json(cli: Cli) -> None:
    text = yaml.safe_dump({"kind": "List", "apiVersion": "v1", "items": [rollout(canary({"setWeight": 101}))]})

    answer = cli("lint", "-", "-o", "json", stdin=text)

    assert answer.code == 1
    assert (answer.data["errors"], answer.data["warnings"]) == (1, 0)
    (finding,) = answer.data["findings"]
    assert finding["path"] == f"{STEP}[0].setWeight" and finding["line"] > 1


def test_what_is_no_manifest(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "chart.yaml").write_text("a: b\nc: {{ .Values.c }}: x\n")

    answer = cli("lint", str(tmp_path))

    assert answer.code == 1
    assert "chart.yaml:2: error [yaml]: is not YAML" in answer.out.replace(" is not", " is not")
    assert "helm template" in answer.out
    assert "there is no file or folder nowhere" in cli("lint", "nowhere").err
    (tmp_path / "none").mkdir()
    assert cli("lint", str(tmp_path / "none")).code == 4
