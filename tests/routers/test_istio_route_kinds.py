"""TLS and TCP routes: which of them a Rollout means, and that all kinds of a VirtualService move together."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.objects import CANARY, spoilt
from tests.routers.samples import AT, BY_HOST, VS, Obj, apply, bind, http, strategy, to, virtual_service
from tidegate.api.parsing import parse_rollout
from tidegate.api.rollout import (
    CanaryStrategy,
    IstioRouting,
    IstioTcpRoute,
    IstioTlsRoute,
    IstioVirtualService,
    TrafficRouting,
)
from tidegate.core.traffic import Observed

VIRTUAL_SERVICES = "spec.strategy.canary.trafficRouting.istio.virtualServices"


def asking(**routes: Any) -> CanaryStrategy:
    target = IstioVirtualService(name="web", **routes)
    return CanaryStrategy(
        canary_service="web-canary",
        stable_service="web-stable",
        traffic_routing=TrafficRouting(istio=IstioRouting(virtual_service=target)),
    )


def tls(*hosts: str, port: int = 443, to: tuple[Obj, ...] = BY_HOST) -> Obj:
    return {"match": [{"port": port, "sniHosts": list(hosts)}], "route": list(to)}


def tcp(port: int, to: tuple[Obj, ...] = BY_HOST) -> Obj:
    return {"match": [{"port": port}], "route": list(to)}


def weights(obj: Obj, kind: str) -> list[list[int]]:
    return [[one.get("weight", 0) for one in route["route"]] for route in obj["spec"][kind]]


def test_all_kinds_of_routes_get_the_same_split_in_one_write() -> None:
    """Contract 7.1: a VirtualService with HTTP, TLS and TCP routes is patched in all three."""
    read = virtual_service(http(*BY_HOST), tls=[tls("web.example.com")], tcp=[tcp(5432)])

    (write,) = bind(strategy(), {VS: read}).split(30)

    after = apply(read, write)
    assert [weights(after, kind) for kind in ("http", "tls", "tcp")] == [[[70, 30]]] * 3
    assert bind(strategy(), {VS: after}).split(30) == ()


@pytest.mark.parametrize(
    ("wanted", "moved"),
    [
        (IstioTlsRoute(port=443, sni_hosts=("b.example.com", "a.example.com")), [0]),
        (IstioTlsRoute(sni_hosts=("c.example.com",)), [1, 2]),
        (IstioTlsRoute(port=443, sni_hosts=("c.example.com",)), [1]),
        (IstioTlsRoute(port=8443), [2]),
    ],
)
def test_a_tls_route_is_known_by_its_port_and_exactly_its_hosts(wanted: IstioTlsRoute, moved: list[int]) -> None:
    read = virtual_service(
        tls=[
            tls("a.example.com", "b.example.com"),
            tls("c.example.com"),
            tls("c.example.com", port=8443),
            {"match": [{"port": port, "sniHosts": ["two.example.com"]} for port in (443, 8443)], "route": [*BY_HOST]},
        ]
    )
    asked = asking(tls_routes=(wanted,))

    after = apply(read, *bind(asked, {VS: read}).split(20))

    assert [i for i, shown in enumerate(weights(after, "tls")) if shown == [80, 20]] == moved
    assert bind(asked, {VS: after}).observe() == Observed(20, 80)


def test_names_of_http_routes_are_passed_over_where_there_are_only_others() -> None:
    """As Argo Rollouts' users write it. With nothing else to split the name is told."""
    both = asking(routes=("primary",), tls_routes=(IstioTlsRoute(port=443),))
    read = virtual_service(tls=[tls("a.example.com")])
    assert weights(apply(read, *bind(both, {VS: read}).split(20)), "tls") == [[80, 20]]
    assert weights(apply(read, *bind(asking(routes=("primary",)), {VS: read}).split(20)), "tls") == [[80, 20]]
    [problem] = bind(both, {VS: virtual_service(http=[http(*BY_HOST)], tls=[tls("a.example.com")])}).problems()
    assert "HTTP Route 'primary' is not found" in problem.message
    problems = bind(asking(routes=("primary",)), {VS: virtual_service(tcp=[tcp(1), tcp(2)])}).problems()
    assert "HTTP Route 'primary' is not found" in problems[0].message


