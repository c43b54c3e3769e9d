"""Routes of every kind on the real Istio and Envoy: header and mirror routes, fine weights, TLS, TCP, taking turns."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from lab import manifests as m
from tests.scenarios.story import HASH, Obj, Story, by_host, rollout, split_by_host, wait, weigh

pytestmark = pytest.mark.lab

BETA = {"x-beta": "yes"}
LEAD = {
    "setHeaderRoute": {
        "name": "beta",
        "match": [{"headerName": "x-beta", "headerValue": {"exact": "yes"}}],
    }
}
COPY = {
    "setMirrorRoute": {
        "name": "copy",
        "percentage": 50,
        "match": [{"method": {"exact": "GET"}, "path": {"prefix": "/copy"}}],
    }
}


def managing(strategy: Obj, *names: str, **more: Any) -> Obj:
    routing = strategy["canary"]["trafficRouting"]
    routing |= {"managedRoutes": [{"name": name} for name in names], **more}
    return strategy


def names(story: Story) -> list[str]:
    return [route.get("name", "") for route in story.get("VirtualService")["spec"]["http"]]


def mirrors(story: Story) -> list[float]:
    """The percentages of requests for the story's host that Envoy copies elsewhere, one for each route that does."""
    url = f"{story.lab.envoy_admin_url}/config_dump?resource=dynamic_route_configs"
    with urllib.request.urlopen(url, timeout=10) as answer:
        dump = json.load(answer)
    hosts = [host for config in dump["configs"] for host in config["route_config"].get("virtual_hosts", [])]
    routes = [route for host in hosts if story.host in host.get("domains", []) for route in host.get("routes", [])]
    policies = [policy for route in routes for policy in route.get("route", {}).get("request_mirror_policies", [])]
    whole = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
    fractions = [policy["runtime_fraction"]["default_value"] for policy in policies]
    return [100 * one["numerator"] / whole[one.get("denominator", "HUNDRED")] for one in fractions]


def test_testers_are_led_and_requests_copied_to_the_canary_until_the_promotion(story: Story) -> None:
    story.services("app-stable", "app-canary")
    old_path = {"name": "old", "match": [{"uri": {"prefix": "/old"}}], "redirect": {"uri": "/"}}
    story.route(old_path, split_by_host("web"))
    strategy = managing(by_host(LEAD, wait(), weigh(50), COPY, wait(), weigh(100), routes=["web"]), "beta", "copy")
    story.apply(rollout("v1", strategy))
    old = story.until_phase("Healthy")["currentPodHash"]
    before = story.get("VirtualService")["spec"]

    with story.users() as users:
        story.apply(rollout("v2", strategy))
        story.until_phase("Paused", "CanaryPauseStep")
        assert names(story) == ["beta", "old", "web"]
        new = story.status()["currentPodHash"]
        assert (story.replicas(new), story.replicas(old)) == (1, 2)
        story.until(lambda: story.reaches(BETA) == "v2", "testers reaching the new version")
        assert {story.reaches() for _ in range(5)} == {"v1"}

        story.ask(pauseConditions=None)
        story.until(lambda: story.status().get("currentStepIndex") == 4, "the second pause")
        assert names(story) == ["beta", "copy", "old", "web"]
        story.until(lambda: mirrors(story) == [50.0], "the gateway copying half of the requests")

        story.ask(pauseConditions=None)
        story.until_phase("Healthy")
        story.until(lambda: names(story) == ["old", "web"] and not story.weight(route="web"), "only the users' routes")
        story.until(lambda: not mirrors(story), "the gateway copying no more")
    story.check_users(users)
    assert story.get("VirtualService")["spec"] == before
    story.until_event("Updated VirtualService", "added beta")


def test_an_abort_takes_testers_and_users_back_together(story: Story) -> None:
    story.services("app-stable", "app-canary")
    story.route(split_by_host("web"))
    strategy = managing(by_host(weigh(50), LEAD, wait(), routes=["web"]), "beta")
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    with story.users() as users:
        story.apply(rollout("v2", strategy))
        story.until_phase("Paused")
        story.until(lambda: story.reaches(BETA) == "v2", "testers reaching the new version")
        start = story.version()

        story.ask(abort=True)
        story.until_phase("Degraded")

        story.until(lambda: story.reaches(BETA) == "v1", "testers being back")
        written = story.chronicle.entries(story.namespace, "VirtualService", since=start)
    assert len(written) == 1 and names(story) == ["web"] and story.weight() == 0
    story.check_users(users)


