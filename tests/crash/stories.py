"""The stories that are interrupted, from a new image to its end, with what people do on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tests.fakes.workloads import Behaviour

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


def unsure(
    policy: str, *acts: tuple[Callable[[Mapping[str, Any]], bool], Callable[[Theatre], object], float]
) -> Theatre:
    """50 % → pause, compared in the background by marks so near to each other that there is no verdict. policy: what
    that means. acts: what people do, as in `Theatre.people`."""
    selector = 'requests{hash="{{arm.podTemplateHash}}"%s}'
    marks = {"tolerated": 1.5, "safe": 1.6}
    close = {"counts": {"total": selector % "", "bad": selector % ',code="500"', **marks}}
    analysis = {"templates": [{"templateName": "compared"}]}
    steps = [{"setWeight": 50}, {"pause": {"duration": "30s"}}]
    template_ = comparing(judge={"whenUndecided": policy}, compare=close)
    theatre = Theatre(
        rollout({"canary": {"analysis": analysis, "steps": steps}}), [service("app"), template_], services=("app",)
    )
    theatre.provider.rates = {"canary": (31, 400), "stable": (20, 400)}
    theatre.people(*((when, partial(act, theatre), after) for when, act, after in acts))
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


def second_thoughts() -> Theatre:
    """By subsets, stable as small as its traffic: a person gives the update up, tries again and promotes in full."""
    strategy = {
        "canary": {
            "dynamicStableScale": True,
            "trafficRouting": {
                "istio": {
                    "virtualService": {"name": "app"},
                    "destinationRule": {"name": "app", "canarySubsetName": "new", "stableSubsetName": "old"},
                },
            },
            "steps": [{"setCanaryScale": {"replicas": 2}}, {"setWeight": 75}, {"pause": {}}],
        }
    }
    virtual_service_ = virtual_service()
    ends = [
        {"destination": {"host": "app", "subset": subset}, "weight": weight}
        for subset, weight in (("old", 100), ("new", 0))
    ]
    virtual_service_["spec"]["http"] = [{"name": "primary", "route": ends}]
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "app", "namespace": "default"},
        "spec": {"host": "app", "subsets": [{"name": "old"}, {"name": "new", "labels": {"app": "app"}}]},
    }
    theatre = Theatre(
        rollout(strategy), [service("app"), virtual_service_, rule], services=(), virtual_services=("app",)
    )
    theatre.people(
        (held, lambda: theatre.ask(abort=True), 0.1),
        (given_up, lambda: theatre.ask(abort=False), 8),
        (held, lambda: theatre.ask(promoteFull=True), 0.1),
    )
    return theatre


def overtaken() -> Theatre:
    """A third version and a larger size in the middle of the second, over two VirtualServices."""
    strategy = {
        "canary": {
            "canaryService": "app-canary",
            "stableService": "app-stable",
            "trafficRouting": {
                "istio": {"virtualServices": [{"name": n, "routes": ["primary"]} for n in ("app", "b")]}
            },
            "scaleDownDelaySeconds": 3,
            "steps": [{"setWeight": 50}, {"pause": {}}],
        }
    }
    second = virtual_service()
    second["metadata"]["name"] = "b"
    objects = [service("app-canary"), service("app-stable"), virtual_service(), second]
    theatre = Theatre(rollout(strategy), objects, services=("app-canary", "app-stable"), virtual_services=("app", "b"))

    def overtake() -> None:
        theatre.cluster.patch("Rollout", "app", {"spec": {"replicas": 6}})
        theatre.set_image("app:v3")

    theatre.people((held, overtake, 0.1), (held, lambda: theatre.ask(pauseConditions=None), 6))
    return theatre


def previewed() -> Theatre:
    """A small preview that a person promotes, then at once the way back, which needs no second look."""
    strategy = {
        "blueGreen": {
            "activeService": "app-active",
            "previewService": "app-preview",
            "previewReplicaCount": 1,
            "autoPromotionEnabled": False,
            "scaleDownDelaySeconds": 20,
        }
    }
    theatre = Theatre(rollout(strategy), [service("app-active"), service("app-preview")], services=("app-active",))
    theatre.people(
        (held, lambda: theatre.ask(pauseConditions=None), 0.1),
        (promoted, lambda: theatre.set_image("app:v1"), 4),
    )
    return theatre


def never_ready() -> Theatre:
    """A version that never starts, on its deadline."""
    theatre = canary()
    theatre.rollout["spec"] |= {"progressDeadlineSeconds": 5, "progressDeadlineAbort": True}
    theatre.workloads.behaviours["app:v2"] = Behaviour(ready_after=None)
    return theatre


def held(status: Mapping[str, Any]) -> bool:
    """Whether the update waits for a person."""
    return bool(status.get("pauseConditions"))


def in_doubt(status: Mapping[str, Any]) -> bool:
    """Whether the update waits because an analysis could not tell."""
    return status.get("message") == "InconclusiveAnalysisRun"


def lifted(theatre: Theatre) -> None:
    """A person promotes past a pause."""
    theatre.ask(pauseConditions=None)


def given_up(status: Mapping[str, Any]) -> bool:
    """Whether the update has been aborted, and it is told."""
    return bool(status.get("abortedAt"))


def promoted(status: Mapping[str, Any]) -> bool:
    """Whether there is a stable version that is not the first one."""
    return status.get("stableRS") == status.get("currentPodHash") and status.get("phase") == "Healthy"


def rolling() -> Theatre:
    """A plain rolling update without a router."""
    return Theatre(
        rollout({"canary": {"maxSurge": 1, "maxUnavailable": 1}}, replicas=5), [service("app")], services=("app",)
    )
