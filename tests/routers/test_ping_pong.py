"""Two Services that take turns: users stay at theirs when a version is promoted, and no selector changes under them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.objects import CANARY, REMOVED, spoilt
from tests.crash import stories
from tests.crash.test_every_write import settled
from tests.crash.theatre import Obj, Theatre
from tests.fakes.cluster import Written
from tests.fakes.transport import CrashPoint
from tests.rollout.objects import canary
from tests.rollout.stage import NAMESPACE, deployed
from tidegate.api.parsing import parse_rollout
from tidegate.core.plan import Key

C = "spec.strategy.canary"
HASH = "rollouts-pod-template-hash"


def turns() -> Theatre:
    """25, a pause, 100, between the Services `ping` and `pong`."""
    canary = {
        "pingPong": {"pingService": "ping", "pongService": "pong"},
        "trafficRouting": {"istio": {"virtualService": {"name": "app"}}},
        "scaleDownDelaySeconds": 3,
        "abortScaleDownDelaySeconds": 3,
        "steps": [{"setWeight": 25}, {"pause": {"duration": 1}}, {"setWeight": 100}],
    }
    route = {"route": [{"destination": {"host": "ping"}, "weight": 100}, {"destination": {"host": "pong"}}]}
    virtual_service = stories.virtual_service()
    virtual_service["spec"]["http"] = [route]
    theatre = Theatre(
        stories.rollout({"canary": canary}),
        [stories.service("ping"), stories.service("pong"), virtual_service],
        services=("ping", "pong"),
        virtual_services=("app",),
    )
    theatre.flips = []  # type: ignore[attr-defined]
    theatre.cluster.observers.append(lambda written: note(theatre, written))
    return theatre


def weights(theatre: Theatre) -> dict[str, int]:
    obj = theatre.cluster.peek("VirtualService", "app")
    assert obj is not None
    return {one["destination"]["host"]: one.get("weight", 0) for one in obj["spec"]["http"][0]["route"]}


def note(theatre: Any, written: Written) -> None:
    """A change of a selector while its Service has users."""
    if written.kind == "Service" and written.before and written.after:
        before, after = (obj["spec"]["selector"].get(HASH) for obj in (written.before, written.after))
        if before and before != after and weights(theatre)[written.name]:
            theatre.flips.append(str(written))


def selected(theatre: Theatre, name: str) -> str:
    service = theatre.cluster.peek("Service", name)
    assert service is not None
    hash_: str = service["spec"]["selector"][HASH]
    return hash_


@pytest.mark.looptime
async def test_services_swap_their_roles_at_every_promotion() -> None:
    async with turns() as theatre:
        shown: list[dict[str, int]] = []
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        assert theatre.status["canary"]["stablePingPong"] == "ping"
        theatre.cluster.observers.append(
            lambda written: shown.append(weights(theatre)) if written.kind == "VirtualService" else None
        )

        for image, stable, other in (("app:v2", "pong", "ping"), ("app:v3", "ping", "pong")):
            shown.clear()
            old = theatre.status["stableRS"]
            theatre.set_image(image)
            await theatre.play(settled(theatre, "Healthy"))

            new = theatre.status["stableRS"]
            assert theatre.status["canary"]["stablePingPong"] == stable
            assert shown == [{other: 75, stable: 25}, {other: 0, stable: 100}]
            assert theatre.status["canary"]["weights"] == {
                "canary": {"weight": 0, "serviceName": other, "podTemplateHash": new},
                "stable": {"weight": 100, "serviceName": stable, "podTemplateHash": new},
            }
            gone = theatre.cluster.peek("ReplicaSet", f"app-{old}")
            assert gone is not None and gone["spec"]["replicas"] == 0
        assert theatre.flips == []  # type: ignore[attr-defined]
        assert theatre.violations == []


@pytest.mark.looptime
async def test_the_status_that_hands_the_turn_over_names_the_weights_by_the_new_roles() -> None:
    async with turns() as theatre:
        seen: list[tuple[str, str, int]] = []

        def look(written: Written) -> None:
            if written.kind == "Rollout" and written.subresource == "status" and written.after:
                part = written.after["status"].get("canary") or {}
                if "weights" in part and "stablePingPong" in part:
                    stable = part["weights"]["stable"]
                    seen.append((part["stablePingPong"], stable["serviceName"], stable["weight"]))

        theatre.cluster.observers.append(look)
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        theatre.set_image("app:v2")
        await theatre.play(settled(theatre, "Healthy"))

        assert all(turn == stable for turn, stable, _ in seen)
        assert next(weight for turn, _, weight in seen if turn == "pong") == 100


async def aborted(theatre: Theatre) -> None:
    theatre.ask(abort=True)
    await theatre.play(settled(theatre, "Degraded"))


async def gone_back(theatre: Theatre) -> None:
    theatre.set_image("app:v1")
    await theatre.play(settled(theatre, "Healthy"))


@pytest.mark.looptime
@pytest.mark.parametrize("end", [aborted, gone_back])
async def test_an_update_that_is_undone_swaps_nothing(end: Callable[[Theatre], Any]) -> None:
    async with turns() as theatre:
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        old = theatre.status["stableRS"]
        theatre.set_image("app:v2")
        await theatre.play(lambda: theatre.is_at("Paused"))
        assert selected(theatre, "pong") != old

        await end(theatre)

        assert theatre.status["canary"]["stablePingPong"] == "ping"
        assert weights(theatre) == {"ping": 100, "pong": 0}
        assert selected(theatre, "ping") == selected(theatre, "pong") == old
        assert theatre.flips == []  # type: ignore[attr-defined]
        assert theatre.violations == []


@pytest.mark.looptime
async def test_argo_the_pods_behind_ping_and_pong_stay_while_these_lead_to_them() -> None:
    """Argo Rollouts' isReplicaSetReferenced does not know the two (replicaset.go:415-419)."""
    async with turns() as theatre:
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        theatre.set_image("app:v2")
        sizes: list[tuple[str, int, str]] = []

        def look(written: Written) -> None:
            if written.kind == "ReplicaSet" and written.after and written.after["spec"]["replicas"] == 0:
                hash_ = written.after["metadata"]["labels"][HASH]
                sizes.extend((hash_, 0, name) for name in ("ping", "pong") if selected(theatre, name) == hash_)

        theatre.cluster.observers.append(look)
        await theatre.play(settled(theatre, "Healthy"))

        assert sizes == []


