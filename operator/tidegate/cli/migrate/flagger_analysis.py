"""The checks of a Flagger Canary as AnalysisTemplates: metrics, MetricTemplates and webhooks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate.cli.migrate.report import Move
from tidegate.core.times import parse_duration

Obj = Mapping[str, Any]

_ARGO: Final = "argoproj.io/v1alpha1"
_VARIABLE: Final = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")
_ANSWER: Final = "it has to answer with 2xx and JSON, anything else is an error"
_HASH: Final = {"name": "canary-hash", "valueFrom": {"podTemplateHashValue": "Latest"}}


@dataclass(slots=True)
class Analyses:
    """What is asked, and when.

    background: beside the steps. before: once, before any user gets the new version. repeated: as often as Flagger's
    iterations, before a blue-green switch. asks_before, asks_after: whether a person is asked then.
    """

    templates: list[Obj] = field(default_factory=list)
    background: list[Obj] = field(default_factory=list)
    before: list[Obj] = field(default_factory=list)
    repeated: list[Obj] = field(default_factory=list)
    asks_before: bool = False
    asks_after: bool = False
    needs_hash: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the Rollout's analyses, as far as a template uses one."""
        return {"args": [_HASH]} if self.needs_hash else {}


@dataclass(frozen=True, slots=True)
class Source:
    """What is translated. service: the one that stands for the new version."""

    move: Move
    canary: Obj
    app: str
    service: str
    provider: str
    templates: Mapping[tuple[str, str], Obj]


def translate_analysis(source: Source) -> Analyses:
    """The analyses of a Canary."""
    move, canary, app, provider = source.move, source.canary, source.app, source.provider
    spec = canary.get("spec") or {}
    analysis = spec.get("analysis") or spec.get("canaryAnalysis") or {}
    found = Analyses()
    if spec.get("skipAnalysis"):
        move.lost("spec.skipAnalysis", "is true: checks are left out; `tidegate promote --full` skips them once")
        return found
    metrics: list[dict[str, Any]] = []
    for index, metric in enumerate(analysis.get("metrics") or ()):
        made = _metric(source, metric, f"spec.analysis.metrics[{index}]")
        if made:
            metrics.append({**made, **_pace(analysis, provider)})
    checks = _webhooks(source, found, analysis)
    if analysis.get("threshold") and (metrics or checks):
        said = (
            f"is {analysis['threshold']}: each metric may fail {_failures(analysis)} times by itself, and the steps "
            "don't wait while one fails (Flagger counts all checks together and stops at a weight)"
        )
        move.changed("spec.analysis.threshold", said)
    together = [*metrics, *checks]
    if together:
        found.needs_hash = any("args.canary-hash" in str(metric) for metric in together)
        name = f"{app}-checks"
        found.templates.append(_template(name, canary, together, found.needs_hash))
        (found.repeated if provider == "kubernetes" else found.background).append({"templateName": name})
    return found


def _pace(analysis: Obj, provider: str) -> dict[str, Any]:
    """How often is measured, and how many failures are borne."""
    pace: dict[str, Any] = {"interval": str(analysis.get("interval") or "1m"), "failureLimit": _failures(analysis)}
    if provider == "kubernetes":
        pace["count"] = max(int(analysis.get("iterations") or 1), pace["failureLimit"] + 1)
    return pace


def _failures(analysis: Obj) -> int:
    return max(0, int(analysis.get("threshold") or 1) - 1)


def _metric(source: Source, metric: Obj, path: str) -> dict[str, Any] | None:
    move = source.move
    name, window = str(metric.get("name")), str(metric.get("interval") or "1m")
    condition = _condition(metric, name)
    if condition is None:
        move.lost(path, f"metric {name} has no thresholdRange, so nothing says what is good")
        return None
    if metric.get("templateRef"):
        asked: dict[str, Any] | None = _from_template(source, metric, path)
    elif metric.get("query"):
        asked = {"query": _filled(source, str(metric["query"]), path, metric)}
    else:
        asked = _built_in(source, name, window, path)
    if asked is None:
        return None
    return {"name": name, "successCondition": condition, "provider": {"prometheus": asked}}


def _condition(metric: Obj, name: str) -> str | None:
    wanted = dict(metric.get("thresholdRange") or {})
    if not wanted and metric.get("threshold") is not None:
        wanted = {"min" if name == "request-success-rate" else "max": metric["threshold"]}
    parts = [f"result[0] {sign} {wanted[bound]}" for bound, sign in (("min", ">="), ("max", "<=")) if bound in wanted]
    return " && ".join(parts) or None


def _built_in(source: Source, name: str, window: str, path: str) -> dict[str, Any] | None:
    """Flagger's own two metrics, from Istio's telemetry of whoever calls the new version's Service."""
    move, service, provider = source.move, source.service, source.provider
    if provider != "istio" or name not in ("request-success-rate", "request-duration"):
        move.lost(path, f"metric {name} is built into Flagger for provider {provider}; write its query into a template")
        return None
    namespace = source.canary["metadata"].get("namespace") or "default"
    chosen = f'reporter="source",destination_service_name="{service}",destination_service_namespace="{namespace}"'
    said = f"asks Istio's telemetry for Service {service}, of the callers' side; address: the operator's --prometheus"
    move.check(path, said)
    if name == "request-duration":
        rate = f"sum(rate(istio_request_duration_milliseconds_bucket{{{chosen}}}[{window}])) by (le)"
        return {"query": f"histogram_quantile(0.99, {rate})"}
    good = f'sum(rate(istio_requests_total{{{chosen},response_code!~"5.*"}}[{window}]))'
    return {"query": f"100 * {good} / sum(rate(istio_requests_total{{{chosen}}}[{window}]))"}


