"""Leader election in virtual time: who may act when, whatever the network and the clocks do.

The one thing that must never happen, two replicas acting at once, is checked all the time by `referee`, also on
generated schedules of faults. Wrong programs this catches: counting from the answer instead of from the request,
a deadline that is only looked at by a timer, taking a lease over by comparing wall clocks, believing that a lost
answer means a lost write, treating a deleted lease as free.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from tidegate.cluster.errors import AlreadyExists, Conflict, NotFound, TransportError
from tidegate.cluster.lease import Elector, LeadershipOverrunError, LeaseTiming
from tidegate.core.plan import Key, Write

pytestmark = pytest.mark.looptime

KEY = Key("Lease", "tidegate", "leader")
TIMING = LeaseTiming(duration=10, renew_deadline=6.5, retry=1.5)


def now() -> float:
    return asyncio.get_running_loop().time()


class Server:
    """One Lease with compare-and-swap on its resource version."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.versions = itertools.count(1)

    def get(self) -> dict[str, Any]:
        if self.lease is None:
            raise NotFound(404, "NotFound", "no lease")
        return self.lease

    def write(self, write: Write) -> dict[str, Any]:
        assert isinstance(write.body, dict)
        if write.verb == "create":
            if self.lease is not None:
                raise AlreadyExists(409, "AlreadyExists", "there is one")
            spec = dict(write.body["spec"])
        else:
            current = self.get()
            if write.body["metadata"]["resourceVersion"] != current["metadata"]["resourceVersion"]:
                raise Conflict(409, "Conflict", "it has moved on")
            spec = {**current["spec"], **write.body["spec"]}
        return self.put(spec)

    def put(self, spec: dict[str, Any]) -> dict[str, Any]:
        self.lease = {"metadata": {"resourceVersion": str(next(self.versions))}, "spec": spec}
        return self.lease

    @property
    def holder(self) -> str:
        return str(self.lease["spec"]["holderIdentity"]) if self.lease else ""


@dataclass
class Line:
    """One replica's connection. `there` and `back`: seconds of travel; a cut line refuses, a deaf one loses answers."""

    server: Server
    there: float = 0.01
    back: float = 0.01
    cut: bool = False
    deaf: bool = False
    requests: int = 0

    async def get(self, key: Key, *, within: float | None = None) -> dict[str, Any]:
        assert key == KEY
        return await self._travel(None, within)

    async def send(self, write: Write, *, within: float | None = None) -> dict[str, Any]:
        return await self._travel(write, within)

    async def _travel(self, write: Write | None, within: float | None) -> dict[str, Any]:
        self.requests += 1
        assert within is not None, "every request about the lease has a limit"
        assert within <= TIMING.retry
        if self.cut:
            raise TransportError("connection refused")
        try:
            async with asyncio.timeout(within):
                await asyncio.sleep(self.there)
                answer = self.server.write(write) if write else self.server.get()
                await asyncio.sleep(3600 if self.deaf else self.back)
                return answer
        except TimeoutError:
            raise TransportError("no answer in time") from None


@dataclass
class Replica:
    name: str
    server: Server
    line: Line = field(init=False)
    elector: Elector = field(init=False)
    skew: float = 0.0
    acting: bool = False
    stop_takes: float = 0.0
    log: list[tuple[str, float]] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.line = Line(self.server)
        self.elector = Elector(
            self.line,
            KEY,
            self.name,
            on_started=self.started,
            on_stopped=self.stopped,
            timing=TIMING,
            clock=lambda: now() + self.skew,
            spread=lambda: 0.5,
        )

    async def started(self) -> None:
        self.acting = True
        self.log.append(("started", now()))

    async def stopped(self) -> None:
        await asyncio.sleep(self.stop_takes)
        self.acting = False
        self.log.append(("stopped", now()))


@asynccontextmanager
async def running(*replicas: Replica) -> AsyncIterator[None]:
    """Run the electors with a referee who sees every tenth of a second who may write."""

    async def referee() -> None:
        while True:
            leaders = [replica.name for replica in replicas if replica.elector.leading]
            assert len(leaders) <= 1, f"{leaders} lead at {now()}"
            actors = [replica.name for replica in replicas if replica.acting]
            assert len(actors) <= 1, f"{actors} act at {now()}"
            await asyncio.sleep(0.1)

    tasks = [asyncio.create_task(replica.elector.run(replica.stop)) for replica in replicas]
    watching = asyncio.create_task(referee())
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        watching.cancel()
        [verdict] = await asyncio.gather(watching, return_exceptions=True)
    for result in (*results, verdict):
        if isinstance(result, Exception):
            raise result


async def leader_among(*replicas: Replica, within: float) -> Replica:
    async with asyncio.timeout(within):
        while True:
            for replica in replicas:
                if replica.elector.leading and replica.acting:
                    return replica
            await asyncio.sleep(0.05)