@pytest.mark.looptime
@pytest.mark.parametrize("point", ["before", "unseen", "after"])
async def test_killed_at_any_write_the_turn_is_handed_over_once(point: CrashPoint) -> None:
    """What always holds, 6."""

    async def tell(number: int | None) -> tuple[Obj, str, int, list[str]]:
        async with turns() as theatre:
            theatre.deploy()
            await theatre.play(settled(theatre, "Healthy"))
            theatre.set_image("app:v2")
            first = await theatre.play(settled(theatre, "Healthy"), crash=(number, point) if number else None)
            if first.killed.is_set():
                await asyncio.sleep(1)
                await theatre.play(settled(theatre, "Healthy"))
            wrong = theatre.violations + theatre.flips  # type: ignore[attr-defined]
            return theatre.end(), theatre.status["canary"]["stablePingPong"], first.writes, wrong

    undisturbed, turn, writes, wrong = await tell(None)
    assert (turn, wrong) == ("pong", [])
    for number in range(1, writes + 1):
        assert (await tell(number))[:2] == (undisturbed, "pong"), f"killed {point} write {number}"


@pytest.mark.looptime
async def test_a_missing_service_of_the_pair_is_named_by_its_field() -> None:
    async with turns() as theatre:
        theatre.cluster.delete("Service", "pong")
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Degraded"))

        assert f"{C}.pingPong.pongService: Service pong not found" in theatre.status["message"]


PAIR = spoilt(
    CANARY,
    (f"{C}.pingPong", {"pingService": "a", "pongService": "b"}),
    (f"{C}.canaryService", REMOVED),
    (f"{C}.stableService", REMOVED),
    (f"{C}.trafficRouting.istio.destinationRule", REMOVED),
)


def test_the_pair_is_read() -> None:
    assert parse_rollout(PAIR)[1] == ()


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ([(f"{C}.pingPong.pongService", "a")], f"{C}.pingPong.pongService", "is 'a', the pingService too"),
        ([(f"{C}.pingPong.pingService", "")], f"{C}.pingPong.pingService", "is required"),
        ([(f"{C}.canaryService", "c")], f"{C}.canaryService", "is not possible with pingPong"),
        ([(f"{C}.stableService", "s")], f"{C}.stableService", "is not possible with pingPong"),
        (
            [
                (
                    f"{C}.trafficRouting.istio.destinationRule",
                    CANARY["spec"]["strategy"]["canary"]["trafficRouting"]["istio"]["destinationRule"],
                )
            ],
            f"{C}.pingPong",
            "splits by subsets",
        ),
        (
            [(f"{C}.trafficRouting", REMOVED), (f"{C}.scaleDownDelaySeconds", REMOVED)],
            f"{C}.pingPong",
            "is only possible with trafficRouting",
        ),
    ],
)
def test_a_pair_that_cannot_take_turns_is_refused(changes: Any, path: str, message: str) -> None:
    spec, problems = parse_rollout(spoilt(PAIR, *changes))

    assert spec is None
    assert [problem.path for problem in problems] == [path]
    assert message in problems[0].message


def test_the_turn_is_handed_over_without_the_managed_routes() -> None:
    """A route to the canary alone leads to stable alone once the Services have changed their roles, and was then taken
    for somebody else's, which held the Rollout for ever."""
    lead = {"setHeaderRoute": {"name": "lead", "match": [{"headerName": "x", "headerValue": {"exact": "y"}}]}}
    stage = deployed(canary(lead, {"setWeight": 50}, how="turns"))
    for image in ("v2", "v3"):
        stage.image(image)
        stage.settle()
        assert stage.phase() == ("Healthy", "")
        https = stage.objects[Key("VirtualService", NAMESPACE, "app")]["spec"]["http"]
        assert [http["name"] for http in https] == ["primary", "testers"]
