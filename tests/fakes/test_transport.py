"""The operator's own client and informers over the fake cluster, and each way in which the transport fails."""

from __future__ import annotations

import asyncio

import pytest

from tidegate.cluster.client import Client
from tidegate.cluster.errors import Conflict, ServerError, TransportError
from tidegate.cluster.informer import Informer
from tidegate.cluster.store import Store
from tidegate.core.plan import Key, Write

from .clocks import loop_clock
from .cluster import FakeCluster
from .scripts import config_map, virtual_service
from .transport import CrashPoint, FakeTransport, Fault, Killed, Request, refusal

pytestmark = pytest.mark.looptime

WEB = Key("VirtualService", "default", "web")


def now() -> float:
    return asyncio.get_running_loop().time()


def label(value: str) -> Write:
    return Write("patch", WEB, {"metadata": {"labels": {"n": value}}})


def stored(cluster: FakeCluster) -> str | None:
    found = cluster.peek("VirtualService", "web")
    return None if found is None else (found["metadata"].get("labels") or {}).get("n")


class Stage:
    """A cluster with one VirtualService, and a process of the operator that speaks to it."""

    def __init__(self, *, latency: float = 0.0, lag: float = 0.0) -> None:
        self.cluster = FakeCluster(loop_clock)
        self.cluster.create(virtual_service())
        self.transport = FakeTransport(self.cluster, latency=latency, lag=lag)
        self.client = Client(self.transport)
        self.store = Store()

    def follow(self) -> asyncio.Task[None]:
        return asyncio.create_task(Informer(self.client, self.store, "VirtualService").run())

    def cached(self) -> str | None:
        found = self.store.get(WEB)
        return None if found is None else (found["metadata"].get("labels") or {}).get("n")


@pytest.mark.parametrize(("point", "took_effect"), [("before", "1"), ("unseen", "2"), ("after", "2")])
async def test_given_a_crash_at_the_second_write_when_it_comes_then_nothing_happens_after_it(
    point: CrashPoint, took_effect: str
) -> None:
    stage = Stage(latency=0.1)
    stage.transport.crash_after_writes(2, point)
    written = []

    async def operator() -> None:
        for value in ("1", "2", "3"):
            await stage.client.send(label(value))
            written.append(value)

    following = stage.follow()
    with pytest.raises(Killed):
        await operator()
    assert stored(stage.cluster) == took_effect
    assert written == (["1", "2"] if point == "after" else ["1"])
    assert stage.transport.killed.is_set()
    with pytest.raises(Killed):
        await following
    with pytest.raises(Killed):
        await stage.client.get(WEB)
    assert stored(stage.cluster) == took_effect


async def test_given_events_and_leases_when_writes_are_counted_then_only_those_of_the_story_are() -> None:
    stage = Stage()
    stage.transport.crash_after_writes(2)
    event = {"metadata": {"generateName": "e-"}, "involvedObject": {"kind": "Rollout", "name": "web"}}
    await stage.client.send(label("1"))
    for _ in range(5):
        await stage.client.send(Write("create", Key("Event", "default", ""), event))
    await stage.client.get(WEB)
    await stage.client.send(label("2"))
    assert stage.transport.killed.is_set()
    assert stage.transport.writes == 2
    assert stage.transport.requests == {
        ("PATCH", "VirtualService", ""): 2,
        ("POST", "Event", ""): 5,
        ("GET", "VirtualService", ""): 1,
    }


@pytest.mark.parametrize(
    ("fault", "error", "took_effect"),
    [
        (Fault(refusal(409)), Conflict, None),
        (Fault(refusal(500)), ServerError, None),
        (Fault(), TransportError, None),
        (Fault(took_effect=True), TransportError, "1"),
        (Fault(refusal(504), took_effect=True), ServerError, "1"),
        (Fault(after=60), TransportError, None),
    ],
)
async def test_given_a_fault_for_one_write_when_sent_then_the_caller_sees_it_once(
    fault: Fault, error: type[Exception], took_effect: str | None
) -> None:
    stage = Stage()
    stage.transport.fail(fault, when=lambda request: request.counts)
    started = now()
    with pytest.raises(error):
        await stage.client.send(label("1"))
    assert stored(stage.cluster) == took_effect
    assert now() - started == min(fault.after, 10), "the client's limit is 10 s"
    await stage.client.send(label("2"))
    assert stored(stage.cluster) == "2"


