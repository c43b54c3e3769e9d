"""Is a gauge higher on the canary than on stable: CPU, memory, queue length, per pod or per interval?

In each look the logarithm of the ratio of both arms' means is taken, so that drift that both share cancels. The looks'
logarithms are held against the tolerated ratio by the sequential t-test with a normal prior on the standardized
effect (T. L. Lai, Annals of Statistics 4, 1976; H. Wang and A. Ramdas, Anytime-valid t-tests and confidence
sequences for Gaussian means with unknown variance, 2023), which is valid at all looks at once for independent
normal looks of unknown variance. It is two sided; each side is used by itself, which errs to the careful side.

Gauges are not independent from look to look: a pod that uses more memory now will in 30 seconds. So

- the number of looks is divided by (1 + a) / (1 - a), with a their autocorrelation, and
- where pods are told apart, the variance is never smaller than that between the pods of one version: n pods are n
  observations, however long one watches them. With their names, it is that between the pods' means over time; without,
  that between their values at one time, which is larger.

Both are approximations; docs/judge.md says how well they hold.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from . import wording
from .evidence import check_promises, needed
from .finding import Estimate, Finding, Peak, Remaining, Verdict, evidence_of, verdict_of
from .forecast import forecast
from .pod_means import PodMean, between_means, with_pods

FEWEST_LOOKS = 4

PRIOR_PRECISION = 0.25
"""Effects of twice the deviation between pods, or between looks, are what one looks for."""


@dataclass(frozen=True, slots=True)
class SamplesParameters:
    """tolerated, safe: how many times as much the canary may use. higher_is_worse: False for gauges like
    throughput, where both ratios are turned round. either: both more and less are worse. what, unit: for sentences.
    The rest as for counts."""

    false_alarm: float = 0.01
    tolerated: float = 1.1
    safe: float = 1.5
    false_safe: float = 0.05
    confidence: float = 0.95
    higher_is_worse: bool = True
    either: bool = False
    what: str = "uses"
    unit: str = ""
    shared_by: int = 1

    def __post_init__(self) -> None:
        check_promises(self)


@dataclass(frozen=True, slots=True)
class SamplesLook:
    """One value a pod (or a single one an arm) at about the same time; none where an arm has no pods. Not negative.
    The pods' names, in the same order, make the judge surer."""

    canary: tuple[float, ...]
    stable: tuple[float, ...]
    seconds: float = 0.0
    at: str | None = None
    canary_names: tuple[str, ...] = ()
    stable_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for values, names in ((self.canary, self.canary_names), (self.stable, self.stable_names)):
            if names and len(names) != len(values):
                raise ValueError(f"{len(values)} values need as many names, not {len(names)}")
        for value in (*self.canary, *self.stable):
            if not 0 <= value < math.inf:
                raise ValueError(f"a gauge must be a number that is not negative, not {value}")


@dataclass(frozen=True, slots=True)
class SamplesState:
    """Sums over looks of the log ratio less the first one (`origin`), of neighbours' products, and of the variance
    between pods. 600 bytes of JSON, and 60 for each pod of at most 24 an arm."""

    looks: int = 0
    compared: int = 0
    seconds: float = 0.0
    canary_sum: float = 0.0
    stable_sum: float = 0.0
    origin: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    neighbours: float = 0.0
    last: float = 0.0
    pod_squares: float = 0.0
    pod_degrees: float = 0.0
    pod_share: float = 0.0
    canary_pods: tuple[PodMean, ...] = ()
    stable_pods: tuple[PodMean, ...] = ()
    against: Peak = field(default_factory=Peak)
    favour: Peak = field(default_factory=Peak)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "SamplesState":
        apart = {"looks", "compared", "canary_pods", "stable_pods", "against", "favour"}
        sums = {k: float(v) for k, v in value.items() if k not in apart}
        return cls(
            looks=int(value["looks"]),
            compared=int(value["compared"]),
            canary_pods=tuple(PodMean.from_json(p) for p in value["canary_pods"]),
            stable_pods=tuple(PodMean.from_json(p) for p in value["stable_pods"]),
            against=Peak.from_json(value["against"]),
            favour=Peak.from_json(value["favour"]),
            **sums,
        )


