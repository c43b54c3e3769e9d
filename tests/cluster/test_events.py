"""The event recorder: it says everything once, costs the work nothing, and never fails it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from tidegate.cluster.errors import AlreadyExists, Forbidden, NotFound, ServerError, TransportError
from tidegate.cluster.events import Recorder
from tidegate.core.plan import Event, Key, Write

pytestmark = pytest.mark.looptime

ROLLOUT = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "shop", "namespace": "web", "uid": "u-1", "resourceVersion": "7", "labels": {"a": "b"}},
}
PAUSED = Event("RolloutPaused", "Rollout is paused")


def another(name: str) -> dict[str, Any]:
    return {**ROLLOUT, "metadata": {"name": name, "namespace": "web", "uid": f"u-{name}"}}


class Server:
    """Keeps Events as an API server does. `troubles`: raised, one for each request, before anything is done."""

    def __init__(self) -> None:
        self.events: dict[Key, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.troubles: list[Exception] = []

    async def get(self, key: Key) -> dict[str, Any]:
        self._request("get")
        return self.events[key]

    async def send(self, write: Write) -> dict[str, Any]:
        self._request(write.verb)
        assert isinstance(write.body, dict)
        if write.verb == "create":
            if write.key in self.events:
                raise AlreadyExists(409, "AlreadyExists", "there is one")
            self.events[write.key] = dict(write.body)
        elif write.key not in self.events:
            raise NotFound(404, "NotFound", "expired")
        else:
            self.events[write.key] |= write.body
        return self.events[write.key]

    def _request(self, verb: str) -> None:
        self.requests.append(verb)
        if self.troubles:
            raise self.troubles.pop(0)

    def counts(self) -> dict[str, int]:
        return {event["message"]: event["count"] for event in self.events.values()}


@asynccontextmanager
async def recording(server: Server, **options: Any) -> AsyncIterator[Recorder]:
    began = datetime(2026, 8, 1, 10, tzinfo=UTC)
    loop = asyncio.get_running_loop()
    start = loop.time()
    recorder = Recorder(
        server,
        clock=loop.time,
        wall=lambda: began + timedelta(seconds=loop.time() - start),
        instance="pod-1",
        **options,
    )
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        assert not task.done(), "nothing stops the recorder"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_event_names_its_object_so_that_describe_shows_it() -> None:
    server = Server()
    async with recording(server) as recorder:
        recorder.record(ROLLOUT, PAUSED)
        await asyncio.sleep(1)

    [(key, event)] = server.events.items()
    assert key.namespace == "web"
    assert re.fullmatch(r"shop\.[0-9a-f]{16}", key.name)
    assert event["involvedObject"] == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "name": "shop",
        "namespace": "web",
        "uid": "u-1",
        "resourceVersion": "7",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Normal", "RolloutPaused", "Rollout is paused")
    assert event["source"] == {"component": "tidegate", "host": "pod-1"}
    assert event["reportingComponent"] == "tidegate"
    assert event["count"] == 1
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-08-01T10:00:00Z"


async def test_the_same_said_again_is_a_higher_count_not_another_event() -> None:
    server = Server()
    async with recording(server) as recorder:
        for _ in range(3):
            recorder.record(ROLLOUT, PAUSED)
            await asyncio.sleep(60)

    assert server.counts() == {"Rollout is paused": 3}
    assert server.requests == ["create", "patch", "patch"]
    [event] = server.events.values()
    assert event["firstTimestamp"] == "2026-08-01T10:00:00Z"
    assert event["lastTimestamp"] == "2026-08-01T10:02:00Z"


async def test_what_is_said_faster_than_it_can_be_sent_is_added_up_before_sending() -> None:
    server = Server()
    async with recording(server) as recorder:
        for _ in range(100):
            recorder.record(ROLLOUT, PAUSED)
        await asyncio.sleep(1)

    assert server.requests == ["create"]
    assert server.counts() == {"Rollout is paused": 100}
    assert recorder.dropped == 0


async def test_a_different_object_type_reason_or_message_is_a_different_event() -> None:
    server = Server()
    async with recording(server) as recorder:
        recorder.record(ROLLOUT, PAUSED)
        recorder.record(another("cart"), PAUSED)
        recorder.record(ROLLOUT, Event("RolloutPaused", "Rollout is paused", "Warning"))
        recorder.record(ROLLOUT, Event("RolloutResumed", "Rollout is paused"))
        recorder.record(ROLLOUT, Event("RolloutPaused", "for another reason"))
        await asyncio.sleep(1)

    assert len(server.events) == 5


async def test_a_new_process_counts_on_where_the_one_before_it_stopped() -> None:
    server = Server()
    for _ in range(2):
        async with recording(server) as recorder:
            recorder.record(ROLLOUT, PAUSED)
            await asyncio.sleep(1)

    assert server.counts() == {"Rollout is paused": 2}


async def test_an_event_that_has_expired_is_created_anew() -> None:
    server = Server()
    async with recording(server) as recorder:
        recorder.record(ROLLOUT, PAUSED)
        await asyncio.sleep(1)
        server.events.clear()
        recorder.record(ROLLOUT, PAUSED)
        await asyncio.sleep(1)
        recorder.record(ROLLOUT, PAUSED)
        await asyncio.sleep(1)

    assert server.counts() == {"Rollout is paused": 2}


async def test_events_about_one_object_arrive_in_the_order_in_which_they_happened() -> None:
    server = Server()
    async with recording(server) as recorder:
        for step in range(5):
            recorder.record(ROLLOUT, Event("Step", f"step {step}"))
        await asyncio.sleep(1)

    assert [event["message"] for event in server.events.values()] == [f"step {step}" for step in range(5)]


async def test_an_object_that_says_too_much_is_cut_off_and_the_others_are_not() -> None:
    server = Server()
    async with recording(server, burst=3, rate=0.1) as recorder:
        for step in range(10):
            recorder.record(ROLLOUT, Event("Step", f"step {step}"))
        recorder.record(another("cart"), PAUSED)
        assert recorder.dropped == 7
        await asyncio.sleep(11)
        recorder.record(ROLLOUT, Event("Step", "after a while"))
        await asyncio.sleep(1)

    assert set(server.counts()) == {"step 0", "step 1", "step 2", "Rollout is paused", "after a while"}


async def test_a_queue_that_is_full_drops_and_counts_what_comes_next() -> None:
    server = Server()
    async with recording(server, capacity=4) as recorder:
        for number in range(10):
            recorder.record(another(f"r{number}"), PAUSED)
        assert recorder.dropped == 6
        await asyncio.sleep(1)
    assert len(server.events) == 4


async def test_an_outage_is_waited_out() -> None:
    server = Server()
    server.troubles = [TransportError("connection refused"), ServerError(503, "", "starting"), TransportError("x")]
    async with recording(server) as recorder:
        recorder.record(ROLLOUT, PAUSED)
        await asyncio.sleep(30)

    assert server.counts() == {"Rollout is paused": 1}
    assert recorder.failed == 0


@pytest.mark.parametrize(
    ("trouble", "requests"), [(TransportError("connection refused"), 5), (Forbidden(403, "Forbidden", "no"), 1)]
)
async def test_what_can_not_be_sent_is_given_up_counted_and_does_not_block_what_follows(
    trouble: Exception, requests: int
) -> None:
    server = Server()
    server.troubles = [trouble] * requests
    async with recording(server) as recorder:
        with capture_logs() as logs:
            recorder.record(ROLLOUT, PAUSED)
            recorder.record(ROLLOUT, Event("Next", "next"))
            await asyncio.sleep(120)

    assert server.counts() == {"next": 1}
    assert recorder.failed == 1
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("event lost", "RolloutPaused")]


async def test_flushing_waits_for_what_is_recorded_but_not_for_ever() -> None:
    server = Server()
    async with recording(server) as recorder:
        recorder.record(ROLLOUT, PAUSED)
        started = asyncio.get_running_loop().time()
        await recorder.flush(within=2)
        assert len(server.events) == 1
        assert asyncio.get_running_loop().time() - started < 0.1

        server.troubles = [TransportError("down")] * 9
        recorder.record(ROLLOUT, Event("Late", "late"))
        recorder.record(ROLLOUT, Event("Later", "later"))
        before = asyncio.get_running_loop().time()
        await recorder.flush(within=2)
        assert asyncio.get_running_loop().time() - before == pytest.approx(2)


@pytest.mark.parametrize("name", ["a" * 253, "a" * 235 + ".b" * 9, "a" * 235 + "-" * 17 + "b"])
async def test_names_are_valid_whatever_the_object_is_called(name: str) -> None:
    server = Server()
    async with recording(server) as recorder:
        recorder.record(another(name), PAUSED)
        await asyncio.sleep(1)
    [key] = server.events
    assert len(key.name) <= 253
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", key.name)


async def test_events_about_cluster_scoped_objects_go_to_the_default_namespace() -> None:
    server = Server()
    async with recording(server) as recorder:
        template = {"apiVersion": "argoproj.io/v1alpha1", "kind": "ClusterAnalysisTemplate"}
        recorder.record({**template, "metadata": {"name": "ok", "uid": "u-9"}}, PAUSED)
        await asyncio.sleep(1)
    assert [key.namespace for key in server.events] == ["default"]


async def test_a_message_without_end_is_shortened() -> None:
    server = Server()
    async with recording(server) as recorder:
        recorder.record(ROLLOUT, Event("Long", "x" * 5000))
        await asyncio.sleep(1)
    [message] = server.counts()
    assert len(message) == 1024
    assert message.endswith("x…")


async def test_events_give_way_to_work_but_not_for_ever() -> None:
    server = Server()
    busy = True
    async with recording(server, busy=lambda: busy) as recorder:
        recorder.record(ROLLOUT, PAUSED)
        await asyncio.sleep(5)
        assert server.requests == []
        busy = False
        await asyncio.sleep(0.5)
        assert server.requests == ["create"]

        busy = True
        recorder.record(ROLLOUT, Event("Next", "next"))
        await asyncio.sleep(9)
        assert server.requests == ["create"]
        await asyncio.sleep(3)
        assert server.requests == ["create", "create"]


async def test_at_the_end_of_the_process_events_give_way_to_nothing() -> None:
    """Nobody takes keys out of the queues any more then, so the work that they wait for would never be done."""
    server = Server()
    async with recording(server, busy=lambda: True) as recorder:
        recorder.record(ROLLOUT, PAUSED)
        await asyncio.sleep(1)
        recorder.record(ROLLOUT, Event("Last", "last"))
        await recorder.flush(within=2)
        assert server.counts() == {PAUSED.message: 1, "last": 1}


async def test_what_could_not_be_sent_before_the_end_is_counted_and_logged() -> None:
    server = Server()
    async with recording(server) as recorder:
        server.troubles = [TransportError("down")] * 9
        for name in ("one", "two", "three"):
            recorder.record(another(name), PAUSED)
        with capture_logs() as logs:
            await recorder.flush(within=2)
    assert recorder.dropped == 3
    assert [(entry["event"], entry["events"]) for entry in logs] == [("events not sent before the end", 3)]