async def test_the_first_to_come_leads_at_once_and_goes_on_leading() -> None:
    server = Server()
    one = Replica("one", server)
    async with running(one):
        await leader_among(one, within=0.2)
        await asyncio.sleep(600)
        assert one.log == [("started", one.log[0][1])], "leadership was never interrupted"
        assert one.line.requests < 600 / 1.3
    spec = server.get()["spec"]
    assert spec["holderIdentity"] == "one"
    assert spec["leaseDurationSeconds"] == 10
    assert spec["leaseTransitions"] == 1
    assert spec["renewTime"].endswith("Z")
    assert len(spec["renewTime"]) == len("2026-08-01T10:00:00.000000Z")


async def test_of_two_who_start_together_one_leads() -> None:
    server = Server()
    one, two = Replica("one", server), Replica("two", server)
    async with running(one, two):
        await leader_among(one, two, within=1)
        await asyncio.sleep(120)
        assert len(one.log) + len(two.log) == 1


async def test_a_leader_that_is_killed_is_succeeded_after_the_duration() -> None:
    server = Server()
    two = Replica("two", server)
    server.put({"holderIdentity": "dead", "leaseDurationSeconds": 10, "renewTime": "2099-01-01T00:00:00.000000Z"})
    began = now()
    async with running(two):
        await leader_among(two, within=13)
    took = now() - began
    assert 10 <= took < 12, "others wait out the whole duration by their own clock, and no longer"


async def test_a_process_that_comes_back_under_its_own_name_need_not_wait() -> None:
    server = Server()
    server.put({"holderIdentity": "one", "leaseDurationSeconds": 10})
    one = Replica("one", server)
    async with running(one):
        await leader_among(one, within=0.2)


async def test_a_leader_that_stops_in_order_is_succeeded_within_one_retry() -> None:
    server = Server()
    one, two = Replica("one", server), Replica("two", server)
    one.stop_takes = 3.0
    async with running(one, two):
        first = await leader_among(one, two, within=1)
        second = two if first is one else one
        first.stop_takes = 3.0
        first.stop.set()
        await leader_among(second, within=3.0 + TIMING.retry + 0.2)
        assert [what for what, _ in first.log] == ["started", "stopped"]
        assert server.get()["spec"]["leaseTransitions"] == 2


async def test_a_standby_that_stops_leaves_the_lease_alone() -> None:
    server = Server()
    one, two = Replica("one", server), Replica("two", server)
    async with running(one):
        await leader_among(one, within=1)
        async with running(two):
            await asyncio.sleep(5)
            two.stop.set()
            await asyncio.sleep(5)
        assert server.holder == "one"


@pytest.mark.parametrize("fault", ["cut", "deaf"])
async def test_a_leader_that_can_not_renew_stops_before_another_starts(fault: str) -> None:
    server = Server()
    one, two = Replica("one", server), Replica("two", server)
    async with running(one, two):
        first = await leader_among(one, two, within=1)
        second = two if first is one else one
        await asyncio.sleep(30)
        cut_at = now()
        setattr(first.line, fault, True)
        if fault == "cut":
            await leader_among(second, within=15)
            stopped = next(at for what, at in first.log if what == "stopped")
            started = next(at for what, at in second.log if what == "started")
            assert stopped - cut_at <= TIMING.renew_deadline + 0.1
            assert started - stopped >= TIMING.duration - TIMING.renew_deadline - 2 * TIMING.retry
        else:
            # Its renewals arrive, only it never learns of that. It must stop all the same.
            await asyncio.sleep(15)
            assert not first.elector.leading
        setattr(first.line, fault, False)
        await asyncio.sleep(60)
        await leader_among(one, two, within=1)


async def test_an_outage_shorter_than_the_deadline_is_not_noticed_by_the_work() -> None:
    server = Server()
    one = Replica("one", server)
    async with running(one):
        await leader_among(one, within=1)
        await asyncio.sleep(10)
        one.line.cut = True
        await asyncio.sleep(4.5)
        one.line.cut = False
        await asyncio.sleep(30)
        assert [what for what, _ in one.log] == ["started"]


async def test_an_api_server_gone_for_a_minute_is_waited_for() -> None:
    server = Server()
    one, two = Replica("one", server), Replica("two", server)
    async with running(one, two):
        await leader_among(one, two, within=1)
        for replica in (one, two):
            replica.line.cut = True
        await asyncio.sleep(60)
        assert not one.elector.leading
        assert not two.elector.leading
        for replica in (one, two):
            replica.line.cut = False
        await leader_among(one, two, within=12)


