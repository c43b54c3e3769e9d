"""Reconciling an AnalysisRun: decide what to measure, measure it, decide again, write the status once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from tidegate.cluster.errors import Conflict
from tidegate.cluster.events import Recorder
from tidegate.cluster.store import Store
from tidegate.core.analysis.decide import decide
from tidegate.core.analysis.world import RunWorld, Taken
from tidegate.core.plan import Key
from tidegate.engine.controller import DONE, Outcome
from tidegate.engine.measuring import Measuring
from tidegate.engine.writing import Writer, status_write

_ATTEMPTS: Final = 4


class Runs:
    """The reconcile function of AnalysisRuns."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        recorder: Recorder,
        measuring: Measuring,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._writer = writer
        self._recorder = recorder
        self._measuring = measuring
        self._now = now

    async def reconcile(self, key: Key) -> Outcome:
        """Take the measurements that are due and write what follows from them."""
        readings: tuple[Taken, ...] = ()
        for attempt in range(_ATTEMPTS):
            view = self._store.view(key)
            run = view.get(key)
            view.commit()
            if run is None or "deletionTimestamp" in run["metadata"]:
                return DONE
            plan = decide(RunWorld(run, self._now(), readings))
            if plan.measures and not readings:
                readings = await self._measuring.take(key.namespace, plan.measures)
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

    async def _write(self, key: Key, run: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        await self._writer.send(status_write(run, status), key)

    def _until(self, moment: datetime | None) -> float | None:
        return None if moment is None else max(0.0, (moment - self._now()).total_seconds())
