"""Kayenta's judgement of two arrays of samples: Mann and Whitney's test with Hodges and Lehmann's shift and its
interval.

For people who come from automated canary analysis and whose marks are tuned to it. It is one look at the end: looking
repeatedly multiplies its false alarms (docs/judge.md has how much). The interval is that of R's `wilcox.test(exact
= FALSE, correct = TRUE, conf.int = TRUE)`: the shifts at which the corrected and tie-corrected rank sum's z is
within the quantiles.

Where Kayenta's verdict is an accident, this differs, on purpose:

- Its root finder stops at an absolute 1e-4, so a verdict depends on the unit of the metric and an interval's ends
  may even be the wrong way round. Here roots are exact: the sum of ranks jumps at differences of two samples, and
  nowhere else.
- Two constant arrays get random noise there, so that the test can run. Here their shift is what it is.
- The interval ends at the largest and smallest difference there even if so few samples can't give the confidence,
  so that two samples on each side are "significant". Here such an end is infinite.
- An exception there becomes "error", which the score does not count, which passes. Here there are none: what can't be
  judged is Nodata.
- `nanStrategy: replace` passes a metric without a single sample there. Here replacement fills gaps; no samples are
  Nodata.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import repeat
from statistics import NormalDist
from typing import Any, Final

_NARROWINGS: Final = 40
_IN_VAIN: Final = 3
"""So many in a row that leave nothing out: what is left is tied, or nearly."""
_FEW: Final = 4
"""So many differences for each sample may be sorted."""


class Direction(StrEnum):
    INCREASE = "increase"
    DECREASE = "decrease"
    EITHER = "either"


class Mark(StrEnum):
    PASS = "Pass"  # noqa: S105 - a mark, not a password
    HIGH = "High"
    LOW = "Low"
    NODATA = "Nodata"


class Measure(StrEnum):
    MEAN_RATIO = "meanRatio"
    CLES = "cles"


@dataclass(frozen=True, slots=True)
class Effect:
    """A shift counts only if the effect is at least allowed_increase or at most allowed_decrease; beyond the
    critical ones a critical metric fails the whole run. None: 1 for the ratio of means, 0.5 for the common language
    effect size."""

    measure: Measure = Measure.MEAN_RATIO
    allowed_increase: float | None = None
    allowed_decrease: float | None = None
    critical_increase: float | None = None
    critical_decrease: float | None = None

    def threshold(self, value: float | None) -> float:
        if value is not None:
            return value
        return 1.0 if self.measure is Measure.MEAN_RATIO else 0.5


@dataclass(frozen=True, slots=True)
class MannWhitneyParameters:
    """tolerance: the part of the estimated shift that the interval must stay clear of 0 by; tolerance and confidence as
    Kayenta has them. nan_replaced: NaN counts as 0 instead of being dropped. outliers_removed: by
    `without_outliers`."""

    direction: Direction = Direction.EITHER
    tolerance: float = 0.25
    confidence: float = 0.98
    critical: bool = False
    effect: Effect = Effect()
    nan_replaced: bool = False
    outliers_removed: bool = False


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much the experiment lies above the control: Hodges and Lehmann's estimate, and the interval's ends."""

    estimate: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """ratio: of the means; NaN if one of them is 0. critical: the metric fails the whole run."""

    mark: Mark
    critical: bool
    shift: Shift | None
    ratio: float
    effect: float
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """None for what is no finite number, which JSON has no word for."""

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {k: plain(v) for k, v in value.items()}
            return None if isinstance(value, float) and not math.isfinite(value) else value

        return {k: plain(v) for k, v in asdict(self).items()}


