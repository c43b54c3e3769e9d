"""The engine: one store, three controllers, one lease, wired together.

Every replica keeps its store warm; only the one that holds the lease works on keys. What feeds the store from outside
(the shell's watches) and what tells time are given, so that the whole engine runs against an API server in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import structlog

from tidegate.api import names
from tidegate.cluster.client import Client
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.events import Recorder
from tidegate.cluster.informer import Informer
from tidegate.cluster.lease import Elector, LeadershipOverrunError, LeaseTiming, boot_clock
from tidegate.cluster.limits import TokenBucket
from tidegate.cluster.neighbour import Neighbour, State
from tidegate.cluster.store import Change, Store
from tidegate.cluster.transport import Transport
from tidegate.core.plan import Event, Key
from tidegate.core.rollout.world import Workload
from tidegate.engine.aside import Reconcile, StandingAside
from tidegate.engine.claims import Claims
from tidegate.engine.controller import Controller, Outcome, Result
from tidegate.engine.desk import EngineDesk, Sent
from tidegate.engine.experiments import Experiments
from tidegate.engine.kinds import BY_INSTANCE, RULES, WATCHED_BY_INFORMERS, WATCHED_BY_SHELL
from tidegate.engine.measuring import Measuring
from tidegate.engine.queue import WorkQueue
from tidegate.engine.review import Reviewer
from tidegate.engine.rollouts import Rollouts
from tidegate.engine.runs import Runs
from tidegate.engine.signatures import Signatures
from tidegate.engine.workloads import OnDemand
from tidegate.engine.writing import Writer
from tidegate.providers.base import Providers

log = structlog.get_logger(__name__)


class Watching(Protocol):
    """What metrics learn from the engine; see `tidegate.observe.metrics`."""

    def request(self, verb: str, kind: str, status: int, seconds: float) -> None: ...

    def reconciled(self, controller: str, key: Key, result: Result, seconds: float) -> None: ...

    def waited(self, controller: str, seconds: float) -> None: ...

    def recorded(self, about: Mapping[str, Any], event: Event) -> None: ...

    def changed(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None: ...


class Listener(Protocol):
    """Who tells others of what happens, while this replica leads: people (`tidegate.observe.notify.courier`)
    and traces (`tidegate.observe.tracing`)."""

    def changed(self, key: Key) -> None: ...

    def heard(self, key: Key, event: Event) -> None: ...

    def look_at_everything(self) -> None: ...

    def forget(self, key: Key) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How one process of the operator runs.

    namespace: the one to work in; empty for all. instance_id: of the Rollouts, Experiments and AnalysisRuns to look
    after; empty for those that bear none. lease: where leaders are elected; None works without election.
    home: the namespace of the operator itself, where providers look for the Secrets that they are set up with.
    argo_lease: the name of the lease of Argo Rollouts' controller: nothing is done while that is renewed; empty for not
    looking. argo_namespace: where it lies; empty for anywhere.
    rate, burst: API requests a second, and at once.
    """

    namespace: str = ""
    instance_id: str = ""
    home: str = "default"
    identity: str = "tidegate"
    lease: Key | None = None
    timing: LeaseTiming = field(default_factory=LeaseTiming)
    argo_lease: str = ""
    argo_namespace: str = ""
    rollout_workers: int = 16
    run_workers: int = 64
    experiment_workers: int = 10
    rate: float = 1000.0
    burst: int = 2000
    shell_watches: bool = True


