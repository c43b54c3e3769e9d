"""The time after a run's end: when it is to be deleted, by its own `ttlStrategy`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tidegate.api import names
from tidegate.api.common import MAX_INT32
from tidegate.core.analysis import jobs
from tidegate.core.analysis.progress import Progress
from tidegate.core.analysis.verdicts import ENDED
from tidegate.core.analysis.world import RunPlan, RunWorld
from tidegate.core.plan import Key, Untold, Write


@dataclass(frozen=True, slots=True)
class DeleteExpired(Untold):
    """Delete a run whose time is over."""

    run: Mapping[str, Any]

    def write(self) -> Write:
        meta = self.run["metadata"]
        return Write("delete", Key(names.ANALYSIS_RUN, meta.get("namespace", ""), meta["name"]), uid=meta["uid"])


def expires(run: Mapping[str, Any]) -> bool:
    """Whether a run has ended and will be deleted for it some time."""
    return bool((run.get("spec") or {}).get("ttlStrategy")) and (run.get("status") or {}).get("phase") in ENDED


def decide_ended(world: RunWorld, progress: Progress) -> RunPlan:
    """Nothing is measured any more, so no Job is needed; the run is deleted at its time, or as soon after it as no
    Rollout names it."""
    at = expiry(world.run, progress)
    unneeded = jobs.unneeded((), Progress(), world)
    if at is None or world.named:
        return RunPlan(cleanup=unneeded)
    if at <= world.now:
        return RunPlan(cleanup=(DeleteExpired(world.run),))
    return RunPlan(cleanup=unneeded, again_at=at)


def expiry(run: Mapping[str, Any], progress: Progress) -> datetime | None:
    """When an ended run is to be deleted: by the field for its end, else by the one for any end. Counted from its
    completedAt, without which there is no telling."""
    strategy = (run.get("spec") or {}).get("ttlStrategy")
    if not isinstance(strategy, Mapping) or progress.completed_at is None:
        return None
    field = {
        "Successful": "secondsAfterSuccess",
        "Failed": "secondsAfterFailure",
        "Error": "secondsAfterFailure",
    }.get(progress.phase, "")
    seconds = strategy.get(field)
    if seconds is None:
        seconds = strategy.get("secondsAfterCompletion")
    if type(seconds) is not int or not 0 <= seconds <= MAX_INT32:
        return None  # of a spec that could not be read, for which the run has ended
    return progress.completed_at + timedelta(seconds=seconds)
