"""Where the view of traffic says that requests go, as Istio and Services would send them."""

from __future__ import annotations

from typing import Any

import pytest

from .clocks import ManualClock
from .cluster import FakeCluster
from .kinds import Obj
from .traffic import Guard, Pointer, Traffic
from .workloads import Behaviour, Workloads

STABLE, CANARY = "aaa", "bbb"


class Stage:
    """Three stable pods, one canary pod, and the Services `web`, `stable` and `canary`."""

    def __init__(self) -> None:
        self.cluster = FakeCluster(ManualClock())
        self.workloads = Workloads(self.cluster, {"sick": Behaviour(ready_after=None)})
        self.traffic = Traffic(self.cluster, self.workloads)
        self.replicaset(STABLE, 3)
        self.replicaset(CANARY, 1)
        self.service("web")
        self.service("stable", STABLE)
        self.service("canary", CANARY)
        self.workloads.advance(5)

    def replicaset(self, template_hash: str, replicas: int, image: str = "fine") -> None:
        labels = {"app": "web", "rollouts-pod-template-hash": template_hash}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        metadata = {"name": f"web-{template_hash}"}
        self.cluster.create({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec})

    def service(self, name: str, template_hash: str = "") -> None:
        selector = {"app": "web"} | ({"rollouts-pod-template-hash": template_hash} if template_hash else {})
        spec = {"selector": selector, "ports": [{"port": 80}]}
        self.cluster.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})

    def route(self, *destinations: Obj, name: str = "web") -> None:
        self.istio("VirtualService", name, {"hosts": ["web.example.com"], "http": [{"route": list(destinations)}]})

    def istio(self, kind: str, name: str, spec: Any) -> None:
        api_version = "networking.istio.io/v1"
        self.cluster.create({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec})

    def subsets(self, **hashes: str) -> None:
        entries = [{"name": n, "labels": {"rollouts-pod-template-hash": h}} for n, h in hashes.items()]
        self.istio("DestinationRule", "web", {"host": "web", "subsets": entries})

    def scale(self, template_hash: str, replicas: int) -> None:
        self.cluster.patch("ReplicaSet", f"web-{template_hash}", {"spec": {"replicas": replicas}})

    def shares(self) -> tuple[float, float, float]:
        """Percent to stable, to the canary, and lost."""
        split = self.traffic.virtual_service("web")
        return split.percent(STABLE), split.percent(CANARY), split.lost


def to(host: str, weight: int | None = None, subset: str = "") -> Obj:
    destination = {"host": host} | ({"subset": subset} if subset else {})
    return {"destination": destination} | ({} if weight is None else {"weight": weight})


@pytest.mark.parametrize(
    ("destinations", "shares"),
    [
        pytest.param([to("stable", 90), to("canary", 10)], (90, 10, 0), id="by host"),
        pytest.param([to("stable.default.svc.cluster.local", 1), to("canary", 3)], (25, 75, 0), id="any total"),
        pytest.param([to("stable", 100), to("canary", 0)], (100, 0, 0), id="a weight of zero"),
        pytest.param([to("canary", 0)], (0, 100, 0), id="a single destination gets all"),
        pytest.param([to("stable", 60), to("gone", 40)], (60, 0, 40), id="no such Service"),
        pytest.param([to("stable", 60), to("canary.default", 40)], (60, 0, 40), id="a dotted name is complete"),
        pytest.param([to("web")], (75, 25, 0), id="by pods"),
        pytest.param([to("web", 80, "stable"), to("web", 20, "canary")], (80, 20, 0), id="by subset"),
        pytest.param([to("web", 80, "stable"), to("web", 20, "none")], (80, 0, 20), id="no such subset"),
        pytest.param([to("web", 80, "stable"), to("web", 20, "empty")], (80, 0, 20), id="a subset without pods"),
        pytest.param([to("stable", 80), to("stable", 20, "canary")], (80, 0, 20), id="a subset of another host"),
    ],
)
def test_given_a_route_when_viewed_then_shares_are_what_envoy_would_send(
    destinations: list[Obj], shares: tuple[float, float, float]
) -> None:
    stage = Stage()
    stage.subsets(stable=STABLE, canary=CANARY, empty="zzz")
    stage.route(*destinations)
    assert stage.shares() == shares


def test_given_a_service_when_pods_are_not_ready_then_they_get_nothing() -> None:
    stage = Stage()
    stage.replicaset("ccc", 4, image="sick")
    stage.workloads.advance(60)
    split = stage.traffic.service("web")
    assert (split.percent(STABLE), split.percent(CANARY), split.percent("ccc"), split.lost) == (75, 25, 0, 0)


def test_given_more_weight_than_pods_when_asked_then_the_overload_is_named() -> None:
    stage = Stage()
    stage.route(to("stable", 60), to("canary", 40))
    split = stage.traffic.virtual_service("web")
    assert split.overloaded(4) == ["VirtualService web route http[0]: bbb gets 40 % with 1 of 4 pods"]
    assert split.overloaded(2) == []


def test_given_routes_and_services_when_asked_then_all_that_points_at_a_hash_is_named() -> None:
    stage = Stage()
    stage.subsets(stable=STABLE, canary=CANARY)
    stage.route(to("web", 100, "stable"), to("web", 0, "canary"))
    pointers = stage.traffic.pointers()
    assert [p for p in pointers if p.template_hash == CANARY] == [
        Pointer(CANARY, "Service web", 0.0),
        Pointer(CANARY, "Service canary", 0.0),
    ]
    assert Pointer(STABLE, "VirtualService web route http[0]: web/stable", 100.0) in pointers


def test_given_a_guard_when_a_write_takes_pods_from_under_a_route_then_that_write_is_named() -> None:
    stage = Stage()
    guard = Guard(stage.traffic, stage.cluster, services=("stable",), virtual_services=("web",))
    stage.route(to("stable", 90), to("canary", 10))
    stage.scale(CANARY, 2)
    stage.workloads.advance(5)
    assert guard.violations == []
    stage.scale(CANARY, 0)
    stage.workloads.advance(5)
    [(written, what)] = guard.violations
    assert str(written) == "replicaset-controller: patch ReplicaSet/status default/web-bbb"
    assert what == "VirtualService web route http[0]: 10 % to canary with no pod"


def test_given_a_guard_when_a_route_is_shifted_to_missing_pods_then_that_write_is_named() -> None:
    stage = Stage()
    stage.route(to("stable", 100), to("gone", 0))
    guard = Guard(stage.traffic, stage.cluster, virtual_services=("web",))
    weights = [{"op": "replace", "path": f"/spec/http/0/route/{at}/weight", "value": 50} for at in (0, 1)]
    stage.cluster.patch("VirtualService", "web", {"metadata": {"labels": {"a": "b"}}}, actor="operator")
    stage.cluster.patch("VirtualService", "web", weights, actor="operator")
    assert [(str(written), what) for written, what in guard.violations] == [
        (
            "operator: patch VirtualService default/web",
            "VirtualService web route http[0]: 50 % to gone with no pod",
        )
    ]


def test_given_a_guard_when_a_service_never_had_pods_then_nothing_is_lost_yet() -> None:
    stage = Stage()
    guard = Guard(stage.traffic, stage.cluster, services=("preview",))
    stage.service("preview", "zzz")
    stage.scale(CANARY, 3)
    stage.workloads.advance(5)
    assert guard.violations == []
