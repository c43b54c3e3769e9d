"""Reconciling a Rollout: gather, decide, apply, until nothing is left to do; then one write of the status.

Actions come first and the decision is made again on what they brought, so a step that needs four writes is taken in
one go and told in one status. The status is written when there is nothing else to do now. A crash anywhere in between
loses nothing: the next reconcile decides the same from the same cluster.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from tidegate.api import names
from tidegate.api.problems import Problem
from tidegate.cluster.errors import AlreadyExists, ApiError, TooManyRequests
from tidegate.cluster.events import Recorder
from tidegate.cluster.store import Store
from tidegate.core.plan import Action, Event, Key, Plan
from tidegate.core.rollout import needs
from tidegate.core.rollout.actions import GiveBack
from tidegate.core.rollout.decide import decide
from tidegate.core.rollout.world import Workload, World
from tidegate.engine.claims import Claims
from tidegate.engine.controller import DONE, Outcome
from tidegate.engine.gather import Gatherer
from tidegate.engine.holding import Held, earlier, until
from tidegate.engine.signatures import Signatures
from tidegate.engine.workloads import reference
from tidegate.engine.writing import Writer, status_write

_ROUNDS: Final = 30
_BUDGET_PAUSE: Final = timedelta(seconds=30)
_WRONG: Final = frozenset({400, 422})
"""What the API server answers to an object that can't be, whoever asks and however often."""


class Restless(Exception):  # noqa: N818 - a finding, not a Python error
    """Decisions kept asking for more writes: two rules contradict each other, or somebody undoes ours at once."""


class _Refused(Exception):  # noqa: N818 - an answer, not a defect
    """The API server does not let the next ReplicaSet be created."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(str(error))
        self.error = error

    def seen(self, world: World) -> World:
        """The world in which that is known."""
        if self.error.status in _WRONG:
            told = f"the API server takes no ReplicaSet with it: {self.error.message}"
            return replace(world, problems=(Problem("spec.template", told),))
        return replace(world, denied=f"{self.error}; this is tried again until it is allowed")


class Rollouts:
    """The reconcile function of Rollouts."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        recorder: Recorder,
        now: Callable[[], datetime],
        *,
        signatures: Signatures,
        claims: Claims,
        ensure: Callable[[str], Awaitable[None]],
    ) -> None:
        """ensure: have all of a kind known, which only some Rollouts need."""
        self._store = store
        self._writer = writer
        self._recorder = recorder
        self._now = now
        self._ensure = ensure
        self._workloads: dict[Key, Key] = {}
        self._signatures = signatures
        self._gatherer = Gatherer(now, signatures, claims)
        self._held = Held(now)
        # Until when disruption budgets are not asked again. Lost with the process, which then asks once more.
        self._refused: dict[Key, datetime] = {}
        # Rollouts that are somebody else's to work on, who then lets go of what they have signed.
        self._elsewhere: set[Key] = set()

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one Rollout as far as it can go now. What the API server refuses is told and tried again later."""
        refused: _Refused | None = None
        for _ in range(_ROUNDS):
            await self._know_workload(key)
            view = self._store.view(key)
            world = self._gatherer.rollout(view, key)
            if world is None:
                await self._give_back(key)
                await self._let_go(key)
                self._forget(key)
                return DONE
            self._elsewhere.discard(key)
            world = await self._complete(key, world)
            plan = decide(refused.seen(world) if refused else world)
            view.commit()
            if plan.actions:
                try:
                    await self._carry_out(key, world, plan.actions)
                except _Refused as error:
                    refused = error
            elif plan.status is not None:
                if wait := self._held.wait(key, plan):
                    return Outcome(earlier(wait, until(plan, self._now())))
                await self._write_status(key, world, plan)
            elif refused:
                raise refused.error
            else:
                return Outcome(until(plan, self._now()))
        raise Restless(f"{key} did not come to rest in {_ROUNDS} decisions")

    async def _know_workload(self, key: Key) -> None:
        """Have the kind watched that the Rollout takes its template from, and remember which one it is."""
        raw = self._store.get(key)
        if raw is not None and (workload := reference(raw)):
            await self._ensure(workload.kind)
            self._workloads[key] = workload

    async def _give_back(self, key: Key) -> None:
        """The Rollout is gone: a Deployment that it stood in for gets its pods back."""
        where = self._workloads.get(key)
        found = self._store.get(where) if where else None
        if where is not None and found is not None:
            await self.give_back(key, Workload.read(where, found))

    async def give_back(self, key: Key, workload: Workload) -> None:
        """Give a Deployment the pods back that the Rollout `key` has taken from it, if it has and is gone.

        The server is asked, for the store does not have those of other instances either.
        """
        if workload.by != key.name or workload.before is None or self._store.get(key) is not None:
            return
        if not await self._writer.exists(key):
            await self._writer.send(GiveBack(key.namespace, workload).write(), key)

    async def _complete(self, key: Key, world: World) -> World:
        """The world with what only this decision needs."""
        if refused := self._refused.get(key):
            if world.now >= refused:
                del self._refused[key]
            else:
                world = replace(world, no_eviction_before=refused)
        if hashes := needs.pods_of(world):
            world = replace(world, pods=await self._writer.pods(key.namespace, hashes))
        if asked := needs.endpoints_of(world):
            service, new = asked
            if needs.unheard_of(new, await self._writer.endpoints(service)):
                world = replace(world, unheard_of=new.hash)
        return world

    async def _carry_out(self, key: Key, world: World, actions: tuple[Action, ...]) -> None:
        for action in actions:
            write = action.write()
            try:
                await self._writer.send(write, key)
            except TooManyRequests:
                if write.subresource != "eviction":
                    raise
                self._refused[key] = self._now() + _BUDGET_PAUSE
                return
            except AlreadyExists:
                self._name_was_taken(world, write.key)
                return
            except ApiError as error:
                if error.passing:
                    raise
                if write.verb == "create" and write.key.kind == "ReplicaSet":
                    raise _Refused(error) from error
                self._recorder.record(world.rollout, Event(names.REASON_RECONCILIATION_ERROR, str(error), "Warning"))
                raise
            if action.event is not None:
                self._recorder.record(world.rollout, action.event)

    async def _let_go(self, key: Key) -> None:
        """Take the marks of a Rollout that is gone off the objects that outlive it.

        The server is asked first: one that is merely not ours to work on is not in the store either.
        """
        leftovers = self._signatures.leftovers(key)
        if not leftovers or key in self._elsewhere:
            return
        if await self._writer.exists(key):
            self._elsewhere.add(key)
            return
        for write in leftovers:
            await self._writer.send(write, key)

    def _name_was_taken(self, world: World, key: Key) -> None:
        """Ours after all (an earlier answer was lost), and in the store by now; or a stranger's, to be avoided."""
        found = self._store.get(key)
        owners = (found or {}).get("metadata", {}).get("ownerReferences") or ()
        if key.kind == "ReplicaSet" and not any(owner.get("uid") == world.uid for owner in owners):
            self._gatherer.strangers.add(key)

    async def _write_status(self, key: Key, world: World, plan: Plan) -> None:
        assert plan.status is not None
        await self._writer.send(status_write(world.rollout, plan.status), key)
        self._held.release(key)
        for event in plan.events:
            self._recorder.record(world.rollout, event)

    def _forget(self, key: Key) -> None:
        self._store.forget(key)
        self._gatherer.forget(key)
        self._held.release(key)
        self._refused.pop(key, None)
        self._workloads.pop(key, None)