class Engine:
    """One replica of the operator, from its first list to its last write."""

    def __init__(
        self,
        transport: Transport,
        providers: Providers,
        settings: EngineSettings,
        *,
        watching: Watching | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = boot_clock,
        on_overrun: Callable[[LeadershipOverrunError], object] = lambda _: None,
    ) -> None:
        """now: the time that decisions see and statuses show. clock: monotonic seconds, for the lease.

        on_overrun: called when work could not be stopped before another replica may begin; should end the process.
        """
        self.settings = settings
        self._watching = watching
        self._listeners: list[Listener] = []
        self.store = Store(RULES, on_wake=self._wake)
        limiter = TokenBucket(rate=settings.rate, burst=settings.burst)
        on_request = watching.request if watching else None
        self.client = Client(transport, limiter=limiter, on_request=on_request, write_budget=self._may_write)
        self.recorder = Recorder(
            self.client,
            instance=settings.identity,
            busy=self._has_a_backlog,
            on_record=self._recorded,
        )
        self._writer = Writer(self.client, self.store)
        self._on_demand = OnDemand(self.client, self.store, settings.namespace)
        self._signatures = Signatures(self.store, self._wake)
        claims = Claims(self.store, self._wake)
        self.reviewer = Reviewer(self.store, self._signatures, claims, now, lambda: self.synced)
        rollouts = self._rollouts = Rollouts(
            self.store,
            self._writer,
            self.recorder,
            now,
            signatures=self._signatures,
            claims=claims,
            ensure=self._on_demand.ensure,
        )
        measuring = Measuring(providers, self.client, settings.home, now)
        runs = Runs(self.store, self._writer, self.recorder, measuring, now)
        experiments = Experiments(self.store, self._writer, self.recorder, now)
        reconcile_rollout: Reconcile = rollouts.reconcile
        reconcile_experiment: Reconcile = experiments.reconcile
        reconcile_run: Reconcile = runs.reconcile
        self.neighbour: Neighbour | None = None
        self.aside: StandingAside | None = None
        if settings.argo_lease:
            self.neighbour = Neighbour(self.client, on_change=self._neighbour_changed, clock=clock, wall=now)
            teller = Client(transport, limiter=limiter, on_request=on_request, write_budget=self._leads_for)
            self.aside = StandingAside(self.neighbour, teller, self.store, now)
            reconcile_rollout = self.aside.before(rollouts.reconcile, tell=True)
            reconcile_run = self.aside.before(runs.reconcile, tell=False)
            reconcile_experiment = self.aside.before(experiments.reconcile, tell=False)
        self.rollouts = _controller("rollout", reconcile_rollout, settings.rollout_workers, watching)
        self.runs = _controller("analysisrun", reconcile_run, settings.run_workers, watching)
        self.experiments = _controller("experiment", reconcile_experiment, settings.experiment_workers, watching)
        self._providers = providers
        self._on_overrun = on_overrun
        self._controllers = (self.rollouts, self.runs, self.experiments)
        kinds = (names.ROLLOUT, names.ANALYSIS_RUN, names.EXPERIMENT)
        self._queues = {kind: controller.queue for kind, controller in zip(kinds, self._controllers, strict=True)}
        for kind in self._queues:
            self.store.on_change(kind, self._changed)
        if watching is not None:
            self.store.on_change("Rollout", partial(self._tell, watching))
        self.informers = [
            Informer(self.client, self.store, kind, namespace=_scope(kind, settings), label_selector=selector)
            for kind, selector in self._informed()
        ]
        self._lease_informers = self._watch_leases()
        for kind in WATCHED_BY_SHELL:
            self.store.expect(kind, _scope(kind, settings))
        self.elector = self._make_elector(clock)
        self._working: asyncio.Task[None] | None = None
        self._giving_back: asyncio.Task[None] | None = None
        self._listed = asyncio.Event()

    def desk(self, sent: Sent) -> EngineDesk:
        """What a courier needs of this engine. sent: told of every message that was tried."""
        return EngineDesk(
            self.client,
            self.store,
            self._writer,
            home=self.settings.home,
            acts=lambda: self.leading and not self.standing_aside,
            record=self.recorder.record,
            sent=sent,
        )

    def listen(self, listener: Listener) -> None:
        """Have `listener` told of changes, events and of the beginning of leadership; before `run`."""
        self._listeners.append(listener)
        self.store.on_change(names.ROLLOUT, partial(_pass_on, listener))
        self.store.on_change(names.ANALYSIS_RUN, partial(_pass_on, listener))

    def _recorded(self, about: Mapping[str, Any], event: Event) -> None:
        if self._watching is not None:
            self._watching.recorded(about, event)
        if about.get("kind") == names.ROLLOUT:
            metadata = about["metadata"]
            for listener in self._listeners:
                listener.heard(Key(names.ROLLOUT, metadata.get("namespace", ""), metadata["name"]), event)

    def _informed(self) -> Sequence[tuple[str, str]]:
        by_shell = () if self.settings.shell_watches else tuple((kind, "") for kind in WATCHED_BY_SHELL)
        mine = names.INSTANCE_ID
        ours = f"{mine}={self.settings.instance_id}" if self.settings.instance_id else f"!{mine}"
        informed = ((kind, ours if kind in BY_INSTANCE else by) for kind, by in WATCHED_BY_INFORMERS.items())
        return (*by_shell, *informed)

    def _watch_leases(self) -> list[Informer]:
        """What feeds the neighbour: the leases of its name, and no others."""
        if self.neighbour is None:
            return []
        see = self.neighbour.see
        self.store.on_change("Lease", lambda change: see(change.key, change.new))
        only = f"metadata.name={self.settings.argo_lease}"
        watch = Informer(self.client, self.store, "Lease", namespace=self.settings.argo_namespace, field_selector=only)
        self.informers.append(watch)
        return [watch]

    async def refresh(self, kind: str) -> None:
        """List a kind that the shell watches, and forget what is no longer there."""
        scope = _scope(kind, self.settings)
        listing = None
        async for page in self.client.pages(kind, scope):
            listing = listing or self.store.relist(kind, page.resource_version, scope)
            for item in page.items:
                listing.add(item)
        if listing is not None:
            listing.finish()
        if self.store.synced(*WATCHED_BY_SHELL):
            self._listed.set()

    def hear(self, kind: str, type_: str, obj: dict[str, object]) -> None:
        """Take in one watch event of a kind that the shell watches."""
        self.store.apply(kind, type_, obj, scope=_scope(kind, self.settings))

    @property
    def synced(self) -> bool:
        """Whether every kind has been listed, so that nothing is missing merely because it was not read yet."""
        leases = ["Lease"] if self.neighbour else []
        return self.store.synced(*WATCHED_BY_SHELL, *WATCHED_BY_INFORMERS, *leases)

    @property
    def leading(self) -> bool:
        """Whether this replica is the one that works."""
        return self.elector is None or self.elector.leading

    @property
    def standing_aside(self) -> str:
        """Why this replica does nothing although it could, for people; empty when it does what it can."""
        return self.aside.why if self.aside else ""

    def queues(self) -> list[tuple[str, int, list[float]]]:
        """By controller the number of keys that are ready, and the seconds for which others have been worked on."""
        return [(each.name, each.queue.depth, each.under_way()) for each in self._controllers]

    def objects(self, kind: str) -> Iterator[Mapping[str, Any]]:
        """Every object of a kind, as it is when it is reached: the store may change on the way."""
        for key in self.store.keys(kind):
            if (obj := self.store.get(key)) is not None:
                yield obj

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the store warm, and work while leading; until `stop`, then finish what has begun and let go."""
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(informer.run(), name=f"watch {informer.kind}") for informer in self.informers
            ]
            background.append(group.create_task(self.recorder.run(), name="events"))
            if self.neighbour is not None:
                background.append(group.create_task(self.neighbour.run(self._leases_listed()), name="neighbour"))
            if self.elector is None:
                await self._start_work()
                await stop.wait()
                await self._stop_work()
            else:
                try:
                    await self.elector.run(stop)
                except LeadershipOverrunError as error:
                    self._on_overrun(error)
                    raise
            await self.recorder.flush(within=5.0)
            for task in background:
                task.cancel()
        await self._on_demand.close()
        await self._providers.close()

    async def _start_work(self) -> None:
        self._working = asyncio.create_task(self._work(), name="start work")

    async def _work(self) -> None:
        for informer in self.informers:
            await informer.synced.wait()
        if self.settings.shell_watches:
            await self._listed.wait()
        self._look_at_everything()
        for controller in self._controllers:
            await controller.start()
        await self._give_back_orphans()

    def _look_at_everything(self) -> None:
        for kind, queue in self._queues.items():
            for key in self.store.keys(kind):
                queue.add(key, low=True)
        for key in self._signatures.orphans():
            self._queues[key.kind].add(key, low=True)
        for listener in self._listeners:
            listener.look_at_everything()

    def _neighbour_changed(self, state: State) -> None:
        self._look_at_everything()
        if self.leading and not self.standing_aside:
            self._giving_back = asyncio.create_task(self._give_back_orphans(), name="give back")

    async def _leases_listed(self) -> None:
        for informer in self._lease_informers:
            await informer.synced.wait()

    async def _give_back_orphans(self) -> None:
        """Deployments whose Rollout was deleted while nobody led get their pods back."""
        try:
            found, _ = await self.client.list("Deployment", self.settings.namespace, f"{names.SCALED_DOWN}=true")
            for raw in found:
                workload = Workload.read(Key("Deployment", raw["metadata"]["namespace"], raw["metadata"]["name"]), raw)
                if not workload.by:
                    continue
                await self._rollouts.give_back(Key("Rollout", workload.key.namespace, workload.by), workload)
        except ClusterError as error:
            log.warning("can't look for Deployments whose Rollout is gone; they stay scaled down", error=str(error))

    async def _stop_work(self) -> None:
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working])
        await asyncio.gather(*(controller.stop() for controller in self._controllers))

    def _make_elector(self, clock: Callable[[], float]) -> Elector | None:
        if self.settings.lease is None:
            return None
        return Elector(
            self.client,
            self.settings.lease,
            self.settings.identity,
            on_started=self._start_work,
            on_stopped=self._stop_work,
            timing=self.settings.timing,
            clock=clock,
        )

    def _has_a_backlog(self) -> bool:
        return any(queue.depth for queue in self._queues.values())

    def _may_write(self) -> float:
        """What is under way when the neighbour comes back is stopped at its next write."""
        return 0.0 if self.aside and self.aside.active else self._leads_for()

    def _leads_for(self) -> float:
        return float("inf") if self.elector is None else self.elector.remaining()

    def _wake(self, reader: Hashable) -> None:
        if isinstance(reader, Key) and reader != self._writer.author:
            self._queues[reader.kind].add(reader)

    def _tell(self, watching: Watching, change: Change) -> None:
        """Tell of changes as they happen. A standby hears of them too, but only one may count them."""
        if change.old is not None and change.new is not None and not change.listed and self.leading:
            watching.changed(change.old, change.new)

    def _changed(self, change: Change) -> None:
        if change.new is not None and change.key != self._writer.author:
            self._queues[change.key.kind].add(change.key, low=change.listed)


def _pass_on(listener: Listener, change: Change) -> None:
    """Tell a listener which Rollout a change is about."""
    if change.key.kind == names.ROLLOUT:
        if change.new is None:
            listener.forget(change.key)
        else:
            listener.changed(change.key)
    elif change.new is not None:
        for owner in change.new["metadata"].get("ownerReferences") or ():
            if owner.get("kind") == names.ROLLOUT and owner.get("controller"):
                listener.changed(Key(names.ROLLOUT, change.key.namespace, owner["name"]))


def _controller(
    name: str, reconcile: Callable[[Key], Awaitable[Outcome]], workers: int, watching: Watching | None
) -> Controller[Key]:
    queue: WorkQueue[Key] = WorkQueue(on_wait=(lambda seconds: watching.waited(name, seconds)) if watching else None)
    return Controller(
        name,
        queue,
        reconcile,
        workers=workers,
        on_result=(lambda key, result, seconds: watching.reconciled(name, key, result, seconds)) if watching else None,
    )


def _scope(kind: str, settings: EngineSettings) -> str:
    return "" if kind == "ClusterAnalysisTemplate" else settings.namespace
