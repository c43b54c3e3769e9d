"""Canaries behind Istio: users are moved step by step, and only their weights are ours."""

from __future__ import annotations

import copy
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab import manifests as m
from tests.scenarios.chronicle import Obj
from tests.scenarios.story import (
    HASH,
    REVISION,
    Story,
    by_host,
    by_subset,
    canary_weight,
    rollout,
    split_by_host,
    split_by_subset,
    wait,
    weigh,
)

pytestmark = pytest.mark.lab

FOREIGN = {"labels": {"team": "shop"}, "annotations": {"shop.example.com/owner": "vera", "empty": ""}}
TESTERS = {
    "name": "testers",
    "match": [{"headers": {"canary": {"exact": "true"}}}],
    "retries": {"attempts": 2, "perTryTimeout": "2s"},
    "headers": {"response": {"set": {"x-tester": "yes"}}},
}


def without_weights(virtual_service: Obj, *routes: str) -> Any:
    """What is not ours: everything but the weights of these routes."""
    kept = copy.deepcopy({field: virtual_service[field] for field in ("spec", "metadata")})
    for route in kept["spec"]["http"]:
        for destination in route["route"] if route.get("name", "") in routes else ():
            destination.pop("weight", None)
    for field in ("resourceVersion", "generation", "managedFields"):
        kept["metadata"].pop(field, None)
    return kept


def test_users_are_moved_by_host_over_several_routes(story: Story) -> None:
    story.services("app-stable", "app-canary", "legacy")
    testers = {**TESTERS, "route": [m.destination("app-canary", 100)]}
    other = {"name": "other", "match": [{"uri": {"prefix": "/old"}}], "route": [m.destination("legacy", 100)]}
    routes = [testers, split_by_host("api", match=[{"uri": {"prefix": "/api"}}]), other, split_by_host("web")]
    for name, host in (("app", story.host), ("partner", f"partner.{story.host}")):
        story.apply(m.virtual_service(name, story.namespace, host, *routes) | {"kind": "VirtualService"})
        story.patch("VirtualService", name, {"metadata": FOREIGN})
    before = {name: story.get("VirtualService", name) for name in ("app", "partner")}
    targets = [{"name": "app", "routes": ["api", "web"]}, {"name": "partner", "routes": ["web"]}]
    strategy = by_host(weigh(10), wait(1), weigh(25), wait("1s"), weigh(50), wait(), weigh(100))
    strategy["canary"]["trafficRouting"] = {"istio": {"virtualServices": targets}}
    story.apply(rollout("v1", strategy, replicas=4, annotations={"note": "first"}))
    old = story.until_phase("Healthy")["currentPodHash"]
    assert story.selected("app-stable") == story.selected("app-canary") == old

    start = story.version()
    with story.users() as users, story.users(headers={"canary": "true"}) as testers_seen:
        story.apply(rollout("v2", strategy, replicas=4, annotations={"note": "first"}))
        held = story.until_phase("Paused", "CanaryPauseStep")
        story.until(lambda: story.status().get("currentStepIndex") == 5, "the endless pause")
        held = story.status()
        new = held["currentPodHash"]

        assert held["stableRS"] == old != new
        assert held["canary"]["weights"] == {
            "canary": {"weight": 50, "serviceName": "app-canary", "podTemplateHash": new},
            "stable": {"weight": 50, "serviceName": "app-stable", "podTemplateHash": old},
        }
        assert (story.replicas(new), story.replicas(old)) == (2, 4)
        assert story.condition("Paused")["status"] == "True"
        assert [c["reason"] for c in held["pauseConditions"]] == ["CanaryPauseStep"]
        story.until(
            lambda: sorted(story.lab.weights(story.host).values()) == [50, 50], "the gateway splitting half and half"
        )

        story.ask(pauseConditions=None)
        done = story.until_phase("Healthy")
        story.until(
            lambda: not (story.weight(route="web") or story.weight("partner", "web")), "the canary's end resting"
        )

    story.check_users(users, testers_seen)
    assert users.total > 50 and set(users.by_version) == {"v1", "v2"}
    assert done["stableRS"] == new and done["currentStepIndex"] == 7
    for name, route in (("app", "api"), ("app", "web"), ("partner", "web")):
        assert story.weights(name, route, since=start) == [10, 25, 50, 100, 0], (name, route)
    for name, ours in (("app", ("api", "web")), ("partner", ("web",))):
        seen = story.chronicle.entries(story.namespace, "VirtualService", name, since=start)
        for entry in seen:
            assert without_weights(entry.obj, *ours) == without_weights(before[name], *ours)
    assert canary_weight(story.get("VirtualService", "partner"), "api") == 0
    assert story.selected("app-stable") == story.selected("app-canary") == new

    sets = story.sets()
    assert {rs["metadata"]["name"] for rs in sets.values()} == {f"app-{old}", f"app-{new}"}
    for hash_, revision in ((old, "1"), (new, "2")):
        meta, spec = sets[hash_]["metadata"], sets[hash_]["spec"]
        assert meta["labels"] == spec["selector"]["matchLabels"] == {"app": "app", HASH: hash_}
        assert spec["template"]["metadata"]["labels"] == {"app": "app", HASH: hash_}
        assert meta["annotations"][REVISION] == revision
        assert meta["annotations"]["note"] == "first"
        assert meta["ownerReferences"][0]["controller"] is True
    assert story.get("Rollout")["metadata"]["annotations"][REVISION] == "2"
    deadline = "scale-down-deadline"
    story.until(lambda: story.replicas(old) == 0, "the old version going after its delay", 10)
    shown = story.chronicle.entries(story.namespace, "ReplicaSet", f"app-{old}", since=start)
    assert any(deadline in entry.obj["metadata"]["annotations"] for entry in shown)
    assert deadline not in story.sets()[old]["metadata"]["annotations"]


