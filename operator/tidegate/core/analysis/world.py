"""What an analysis run's decision sees and hands back, and the one form that every provider's answer takes.

The engine asks `decide` twice at an instant at which something is due: first it is told what to measure,
then it is given the readings and writes the status once. Nothing is written between the two, so a process
that dies in between
has lost a query and nothing else: its successor is told to measure again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tidegate.api.analysis import SecretKeyRef
from tidegate.core.analysis.compare.windows import Window
from tidegate.core.analysis.job_objects import CreateJob, Job
from tidegate.core.analysis.metrics import Understood
from tidegate.core.plan import Action, Event


@dataclass(frozen=True, slots=True)
class Reading:
    """What a provider answered to one query, before any condition has looked at it.

    value: what conditions see as `result` (a float, a list of floats, or whatever JSON the provider speaks
    of).
    text: the value as the measurement shows it, such as `[0.95]`.
    error: why there is no value; empty when there is one. It never holds credentials.
    metadata: more about the measurement for the status, such as a provider's warnings.
    asked: what was asked, for the metric's entry in the status, such as the resolved query.
    hidden: credentials that the texts above are free of, and whatever is said about `value` must be too.
    resume: there is no answer yet: ask again after so long, with `metadata` to know the question by.
    """

    value: Any = None
    text: str = ""
    error: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = field(default=frozenset(), repr=False)
    resume: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """One reading with the metric that it was taken for and the time that it took.

    window: of a comparison, the one that was asked about.
    """

    metric: str
    started_at: datetime
    finished_at: datetime
    reading: Reading
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A measurement to take now.

    spec: the metric's provider mapping with one key, the provider's name (`{"prometheus": {...}}`), with
        every argument filled in but for those in `secrets`, which whoever measures reads at that moment.
    timeout: the longest that it may take; the reading is an error after that.
    interval: of the metric, if it has one. run_started_at: when the run's first measurement was taken.
    resume: the metadata of a measurement that is under way, which is to be gone on with; empty for a new one.
    window: of a comparison, the one that is asked about.
    id: of this measurement, the same whoever takes it: the run's uid, the metric and the measurement's number.
    """

    metric: str
    spec: Mapping[str, Any]
    timeout: timedelta
    secrets: Mapping[str, SecretKeyRef] = field(default_factory=dict)
    interval: timedelta | None = None
    run_started_at: datetime | None = None
    resume: Mapping[str, str] = field(default_factory=dict)
    window: Window | None = None
    id: str = ""

    @property
    def provider(self) -> str:
        """The registry's name for who answers, such as `prometheus`."""
        return next(iter(self.spec))


@dataclass(frozen=True, slots=True)
class RunWorld:
    """One AnalysisRun as the cluster shows it, the time, and the readings that were just taken for it.

    refused: measurements that the API server would not let a Job take, in this reconcile.
    jobs: the Jobs that this run has started. Only looked up for a run that `asks_jobs`.
    understood: what `read_run` has made of the run's spec, if that is known already.
    named: whether the status of the Rollout that owns it names it, so that it must not be deleted yet. Only looked up
    for a run that `expires`.
    """

    run: Mapping[str, Any]
    now: datetime
    readings: tuple[Taken, ...] = ()
    refused: tuple[Taken, ...] = ()
    jobs: tuple[Job, ...] = ()
    named: bool = False
    understood: Understood | None = None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The outcome of one decision over an AnalysisRun.

    measures: to be taken together, now. While there are any, `status` is None: decide again with their
    readings.
    starts: Jobs to be created before anything else is decided. While there are any, all else is empty.
    status: the whole `.status` that the run should have, or None to leave it.
    cleanup: to be carried out once the status stands: it may remove what the status was decided on.
    events: what changed with this status; recorded after it has been written.
    again_at: look again at this time even if nothing happens.
    """

    measures: tuple[Measure, ...] = ()
    starts: tuple[CreateJob, ...] = ()
    status: Mapping[str, Any] | None = None
    events: tuple[Event, ...] = ()
    cleanup: tuple[Action, ...] = ()
    again_at: datetime | None = None
