"""Gauges: what pods and neighbouring looks are worth, and what is found."""

import json
import math
import time

import numpy as np
import pytest

from tidegate.core.judge import Verdict
from tidegate.core.judge.samples import SamplesLook, SamplesParameters, SamplesState, judge, observe

PARAMETERS = SamplesParameters(unit="MB")
NAMES = tuple(f"pod-{i}" for i in range(12))


def story(  # type: ignore[no-untyped-def]
    seed: int, ratio: float = 1.0, pods: float = 0.03, correlation: float = 0.5, looks: int = 60, parameters=PARAMETERS
):
    rng = np.random.default_rng(seed)
    level = 100 * np.exp(rng.normal(0, pods, 12)) * np.where(np.arange(12) < 3, ratio, 1.0)
    noise, state = rng.normal(0, 0.05, 12), SamplesState()
    for _ in range(looks):
        noise = correlation * noise + rng.normal(0, 0.05 * (1 - correlation**2) ** 0.5, 12)
        shared = math.exp(rng.normal(0, 0.3))
        values = (level * np.exp(noise) * shared).tolist()
        look = SamplesLook(tuple(values[:3]), tuple(values[3:]), 30.0, None, NAMES[:3], NAMES[3:])
        state = observe(parameters, state, look)
    return state, judge(parameters, state)


def test_a_hungrier_canary_is_found_though_both_drift() -> None:
    finding = story(1, ratio=1.6)[1]
    assert finding.verdict is Verdict.WORSE
    assert finding.ratio.lower is not None and finding.ratio.lower > 1.1
    assert "times as much, 95 % sure of at least" in finding.sentence
    assert finding.sentence.startswith("canary uses 1")


def test_an_equal_canary_is_safe() -> None:
    assert [story(seed)[1].verdict for seed in range(5)] == [Verdict.SAFE] * 5


def test_either_direction_is_worse_and_both_must_be_excluded_to_be_safe() -> None:
    either = SamplesParameters(either=True)
    more, less, same = (story(1, ratio=ratio, parameters=either)[1] for ratio in (1.6, 1 / 1.6, 1.0))
    assert (more.verdict, less.verdict, same.verdict) == (Verdict.WORSE, Verdict.WORSE, Verdict.SAFE)
    assert "sure of at least" in more.sentence and "sure of at most 0." in less.sentence
    one_sided = story(1, ratio=1 / 1.6)[1]
    assert one_sided.verdict is Verdict.SAFE, "where only more is worse, less is safe"


def test_pods_are_the_observations_however_long_one_watches() -> None:
    short, long = story(3, ratio=1.6, pods=0.3, looks=20), story(3, ratio=1.6, pods=0.3, looks=400)
    assert long[1].verdict is Verdict.NOT_YET
    assert long[1].against.log_e == pytest.approx(short[1].against.log_e, abs=1.0)
    assert "only more pods" in long[1].cautions[0]


def test_looks_that_resemble_their_neighbours_count_for_less() -> None:
    values = [1.0, 1.0, 1.0, 1.0, 1.4, 1.4, 1.4, 1.4] * 4
    state = SamplesState()
    for v in values:
        state = observe(PARAMETERS, state, SamplesLook((v,), (1.0,), 30.0))
    finding = judge(PARAMETERS, state)
    assert finding.design_effect > 2
    assert any("resemble" in c for c in finding.cautions)
    assert any("sick node" in c for c in finding.cautions)


def test_the_estimate_is_the_mean_of_log_ratios() -> None:
    pairs = [(2.0, 1.0), (3.0, 2.0), (2.2, 1.9), (5.0, 3.0), (1.0, 0.7)]
    state = SamplesState()
    for c, b in pairs:
        state = observe(PARAMETERS, state, SamplesLook((c,), (b,)))
    expected = math.exp(np.mean([math.log(c / b) for c, b in pairs]))
    assert judge(PARAMETERS, state).ratio.value == pytest.approx(expected, rel=1e-12)


def test_throughput_is_worse_when_it_is_lower() -> None:
    parameters = SamplesParameters(higher_is_worse=False, what="serves")
    finding = story(4, ratio=0.6, parameters=parameters)[1]
    assert finding.verdict is Verdict.WORSE
    assert "sure of at most 0.6" in finding.sentence
    assert story(4, ratio=1.6, parameters=parameters)[1].verdict is Verdict.SAFE


def test_nothing_to_compare_is_no_verdict() -> None:
    state = SamplesState()
    for look in (SamplesLook((), (1.0,)), SamplesLook((0.0,), (1.0,)), SamplesLook((1.0,), ())):
        state = observe(PARAMETERS, state, look)
    finding = judge(PARAMETERS, state)
    assert (finding.verdict, finding.data, state.looks) == (Verdict.NOT_YET, False, 3)
    assert finding.sentence.endswith("nothing to compare.")


def test_looks_without_any_scatter_are_no_proof_of_everything() -> None:
    state = SamplesState()
    for _ in range(10):
        state = observe(PARAMETERS, state, SamplesLook((1.0,), (1.0,), 30.0))
    finding = judge(PARAMETERS, state)
    assert math.isfinite(finding.favour.log_e)
    json.dumps(finding.to_json(), allow_nan=False)


def test_the_state_survives_json_and_does_not_grow() -> None:
    short, long = story(5, looks=20)[0], story(5, looks=600)[0]
    assert SamplesState.from_json(json.loads(json.dumps(long.to_json(), allow_nan=False))) == long
    assert len(json.dumps(long.to_json())) - len(json.dumps(short.to_json())) < 100


def test_a_verdict_at_3000_looks_takes_less_than_5_ms() -> None:
    state = story(5, looks=3000)[0]
    assert state.compared == 3000
    started = time.process_time()
    for _ in range(20):
        judge(PARAMETERS, state)
    assert (time.process_time() - started) / 20 < 0.005


def test_gauges_that_can_not_be_are_refused() -> None:
    for value in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="gauge"):
            SamplesLook((value,), (1.0,))
    with pytest.raises(ValueError, match="as many names"):
        SamplesLook((1.0,), (1.0,), canary_names=("a", "b"))
    with pytest.raises(ValueError, match="tolerated < safe"):
        SamplesParameters(tolerated=2.0)
