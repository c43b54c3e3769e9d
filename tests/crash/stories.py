"""The stories that are interrupted, such as a canary by hosts with analyses, or a blue-green release that is undone."""

from __future__ import annotations

from typing import Any

from .theatre import Obj, Theatre


def service(name: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": "app"}, "ports": [{"port": 80}]},
    }


def virtual_service() -> Obj:
    def to(host: str, weight: int) -> Obj:
        return {"destination": {"host": host}, "weight": weight}

    testers = {
        "name": "testers",
        "match": [{"headers": {"x-tester": {"exact": "yes"}}}],
        "route": [{"destination": {"host": "app-canary"}}],
    }
    primary = {"name": "primary", "route": [to("app-stable", 100), to("app-canary", 0)]}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "app", "namespace": "default"},
        "spec": {"hosts": ["app.example.com"], "http": [testers, primary]},
    }


def template(name: str, query: str, **metric: Any) -> Obj:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "metrics": [
                {
                    "name": "success",
                    "successCondition": "result[0] > 0.5",
                    "provider": {"prometheus": {"address": "http://prometheus", "query": query}},
                    **metric,
                }
            ]
        },
    }


def rollout(strategy: Obj, replicas: int = 4) -> Obj:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "app", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "app"}},
            "template": {
                "metadata": {"labels": {"app": "app"}},
                "spec": {"containers": [{"name": "app", "image": "app:v1"}]},
            },
            "strategy": strategy,
        },
    }


def canary(*, background: str = "good") -> Theatre:
    """20 → analysis → 60 → pause → 100 on Istio, watched in the background by the answer `background`."""
    analysis = {"templates": [{"templateName": "short"}]}
    strategy = {
        "canary": {
            "canaryService": "app-canary",
            "stableService": "app-stable",
            "trafficRouting": {"istio": {"virtualService": {"name": "app", "routes": ["primary"]}}},
            "scaleDownDelaySeconds": 5,
            "abortScaleDownDelaySeconds": 5,
            "analysis": {"templates": [{"templateName": "long"}], "startingStep": 2},
            "steps": [
                {"setWeight": 20},
                {"analysis": analysis},
                {"setWeight": 60},
                {"pause": {"duration": "3s"}},
                {"setWeight": 100},
            ],
        }
    }
    objects = [
        service("app-canary"),
        service("app-stable"),
        virtual_service(),
        template("short", "good", count=2, interval="1s"),
        template("long", background, interval="1s"),
    ]
    return Theatre(rollout(strategy), objects, services=("app-canary", "app-stable"), virtual_services=("app",))


def comparing(name: str = "compared", *, judge: Obj | None = None, **metric: Any) -> Obj:
    """A template whose one metric compares counts every 2 seconds."""
    selector = 'requests{ns="{{arm.namespace}}",hash="{{arm.podTemplateHash}}"%s}'
    compare = {"counts": {"total": selector % "", "bad": selector % ',code="500"'}}
    found = template(name, "", **{"interval": "2s", "compare": compare, **metric})
    (only,) = found["spec"]["metrics"]
    del only["successCondition"], only["provider"]["prometheus"]["query"]
    if judge:
        found["spec"]["judge"] = judge
    return found


def judged(*, canary: tuple[float, float] = (20, 400)) -> Theatre:
    """20 → compared with stable → 60 → pause, compared in the background → 100. canary: bad and all in a second."""
    strategy = {
        "canary": {
            "analysis": {"templates": [{"templateName": "long"}], "startingStep": 2},
            "steps": [
                {"setWeight": 20},
                {"analysis": {"templates": [{"templateName": "short"}]}},
                {"setWeight": 60},
                {"pause": {"duration": "60s"}},
                {"setWeight": 100},
            ],
        }
    }
    advance = {"advanceWhenSafe": True}
    objects = [service("app"), comparing("short", judge=advance, count=30), comparing("long", judge=advance)]
    theatre = Theatre(rollout(strategy), objects, services=("app",))
    theatre.provider.rates = {"canary": canary, "stable": (20, 400)}
    return theatre


def blue_green(*, after: str = "bad") -> Theatre:
    """A preview that passes its analysis, a flip, and an analysis after it that answers `after`."""
    strategy = {
        "blueGreen": {
            "activeService": "app-active",
            "previewService": "app-preview",
            "autoPromotionSeconds": 2,
            "scaleDownDelaySeconds": 5,
            "abortScaleDownDelaySeconds": 5,
            "prePromotionAnalysis": {"templates": [{"templateName": "before"}]},
            "postPromotionAnalysis": {"templates": [{"templateName": "after"}]},
        }
    }
    objects = [
        service("app-active"),
        service("app-preview"),
        template("before", "good", count=2, interval="1s"),
        template("after", after, count=3, interval="1s", failureLimit=1),
    ]
    return Theatre(rollout(strategy), objects, services=("app-active",))


def roles() -> Theatre:
    """A canary by numbers of pods, whose versions bear metadata of their role and keep off each other's nodes."""
    strategy = {
        "canary": {
            "canaryMetadata": {"labels": {"role": "canary"}},
            "stableMetadata": {"labels": {"role": "stable"}, "annotations": {"for": "all"}},
            "antiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}},
            "steps": [{"setWeight": 50}, {"pause": {"duration": "2s"}}],
        }
    }
    return Theatre(rollout(strategy), [service("app")], services=("app",))


def trial(*, answer: str = "good") -> Theatre:
    """A canary whose first step gives two versions of an Experiment users of their own, compared by `answer`."""
    versions = [{"name": f"try-{ref}", "specRef": ref, "weight": 10} for ref in ("canary", "stable")]
    asked = {"name": "compare", "templateName": "compare", "requiredForCompletion": True}
    strategy = {
        "canary": {
            "canaryService": "app-canary",
            "stableService": "app-stable",
            "trafficRouting": {"istio": {"virtualService": {"name": "app", "routes": ["primary"]}}},
            "scaleDownDelaySeconds": 2,
            "abortScaleDownDelaySeconds": 2,
            "steps": [
                {"experiment": {"templates": versions, "analyses": [asked], "scaleDownDelaySeconds": 2}},
                {"setWeight": 50},
            ],
        }
    }
    objects = [
        service("app-canary"),
        service("app-stable"),
        virtual_service(),
        template("compare", answer, count=2, interval="1s"),
    ]
    given = rollout(strategy)
    given["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    return Theatre(given, objects, services=("app-canary", "app-stable"), virtual_services=("app",))


def rolling() -> Theatre:
    """A plain rolling update without a router."""
    return Theatre(
        rollout({"canary": {"maxSurge": 1, "maxUnavailable": 1}}, replicas=5), [service("app")], services=("app",)
    )
