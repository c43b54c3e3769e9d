"""Managed routes over a whole update: when they come, how long they stay, and that they go whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.crash import stories
from tests.crash.test_every_write import settled
from tests.crash.theatre import Obj, Theatre
from tests.fakes.cluster import Written
from tests.fakes.transport import CrashPoint

pytestmark = pytest.mark.looptime

LEAD = {
    "setHeaderRoute": {
        "name": "lead",
        "match": [{"headerName": "x-beta", "headerValue": {"exact": "yes"}}],
    }
}
COPY = {"setMirrorRoute": {"name": "copy", "match": [{"method": {"exact": "GET"}}], "percentage": 50}}
UNLEAD = {"setHeaderRoute": {"name": "lead"}}
UNCOPY = {"setMirrorRoute": {"name": "copy"}}


def weigh(weight: int) -> Obj:
    return {"setWeight": weight}


def canary(*steps: Obj, **more: Any) -> Theatre:
    strategy = {
        "canary": {
            "canaryService": "app-canary",
            "stableService": "app-stable",
            "trafficRouting": {
                "istio": {"virtualService": {"name": "app", "routes": ["primary"]}},
                "managedRoutes": [{"name": "lead"}, {"name": "copy"}],
            },
            "scaleDownDelaySeconds": 5,
            "abortScaleDownDelaySeconds": 5,
            "steps": list(steps),
            **more,
        }
    }
    objects = [stories.service("app-canary"), stories.service("app-stable"), stories.virtual_service()]
    theatre = Theatre(
        stories.rollout(strategy), objects, services=("app-canary", "app-stable"), virtual_services=("app",)
    )
    theatre.shown = []  # type: ignore[attr-defined]
    theatre.cluster.observers.append(lambda written: note(theatre, written))
    return theatre


def note(theatre: Any, written: Written) -> None:
    if written.kind == "VirtualService" and written.changed and written.before:
        theatre.shown.append(shown(theatre))


def shown(theatre: Theatre) -> list[tuple[str, int]]:
    """The routes but the testers' own, each with the weight of its last destination."""
    obj = theatre.cluster.peek("VirtualService", "app")
    assert obj is not None
    routes = [route for route in obj["spec"]["http"] if route["name"] != "testers"]
    return [(route["name"], route["route"][-1].get("weight", 0)) for route in routes]


def violations(theatre: Theatre) -> list[str]:
    """How many users a header route leads to the canary nobody knows, so its share of pods is not judged."""
    return [told for told in theatre.violations if "route lead:" not in told or "with no pod" in told]


async def begin(theatre: Theatre) -> None:
    theatre.deploy()
    await theatre.play(lambda: theatre.is_at("Healthy"))
    theatre.shown.clear()  # type: ignore[attr-defined]
    theatre.set_image("app:v2")


async def test_routes_come_when_their_step_is_reached_and_stay_until_the_promotion() -> None:
    async with canary(LEAD, weigh(25), COPY, weigh(50), {"pause": {"duration": 1}}, weigh(100)) as theatre:
        await begin(theatre)
        await theatre.play(settled(theatre, "Healthy"))

        assert theatre.shown == [  # type: ignore[attr-defined]
            [("lead", 100), ("primary", 0)],
            [("lead", 100), ("primary", 25)],
            [("lead", 100), ("copy", 25), ("primary", 25)],
            [("lead", 100), ("copy", 50), ("primary", 50)],
            [("lead", 100), ("copy", 100), ("primary", 100)],
            [("primary", 0)],
        ]
        assert violations(theatre) == []
        assert theatre.cluster.peek("VirtualService", "app")["spec"] == stories.virtual_service()["spec"]  # type: ignore[index]


async def test_a_step_without_a_match_takes_its_route_back() -> None:
    async with canary(LEAD, COPY, weigh(25), UNLEAD, weigh(50), UNCOPY) as theatre:
        await begin(theatre)
        await theatre.play(settled(theatre, "Healthy"))

        assert [[name for name, _ in routes] for routes in theatre.shown] == [  # type: ignore[attr-defined]
            ["lead", "primary"],
            ["lead", "copy", "primary"],
            ["lead", "copy", "primary"],
            ["copy", "primary"],
            ["copy", "primary"],
            ["primary"],
            ["primary"],
            ["primary"],
        ]


async def test_a_header_route_before_any_weight_has_a_pod_to_lead_to() -> None:
    """The first step of many: testers first, users later. Argo Rollouts needs a setCanaryScale step before it, or it
    says that the step is done while no route was made."""
    async with canary(LEAD, {"pause": {}}) as theatre:
        await begin(theatre)
        await theatre.play(lambda: theatre.is_at("Paused"))

        assert shown(theatre) == [("lead", 100), ("primary", 0)]
        new = theatre.status["currentPodHash"]
        assert theatre.cluster.peek("ReplicaSet", f"app-{new}")["spec"]["replicas"] == 1  # type: ignore[index]
        assert violations(theatre) == []


async def aborted(theatre: Theatre) -> None:
    theatre.ask(abort=True)
    await theatre.play(settled(theatre, "Degraded"))


