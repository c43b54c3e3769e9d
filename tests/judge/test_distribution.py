"""Latency histograms: what is found, what is not, and what the state keeps."""

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core.judge import Verdict, sufficient
from tidegate.core.judge.distribution import (
    DistributionLook,
    DistributionParameters,
    DistributionState,
    Histogram,
    judge,
    look_at_buckets,
    observe,
)

EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PARAMETERS = DistributionParameters()


def histogram(values: np.ndarray) -> Histogram:
    within = np.searchsorted(np.sort(values), EDGES, side="right")
    return Histogram(float(len(values)), tuple(float(w) for w in within))


def story(seed: int, looks: int, change=None, canary: int = 200, stable: int = 1800, drift: float = 0.0):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    state = DistributionState()
    for _ in range(looks):
        shared = rng.normal(0, drift)
        arms = [np.exp(rng.normal(np.log(0.08) + shared, 0.8, size)) for size in (canary, stable)]
        if change:
            arms[0] = change(rng, arms[0])
        state = observe(PARAMETERS, state, DistributionLook(EDGES, histogram(arms[0]), histogram(arms[1]), 30.0))
        if state.against.crossed:
            break
    return state, judge(PARAMETERS, state)


def test_a_canary_slower_only_in_its_tail_is_found_there() -> None:
    def tail(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
        return np.where(rng.uniform(size=len(values)) < 0.02, values + 3.0, values)

    state, finding = story(1, 60, tail)
    assert finding.verdict is Verdict.WORSE
    assert state.looks < 20
    assert finding.arms["canary"]["p50"] == pytest.approx(finding.arms["stable"]["p50"], rel=0.1)
    assert finding.ratio.lower is not None and finding.ratio.lower > 1.25
    assert finding.sentence.startswith("canary is slower than 2.5 s in 2")
    assert "stable not once, 95 % sure of at least" in finding.sentence


def test_a_canary_that_is_slower_throughout_is_found() -> None:
    assert story(2, 60, lambda rng, values: values * 1.4)[1].verdict is Verdict.WORSE


def test_an_equal_canary_is_safe_though_both_drift() -> None:
    for seed in range(4):
        finding = story(seed, 40, drift=0.3)[1]
        assert finding.verdict is Verdict.SAFE
        assert finding.sentence.endswith("safe up to 2 times")


def test_a_faster_canary_is_no_worse() -> None:
    finding = story(5, 40, lambda rng, values: values * 0.7)[1]
    assert finding.verdict is Verdict.SAFE
    assert finding.against.log_e < 0


def test_no_traffic_is_no_verdict() -> None:
    finding = story(6, 10, canary=0)[1]
    assert (finding.verdict, finding.data, finding.sentence) == (
        Verdict.NOT_YET,
        False,
        "canary had no requests so far: nothing to compare.",
    )
    assert judge(PARAMETERS, DistributionState()).verdict is Verdict.NOT_YET


def test_buckets_too_coarse_are_told() -> None:
    state = DistributionState()
    for _ in range(50):
        look = DistributionLook((0.001, 10.0), Histogram(100, (0, 40)), Histogram(900, (0, 360)), 30.0)
        state = observe(PARAMETERS, state, look)
    finding = judge(PARAMETERS, state)
    assert finding.verdict is Verdict.NOT_YET
    assert "too coarse" in finding.cautions[-1]


def test_the_state_survives_json_and_does_not_grow() -> None:
    rng = np.random.default_rng(7)
    state, sizes = DistributionState(), []
    for _ in range(150):
        look = DistributionLook(
            EDGES, histogram(np.exp(rng.normal(-2.5, 0.8, 100))), histogram(np.exp(rng.normal(-2.5, 0.8, 900))), 30.0
        )
        state = observe(PARAMETERS, state, look)
        text = json.dumps(state.to_json(), allow_nan=False)
        assert DistributionState.from_json(json.loads(text)) == state
        sizes.append(len(text))
    assert sizes[-1] < 6000
    assert sizes[-1] - sizes[60] < 300
    json.dumps(judge(PARAMETERS, state).to_json(), allow_nan=False)


def test_a_verdict_at_3000_looks_takes_less_than_5_ms() -> None:
    chance = np.random.default_rng(8)
    arms = [histogram(np.exp(chance.normal(-2.5, 0.8, size))) for size in (100, 100, 900, 900)]
    looks = [DistributionLook(EDGES, canary, stable, 30.0) for canary in arms[:2] for stable in arms[2:]]
    state = DistributionState()
    for i in range(3000):
        state = observe(PARAMETERS, state, looks[i % 4])
    started = time.process_time()
    for i in range(20):
        judge(PARAMETERS, observe(PARAMETERS, state, looks[i % 4]))
    assert (time.process_time() - started) / 20 < 0.005


@settings(max_examples=30)
@given(st.integers(0, 50), st.integers(0, 12))
def test_one_more_slow_request_of_the_canary_never_speaks_for_it(slow: int, step: int) -> None:
    """Slower by any number of buckets."""

    def look(counts: list[int]) -> DistributionLook:
        within = tuple(float(v) for v in np.cumsum(counts[:-1]))
        stable = tuple(float(v) for v in np.linspace(50, 950, len(EDGES)))
        return DistributionLook(EDGES, Histogram(float(sum(counts)), within), Histogram(1000.0, stable), 30.0)

    counts = [10 + slow if i == 3 else 10 for i in range(len(EDGES) + 1)]
    before = judge(PARAMETERS, observe(PARAMETERS, DistributionState(), look(counts)))
    moved = list(counts)
    moved[3] -= 1
    moved[min(3 + step, len(EDGES))] += 1
    after = judge(PARAMETERS, observe(PARAMETERS, DistributionState(), look(moved)))
    if after.design_effect == before.design_effect:
        assert after.against.log_e >= before.against.log_e - 1e-9


def test_looks_are_made_of_what_prometheus_answers() -> None:
    canary = {0.1: 5.0, 0.5: 9.0, 1.0: 10.0, math.inf: 10.0}
    stable = {0.1: 50.0, 0.5: 90.0, 2.5: 100.0, math.inf: 100.0}
    look = look_at_buckets(canary, stable, 30.0)
    assert look.edges == (0.1, 0.5)
    assert look.canary == Histogram(10.0, (5.0, 9.0))
    assert look.stable.slower == (50.0, 10.0)
    with pytest.raises(ValueError, match=r"lacks the bucket 2.5"):
        look_at_buckets(canary, stable, edges=(0.1, 2.5))
    with pytest.raises(ValueError, match="no bucket in common"):
        look_at_buckets({1.0: 1.0}, {2.0: 1.0})
    many = {float(i): float(i) for i in range(1, 161)}
    assert len(look_at_buckets(many, many).edges) == 16


def test_numbers_that_can_not_be_are_refused() -> None:
    with pytest.raises(ValueError, match="must rise"):
        Histogram(10.0, (5.0, 4.0))
    with pytest.raises(ValueError, match="must rise"):
        Histogram(math.nan, (5.0,))
    with pytest.raises(ValueError, match="edges must rise"):
        DistributionLook((1.0, 0.5), Histogram(1, (1, 1)), Histogram(1, (1, 1)))
    with pytest.raises(ValueError, match="one count for each edge"):
        DistributionLook((1.0,), Histogram(1, (1, 1)), Histogram(1, (1,)))
    state = observe(PARAMETERS, DistributionState(), DistributionLook((1.0,), Histogram(1, (1,)), Histogram(1, (1,))))
    with pytest.raises(ValueError, match="buckets are not those"):
        observe(PARAMETERS, state, DistributionLook((2.0,), Histogram(1, (1,)), Histogram(1, (1,))))
    with pytest.raises(ValueError, match="covers"):
        DistributionParameters(covers=1.0)


def test_enough_traffic_is_what_an_equal_canary_would_have_been_found_safe_with() -> None:
    few, many = story(5, looks=1, canary=5, stable=20)[0], story(5, looks=30)[0]
    assert not sufficient.for_distribution(PARAMETERS, few)
    assert sufficient.for_distribution(PARAMETERS, many)
    slower = story(5, looks=30, change=lambda _, values: values * 1.12)[0]
    assert sufficient.for_distribution(PARAMETERS, slower), "whatever this canary is like"
    beyond = Histogram(500.0, (5.0,) * len(EDGES))
    coarse = observe(PARAMETERS, DistributionState(), DistributionLook(EDGES, beyond, beyond))
    assert sufficient.for_distribution(PARAMETERS, coarse), "more requests would not help"
