"""Kayenta's verdicts, its accidents excepted, and the test itself against scipy and brute force."""

import json
import math
import random
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable
from itertools import pairwise, product
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, norm

from tidegate.core.judge.mann_whitney import (
    Direction,
    Effect,
    MannWhitneyParameters,
    Mark,
    Measure,
    classify,
    common_language_effect,
    hodges_lehmann,
    percentile,
    shift,
    without_outliers,
)

UP, DOWN = Direction.INCREASE, Direction.DECREASE
HIGH_E, HIGH_C = [20, 22, 21, 25, 30], [1, 2.2, 1.1, 2.5, 3]
NAN = math.nan


def statistic(x: list[float], y: list[float], by: float) -> float:
    """z of the rank sum of x - by among x - by and y (both sorted), with correction for continuity and ties; it
    falls as `by` grows. `shift` is about where it passes a quantile, and never makes it."""
    m, n = len(x), len(y)
    # Pairs in which x - by is above y, ties as halves, less half of all pairs.
    excess = math.fsum((bisect_left(y, v - by) + bisect_right(y, v - by)) / 2 for v in x) - m * n / 2
    ties = sum(t**3 - t for t in Counter([*(v - by for v in x), *y]).values())
    variance = m * n / 12 * ((m + n + 1) - ties / ((m + n) * (m + n - 1)))
    if variance <= 0 or not excess:
        return 0.0
    return (excess - math.copysign(0.5, excess)) / math.sqrt(variance)


def limits(
    allowed: tuple[float, float] | None = None, critical: tuple[float, float] | None = None, measure: str = "meanRatio"
) -> Effect:
    """Pairs are (decrease, increase), as Kayenta's configuration has them."""
    a, c = allowed or (None, None), critical or (None, None)
    return Effect(Measure(measure), a[1], a[0], c[1], c[0])


KAYENTA = {
    "mean ratio, High": (HIGH_E, HIGH_C, Effect(), False, Mark.HIGH),
    "mean ratio within limits": ([10, 12.2, 10.1, 12.5, 23], [20, 22, 21, 25, 30], limits((0.5, 1)), False, Mark.PASS),
    "critical": (HIGH_E, HIGH_C, limits(critical=(1, 1.2)), True, Mark.HIGH),
    "critical, Low": ([2, 2, 2, 2, 3], [10, 20.2, 10.1, 20.5, 30], limits(critical=(1.2, 1)), True, Mark.LOW),
    "not critical": (HIGH_E, HIGH_C, limits((1, 5), (1, 13)), None, Mark.HIGH),
    "effect too small": (HIGH_E, HIGH_C, limits((1, 13), (1, 15)), None, Mark.PASS),
    "critical by default": (HIGH_E, HIGH_C, Effect(), True, Mark.HIGH),
    "tied": ([1, 1, 1], [1, 1], Effect(), False, Mark.PASS),
    "permuted": ([1, 2, 3, 4, 5], [5, 3, 1, 2, 4], Effect(), False, Mark.PASS),
    "one outlier": ([1, 1, 1, 1, 10], [1] * 5, Effect(), False, Mark.PASS),
    "no samples": ([], [1, 2], Effect(), False, Mark.NODATA),
    "no samples, critical": ([], [1, 2], Effect(), True, Mark.NODATA),
    "constant": ([10] * 5, [1] * 5, Effect(), False, Mark.HIGH),
    "constant against zero": ([10] * 5, [0] * 5, Effect(), False, Mark.HIGH),
    "mean of zero": ([54.9, 54.5, 55.1, 55.6, 57.4], [0] * 5, Effect(), False, Mark.HIGH),
    "mean of zero, reversed": ([0] * 5, [54.9, 54.5, 55.1, 55.6, 57.4], Effect(), False, Mark.LOW),
    "mean of zero, critical": (
        [0.05, 0.05, 0.0167, 0.0167, 0.0167, 0.05, 0.0333, 0.05, 0.05, 0.1333],
        [0] * 10,
        limits(critical=(0.8, 1.2)),
        True,
        Mark.HIGH,
    ),
    "both zero": ([0] * 4, [0] * 5, Effect(), False, Mark.PASS),
}


