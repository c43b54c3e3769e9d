"""Manifests for the stage: Services, routes, templates and Rollouts as users write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Obj = dict[str, Any]

MANAGED: Final = ("lead", "copy")
"""The names of managed routes: of a header route and of a mirror."""
TRIED: Final = ("one", "two")
"""The names of the versions in Experiments, with which the names of their Services end."""


GUESTS: Final = "guests"
"""The name of a route that somebody else adds to a VirtualService."""

SERVICES: Final = ("app-canary", "app-stable", "app-active", "app-preview", "app-ping", "app-pong")


def service(name: str, **selector: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"team": "shop"}, "annotations": {"note": "ours"}},
        "spec": {"selector": {"app": "app", **selector}, "ports": [{"port": 80}], "sessionAffinity": "None"},
    }


def virtual_service(name: str = "app", *, subsets: bool = False, others: int = 0, turns: bool = False) -> Obj:
    """Two routes: the testers' own, which is nobody's business, and `primary`, split between stable and canary."""
    canary = {"host": "app", "subset": "canary"} if subsets else {"host": "app-canary"}
    stable = {"host": "app", "subset": "stable"} if subsets else {"host": "app-stable.default.svc.cluster.local"}
    if turns:
        canary, stable = {"host": "app-pong"}, {"host": "app-ping"}
    extra = [{"destination": {"host": "elsewhere"}, "weight": others}] if others else []
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "labels": {"team": "mesh"}},
        "spec": {
            "hosts": [f"{name}.example.com"],
            "gateways": ["ingress"],
            "http": [
                {
                    "name": "primary",
                    "timeout": "5s",
                    "route": [
                        {"destination": stable, "weight": 100 - others},
                        {"destination": canary, "weight": 0},
                        *extra,
                    ],
                },
                {
                    "name": "testers",
                    "match": [{"headers": {"x-tester": {"exact": "yes"}}}],
                    "route": [{"destination": canary, "weight": 100}],
                },
            ],
        },
    }


def destination_rule() -> Obj:
    subsets = [
        {"name": "canary", "labels": {"app": "app"}, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}},
        {"name": "stable"},
        {"name": "gold", "labels": {"tier": "gold"}},
    ]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "app"},
        "spec": {"host": "app", "subsets": subsets},
    }


def template(name: str = "ok", **metric: Any) -> Obj:
    prometheus = {"address": "http://prometheus", "query": "up"}
    one = {
        "name": "up",
        "interval": "1s",
        "count": 3,
        "successCondition": "result == 1",
        "provider": {"prometheus": prometheus},
    }
    metrics = [{**one, **metric}]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name},
        "spec": {"metrics": metrics},
    }


def rollout(
    strategy: Mapping[str, Any], *, image: str = "v1", replicas: int | None = 4, ports: bool = False, **spec: Any
) -> Obj:
    """ports: whether the pods have one, as they need for a Service of their own."""
    size = {} if replicas is None else {"replicas": replicas}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "app", "annotations": {"owner": "shop"}},
        "spec": {
            **size,
            "selector": {"matchLabels": {"app": "app"}},
            "template": {
                "metadata": {"labels": {"app": "app"}},
                "spec": {
                    "containers": [
                        {"name": "main", "image": image, **({"ports": [{"containerPort": 80}]} if ports else {})}
                    ]
                },
            },
            "strategy": dict(strategy),
            **spec,
        },
    }


ANALYSIS: Final = {"templates": [{"templateName": "ok"}]}


def canary(*steps: Mapping[str, Any], how: str = "hosts", **fields: Any) -> Obj:
    """A canary strategy. how: the router splits by `hosts`, by hosts that take `turns`, by `subsets`, over `two`
    VirtualServices; or `pods`."""
    given: Obj = {"steps": [dict(step) for step in steps], **fields}
    if how == "pods":
        return {"canary": given}
    istio: Obj = {"virtualService": {"name": "app", "routes": ["primary"]}}
    if how == "two":
        istio = {"virtualServices": [{"name": n, "routes": ["primary"]} for n in ("app", "other")]}
    managed = {"managedRoutes": [{"name": name} for name in MANAGED]}
    if how == "subsets":
        rule = {"name": "app", "canarySubsetName": "canary", "stableSubsetName": "stable"}
        return {"canary": {**given, "trafficRouting": {"istio": {**istio, "destinationRule": rule}, **managed}}}
    ends: Obj = {"canaryService": "app-canary", "stableService": "app-stable"}
    if how == "turns":
        ends = {"pingPong": {"pingService": "app-ping", "pongService": "app-pong"}}
    return {"canary": {**ends, **given, "trafficRouting": {"istio": istio, **managed}}}


def trial(*weights: int | None, replicas: int = 1, **fields: Any) -> Obj:
    """An experiment step with the canary and, with two weights, stable. None gives a version no traffic."""
    versions = zip(TRIED, ("canary", "stable"), weights, strict=False)
    templates = [
        {"name": name, "specRef": ref, "replicas": replicas, **({} if weight is None else {"weight": weight})}
        for name, ref, weight in versions
    ]
    return {"experiment": {"templates": templates, **fields}}


def blue_green(**fields: Any) -> Obj:
    return {"blueGreen": {"activeService": "app-active", "previewService": "app-preview", **fields}}
