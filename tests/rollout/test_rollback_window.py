"""`rollbackWindow`: going back to a recent version skips steps, pauses and analyses."""

from __future__ import annotations

import pytest

from tests.rollout.objects import ANALYSIS, Obj, blue_green, canary
from tests.rollout.stage import Stage, deployed

STEPS = ({"setWeight": 10}, {"pause": {}}, {"analysis": ANALYSIS})


def updated(strategy: Obj, *images: str, **spec: object) -> Stage:
    """One image after the other promoted, minutes apart."""
    stage = deployed(strategy, **spec)
    for image in images:
        stage.play(120)
        stage.image(image)
        stage.play(120)
        stage.user(promoteFull=True)
        stage.settle()
        assert stage.phase() == ("Healthy", "")
    return stage


@pytest.mark.parametrize(
    ("window", "back_to", "at_once"),
    [
        (1, "v3", True),
        (1, "v2", False),
        (2, "v2", True),
        (2, "v1", False),
        (3, "v1", True),
        (0, "v3", False),
        (None, "v3", False),
    ],
)
def test_as_many_revisions_back_as_the_window_says(window: int | None, back_to: str, at_once: bool) -> None:
    given = {} if window is None else {"rollbackWindow": {"revisions": window}}
    stage = updated(canary(*STEPS), "v2", "v3", "v4", **given)
    runs = set(stage.runs())

    stage.image(back_to)
    stage.settle()

    assert (stage.phase() == ("Healthy", "")) is at_once
    assert (stage.status["stableRS"] == stage.hash(back_to)) is at_once
    assert set(stage.runs()) == runs
    assert "promoteFull" not in stage.status


def test_blue_green_goes_back_without_its_pause_and_analyses() -> None:
    strategy = blue_green(autoPromotionEnabled=False, prePromotionAnalysis=ANALYSIS, postPromotionAnalysis=ANALYSIS)
    stage = updated(strategy, "v2", rollbackWindow={"revisions": 1})
    runs = stage.runs()
    stage.image("v1")
    stage.settle()

    assert stage.phase() == ("Healthy", "")
    assert stage.selects("app-active") == "v1"
    assert stage.runs() == runs


def test_a_version_that_is_new_takes_its_steps() -> None:
    stage = updated(canary(*STEPS), "v2", rollbackWindow={"revisions": 5})
    stage.image("v3")
    stage.settle()

    assert stage.phase() == ("Paused", "CanaryPauseStep")


def test_a_version_between_that_never_was_stable_counts_too() -> None:
    stage = updated(canary(*STEPS), rollbackWindow={"revisions": 1})
    for image in ("v2", "v3"):
        stage.play(60)
        stage.image(image)
        stage.play(60)
    stage.user(promoteFull=True)
    stage.settle()
    stage.image("v1")
    stage.settle()

    assert stage.phase() == ("Paused", "CanaryPauseStep"), "v2 lies between v1 and v3"


def test_an_abort_of_the_way_back_holds() -> None:
    stage = updated(canary(*STEPS), "v2", rollbackWindow={"revisions": 1})
    stage.boot["v1"] = None
    stage.image("v1")
    stage.play(30)
    assert stage.status["promoteFull"]
    stage.user(abort=True)
    stage.settle()

    assert stage.phase()[0] == "Degraded"
    assert "promoteFull" not in stage.status
    stage.heal_pods("v1")
    stage.user(abort=False)
    stage.settle()
    assert stage.phase() == ("Healthy", ""), "a retry is a way back within the window too"
