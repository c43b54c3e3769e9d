"""What becomes of a run whose metrics compare: worse, safe, undecided, too little traffic, no answer; also together."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.analysis.simulation import BROKEN, Simulation, analysis_run, metric, script
from tests.analysis.traffic import answer, compared, counts, steadily
from tidegate.core.analysis.world import Measure, Reading

FAR_WORSE = steadily((0.5, 5), (0.5, 50))
ALIKE = steadily((0.05, 5), (0.5, 50))
BETWEEN = steadily((0.08, 5), (0.5, 50))
"""1.6 times as often: neither certified below 2 nor surely above 1.1 before very long."""
QUIET = steadily((0, 0.05), (0, 0.05))


def play(*metrics: dict[str, Any], say: Any, minutes: float = 60, **spec: Any) -> Simulation:
    return Simulation(analysis_run(*metrics, **spec), say).play(until=timedelta(minutes=minutes))


def test_worse_fails_the_run_at_once_and_says_it_in_one_sentence() -> None:
    played = play(compared(count=20), say=FAR_WORSE)

    assert played.status["phase"] == "Failed" and len(played.asked) < 4
    message = played.status["message"]
    assert message.startswith('Metric "errors" assessed Failed due to canary fails 10.0 % of ')
    assert "false-alarm budget 1 %" in message
    assert [event.reason for event in played.events] == ["MetricFailed", "AnalysisRunFailed"]
    assert message in played.events[-1].message


def test_the_record_is_kept_small_and_the_state_goes_with_the_end() -> None:
    played = play(compared(count=90), say=ALIKE)

    entry = played.result("errors")["compare"]
    assert entry["verdict"] == "safe" and "state" not in entry
    record = entry["record"]
    assert record["arms"]["stable"]["total"] == pytest.approx(10 * record["arms"]["canary"]["total"])
    assert record["favour"]["crossed"]["at"] < entry["upTo"] and record["ratio"]["upper"] < 2
    assert len(record["trail"]) <= 41 and record["trail"][-1][0] == record["looks"] == 90
    assert len(json.dumps(entry)) < 3000


def test_the_state_does_not_grow_with_looks() -> None:
    sizes = []
    for minutes in (5, 25):
        played = play(compared(), say=ALIKE, minutes=minutes)
        sizes.append(len(json.dumps(played.result("errors")["compare"])))
    assert sizes[1] < sizes[0] + 1000 and sizes[1] < 6000


def test_safe_is_a_success_at_the_planned_end_and_worse_may_still_come_until_then() -> None:
    assert len(play(compared(count=20), say=ALIKE).asked) == 20

    def turns(measure: Measure, taken: int) -> Reading:
        return (ALIKE if taken < 15 else steadily((3, 5), (0.5, 50)))(measure, taken)

    turned = play(compared(count=20), say=turns)
    assert turned.status["phase"] == "Failed" and len(turned.asked) in (16, 17, 18)


def test_advance_when_safe_ends_the_run_once_every_metric_is_safe() -> None:
    slow = steadily((0.02, 1), (0.2, 10))

    def say(measure: Measure, taken: int) -> Reading:
        return (slow if measure.metric == "rare" else ALIKE)(measure, taken)

    judge = {"advanceWhenSafe": True}
    alone = play(compared(count=60), say=ALIKE, judge=judge)
    both = play(compared(count=90), compared("rare", count=90), say=say, judge=judge)

    assert alone.status["phase"] == "Successful" and len(alone.asked) < 20
    assert both.status["phase"] == "Successful"
    looks = [len(both.asked_at(name)) for name in ("errors", "rare")]
    assert looks[0] == looks[1] > len(alone.asked), "the quick one is watched on meanwhile"
    assert "safe up to 2 times" in both.status["message"]
    endless = play(compared(), say=ALIKE, judge=judge, minutes=20).status["judge"]
    assert endless["safe"] and endless["advance"] and endless["since"] == "2026-03-01T12:19:00Z"


@pytest.mark.parametrize(
    ("policy", "phase"),
    [(None, "Inconclusive"), ("pause", "Inconclusive"), ("promote", "Successful"), ("undo", "Failed")],
)
def test_no_verdict_at_the_end_means_what_the_policy_says(policy: str | None, phase: str) -> None:
    judge = {"judge": {"whenUndecided": policy}} if policy else {}
    played = play(compared(count=25), say=BETWEEN, **judge)

    assert played.status["phase"] == phase and len(played.asked) == 25
    assert f"no verdict until the end, and whenUndecided is {policy or 'pause'}" in played.status["message"]
    assert "1.6 times as often" in played.status["message"]


def test_a_run_says_that_it_is_undecided_and_how_many_looks_are_planned_before_that_counts() -> None:
    """Neither while traffic lacks, nor of a metric that is safe, only watched, or has ended by its policy."""
    endless = play(compared(), say=BETWEEN, minutes=20)
    assert endless.status["judge"]["undecided"].startswith('Metric "errors": canary fails 1.6 % of ')
    assert "looksLeft" not in endless.status["judge"] and not endless.status.get("message")

    planned = play(compared(count=60), say=BETWEEN, minutes=20)
    assert planned.status["judge"]["looksLeft"] == 60 - len(planned.asked) > 0

    scored = play(compared(), say=BETWEEN, minutes=20, judge={"score": {}})
    assert "score" in scored.status["judge"]["undecided"]

    judge = {"judge": {"whenUndecided": "promote"}}
    ended = play(compared(count=25), compared("more"), say=mixed, minutes=20, **judge)
    assert ended.status["judge"] == {"since": ended.status["judge"]["since"]} and ended.result("errors")["phase"]
    watched = play(compared(), say=BETWEEN, minutes=20, dryRun=[{"metricName": "errors"}])
    for quiet in (play(compared(), say=QUIET, minutes=6), play(compared(), say=ALIKE, minutes=30), watched):
        assert "undecided" not in quiet.status.get("judge", {})


def mixed(measure: Measure, taken: int) -> Reading:
    """One metric undecided, the other safe."""
    return (BETWEEN if measure.metric == "errors" else ALIKE)(measure, taken)


@pytest.mark.parametrize("policy", ["pause", "promote", "undo"])
def test_too_little_traffic_never_fails_and_never_passes(policy: str) -> None:
    played = play(compared(count=3), say=QUIET, minutes=6, judge={"whenUndecided": policy})

    assert played.status["phase"] == "Running" and len(played.asked) > 8
    message = played.status["message"]
    assert 'Metric "errors" has had too little traffic for a verdict' in message
    assert "of the evidence" in message and "at the present rate" in message
    assert played.status["judge"]["hold"] == message
    assert [event.reason for event in played.events] == ["AnalysisRunHolding"], "it is told once"


def test_a_hold_is_over_when_the_traffic_comes() -> None:
    def say(measure: Measure, taken: int) -> Reading:
        return (QUIET if taken < 10 else ALIKE)(measure, taken)

    played = play(compared(count=3), say=say)
    assert played.status["phase"] == "Successful" and 10 < len(played.asked) < 40


def test_a_canary_without_data_never_counts_for_it() -> None:
    absent = answer([("stable", "total", "p", 1500.0), ("stable", "bad", "p", 15.0)])
    played = play(compared(count=3), say=lambda *_: absent, minutes=4, judge={"whenUndecided": "promote"})

    assert played.status["phase"] == "Running"
    assert played.result("errors")["measurements"][-1]["message"] == "no data of canary"


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (BROKEN, "no answer within 30 s"),
        (counts((40, 30), (1, 100)), "bad of canary is 40 where total is 30"),
        (counts((float("nan"), 30), (1, 100)), "nan for bad of canary"),
        (Reading(value=1.0, text="1"), "gave no vector"),
    ],
)
def test_a_broken_answer_is_an_error_and_never_a_verdict(reading: Reading, words: str) -> None:
    played = play(compared(count=3, consecutiveErrorLimit=2), say=lambda *_: reading)

    assert played.status["phase"] == "Error" and len(played.asked) == 3
    assert words in played.result("errors")["measurements"][0]["message"]
    assert "compare" not in played.result("errors")


def test_a_static_bound_beside_it_fails_what_stable_does_no_better() -> None:
    both_bad = steadily((1, 5), (10, 50))
    bounded = compared(count=20, failureCondition="result.canary.rate > 0.1", failureLimit=1)

    assert play(compared(count=20), say=both_bad).status["phase"] == "Successful"
    failed = play(bounded, say=both_bad)
    assert failed.status["phase"] == "Failed" and len(failed.asked) == 2
    assert "failed (2) > failureLimit (1)" in failed.status["message"]


def test_a_run_that_is_told_to_end_says_that_it_knows_nothing_yet() -> None:
    played = play(compared(count=20), say=BETWEEN, minutes=2)
    played.run["spec"]["terminate"] = True
    played.reconcile()
    assert played.status["phase"] == "Inconclusive"
    assert "ended before there was a verdict" in played.status["message"]


def test_a_metric_that_is_only_watched_neither_decides_nor_holds() -> None:
    def say(measure: Measure, taken: int) -> Reading:
        return (ALIKE if measure.metric == "errors" else QUIET)(measure, taken)

    watched = {"dryRun": [{"metricName": "watched"}]}
    played = play(compared(count=20), compared("watched", count=20), say=say, **watched)
    assert played.status["phase"] == "Successful" and len(played.asked_at("watched")) == 20
    alone = play(compared(count=20), say=FAR_WORSE)
    beside = play(compared(count=20), compared("watched", count=20), say=FAR_WORSE, **watched)
    budget = [p.result("errors")["compare"]["record"]["against"]["needed"] for p in (alone, beside)]
    assert budget[0] == budget[1], "the false-alarm budget is of those that decide"


def test_the_budget_is_shared_among_the_metrics_that_compare() -> None:
    played = play(compared(count=2), compared("b", count=2), say=ALIKE, judge={"falseAlarm": 0.02}, minutes=2)
    assert played.result("errors")["compare"]["record"]["against"]["needed"] == pytest.approx(4.605, abs=1e-3)


def test_a_shared_budget_is_told_with_the_whole_runs() -> None:
    metrics = [compared(name, count=9) for name in ("errors", "a", "b", "c", "d", "e", "f", "g", "h")]
    message = play(*metrics, say=FAR_WORSE).status["message"]
    assert message.endswith("; false-alarm budget 0.11 % of the run's 1 %")


def test_metrics_with_conditions_stand_beside() -> None:
    def say(measure: Measure, taken: int) -> Reading:
        return ALIKE(measure, taken) if measure.window else script("SSF")(measure, taken)

    played = play(compared(count=20), metric("static", interval="30s", count=5), say=say)
    assert played.status["phase"] == "Failed" and 'Metric "static"' in played.status["message"]


SCORE = {
    "critical": ["errors"],
    "groups": [{"name": "errors", "metrics": ["errors"], "weight": 70}, {"name": "rest", "metrics": ["a", "b"]}],
}
MARKS = {"pass": 85, "marginal": 70}


@pytest.mark.parametrize(
    ("worse", "marks", "phase", "score"),
    [
        ("", MARKS, "Successful", "100"),
        ("a", MARKS, "Successful", "85"),
        ("a", {}, "Inconclusive", "85"),
        ("ab", MARKS, "Inconclusive", "70"),
        ("ab", {}, "Failed", "70"),
        ("errors", MARKS, "Failed", "0"),
    ],
)
def test_metrics_of_a_score_decide_together(worse: str, marks: dict[str, int], phase: str, score: str) -> None:
    def say(measure: Measure, taken: int) -> Reading:
        bad = measure.metric == worse or (measure.metric in worse and worse != "errors")
        return (FAR_WORSE if bad else ALIKE)(measure, taken)

    metrics = [compared(name, count=25) for name in ("errors", "a", "b")]
    played = play(*metrics, say=say, judge={"score": {**SCORE, **marks}})

    assert (played.status["phase"], played.status["judge"]["score"]) == (phase, score)
    looks = len(played.asked_at("b" if worse == "errors" else "errors"))
    assert (looks == 25) == (phase != "Failed"), "one that can't pass any more is not waited for"
    told = played.status["judge"]["message"]
    assert told.startswith("score ") and told in played.status["message"]
    assert worse not in ("a", "ab") or f"worse: {', '.join(f'{name} of rest' for name in worse)}" in told
