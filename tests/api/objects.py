"""Valid objects to spoil, and the tool to spoil them with."""

from __future__ import annotations

import json
import re
from typing import Any, Final

Json = dict[str, Any]

REMOVED: Final = object()

_TEMPLATE: Final[Json] = {
    "metadata": {"labels": {"app": "shop"}},
    "spec": {"containers": [{"name": "web", "image": "shop:v1", "ports": [{"containerPort": 8080}]}]},
}


def _rollout(strategy: Json) -> Json:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": _TEMPLATE,
            "minReadySeconds": 5,
            "analysis": {"successfulRunHistoryLimit": 3},
            "strategy": strategy,
        },
    }


ANALYSIS: Final[Json] = {
    "templates": [{"templateName": "success-rate"}, {"templateName": "errors", "clusterScope": True}],
    "args": [
        {"name": "service", "value": "shop-canary"},
        {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}},
    ],
}

CANARY: Final = _rollout(
    {
        "canary": {
            "canaryService": "shop-canary",
            "stableService": "shop-stable",
            "maxSurge": "25%",
            "maxUnavailable": 0,
            "scaleDownDelaySeconds": 60,
            "abortScaleDownDelaySeconds": 0,
            "trafficRouting": {
                "istio": {
                    "virtualServices": [{"name": "shop", "routes": ["primary"]}, {"name": "shop.other"}],
                    "destinationRule": {
                        "name": "shop",
                        "canarySubsetName": "canary",
                        "stableSubsetName": "stable",
                    },
                }
            },
            "analysis": {**ANALYSIS, "startingStep": 1},
            "steps": [
                {"setWeight": 10},
                {"pause": {"duration": "1h30m"}},
                {"analysis": ANALYSIS},
                {"pause": {"duration": 30}},
                {"pause": {}},
            ],
        }
    }
)

BLUE_GREEN: Final = _rollout(
    {
        "blueGreen": {
            "activeService": "shop",
            "previewService": "shop-preview",
            "autoPromotionEnabled": False,
            "autoPromotionSeconds": 30,
            "scaleDownDelaySeconds": 60,
            "scaleDownDelayRevisionLimit": 2,
            "abortScaleDownDelaySeconds": 5,
            "prePromotionAnalysis": ANALYSIS,
            "postPromotionAnalysis": ANALYSIS,
        }
    }
)

TEMPLATE: Final[Json] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AnalysisTemplate",
    "metadata": {"name": "success-rate", "namespace": "default"},
    "spec": {
        "args": [{"name": "service"}, {"name": "hash", "value": "x"}],
        "metrics": [
            {
                "name": "success-rate",
                "interval": "30s",
                "initialDelay": "1m",
                "count": 10,
                "successCondition": "result[0] >= 0.95",
                "failureLimit": 3,
                "consecutiveErrorLimit": "{{args.hash}}",
                "provider": {"prometheus": {"address": "http://prometheus:9090", "query": "up", "timeout": 40}},
            },
            {"name": "errors", "provider": {"prometheus": {"query": "sum(errors)"}}},
        ],
    },
}

RUN: Final[Json] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AnalysisRun",
    "metadata": {"name": "shop-1", "namespace": "default"},
    "spec": {**TEMPLATE["spec"], "terminate": False},
    "status": {"phase": "Running"},
}


def spoilt(valid: Json, *changes: tuple[str, Any]) -> Json:
    """A copy of an object with values put at paths such as `spec.steps[0].setWeight`, or REMOVED from there."""
    changed: Json = json.loads(json.dumps(valid))
    for path, value in changes:
        *outer, last = [
            int(part[1:-1]) if part.startswith("[") else part for part in re.findall(r"\[\d+\]|[^.\[]+", path)
        ]
        node: Any = changed
        for part in outer:
            node = node.setdefault(part, {}) if isinstance(node, dict) else node[part]
        if value is REMOVED:
            del node[last]
        elif isinstance(node, list) and last == len(node):
            node.append(value)
        else:
            node[last] = value
    return changed
