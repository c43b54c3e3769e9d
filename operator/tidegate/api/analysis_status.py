"""The status of an AnalysisRun, which the operator writes and the plugin, dashboards and Argo CD read."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from tidegate.api.common import STATUS, Bool, Natural, Str, StringMap, Time


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Measurement:
    """One measurement."""

    phase: Str = ""
    """Running, Successful, Failed, Inconclusive or Error."""
    message: Str = ""
    """Why it has this phase, such as the provider's error."""
    started_at: Time | None = None
    """When it was started."""
    finished_at: Time | None = None
    """When its value was there."""
    value: Str = ""
    """The measured value."""
    metadata: StringMap | None = None
    """More about the measurement, from the provider."""
    resume_at: Time | None = None
    """When a measurement that takes long is looked at again."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class MetricResult:
    """What one metric has measured so far."""

    name: Str
    """The metric's name."""
    phase: Str = ""
    """Pending, Running, Successful, Failed, Inconclusive or Error."""
    measurements: tuple[Measurement, ...] = ()
    """The latest measurements, the newest last."""
    message: Str = ""
    """Why the metric has this phase."""
    count: Natural = 0
    """Measurements that got an answer: successful, failed and inconclusive ones."""
    successful: Natural = 0
    """Measurements that were successful."""
    failed: Natural = 0
    """Measurements that failed."""
    inconclusive: Natural = 0
    """Measurements that were inconclusive."""
    error: Natural = 0
    """Measurements that got no answer."""
    consecutive_error: Natural = 0
    """The latest measurements in a row that got no answer."""
    consecutive_success: Natural = 0
    """The latest measurements in a row that were successful."""
    dry_run: Bool = False
    """Whether the metric is only watched and decides nothing."""
    metadata: StringMap | None = None
    """More about the metric, such as the query with its arguments filled in."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class RunSummary:
    """How many metrics ended in which way."""

    count: Natural = 0
    """Metrics of the run."""
    successful: Natural = 0
    """Metrics that were successful."""
    failed: Natural = 0
    """Metrics that failed."""
    inconclusive: Natural = 0
    """Metrics that were inconclusive."""
    error: Natural = 0
    """Metrics that got no answer."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class AnalysisRunStatus:
    """How the run is doing."""

    phase: Str = ""
    """Pending, Running, Successful, Failed, Inconclusive or Error."""
    message: Str = ""
    """Why the run has this phase."""
    metric_results: tuple[MetricResult, ...] = ()
    """What each metric has measured."""
    started_at: Time | None = None
    """When the run started."""
    completed_at: Time | None = None
    """When the run ended."""
    run_summary: RunSummary | None = None
    """How many metrics ended in which way."""
    dry_run_summary: RunSummary | None = None
    """How many metrics that are only watched ended in which way."""
