"""How an Experiment is doing, from how its versions and analyses are: a table."""

from __future__ import annotations

import pytest

from tidegate.core.experiment.verdict import Part, judge

UP, WAITS, OVER = "Running", "Progressing", "Successful"
MUST = "!"
"""Marks an analysis that is required."""


@pytest.mark.parametrize(
    ("versions", "analyses", "phase"),
    [
        ((WAITS, UP), (), "Pending"),
        ((UP, UP), (), "Running"),
        ((OVER, UP), (), "Running"),
        ((OVER, OVER), (), "Successful"),
        (("Failed", UP), (), "Failed"),
        (("Error", UP), ("Failed",), "Error"),
        (("Failed", "Error"), (), "Failed"),
        ((UP,), ("Running",), "Running"),
        ((UP,), ("Successful",), "Running"),
        ((UP,), ("Failed", "Running"), "Failed"),
        ((UP,), ("Error", "Inconclusive"), "Error"),
        ((WAITS,), ("Inconclusive", "Successful"), "Inconclusive"),
        ((OVER,), ("Running",), "Successful"),
        ((OVER,), ("Inconclusive",), "Inconclusive"),
        ((OVER,), ("Running!",), "Running"),
        ((OVER,), ("Successful!", "Running!"), "Running"),
        ((OVER,), ("Successful!", "Running"), "Successful"),
        ((UP,), ("Successful!", "Running"), "Successful"),
        ((UP,), ("Successful!", "Failed"), "Failed"),
        ((UP,), ("Running!", "Successful"), "Running"),
    ],
)
def test_versions_and_analyses_make_a_phase(versions: tuple[str, ...], analyses: tuple[str, ...], phase: str) -> None:
    parts = [Part(each.rstrip(MUST), required=each.endswith(MUST)) for each in analyses]

    assert judge([Part(each) for each in versions], parts, terminated=False)[0] == phase


def test_an_end_before_the_required_analysis_began_says_nothing() -> None:
    """7: no data is not success."""
    found = judge([Part(OVER)], [Part("", required=True)], terminated=True)

    assert found[0] == "Inconclusive" and "had begun" in found[1]
    assert judge([Part(OVER)], [Part("")], terminated=True)[0] == "Successful"


def test_the_message_is_that_of_what_decided() -> None:
    versions, analyses = [Part(UP, "up"), Part("Failed", "late")], [Part("Failed", "bad"), Part("Error", "broken")]

    assert judge(versions, analyses, terminated=False) == ("Failed", "late")
    assert judge(versions[:1], analyses, terminated=False) == ("Failed", "bad")