def classify(
    experiment: Sequence[float], control: Sequence[float], parameters: MannWhitneyParameters | None = None
) -> Judgement:
    """Samples of the canary and of the baseline, in any order, NaN for gaps."""
    given = parameters or MannWhitneyParameters()
    canary, baseline = _prepared(experiment, given), _prepared(control, given)
    if not canary or not baseline:
        absent = "canary" if not canary else "baseline"
        return Judgement(
            Mark.NODATA, given.critical, None, math.nan, math.nan, f"the {absent} has no samples: nothing to compare"
        )
    ratio, effect = mean_ratio(canary, baseline), _effect(given.effect.measure, canary, baseline)
    if sorted(canary) == sorted(baseline):
        return Judgement(Mark.PASS, False, Shift(0.0, 0.0, 0.0), ratio, effect, "both have the same samples")
    found = shift(canary, baseline, given.confidence)
    mark = _mark(found, effect, given)
    critical = given.critical and _is_critical(mark, effect, given.effect)
    told = (
        f"canary lies {found.estimate:+.4g} from the baseline, {100 * given.confidence:g} % sure of {found.lower:.4g} "
        f"to {found.upper:.4g}: {mark.value}"
    )
    if given.critical:
        told += _how_critical(mark, effect, given.effect, critical=critical)
    return Judgement(mark, critical, found, ratio, effect, told)


def _prepared(samples: Sequence[float], parameters: MannWhitneyParameters) -> list[float]:
    present = without_gaps(samples, replaced=parameters.nan_replaced)
    return without_outliers(present) if parameters.outliers_removed else present


def without_gaps(samples: Sequence[float], *, replaced: bool) -> list[float]:
    """What is a number. replaced: with 0 for what is none, unless there is nothing else."""
    present = [v for v in samples if not math.isnan(v)]
    return [0.0 if math.isnan(v) else v for v in samples] if replaced and present else present


def _mark(found: Shift, effect: float, parameters: MannWhitneyParameters) -> Mark:
    clear = parameters.tolerance * abs(found.estimate)
    limits = parameters.effect
    unknown = math.isnan(effect)
    if parameters.direction is not Direction.DECREASE and found.lower > clear:
        large = unknown or effect >= limits.threshold(limits.allowed_increase)
        return Mark.HIGH if large else Mark.PASS
    if parameters.direction is not Direction.INCREASE and found.upper < -clear:
        small = unknown or effect <= limits.threshold(limits.allowed_decrease)
        return Mark.LOW if small else Mark.PASS
    return Mark.PASS


def _is_critical(mark: Mark, effect: float, limits: Effect) -> bool:
    if mark is Mark.HIGH:
        return math.isnan(effect) or effect >= limits.threshold(limits.critical_increase)
    if mark is Mark.LOW:
        return math.isnan(effect) or effect <= limits.threshold(limits.critical_decrease)
    return False


def _how_critical(mark: Mark, effect: float, limits: Effect, *, critical: bool) -> str:
    """How far the effect is from what is critical, where somebody said what is, or where it is not."""
    given = {Mark.HIGH: limits.critical_increase, Mark.LOW: limits.critical_decrease}
    if mark not in given or (critical and given[mark] is None):
        return ""
    measure = "the ratio of means" if limits.measure is Measure.MEAN_RATIO else "the chance of a higher value"
    if math.isnan(effect):
        return f"; {measure} is not defined, which is critical"
    bound = f"{limits.threshold(given[mark]):g}"
    return f"; {measure} is {effect:.4g}, critical {f'from {bound} on' if mark is Mark.HIGH else f'up to {bound}'}"


def shift(experiment: Sequence[float], control: Sequence[float], confidence: float) -> Shift:
    """An end is infinite where there are too few samples for the confidence to be had at all.

    The statistic changes only where the shift passes differences of two samples, by their number. So each end is the
    difference of a certain rank.
    """
    x, y = sorted(experiment), sorted(control)
    pairs, scatter = len(x) * len(y), math.sqrt(_variance(x, y))
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * scatter + 0.5
    if not scatter:
        return Shift(hodges_lehmann(x, y), -math.inf, math.inf)
    # From which shift on no more pairs than so many are above.
    lower, upper = math.floor(pairs / 2 + reach), math.floor(pairs / 2 - reach)
    return Shift(
        hodges_lehmann(x, y),
        _difference(x, y, pairs - lower) if lower < pairs else -math.inf,
        _difference(x, y, pairs - upper) if upper >= 0 else math.inf,
    )


