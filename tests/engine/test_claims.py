"""Two Rollouts that name the same Service, route or subset: one of them stands aside, and always the same one.

Wrong programs that these catch: one in which both act, or both stand aside; one that lets a typing error of the first
hand its traffic to the second; one that disturbs who is there already because somebody older changes its mind; one that
forgets to wake the second when the first goes; one that takes a shared VirtualService for a shared route.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import manifests as m
from tests.api.objects import REMOVED, Json, spoilt
from tests.engine.test_review import ONE, TWO, ends, route
from tests.scenarios.story import blue_green, by_host, by_subset, canary, rollout, weigh
from tidegate.api import names
from tidegate.cluster.store import Store
from tidegate.core.plan import Key
from tidegate.engine.claims import Claims
from tidegate.engine.kinds import RULES

CANARY: Final = "spec.strategy.canary"
ISTIO: Final = f"{CANARY}.trafficRouting.istio"
TURNS: Final = canary(
    pingPong={"pingService": "ping", "pongService": "pong"},
    trafficRouting={"istio": {"virtualService": {"name": "app"}}},
)
OTHER_SUBSETS: Final = {"name": "app", "canarySubsetName": "x", "stableSubsetName": "y"}


class Cluster:
    """What has been stored, and the claims that follow from it. The clock goes a second with each object."""

    def __init__(self) -> None:
        self.store = Store(RULES, freeze=True)
        self.woken: list[Key] = []
        self.claims = Claims(self.store, self.woken.append)
        self._version = 1

    def put(self, obj: Json, *, namespace: str = "shop", signed: str = "", **metadata: Any) -> Key:
        """Create or change an object."""
        key = Key(obj["kind"], namespace, obj["metadata"]["name"])
        old = self.store.get(key)
        self._version += 1
        born = {"uid": f"uid-{self._version}", "creationTimestamp": f"2026-01-01T00:{self._version:02}:00Z"}
        kept = {field: old["metadata"][field] for field in born} if old else born
        given = {"annotations": {names.MANAGED_BY: signed}} if signed else {}
        meta = {"namespace": namespace, **kept, "resourceVersion": str(self._version), **given, **metadata}
        self.store.apply(obj["kind"], "ADDED", spoilt({**obj, "metadata": {**obj["metadata"], **meta}}))
        return key

    def rollout(self, name: str, strategy: Json, **metadata: Any) -> Key:
        return self.put({**rollout("v1", strategy), "metadata": {"name": name}}, **metadata)

    def remove(self, key: Key) -> None:
        self._version += 1
        gone = self.store.get(key)
        assert gone is not None
        meta = {**gone["metadata"], "resourceVersion": str(self._version)}
        self.store.apply(key.kind, "DELETED", {**gone, "metadata": meta})

    def paths(self, key: Key) -> list[str]:
        """The fields for which a Rollout stands aside."""
        return [problem.path for problem in self.claims.rivals(key)]


SHARED: dict[str, tuple[Json, Json, list[str]]] = {
    "a Service": (canary(stableService="app"), blue_green(), ["spec.strategy.blueGreen.activeService"]),
    "a Service of a pair": (TURNS, canary(canaryService="pong"), [f"{CANARY}.canaryService"]),
    "a pair": (
        canary(canaryService="pong"),
        TURNS,
        [f"{CANARY}.pingPong.pongService"],
    ),
    "a named route": (
        by_host(routes=["one"], **ONE),
        by_host(routes=["one"], **TWO),
        [f"{ISTIO}.virtualService.routes[0]"],
    ),
    "subsets": (by_subset(), by_subset(), [f"{ISTIO}.destinationRule.{e}SubsetName" for e in ("canary", "stable")]),
    "one subset": (
        by_subset(),
        spoilt(by_subset(), ("canary.trafficRouting.istio.destinationRule.stableSubsetName", "x")),
        [f"{ISTIO}.destinationRule.canarySubsetName"],
    ),
}


@pytest.mark.parametrize("shared", SHARED)
def test_the_later_one_stands_aside_and_is_told_for_which_fields(shared: str) -> None:
    first, second, fields = SHARED[shared]
    cluster = Cluster()
    cluster.put(route(ends("one", "one"), ends("two", "two")))
    one = cluster.rollout("zoe", first)
    assert cluster.paths(one) == []
    two = cluster.rollout("amy", second)

    assert cluster.paths(one) == []
    assert [path for path in cluster.paths(two) if path in fields] == fields
    for problem in cluster.claims.rivals(two):
        assert "Rollout shop/zoe" in problem.message and "spec.strategy." in problem.message
        assert any(kind in problem.message for kind in ("Service", "VirtualService", "DestinationRule"))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (canary(weigh(10)), canary(weigh(10))),
        (by_host(routes=["one"], **ONE), by_host(routes=["two"], **TWO)),
        (
            by_subset(routes=["one"]),
            spoilt(by_subset(routes=["two"]), (f"{ISTIO[14:]}.destinationRule", OTHER_SUBSETS)),
        ),
    ],
    ids=["no traffic", "a route each", "subsets each"],
)
def test_objects_may_be_shared_where_each_has_a_part_of_its_own(one: Json, two: Json) -> None:
    cluster = Cluster()
    cluster.put(route(ends("one", "one"), ends("two", "two")))
    assert [cluster.paths(cluster.rollout(name, each)) for name, each in (("a", one), ("b", two))] == [[], []]


def test_a_route_that_is_not_named_is_known_once_its_virtual_service_is() -> None:
    cluster = Cluster()
    halves = [(f"{who}-{end}", weight) for who in ("one", "two") for end, weight in (("stable", 50), ("canary", 0))]
    both = {"route": [m.destination(host, weight=weight) for host, weight in halves]}
    one, two = cluster.rollout("one", by_host(**ONE)), cluster.rollout("two", by_host(**TWO))
    assert cluster.paths(two) == []

    cluster.put(route(both))
    assert (cluster.paths(one), cluster.paths(two)) == ([], [f"{ISTIO}.virtualService.name"])
    cluster.put(route({**both, "name": "web"}))
    assert cluster.paths(two) == [f"{ISTIO}.virtualService.name"]
    cluster.put(route(ends("one")))
    assert cluster.paths(two) == []


def test_a_route_of_services_that_take_turns_is_known_whoever_s_turn_it_is() -> None:
    cluster = Cluster()
    hosts = [("ping", 50), ("pong", 0), ("one-stable", 50), ("one-canary", 0)]
    cluster.put(route({"route": [m.destination(host, weight=weight) for host, weight in hosts]}))
    cluster.rollout("first", by_host(**ONE))
    assert cluster.paths(cluster.rollout("second", TURNS)) == [f"{ISTIO}.virtualService.name"]


def test_a_virtual_service_of_another_namespace_is_the_same_one() -> None:
    cluster = Cluster()
    theirs = spoilt(
        by_host(**TWO), ("canary.trafficRouting.istio.virtualService", {"name": "app.shop", "routes": ["web"]})
    )
    cluster.rollout("app", by_host(routes=["web"], **ONE))
    elsewhere = cluster.rollout("app", theirs, namespace="elsewhere")
    assert cluster.paths(elsewhere) == [f"{ISTIO}.virtualService.routes[0]"]
    assert "Rollout shop/app" in cluster.claims.rivals(elsewhere)[0].message
    same_service = cluster.rollout("app", canary(stableService="one-stable"), namespace="third")
    assert cluster.paths(same_service) == [], "a Service of this name in another namespace is another one"


def test_of_two_of_the_same_second_the_uid_decides() -> None:
    cluster, at = Cluster(), "2026-01-01T00:00:00Z"
    later = cluster.rollout("a", canary(stableService="app"), creationTimestamp=at, uid="2")
    first = cluster.rollout("b", canary(stableService="app"), creationTimestamp=at, uid="1")
    assert (cluster.paths(first), cluster.paths(later)) == ([], [f"{CANARY}.stableService"])


@pytest.mark.parametrize("strategy", [canary(stableService="app"), by_subset()], ids=["Service", "DestinationRule"])
def test_who_has_signed_a_shared_object_is_not_disturbed_by_an_older_one_that_changes_its_mind(strategy: Json) -> None:
    cluster = Cluster()
    older = cluster.rollout("older", canary())
    there = cluster.rollout("there", strategy)
    cluster.put(m.service("app", "shop", {"app": "app"}), signed="there")
    cluster.put(m.destination_rule("app", "shop", "app", {"canary": {}, "stable": {}}), signed="there")
    cluster.rollout("older", strategy)
    assert cluster.paths(there) == []
    assert cluster.paths(older)


@pytest.mark.parametrize(
    "mistake",
    [("spec.replicas", "many"), (f"{CANARY}.steps", [{}]), (f"{CANARY}.maxSurge", -1), ("spec.template", REMOVED)],
    ids=lambda mistake: mistake[0],
)
def test_a_mistake_of_the_first_one_hands_nothing_to_the_second(mistake: tuple[str, Any]) -> None:
    cluster = Cluster()
    wrong = spoilt({**rollout("v1", by_subset()), "metadata": {"name": "first"}}, mistake)
    cluster.put(wrong)
    assert cluster.paths(cluster.rollout("second", by_subset()))


ENDINGS: dict[str, Callable[[Cluster, Key], object]] = {
    "deleted": Cluster.remove,
    "being deleted": lambda c, key: c.rollout(key.name, by_subset(), deletionTimestamp="2026-01-01T01:00:00Z"),
    "names another": lambda c, key: c.rollout(key.name, canary()),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_when_the_first_one_goes_the_second_is_woken_and_goes_on(ending: str) -> None:
    cluster = Cluster()
    first, second = cluster.rollout("first", by_subset()), cluster.rollout("second", by_subset())
    cluster.woken.clear()

    ENDINGS[ending](cluster, first)

    assert cluster.woken == [second]
    assert cluster.paths(second) == []


def test_what_changes_no_claim_wakes_nobody() -> None:
    cluster = Cluster()
    cluster.rollout("first", by_subset(weigh(10)))
    cluster.rollout("second", by_subset(weigh(10)))
    cluster.woken.clear()
    cluster.rollout("first", by_subset(weigh(20)))
    cluster.put({**rollout("v2", by_subset(weigh(20))), "metadata": {"name": "first"}, "status": {"phase": "Healthy"}})
    assert cluster.woken == []


# -- any order ---------------------------------------------------------------------------------------------------------

PARTS = st.sampled_from(
    (
        canary(),
        canary(stableService="app"),
        canary(canaryService="app", stableService="pong"),
        TURNS,
        blue_green(),
        by_subset(),
        by_subset(routes=["one"]),
        spoilt(by_subset(), ("canary.trafficRouting.istio.destinationRule", OTHER_SUBSETS)),
        by_host(routes=["one"], **ONE),
        by_host(**TWO),
        {"canary": 1},
    )
)
NAMES = st.sampled_from(("a", "b", "c"))
MOVES = st.one_of(
    st.tuples(st.just("put"), NAMES, PARTS),
    st.tuples(st.just("remove"), NAMES, st.none()),
    st.tuples(st.just("end"), NAMES, PARTS),
    st.tuples(st.just("sign"), NAMES, st.sampled_from(("Service", "DestinationRule"))),
    st.tuples(st.just("route"), NAMES, st.booleans()),
)


@dataclass
class Told:
    """Who stands aside for whom."""

    cluster: Cluster

    def now(self) -> dict[Key, set[str]]:
        found = {}
        for key in self.cluster.store.keys("Rollout"):
            found[key] = {
                word.removeprefix("shop/")
                for problem in self.cluster.claims.rivals(key)
                for word in problem.message.split("Rollout ")[1].split()[:1]
            }
        return found


@given(st.lists(MOVES, max_size=15))
def test_whatever_happens_one_of_two_stands_aside_and_who_is_concerned_is_woken(
    moves: list[tuple[str, str, Any]],
) -> None:
    cluster = Cluster()
    told = Told(cluster)
    for move, name, what in moves:
        before = told.now()
        cluster.woken.clear()
        rollout_key = Key("Rollout", "shop", name)
        match move:
            case "put":
                cluster.rollout(name, what)
            case "remove" if cluster.store.get(rollout_key):
                cluster.remove(rollout_key)
            case "end":
                cluster.rollout(name, what, deletionTimestamp="2026-01-01T01:00:00Z")
            case "sign" if what == "Service":
                cluster.put(m.service("app", "shop", {"app": "app"}), signed=name)
            case "sign":
                cluster.put(m.destination_rule("app", "shop", "app", {"canary": {}, "stable": {}}), signed=name)
            case "route":
                cluster.put(route(ends("two", "one") if what else ends("one", "one"), ends("two", "two")))
        after = told.now()
        for one, others in after.items():
            for other in others:
                assert one.name not in after[Key("Rollout", "shop", other)], "both stand aside"
        for one in after:
            for other in after:
                if one < other and both_claim(cluster, one, other):
                    assert other.name in after[one] or one.name in after[other], "both act"
        if move in ("put", "remove", "end"):
            changed = {key for key in before.keys() & after.keys() if before[key] != after[key]}
            assert changed - {rollout_key} <= set(cluster.woken), "nobody has told it"


def both_claim(cluster: Cluster, one: Key, other: Key) -> bool:
    raw = cluster.store.get(one)
    assert raw is not None
    return "deletionTimestamp" not in raw["metadata"] and any(
        f"Rollout shop/{other.name} " in problem.message for problem in cluster.claims.conflicts(one, raw)
    )
