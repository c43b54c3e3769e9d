"""Many metrics: Kayenta's scores where they make sense, what is certain, what is possible, and no data."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.judge import Verdict
from tidegate.core.judge.score import Outcome, ScoreParameters, score

WORSE, SAFE, NOT_YET = Verdict.WORSE, Verdict.SAFE, Verdict.NOT_YET


def outcomes(*rows: tuple[str, Verdict]) -> list[Outcome]:
    return [Outcome(f"m{i}", verdict, group=group) for i, (group, verdict) in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "weights", "expected"),
    [
        ([("a", SAFE)], {}, 100),
        ([("a", WORSE)], {}, 0),
        ([("a", SAFE), ("a", WORSE), ("a", WORSE)], {}, 33.33),
        ([("a", SAFE), ("a", SAFE), ("b", WORSE)], {"a": 75.0, "b": 25.0}, 75),
        ([("a", SAFE), ("a", WORSE), ("b", WORSE)], {"a": 50.0, "b": 50.0}, 25),
        ([("a", SAFE), ("a", WORSE), ("a", WORSE), ("b", WORSE)], {"a": 15.0, "b": 85.0}, 5),
        ([("a", SAFE), ("b", WORSE), ("c", WORSE)], {"a": 40.0}, 40),
    ],
)
def test_scores_are_kayentas(rows: list[tuple[str, Verdict]], weights: dict[str, float], expected: float) -> None:
    found = score(ScoreParameters(group_weights=weights), outcomes(*rows))
    assert (found.lower, found.so_far, found.upper) == (expected,) * 3


def test_a_critical_metric_fails_the_whole() -> None:
    found = score(ScoreParameters(), [*outcomes(*[("a", SAFE)] * 9), Outcome("errors", WORSE, critical=True)])
    assert (found.verdict, found.so_far, found.failed_critical) == (WORSE, 0.0, ("errors",))
    assert found.sentence == "score 0: errors is critical and worse than stable"


def test_a_critical_metric_must_be_safe() -> None:
    pending = Outcome("errors", NOT_YET, critical=True)
    nine = outcomes(*[("a", SAFE)] * 9)
    assert score(ScoreParameters(pass_mark=80, marginal_mark=50), [*nine, pending]).verdict is NOT_YET
    pending = Outcome("errors", NOT_YET, critical=False)
    assert score(ScoreParameters(pass_mark=0, marginal_mark=0), [*nine, pending]).verdict is SAFE


def test_nine_metrics_are_worse_as_soon_as_the_marginal_mark_is_out_of_reach() -> None:
    marks = ScoreParameters(pass_mark=90, marginal_mark=75)
    two = outcomes(*[("", WORSE)] * 2, *[("", NOT_YET)] * 7)
    three = outcomes(*[("", WORSE)] * 3, *[("", NOT_YET)] * 6)
    assert (score(marks, two).verdict, score(marks, two).upper) == (NOT_YET, 77.78)
    assert score(marks, three).verdict is WORSE


def test_no_data_never_counts_for_the_canary() -> None:
    silent = [Outcome(f"m{i}", NOT_YET, data=False) for i in range(9)]
    found = score(ScoreParameters(pass_mark=50, marginal_mark=50), silent)
    assert (found.verdict, found.lower, found.so_far) == (NOT_YET, 0, 0)
    assert "no data, which counts for nothing: m0, m1" in found.sentence
    mixed = score(ScoreParameters(), [Outcome("a", SAFE, group="x"), Outcome("b", NOT_YET, data=False, group="y")])
    assert (mixed.so_far, mixed.verdict) == (50.0, NOT_YET)


@given(
    st.lists(
        st.builds(
            Outcome,
            st.text("ab", max_size=2),
            st.sampled_from(Verdict),
            st.booleans(),
            st.sampled_from("xyz"),
            st.booleans(),
        ),
        min_size=1,
        max_size=9,
    )
)
def test_certain_is_never_above_possible_and_a_settled_run_stays_so(metrics: list[Outcome]) -> None:
    """Whatever the undecided metrics turn out to be."""
    marks = ScoreParameters(pass_mark=80, marginal_mark=60)
    found = score(marks, metrics)
    assert found.lower <= found.so_far <= found.upper
    undecided = [i for i, m in enumerate(metrics) if m.verdict is NOT_YET][:4]
    if found.verdict is NOT_YET:
        return
    for turns in itertools.product((WORSE, SAFE), repeat=len(undecided)):
        settled = list(metrics)
        for i, verdict in zip(undecided, turns, strict=True):
            if settled[i].critical and found.verdict is SAFE and verdict is WORSE:
                break
            settled[i] = Outcome(settled[i].metric, verdict, True, settled[i].group, settled[i].critical)
        else:
            assert score(marks, settled).verdict is found.verdict


@pytest.mark.parametrize("change", [{"pass_mark": 50, "marginal_mark": 60}, {"group_weights": {"a": 60.0, "b": 50.0}}])
def test_marks_and_weights_that_can_not_be_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"marginal|weights"):
        ScoreParameters(**change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one metric"):
        score(ScoreParameters(), [])
