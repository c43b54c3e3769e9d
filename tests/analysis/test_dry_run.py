"""Metrics that are only watched, and how many measurements a status keeps."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.analysis.simulation import Simulation, analysis_run, metric, script, scripts

LETTERS = st.text(alphabet="SFIE", min_size=1, max_size=6)


def dry(*patterns: str) -> list[dict[str, str]]:
    return [{"metricName": pattern} for pattern in patterns]


@pytest.mark.parametrize(
    ("letter", "phase"), [("S", "Successful"), ("F", "Failed"), ("I", "Inconclusive"), ("E", "Error")]
)
def test_a_metric_that_is_only_watched_does_not_decide(letter: str, phase: str) -> None:
    run = analysis_run(metric("rate"), metric("new", consecutiveErrorLimit=0), dryRun=dry("new"))

    played = Simulation(run, scripts(rate="S", new=letter)).play()

    assert (played.status["phase"], played.status.get("message")) == ("Successful", None)
    assert (played.result("new")["phase"], played.result("new")["dryRun"]) == (phase, True)
    assert "dryRun" not in played.result("rate")
    assert played.status["runSummary"] == {"count": 1, "successful": 1}
    assert played.status["dryRunSummary"] == {"count": 1, phase.lower(): 1}


def test_a_metric_that_is_only_watched_says_itself_which_limit_it_passed() -> None:
    run = analysis_run(metric("rate"), metric("new"), dryRun=dry("new"))

    played = Simulation(run, scripts(rate="S", new="F")).play()

    assert played.result("new")["message"] == "Metric assessed Failed due to failed (1) > failureLimit (0)"


def test_a_metric_that_is_only_watched_and_fails_does_not_cut_the_others_short() -> None:
    run = analysis_run(metric("rate", count=3, interval="10s"), metric("new"), dryRun=dry("new"))

    played = Simulation(run, scripts(rate="SSF", new="F")).play()

    assert len(played.asked_at("rate")) == 3 and len(played.asked_at("new")) == 1
    assert played.status["phase"] == "Failed"
    assert played.status["message"] == 'Metric "rate" assessed Failed due to failed (1) > failureLimit (0)'


def test_a_metric_that_decides_ends_those_that_are_only_watched() -> None:
    run = analysis_run(metric("rate"), metric("new", interval="10s"), dryRun=dry("new"))

    played = Simulation(run, scripts(rate="F", new="S")).play()

    assert (played.status["phase"], played.result("new")["phase"]) == ("Failed", "Successful")


def test_a_metric_that_is_only_watched_is_waited_for() -> None:
    run = analysis_run(metric("rate"), metric("new", count=3, interval="10s"), dryRun=dry("new"))

    played = Simulation(run, script("S")).play()

    assert len(played.asked_at("new")) == 3


@pytest.mark.parametrize(
    ("patterns", "watched"),
    [
        (("a",), {"a", "ab", "ba"}),
        (("^a",), {"a", "ab"}),
        (("^a$", "c"), {"a", "c"}),
        (("*",), {"a", "ab", "ba", "c"}),
        ((".*",), {"a", "ab", "ba", "c"}),
        (("a|c",), {"a", "ab", "ba", "c"}),
    ],
)
def test_a_dry_run_means_the_metrics_whose_names_its_expression_finds(
    patterns: tuple[str, ...], watched: set[str]
) -> None:
    run = analysis_run(*map(metric, ("a", "ab", "ba", "c")), dryRun=dry(*patterns))

    played = Simulation(run, script("S")).play()

    assert {entry["name"] for entry in played.status["metricResults"] if entry.get("dryRun")} == watched


@given(a=LETTERS, b=LETTERS)
def test_a_run_ends_as_it_would_without_the_metric_that_is_only_watched(a: str, b: str) -> None:
    """*Dry-run metrics never decide the run.*"""
    fields = {"interval": "20s", "count": 3, "consecutiveErrorLimit": 1}
    alone = Simulation(analysis_run(metric("a", **fields)), script(a)).play()

    both = Simulation(
        analysis_run(metric("a", **fields), metric("b", **fields), dryRun=dry("^b$")), scripts(a=a, b=b)
    ).play()

    assert both.status["phase"] == alone.status["phase"]
    assert both.status.get("message") == alone.status.get("message")
    assert both.status["runSummary"] == alone.status["runSummary"]
    assert len(both.asked_at("a")) == len(alone.asked_at("a"))


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ([("rate", 3)], 3),
        ([("rate", 20)], 15),
        ([("rate", 0)], 10),
        ([("*", 4), ("^rate$", 12)], 12),
        ([("^rate$", 12), ("*", 4)], 4),
        ([("errors", 4)], 10),
    ],
)
def test_a_status_keeps_as_many_measurements_as_it_is_told(rules: list[tuple[str, int]], kept: int) -> None:
    retention: list[dict[str, Any]] = [{"metricName": name, "limit": limit} for name, limit in rules]
    run = analysis_run(
        metric("rate", count=15, interval="5s"),
        metric("errors", count=15, interval="5s"),
        measurementRetention=retention,
    )

    played = Simulation(run, script("S")).play()

    assert len(played.result("rate")["measurements"]) == kept
    assert played.result("rate")["count"] == 15