def observe(parameters: SamplesParameters, state: SamplesState, look: SamplesLook) -> SamplesState:
    """The state after one more look. A look in which an arm has no value, or only zeros, compares nothing."""
    seen = replace(state, looks=state.looks + 1, seconds=state.seconds + look.seconds)
    canary, stable = _mean(look.canary), _mean(look.stable)
    if not canary or not stable:
        return seen
    log_ratio = math.log(canary / stable)
    origin = state.origin if state.compared else log_ratio
    y = log_ratio - origin
    squares, degrees = _between_pods(look.canary, look.stable)
    seen = replace(
        seen,
        compared=state.compared + 1,
        canary_sum=state.canary_sum + canary,
        stable_sum=state.stable_sum + stable,
        origin=origin,
        total=state.total + y,
        squares=state.squares + y * y,
        neighbours=state.neighbours + (state.last * y if state.compared else 0.0),
        last=y,
        pod_squares=state.pod_squares + squares,
        pod_degrees=state.pod_degrees + degrees,
        pod_share=state.pod_share + 1 / len(look.canary) + 1 / len(look.stable),
        canary_pods=with_pods(state.canary_pods, look.canary_names, look.canary, stable),
        stable_pods=with_pods(state.stable_pods, look.stable_names, look.stable, stable),
    )
    against, favour = _evidence(parameters, _summary(seen))
    return replace(
        seen,
        against=state.against.after(against, needed(parameters.false_alarm), seen.looks, look.at),
        favour=state.favour.after(favour, needed(parameters.false_safe), seen.looks, look.at),
    )


def judge(parameters: SamplesParameters, state: SamplesState) -> Finding:
    summary = _summary(state)
    now = _evidence(parameters, summary)
    against = evidence_of(now[0], state.against, parameters.false_alarm)
    favour = evidence_of(now[1], state.favour, parameters.false_safe)
    verdict = verdict_of(against, favour)
    remaining = None
    if verdict is Verdict.NOT_YET:
        remaining = Remaining(None, min(against.missing, favour.missing), None, None)
        if state.seconds:
            remaining = forecast(
                against,
                favour,
                lambda s: _evidence(parameters, summary.longer(1 + s / state.seconds))[0] >= against.needed,
                lambda s: _evidence(parameters, summary.longer(1 + s / state.seconds))[1] >= favour.needed,
                None,
            )
    finding = Finding(
        verdict=verdict,
        against=against,
        favour=favour,
        ratio=_estimate(state, summary, parameters.confidence),
        remaining=remaining,
        design_effect=state.compared / summary.units if summary.units else 1.0,
        looks=state.looks,
        data=state.compared > 0,
        arms={
            "canary": {"mean": state.canary_sum / state.compared if state.compared else 0.0},
            "stable": {"mean": state.stable_sum / state.compared if state.compared else 0.0},
        },
        sentence="",
        cautions=summary.cautions,
    )
    return replace(finding, sentence=_sentence(parameters, finding))


@dataclass(frozen=True, slots=True)
class _Summary:
    """The mean log ratio, the variance of that mean, and what it rests on. units: independent observations that it
    is worth; degrees: of freedom of the variance. pods: whether pods, not looks, are the units."""

    mean: float = 0.0
    variance: float = 0.0
    units: float = 0.0
    degrees: float = 0.0
    pods: bool = False
    cautions: tuple[str, ...] = ()

    def longer(self, factor: float) -> "_Summary":
        """After so many times as many looks; more looks at the same pods add nothing."""
        if self.pods or not self.units:
            return self
        units = self.units * factor
        return replace(self, variance=self.variance / factor, units=units, degrees=self.degrees * factor)


def _summary(state: SamplesState) -> _Summary:
    n = state.compared
    if n < FEWEST_LOOKS:
        return _Summary(mean=state.origin + state.total / n if n else 0.0)
    mean = state.total / n
    scatter = max(0.0, state.squares - n * mean * mean)
    correlation = _autocorrelation(state, mean, scatter)
    looks = max(1.0, n * (1 - correlation) / (1 + correlation))
    variance, degrees = scatter / (n - 1) / looks, looks - 1
    cautions: tuple[str, ...] = ()
    if correlation > 0.2:
        cautions = (f"looks resemble their neighbours: {n} of them count as {looks:.0f}",)
    if not state.pod_degrees:
        cautions += ("values are not told apart by pod: a sick node can't be told from a sick version",)
        return _Summary(state.origin + mean, variance, looks, degrees, pods=False, cautions=cautions)
    share, pod_degrees = state.pod_share / n, state.pod_degrees / n
    between = between_means(state.canary_pods, state.stable_pods)
    pods = (state.pod_squares / state.pod_degrees if between is None else between) * share
    if pods <= variance:
        return _Summary(state.origin + mean, variance, looks, degrees, pods=False, cautions=cautions)
    cautions = ("pods of one version differ more than looks do: only more pods make this surer",)
    return _Summary(state.origin + mean, pods, 1 / share, pod_degrees, pods=True, cautions=cautions)