@pytest.mark.parametrize("name", KAYENTA)
def test_verdicts_are_kayentas(name: str) -> None:
    """Its ClassifierSuite, in the order of that file; tolerance 0.10 and confidence 0.95. None: critical, but not
    failed."""
    experiment, control, effect, critical, mark = KAYENTA[name]
    parameters = MannWhitneyParameters(tolerance=0.1, confidence=0.95, critical=critical is not False, effect=effect)
    found = classify(experiment, control, parameters)
    assert (found.mark, found.critical) == (mark, bool(critical))


def test_directions_that_do_not_matter_pass() -> None:
    assert classify(HIGH_E, HIGH_C, MannWhitneyParameters(direction=DOWN)).mark is Mark.PASS
    assert classify(HIGH_C, HIGH_E, MannWhitneyParameters(direction=UP)).mark is Mark.PASS
    assert classify([0, 1, 1, 1, 1], [1] * 5, MannWhitneyParameters(direction=DOWN)).mark is Mark.PASS


def test_intervals_are_those_that_kayentas_suites_print() -> None:
    found = shift([10, 20, 30, 40], [1, 2, 3, 4], 0.95)
    assert (found.lower, found.upper, found.estimate) == pytest.approx((6, 39, 22.5), abs=1e-9)
    found = shift(HIGH_E, HIGH_C, 0.95)
    assert (found.lower, found.upper, found.estimate) == pytest.approx((17.8, 27.8, 20), abs=1e-9)
    found = shift([2, 2, 2, 2, 3], [10, 20.2, 10.1, 20.5, 30], 0.95)
    assert (found.lower, found.upper) == pytest.approx((-28, -8), abs=1e-9)


class TestWhereKayentaErrs:
    def test_a_verdict_does_not_depend_on_the_unit(self) -> None:
        """Its solver stops at an absolute 1e-4, so that 1e-6 times the same samples pass."""
        small = [v * 1e-6 for v in HIGH_E], [v * 1e-6 for v in HIGH_C]
        assert classify(*small).mark is classify(HIGH_E, HIGH_C).mark is Mark.HIGH
        assert shift(*small, 0.95).lower == pytest.approx(17.8e-6, rel=1e-9)

    def test_an_end_at_zero_is_zero(self) -> None:
        """Zero-inflated samples are High there through noise of the solver alone."""
        experiment, control = [0.0] * 150 + [1.0] * 60, [0.0] * 190 + [1.0] * 20
        found = shift(experiment, control, 0.98)
        assert found.lower == 0.0 == found.estimate
        assert classify(experiment, control).mark is Mark.PASS

    def test_two_samples_prove_nothing(self) -> None:
        assert classify([100.0, 101.0], [1.0, 2.0]).mark is Mark.PASS
        assert classify([2.0], [1.0]).mark is Mark.PASS

    def test_no_samples_never_pass(self) -> None:
        """`nanStrategy: replace` passes them there."""
        found = classify([NAN, NAN], [1.0, 2.0], MannWhitneyParameters(nan_replaced=True))
        assert found.mark is Mark.NODATA

    def test_the_ends_are_the_right_way_round(self) -> None:
        rng = np.random.default_rng(5)
        for _ in range(50):
            x, y = rng.integers(0, 3, 20).tolist(), rng.integers(0, 3, 25).tolist()
            found = shift(x, y, 0.95)
            assert found.lower <= found.estimate <= found.upper


values = st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=25)


@settings(max_examples=50)
@given(values, values)
def test_the_statistic_is_scipys(x: list[float], y: list[float]) -> None:
    if len({*x, *y}) == 1:
        assert statistic(sorted(x), sorted(y), 0.0) == 0.0
        return
    theirs = mannwhitneyu(x, y, use_continuity=True, alternative="two-sided", method="asymptotic")
    z = statistic(sorted(x), sorted(y), 0.0)
    assert min(1.0, 2 * norm.sf(abs(z))) == pytest.approx(theirs.pvalue, abs=1e-9)
    assert common_language_effect(x, y) == pytest.approx(theirs.statistic / (len(x) * len(y)), abs=1e-12)


@settings(max_examples=50)
@given(values, values)
def test_the_estimate_is_the_median_of_all_differences(x: list[float], y: list[float]) -> None:
    expected = float(np.median([a - b for a, b in product(x, y)]))
    assert hodges_lehmann(sorted(x), sorted(y)) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=50)
