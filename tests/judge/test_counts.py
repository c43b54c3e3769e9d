"""Counts: what the evidence promises, held against exact enumeration, and what it says, against simple worlds."""

import itertools
import json
import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy.stats import binom

from tidegate.core.judge import Verdict
from tidegate.core.judge.counts import CountsLook, CountsParameters, CountsState, Tally, judge, observe
from tidegate.core.judge.curve import EMPTY, Likelihood, added
from tidegate.core.judge.dispersion import PodCount
from tidegate.core.judge.evidence import EFFECTS, LOG_WEIGHTS, mixed

PARAMETERS = CountsParameters(negligible=0.0)


def look(canary_bad: float, canary: float, stable_bad: float, stable: float, seconds: float = 30.0) -> CountsLook:
    return CountsLook(Tally(canary_bad, canary), Tally(stable_bad, stable), seconds)


def after(looks: list[CountsLook], parameters: CountsParameters = PARAMETERS) -> CountsState:
    state = CountsState()
    for one in looks:
        state = observe(parameters, state, one)
    return state


def log_likelihood(looks: list[CountsLook], t: float) -> float:
    """Term by term, as the module's docstring has it."""
    terms = []
    for one in looks:
        s = one.canary.total / (one.canary.total + one.stable.total)
        terms.append(one.canary.bad * t - (one.canary.bad + one.stable.bad) * math.log(s * math.exp(t) + 1 - s))
    return math.fsum(terms)


arms = st.tuples(st.integers(1, 5000), st.integers(1, 50_000), st.floats(0, 0.2), st.floats(0, 0.2)).map(
    lambda v: look(int(v[0] * v[2]), v[0], int(v[1] * v[3]), v[1])
)


@settings(max_examples=40)
@given(st.lists(arms, min_size=1, max_size=8), st.floats(-4.4, 4.4))
def test_the_curve_gives_the_likelihood_of_every_ratio(looks: list[CountsLook], t: float) -> None:
    state = after(looks)
    ours = Likelihood(state.curve, state.canary.bad)(t)
    assert ours == pytest.approx(
        log_likelihood(looks, t), rel=1e-9, abs=1e-9 * (1 + state.canary.bad + state.stable.bad)
    )


@settings(max_examples=40)
@given(st.lists(arms, min_size=1, max_size=8))
def test_the_estimate_is_the_most_likely_ratio(looks: list[CountsLook]) -> None:
    state = after(looks)
    if not state.canary.bad or not state.stable.bad:
        return
    best = optimize.minimize_scalar(lambda t: -log_likelihood(looks, t), bounds=(-4.6, 4.6), method="bounded")
    ratio = judge(PARAMETERS, state).ratio.value
    assert ratio is not None
    assert log_likelihood(looks, math.log(ratio)) >= -best.fun - 1e-9 * (1 + abs(best.fun))


@pytest.mark.parametrize("ratio", [1.0, 1.1])
@pytest.mark.parametrize("rate", [0.02, 0.3, 0.7])
def test_the_evidence_is_one_at_most_on_average_while_the_canary_is_tolerable(ratio: float, rate: float) -> None:
    """Every outcome of two looks with different weights and different rates, exactly."""
    expected = 0.0
    sizes, rates = ((2, 5), (6, 4)), (rate, rate / 2)
    for c1, b1, c2, b2 in itertools.product(range(3), range(6), range(7), range(5)):
        chance = 1.0
        for (canary, stable), p, (c, b) in zip(sizes, rates, ((c1, b1), (c2, b2)), strict=True):
            chance *= binom.pmf(c, canary, p * ratio) * binom.pmf(b, stable, p)
        looks = [look(c, n, b, m) for (n, m), (c, b) in zip(sizes, ((c1, b1), (c2, b2)), strict=True)]
        origin = math.log(PARAMETERS.tolerated)
        expected += chance * math.fsum(
            math.exp(w + log_likelihood(looks, origin + d) - log_likelihood(looks, origin))
            for d, w in zip(EFFECTS, LOG_WEIGHTS, strict=True)
        )
    assert expected <= 1 + 1e-12


