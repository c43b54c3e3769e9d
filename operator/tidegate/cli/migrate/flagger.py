"""A Flagger Canary as a Rollout: strategy, Services and routes. What has no equal is said, not left out quietly.

Source: Flagger's API v1beta1. Where the two think differently: Flagger copies the Deployment to NAME-primary and
promotes by changing that copy; a Rollout promotes the very pods that were the canary. Flagger stops at a weight while a
check fails and goes on when it passes; a Rollout's steps take their time, and a background analysis that has failed too
often undoes the update.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.cli.migrate.flagger_analysis import Analyses, Source, translate_analysis
from tidegate.cli.migrate.report import Move
from tidegate.core.times import parse_duration

Obj = Mapping[str, Any]
Templates = Mapping[tuple[str, str], Obj]
"""MetricTemplates by namespace and name."""

_ARGO: Final = "argoproj.io/v1alpha1"
_ISTIO: Final = "networking.istio.io/v1"
_ROUTE_FIELDS: Final = ("match", "rewrite", "retries", "timeout", "headers", "corsPolicy")
_SILENT: Final[Mapping[str, str]] = {
    "autoscalerRef": "let the autoscaler's scaleTargetRef name the Rollout (argoproj.io/v1alpha1, kind Rollout) itself",
    "ingressRef": "the Ingress goes on leading to the Service; let it lead to the stable one",
    "routeRef": "is for providers that are not built",
    "upstreamRef": "is for providers that are not built",
}
_ANALYSIS_LOST: Final[Mapping[str, str]] = {
    "stepWeightPromotion": "the pods that were the canary become the stable ones: no traffic moves back in steps",
    "sessionAffinity": "users are not bound to a version by a cookie",
    "alerts": "subscribe to notifications by annotations of the Rollout",
    "primaryReadyThreshold": "all stable pods count",
}


@dataclass(frozen=True, slots=True)
class _Names:
    """What things are called. pods: labels that select the pods."""

    app: str
    service: str
    namespace: str
    pods: Mapping[str, str]

    @property
    def stable(self) -> str:
        return f"{self.service}-stable"

    @property
    def next(self) -> str:
        """Flagger's own Service is NAME-canary, and both are there for a while."""
        return f"{self.service}-next"


def convert(canary: Obj, deployment: Obj | None = None, templates: Templates | None = None) -> Move:
    """What becomes of a Canary. deployment: its target, if it is known."""
    metadata, spec = canary["metadata"], canary.get("spec") or {}
    move = Move("Canary", metadata.get("namespace") or "", metadata["name"], "translated")
    target, provider = spec.get("targetRef") or {}, spec.get("provider") or "istio"
    if target.get("kind") != "Deployment":
        move.verdict = "refused"
        move.lost("spec.targetRef.kind", f"is {target.get('kind')}; a Rollout takes its pods from a Deployment")
        return move
    named = _names(move, spec, deployment)
    analysis = spec.get("analysis") or spec.get("canaryAnalysis") or {}
    for field, said in _SILENT.items():
        if spec.get(field):
            move.check(f"spec.{field}", said)
    for field, said in _ANALYSIS_LOST.items():
        if analysis.get(field):
            move.lost(f"spec.analysis.{field}", said)
    analyses = translate_analysis(Source(move, canary, named.app, named.next, provider, templates or {}))
    blue_green = provider == "kubernetes"
    strategy = _blue_green(named, analyses) if blue_green else _canary(move, named, analysis, analyses, provider)
    move.manifests += [
        *analyses.templates,
        *_services(named, spec),
        _rollout(move, spec, named, strategy, deployment),
    ]
    if provider == "istio":
        move.manifests += [*_rules(spec, named), _virtual_service(spec, named)]
        move.handover.append(_virtual_service(spec, named, primary=True))
    _say_how(move, named, provider)
    return move


def _names(move: Move, spec: Obj, deployment: Obj | None) -> _Names:
    app = spec["targetRef"]["name"]
    selector = (((deployment or {}).get("spec") or {}).get("selector") or {}).get("matchLabels")
    if not selector:
        move.check(
            "spec.targetRef",
            f"Deployment {app} is not among the objects: its pods are taken to have the label app={app}",
        )
    return _Names(app, (spec.get("service") or {}).get("name") or app, move.namespace, selector or {"app": app})