def test_users_are_moved_between_subsets(story: Story) -> None:
    story.services("app")
    rule = m.destination_rule(
        "app", story.namespace, "app", {"legacy": {"tier": "old"}, "stable": {"app": "app"}, "canary": {"app": "app"}}
    )
    rule["spec"]["subsets"][2]["trafficPolicy"] = {"connectionPool": {"tcp": {"maxConnections": 90}}}
    story.apply(rule)
    story.patch("DestinationRule", "app", {"metadata": FOREIGN})
    testers = {**TESTERS, "route": [m.destination("app", 100, subset="canary")]}
    story.route(testers, split_by_subset())
    strategy = by_subset(weigh(20), wait(1), weigh(60), wait(1), weigh(100))
    story.apply(rollout("v1", strategy, replicas=3))
    old = story.until_phase("Healthy")["currentPodHash"]
    before, rule_before = story.get("VirtualService"), story.get("DestinationRule")

    start = story.version()
    with story.users() as users, story.users(headers={"canary": "true"}) as testers_seen:
        story.apply(rollout("v2", strategy, replicas=3))
        done = story.until_phase("Healthy")
        story.until(lambda: story.weight(route=1) == 0, "the canary's end resting")
    new = done["currentPodHash"]

    assert story.weights(route=1, since=start) == [20, 60, 100, 0]
    story.check_users(users, testers_seen)
    assert users.total > 50 and set(testers_seen.by_version) == {"v1", "v2"}
    for entry in story.chronicle.entries(story.namespace, "VirtualService", since=start):
        assert without_weights(entry.obj, "") == without_weights(before, "")
    rule_after = story.get("DestinationRule")
    for subset in rule_before["spec"]["subsets"][1:]:
        assert subset["labels"] == {"app": "app", HASH: old}
        subset["labels"][HASH] = new
    assert rule_after["spec"] == rule_before["spec"]
    assert rule_after["metadata"]["labels"] == FOREIGN["labels"]
    ours = {"argo-rollouts.argoproj.io/managed-by-rollouts": "app"}
    assert rule_after["metadata"]["annotations"] == {**FOREIGN["annotations"], **ours}
    at_rest = {"canary": {"weight": 0, "podTemplateHash": new}, "stable": {"weight": 100, "podTemplateHash": new}}
    story.until(lambda: story.status()["canary"]["weights"] == at_rest, "the status telling the route's weights")