async def test_time_counts_from_the_request_not_from_its_answer() -> None:
    """An answer may be old by the time it is read; the others' clocks have run since the server wrote."""
    server = Server()
    one = Replica("one", server)
    one.line.back = 1.4
    sent_at = now()
    async with running(one):
        await leader_among(one, within=2)
        assert one.elector.remaining() <= TIMING.renew_deadline - (now() - sent_at) + 0.1
        assert now() - sent_at > 1.4


async def test_a_paused_process_may_not_write_when_it_wakes_up_although_no_timer_has_run() -> None:
    server = Server()
    one = Replica("one", server)
    async with running(one):
        await leader_among(one, within=1)
        assert one.elector.remaining() > 0
        one.skew += 30.0  # Half a minute has passed for the world; nothing has run here.
        assert one.elector.remaining() <= 0
        assert not one.elector.leading
        await asyncio.sleep(5)
        assert [what for what, _ in one.log] == ["started", "stopped", "started"], "and then it starts over"


async def test_a_lease_that_someone_else_was_given_is_left_at_once() -> None:
    server = Server()
    one = Replica("one", server)
    async with running(one):
        await leader_among(one, within=1)
        server.put({"holderIdentity": "rescue", "leaseDurationSeconds": 3600})
        await asyncio.sleep(TIMING.retry + 0.1)
        assert not one.acting
        assert one.elector.holder == "rescue"
        await asyncio.sleep(300)
        assert server.holder == "rescue", "the duration that counts is the holder's own"


async def test_an_edit_of_our_lease_by_someone_else_changes_nothing() -> None:
    server = Server()
    one = Replica("one", server)
    async with running(one):
        await leader_among(one, within=1)
        for _ in range(5):
            server.put(server.get()["spec"])
            await asyncio.sleep(2)
        assert [what for what, _ in one.log] == ["started"]


async def test_a_deleted_lease_frees_nobody_and_is_written_anew_by_its_holder() -> None:
    server = Server()
    one, two = Replica("one", server), Replica("two", server)
    async with running(one, two):
        first = await leader_among(one, two, within=1)
        await asyncio.sleep(5)
        server.lease = None
        await asyncio.sleep(10)
        assert server.holder == first.name
        assert [what for what, _ in first.log] == ["started"]


async def test_work_that_does_not_stop_in_time_is_reported_so_that_the_process_can_end() -> None:
    server = Server()
    one = Replica("one", server)
    one.stop_takes = 3600.0
    with pytest.raises(LeadershipOverrunError, match="this process must end"):
        async with running(one):
            await leader_among(one, within=1)
            one.line.cut = True
            await asyncio.sleep(TIMING.duration + 0.5)


async def test_cancelling_fences_writes() -> None:
    one = Replica("one", Server())
    async with running(one):
        await leader_among(one, within=1)
    assert not one.elector.leading


@pytest.mark.parametrize(
    ("duration", "renew_deadline", "retry"), [(10, 10.0, 1.0), (10, 6.0, 4.0), (10, 11.0, 1.0), (10, 5.0, 0.0)]
)
def test_timings_that_could_let_two_lead_are_refused(duration: int, renew_deadline: float, retry: float) -> None:
    with pytest.raises(ValueError, match="lease timing"):
        LeaseTiming(duration=duration, renew_deadline=renew_deadline, retry=retry)


FAULTS = ("cut", "mend", "deaf", "slow", "pause", "delete the lease")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    schedule=st.lists(
        st.tuples(st.floats(0.1, 12.0), st.integers(0, 2), st.sampled_from(FAULTS)), min_size=1, max_size=25
    )
)
async def test_whatever_breaks_two_never_lead_and_in_the_end_one_does(schedule: list[tuple[float, int, str]]) -> None:
    server = Server()
    replicas = [Replica(name, server) for name in ("one", "two", "three")]
    async with running(*replicas):
        # Everyone has seen the lease once. One who never has takes a missing lease for a new cluster's.
        await asyncio.sleep(3)
        for pause, which, fault in schedule:
            await asyncio.sleep(pause)
            replica = replicas[which]
            match fault:
                case "cut":
                    replica.line.cut = True
                case "deaf":
                    replica.line.deaf = True
                case "slow":
                    replica.line.there, replica.line.back = 0.7, 0.7
                case "pause" if replica.elector.leading:
                    # For a candidate a jump of its own clock alone would be a clock that runs too fast.
                    replica.skew += pause
                case "delete the lease":
                    server.lease = None
                case _:
                    replica.line.cut = replica.line.deaf = False
                    replica.line.there = replica.line.back = 0.01
        for replica in replicas:
            replica.line.cut = replica.line.deaf = False
            replica.line.there = replica.line.back = 0.01
        await leader_among(*replicas, within=TIMING.duration + TIMING.renew_deadline + 2 * TIMING.retry)
