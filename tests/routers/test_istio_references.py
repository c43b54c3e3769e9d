"""Which objects a Rollout's router reads, and which hosts mean which Service."""

from __future__ import annotations

import pytest

from tests.routers.samples import DR, VS, strategy
from tidegate.api.rollout import CanaryStrategy, IstioVirtualService
from tidegate.core.plan import Key
from tidegate.routers.istio.hosts import covers, fqdn
from tidegate.routers.registry import router_for


def test_a_strategy_without_a_router_has_none() -> None:
    assert router_for(CanaryStrategy(), namespace="shop", rollout="web") is None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("public", Key("VirtualService", "shop", "public")),
        ("public.edge", Key("VirtualService", "edge", "public")),
        ("public.v2.edge", Key("VirtualService", "edge", "public.v2")),
        ("public.edge.svc.cluster.local", Key("VirtualService", "edge", "public")),
        ("public.svc.cluster.local", Key("VirtualService", "shop", "public")),
        ("web.shop", VS),
    ],
)
def test_a_virtual_service_is_named_with_or_without_its_namespace(name: str, key: Key) -> None:
    router = router_for(strategy(subsets=True, also=(IstioVirtualService(name=name),)), namespace="shop", rollout="web")

    assert router is not None
    assert router.references() == tuple(dict.fromkeys((VS, key, DR)))


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("web", "web.shop.svc.cluster.local"),
        ("web.shop", "web.shop.svc.cluster.local"),
        ("web.shop.svc", "web.shop.svc.cluster.local"),
        ("web.shop.svc.cluster.local", "web.shop.svc.cluster.local"),
        ("web.shop.svc.corp.example", "web.shop.svc.cluster.local"),
        ("web.billing", "web.billing.svc.cluster.local"),
        ("web.shop.example.com", "web.shop.example.com"),
        ("*", "*"),
        ("*.example.com", "*.example.com"),
        ("", ""),
    ],
)
def test_a_host_is_read_with_its_namespace(host: str, service: str) -> None:
    assert fqdn(host, "shop") == service


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [("*", True), ("*.shop.svc.cluster.local", True), ("*.billing.svc.cluster.local", False), ("eb.shop", False)],
)
def test_a_wildcard_covers_by_its_ending(pattern: str, covered: bool) -> None:
    assert covers(pattern, "web.shop.svc.cluster.local") is covered
