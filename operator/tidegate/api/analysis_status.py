"""The status of an AnalysisRun, which the operator writes and the plugin, dashboards and Argo CD read."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from tidegate.api.common import STATUS, Bool, Natural, Opaque, Str, StringMap, Time


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
class Comparison:
    """What a metric that compares has found so far."""

    kind: Str = ""
    """counts, distribution or samples."""
    verdict: Str = ""
    """worse, safe or not yet."""
    message: Str = ""
    """The finding in one sentence."""
    since: Time | None = None
    """When the window of the last look begins."""
    up_to: Time | None = None
    """When the window of the last look ends; the next one begins there."""
    enough: Bool = False
    """Whether the traffic so far would have sufficed to find a canary safe that does exactly as stable does."""
    record: Opaque | None = None
    """Both arms, their ratio with its interval, the evidence against and for, when it crossed, and its way so far."""
    state: Opaque | None = None
    """What the next look needs of those before it. It goes when the metric has ended."""


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
    compare: Comparison | None = None
    """What the metric has found, if it compares."""


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
class RunJudgement:
    """What the metrics that compare say together."""

    safe: Bool = False
    """Whether the canary is safe by all that they have seen so far."""
    advance: Bool = False
    """Whether to go on before the planned end, because it is safe and advanceWhenSafe says so."""
    hold: Str = ""
    """Why there has been too little traffic for a verdict, and how much is missing."""
    undecided: Str = ""
    """Why there is no verdict yet though there has been enough traffic for one."""
    looks_left: Natural = 0
    """How many looks are planned before that counts; none for a metric without a count."""
    since: Time | None = None
    """When the oldest window of their last looks begins."""
    score: Str = ""
    """The score so far, from 0 to 100."""
    message: Str = ""
    """What the score is made of."""


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
    judge: RunJudgement | None = None
    """What the metrics that compare say together."""
    dry_run_summary: RunSummary | None = None
    """How many metrics that are only watched ended in which way."""
