"""What the API server refuses is told on the Rollout, changes nothing else, and goes on by itself once it is allowed.

Wrong programs that this catches: one that tries for ever and tells only its log (the Rollout would look as if its new
version had not been seen), one that gives up, and one that moves users meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.crash import stories
from tests.crash.theatre import Theatre
from tests.fakes.status import failure
from tests.fakes.transport import FakeTransport, Fault, Request

pytestmark = pytest.mark.looptime

QUOTA = 'replicasets.apps "app" is forbidden: exceeded quota: few'
WRONG = 'ReplicaSet.apps "app" is invalid: spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"'


def refusing(
    verb: str, kind: str, status: int, reason: str, message: str
) -> tuple[Callable[[FakeTransport], None], list[int]]:
    """An API server that refuses one sort of request until the list is emptied."""
    refuses = [status]

    def decide(request: Request) -> Fault | None:
        if refuses and request.method == verb and request.kind == kind:
            return Fault(failure(status, reason, message))
        return None

    return lambda transport: transport.faults.append(decide), refuses


def progressing(theatre: Theatre) -> tuple[str, str]:
    found = next(c for c in theatre.status["conditions"] if c["type"] == "Progressing")
    return found["status"], found["reason"]


@pytest.mark.parametrize(
    ("status", "reason", "words", "told", "condition"),
    [
        (403, "Forbidden", QUOTA, "ReplicaSetCreateError", ("False", "ReplicaSetCreateError")),
        (422, "Invalid", WRONG, "InvalidSpec", ("True", "NewReplicaSetAvailable")),
    ],
)
async def test_a_replicaset_that_is_refused_is_told_and_tried_again(
    status: int, reason: str, words: str, told: str, condition: tuple[str, str]
) -> None:
    async with stories.canary() as theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        stable, route = theatre.status["stableRS"], theatre.cluster.peek("VirtualService", "app")
        theatre.set_image("app:v2")
        arrange, refuses = refusing("POST", "ReplicaSet", status, reason, words)

        async def allow_later() -> None:
            await asyncio.sleep(100)
            message = theatre.status["message"]
            assert message.startswith(f"{told}: ") and words in message
            assert theatre.is_at("Degraded"), "of the present generation"
            assert theatre.status["stableRS"] == theatre.status["currentPodHash"] == stable
            assert theatre.cluster.peek("VirtualService", "app") == route
            assert progressing(theatre) == condition
            (event,) = [e for e in theatre.cluster.peek_all("Event") if e["reason"] == told]
            assert event["type"] == "Warning" and words in event["message"]
            refuses.clear()

        later = asyncio.create_task(allow_later())
        theatre.spare(later)
        await theatre.play(lambda: later.done() and theatre.is_at("Healthy"), arrange=arrange)
        await later

        assert theatre.status["stableRS"] != stable
        assert not [c for c in theatre.status["conditions"] if c["type"] == "InvalidSpec"]
        assert progressing(theatre) == ("True", "NewReplicaSetAvailable")


async def test_a_route_that_is_refused_is_told_by_an_event_and_tried_again() -> None:
    async with stories.canary() as theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        theatre.set_image("app:v2")
        arrange, refuses = refusing("PATCH", "VirtualService", 403, "Forbidden", "denied by policy: frozen")

        async def allow_later() -> None:
            await asyncio.sleep(100)
            (event,) = [e for e in theatre.cluster.peek_all("Event") if e["reason"] == "ReconciliationError"]
            assert "VirtualService" in event["message"] and "denied by policy: frozen" in event["message"]
            refuses.clear()

        later = asyncio.create_task(allow_later())
        theatre.spare(later)
        await theatre.play(lambda: later.done() and theatre.is_at("Healthy"), arrange=arrange)
        await later
