"""Bad days: refused and lost requests, an API server that is away, watches that break, a leader that dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.fakes.transport import FakeTransport, Fault, Request, refusal
from tidegate.core.plan import Key

from . import stories
from .test_every_write import settled
from .theatre import Obj, Theatre

pytestmark = pytest.mark.looptime

FAULTS = {
    "conflict": Fault(refusal(409)),
    "server error": Fault(refusal(500)),
    "server error after the effect": Fault(refusal(500), took_effect=True),
    "too many requests": Fault(refusal(429, retry_after=1)),
    "connection lost": Fault(),
    "answer lost": Fault(took_effect=True),
    "no answer for a while": Fault(took_effect=True, after=5),
}
EVERY = 5
"""Faults hit every fifth write, so that a story meets several of them."""

LEASE = Key("Lease", "default", "tidegate")


async def undone(theatre: Theatre, arrange: Callable[[FakeTransport], None] | None = None) -> Obj:
    theatre.deploy()
    await theatre.play(lambda: theatre.is_at("Healthy"))
    theatre.set_image("app:v2")
    await theatre.play(settled(theatre, "Degraded"), arrange=arrange)
    return theatre.end()


@pytest.mark.parametrize("fault", FAULTS)
async def test_requests_that_fail_are_made_good(fault: str) -> None:
    async with stories.canary(background="bad") as theatre:
        expected = await undone(theatre)
    met = 0

    def hit(request: Request) -> bool:
        nonlocal met
        met += request.counts
        return request.counts and met % EVERY == 0

    async with stories.canary(background="bad") as theatre:
        end = await undone(theatre, lambda transport: transport.fail(FAULTS[fault], when=hit, times=100))

        assert met > EVERY
        assert end == expected
        assert theatre.violations == []


@pytest.mark.parametrize("after", [0.5, 2.0, 4.0])
async def test_an_api_server_that_is_gone_for_a_minute_is_waited_for(after: float) -> None:
    async with stories.canary() as theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        theatre.set_image("app:v2")
        outage: list[asyncio.Task[None]] = []

        async def lie_down(transport: FakeTransport) -> None:
            await asyncio.sleep(after)
            transport.take_down()
            await asyncio.sleep(60)
            transport.bring_up()

        await theatre.play(
            settled(theatre, "Healthy"),
            arrange=lambda transport: outage.append(asyncio.create_task(lie_down(transport))),
        )

        assert theatre.end()["weights"]["stable"]["weight"] == 100
        assert theatre.violations == []


async def test_watches_that_break_and_versions_that_expire_lose_nothing() -> None:
    async with stories.canary() as theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        theatre.set_image("app:v2")
        breaking: list[asyncio.Task[None]] = []

        async def disturb(transport: FakeTransport) -> None:
            while True:
                await asyncio.sleep(0.7)
                theatre.cluster.compact()
                transport.break_streams()

        def arrange(transport: FakeTransport) -> None:
            breaking.append(asyncio.create_task(disturb(transport)))

        await theatre.play(settled(theatre, "Healthy"), arrange=arrange)

        assert theatre.status["stableRS"] == theatre.status["currentPodHash"]
        assert theatre.violations == []


@pytest.mark.parametrize("write", [1, 4, 7, 10, 13])
async def test_when_the_leader_dies_its_standby_goes_on(write: int) -> None:
    async with stories.canary() as theatre:
        expected = await plain_end(stories.canary)
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"), lease=LEASE, identity="first")
        theatre.set_image("app:v2")
        first = await theatre.play(settled(theatre, "Healthy"), crash=(write, "after"), lease=LEASE, identity="first")
        assert first.killed.is_set()
        died = asyncio.get_running_loop().time()

        await theatre.play(settled(theatre, "Healthy"), lease=LEASE, identity="second")

        assert asyncio.get_running_loop().time() > died
        assert theatre.end() == expected
        assert theatre.violations == []


async def plain_end(make: Callable[[], Theatre]) -> Obj:
    async with make() as theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        theatre.set_image("app:v2")
        await theatre.play(settled(theatre, "Healthy"))
        return theatre.end()


async def test_a_bad_rollout_does_not_disturb_another() -> None:
    async with stories.canary() as theatre:
        theatre.deploy()
        bad = stories.rollout({"canary": {"steps": [{"setWeight": 250}], "canaryService": "nowhere"}})
        bad["metadata"]["name"] = "bad"
        theatre.cluster.create(bad)

        await theatre.play(lambda: theatre.is_at("Healthy"))

        found = theatre.cluster.peek("Rollout", "bad")
        assert found is not None
        assert found["status"]["phase"] == "Degraded"
        assert "spec.strategy.canary.steps[0].setWeight" in found["status"]["message"]
        assert not [rs for rs in theatre.cluster.peek_all("ReplicaSet") if rs["metadata"]["name"].startswith("bad")]


async def test_a_missing_service_holds_the_update_and_its_appearing_resumes_it() -> None:
    async with stories.canary() as theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        theatre.cluster.delete("Service", "app-canary")
        theatre.set_image("app:v2")
        route = theatre.cluster.peek("VirtualService", "app")

        await theatre.play(lambda: theatre.is_at("Degraded"))
        assert "spec.strategy.canary.canaryService: Service app-canary not found" in theatre.status["message"]
        assert theatre.cluster.peek("VirtualService", "app") == route

        theatre.cluster.create(stories.service("app-canary"))
        await theatre.play(settled(theatre, "Healthy"))
        assert theatre.status["stableRS"] == theatre.status["currentPodHash"]


async def test_settled_the_operator_is_silent() -> None:
    """What always holds, 10: idle is silent."""
    async with stories.canary() as theatre:
        theatre.deploy()
        await theatre.play(settled(theatre, "Healthy"))
        asked = theatre.provider.asked

        again = await theatre.play(settled(theatre, "Healthy"))

        assert again.writes == 0
        assert theatre.provider.asked == asked