async def test_given_a_busy_server_when_it_says_when_then_the_client_comes_back_then() -> None:
    stage = Stage()
    stage.transport.fail(Fault(refusal(429, retry_after=3)), times=2)
    started = now()
    await stage.client.send(label("1"))
    assert now() - started == 6
    assert stored(stage.cluster) == "1"


async def test_given_a_fault_by_number_when_requests_are_sent_then_that_one_fails() -> None:
    stage = Stage()
    third: list[Request] = []

    def is_third(request: Request) -> bool:
        if request.number == 3:
            third.append(request)
        return request.number == 3

    stage.transport.fail(Fault(refusal(500)), when=is_third)
    for value in ("1", "2"):
        await stage.client.send(label(value))
    with pytest.raises(ServerError):
        await stage.client.send(label("3"))
    assert [(each.method, each.kind, each.is_write) for each in third] == [("PATCH", "VirtualService", True)]


async def test_given_an_informer_when_the_cluster_changes_then_the_store_follows_after_the_lag() -> None:
    stage = Stage(lag=2)
    following = stage.follow()
    await asyncio.sleep(1)
    stage.cluster.patch("VirtualService", "web", {"metadata": {"labels": {"n": "1"}}})
    await asyncio.sleep(1.9)
    assert stage.cached() is None
    await asyncio.sleep(0.2)
    assert stage.cached() == "1"
    stage.cluster.delete("VirtualService", "web")
    await asyncio.sleep(2.1)
    assert stage.store.get(WEB) is None
    following.cancel()


@pytest.mark.parametrize("how", ["broken", "ended", "down", "compacted"])
async def test_given_a_lost_watch_when_it_comes_back_then_nothing_was_missed(how: str) -> None:
    stage = Stage()
    following = stage.follow()
    await asyncio.sleep(70)
    assert stage.store.get(WEB) is not None
    if how == "broken":
        stage.transport.break_streams()
    elif how == "ended":
        stage.transport.end_streams()
    else:
        stage.transport.take_down()
    await asyncio.sleep(1)
    stage.cluster.patch("VirtualService", "web", {"metadata": {"labels": {"n": "1"}}})
    stage.cluster.create(virtual_service("other"))
    stage.cluster.delete("VirtualService", "other")
    if how == "compacted":
        stage.cluster.compact()
    if stage.transport.down:
        await asyncio.sleep(60)
        assert stage.cached() is None
        stage.transport.bring_up()
    await asyncio.sleep(60)
    assert stage.cached() == "1"
    assert stage.store.get(Key("VirtualService", "default", "other")) is None
    following.cancel()


async def test_given_more_objects_than_a_page_when_listed_then_all_come() -> None:
    stage = Stage()
    for number in range(1203):
        stage.cluster.create(virtual_service(f"v{number}"))
    items, version = await stage.client.list("VirtualService")
    assert len({item["metadata"]["name"] for item in items}) == 1204
    assert version == stage.cluster.resource_version
    assert stage.transport.requests == {("GET", "VirtualService", ""): 3}
    names, _ = await stage.client.list("VirtualService", metadata_only=True)
    assert {tuple(sorted(each)) for each in names} == {("apiVersion", "kind", "metadata")}


async def test_given_a_write_that_changes_nothing_when_observed_then_it_is_told_and_stored_nowhere() -> None:
    stage = Stage()
    seen: list[tuple[str, bool]] = []
    stage.cluster.observers.append(lambda written: seen.append((str(written), written.changed)))
    await stage.client.send(label("1"))
    version = stage.cluster.resource_version
    await stage.client.send(label("1"))
    assert stage.cluster.resource_version == version
    stage.cluster.create(config_map())
    assert seen == [
        ("operator: patch VirtualService default/web", True),
        ("operator: patch VirtualService default/web", False),
        ("test: create ConfigMap default/web", True),
    ]