def _autocorrelation(state: SamplesState, mean: float, scatter: float) -> float:
    """Of neighbouring looks, in [0, 0.95], corrected for its bias of -(1 + 4 a) / n (Marriott and Pope, 1954)."""
    n = state.compared
    if scatter <= 0:
        return 0.0
    # The sum over neighbours of (y - mean)(y' - mean); the first y is 0 by the choice of the origin.
    products = state.neighbours - mean * (2 * state.total - state.last) + (n - 1) * mean * mean
    raw = products / scatter
    return min(0.95, max(0.0, raw + (1 + 4 * raw) / n))


def _between_pods(*arms: Sequence[float]) -> tuple[float, float]:
    """Sum of squares of the log values around each arm's mean, and its degrees of freedom."""
    squares = degrees = 0.0
    for arm in arms:
        logs = [math.log(v) for v in arm if v > 0]
        if len(logs) > 1:
            mean = _mean(logs)
            squares += math.fsum((v - mean) ** 2 for v in logs)
            degrees += len(logs) - 1
    return squares, degrees


def _evidence(parameters: SamplesParameters, summary: _Summary) -> tuple[float, float]:
    """log e-values: that the canary is worse than tolerated, that it is safe.

    Where either side is worse, each hypothesis is spoken against at the one of its two ends that lies nearer to what
    was seen: it is as hard to reject as its likeliest point, and the test of a point has two sides already.
    """
    mean = summary.mean if parameters.higher_is_worse else -summary.mean
    if parameters.either:
        mean = abs(mean)
    return (
        t_evidence(mean - math.log(parameters.tolerated), summary.variance, summary.units, summary.degrees),
        t_evidence(math.log(parameters.safe) - mean, summary.variance, summary.units, summary.degrees),
    )


def t_evidence(gap: float, variance: float, units: float, degrees: float) -> float:
    """log e-value against a mean of 0, from a mean of `gap` whose variance is estimated; 0 where the gap points the
    other way.

    The marginal likelihood ratio of the t statistic under a normal prior of deviation 1/sqrt(c) on the effect in
    units of the standard deviation: 1/2 log(c/(n+c)) + (v+1)/2 [log(1 + t^2/v) - log(1 + t^2 c/((n+c) v))].
    """
    if gap <= 0 or degrees <= 0:
        return 0.0
    # Looks without any scatter would prove everything.
    t2 = gap * gap / max(variance, 1e-12)
    shrunk = PRIOR_PRECISION / (units + PRIOR_PRECISION)
    growth = math.log1p(t2 / degrees) - math.log1p(t2 * shrunk / degrees)
    return (degrees + 1) / 2 * growth + math.log(shrunk) / 2


def _estimate(state: SamplesState, summary: _Summary, confidence: float) -> Estimate:
    if not state.compared:
        return Estimate(None, None, None, confidence)
    value, width = math.exp(summary.mean), _half_width(summary, needed(1 - confidence))
    if width is None:
        return Estimate(value, None, None, confidence)
    return Estimate(value, math.exp(summary.mean - width), math.exp(summary.mean + width), confidence)


def _half_width(summary: _Summary, enough: float) -> float | None:
    """The gap at which the evidence suffices."""
    low, high = 0.0, math.log(100.0)

    def evidence(gap: float) -> float:
        return t_evidence(gap, summary.variance, summary.units, summary.degrees)

    if evidence(high) < enough:
        return None
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if evidence(middle) >= enough else (middle, high)
    return high


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _sentence(parameters: SamplesParameters, finding: Finding) -> str:
    if not finding.data:
        return "not both canary and stable had a value above zero at the same time: nothing to compare."
    unit = f" {parameters.unit}" if parameters.unit else ""
    canary, stable = finding.arms["canary"]["mean"], finding.arms["stable"]["mean"]
    tolerated, safe = parameters.tolerated, parameters.safe
    higher_is_worse = canary >= stable if parameters.either else parameters.higher_is_worse
    if not higher_is_worse:
        tolerated, safe = 1 / tolerated, 1 / safe
    said = f"canary {parameters.what} {canary:.3g}{unit}, stable {stable:.3g}{unit} on average of {finding.looks} looks"
    told = wording.verdict(
        finding,
        tolerated,
        safe,
        wording.budget(parameters.false_alarm, parameters.shared_by),
        amount="as much",
        higher_is_worse=higher_is_worse,
    )
    return f"{said}: {told}"