def _rollout(move: Move, spec: Obj, named: _Names, strategy: Obj, deployment: Obj | None) -> Obj:
    replicas = ((deployment or {}).get("spec") or {}).get("replicas")
    if not replicas:
        replicas = 1
        move.check(
            "spec.replicas",
            f"set it to the number of pods of Deployment {named.app}-primary; Flagger has scaled the other to 0",
        )
    body: dict[str, Any] = {
        "replicas": replicas,
        "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": named.app},
        "progressDeadlineSeconds": spec.get("progressDeadlineSeconds") or 600,
        "progressDeadlineAbort": True,
        "strategy": strategy,
    }
    return _object(_ARGO, "Rollout", named.app, named, body)


def _blue_green(named: _Names, analyses: Analyses) -> Obj:
    body: dict[str, Any] = {"activeService": named.stable, "previewService": named.next}
    before = [*analyses.before, *analyses.repeated]
    if before:
        body["prePromotionAnalysis"] = {"templates": before, **analyses.arguments}
    if analyses.asks_before or analyses.asks_after:
        body["autoPromotionEnabled"] = False
    return {"blueGreen": body}


def _canary(move: Move, named: _Names, analysis: Obj, analyses: Analyses, provider: str) -> Obj:
    steps = _steps(move, named, analysis, analyses)
    body: dict[str, Any] = {"canaryService": named.next, "stableService": named.stable}
    if provider == "istio":
        routes = [{"name": name} for name in _managed(steps)]
        istio = {"virtualService": {"name": named.service, "routes": [named.app]}}
        body["trafficRouting"] = {"istio": istio, **({"managedRoutes": routes} if routes else {})}
    else:
        said = f"the provider {provider} is not translated: weights are numbers of pods until you add trafficRouting"
        move.lost("spec.provider", said)
        dropped = ("setHeaderRoute", "setMirrorRoute", "setCanaryScale")
        steps = [step for step in steps if not any(kind in step for kind in dropped)]
    if analyses.background:
        body["analysis"] = {
            "templates": analyses.background,
            "startingStep": _first_weight(steps),
            **analyses.arguments,
        }
    if analysis.get("canaryReadyThreshold"):
        body["replicaProgressThreshold"] = {"type": "Percent", "value": analysis["canaryReadyThreshold"]}
    return {"canary": {**body, "steps": steps}}


def _steps(move: Move, named: _Names, analysis: Obj, analyses: Analyses) -> list[dict[str, Any]]:
    interval, steps = str(analysis.get("interval") or "1m"), list[dict[str, Any]]()
    wait = {"pause": {"duration": interval}}
    if analyses.asks_before:
        steps += [{"setCanaryScale": {"weight": 100}}, {"pause": {}}, {"setCanaryScale": {"matchTrafficWeight": True}}]
    if analyses.before:
        steps += [
            {"setCanaryScale": {"replicas": 1}},
            {"analysis": {"templates": analyses.before, **analyses.arguments}},
        ]
        steps += [{"setCanaryScale": {"matchTrafficWeight": True}}]
    if analysis.get("mirror"):
        percentage = analysis.get("mirrorWeight") or 100
        mirror = {"name": f"{named.app}-mirror", "match": [{"path": {"prefix": "/"}}], "percentage": percentage}
        steps += [{"setCanaryScale": {"weight": 100}}, {"setMirrorRoute": mirror}, dict(wait)]
        steps += [{"setMirrorRoute": {"name": f"{named.app}-mirror"}}, {"setCanaryScale": {"matchTrafficWeight": True}}]
    if analysis.get("match") and analysis.get("iterations"):
        steps += _by_header(move, named, analysis, interval)
    elif analysis.get("iterations"):
        steps += [{"setCanaryScale": {"weight": 100}}, _times(interval, int(analysis["iterations"]))]
    for weight in _weights(analysis):
        steps += [{"setWeight": weight}, dict(wait)]
    if analyses.asks_after:
        steps.append({"pause": {}})
    return steps


def _weights(analysis: Obj) -> list[int]:
    """The weights that Flagger goes through; none with iterations, which move no weights."""
    if analysis.get("iterations"):
        return []
    if analysis.get("stepWeights"):
        return [int(weight) for weight in analysis["stepWeights"]]
    step, most = int(analysis.get("stepWeight") or 0), int(analysis.get("maxWeight") or 100)
    if not step:
        return []
    weights = list(range(step, most, step))
    return [*weights, most]