def _from_template(source: Source, metric: Obj, path: str) -> dict[str, Any] | None:
    move, canary = source.move, source.canary
    ref = metric["templateRef"]
    namespace = ref.get("namespace") or canary["metadata"].get("namespace") or ""
    found = source.templates.get((namespace, ref["name"])) or source.templates.get(("", ref["name"]))
    if found is None:
        move.lost(f"{path}.templateRef", f"MetricTemplate {ref['name']} is not among the objects; name its file too")
        return None
    provider = (found.get("spec") or {}).get("provider") or {}
    if provider.get("type") != "prometheus":
        said = (
            f"MetricTemplate {ref['name']} asks {provider.get('type')}; write its query for that provider of Tidegate"
        )
        move.lost(f"{path}.templateRef", said)
        return None
    if provider.get("secretRef"):
        move.check(
            f"{path}.templateRef", f"give the query its credentials from Secret {provider['secretRef'].get('name')}"
        )
    address = {"address": provider["address"]} if provider.get("address") else {}
    return {**address, "query": _filled(source, str(found["spec"].get("query") or ""), path, metric)}


def _filled(source: Source, query: str, path: str, metric: Obj) -> str:
    """A query with Flagger's variables filled in."""
    move, canary, app = source.move, source.canary, source.app
    spec, variables = canary.get("spec") or {}, metric.get("templateVariables") or {}
    service = (spec.get("service") or {}).get("name") or app
    known = {
        "namespace": canary["metadata"].get("namespace") or "default",
        "target": f"{app}-{{{{args.canary-hash}}}}",
        "service": service,
        "interval": str(metric.get("interval") or "1m"),
        "ingress": (spec.get("ingressRef") or {}).get("name") or "",
        "route": (spec.get("routeRef") or {}).get("name") or "",
        **{f"variables.{name}": str(value) for name, value in variables.items()},
    }

    def fill(match: re.Match[str]) -> str:
        variable = match[1].removeprefix(".")
        if variable not in known:
            move.lost(path, f"its query uses {{{{ {match[1]} }}}}, which is not known")
            return match[0]
        return known[variable]

    text = _VARIABLE.sub(fill, query)
    if "args.canary-hash" in text:
        said = (
            f"{{{{ target }}}} became {app}-HASH, what the new version's pods begin with: a pattern for pods needs one "
            "part less after it, and a label of workloads has no hash"
        )
        move.check(path, said)
    return text


def _webhooks(source: Source, found: Analyses, analysis: Obj) -> list[dict[str, Any]]:
    """Webhooks that are checks, as metrics; the others are remarked on."""
    move, canary, app, provider = source.move, source.canary, source.app, source.provider
    checks: list[dict[str, Any]] = []
    for index, hook in enumerate(analysis.get("webhooks") or ()):
        path, kind = f"spec.analysis.webhooks[{index}]", hook.get("type") or "rollout"
        match kind:
            case "rollout":
                checks.append({**_call(canary, hook, "Progressing"), **_pace(analysis, provider)})
                move.check(path, f"{hook.get('name')} is called at every interval; {_ANSWER}")
            case "pre-rollout":
                name = f"{app}-before-{index}"
                found.templates.append(_template(name, canary, [_call(canary, hook, "Progressing")], False))
                found.before.append({"templateName": name})
                move.check(path, f"{hook.get('name')} is called once, before users get the new version; {_ANSWER}")
            case "confirm-rollout":
                found.asks_before = True
                move.changed(path, "became a pause at the beginning: `tidegate promote` in place of the gate's answer")
            case "confirm-promotion":
                found.asks_after = True
                move.changed(path, "became a pause at the end: `tidegate promote` in place of the gate's answer")
            case _:
                move.lost(path, f"a webhook of type {kind} has no equal; notifications tell of starts, ends and undos")
    return checks


def _call(canary: Obj, hook: Obj, phase: str) -> dict[str, Any]:
    metadata = canary["metadata"]
    body = {
        "name": metadata["name"],
        "namespace": metadata.get("namespace") or "default",
        "phase": phase,
        "metadata": dict(hook.get("metadata") or {}),
    }
    seconds = parse_duration(str(hook.get("timeout") or "10s")).total_seconds()
    web = {"method": "POST", "url": str(hook.get("url")), "timeoutSeconds": max(1, round(seconds)), "jsonBody": body}
    name = re.sub(r"[^a-z0-9-]+", "-", str(hook.get("name") or "webhook").lower()).strip("-") or "webhook"
    return {"name": name, "successCondition": "true", "provider": {"web": web}}


def _template(name: str, canary: Obj, metrics: Sequence[Obj], needs_hash: bool) -> Obj:
    namespace = canary["metadata"].get("namespace")
    spec: dict[str, Any] = {"metrics": list(metrics)}
    if needs_hash:
        spec["args"] = [{"name": "canary-hash"}]
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": _ARGO, "kind": "AnalysisTemplate", "metadata": metadata, "spec": spec}
