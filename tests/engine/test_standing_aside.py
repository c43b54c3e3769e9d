"""Never two controllers at once: while Argo Rollouts' own renews its lease, Tidegate does nothing and says so.

Wrong programs that this catches: one that acts before it has looked, one that takes a lease which was left behind for a
living controller's (or the other way round), one that fights for the condition, and one that goes on with a write that
was decided before the other controller came back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from tests.crash import stories
from tests.crash.theatre import Theatre
from tests.fakes.clocks import loop_clock
from tests.fakes.transport import FakeTransport, Fault, Request, refusal
from tidegate.cluster.errors import NotLeading
from tidegate.core.plan import Key, Write

pytestmark = pytest.mark.looptime

NAME: Final = "argo-rollouts-controller-lock"
EVERY: Final = 2.0
DURATION: Final = 15


class Argo:
    """The other controller, as far as its lease shows: client-go's leader election."""

    def __init__(self, theatre: Theatre, namespace: str = "argo-rollouts", name: str = NAME) -> None:
        self.theatre = theatre
        self.cluster = theatre.cluster
        self.namespace = namespace
        self.name = name
        self._renewing: asyncio.Task[None] | None = None
        if self.cluster.peek("Namespace", namespace, "") is None:
            self.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    def lease(self, *, age: float = 0.0, holder: str = "argo-0_uid") -> dict[str, Any]:
        moment = (loop_clock() - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {"holderIdentity": holder, "leaseDurationSeconds": DURATION, "renewTime": moment, "leaseTransitions": 1}

    def leaves(self, *, age: float = 0.0, holder: str = "argo-0_uid") -> None:
        """A lease that was renewed so many seconds ago, for the last time."""
        metadata = {"name": self.name, "namespace": self.namespace}
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
        self.cluster.create({**body, "spec": self.lease(age=age, holder=holder)})

    def renews(self) -> None:
        self.cluster.patch("Lease", self.name, {"spec": self.lease()}, namespace=self.namespace)

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            self.renews()

    def starts(self) -> None:
        if self.cluster.peek("Lease", self.name, self.namespace) is None:
            self.leaves()
        else:
            self.renews()
        self._renewing = asyncio.create_task(self._live())
        self.theatre.spare(self._renewing)

    async def ends(self) -> None:
        """It gives nothing back: its lease stays as it was last renewed."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])


@asynccontextmanager
async def playing(
    theatre: Theatre, *, arrange: Callable[[FakeTransport], None] | None = None, **settings: Any
) -> AsyncIterator[Theatre]:
    """The operator runs, in a task of its own, for as long as the block."""
    over = asyncio.Event()
    settings = {"argo_lease": NAME, **settings}
    playing = asyncio.create_task(theatre.play(over.is_set, arrange=arrange, **settings))
    theatre.spare(asyncio.current_task())
    await asyncio.sleep(0)
    try:
        yield theatre
    finally:
        over.set()
        await playing


@asynccontextmanager
async def stage() -> AsyncIterator[tuple[Theatre, Argo]]:
    async with stories.rolling() as theatre:
        argo = Argo(theatre)
        yield theatre, argo
        await argo.ends()


def deployed(theatre: Theatre) -> bool:
    return bool(theatre.cluster.peek_all("ReplicaSet"))


def condition(theatre: Theatre) -> Mapping[str, Any]:
    found = (c for c in theatre.status.get("conditions") or () if c["type"] == "StandingAside")
    return next(found, {})


async def test_given_no_lease_when_started_then_work_begins_at_once() -> None:
    async with stage() as (theatre, _):
        theatre.deploy()
        async with playing(theatre):
            await asyncio.sleep(1)
            assert deployed(theatre)
            assert theatre.engine.standing_aside == ""


async def test_given_a_lease_that_is_renewed_when_started_then_nothing_is_done_and_it_is_said() -> None:
    async with stage() as (theatre, argo):
        theatre.deploy()
        argo.starts()
        with capture_logs() as lines:
            async with playing(theatre):
                await asyncio.sleep(60)
                assert not deployed(theatre)
                assert "argo-rollouts/argo-rollouts-controller-lock held by argo-0_uid" in theatre.engine.standing_aside
        told = condition(theatre)
        assert (told["status"], told["reason"]) == ("True", "ArgoRolloutsAtWork")
        assert "argo-0_uid" in told["message"]
        assert set(theatre.status) == {"conditions"}, "nothing else of the status is ours to write"
        assert theatre.cluster.peek("Rollout", "app")["metadata"].get("annotations") is None  # type: ignore[index]
        warned = [line for line in lines if line["log_level"] == "warning" and "Argo Rollouts" in line["event"]]
        assert len(warned) == 1, "once, not at every renewal"


async def test_given_a_controller_that_ends_when_its_lease_has_run_out_then_work_begins() -> None:
    async with stage() as (theatre, argo):
        theatre.deploy()
        argo.starts()
        async with playing(theatre):
            await asyncio.sleep(20)
            await argo.ends()
            await asyncio.sleep(DURATION - EVERY - 0.5)
            assert not deployed(theatre), "another replica of Argo's may still take over"
            await asyncio.sleep(EVERY + 1)
            assert deployed(theatre)
            await asyncio.sleep(20)
            assert theatre.is_at("Healthy")
            assert condition(theatre) == {}, "what is no longer so is no longer said"


@pytest.mark.parametrize(
    ("age", "waits"),
    [
        pytest.param(9 * DURATION, DURATION, id="a while ago by another machine's clock: wait and see"),
        pytest.param(11 * DURATION, 0, id="long ago: no clock is that wrong"),
        pytest.param(-3600, DURATION, id="in the future: clocks differ"),
    ],
)
async def test_given_a_lease_left_behind_when_started_then_it_holds_up_no_longer_than_it_must(
    age: float, waits: float
) -> None:
    async with stage() as (theatre, argo):
        theatre.deploy()
        argo.leaves(age=age)
        async with playing(theatre):
            await asyncio.sleep(max(waits - 1, 0.01))
            assert not deployed(theatre)
            await asyncio.sleep(2)
            assert deployed(theatre)
            assert "StandingAside" not in str(theatre.status.get("conditions"))


async def test_given_a_lease_that_nobody_holds_when_started_then_work_begins_at_once() -> None:
    async with stage() as (theatre, argo):
        theatre.deploy()
        argo.leaves(holder="")
        async with playing(theatre):
            await asyncio.sleep(1)
            assert deployed(theatre)


async def test_given_work_under_way_when_argo_comes_back_then_no_further_write_is_made() -> None:
    async with stage() as (theatre, argo):
        theatre.deploy()
        async with playing(theatre):
            await asyncio.sleep(30)
            theatre.set_image("app:v2")
            await asyncio.sleep(0.5)
            argo.starts()
            await asyncio.sleep(0.1)
            before = theatre.cluster.peek_all("ReplicaSet")
            sizes = [rs["spec"]["replicas"] for rs in before]
            await asyncio.sleep(60)
            assert [rs["spec"]["replicas"] for rs in theatre.cluster.peek_all("ReplicaSet")] == sizes
            assert not theatre.is_at("Healthy")
            assert condition(theatre)["status"] == "True"
            await argo.ends()
            await asyncio.sleep(60)
            assert theatre.is_at("Healthy"), "and where it stood, it goes on"


async def test_given_a_write_that_was_decided_before_when_argo_is_at_work_then_it_is_not_sent() -> None:
    async with stage() as (theatre, argo):
        theatre.deploy()
        async with playing(theatre):
            await asyncio.sleep(30)
            (rs,) = theatre.cluster.peek_all("ReplicaSet")
            write = Write("patch", Key("ReplicaSet", "default", rs["metadata"]["name"]), {"spec": {"replicas": 1}})
            argo.starts()
            await asyncio.sleep(0.1)
            with pytest.raises(NotLeading):
                await theatre.engine.client.send(write)


async def test_given_the_condition_when_somebody_takes_it_away_then_it_is_not_fought_for() -> None:
    async with stage() as (theatre, argo):
        theatre.deploy()
        argo.starts()
        async with playing(theatre):
            await asyncio.sleep(10)
            assert condition(theatre)
            theatre.ask(conditions=[], replicas=3)
            await asyncio.sleep(60)
            assert condition(theatre) == {}


async def test_given_conflicts_when_the_condition_is_written_then_it_is_tried_again_and_written_once() -> None:
    def refuse(transport: FakeTransport) -> None:
        def status(request: Request) -> bool:
            return request.kind == "Rollout" and request.subresource == "status"

        transport.fail(Fault(refusal(409)), when=status, times=3)

    async with stage() as (theatre, argo):
        theatre.deploy()
        argo.starts()
        version = theatre.cluster.peek("Rollout", "app")["metadata"]["resourceVersion"]  # type: ignore[index]
        async with playing(theatre, arrange=refuse):
            await asyncio.sleep(60)
        assert condition(theatre)["status"] == "True"
        assert theatre.cluster.peek("Rollout", "app")["metadata"]["resourceVersion"] != version  # type: ignore[index]


async def test_given_a_watch_that_has_gone_deaf_when_the_lease_seems_to_run_out_then_the_server_is_asked() -> None:
    """A lease that is renewed unseen must not look like one that is not renewed."""
    async with stage() as (theatre, argo):
        theatre.deploy()
        argo.starts()

        def deafen(transport: FakeTransport) -> None:
            transport.fail(Fault(), when=lambda r: r.method == "WATCH" and r.kind == "Lease", times=10_000)

        async with playing(theatre, arrange=deafen):
            await asyncio.sleep(120)
            assert not deployed(theatre)


async def test_given_a_lease_that_may_not_be_read_when_started_then_nothing_is_done_and_it_is_said() -> None:
    forbidden = refusal(500)

    def refuse(transport: FakeTransport) -> None:
        transport.fail(Fault(forbidden), when=lambda r: r.kind == "Lease", times=10_000)

    async with stage() as (theatre, _):
        theatre.deploy()
        async with playing(theatre, arrange=refuse):
            await asyncio.sleep(60)
            assert not deployed(theatre)
            assert "not known yet" in theatre.engine.standing_aside
            assert not theatre.engine.synced, "a replica that can't tell is not ready"
            assert any(informer.problem for informer in theatre.engine.informers if informer.kind == "Lease")


@pytest.mark.parametrize(
    ("namespace", "name", "acts"),
    [
        pytest.param("elsewhere", NAME, False, id="in any namespace"),
        pytest.param("argo-rollouts", f"{NAME}-blue", True, id="another instance's"),
        pytest.param("argo-rollouts", "istio-leader", True, id="another program's"),
    ],
)
async def test_given_a_lease_when_it_lies_or_is_called_otherwise_then_only_its_name_counts(
    namespace: str, name: str, acts: bool
) -> None:
    async with stage() as (theatre, _):
        theatre.deploy()
        other = Argo(theatre, namespace, name)
        other.starts()
        async with playing(theatre):
            await asyncio.sleep(40)
            assert deployed(theatre) is acts
        await other.ends()


async def test_given_it_is_not_to_be_heeded_when_a_lease_is_renewed_then_work_goes_on() -> None:
    async with stage() as (theatre, argo):
        theatre.deploy()
        argo.starts()
        async with playing(theatre, argo_lease=""):
            await asyncio.sleep(10)
            assert deployed(theatre)


async def test_given_our_own_leader_election_when_standing_aside_then_our_lease_is_kept() -> None:
    async with stage() as (theatre, argo):
        theatre.deploy()
        argo.starts()
        async with playing(theatre, lease=Key("Lease", "default", "tidegate-controller-lock")):
            await asyncio.sleep(60)
            assert theatre.engine.leading
            assert condition(theatre)["status"] == "True"
            assert not deployed(theatre)
