"""Subsets that are not the Rollout's keep their weight in the routes and their place in the DestinationRule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.api.objects import CANARY, spoilt
from tests.routers.samples import DR, VS, apply, bind, destination_rule, http, strategy, to, virtual_service
from tidegate.api.parsing import parse_rollout
from tidegate.api.rollout import CanaryStrategy
from tidegate.core.traffic import Observed

AT = "spec.strategy.canary.trafficRouting.istio.destinationRule.additionalSubsetNames"


def naming(*names: str) -> CanaryStrategy:
    asked = strategy(subsets=True)
    assert asked.traffic_routing is not None and asked.traffic_routing.istio is not None
    istio = asked.traffic_routing.istio
    assert istio.destination_rule is not None
    rule = replace(istio.destination_rule, additional_subset_names=names)
    routing = replace(asked.traffic_routing, istio=replace(istio, destination_rule=rule))
    return replace(asked, traffic_routing=routing)


@pytest.mark.parametrize("names", [("eu",), ()])
def test_argo_3125_an_additional_subset_keeps_its_weight(names: tuple[str, ...]) -> None:
    """Named or not: Argo Rollouts deletes the destinations of subsets that are not named here (#3125, #2266)."""
    route = http(to("web", 90, "stable"), to("web", 10, "eu"), to("web", 0, "canary"))
    rule = destination_rule({"name": "stable"}, {"name": "eu", "labels": {"zone": "eu"}}, {"name": "canary"})
    read = {VS: virtual_service(route), DR: rule}

    after = apply(read[VS], *bind(naming(*names), read).split(30))

    assert after["spec"]["http"][0]["route"] == [to("web", 60, "stable"), to("web", 10, "eu"), to("web", 30, "canary")]
    assert bind(naming(*names), {VS: after, DR: rule}).observe() == Observed(30, 60)


def test_argo_an_additional_subset_stays_in_the_rule_when_hashes_change() -> None:
    """Argo Rollouts drops every subset but its own two, even those named here, whenever it writes a hash."""
    eu = {"name": "eu", "labels": {"zone": "eu"}, "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}
    rule = destination_rule({"name": "stable"}, eu, {"name": "canary"})
    read = {VS: virtual_service(http(to("web", 100, "stable"), to("web", 0, "canary"))), DR: rule}

    after = apply(rule, *bind(naming("eu"), read).point(canary_hash="a", stable_hash="b"))

    assert [subset["name"] for subset in after["spec"]["subsets"]] == ["stable", "eu", "canary"]
    assert after["spec"]["subsets"][1] == eu


def test_the_names_are_read() -> None:
    spec, problems = parse_rollout(spoilt(CANARY, (AT, ["eu", "us"])))

    assert problems == () and spec is not None and spec.strategy.canary is not None
    routing = spec.strategy.canary.traffic_routing
    assert routing is not None and routing.istio is not None and routing.istio.destination_rule is not None
    assert routing.istio.destination_rule.additional_subset_names == ("eu", "us")


@pytest.mark.parametrize(
    ("names", "path", "message"),
    [
        (["eu", "canary"], f"{AT}[1]", "is 'canary', the canarySubsetName too, whose weight the Rollout sets"),
        (["stable"], f"{AT}[0]", "is 'stable', the stableSubsetName too"),
        (["eu", "eu"], f"{AT}[1]", "'eu' is listed twice"),
        ([""], f"{AT}[0]", "is required"),
    ],
)
def test_a_name_that_cannot_be_meant_is_refused(names: Any, path: str, message: str) -> None:
    spec, problems = parse_rollout(spoilt(CANARY, (AT, names)))

    assert spec is None
    assert [problem.path for problem in problems] == [path]
    assert message in problems[0].message
