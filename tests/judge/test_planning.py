"""Forecasts are what the judge then does; null splits."""

import pytest

from tidegate.core.judge import Verdict, counts
from tidegate.core.judge.counts import CountsLook, CountsState, Tally
from tidegate.core.judge.draws import poisson, uniforms
from tidegate.core.judge.null_splits import false_alarms, null_splits
from tidegate.core.judge.planning import Plan, Step, outlook, smallest_seen

PLAN = Plan(100.0, 0.005, (Step(300, 0.1), Step(310, 0.5)))


@pytest.mark.parametrize("ratio", [1.0, 2.5])
def test_a_played_rollout_is_judged_as_a_real_one(ratio: float) -> None:
    """The same draws, through the judge that runs in the cluster."""
    undone, safe = [], []
    draws = uniforms(3)
    for _ in range(12):
        state, elapsed, first_safe = CountsState(), 0.0, None
        for step in PLAN.steps:
            whole = [30.0] * int(step.seconds // 30) + ([step.seconds % 30] if step.seconds % 30 else [])
            for seconds in whole:
                n, m = 100 * seconds * step.share, 100 * seconds * (1 - step.share)
                c, b = poisson(n * 0.005 * ratio, next(draws)), poisson(m * 0.005, next(draws))
                elapsed += seconds
                state = counts.observe(PLAN.parameters, state, CountsLook(Tally(c, n), Tally(b, m), seconds))
                if state.against.crossed:
                    break
                if first_safe is None and state.favour.crossed:
                    first_safe = elapsed
            if state.against.crossed:
                break
        undone += [elapsed] if state.against.crossed else []
        safe += [first_safe] if first_safe is not None and not state.against.crossed else []
    found = outlook(PLAN, ratio, runs=12, seed=3)
    assert (found.undone, found.called_safe) == (len(undone) / 12, len(safe) / 12)
    assert (found.undone_after is None) == (not undone)
    if undone:
        assert found.undone_after == pytest.approx(sorted(undone)[len(undone) // 2], abs=60)


def test_a_plan_gives_the_same_answer_twice() -> None:
    assert outlook(PLAN, 2.0, runs=50) == outlook(PLAN, 2.0, runs=50)


def test_larger_regressions_are_seen_more_surely_and_meet_fewer_users() -> None:
    small, large = outlook(PLAN, 1.5, runs=100), outlook(PLAN, 5.0, runs=100)
    assert small.undone < large.undone == 1.0
    assert large.exposed < small.exposed / 5
    seen = smallest_seen(PLAN, 0.9, runs=60)
    assert seen is not None and 1.5 < seen < 5
    assert smallest_seen(Plan(0.1, 0.001, (Step(300, 0.1),)), runs=20) is None


@pytest.mark.parametrize(
    "change", [{"requests_per_second": 0}, {"error_rate": 1.0}, {"steps": ()}, {"steps": (Step(10, 1.0),)}]
)
def test_plans_that_can_not_be_are_refused(change: dict[str, object]) -> None:
    given = {"requests_per_second": 1.0, "error_rate": 0.01, "steps": (Step(60, 0.1),), **change}
    with pytest.raises(ValueError, match=r"must|needs"):
        Plan(**given)  # type: ignore[arg-type]


def test_null_splits_are_all_there_are_or_as_many_as_asked_for() -> None:
    pods = ["a", "b", "c", "d"]
    assert len(null_splits(pods, 2)) == 6
    many = null_splits([f"p{i}" for i in range(20)], 5, most=50)
    assert len(set(many)) == 50 and all(len(s) == 5 for s in many)
    assert many == null_splits([f"p{i}" for i in range(20)], 5, most=50)
    with pytest.raises(ValueError, match="can't play"):
        null_splits(pods, 4)


def test_false_alarms_come_with_their_interval() -> None:
    found = false_alarms([Verdict.WORSE] + [Verdict.NOT_YET] * 99)
    assert found.share == 0.01
    assert found.interval[0] < 0.01 < found.interval[1] < 0.06
