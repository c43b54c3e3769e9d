"""Rollout strategies and Istio objects for the router tests, written as their owners would write them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tests.fakes.patches import json_patch, merge_patch
from tidegate.api.rollout import (
    CanaryStrategy,
    IstioDestinationRule,
    IstioRouting,
    IstioVirtualService,
    TrafficRouting,
)
from tidegate.cluster.frozen import freeze
from tidegate.core.plan import Key, Write
from tidegate.core.traffic import Traffic
from tidegate.routers.registry import router_for

VS = Key("VirtualService", "shop", "web")
DR = Key("DestinationRule", "shop", "web")
AT = "spec.strategy.canary.trafficRouting.istio"

Obj = dict[str, Any]


def strategy(*routes: str, subsets: bool = False, also: tuple[IstioVirtualService, ...] = ()) -> CanaryStrategy:
    """Split VirtualService `web` between Services `web-canary` and `web-stable`, or between subsets of `web`."""
    web = IstioVirtualService(name="web", routes=routes)
    rule = IstioDestinationRule(name="web", canary_subset_name="canary", stable_subset_name="stable")
    return CanaryStrategy(
        canary_service="" if subsets else "web-canary",
        stable_service="" if subsets else "web-stable",
        traffic_routing=TrafficRouting(
            istio=IstioRouting(
                virtual_service=None if also else web,
                virtual_services=(web, *also) if also else (),
                destination_rule=rule if subsets else None,
            )
        ),
    )


def bind(asked: CanaryStrategy, objects: Mapping[Key, Any]) -> Traffic:
    """The routes of Rollout shop/web; the objects refuse to be changed."""
    router = router_for(asked, namespace="shop", rollout="web")
    assert router is not None
    return router.bind({key: freeze(obj) if obj is not None else None for key, obj in objects.items()})


def bind_both(asked: CanaryStrategy, obj: Obj) -> Traffic:
    """The routes of Rollout shop/web in this VirtualService, beside the DestinationRule that has both subsets."""
    return bind(asked, {VS: obj, DR: RULE})


def to(host: str, weight: int | None = None, subset: str = "") -> Obj:
    """One destination of a route."""
    destination: Obj = {"host": host}
    if subset:
        destination["subset"] = subset
    return {"destination": destination} | ({} if weight is None else {"weight": weight})


def http(*destinations: Obj, name: str = "", **more: Any) -> Obj:
    return ({"name": name} if name else {}) | more | {"route": list(destinations)}


def virtual_service(*routes: Obj, namespace: str = "shop", name: str = "web", **spec: Any) -> Obj:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "7", "uid": "u-1"},
        "spec": {"hosts": ["web.example.com"], **spec} | ({"http": list(routes)} if routes else {}),
    }


def destination_rule(*subsets: Obj, host: str = "web", annotations: Obj | None = None) -> Obj:
    metadata: Obj = {"name": "web", "namespace": "shop", "resourceVersion": "7", "uid": "u-2"}
    if annotations is not None:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": metadata,
        "spec": {"host": host, "subsets": list(subsets)},
    }


RULE = destination_rule({"name": "stable", "labels": {}}, {"name": "canary", "labels": {}})
BY_HOST = (to("web-stable", 100), to("web-canary", 0))
BY_SUBSET = (to("web", 100, "stable"), to("web", 0, "canary"))


def apply(obj: Obj, *writes: Write) -> Obj:
    """The object after these writes, as the server stores it. Raises PatchFailed where a test doesn't hold."""
    for write in writes:
        patched = json_patch(obj, write.body) if write.patch == "json" else merge_patch(obj, write.body)
        obj = json.loads(json.dumps(patched))
        obj["metadata"]["resourceVersion"] = str(int(obj["metadata"]["resourceVersion"]) + 1)
    return obj


