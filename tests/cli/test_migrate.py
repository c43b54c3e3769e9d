"""migrate: what Argo Rollouts' objects keep and lack here, and a Flagger Canary as a Rollout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Cli
from tests.cli.test_lint import canary as argo_canary
from tests.cli.test_lint import metric, rollout, template
from tests.fakes.clocks import ManualClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.kinds import RESOURCES, Resource
from tests.fakes.status import failure
from tests.fakes.transport import Fault
from tidegate.cli.lint import Manifest, lint
from tidegate.cli.migrate import Move, convert

Obj = dict[str, Any]

DEPLOYMENT: Obj = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "podinfo", "namespace": "test"},
    "spec": {
        "replicas": 4,
        "selector": {"matchLabels": {"app": "podinfo"}},
        "template": {
            "metadata": {"labels": {"app": "podinfo"}},
            "spec": {"containers": [{"name": "podinfod", "image": "podinfo:6"}]},
        },
    },
}
ANALYSIS: Obj = {
    "interval": "1m",
    "threshold": 5,
    "maxWeight": 50,
    "stepWeight": 20,
    "metrics": [
        {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"},
        {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "30s"},
    ],
}


def flagger(analysis: Obj, **spec: Any) -> Obj:
    body: Obj = {
        "provider": "istio",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
        "service": {
            "port": 9898,
            "targetPort": "http",
            "gateways": ["istio-system/public"],
            "hosts": ["podinfo.example.com"],
            "retries": {"attempts": 3},
        },
        "analysis": analysis,
    }
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "podinfo", "namespace": "test"},
        "spec": {**body, **spec},
    }


def named(move: Move, kind: str, name: str = "") -> Obj:
    (found,) = [dict(m) for m in move.manifests if m["kind"] == kind and name in ("", m["metadata"]["name"])]
    return found


def steps(move: Move) -> list[Obj]:
    found: list[Obj] = named(move, "Rollout")["spec"]["strategy"]["canary"]["steps"]
    return found


def remarks(move: Move, weight: str) -> dict[str, str]:
    return {note.path: note.text for note in move.notes if note.weight == weight}


def test_a_canary_on_istio_is_a_rollout_with_the_same_weights_route_and_checks() -> None:
    move = convert(flagger(ANALYSIS), DEPLOYMENT)

    wait = {"pause": {"duration": "1m"}}
    assert steps(move) == [{"setWeight": 20}, wait, {"setWeight": 40}, wait, {"setWeight": 50}, wait]
    spec = named(move, "Rollout")["spec"]
    assert (spec["replicas"], spec["workloadRef"]["name"]) == (4, "podinfo")
    assert spec["strategy"]["canary"]["analysis"]["templates"] == [{"templateName": "podinfo-checks"}]
    good, slow = named(move, "AnalysisTemplate")["spec"]["metrics"]
    assert (good["successCondition"], good["interval"], good["failureLimit"]) == ("result[0] >= 99", "1m", 4)
    assert 'destination_service_name="podinfo-next"' in good["provider"]["prometheus"]["query"]
    assert slow["successCondition"] == "result[0] <= 500" and "[30s]" in slow["provider"]["prometheus"]["query"]
    route = named(move, "VirtualService")["spec"]
    assert route["hosts"] == ["podinfo.example.com", "podinfo"] and route["gateways"] == ["istio-system/public"]
    assert route["http"][0]["retries"] == {"attempts": 3}
    assert [(end["destination"]["host"], end["weight"]) for end in route["http"][0]["route"]] == [
        ("podinfo-stable", 100),
        ("podinfo-next", 0),
    ]
    (handover,) = move.handover
    first, second = handover["spec"]["http"]
    assert first["route"] == [{"destination": {"host": "podinfo-primary"}, "weight": 100}]
    assert second == route["http"][0]
    assert not remarks(move, "lost")


CANARIES: dict[str, Obj] = {
    "weights": flagger(ANALYSIS),
    "listed weights": flagger({**ANALYSIS, "stepWeights": [1, 5, 10]}),
    "mirrored": flagger({**ANALYSIS, "mirror": True, "mirrorWeight": 50}),
    "by header": flagger(
        {**ANALYSIS, "iterations": 10, "match": [{"headers": {"x-canary": {"exact": "yes"}}}], "stepWeight": 0}
    ),
    "gated": flagger(
        {
            **ANALYSIS,
            "webhooks": [
                {
                    "name": "smoke",
                    "type": "pre-rollout",
                    "url": "http://tester/",
                    "timeout": "15s",
                    "metadata": {"cmd": "x"},
                },
                {"name": "load", "url": "http://tester/"},
                {"name": "gate", "type": "confirm-rollout", "url": "http://gate/"},
                {"name": "gate", "type": "confirm-promotion", "url": "http://gate/"},
            ],
        }
    ),
    "blue-green": flagger({"interval": "30s", "threshold": 2, "iterations": 10, "metrics": []}, provider="kubernetes"),
    "another provider": flagger(ANALYSIS, provider="linkerd"),
    "with a policy": flagger(ANALYSIS, service={"port": 80, "trafficPolicy": {"tls": {"mode": "DISABLE"}}}),
}


@pytest.mark.parametrize("given", CANARIES.values(), ids=CANARIES)
def test_what_comes_out_is_taken_by_the_operator(given: Obj) -> None:
    """References included: every template, Service and route that the Rollout names is there and fits."""
    move = convert(given, DEPLOYMENT)

    found = lint(Manifest(dict(m)) for m in (*move.manifests, DEPLOYMENT))

    assert [str(f) for f in found if f.severity == "error" or f.rule == "reference"] == []


def test_listed_weights_headers_mirrors_and_gates_become_steps() -> None:
    assert [s["setWeight"] for s in steps(convert(CANARIES["listed weights"], DEPLOYMENT)) if "setWeight" in s] == [
        1,
        5,
        10,
    ]
    by_header = steps(convert(CANARIES["by header"], DEPLOYMENT))
    assert by_header[1]["setHeaderRoute"]["match"] == [{"headerName": "x-canary", "headerValue": {"exact": "yes"}}]
    assert by_header[2] == {"pause": {"duration": 600}}
    mirror = steps(convert(CANARIES["mirrored"], DEPLOYMENT))
    assert mirror[1]["setMirrorRoute"]["percentage"] == 50
    gated = convert(CANARIES["gated"], DEPLOYMENT)
    assert steps(gated)[1] == {"pause": {}} == steps(gated)[-1]
    web = named(gated, "AnalysisTemplate", "podinfo-before-0")["spec"]["metrics"][0]["provider"]["web"]
    assert (web["timeoutSeconds"], web["jsonBody"]["metadata"]) == (15, {"cmd": "x"})


def test_a_metric_template_gets_its_variables_and_what_is_guessed_is_said() -> None:
    query = 'sum(rate(errors{pod=~"{{ target }}-.+",ns="{{ namespace }}",x="{{ variables.x }}"}[{{ interval }}]))'
    source = {"spec": {"provider": {"type": "prometheus", "address": "http://prom:9090"}, "query": query}}
    ref = {"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 1}, "interval": "2m"}
    given = flagger({**ANALYSIS, "metrics": [{**ref, "templateVariables": {"x": "y"}}]})

    move = convert(given, DEPLOYMENT, {("test", "errors"): source})

    asked = named(move, "AnalysisTemplate")["spec"]["metrics"][0]["provider"]["prometheus"]
    assert asked["query"] == 'sum(rate(errors{pod=~"podinfo-{{args.canary-hash}}-.+",ns="test",x="y"}[2m]))'
    assert asked["address"] == "http://prom:9090"
    assert "spec.analysis.metrics[0]" in remarks(move, "check")


LOST: list[tuple[str, Obj, str]] = [
    ("spec.analysis.sessionAffinity", flagger({**ANALYSIS, "sessionAffinity": {"cookieName": "c"}}), "cookie"),
    ("spec.analysis.stepWeightPromotion", flagger({**ANALYSIS, "stepWeightPromotion": 20}), "become the stable ones"),
    ("spec.analysis.alerts", flagger({**ANALYSIS, "alerts": [{"name": "x"}]}), "notifications"),
    ("spec.provider", CANARIES["another provider"], "linkerd is not translated"),
    ("spec.targetRef.kind", flagger(ANALYSIS, targetRef={"kind": "DaemonSet", "name": "x"}), "DaemonSet"),
    (
        "spec.analysis.webhooks[0]",
        flagger({**ANALYSIS, "webhooks": [{"name": "x", "type": "rollback", "url": "http://x"}]}),
        "no equal",
    ),
    (
        "spec.analysis.metrics[0].templateRef",
        flagger({**ANALYSIS, "metrics": [{"name": "m", "templateRef": {"name": "m"}, "thresholdRange": {"max": 1}}]}),
        "MetricTemplate m is not among the objects",
    ),
]


@pytest.mark.parametrize(("path", "given", "words"), LOST, ids=[row[0] for row in LOST])
def test_what_has_no_equal_is_said(path: str, given: Obj, words: str) -> None:
    assert words in remarks(convert(given, DEPLOYMENT), "lost")[path]


def test_a_file_in_and_folders_out(cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "in.yaml"
    source.write_text(yaml.safe_dump_all([flagger(ANALYSIS), DEPLOYMENT]))

    told = cli.ok("migrate", "-f", str(source), "--write", str(tmp_path / "out")).out
    text = cli.ok("migrate", "-f", str(source), "-o", "yaml").out

    assert "Canary podinfo in test: becomes AnalysisTemplate podinfo-checks" in told
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "test-podinfo-handover.yaml",
        "test-podinfo-route.yaml",
        "test-podinfo.yaml",
    ]
    assert "# CHECK: " in text and "# 1. kubectl -n test patch canary podinfo" in text
    kinds = [obj["kind"] for obj in yaml.safe_load_all(text) if obj]
    assert sorted(kinds) == ["AnalysisTemplate", "Rollout", "Service", "Service", "VirtualService"]


def test_objects_of_argo_rollouts_apply_unchanged_or_it_is_said_which_field_does_not(cli: Cli) -> None:
    plugin = rollout(argo_canary({"setWeight": 10}, {"plugin": {"name": "x"}}), "other")
    text = yaml.safe_dump_all([rollout(argo_canary({"setWeight": 10})), plugin, template(metric())])

    answer = cli("migrate", "-f", "-", stdin=text)

    assert answer.code == 1
    assert "Rollout app: applies unchanged" in answer.out
    assert "AnalysisTemplate ok: applies unchanged" in answer.out
    assert (
        "Rollout other: has to be changed first\n  NO EQUAL: spec.strategy.canary.steps[1].plugin: is not supp"
        in answer.out
    )
    piped = cli("migrate", "-f", "-", "-o", "yaml", stdin=text)
    assert (piped.code, piped.out) == (1, ""), "nothing of these has to be written anew"
    assert "Rollout app: applies unchanged" in piped.err and "NO EQUAL: spec.strategy.canary.steps[1]" in piped.err


def test_from_the_cluster(cli: Cli, cluster: FakeCluster) -> None:
    cluster.create(rollout(argo_canary({"setWeight": 10})))

    assert "Rollout app in default: applies unchanged" in cli.ok("migrate").out
    assert cli.ok("migrate", "-A", "-o", "json").data["items"][0]["verdict"] == "unchanged"
    assert cli("migrate", "-n", "empty").code == 4


def test_flaggers_canaries_are_read_from_the_cluster_and_what_may_not_be_read_is_said(cli: Cli) -> None:
    """A wrong program says that nothing is there where somebody may not look, or forgets the Deployment's template."""
    primary = {**DEPLOYMENT, "metadata": {**DEPLOYMENT["metadata"], "name": "podinfo-primary"}}
    custom = {"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 1}, "interval": "1m"}
    provider = {"type": "prometheus", "address": "http://prometheus:9090"}
    metric_template = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "MetricTemplate",
        "metadata": {"name": "errors", "namespace": "test"},
        "spec": {"provider": provider, "query": "errors{app='{{ target }}'}"},
    }
    given = flagger({**ANALYSIS, "metrics": [custom]})
    kinds = {"Canary": "canaries", "MetricTemplate": "metrictemplates"}.items()
    served = [*RESOURCES, *(Resource("flagger.app", "v1beta1", kind, plural) for kind, plural in kinds)]
    cluster = cli.cluster = FakeCluster(ManualClock(), served)
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "test"}})
    for obj in (given, metric_template, {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "replicas": 0}}, primary):
        cluster.create(obj)

    text = cli.ok("migrate", "-n", "test", "-o", "yaml").out
    made = {obj["kind"]: obj for obj in yaml.safe_load_all(text) if obj}
    assert made["Rollout"]["spec"]["replicas"] == 4, "as many as serve, and not the copy at rest"
    assert "errors{app='podinfo-{{args.canary-hash}}'}" in yaml.safe_dump(made["AnalysisTemplate"], width=1000)

    no = failure(403, "Forbidden", 'canaries.flagger.app is forbidden: User "eve" cannot list resource "canaries"')
    cli.arrange = lambda transport: transport.fail(Fault(no), when=lambda request: request.kind == "Canary", times=9)
    answer = cli("migrate", "-n", "test")
    assert answer.code == 4 and "Canaries are not shown: you may not list them in test" in answer.err
