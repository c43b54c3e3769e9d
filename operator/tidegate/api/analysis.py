"""AnalysisTemplates and the spec of AnalysisRuns: what to measure, how often, and what counts as good.

A number or a duration may still hold `{{args.name}}`. Such a field is judged once it has been filled in.
"""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from tidegate.api.common import SPEC, Bool, Int, IntOrString, Natural, Str, int_of
from tidegate.api.compare import Compare, Judgement
from tidegate.api.jobs import JobMetric
from tidegate.api.providers import (
    CloudWatchMetric,
    DatadogMetric,
    GraphiteMetric,
    InfluxdbMetric,
    KayentaMetric,
    NewRelicMetric,
    PrometheusMetric,
    SkyWalkingMetric,
    WavefrontMetric,
    WebMetric,
)


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class FieldRef:
    """A field of the Rollout."""

    field_path: Str
    """Where the field stands, such as metadata.name, metadata.labels['app'] or spec.template.spec.nodeName."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ValueFromHash:
    """An argument's value, taken from the Rollout."""

    pod_template_hash_value: Literal["Stable", "Latest"] | None = None
    """The pod template hash of the stable or of the latest version: Stable or Latest."""
    field_ref: FieldRef | None = None
    """A field of the Rollout, as it is when the run is created."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class SecretKeyRef:
    """One entry of a Secret."""

    name: Str
    """The name of a Secret in the run's namespace."""
    key: Str
    """Which of the Secret's entries to take."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ValueFrom:
    """Where an argument's value comes from."""

    secret_key_ref: SecretKeyRef | None = None
    """An entry of a Secret, read for each measurement. It may be used within provider only, and is shown
    nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Argument:
    """An argument of a template or of a run."""

    name: Str
    """The argument's name. Queries and conditions use it as {{args.name}}."""
    value: Str | None = None
    """The argument's value. A template without it leaves it to the Rollout."""
    value_from: ValueFrom | None = None
    """Where the value comes from instead."""

    @property
    def secret(self) -> SecretKeyRef | None:
        """The entry of a Secret that the value is, if it is one."""
        return self.value_from.secret_key_ref if self.value_from is not None else None


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class MetricProvider:
    """Who is asked for a measurement. Exactly one field is set."""

    prometheus: PrometheusMetric | None = None
    """Ask Prometheus."""
    web: WebMetric | None = None
    """Ask any server that answers with JSON."""
    datadog: DatadogMetric | None = None
    """Ask Datadog."""
    wavefront: WavefrontMetric | None = None
    """Ask Wavefront."""
    new_relic: NewRelicMetric | None = None
    """Ask New Relic."""
    graphite: GraphiteMetric | None = None
    """Ask Graphite."""
    influxdb: InfluxdbMetric | None = None
    """Ask InfluxDB."""
    skywalking: SkyWalkingMetric | None = None
    """Ask SkyWalking."""
    cloud_watch: CloudWatchMetric | None = None
    """Ask Amazon CloudWatch."""
    kayenta: KayentaMetric | None = None
    """Let Kayenta compare two versions: its score is good, bad or in between."""
    job: JobMetric | None = None
    """Run a Kubernetes Job: a good measurement if it completes, a bad one if it fails."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Metric:
    """Something to measure, and what counts as good."""

    name: Str
    """The metric's name. No two metrics of a run have the same."""
    interval: Str = ""
    """Time between measurements, such as 30s or 5m. Without it there is only one measurement."""
    initial_delay: Str = ""
    """How long to wait before the first measurement, such as 30s."""
    count: IntOrString | None = None
    """How many measurements to take. Default: 1, or without end when interval is given. More than one needs
    an interval."""
    success_condition: Str = ""
    """An expression over `result` that is true for a good measurement, such as result[0] >= 0.95."""
    failure_condition: Str = ""
    """An expression over `result` that is true for a bad measurement. With both conditions, a measurement
    that satisfies neither is inconclusive."""
    failure_limit: IntOrString | None = None
    """Failed measurements that are tolerated. Default: 0; -1 tolerates any number and needs
    consecutiveSuccessLimit."""
    inconclusive_limit: IntOrString | None = None
    """Inconclusive measurements that are tolerated. Default: 0."""
    consecutive_error_limit: IntOrString | None = None
    """Measurements in a row without an answer that are tolerated. Default: 4."""
    consecutive_success_limit: IntOrString | None = None
    """Good measurements in a row that make the metric successful. Default: 0, which turns this off."""
    provider: MetricProvider
    """Who is asked for the measurement."""
    compare: Compare | None = None
    """Compare the canary with stable, in place of conditions over a single value."""

    @property
    def effective_count(self) -> int | None:
        """How many measurements to take, or None for no end. Raises ValueError while `count` waits for an
        argument."""
        count = int_of(self.count, 0)
        if count == 0:
            return None if self.interval else 1
        return count


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class DryRun:
    """Metrics that are only watched: whatever they measure, the run's end is decided by the others."""

    metric_name: Str
    """A regular expression that is found in the names of these metrics; * means all of them."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class MeasurementRetention:
    """How many measurements of some metrics the status keeps."""

    metric_name: Str
    """A regular expression that is found in the names of these metrics; * means all of them."""
    limit: Int
    """How many to keep, the latest. 0 or less means the default of 10."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class TemplateRef:
    """An AnalysisTemplate or ClusterAnalysisTemplate by name."""

    template_name: Str
    """The template's name."""
    cluster_scope: Bool = False
    """Whether the name is that of a ClusterAnalysisTemplate. Default: an AnalysisTemplate in the Rollout's
    namespace."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class AnalysisTemplateSpec:
    """What to measure, for use by Rollouts."""

    metrics: tuple[Metric, ...] = ()
    """The metrics. At least one, here or in a template that this one contains."""
    templates: tuple[TemplateRef, ...] = ()
    """Templates whose metrics, arguments and rules belong to this one too."""
    args: tuple[Argument, ...] = ()
    """The arguments that queries and conditions use."""
    dry_run: tuple[DryRun, ...] = ()
    """Metrics that are only watched."""
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    """How many measurements to keep, where that is not 10. Of several entries for a metric the last counts."""
    judge: Judgement | None = None
    """How metrics with compare decide together."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class TTLStrategy:
    """How long a run is kept once it has ended. One that a Rollout's status names is kept longer, until it does not."""

    seconds_after_completion: Natural | None = None
    """Seconds after any end for which none of the others is given."""
    seconds_after_failure: Natural | None = None
    """Seconds after an end as Failed or Error."""
    seconds_after_success: Natural | None = None
    """Seconds after an end as Successful."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class AnalysisRunSpec:
    """What is measured in one run."""

    metrics: tuple[Metric, ...] = ()
    """The metrics. At least one."""
    args: tuple[Argument, ...] = ()
    """The arguments that queries and conditions use, with their values."""
    dry_run: tuple[DryRun, ...] = ()
    """Metrics that are only watched."""
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    """How many measurements to keep, where that is not 10. Of several entries for a metric the last counts."""
    judge: Judgement | None = None
    """How metrics with compare decide together."""
    terminate: Bool = False
    """End the run now. What has been measured until then decides."""
    ttl_strategy: TTLStrategy | None = None
    """How long the run is kept once it has ended. Default: for ever."""