@settings(max_examples=40)
@given(st.lists(arms, min_size=2, max_size=6), st.randoms())
def test_the_order_of_looks_does_not_matter_to_the_likelihood(looks: list[CountsLook], random) -> None:  # type: ignore[no-untyped-def]
    turned = list(looks)
    random.shuffle(turned)
    ours, theirs = after(looks), after(turned)
    assert ours.curve == pytest.approx(theirs.curve, rel=1e-12)
    # What the order does change is the design effect, which follows the looks.
    best = [Likelihood(s.curve, s.canary.bad).highest() for s in (ours, theirs)]
    assert best[0] == pytest.approx(best[1], abs=1e-6)


@settings(max_examples=40)
@given(arms, st.integers(2, 8))
def test_looking_more_often_makes_no_evidence_of_nothing(whole: CountsLook, parts: int) -> None:
    """However a look is cut, the guarded evidence stays below that of the plain likelihood, which cutting does not
    change."""
    part = CountsLook(
        Tally(whole.canary.bad / parts, whole.canary.total / parts),
        Tally(whole.stable.bad / parts, whole.stable.total / parts),
        1.0,
    )
    origin = math.log(PARAMETERS.tolerated)
    plain = mixed([log_likelihood([whole], origin + d) - log_likelihood([whole], origin) for d in EFFECTS])
    for looks in ([whole], [part] * parts):
        assert judge(PARAMETERS, after(looks)).against.log_e <= max(plain, 0.0) + 1e-6


@given(arms, st.integers(2, 10))
def test_a_look_in_parts_is_no_more_evidence_than_the_whole(whole: CountsLook, parts: int) -> None:
    share, failed = whole.share, whole.canary.bad + whole.stable.bad
    curve = EMPTY
    for _ in range(parts):
        curve = added(curve, share, failed / parts)
    assert curve == pytest.approx(added(EMPTY, share, failed), rel=1e-12)


@settings(max_examples=40)
@given(st.integers(0, 30), st.integers(0, 200), st.integers(200, 2000))
def test_one_more_failure_of_the_canary_never_speaks_for_it(bad: int, stable_bad: int, total: int) -> None:
    fewer = judge(PARAMETERS, after([look(bad, total, stable_bad, 9 * total)]))
    more = judge(PARAMETERS, after([look(bad + 1, total, stable_bad, 9 * total)]))
    assert more.against.log_e >= fewer.against.log_e
    assert more.favour.log_e <= fewer.favour.log_e


def test_a_sick_canary_is_told_in_one_sentence() -> None:
    state = after([look(13, 421, 15, 3810) for _ in range(10)])
    finding = judge(PARAMETERS, state)
    assert finding.verdict is Verdict.WORSE
    assert finding.against.crossed is not None
    assert finding.sentence == (
        "canary fails 3.1 % of 4,210 requests, stable 0.39 % of 38,100: 7.8 times as often, 95 % sure of at least 5.5; "
        "false-alarm budget 1 %"
    )


def test_worse_stays_and_safe_does_not() -> None:
    sick = after([look(13, 421, 15, 3810) for _ in range(4)])
    healed = sick
    for _ in range(200):
        healed = observe(PARAMETERS, healed, look(1, 421, 15, 3810))
    assert judge(PARAMETERS, healed).verdict is Verdict.WORSE
    safe = after([look(2, 421, 18, 3810) for _ in range(60)])
    assert judge(PARAMETERS, safe).verdict is Verdict.SAFE
    turned = safe
    for _ in range(30):
        turned = observe(PARAMETERS, turned, look(12, 421, 18, 3810))
    assert judge(PARAMETERS, turned).verdict is Verdict.WORSE