def test_a_tcp_route_is_known_by_its_port() -> None:
    read = virtual_service(tcp=[tcp(5432), tcp(6379)])

    after = apply(read, *bind(asking(tcp_routes=(IstioTcpRoute(port=6379),)), {VS: read}).split(20))

    assert weights(after, "tcp") == [[100, 0], [80, 20]]


@pytest.mark.parametrize(
    ("asked", "spec", "path", "message"),
    [
        (
            asking(tls_routes=(IstioTlsRoute(port=444),)),
            {"tls": [tls("a.example.com")]},
            "tlsRoutes[0]",
            "No matching TLS routes found in the defined Virtual Service. VirtualService shop/web has 1 TLS route: the "
            "one for a.example.com port 443",
        ),
        (
            asking(tcp_routes=(IstioTcpRoute(port=1), IstioTcpRoute(port=2))),
            {"tcp": [tcp(1)]},
            "tcpRoutes[1]",
            "No matching TCP routes found",
        ),
        (
            asking(),
            {"tcp": [tcp(1), tcp(2)]},
            "tcpRoutes",
            f"spec.tcp[] should be set in VirtualService and it must have exactly one route when omitting "
            f"{AT}.virtualService.tcpRoutes",
        ),
        (asking(), {"tls": [tls("a", to=(to("web-stable", 100),))]}, "", "Canary Service 'web-canary' not found"),
        (
            asking(tls_routes=(IstioTlsRoute(port=443),)),
            {"tls": [], "http": [http(*BY_HOST)]},
            "tlsRoutes[0]",
            "VirtualService shop/web has 0 TLS routes: none",
        ),
    ],
)
def test_routes_that_are_not_there_are_named(asked: CanaryStrategy, spec: Obj, path: str, message: str) -> None:
    problem = bind(asked, {VS: virtual_service(**spec)}).problems()[0]

    assert problem.path == f"{AT}.virtualService" + (f".{path}" if path else "")
    assert message in problem.message


def test_a_kind_that_nobody_asked_for_and_that_leads_elsewhere_is_a_strangers() -> None:
    read = virtual_service(http(*BY_HOST), tcp=[tcp(5432, to=(to("db", 90), to("db-replica", 10)))])

    after = apply(read, *bind(strategy(), {VS: read}).split(20))

    assert weights(after, "tcp") == [[90, 10]]
    assert weights(after, "http") == [[80, 20]]


@pytest.mark.parametrize(
    ("field", "value", "path", "message"),
    [
        ("tlsRoutes", [{}], "tlsRoutes[0]", "matches nothing"),
        ("tlsRoutes", [{"port": 70000}], "tlsRoutes[0].port", "must be at most 65535"),
        ("tlsRoutes", [{"sniHosts": "a"}], "tlsRoutes[0].sniHosts", "must be a list"),
        ("tcpRoutes", [{}], "tcpRoutes[0].port", "is required"),
        ("tcpRoutes", [{"port": 0}], "tcpRoutes[0].port", "must be from 1 to 65535"),
    ],
)
def test_a_route_without_a_meaning_is_refused(field: str, value: Any, path: str, message: str) -> None:
    spec, problems = parse_rollout(spoilt(CANARY, (f"{VIRTUAL_SERVICES}[0].{field}", value)))

    assert spec is None
    assert [problem.path for problem in problems] == [f"{VIRTUAL_SERVICES}[0].{path}"]
    assert message in problems[0].message


def test_both_fields_are_read() -> None:
    spec, problems = parse_rollout(
        spoilt(
            CANARY,
            (f"{VIRTUAL_SERVICES}[1].tlsRoutes", [{"port": 443, "sniHosts": ["a", "b"]}]),
            (f"{VIRTUAL_SERVICES}[1].tcpRoutes", [{"port": 5432}]),
        )
    )

    assert problems == () and spec is not None and spec.strategy.canary is not None
    routing = spec.strategy.canary.traffic_routing
    assert routing is not None and routing.istio is not None
    target = routing.istio.virtual_services[1]
    assert target.tls_routes == (IstioTlsRoute(port=443, sni_hosts=("a", "b")),)
    assert target.tcp_routes == (IstioTcpRoute(port=5432),)