async def promoted_in_full(theatre: Theatre) -> None:
    theatre.ask(promoteFull=True)
    await theatre.play(settled(theatre, "Healthy"))


async def gone_back(theatre: Theatre) -> None:
    theatre.set_image("app:v1")
    await theatre.play(settled(theatre, "Healthy"))


@pytest.mark.parametrize("end", [aborted, promoted_in_full, gone_back])
async def test_routes_go_when_the_update_ends_early(end: Callable[[Theatre], Any]) -> None:
    async with canary(weigh(25), LEAD, COPY, {"pause": {}}) as theatre:
        await begin(theatre)
        await theatre.play(lambda: theatre.is_at("Paused"))
        assert shown(theatre) == [("lead", 100), ("copy", 25), ("primary", 25)]

        await end(theatre)

        assert shown(theatre) == [("primary", 0)]
        assert violations(theatre) == []


async def test_an_abort_takes_routes_and_weights_back_in_one_write() -> None:
    async with canary(weigh(25), LEAD, {"pause": {}}) as theatre:
        await begin(theatre)
        await theatre.play(lambda: theatre.is_at("Paused"))
        theatre.shown.clear()  # type: ignore[attr-defined]

        await aborted(theatre)

        assert theatre.shown == [[("primary", 0)]]  # type: ignore[attr-defined]


async def test_going_back_takes_away_a_route_that_has_no_weight_beside_it() -> None:
    """Its users are at the version that is given up though no weight leads there: they leave it before its end does."""
    async with canary(LEAD, {"pause": {}}) as theatre:
        await begin(theatre)
        await theatre.play(lambda: theatre.is_at("Paused"))
        given_up = theatre.status["currentPodHash"]
        theatre.shown.clear()  # type: ignore[attr-defined]
        ends: list[str] = []

        def watch(written: Written) -> None:
            if written.kind == "VirtualService" and written.changed:
                service = theatre.cluster.peek("Service", "app-canary")
                ends.append(service["spec"]["selector"]["rollouts-pod-template-hash"])  # type: ignore[index]

        theatre.cluster.observers.append(watch)
        await gone_back(theatre)

        assert theatre.shown == [[("primary", 0)]]  # type: ignore[attr-defined]
        assert ends == [given_up]
        assert violations(theatre) == []


async def test_routes_in_a_row_are_each_shown_once() -> None:
    """The one that is taken back at once would otherwise be set again for ever."""
    async with canary(LEAD, UNLEAD, COPY, LEAD, UNCOPY) as theatre:
        await begin(theatre)
        await theatre.play(settled(theatre, "Healthy"))

        assert [[name for name, _ in routes] for routes in theatre.shown][:5] == [  # type: ignore[attr-defined]
            ["lead", "primary"],
            ["primary"],
            ["copy", "primary"],
            ["lead", "copy", "primary"],
            ["lead", "primary"],
        ]


async def test_the_third_version_does_not_inherit_the_users_of_the_second() -> None:
    async with canary(weigh(25), LEAD, {"pause": {}}) as theatre:
        await begin(theatre)
        await theatre.play(lambda: theatre.is_at("Paused"))
        second = theatre.status["currentPodHash"]
        theatre.set_image("app:v3")
        await theatre.play(lambda: theatre.is_at("Paused") and theatre.status["currentPodHash"] != second)

        assert shown(theatre) == [("lead", 100), ("primary", 25)]
        assert violations(theatre) == []
        assert [("primary", 0)] in theatre.shown  # type: ignore[attr-defined]


@pytest.mark.parametrize("point", ["before", "unseen", "after"])
async def test_killed_at_any_write_the_routes_end_the_same(point: CrashPoint) -> None:
    """What always holds, 6."""

    async def tell(number: int | None) -> tuple[Obj, int, list[str]]:
        async with canary(LEAD, weigh(50), COPY, weigh(100)) as theatre:
            await begin(theatre)
            first = await theatre.play(settled(theatre, "Healthy"), crash=(number, point) if number else None)
            if first.killed.is_set():
                await asyncio.sleep(1)
                await theatre.play(settled(theatre, "Healthy"))
            return theatre.end(), first.writes, violations(theatre)

    undisturbed, writes, wrong = await tell(None)
    assert wrong == []
    for number in range(1, writes + 1):
        end, _, wrong = await tell(number)
        assert wrong == [], f"killed {point} write {number}"
        assert end == undisturbed, f"killed {point} write {number}"


@pytest.mark.parametrize("steps", [(weigh(25), weigh(50)), (weigh(50),), (weigh(75), weigh(25))])
async def test_weights_in_a_row_are_each_shown_once(steps: tuple[Obj, ...]) -> None:
    async with canary(*steps) as theatre:
        await begin(theatre)
        await theatre.play(settled(theatre, "Healthy"))

        weights = [step["setWeight"] for step in steps]
        assert [routes[-1][1] for routes in theatre.shown] == [*weights, 100, 0]  # type: ignore[attr-defined]
