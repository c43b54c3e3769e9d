"""What a metric says to be compared: two arms, what is counted in each, and how sure the judge has to be.

These fields are Tidegate's own; Argo Rollouts does not know them. A number may be an argument, `{{args.name}}`.
Selectors name counters, gauges or histograms by PromQL's selector form; `{{arm.…}}` in them stands for the arm.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tidegate.api.common import SPEC, Bool, IntOrString, Number, Str


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Arm:
    """By what one version is known. Queries use it as {{arm.podTemplateHash}} and so on."""

    namespace: Str = ""
    """The namespace of the version's pods. Without it, a selector by hash also finds the same template elsewhere."""
    pod_template_hash: Str = ""
    """The pod template hash of the version."""
    replica_set: Str = ""
    """The name of the version's ReplicaSet."""
    service: Str = ""
    """The name of the Service in front of the version."""
    subset: Str = ""
    """The name of the DestinationRule's subset that stands for the version."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Arms:
    """The two versions that are compared."""

    canary: Arm = Arm()
    """The new version."""
    stable: Arm = Arm()
    """What the new version is compared with: stable, or a fresh baseline."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class CompareCounts:
    """Which share of the requests is bad, such as errors or slow answers."""

    total: Str
    """A selector of counters of all requests, such as http_requests_total{pod_hash="{{arm.podTemplateHash}}"}."""
    bad: Str = ""
    """A selector of counters of the bad ones among them. Either this or good is given."""
    good: Str = ""
    """A selector of counters of the good ones, such as a bucket of a latency histogram: all others are bad."""
    by: Str = "pod"
    """The label that tells pods of one version apart, so that one sick pod does not pass for a version; empty for none.
    Default: pod."""
    tolerated: Number | None = None
    """How many times as often as stable's the canary's requests may be bad. Default: 1.1."""
    safe: Number | None = None
    """How many times as often must be excluded before the canary is called safe. Default: 2."""
    negligible: Number | None = None
    """A share of bad requests below which the canary is safe whatever stable's share is. Default: 0.001; 0 turns this
    off."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class CompareDistribution:
    """How long requests take, over the whole distribution: a canary that is slower only in its tail is found."""

    buckets: Str
    """A selector of the buckets of a histogram, such as
    http_request_duration_seconds_bucket{pod_hash="{{arm.podTemplateHash}}"}."""
    tolerated: Number | None = None
    """How many times as many of the canary's requests as of stable's may be slower than a bucket's edge. Default:
    1.25."""
    safe: Number | None = None
    """How many times as many must be excluded before the canary is called safe. Default: 2."""
    covers: Number | None = None
    """The quantile up to which a canary that is called safe has been compared. Default: 0.99."""
    unit: Str = "s"
    """The unit of the edges, for messages. Default: s."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class EffectSize:
    """How large a difference must be to count, however certain it is. Only for the mode mannWhitney."""

    measure: Literal["meanRatio", "cles"] | None = None
    """What is measured: meanRatio, the canary's mean as a multiple of stable's; or cles, the chance that a value of the
    canary is above one of stable. Default: meanRatio."""
    allowed_increase: Number | None = None
    """From which effect on an increase counts. Default: 1 (meanRatio) or 0.5 (cles), which any increase is."""
    allowed_decrease: Number | None = None
    """Up to which effect a decrease counts. Default: as of allowedIncrease."""
    critical_increase: Number | None = None
    """From which effect on an increase fails the whole run, where the score names the metric as critical. Default: 1
    (meanRatio) or 0.5 (cles), which any increase is."""
    critical_decrease: Number | None = None
    """Up to which effect a decrease does so. Default: as of criticalIncrease."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class CompareSamples:
    """How much of something each pod uses, such as CPU or memory."""

    gauge: Str = ""
    """A selector of gauges, such as container_memory_working_set_bytes{pod=~"{{arm.replicaSet}}-.*"}. Their mean in the
    window counts. Either this or counter is given."""
    counter: Str = ""
    """A selector of counters, such as container_cpu_usage_seconds_total{pod=~"{{arm.replicaSet}}-.*"}. What they grow
    by in a second counts."""
    per: Str = ""
    """A selector of counters, such as of requests: what is used for each of them is compared. Default: as it is."""
    by: Str = "pod"
    """The label that tells pods of one version apart. Default: pod."""
    mode: Literal["ratio", "mannWhitney"] | None = None
    """How to judge: ratio, at every look; or mannWhitney, once at the end, as Kayenta does. Default: ratio."""
    effect_size: EffectSize | None = None
    """Only in the mode mannWhitney: how large a difference must be to count. Default: any counts that is certain."""
    outliers: Literal["keep", "remove"] | None = None
    """Only in the mode mannWhitney: whether values far outside the quartiles are left out. Default: keep."""
    nan_strategy: Literal["remove", "replace"] | None = None
    """Only in the mode mannWhitney: whether a look at which a version has no value is no sample of it (remove) or a 0
    (replace). A version without any value is never judged. Default: remove."""
    direction: Literal["increase", "decrease", "either"] | None = None
    """Which difference is bad: increase, decrease or either. Default: increase."""
    tolerated: Number | None = None
    """How many times as much as stable the canary may use. Default: 1.1."""
    safe: Number | None = None
    """How many times as much must be excluded before the canary is called safe. Default: 1.5."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Compare:
    """Compare the canary with stable in the same windows. Exactly one kind is given."""

    counts: CompareCounts | None = None
    """Compare shares of bad requests."""
    distribution: CompareDistribution | None = None
    """Compare how long requests take."""
    samples: CompareSamples | None = None
    """Compare how much each pod uses."""
    arms: Arms | None = None
    """The two versions. Default: those of the Rollout whose analysis it is."""
    delay: Str = ""
    """How long samples take until Prometheus has them, such as 30s behind a remote write. Windows end so long ago.
    Default: 2s."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ScoreGroup:
    """Metrics that are scored together."""

    name: Str
    """The group's name, for messages."""
    metrics: tuple[Str, ...] = ()
    """The names of the compared metrics in it."""
    weight: Number | None = None
    """The group's share of the score, in %. Groups without one share what is left of 100."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Score:
    """Compared metrics judged together by a score from 0 to 100. Without it each of them decides alone."""

    pass_: Annotated[IntOrString | None, Field(alias="pass")] = None
    """The score that is a success. Default: 95."""
    marginal: IntOrString | None = None
    """The score below which the run fails, at once. Between this and pass the run is inconclusive. Default: 75."""
    critical: tuple[Str, ...] = ()
    """The names of metrics that fail the run alone."""
    groups: tuple[ScoreGroup, ...] = ()
    """The groups. Compared metrics in none of them are a group together."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Judgement:
    """How the compared metrics of a run decide together."""

    false_alarm: Number | None = None
    """The probability that a canary that is not worse is undone, over all compared metrics and all looks of a run.
    Default: 0.01."""
    when_undecided: Literal["pause", "promote", "undo"] | None = None
    """What becomes of a canary that is found neither worse nor safe until the end: pause, promote or undo. Default:
    pause."""
    advance_when_safe: Bool = False
    """Whether to go on before the planned end once all compared metrics are safe. Default: false."""
    score: Score | None = None
    """Judge the compared metrics by a common score. Default: each of them decides alone."""