def hodges_lehmann(x: Sequence[float], y: Sequence[float]) -> float:
    """The median of all differences (both sorted), found without making them."""
    pairs = len(x) * len(y)
    # From where half of the pairs are no more above to where more than half are below, any shift does: take the middle.
    first, last = pairs - pairs // 2, pairs // 2 + 1
    found = _difference(x, y, first)
    return found if last == first else (found + _difference(x, y, last)) / 2


def _difference(x: Sequence[float], y: Sequence[float], rank: int) -> float:
    """The difference x - y of this rank, from 1, among all of them (both sorted).

    The range is narrowed by where the rank should lie in it, a little off to either side in turn, until few are left.
    """
    low, high = x[0] - y[-1], x[-1] - y[0]
    span = (high - low) or abs(low) or 1.0
    low, high, below, until = low - span, high + span, 0, len(x) * len(y)
    in_vain = 0
    for turn in range(_NARROWINGS):
        if until - below <= _FEW * (len(x) + len(y)) or in_vain == _IN_VAIN:
            break
        aim = (rank - below) / (until - below) + (0.02, -0.02, 0.0)[turn % 3]
        middle = low + (high - low) * (min(max(aim, 0.01), 0.99) if turn % 3 < 2 else 0.5)
        count = _up_to(x, y, middle)
        in_vain = in_vain + 1 if count in (below, until) else 0
        if count < rank:
            low, below = middle, count
        else:
            high, until = middle, count
    left = [v - w for v in x for w in y[bisect_left(y, v - high) : bisect_left(y, v - low)]]
    return sorted(left)[rank - below - 1]


def _up_to(x: Sequence[float], y: Sequence[float], by: float) -> int:
    """How many differences are no greater."""
    return len(x) * len(y) - sum(map(bisect_left, repeat(y), [v - by for v in x]))


def _variance(x: Sequence[float], y: Sequence[float]) -> float:
    """Of the rank sum, where no sample of the one is tied with one of the other."""
    m, n = len(x), len(y)
    ties = sum(t**3 - t for t in (*Counter(x).values(), *Counter(y).values()))
    return max(m * n / 12 * ((m + n + 1) - ties / ((m + n) * (m + n - 1))), 0.0)


def mean_ratio(experiment: Sequence[float], control: Sequence[float]) -> float:
    canary, baseline = math.fsum(experiment) / len(experiment), math.fsum(control) / len(control)
    if canary == 0 and baseline == 0:
        return 1.0
    return math.nan if canary == 0 or baseline == 0 else canary / baseline


def common_language_effect(experiment: Sequence[float], control: Sequence[float]) -> float:
    """The chance that a sample of the canary is above one of the baseline; ties count half (Vargha and Delaney,
    2000)."""
    y = sorted(control)
    above = math.fsum((bisect_left(y, v) + bisect_right(y, v)) / 2 for v in experiment)
    return above / (len(experiment) * len(y))


def _effect(measure: Measure, experiment: Sequence[float], control: Sequence[float]) -> float:
    if measure is Measure.MEAN_RATIO:
        return mean_ratio(experiment, control)
    return common_language_effect(experiment, control)


def percentile(values: Sequence[float], part: float) -> float:
    """Hyndman and Fan's type 7, as R and numpy have it by default."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * part
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def without_outliers(values: Sequence[float], factor: float = 3.0, *, careful: bool = True) -> list[float]:
    """What lies within `factor` interquartile ranges of the quartiles; careful: or between the 1st and 99th
    percentile."""
    if len(values) < 2:
        return list(values)
    q1, q3 = percentile(values, 0.25), percentile(values, 0.75)
    low, high = q1 - factor * (q3 - q1), q3 + factor * (q3 - q1)
    if careful:
        low, high = min(low, percentile(values, 0.01)), max(high, percentile(values, 0.99))
    return [v for v in values if low <= v <= high]
