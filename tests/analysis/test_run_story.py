"""Runs in virtual time: when they measure, what they write, what they say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.analysis.simulation import (
    BAD,
    BROKEN,
    GOOD,
    START,
    Simulation,
    analysis_run,
    metric,
    script,
    scripts,
)
from tidegate.core.analysis.decide import decide
from tidegate.core.analysis.world import Reading, RunWorld, Taken


def test_a_run_of_two_measurements_costs_two_writes_and_stands_in_the_status_as_argo_writes_it() -> None:
    run = analysis_run(metric(count=2, interval="2s"))
    answers = [
        Reading([1.0], "[1]", asked={"ResolvedPrometheusQuery": "up"}),
        Reading([1.0], "[1]", metadata={"warnings": '"slow"'}, asked={"ResolvedPrometheusQuery": "up"}),
    ]

    played = Simulation(run, lambda _, taken: answers[taken]).play()

    assert played.writes == 2
    assert played.status == {
        "phase": "Successful",
        "startedAt": "2026-03-01T12:00:00Z",
        "completedAt": "2026-03-01T12:00:02Z",
        "runSummary": {"count": 1, "successful": 1},
        "metricResults": [
            {
                "name": "success-rate",
                "phase": "Successful",
                "count": 2,
                "successful": 2,
                "consecutiveSuccess": 2,
                "metadata": {"ResolvedPrometheusQuery": "up"},
                "measurements": [
                    {
                        "phase": "Successful",
                        "value": "[1]",
                        "startedAt": "2026-03-01T12:00:00Z",
                        "finishedAt": "2026-03-01T12:00:00Z",
                    },
                    {
                        "phase": "Successful",
                        "value": "[1]",
                        "startedAt": "2026-03-01T12:00:02Z",
                        "finishedAt": "2026-03-01T12:00:02Z",
                        "metadata": {"warnings": '"slow"'},
                    },
                ],
            }
        ],
    }


def test_measurements_follow_each_other_by_the_interval_and_do_not_drift() -> None:
    played = Simulation(analysis_run(metric(count=5, interval="30s")), script("S")).play()

    assert played.asked_at() == [0, 29.75, 59.75, 89.75, 119.75]


def test_a_slow_measurement_puts_the_next_one_off() -> None:
    run = analysis_run(metric(count=3, interval="10s"))

    played = Simulation(run, script("S"), takes=timedelta(seconds=7)).play()

    assert played.asked_at() == [0, 16.75, 33.75]


def test_an_interval_below_a_second_does_not_spin() -> None:
    played = Simulation(analysis_run(metric(count=5, interval="10ms")), script("S")).play()

    assert played.asked_at() == [0, 0.75, 1.75, 2.75, 3.75]


def test_an_error_is_retried_after_ten_seconds_whatever_the_interval() -> None:
    for interval in ("2s", "5m"):
        played = Simulation(analysis_run(metric(count=2, interval=interval)), script("EES")).play()

        assert played.asked_at()[:3] == [0, 9.75, 19.75]


def test_an_initial_delay_counts_from_the_start_and_survives_a_restart() -> None:
    played = Simulation(analysis_run(metric(initialDelay="1m")), script("S"))

    played.reconcile()

    assert played.asked == []
    assert played.status == {
        "phase": "Running",
        "startedAt": "2026-03-01T12:00:00Z",
        "runSummary": {"count": 1},
    }
    assert played.play().asked_at() == [59.75]
    assert played.writes == 2


def test_metrics_that_are_due_together_are_measured_together() -> None:
    run = analysis_run(
        metric("a", count=3, interval="10s"),
        metric("b", count=2, interval="20s"),
        metric("c", count=1, initialDelay="20s"),
    )

    played = Simulation(run, script("S"), takes=timedelta(0)).play()

    assert played.asked_at("a") == [0, 9.75, 19.75]
    assert played.asked_at("b") == [0, 19.75]
    assert played.asked_at("c") == [19.75]
    assert played.writes == 3


def test_a_metric_that_has_not_begun_does_not_hold_up_a_failure() -> None:
    run = analysis_run(metric("a"), metric("later", initialDelay="1h"))

    played = Simulation(run, script("F")).play()

    assert (played.status["phase"], played.writes) == ("Failed", 1)
    assert [entry["name"] for entry in played.status["metricResults"]] == ["a"]
    assert played.status["runSummary"] == {"count": 2, "failed": 1}


def test_a_metric_that_has_not_begun_holds_up_a_success() -> None:
    run = analysis_run(metric("a"), metric("later", initialDelay="10m"))

    played = Simulation(run, script("S")).play(until=timedelta(minutes=5))

    assert played.status["phase"] == "Running"
    assert played.play().status["phase"] == "Successful"


MESSAGES: list[tuple[str, dict[str, Any], str, str]] = [
    ("S", {}, "", ""),
    ("F", {}, "", 'Metric "success-rate" assessed Failed due to failed (1) > failureLimit (0)'),
    (
        "IIII",
        {"inconclusiveLimit": 3, "interval": "1m"},
        "",
        'Metric "success-rate" assessed Inconclusive due to inconclusive (4) > inconclusiveLimit (3)',
    ),
    (
        "E",
        {},
        "Prometheus at http://prometheus gave no answer within 30 s",
        'Metric "success-rate" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): '
        '"Error Message: Prometheus at http://prometheus gave no answer within 30 s"',
    ),
    (
        "SFSF",
        {"count": 4, "interval": "1m", "failureLimit": -1, "consecutiveSuccessLimit": 2},
        "",
        'Metric "success-rate" assessed Failed due to consecutiveSuccess (0) < consecutiveSuccessLimit (2) '
        "when count (4) was reached",
    ),
]


@pytest.mark.parametrize(("letters", "fields", "metric_message", "run_message"), MESSAGES)
def test_the_message_says_which_limit_decided(
    letters: str, fields: dict[str, Any], metric_message: str, run_message: str
) -> None:
    played = Simulation(analysis_run(metric(**fields)), script(letters)).play()

    assert played.result().get("message", "") == metric_message
    assert played.status.get("message", "") == run_message


def test_the_message_is_that_of_the_worst_metric() -> None:
    run = analysis_run(metric("a"), metric("b", consecutiveErrorLimit=0), metric("c"))

    played = Simulation(run, scripts(a="I", b="E", c="F")).play()

    assert played.status["message"] == 'Metric "c" assessed Failed due to failed (1) > failureLimit (0)'


def test_a_condition_that_cannot_be_evaluated_says_so_with_the_value() -> None:
    run = analysis_run(metric(successCondition="result[0] > 0.9", failureCondition=""))

    played = Simulation(run, lambda *_: Reading(value=[], text="[]")).play()

    assert played.status["phase"] == "Error"
    assert "the condition can't be evaluated for []" in played.result()["message"]


def test_no_data_is_not_success_even_with_a_failure_condition_alone() -> None:
    run = analysis_run(metric(successCondition="", failureCondition="result[0] > 0.1"))

    played = Simulation(run, lambda *_: Reading(value=[], text="[]")).play()

    assert played.status["phase"] == "Error"


def test_events_tell_of_ends_with_the_reasons_that_notifications_know() -> None:
    run = analysis_run(metric("a", count=2, interval="5s"), metric("b"))

    played = Simulation(run, scripts(a="SF", b="S")).play()

    assert [(event.type, event.reason) for event in played.events] == [
        ("Normal", "MetricSuccessful"),
        ("Warning", "MetricFailed"),
        ("Warning", "AnalysisRunFailed"),
    ]
    assert played.events[-1].message == (
        'Analysis Completed. Result: Failed. Metric "a" assessed Failed due to failed (1) > failureLimit (0)'
    )


def test_only_the_last_ten_measurements_are_kept_and_all_are_counted() -> None:
    run = analysis_run(metric(count=25, interval="5s", failureLimit=25))

    played = Simulation(run, script("F" * 14 + "S")).play()

    result = played.result()
    assert [measurement["phase"] for measurement in result["measurements"]] == ["Successful"] * 10
    assert (result["count"], result["failed"], result["successful"]) == (25, 14, 11)


@pytest.mark.parametrize("phase", ["Successful", "Failed", "Error", "Inconclusive"])
def test_an_ended_run_is_left_alone(phase: str) -> None:
    run = {**analysis_run(metric(count="nonsense")), "status": {"phase": phase}}

    plan = decide(RunWorld(run, START + timedelta(days=1)))

    assert (plan.measures, plan.status, plan.events, plan.again_at) == ((), None, (), None)


def test_readings_that_are_given_twice_count_once() -> None:
    played = Simulation(analysis_run(metric(count=3, interval="1s")), script("S"))
    taken = (Taken("success-rate", START, START + timedelta(milliseconds=600), GOOD),)
    first = decide(RunWorld(played.run, START, taken))
    run = {**played.run, "status": first.status}

    again = decide(RunWorld(run, START + timedelta(milliseconds=700), taken))

    assert again.status is None
    assert again.again_at == START.replace(microsecond=0) + timedelta(seconds=1)


def test_a_reading_of_a_metric_that_is_gone_is_dropped() -> None:
    taken = (
        Taken("gone", START, START, BAD),
        Taken("success-rate", START, START, GOOD),
    )

    plan = decide(RunWorld(analysis_run(metric()), START, taken))

    assert plan.status is not None
    assert [entry["name"] for entry in plan.status["metricResults"]] == ["success-rate"]
    assert plan.status["phase"] == "Successful"


def test_a_measurement_that_another_operator_left_unfinished_is_taken_again() -> None:
    run = analysis_run(metric())
    unfinished = {"phase": "Running", "startedAt": "2026-03-01T11:59:00Z"}
    run["status"] = {
        "phase": "Running",
        "startedAt": "2026-03-01T11:59:00Z",
        "metricResults": [{"name": "success-rate", "phase": "Running", "measurements": [unfinished]}],
        "explanation": {"samples": 7},
    }

    played = Simulation(run, script("S")).play()

    assert [entry["phase"] for entry in played.result()["measurements"]] == ["Successful"]
    assert played.status["phase"] == "Successful"
    assert played.status["explanation"] == {"samples": 7}, "fields that we don't know are not ours to drop"


def test_arguments_are_filled_in_for_the_provider_and_not_in_what_is_stored() -> None:
    run = analysis_run(
        metric(
            count="{{ args.count }}",
            interval="{{args.interval}}",
            provider={"prometheus": {"address": "http://prometheus", "query": 'up{service="{{args.service}}"}'}},
        ),
        args=[
            {"name": "service", "value": "shop"},
            {"name": "count", "value": "2"},
            {"name": "interval", "value": "1m"},
        ],
    )
    asked: list[Any] = []

    def answer(measure: Any, _: int) -> Reading:
        asked.append((measure.provider, measure.spec["prometheus"]["query"]))
        return GOOD

    Simulation(run, answer).play()

    assert asked == [("prometheus", 'up{service="shop"}')] * 2


def test_a_measure_has_the_provider_s_time_limit() -> None:
    def limit(**fields: Any) -> float:
        run = analysis_run(metric(provider={"prometheus": {"address": "http://p", "query": "up", **fields}}))
        return decide(RunWorld(run, START)).measures[0].timeout.total_seconds()

    assert (limit(), limit(timeout=5)) == (30, 5)


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("unknown provider", {"provider": {"datadoge": {"query": "x"}}}, {}, "spec.metrics[0].provider.datadoge"),
    ("no provider", {"provider": {}}, {}, "spec.metrics[0].provider"),
    ("wrong condition", {"successCondition": "result[0] >"}, {}, "spec.metrics[0].successCondition"),
    ("wrong interval", {"interval": "soon"}, {}, "spec.metrics[0].interval"),
    ("count without interval", {"count": 2}, {}, "spec.metrics[0].interval"),
    ("argument without value", {}, {"args": [{"name": "service"}]}, "argument service has no value"),
    ("placeholder without argument", {"count": "{{args.count}}"}, {}, "{{args.count}} can't be resolved"),
    ("placeholder of another kind", {"count": "{{ inputs.count }}"}, {}, "{{ inputs.count }} can't be resolved"),
    (
        "argument that isn't a number",
        {"count": "{{args.count}}"},
        {"args": [{"name": "count", "value": "many"}]},
        "spec.metrics[0].count",
    ),
    ("no metrics", {}, {"metrics": []}, "spec.metrics"),
    ("metrics that are none", {}, {"metrics": "all"}, "spec.metrics"),
    ("two metrics of one name", {}, {"metrics": [metric("a"), metric("a")]}, "spec.metrics[1].name"),
    ("an unknown field", {"failurelimit": 3}, {}, "spec.metrics[0].failurelimit"),
    ("a dry run of nothing", {}, {"dryRun": [{"metricName": "x"}]}, "spec.dryRun[0].metricName"),
    (
        "a retention of nothing",
        {},
        {"measurementRetention": [{"metricName": "success-rate", "limit": 2}, {"metricName": "x", "limit": 2}]},
        "spec.measurementRetention[1].metricName",
    ),
]


@pytest.mark.parametrize(("fields", "spec", "expected"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_run_that_cannot_be_carried_out_ends_in_error_and_says_what_to_mend(
    fields: dict[str, Any], spec: dict[str, Any], expected: str
) -> None:
    run = analysis_run(metric(**fields))
    run["spec"] |= spec

    played = Simulation(run, script("S")).play()

    assert (played.status["phase"], played.asked, played.writes) == ("Error", [], 1)
    assert expected in played.status["message"]
    assert played.status["completedAt"] == "2026-03-01T12:00:00Z"
    assert [event.reason for event in played.events] == ["AnalysisRunError"]


def test_a_run_without_a_spec_ends_in_error() -> None:
    played = Simulation({"metadata": {"name": "x"}}, script("S")).play()

    assert played.status["phase"] == "Error"


def test_prometheus_down_for_half_a_minute_is_borne() -> None:
    run = analysis_run(metric(count=3, interval="5s"))

    def answer(_: Any, taken: int) -> Reading:
        return BROKEN if 1 <= taken <= 3 else GOOD

    played = Simulation(run, answer).play()

    assert (played.status["phase"], played.result()["error"]) == ("Successful", 3)
