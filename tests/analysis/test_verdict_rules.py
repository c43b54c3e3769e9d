"""The contract's sentences about verdicts, a row each."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.analysis.simulation import Simulation, analysis_run, metric, script, scripts

FOREVER = {"interval": "5s"}

METRIC_RULES = [
    # (sentence, fields of the metric, measurements, phase, measurements taken)
    ("no count and no interval: one measurement", {}, "S", "Successful", 1),
    ("count alone: one measurement", {"count": 1}, "S", "Successful", 1),
    ("count and interval: so many measurements", {"count": 3, **FOREVER}, "S", "Successful", 3),
    ("count as text", {"count": "3", **FOREVER}, "S", "Successful", 3),
    ("one failure is a verdict by default", {}, "F", "Failed", 1),
    ("failures up to the limit are borne", {"count": 5, "failureLimit": 2, **FOREVER}, "FFS", "Successful", 5),
    ("failureLimit 3 undoes on the 4th failure", {"failureLimit": 3, **FOREVER}, "FFFF", "Failed", 4),
    ("failures add up, in a row or not", {"failureLimit": 3, **FOREVER}, "FSFSSFSF", "Failed", 8),
    (
        "failureLimit -1 switches failures off",
        {"failureLimit": -1, "consecutiveSuccessLimit": 2, **FOREVER},
        "FFFFFFFFFSS",
        "Successful",
        11,
    ),
    ("one inconclusive is a verdict by default", {}, "I", "Inconclusive", 1),
    (
        "inconclusives up to the limit are borne, and forgotten in the end",
        {"count": 3, "inconclusiveLimit": 1, **FOREVER},
        "SIS",
        "Successful",
        3,
    ),
    ("one more inconclusive than the limit", {"inconclusiveLimit": 1, **FOREVER}, "ISI", "Inconclusive", 3),
    ("four errors in a row are borne", {}, "EEEES", "Successful", 5),
    ("a fifth error in a row is a verdict", {}, "EEEEE", "Error", 5),
    ("errors that aren't in a row are borne", {"count": 3, **FOREVER}, "EEEESEEEESEEEES", "Successful", 15),
    ("consecutiveErrorLimit 0", {"consecutiveErrorLimit": 0}, "E", "Error", 1),
    ("errors don't count towards count", {"count": 2, **FOREVER}, "ESES", "Successful", 4),
    (
        "so many successes in a row end a run that has no count",
        {"consecutiveSuccessLimit": 3, "failureLimit": 9, **FOREVER},
        "SSFSSS",
        "Successful",
        6,
    ),
    (
        "an error breaks a row of successes",
        {"consecutiveSuccessLimit": 2, "failureLimit": 9, **FOREVER},
        "SESS",
        "Successful",
        4,
    ),
    (
        "an inconclusive breaks a row of successes",
        {"consecutiveSuccessLimit": 2, "failureLimit": 9, "inconclusiveLimit": 5, **FOREVER},
        "SISS",
        "Successful",
        4,
    ),
    (
        "count reached with both limits unresolved",
        {"consecutiveSuccessLimit": 2, "failureLimit": 2, "count": 4, **FOREVER},
        "SFSF",
        "Inconclusive",
        4,
    ),
    (
        "count reached with only consecutiveSuccessLimit to reach",
        {"consecutiveSuccessLimit": 2, "failureLimit": -1, "count": 4, **FOREVER},
        "SFSF",
        "Failed",
        4,
    ),
]


@pytest.mark.parametrize(
    ("fields", "letters", "phase", "taken"), [row[1:] for row in METRIC_RULES], ids=[row[0] for row in METRIC_RULES]
)
def test_a_metric_ends_as_the_contract_says(fields: dict[str, object], letters: str, phase: str, taken: int) -> None:
    played = Simulation(analysis_run(metric(**fields)), script(letters)).play()

    assert (played.status["phase"], len(played.asked)) == (phase, taken)
    assert played.result()["phase"] == phase
    assert played.writes == taken


def test_a_metric_with_an_interval_alone_runs_until_it_is_stopped() -> None:
    played = Simulation(analysis_run(metric(interval="60s")), script("S")).play()

    assert played.status["phase"] == "Running"
    assert len(played.asked) == 61


CONDITION_RULES = [
    # (success, failure, measured, outcome)
    ("result[0] == 1", "", "S", "Successful"),
    ("result[0] == 1", "", "F", "Failed"),
    ("result[0] == 1", "", "I", "Failed"),
    ("", "result[0] == 2", "F", "Failed"),
    ("", "result[0] == 2", "S", "Successful"),
    ("", "result[0] == 2", "I", "Successful"),
    ("result[0] == 1", "result[0] == 2", "S", "Successful"),
    ("result[0] == 1", "result[0] == 2", "F", "Failed"),
    ("result[0] == 1", "result[0] == 2", "I", "Inconclusive"),
    ("result[0] > 0", "result[0] == 2", "F", "Failed"),
    ("", "", "S", "Successful"),
    ("", "", "F", "Successful"),
    ("", "", "E", "Error"),
    ("result[0] == 1", "", "E", "Error"),
    ("result[5] == 1", "", "S", "Error"),
    ("result[0] == 1", "result[5] == 1", "S", "Error"),
]


@pytest.mark.parametrize(("success", "failure", "letter", "outcome"), CONDITION_RULES)
def test_conditions_judge_a_measurement_as_the_contract_says(
    success: str, failure: str, letter: str, outcome: str
) -> None:
    fields = {"successCondition": success, "failureCondition": failure, "consecutiveErrorLimit": 0}
    played = Simulation(analysis_run(metric(**fields)), script(letter)).play()

    assert played.result()["measurements"][-1]["phase"] == outcome
    assert played.status["phase"] == outcome


RUN_RULES = [
    # (sentence, measurements of a, measurements of b, phase of a, phase of b, phase of the run)
    ("all good", "SS", "SS", "Successful", "Successful", "Successful"),
    ("the first bad metric ends the run, the other is let off", "F", "S", "Failed", "Successful", "Failed"),
    ("failed is worse than error", "F", "E", "Failed", "Error", "Failed"),
    ("error is worse than inconclusive", "E", "I", "Error", "Inconclusive", "Error"),
    ("inconclusive is worse than successful", "I", "S", "Inconclusive", "Successful", "Inconclusive"),
]


@pytest.mark.parametrize(
    ("a", "b", "phase_a", "phase_b", "phase"), [row[1:] for row in RUN_RULES], ids=[row[0] for row in RUN_RULES]
)
def test_a_run_ends_with_its_worst_metric(a: str, b: str, phase_a: str, phase_b: str, phase: str) -> None:
    fields = {"count": 2, "interval": "5s", "consecutiveErrorLimit": 0}
    run = analysis_run(metric("a", **fields), metric("b", **fields))

    played = Simulation(run, scripts(a=a, b=b)).play()

    assert (played.result("a")["phase"], played.result("b")["phase"]) == (phase_a, phase_b)
    assert played.status["phase"] == phase


@pytest.mark.parametrize(
    ("letter", "ended", "in_a_row"), [("F", "failed", 0), ("I", "inconclusive", 0), ("E", "error", 1)]
)
def test_the_status_counts_how_measurements_and_metrics_ended(letter: str, ended: str, in_a_row: int) -> None:
    played = Simulation(analysis_run(metric(consecutiveErrorLimit=0)), script(letter)).play()

    assert played.status["runSummary"] == {"count": 1, ended: 1}
    counts = {name: played.result().get(name, 0) for name in ("failed", "inconclusive", "error", "consecutiveError")}
    assert counts == {"failed": 0, "inconclusive": 0, "error": 0, "consecutiveError": in_a_row} | {ended: 1}
    assert played.status["message"]
    assert bool(played.result()["measurements"][-1].get("message")) is (letter == "E")


def test_a_terminated_run_is_successful_unless_something_was_bad() -> None:
    played = Simulation(analysis_run(metric(interval="60s")), script("S")).play(until=timedelta(seconds=150))
    played.run["spec"]["terminate"] = True

    played.reconcile()

    assert played.status["phase"] == "Successful"
    assert played.status["message"] == "Run Terminated"
    assert played.result()["phase"] == "Successful"
    assert len(played.asked) == 3


def test_a_run_that_is_terminated_before_it_began_measures_nothing() -> None:
    played = Simulation(analysis_run(metric(interval="60s"), terminate=True), script("F")).play()

    assert played.asked == []
    assert (played.status["phase"], played.writes) == ("Successful", 1)


def test_a_failure_that_is_still_borne_does_not_outlive_a_termination() -> None:
    played = Simulation(analysis_run(metric(interval="60s", failureLimit=3)), script("F")).play(
        until=timedelta(seconds=90)
    )
    played.run["spec"]["terminate"] = True

    played.reconcile()

    assert played.status["phase"] == "Successful"
