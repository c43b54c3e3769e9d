"""Reconciling an AnalysisRun: decide what to measure, measure it, decide again, write the status once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from tidegate.api import names
from tidegate.cluster.errors import Conflict
from tidegate.cluster.events import Recorder
from tidegate.cluster.store import Store, View
from tidegate.core.analysis.decide import decide
from tidegate.core.analysis.expiry import expires
from tidegate.core.analysis.world import Measure, RunWorld, Taken
from tidegate.core.plan import Key
from tidegate.core.rollout.gates import named_in
from tidegate.engine.controller import DONE, Outcome
from tidegate.engine.writing import Writer, status_write
from tidegate.providers.base import Providers

_ATTEMPTS: Final = 4


class Runs:
    """The reconcile function of AnalysisRuns."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        recorder: Recorder,
        providers: Providers,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._writer = writer
        self._recorder = recorder
        self._providers = providers
        self._now = now

    async def reconcile(self, key: Key) -> Outcome:
        """Take the measurements that are due and write what follows from them."""
        readings: tuple[Taken, ...] = ()
        for attempt in range(_ATTEMPTS):
            view = self._store.view(key)
            world = self._gather(view, key, readings)
            view.commit()
            if world is None:
                return DONE
            run, plan = world.run, decide(world)
            for action in plan.actions:
                await self._writer.send(action.write(), key)
            if plan.measures and not readings:
                readings = tuple(await asyncio.gather(*map(self._take, plan.measures)))
                continue
            if plan.status is None:
                return Outcome(self._until(plan.again_at))
            try:
                await self._write(key, run, plan.status)
            except Conflict:
                # Somebody asked the run to end, or marked it: the readings still count on the fresh object.
                if attempt + 1 == _ATTEMPTS:
                    raise
                continue
            for event in plan.events:
                self._recorder.record(run, event)
            return Outcome(self._until(plan.again_at))
        return Outcome(0.0)

    def _gather(self, view: View, key: Key, readings: tuple[Taken, ...]) -> RunWorld | None:
        """The world of one run; None when it is gone, or going."""
        run = view.get(key)
        if run is None or "deletionTimestamp" in run["metadata"]:
            return None
        named = expires(run) and _is_named(view, key, run)
        return RunWorld(run, self._now(), readings, named=named)

    async def _take(self, measure: Measure) -> Taken:
        started = self._now()
        reading = await self._providers.take(measure)
        return Taken(measure.metric, started, self._now(), reading)

    async def _write(self, key: Key, run: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        await self._writer.send(status_write(run, status), key)

    def _until(self, moment: datetime | None) -> float | None:
        return None if moment is None else max(0.0, (moment - self._now()).total_seconds())


def _is_named(view: View, key: Key, run: Mapping[str, Any]) -> bool:
    """Whether the status of a Rollout that owns the run names it."""
    owners = [owner for owner in run["metadata"].get("ownerReferences") or () if owner.get("kind") == names.ROLLOUT]
    rollouts = [view.get(Key(names.ROLLOUT, key.namespace, owner["name"])) for owner in owners]
    return any(key.name in named_in(rollout.get("status") or {}) for rollout in rollouts if rollout)
