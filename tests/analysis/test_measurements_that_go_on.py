"""Measurements that a provider is asked about again until it has an answer, as Kayenta's are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.analysis.simulation import BROKEN, START, Simulation, analysis_run
from tidegate.core.analysis.metrics import read_run
from tidegate.core.analysis.world import Measure, Reading
from tidegate.core.times import format_time

AGAIN = timedelta(seconds=15)
EXECUTION = {"canaryExecutionId": "01A"}


def metric(name: str = "canary", **fields: Any) -> dict[str, Any]:
    side = {"scope": "a", "step": 60, "start": "2026-03-01T11:00:00Z"}
    kayenta = {
        "address": "http://kayenta",
        "application": "guestbook",
        "canaryConfigName": "c",
        "threshold": {"pass": 90, "marginal": 75},
        "scopes": [{"name": "default", "controlScope": side, "experimentScope": side}],
    }
    return {"name": name, "provider": {"kayenta": kayenta}, **fields}


class Kayenta:
    """Takes so many looks until it has each score; keeps what it was asked with."""

    def __init__(self, *scores: float | Reading, looks: int = 3) -> None:
        self.scores = list(scores)
        self.looks = looks
        self.executions: dict[str, int] = {}
        self.resumed: list[Mapping[str, str]] = []
        self.ids: list[str] = []

    def __call__(self, measure: Measure, taken: int) -> Reading:
        self.resumed.append(measure.resume)
        self.ids.append(measure.id)
        if not measure.resume:
            execution = f"01{'ABCDEFGH'[len(self.executions)]}"
            self.executions[execution] = 0
            return Reading(metadata={"canaryExecutionId": execution}, resume=AGAIN)
        execution = measure.resume["canaryExecutionId"]
        self.executions[execution] += 1
        if self.executions[execution] < self.looks:
            return Reading(resume=AGAIN)
        score = self.scores[min(taken, len(self.scores) - 1)]
        return score if isinstance(score, Reading) else Reading(value=score, text=f"{score:g}")


@pytest.mark.parametrize(
    ("score", "phase"),
    [
        (100, "Successful"),
        (90, "Successful"),
        (89.9, "Inconclusive"),
        (75, "Inconclusive"),
        (74.9, "Failed"),
        (0, "Failed"),
    ],
)
def test_the_thresholds_are_the_verdict(score: float, phase: str) -> None:
    play = Simulation(analysis_run(metric()), Kayenta(score)).play()

    assert (play.status["phase"], play.result("canary")["phase"]) == (phase, phase)


def test_a_measurement_goes_on_in_the_status_until_there_is_an_answer() -> None:
    kayenta = Kayenta(95)
    play = Simulation(analysis_run(metric()), kayenta)

    play.reconcile()
    (flight,) = play.result("canary")["measurements"]
    assert flight == {
        "phase": "Running",
        "startedAt": format_time(START),
        "metadata": EXECUTION,
        "resumeAt": format_time(START + AGAIN),
    }
    assert (play.status["phase"], play.result("canary")["phase"]) == ("Running", "Running")
    assert "count" not in play.result("canary")
    play.play()

    (measurement,) = play.result("canary")["measurements"]
    assert (measurement["phase"], measurement["value"]) == ("Successful", "95")
    assert (measurement["startedAt"], measurement["metadata"]) == (flight["startedAt"], EXECUTION)
    assert "resumeAt" not in measurement
    assert kayenta.resumed == [{}, EXECUTION, EXECUTION, EXECUTION]
    assert [round(at) for at in play.asked_at("canary")] == [0, 15, 30, 45]
    assert play.result("canary")["count"] == 1


def test_the_interval_counts_from_the_end_of_the_measurement() -> None:
    kayenta = Kayenta(95, looks=2)
    play = Simulation(analysis_run(metric(interval="5m", count=2)), kayenta).play()

    assert [round(at) for at in play.asked_at("canary")] == [0, 15, 30, 330, 345, 360]
    assert list(kayenta.executions) == ["01A", "01B"]
    assert play.result("canary")["successful"] == 2


def test_an_operator_that_takes_over_goes_on_with_the_same_execution() -> None:
    """The flight stands as Argo Rollouts writes it, so that it may have begun it as well."""
    kayenta = Kayenta(95, looks=1)
    kayenta.executions["01A"] = 0
    run = analysis_run(metric())
    run["status"] = {
        "phase": "Running",
        "startedAt": format_time(START - timedelta(minutes=1)),
        "metricResults": [
            {
                "name": "canary",
                "phase": "Running",
                "measurements": [
                    {
                        "phase": "Running",
                        "startedAt": format_time(START - timedelta(minutes=1)),
                        "metadata": EXECUTION,
                        "resumeAt": format_time(START - timedelta(seconds=5)),
                    }
                ],
            }
        ],
    }

    play = Simulation(run, kayenta).play()

    assert (play.status["phase"], kayenta.resumed) == ("Successful", [EXECUTION])


@pytest.mark.parametrize("crash", [1, 2, 3])
def test_a_look_that_is_lost_is_taken_again(crash: int) -> None:
    kayenta = Kayenta(95)
    play = Simulation(analysis_run(metric()), kayenta, crashes=frozenset({crash})).play()

    assert play.status["phase"] == "Successful"
    assert len(kayenta.executions) == 1


def test_an_error_ends_the_measurement_and_the_next_one_begins_anew() -> None:
    kayenta = Kayenta(BROKEN, 95, looks=1)
    play = Simulation(analysis_run(metric()), kayenta).play()

    first, second = play.result("canary")["measurements"]
    assert (first["phase"], first["metadata"]) == ("Error", EXECUTION)
    assert (second["phase"], second["metadata"]) == ("Successful", {"canaryExecutionId": "01B"})
    assert kayenta.resumed == [{}, EXECUTION, {}, {"canaryExecutionId": "01B"}]


def test_a_broken_kayenta_is_an_error_in_the_end_and_never_a_success() -> None:
    play = Simulation(analysis_run(metric()), lambda *_: BROKEN).play()

    assert (play.status["phase"], play.result("canary")["error"]) == ("Error", 5)


def test_a_run_that_is_ended_does_not_take_an_open_question_for_a_success() -> None:
    play = Simulation(analysis_run(metric()), Kayenta(95))
    play.reconcile()
    play.run["spec"]["terminate"] = True
    play.reconcile()

    (measurement,) = play.result("canary")["measurements"]
    assert (play.status["phase"], measurement["phase"]) == ("Inconclusive", "Inconclusive")
    assert measurement["message"] == "the run was ended before this measurement was"


def test_another_metric_that_fails_ends_the_run_at_once() -> None:
    def answer(measure: Measure, taken: int) -> Reading:
        return Kayenta(95)(measure, taken) if measure.metric == "canary" else Reading(value=[2.0], text="[2]")

    bad = {"name": "rate", "successCondition": "result[0] == 1", "provider": {"prometheus": {"query": "up"}}}
    play = Simulation(analysis_run(metric(), bad), answer).play()

    assert (play.status["phase"], play.result("canary")["phase"]) == ("Failed", "Inconclusive")


@pytest.mark.parametrize("field", ["successCondition", "failureCondition"])
def test_a_condition_has_nothing_to_look_at(field: str) -> None:
    _, (problem,) = read_run(analysis_run(metric(**{field: "result > 1"})))

    assert problem.path == f"spec.metrics[0].{field}"
    assert "threshold says which scores are good" in problem.message


def test_a_reading_counts_once_though_it_is_decided_on_twice() -> None:
    """A write that was refused is decided anew on the object that somebody else has changed meanwhile."""
    play = Simulation(analysis_run(metric()), Kayenta(95))
    play.reconcile()
    before = play.run
    play.reconcile()
    assert play.run is before, "nothing is due before its time"
    play.now = START + AGAIN
    play.reconcile()

    assert play.asked_at("canary") == [0.0, 15.0]
    assert replace(play.answer(Measure("canary", {}, AGAIN, resume=EXECUTION), 0)).resume == AGAIN


def test_a_measurement_keeps_its_id_and_each_has_one_of_its_own() -> None:
    """By it an execution is found again that was begun and never came into the status."""
    kayenta = Kayenta(95, Reading(error="broken"), 95)
    Simulation(analysis_run(metric(count=2, interval="1m"), metric("other")), kayenta).play()

    uid = analysis_run(metric())["metadata"]["uid"]
    looks = 4
    assert [kayenta.ids.count(f"{uid}.canary.{number}") for number in (1, 2, 3)] == [looks, looks, looks]
    assert kayenta.ids.count(f"{uid}.other.1") == looks
