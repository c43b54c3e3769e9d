"""Reconciling an AnalysisRun: decide what to measure, measure it, decide again, write the status once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from tidegate.api import names
from tidegate.api.jobs import is_job
from tidegate.cluster.errors import AlreadyExists, ApiError, Conflict
from tidegate.cluster.events import Recorder
from tidegate.cluster.store import Store, View
from tidegate.core.analysis.decide import decide
from tidegate.core.analysis.expiry import expires
from tidegate.core.analysis.job_objects import CreateJob, Job
from tidegate.core.analysis.metrics import Understood, read_run
from tidegate.core.analysis.world import Reading, RunPlan, RunWorld, Taken
from tidegate.core.plan import Key
from tidegate.core.rollout.slots import named_in
from tidegate.core.rollout.world import ENDED
from tidegate.engine.controller import DONE, Outcome
from tidegate.engine.measuring import Measuring
from tidegate.engine.writing import Writer, status_write

_ATTEMPTS: Final = 6


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
        self._understood: dict[Key, tuple[Any, Understood]] = {}

    async def reconcile(self, key: Key) -> Outcome:
        """Take the measurements that are due and write what follows from them."""
        readings: tuple[Taken, ...] = ()
        refused: tuple[Taken, ...] = ()
        for attempt in range(_ATTEMPTS):
            view = self._store.view(key)
            world = self._gather(view, key, readings, refused)
            view.commit()
            if world is None:
                self._understood.pop(key, None)
                return DONE
            plan = decide(world)
            if plan.starts:
                refused += await self._start(key, world.run, plan.starts)
                continue
            if plan.measures and not readings:
                readings = await self._measuring.take(key.namespace, plan.measures)
                continue
            try:
                await self._write(key, world.run, plan)
            except Conflict:
                # Somebody asked the run to end, or marked it: the readings still count on the fresh object.
                if attempt + 1 == _ATTEMPTS:
                    raise
                continue
            for action in plan.cleanup:
                await self._writer.send(action.write(), key)
            return Outcome(self._until(plan.again_at))
        return Outcome(0.0)

    def _gather(self, view: View, key: Key, readings: tuple[Taken, ...], refused: tuple[Taken, ...]) -> RunWorld | None:
        """The world of one run; None when it is gone, or going."""
        run = view.get(key)
        if run is None or "deletionTimestamp" in run["metadata"]:
            return None
        return RunWorld(
            run,
            self._now(),
            readings,
            refused,
            jobs=_jobs(view, key, run),
            named=expires(run) and _is_named(view, key, run),
            understood=self._read(key, run),
        )

    def _read(self, key: Key, run: Mapping[str, Any]) -> Understood | None:
        """What the spec means, read once for as long as it stays the same; None of a run that has ended."""
        if (run.get("status") or {}).get("phase") in ENDED:
            self._understood.pop(key, None)
            return None
        known = self._understood.get(key)
        if known is None or known[0] != run.get("spec"):
            known = self._understood[key] = (run.get("spec"), read_run(run))
        return known[1]

    async def _start(self, key: Key, run: Mapping[str, Any], starts: Iterable[CreateJob]) -> tuple[Taken, ...]:
        """Create Jobs; the measurements that can't be taken so because the server will not have their Jobs."""
        refused: list[Taken] = []
        for start in starts:
            write = start.write()
            try:
                await self._writer.send(write, key)
                continue
            except AlreadyExists as error:
                if _belongs(self._store.get(write.key), run):
                    continue  # An earlier answer was lost.
                said = str(error)
            except ApiError as error:
                if error.passing:
                    raise
                said = str(error)
            now = self._now()
            refused.append(Taken(start.metric, now, now, Reading(error=f"the Job was not created: {said}")))
        return tuple(refused)

    async def _write(self, key: Key, run: Mapping[str, Any], plan: RunPlan) -> None:
        if plan.status is None:
            return
        await self._writer.send(status_write(run, plan.status), key)
        for event in plan.events:
            self._recorder.record(run, event)

    def _until(self, moment: datetime | None) -> float | None:
        return None if moment is None else max(0.0, (moment - self._now()).total_seconds())


def _jobs(view: View, key: Key, run: Mapping[str, Any]) -> tuple[Job, ...]:
    """The Jobs of a run that measures by Jobs. Their ends wake it, and so do pods that can't get their image."""
    metrics = (run.get("spec") or {}).get("metrics")
    if not isinstance(metrics, list) or not any(map(is_job, metrics)):
        return ()
    raws = view.owned("Job", run["metadata"]["uid"], key.namespace)
    return tuple(Job.read(raw, view.owned("JobPod", raw["metadata"]["uid"], key.namespace)) for raw in raws)


def _belongs(job: Mapping[str, Any] | None, run: Mapping[str, Any]) -> bool:
    owners = job["metadata"].get("ownerReferences") or () if job else ()
    return any(owner.get("uid") == run["metadata"]["uid"] for owner in owners)


def _is_named(view: View, key: Key, run: Mapping[str, Any]) -> bool:
    """Whether the status of a Rollout or an Experiment that owns the run names it."""
    for owner in run["metadata"].get("ownerReferences") or ():
        named = _NAMED_IN.get(owner.get("kind"))
        found = view.get(Key(owner["kind"], key.namespace, owner["name"])) if named else None
        if named and found and key.name in named(found.get("status") or {}):
            return True
    return False


def _named_in_experiment(status: Mapping[str, Any]) -> set[str]:
    """The names of the runs that an Experiment's status holds on to: it has taken note of one that has ended."""
    return {
        entry.get("analysisRun", "")
        for entry in status.get("analysisRuns") or ()
        if entry.get("phase") not in ENDED and status.get("phase") not in ENDED
    }


_NAMED_IN: Final = {names.ROLLOUT: named_in, names.EXPERIMENT: _named_in_experiment}
