"""What is wrong with routes is said with the Rollout's field and the object, and before any weight is set."""

from __future__ import annotations

from typing import Any

import pytest

from tests.routers.samples import (
    AT,
    BY_HOST,
    BY_SUBSET,
    DR,
    VS,
    Obj,
    bind,
    bind_both,
    destination_rule,
    http,
    strategy,
    to,
    virtual_service,
)
from tidegate.api.rollout import CanaryStrategy, IstioVirtualService
from tidegate.core.plan import Key

MANY = f"spec.http[] should be set in VirtualService and it must have exactly one route when omitting {AT}"


@pytest.mark.parametrize(
    ("asked", "obj", "path", "message"),
    [
        pytest.param(strategy(), None, "virtualService.name", "VirtualService shop/web not found", id="missing"),
        pytest.param(
            strategy(), virtual_service(), "virtualService.name", "VirtualService shop/web has no spec.http", id="empty"
        ),
        pytest.param(
            strategy("primary"),
            virtual_service(http(*BY_HOST, name="main"), http(*BY_HOST)),
            "virtualService.routes[0]",
            "HTTP Route 'primary' is not found in the defined Virtual Service. VirtualService shop/web has 2 HTTP "
            "routes: main, a nameless one at spec.http[1]",
            id="no-such-route",
        ),
        pytest.param(
            strategy(),
            virtual_service(http(*BY_HOST, name="a"), http(*BY_HOST, name="b")),
            "virtualService.routes",
            MANY + ".virtualService.routes. VirtualService shop/web has 2 HTTP routes: a, b; name the ones to split",
            id="argo-4741-named-routes-and-none-chosen",
        ),
        pytest.param(
            strategy(),
            virtual_service(http(*BY_HOST), http(*BY_HOST)),
            "virtualService.routes",
            MANY,
            id="two-nameless",
        ),
        pytest.param(
            strategy(),
            virtual_service(http(to("web-stable", 100))),
            "virtualService",
            "Canary Service 'web-canary' not found in route: route spec.http[0] of VirtualService shop/web has "
            "web-stable.shop.svc.cluster.local; add web-canary.shop.svc.cluster.local with weight 0",
            id="no-canary",
        ),
        pytest.param(
            strategy("primary"),
            virtual_service(http(to("web-canary", 100), name="primary")),
            "virtualService.routes[0]",
            "Stable Service 'web-stable' not found in route: route primary of",
            id="no-stable",
        ),
        pytest.param(
            strategy(),
            virtual_service({"redirect": {"uri": "/"}}),
            "virtualService",
            "has no destinations at all",
            id="redirect",
        ),
        pytest.param(
            strategy(),
            virtual_service(http(*BY_HOST, to("web-canary.shop", 0))),
            "virtualService",
            "Canary Service 'web-canary' is 2 of the destinations in route spec.http[0] of VirtualService shop/web",
            id="canary-twice",
        ),
        pytest.param(
            strategy(),
            virtual_service(http(*BY_HOST, to("api", 100))),
            "virtualService",
            "have a weight of 100 together, so nothing of 100 is left to split",
            id="others-take-all",
        ),
        pytest.param(
            strategy(subsets=True),
            virtual_service(http(*BY_HOST)),
            "virtualService",
            "Canary DestinationRule subset 'canary' not found in route",
            id="no-subset-in-route",
        ),
        pytest.param(
            strategy(subsets=True),
            virtual_service(http(to("api", 100, "stable"), to("api", 0, "canary"))),
            "virtualService",
            "add subset canary of web.shop.svc.cluster.local with weight 0",
            id="subset-of-another-host",
        ),
    ],
)
def test_a_virtual_service_that_cannot_be_split_names_the_field_and_the_object(
    asked: CanaryStrategy, obj: Obj | None, path: str, message: str
) -> None:
    traffic = bind_both(asked, obj)

    problem = traffic.problems()[0]

    assert problem.path == f"{AT}.{path}"
    assert message in problem.message
    assert traffic.split(50) == ()


@pytest.mark.parametrize(
    ("rule", "paths", "message"),
    [
        (None, ["name"], "DestinationRule shop/web not found"),
        (
            destination_rule({"name": "stable"}),
            ["canarySubsetName"],
            "Canary DestinationRule subset 'canary' not found in DestinationRule shop/web; its subsets: stable",
        ),
        (destination_rule(), ["canarySubsetName", "stableSubsetName"], "its subsets: none"),
    ],
)
def test_a_destination_rule_that_cannot_be_pointed_names_the_field(
    rule: Obj | None, paths: list[str], message: str
) -> None:
    traffic = bind(strategy(subsets=True), {VS: virtual_service(http(*BY_SUBSET)), DR: rule})

    problems = traffic.problems()

    assert [problem.path for problem in problems] == [f"{AT}.destinationRule.{path}" for path in paths]
    assert message in problems[0].message
    assert traffic.point(canary_hash="a", stable_hash="b") == ()


def test_every_virtual_service_is_checked_and_named_by_its_place_in_the_list() -> None:
    also = (IstioVirtualService(name="public", routes=("a", "b")), IstioVirtualService(name="gone.edge"))
    objects: dict[Key, Any] = {
        VS: virtual_service(http(*BY_HOST)),
        Key("VirtualService", "shop", "public"): virtual_service(http(*BY_HOST, name="a"), name="public"),
    }

    problems = bind(strategy(also=also), objects).problems()

    assert [problem.path for problem in problems] == [
        f"{AT}.virtualServices[1].routes[1]",
        f"{AT}.virtualServices[2].name",
    ]
    assert "VirtualService edge/gone not found" in problems[1].message


@pytest.mark.parametrize("rule_host", ["web", "web.shop.svc.cluster.local", "*.shop.svc.cluster.local", "*"])
def test_a_rule_covers_its_host_in_every_spelling(rule_host: str) -> None:
    rule = destination_rule({"name": "canary"}, {"name": "stable"}, host=rule_host)

    assert bind(strategy(subsets=True), {VS: virtual_service(http(*BY_SUBSET)), DR: rule}).problems() == ()