@given(values, values, st.sampled_from([0.9, 0.95, 0.98]))
def test_the_interval_is_where_the_statistic_crosses_its_quantiles(
    x: list[float], y: list[float], confidence: float
) -> None:
    found, z = shift(x, y, confidence), norm.ppf((1 + confidence) / 2)
    ordered = sorted(x), sorted(y)
    if math.isfinite(found.lower):
        assert statistic(*ordered, found.lower - 1e-6) > z - 1e-9
        assert statistic(*ordered, found.lower + 1e-6) <= z + 1e-9
    if math.isfinite(found.upper):
        assert statistic(*ordered, found.upper - 1e-6) > -z - 1e-9
        assert statistic(*ordered, found.upper + 1e-6) <= -z + 1e-9


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_percentiles_are_type_7(sample: list[float], part: float) -> None:
    assert percentile(sample, part) == pytest.approx(float(np.quantile(sample, part)), rel=1e-9, abs=1e-6)


def test_outliers_are_kayentas() -> None:
    assert without_outliers([21, 23, 24, 25, 50, 29, 23, 21], 1.5, careful=False) == [21, 23, 24, 25, 29, 23, 21]
    spiked = [1.0] * 199 + [100.0]
    assert classify(spiked, [1.0] * 200, MannWhitneyParameters(outliers_removed=True)).mark is Mark.PASS
    assert without_outliers(spiked) == [1.0] * 199


def test_gaps_are_dropped_or_zero() -> None:
    gaps = [NAN, 5.0, 6.0, NAN, 5.5, 5.1, 6.2]
    assert classify(gaps, [5.0, 6.0, 5.5, 5.1, 6.2]).sentence == "both have the same samples"
    replaced = classify(gaps, [5.0, 6.0, 5.5, 5.1, 6.2], MannWhitneyParameters(nan_replaced=True))
    assert replaced.ratio < 0.8


def test_a_judgement_is_plain_json() -> None:
    for found in (classify([1.0], [2.0]), classify([], [1.0]), classify([1.0, 2.0, 3.0], [0.0] * 3)):
        told = json.loads(json.dumps(found.to_json(), allow_nan=False))
        assert told["mark"] == found.mark.value
    assert classify([], [1.0]).to_json()["ratio"] is None
    assert classify([1.0], [2.0]).to_json()["shift"] == {"estimate": -1.0, "lower": None, "upper": None}


def by_definition(x: list[float], y: list[float], confidence: float) -> tuple[float, float]:
    """The ends, by looking at the statistic behind every difference."""
    differences = sorted({v - w for v in x for w in y})
    behind = [(a + b) / 2 for a, b in pairwise(differences)] + [differences[-1] + 1]
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)

    def first(limit: float) -> float:
        if statistic(x, y, differences[0] - 1) <= limit:
            return -math.inf
        found = (d for d, at in zip(differences, behind, strict=True) if statistic(x, y, at) <= limit)
        return next(found, math.inf)

    return first(quantile), first(-quantile)


SAMPLES = st.one_of(
    st.lists(st.integers(0, 6).map(float), min_size=1, max_size=25),
    st.lists(st.integers(0, 5000).map(lambda n: n / 7), min_size=1, max_size=25),
    st.lists(st.sampled_from((0.0, 0.0, 0.0, 1.0, 100.0)), min_size=1, max_size=25),
)


@given(SAMPLES, SAMPLES, st.sampled_from((0.5, 0.9, 0.98)))
def test_the_interval_ends_where_the_statistic_says(x: list[float], y: list[float], confidence: float) -> None:
    x, y = sorted(x), sorted(y)
    found = shift(x, y, confidence)
    assert (found.lower, found.upper) == pytest.approx(by_definition(x, y, confidence), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("draw", [lambda chance: chance.gauss(100, 5), lambda chance: float(chance.randint(0, 20))])
def test_the_most_samples_are_judged_in_a_few_milliseconds(draw: Callable[[random.Random], float]) -> None:
    """4 ms; a tenth of what it takes to come to each end by halves."""
    chance = random.Random(1)
    x, y = ([draw(chance) for _ in range(500)] for _ in range(2))
    took = []
    for _ in range(5):
        started = time.process_time()
        shift(x, y, 0.98)
        took.append(time.process_time() - started)
    assert min(took) < 0.01