def without_weights(obj: Obj, route: int, *positions: int) -> Obj:
    """The object with these weights of one route, and its resource version, blanked out."""
    rest = copy.deepcopy(obj)
    rest["metadata"]["resourceVersion"] = ""
    for position in positions:
        rest["spec"]["http"][route]["route"][position]["weight"] = "ours"
    return rest


# Generated objects. Words are few, so that names collide as they do in real clusters.
words = st.sampled_from(["web", "web-stable", "web-canary", "api", "canary", "stable", "testers"])
weights = st.integers(0, 100)
foreign_hosts = st.sampled_from(
    ["web-canary.billing", "web-stable.billing.svc.cluster.local", "web-canary.example.com", "api", "web-canary-2"]
)
extras = st.dictionaries(
    st.sampled_from(["timeout", "retries", "headers", "mirror", "fault", "corsPolicy", "x-unknown"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 500) | words,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)


@st.composite
def foreign_routes(draw: st.DrawFn) -> Obj:
    """A named route that is not ours, maybe to our own Services: a testers' header route, a redirect, a mirror."""
    name = draw(st.sampled_from(["testers", "static", "legacy"]))
    hosts = draw(st.lists(st.sampled_from(["web-canary", "web-stable", "api"]), max_size=2, unique=True))
    match = [{"headers": {"x-tester": {"exact": draw(words)}}}]
    return draw(extras) | http(*(to(host, draw(weights)) for host in hosts), name=name, match=match)


class Sample:
    """A VirtualService, which of its routes is ours and where in it, and the strategy that says so."""

    def __init__(self, obj: Obj, asked: CanaryStrategy, route: int, canary: int, stable: int) -> None:
        self.obj, self.asked, self.route, self.canary, self.stable = obj, asked, route, canary, stable

    def __repr__(self) -> str:
        return f"Sample(route={self.route}, canary={self.canary}, stable={self.stable}, obj={self.obj})"

    @property
    def others(self) -> int:
        destinations = self.obj["spec"]["http"][self.route]["route"]
        return sum(d.get("weight", 0) for i, d in enumerate(destinations) if i not in (self.canary, self.stable))


@st.composite
def samples(draw: st.DrawFn, *, named: bool | None = None) -> Sample:
    """A VirtualService that the router must accept, with strangers everywhere around our two weights."""
    subsets = draw(st.booleans())
    given = st.none() | weights
    if subsets:
        hosts = [draw(st.sampled_from(["web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local"]))] * 2
    else:
        tail = st.sampled_from(["", ".shop", ".shop.svc", ".shop.svc.cluster.local", ".shop.svc.corp.example"])
        hosts = ["web-canary" + draw(tail), "web-stable" + draw(tail)]
    canary = draw(extras) | to(hosts[0], draw(given), "canary" if subsets else "")
    stable = draw(extras) | to(hosts[1], draw(given), "stable" if subsets else "")
    left = 99
    foreign = []
    for host in draw(st.lists(foreign_hosts, max_size=2, unique=True)):
        weight = draw(st.integers(0, left))
        left -= weight
        foreign.append(draw(extras) | to(host, weight))
    ours = draw(st.permutations([canary, stable, *foreign]))
    named = draw(st.booleans()) if named is None else named
    route = draw(extras) | http(*ours, name="primary" if named else "")
    others = draw(st.lists(foreign_routes(), max_size=3, unique_by=lambda r: r["name"]))
    at = draw(st.integers(0, len(others)))
    obj = virtual_service(*others[:at], route, *others[at:], tcp=draw(st.just([])))
    obj["metadata"] |= draw(st.fixed_dictionaries({}, optional={"labels": st.dictionaries(words, words, max_size=2)}))
    obj["spec"] |= draw(st.fixed_dictionaries({}, optional={"exportTo": st.just(["."]), "gateways": st.just(["gw"])}))
    asked = strategy(*(("primary",) if named else ()), subsets=subsets)
    position = {id(d): i for i, d in enumerate(ours)}
    return Sample(obj, asked, at, position[id(canary)], position[id(stable)])
