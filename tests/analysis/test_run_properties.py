"""Random runs against a model of the contract that is small enough to check by eye."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.analysis.simulation import START, Simulation, analysis_run, metric, script, scripts
from tidegate.core.analysis.decide import decide
from tidegate.core.analysis.world import RunPlan, RunWorld

LETTERS = st.text(alphabet="SSSSFIE", min_size=1, max_size=14)
FEW = st.integers(0, 3)


@st.composite
def limits(draw: st.DrawFn) -> dict[str, Any]:
    """Fields of a metric with an interval, such as the contract allows together."""
    failure, success = draw(st.integers(-1, 3)), draw(FEW)
    if failure < 0:
        success = max(success, 1)
    inconclusive = draw(FEW)
    least = max(failure, 0) + success
    count = draw(st.one_of(st.none(), st.integers(max(least, inconclusive, 1), 12)))
    fields = {
        "interval": "20s",
        "failureLimit": failure,
        "consecutiveSuccessLimit": success,
        "inconclusiveLimit": inconclusive,
        "consecutiveErrorLimit": draw(FEW),
    }
    return fields if count is None else {**fields, "count": count}


def model(letters: str, limit: dict[str, Any]) -> tuple[str, int]:
    """The phase that a metric ends with and how many measurements that takes; Running after the last letter."""
    for taken in range(1, len(letters) + 1):
        past = letters[:taken]
        if past.endswith("E" * (limit["consecutiveErrorLimit"] + 1)):
            return "Error", taken
        if past.count("I") > limit["inconclusiveLimit"]:
            return "Inconclusive", taken
        if past.count("F") > limit["failureLimit"] >= 0:
            return "Failed", taken
        row = limit["consecutiveSuccessLimit"]
        if row and past.endswith("S" * row):
            return "Successful", taken
        if taken - past.count("E") == limit.get("count"):
            if not row:
                return "Successful", taken
            return ("Failed" if limit["failureLimit"] < 0 else "Inconclusive"), taken
    return "Running", len(letters)


@given(letters=LETTERS, fields=limits())
def test_a_metric_agrees_with_the_model(letters: str, fields: dict[str, Any]) -> None:
    phase, taken = model(letters, fields)
    run = analysis_run(metric(**fields))

    played = Simulation(run, script(letters))
    while len(played.asked) < len(letters) and played.status.get("phase") in (None, "Running"):
        played.now += timedelta(seconds=25)
        played.reconcile()

    assert (played.status["phase"], len(played.asked)) == (phase, taken)
    result = played.result()
    counted = {"successful": "S", "failed": "F", "inconclusive": "I", "error": "E"}
    assert {name: result.get(name, 0) for name in counted} == {
        name: letters[:taken].count(letter) for name, letter in counted.items()
    }
    assert len(result["measurements"]) == min(taken, 10)
    assert played.writes == taken


@given(letters=LETTERS, fields=limits())
def test_a_limit_that_is_an_argument_counts_like_a_number(letters: str, fields: dict[str, Any]) -> None:
    """Argo Rollouts' IntOrString: a number, a number as text, or text that an argument makes a number."""
    fields = {**fields, "count": fields.get("count", 12)}
    numbers = {name: value for name, value in fields.items() if name != "interval"}
    args = [{"name": name, "value": str(value)} for name, value in numbers.items()]
    templated = {name: f"{{{{args.{name}}}}}" for name in numbers}
    plain = Simulation(analysis_run(metric(**fields)), script(letters)).play()

    as_text = Simulation(analysis_run(metric(**{**fields, **{n: str(v) for n, v in numbers.items()}})), script(letters))
    as_arguments = Simulation(analysis_run(metric(**{**fields, **templated}), args=args), script(letters))

    assert as_text.play().status == as_arguments.play().status == plain.status


@given(letters=LETTERS, fields=limits(), at=st.integers(0, 300))
def test_a_run_that_is_told_to_end_ends_at_that_moment_and_is_judged_by_what_was_measured(
    letters: str, fields: dict[str, Any], at: int
) -> None:
    run = analysis_run(metric("a", **fields), metric("later", initialDelay="130s"))
    played = Simulation(run, script(letters)).play(until=timedelta(seconds=at))
    before = played.status
    asked, writes = len(played.asked), played.writes

    played.now = max(played.now, START + timedelta(seconds=at))
    played.run = {**played.run, "spec": {**played.run["spec"], "terminate": True}}
    played.reconcile()

    ended = before.get("phase") not in (None, "Running")
    assert len(played.asked) == asked, "nothing is measured for a run that is to end"
    assert played.writes == writes + (not ended)
    assert played.status["phase"] == (before["phase"] if ended else "Successful")
    assert played.status.get("message") == (before.get("message") if ended else "Run Terminated")
    assert "completedAt" in played.status
    assert decide(RunWorld(played.run, played.now + timedelta(days=1))) == RunPlan()


@given(a=st.text(alphabet="SSSFI", min_size=4, max_size=4), b=st.text(alphabet="SSSFI", min_size=4, max_size=4))
def test_two_metrics_end_together_with_the_first_that_goes_bad(a: str, b: str) -> None:
    fields = {"interval": "20s", "count": 4}
    ends = [model(letters, {**NO_LIMITS, **fields}) for letters in (a, b)]
    first = min(taken for phase, taken in ends)
    bad = [phase for phase, taken in ends if taken == first]

    played = Simulation(analysis_run(metric("a", **fields), metric("b", **fields)), scripts(a=a, b=b)).play()

    assert played.status["phase"] == max(bad, key=["Successful", "Inconclusive", "Failed"].index)
    assert len(played.asked_at("a")) == len(played.asked_at("b")) == first


NO_LIMITS = {
    "failureLimit": 0,
    "inconclusiveLimit": 0,
    "consecutiveErrorLimit": 4,
    "consecutiveSuccessLimit": 0,
}


@given(letters=LETTERS, fields=limits(), crashes=st.frozensets(st.integers(0, 20), max_size=8))
def test_killed_between_measuring_and_writing_same_end(
    letters: str, fields: dict[str, Any], crashes: frozenset[int]
) -> None:
    """*Killed anywhere, same end.*"""
    fields = {**fields, "count": fields.get("count", 12)}
    undisturbed = Simulation(analysis_run(metric(**fields)), script(letters)).play()

    disturbed = Simulation(analysis_run(metric(**fields)), script(letters), crashes=crashes).play()

    assert ends(disturbed.run) == ends(undisturbed.run)


def ends(run: dict[str, Any]) -> Any:
    """What a run came to, without its times."""
    result = run["status"]["metricResults"][0]
    timeless = [{k: v for k, v in taken.items() if not k.endswith("At")} for taken in result["measurements"]]
    return run["status"]["phase"], run["status"].get("message"), {**result, "measurements": timeless}


@given(letters=LETTERS, fields=limits(), at=st.lists(st.integers(1, 3000), max_size=30))
def test_looking_at_odd_moments_neither_writes_nor_measures_too_early(
    letters: str, fields: dict[str, Any], at: list[int]
) -> None:
    """*Idle is silent*: whatever wakes a run up, it asks no oftener than its interval says."""
    played = Simulation(analysis_run(metric(**fields)), script(letters), takes=timedelta(0))
    for tenths in sorted(at):
        played.now = max(played.now, played.now.replace(minute=tenths // 600, second=tenths // 10 % 60))
        before = played.writes, len(played.asked)
        played.reconcile()
        after = played.writes, len(played.asked)
        assert after[0] - before[0] == after[1] - before[1] <= 1

    times = played.asked_at()
    assert all(later - earlier >= 9 for earlier, later in pairwise(times))