def test_a_users_own_route_with_a_managed_name_holds_the_rollout_and_stays(story: Story) -> None:
    story.services("app-stable", "app-canary", "other")
    own = {"name": "beta", "match": [{"uri": {"prefix": "/beta"}}], "route": [m.destination("other", 100)]}
    story.route(own, split_by_host("web"))

    story.apply(rollout("v1", managing(by_host(LEAD, routes=["web"]), "beta")))

    at = "spec.strategy.canary.trafficRouting.managedRoutes[0].name"
    story.until_phase("Degraded", f"{at}: 'beta' is the name of spec.http[0]")
    assert names(story) == ["beta", "web"]


def test_a_thousandth_of_the_traffic(story: Story) -> None:
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    strategy = managing(by_host(weigh(1), wait(), weigh(995)), maxTrafficWeight=1000)
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    with story.users() as users:
        story.apply(rollout("v2", strategy))
        story.until_phase("Paused")
        story.until(
            lambda: sorted(story.lab.weights(story.host).values()) == [1, 999], "the gateway sending one of a thousand"
        )
        weights = story.status()["canary"]["weights"]
        assert (weights["canary"]["weight"], weights["stable"]["weight"]) == (1, 999)
        start = story.version()
        story.ask(pauseConditions=None)
        story.until_phase("Healthy")
        story.until_weight(0)
        assert story.weights(since=start) == [995, 1000, 0]
    story.check_users(users)


def test_tls_and_tcp_routes_move_with_the_http_route(story: Story) -> None:
    story.services("app-stable", "app-canary", "db")
    ends = [m.destination("app-stable", 100), m.destination("app-canary", 0)]
    tls = {"match": [{"port": 443, "sniHosts": [story.host]}], "route": ends}
    other = {"match": [{"port": 8443, "sniHosts": [story.host]}], "route": [m.destination("db")]}
    tcp = {"match": [{"port": 5432}], "route": ends}
    route = m.virtual_service("app", story.namespace, story.host, split_by_host())
    route["spec"] |= {"tls": [other, tls], "tcp": [tcp]}
    story.apply(route)
    strategy = by_host(weigh(30), wait())
    target = {"name": "app", "tlsRoutes": [{"port": 443, "sniHosts": [story.host]}], "tcpRoutes": [{"port": 5432}]}
    strategy["canary"]["trafficRouting"]["istio"]["virtualService"] = target
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    story.apply(rollout("v2", strategy))
    story.until_phase("Paused")

    spec = story.get("VirtualService")["spec"]
    shown = [[[end.get("weight") for end in one["route"]] for one in spec[kind]] for kind in ("http", "tls", "tcp")]
    assert shown == [[[70, 30]], [[None], [70, 30]], [[70, 30]]]


def test_two_services_take_turns_under_load(story: Story) -> None:
    story.services("ping", "pong")
    story.route({"route": [m.destination("ping", 100), m.destination("pong", 0)]})
    canary = {
        "pingPong": {"pingService": "ping", "pongService": "pong"},
        "scaleDownDelaySeconds": 1,
        "trafficRouting": {"istio": {"virtualService": {"name": "app"}}},
        "steps": [weigh(50), wait(1), weigh(100)],
    }
    story.apply(rollout("v1", {"canary": canary}))
    old = story.until_phase("Healthy")["stableRS"]
    assert story.status()["canary"]["stablePingPong"] == "ping"
    start = story.version()
    with story.users() as users:
        story.apply(rollout("v2", {"canary": canary}))
        done = story.until_phase("Healthy")
        story.until(lambda: story.replicas(old) == 0, "the old version going")
    story.check_users(users)

    assert done["canary"]["stablePingPong"] == "pong"
    assert story.weights(since=start) == [50, 100]
    assert done["canary"]["weights"]["stable"]["serviceName"] == "pong"
    entries = story.chronicle.entries(story.namespace, "Service", "ping", since=start)
    assert [entry.obj["spec"]["selector"][HASH] for entry in entries] == [done["stableRS"]]


def test_a_deleted_rollout_leaves_the_rule_as_its_owner_wrote_it(story: Story) -> None:
    story.services("app")
    story.apply(m.destination_rule("app", story.namespace, "app", {"stable": {"app": "app"}, "canary": {"app": "app"}}))
    before = story.get("DestinationRule")["spec"]
    ends = [m.destination("app", 100, subset="stable"), m.destination("app", 0, subset="canary")]
    story.route({"route": ends})
    rule = {"name": "app", "canarySubsetName": "canary", "stableSubsetName": "stable"}
    istio = {"virtualService": {"name": "app"}, "destinationRule": rule}
    story.apply(rollout("v1", {"canary": {"steps": [weigh(50)], "trafficRouting": {"istio": istio}}}))
    story.until_phase("Healthy")
    assert story.get("DestinationRule")["spec"] != before

    story.kubectl("delete", "rollout", "app")

    story.until(lambda: story.get("DestinationRule")["spec"] == before, "the hashes being taken out", 10)
    assert not story.get("DestinationRule")["metadata"].get("annotations")
