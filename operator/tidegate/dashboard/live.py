"""What viewers are woken by: changes in the store, gathered for a moment so that ten of them are one message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from tidegate.cluster.store import Change, Store
from tidegate.core.plan import Key
from tidegate.core.view.tree import owner_uid
from tidegate.dashboard.trails import Trails

Obj = dict[str, Any]

GATHER: Final = 0.2
"""Seconds for which changes are gathered."""
_READER: Final = "the page"
_OWNED: Final = ("ReplicaSet", "AnalysisRun", "Experiment")


class Ear:
    """One viewer: which Rollouts have changed since they last looked.

    only: the one that they look at; None for all. uid: of that one, as it was last seen, for what it owns.
    """

    def __init__(self, only: Key | None = None) -> None:
        self.only = only
        self.uid = ""
        self._changed: dict[Key, None] = {}
        self._woken = asyncio.Event()

    def wake(self, key: Key | None = None) -> None:
        """Something has happened, to this Rollout."""
        if key is not None:
            self._changed[key] = None
        self._woken.set()

    async def hear(self, within: float) -> list[Key] | None:
        """The Rollouts that have changed, once something has; None if nothing has for so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self._woken.wait()
        except TimeoutError:
            return None
        await asyncio.sleep(GATHER)
        self._woken.clear()
        changed, self._changed = list(self._changed), {}
        return changed


class Live:
    """A store's Rollouts, their owned objects, and those who look at them.

    namespace: the one that the store knows; empty for all. problems: why the store can't follow the cluster, if so.
    """

    def __init__(
        self,
        store: Store,
        namespace: str = "",
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        problems: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self.namespace = namespace
        self.now = now
        self._problems = problems
        self.trails = Trails(now)
        self.closed = False
        self._store = store
        self._ears: set[Ear] = set()
        for key in store.keys("Rollout"):
            self.trails.note(key, store.get(key))
        store.on_change("Rollout", self._rollout_changed)
        for kind in _OWNED:
            store.on_change(kind, self._owned_changed)

    @property
    def ready(self) -> bool:
        """Whether the first lists are in."""
        return self._store.synced("Rollout")

    @property
    def lost(self) -> str:
        """What to tell viewers while the store can't follow the cluster; empty while it does."""
        problems = self._problems()
        return f"Out of touch with the cluster, so this may be out of date: {problems[0]}" if problems else ""

    @property
    def viewers(self) -> int:
        return len(self._ears)

    def rollouts(self) -> list[Obj]:
        """All Rollouts, by namespace and name."""
        found = (self._store.get(key) for key in sorted(self._store.keys("Rollout")))
        return [rollout for rollout in found if rollout is not None]

    def rollout(self, namespace: str, name: str) -> Obj | None:
        return self._store.get(Key("Rollout", namespace, name))

    def owned(self, rollout: Obj, *kinds: str) -> list[Obj]:
        """What the Rollout owns of these kinds."""
        metadata = rollout["metadata"]
        view = self._store.view(_READER)
        found = [obj for kind in kinds for obj in view.owned(kind, metadata["uid"], metadata.get("namespace", ""))]
        self._store.forget(_READER)  # The ears wake viewers; the store's own readers are the engine's keys.
        return found

    @contextmanager
    def listening(self, only: Key | None = None) -> Iterator[Ear]:
        """An ear for the block."""
        ear = Ear(only)
        self._ears.add(ear)
        try:
            yield ear
        finally:
            self._ears.discard(ear)

    def close(self) -> None:
        """Send every viewer home: the process ends."""
        self.closed = True
        for ear in self._ears:
            ear.wake()

    def _rollout_changed(self, change: Change) -> None:
        self.trails.note(change.key, change.new)
        for ear in self._ears:
            if ear.only in (None, change.key):
                ear.wake(change.key)

    def _owned_changed(self, change: Change) -> None:
        if not self._ears:
            return
        owners = {owner_uid(obj) for obj in (change.old, change.new) if obj is not None}
        for ear in self._ears:
            if ear.uid and ear.uid in owners:
                ear.wake()