def test_no_traffic_is_no_verdict() -> None:
    state = after([look(0, 0, 12, 4000) for _ in range(100)])
    finding = judge(PARAMETERS, state)
    assert (finding.verdict, finding.data) == (Verdict.NOT_YET, False)
    assert finding.sentence == "canary had no requests so far: nothing to compare."
    assert finding.against.log_e == 0 == finding.favour.log_e


def test_what_is_missing_is_foretold_and_comes_true() -> None:
    state = after([look(8, 500, 40, 5000) for _ in range(3)])
    finding = judge(PARAMETERS, state)
    assert finding.remaining is not None and finding.remaining.seconds is not None
    assert finding.remaining.verdict is Verdict.WORSE
    assert "about" in finding.sentence and "at the present rate" in finding.sentence
    for _ in range(math.ceil(finding.remaining.seconds / 30 * 1.3)):
        state = observe(PARAMETERS, state, look(8, 500, 40, 5000))
    assert judge(PARAMETERS, state).verdict is Verdict.WORSE


def test_no_failures_at_all_is_safe_only_once_the_rate_is_surely_negligible() -> None:
    parameters = CountsParameters(negligible=0.001)
    few = judge(parameters, after([look(0, 1000, 0, 9000)], parameters))
    many = judge(parameters, after([look(0, 1000, 0, 9000)] * 8, parameters))
    assert (few.verdict, many.verdict) == (Verdict.NOT_YET, Verdict.SAFE)
    assert judge(PARAMETERS, after([look(0, 1000, 0, 9000)] * 8)).verdict is Verdict.NOT_YET


def test_pods_that_differ_among_themselves_weaken_the_evidence() -> None:
    def with_pods(bads: list[int]) -> CountsLook:
        pods = tuple(PodCount(f"s{i}", bad, 1000) for i, bad in enumerate(bads))
        return CountsLook(
            Tally(20, 1000), Tally(sum(bads), 1000 * len(bads)), 30, None, (PodCount("c0", 20, 1000),), pods
        )

    even = judge(PARAMETERS, after([with_pods([10, 10, 10, 10])] * 6))
    uneven = judge(PARAMETERS, after([with_pods([2, 4, 8, 26])] * 6))
    assert even.verdict is Verdict.WORSE
    assert uneven.verdict is Verdict.NOT_YET
    assert any("only more pods" in c for c in uneven.cautions)


def test_the_state_survives_json_and_does_not_grow() -> None:
    pods = tuple(PodCount(f"stable-5d8f7c-{i:05}", 1, 100) for i in range(200))
    state, sizes = CountsState(), []
    for i in range(300):
        one = CountsLook(Tally(i % 3, 500), Tally(4, 4500), 30, "2026-11-26T23:00:00Z", pods[:3], pods)
        state = observe(PARAMETERS, state, one)
        again = CountsState.from_json(json.loads(json.dumps(state.to_json(), allow_nan=False)))
        assert again == state
        state = again
        sizes.append(len(json.dumps(state.to_json(), allow_nan=False)))
    assert sizes[-1] < 4500
    assert sizes[-1] - sizes[99] < 100


def test_a_verdict_at_3000_looks_takes_less_than_5_ms() -> None:
    state = CountsState()
    for i in range(3000):
        state = observe(PARAMETERS, state, look(i % 2, 150, 5, 1500))
    started = time.process_time()
    for _ in range(20):
        judge(PARAMETERS, state)
    assert (time.process_time() - started) / 20 < 0.005


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"false_alarm": 0.0}, "false_alarm must lie between 0 and 0.5, not 0.0"),
        ({"tolerated": 3.0}, "1 <= tolerated < safe <= 20"),
        ({"confidence": 1.0}, "confidence"),
        ({"negligible": -1.0}, "negligible"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(change: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CountsParameters(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [-1.0, 11.0, math.nan, math.inf])
def test_counts_that_can_not_be_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="bad and total"):
        Tally(bad, 10.0)
