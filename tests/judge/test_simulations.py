"""The simulated judge is the real one, and keeps its promise in a small simulation."""

import numpy as np
import pytest

from benchmarks.judge.counting import PARAMETERS
from benchmarks.judge.pictures import Line, chart
from benchmarks.judge.streams import World, day, growing, uneven_traffic
from benchmarks.judge.tables import median_look, share, show
from benchmarks.judge.vector import NEVER, judged, peeking, static_bound
from tidegate.core.judge.counts import CountsLook, CountsState, Tally, judge, observe


def test_the_simulated_judge_is_the_real_one() -> None:
    world = World(60, 0.004, growing(25), ratio=1.8, drift=day, traffic=uneven_traffic, own=8.0)
    stream = world.stream(np.random.default_rng(1), 8)
    simulated = judged(stream, PARAMETERS, trace=True)
    for i in range(8):
        state = CountsState()
        for j in range(25):
            arms = (stream.canary_bad, stream.canary, stream.stable_bad, stream.stable)
            c, n, b, m = (float(column[i, j]) for column in arms)
            look = CountsLook(Tally(c, n), Tally(b, m))
            state = observe(PARAMETERS, state, look)
            assert judge(PARAMETERS, state).against.log_e == pytest.approx(simulated.against[i, j], abs=1e-7)
        worse = state.against.crossed.look if state.against.crossed else NEVER
        safe = state.favour.crossed.look if state.favour.crossed else NEVER
        assert worse == simulated.worse[i]
        if worse == NEVER:
            assert safe == simulated.safe[i]


@pytest.mark.parametrize("ratio", [1.0, PARAMETERS.tolerated])
def test_false_alarms_stay_within_the_budget(ratio: float) -> None:
    """1,500 rollouts at 1 %: more than 30 would happen once in 5,000 times if the promise just held."""
    world = World(100, 0.01, growing(60, 0.02, 0.6), ratio=ratio, drift=day, traffic=uneven_traffic)
    stream = world.stream(np.random.default_rng(2), 1500)
    assert np.sum(judged(stream, PARAMETERS, safe=False, guard=False).worse < NEVER) <= 30
    assert np.sum(judged(stream, PARAMETERS, safe=False).worse < NEVER) <= 15


def test_rivals_do_what_they_are_said_to() -> None:
    equal = World(100, 0.01, growing(60)).stream(np.random.default_rng(3), 200)
    assert np.mean(static_bound(equal) < NEVER) > 0.9
    assert np.mean(peeking(equal) < NEVER) > 0.03


def test_a_doubled_rate_is_seen_as_often_as_the_documentation_says() -> None:
    stream = World(66.67, 0.005, growing(18), ratio=2.0).stream(np.random.default_rng(4), 400)
    assert np.mean(judged(stream, PARAMETERS, safe=False).worse < NEVER) > 0.65


def test_figures_are_shown_with_their_intervals(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert show(share([True] + [False] * 999)) == "0.10 % (0.02 %-0.56 %)"
    assert median_look(np.array([1.0, NEVER, NEVER])) is None
    found = median_look(np.arange(1.0, 101.0))
    assert found is not None and found["low"] < found["median"] < found["high"]
    chart(tmp_path / "a.svg", "t", "x", "y", [Line("one", ((1, 0.0), (10, 1.0)))], log_x=True, percent=True)
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