def _by_header(move: Move, named: _Names, analysis: Obj, interval: str) -> list[dict[str, Any]]:
    """An A/B test: users with certain headers get the new version for so many intervals."""
    matches = []
    for index, match in enumerate(analysis["match"]):
        headers = match.get("headers") or {}
        if len(headers) != 1 or len(match) > 1:
            said = "matches by more than one header, or by something else: a header route asks for one header each"
            move.lost(f"spec.analysis.match[{index}]", said)
            continue
        ((name, value),) = headers.items()
        matches.append({"headerName": name, "headerValue": dict(value)})
    route = {"name": f"{named.app}-testers", "match": matches}
    wait = _times(interval, int(analysis["iterations"]))
    return [{"setCanaryScale": {"weight": 100}}, *([{"setHeaderRoute": route}] if matches else []), wait]


def _times(interval: str, count: int) -> dict[str, Any]:
    return {"pause": {"duration": round(parse_duration(interval).total_seconds() * count)}}


def _managed(steps: list[dict[str, Any]]) -> list[str]:
    named = [
        body["name"] for step in steps for kind, body in step.items() if kind in ("setHeaderRoute", "setMirrorRoute")
    ]
    return list(dict.fromkeys(named))


def _first_weight(steps: list[dict[str, Any]]) -> int:
    wanted = ("setWeight", "setHeaderRoute", "setMirrorRoute")
    return next((index for index, step in enumerate(steps) if any(kind in step for kind in wanted)), 0)


# -- Services and routes -----------------------------------------------------------------------------------------------


def _services(named: _Names, spec: Obj) -> list[Obj]:
    service = spec.get("service") or {}
    port = {
        "name": service.get("portName") or "http",
        "port": service.get("port") or 80,
        "targetPort": service.get("targetPort") or service.get("port") or 80,
        **({"appProtocol": service["appProtocol"]} if service.get("appProtocol") else {}),
    }
    return [
        _object("v1", "Service", name, named, {"selector": dict(named.pods), "ports": [port]})
        for name in (named.stable, named.next)
    ]


def _rules(spec: Obj, named: _Names) -> list[Obj]:
    policy = (spec.get("service") or {}).get("trafficPolicy")
    if not policy:
        return []
    return [
        _object(_ISTIO, "DestinationRule", name, named, {"host": name, "trafficPolicy": policy})
        for name in (named.stable, named.next)
    ]


def _virtual_service(spec: Obj, named: _Names, *, primary: bool = False) -> Obj:
    """The route of the users. primary: while Flagger's own pods still serve them, by a route that comes first."""
    service = spec.get("service") or {}
    given = {field: service[field] for field in _ROUTE_FIELDS if service.get(field)}
    routes = [{"name": named.app, **given, "route": [_end(named.stable, 100), _end(named.next, 0)]}]
    if primary:
        routes.insert(0, {"name": f"{named.app}-flagger", **given, "route": [_end(f"{named.service}-primary", 100)]})
    body = {
        "hosts": list(dict.fromkeys([*(service.get("hosts") or ()), named.service])),
        "gateways": service.get("gateways") or ["mesh"],
        "http": routes,
    }
    return _object(_ISTIO, "VirtualService", named.service, named, body)


def _end(host: str, weight: int) -> dict[str, Any]:
    return {"destination": {"host": host}, "weight": weight}


def _object(version: str, kind: str, name: str, named: _Names, spec: Obj) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": named.namespace} if named.namespace else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _say_how(move: Move, named: _Names, provider: str) -> None:
    option = f" -n {named.namespace}" if named.namespace else ""
    move.changed(
        "spec.targetRef", f"the Rollout takes its pods from Deployment {named.app}, which stays at 0 pods of its own"
    )
    suspend = '{"spec":{"suspend":true}}'
    move.steps.append(
        f"kubectl{option} patch canary {move.name} --type=merge -p '{suspend}'   # Flagger leaves it alone"
    )
    if provider == "istio":
        said = f"its first route still leads to {named.service}-primary"
        move.steps.append(f"apply the VirtualService of the hand-over (--write writes it): {said}")
    move.steps.append(f"apply the rest but the VirtualService, and wait: tidegate{option} status {named.app}")
    if provider == "istio":
        move.steps.append("apply the VirtualService: the users go to the Rollout's pods")
    else:
        move.steps.append(f"let whatever leads to Service {named.service} lead to {named.stable}")
    move.steps.append(
        f"kubectl{option} delete canary {move.name} --cascade=orphan   # or its route and Services go with it"
    )
    move.steps.append(
        f"delete what Flagger has left: Deployment {named.app}-primary and Services {named.service}-primary, -canary"
    )
