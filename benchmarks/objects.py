"""What the stories are made of: Deployments for the floor, Rollouts with routes and Services of their own."""

from __future__ import annotations

from typing import Any

from lab import manifests

Object = dict[str, Any]

NAMESPACE = "bench"
REPLICAS = 2
STORM_TEMPLATE = "storm"
REACT_TEMPLATE = "react"
GAUGE = "bench_success"


def deployment(name: str, version: str) -> Object:
    """What the API server, its controllers and the kubelet need for the same change of image without a Rollout."""
    template = manifests.pod_template({"app": name}, manifests.app_container(version))
    return manifests.deployment(name, NAMESPACE, template, replicas=REPLICAS)


def surroundings(name: str) -> list[Object]:
    """A Rollout's two Services and its VirtualService."""
    ends = [manifests.service(f"{name}-{end}", NAMESPACE, {"app": name}) for end in ("stable", "canary")]
    route = {
        "name": "primary",
        "route": [manifests.destination(f"{name}-stable", 100), manifests.destination(f"{name}-canary", 0)],
    }
    return [*ends, manifests.virtual_service(name, NAMESPACE, f"{name}.example.com", route)]


def storm_rollout(name: str, version: str) -> Object:
    """10 %, an analysis, 50 %, a pause of a second, 100 %."""
    steps = [
        {"setWeight": 10},
        {"analysis": {"templates": [{"templateName": STORM_TEMPLATE}], "args": [{"name": "app", "value": name}]}},
        {"setWeight": 50},
        {"pause": {"duration": "1s"}},
        {"setWeight": 100},
    ]
    return _rollout(name, version, {"steps": steps})


def react_rollout(name: str, version: str) -> Object:
    """20 % for as long as the background analysis is content."""
    background = {"templates": [{"templateName": REACT_TEMPLATE}], "args": [{"name": "app", "value": name}]}
    return _rollout(name, version, {"analysis": background, "steps": [{"setWeight": 20}, {"pause": {}}]})


def templates(prometheus: str) -> list[Object]:
    """The analyses. Each Rollout asks a question of its own, so that nobody wins by asking once for all."""
    return [
        _template(STORM_TEMPLATE, prometheus, 'vector(1) or up{app="{{args.app}}"}', count=2),
        _template(REACT_TEMPLATE, prometheus, f'{GAUGE}{{app="{{{{args.app}}}}"}}'),
    ]


def _rollout(name: str, version: str, canary: Object) -> Object:
    template = manifests.pod_template({"app": name}, manifests.app_container(version))
    strategy = {
        "canaryService": f"{name}-canary",
        "stableService": f"{name}-stable",
        "trafficRouting": {"istio": {"virtualService": {"name": name, "routes": ["primary"]}}},
        **canary,
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
            "strategy": {"canary": strategy},
        },
    }


def _template(name: str, prometheus: str, query: str, **more: Any) -> Object:
    metric = {
        "name": "success",
        "interval": "2s",
        "successCondition": "result[0] >= 0.95",
        "provider": {"prometheus": {"address": prometheus, "query": query}},
        **more,
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"args": [{"name": "app"}], "metrics": [metric]},
    }