def test_a_foreign_change_of_our_weights_is_put_right_and_of_others_left(story: Story) -> None:
    story.services("app-stable", "app-canary")
    story.route(split_by_host("web"))
    strategy = by_host(weigh(50), wait(), routes=["web"])
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    story.apply(rollout("v2", strategy))
    story.until_phase("Paused")

    at = "/spec/http/0"
    start = story.version()
    story.patch(
        "VirtualService",
        "app",
        [
            {"op": "replace", "path": f"{at}/route/0/weight", "value": 5},
            {"op": "replace", "path": f"{at}/route/1/weight", "value": 95},
            {"op": "add", "path": f"{at}/timeout", "value": "7s"},
            {"op": "add", "path": "/metadata/labels", "value": {"team": "other"}},
        ],
    )
    story.until(lambda: story.weights("app", "web", since=start) == [95, 50], "the weight being put right", 10)
    story.until(
        lambda: story.status()["canary"]["weights"]["canary"]["weight"] == 50, "the status telling the route's weight"
    )
    after = story.get("VirtualService")
    assert after["spec"]["http"][0]["timeout"] == "7s" and after["metadata"]["labels"] == {"team": "other"}

    story.apply(m.service("app-canary", story.namespace, {"app": "app", HASH: "somebody"}))
    story.until(lambda: story.selected("app-canary") == story.status()["currentPodHash"], "the Service being put right")


def test_scaling_pausing_and_promoting_in_the_middle(story: Story) -> None:
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    strategy = by_host(weigh(50), wait(), weigh(75), wait(), weigh(100))
    story.apply(rollout("v1", strategy, replicas=2))
    old = story.until_phase("Healthy")["currentPodHash"]
    with story.users() as users:
        story.apply(rollout("v2", strategy, replicas=2))
        story.until_phase("Paused", "CanaryPauseStep")
        new = story.status()["currentPodHash"]

        story.kubectl("scale", "rollout/app", "--replicas=6")
        story.until(lambda: (story.replicas(old), story.replicas(new)) == (6, 3), "both versions being scaled up")
        assert story.weight() == 50

        story.patch("Rollout", "app", {"spec": {"paused": True}})
        story.until_phase("Paused", "manually paused")
        story.ask(pauseConditions=None)
        story.holds(lambda: story.weight() == 50, "the weight while a person holds the rollout", 1)
        story.kubectl("scale", "rollout/app", "--replicas=4")
        story.until(lambda: (story.replicas(old), story.replicas(new)) == (4, 2), "scaling while paused")

        story.patch("Rollout", "app", {"spec": {"paused": False}})
        story.until(lambda: story.status()["currentStepIndex"] == 3, "the second pause")
        assert story.weight() == 75
        story.ask(promoteFull=True)
        done = story.until_phase("Healthy")
        story.until_weight(0)
    story.check_users(users)
    assert done["stableRS"] == new and done["currentStepIndex"] == 5 and "promoteFull" not in done
    assert story.replicas(new) == 4


def test_others_who_write_all_the_time_neither_stop_it_nor_lose_anything(story: Story) -> None:
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    strategy = by_host(weigh(20), wait(1), weigh(60), wait(1), weigh(100))
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    start, done = story.version(), threading.Event()

    def write() -> int:
        number = 0
        while not done.wait(0.03):
            number += 1
            mark = {"metadata": {"annotations": {"shop.example.com/number": str(number)}}}
            for kind, name in (("Rollout", "app"), ("VirtualService", "app"), ("Service", "app-canary")):
                story.patch(kind, name, mark)
        return number

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        try:
            story.apply(rollout("v2", strategy))
            story.until_phase("Healthy", timeout=20)
            story.until_weight(0)
        finally:
            done.set()
        last = writer.result()
    assert last > 5 and story.weights(since=start) == [0, 20, 60, 100, 0]
    for kind, name in (("Rollout", "app"), ("VirtualService", "app"), ("Service", "app-canary")):
        assert story.get(kind, name)["metadata"]["annotations"]["shop.example.com/number"] == str(last)


def test_once_settled_nothing_is_written_any_more(story: Story) -> None:
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    strategy = by_host(weigh(50), wait(1), weigh(100))
    story.apply(rollout("v1", strategy))
    old = story.until_phase("Healthy")["stableRS"]
    story.apply(rollout("v2", strategy))
    story.until_phase("Healthy")
    story.until(lambda: story.replicas(old) == 0, "the old version going", 10)
    story.until(lambda: story.status()["replicas"] == 2, "the last count")
    gone = ("replicas", "terminatingReplicas")
    story.until(lambda: not any(story.sets()[old]["status"].get(n) for n in gone), "the old pods being gone")
    time.sleep(1)
    last = story.version()
    story.holds(lambda: not story.chronicle.entries(story.namespace, since=last), "silence", 4)
