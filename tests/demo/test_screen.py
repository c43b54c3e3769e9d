"""The screen fits the terminal, and says what is known."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from rich.console import Console

from lab.demo.chart import chart, filled_rows
from lab.demo.picture import Picture
from lab.demo.screen import Screen, standing, steps
from lab.demo.story import CAST, Story
from lab.demo.traffic import Tally
from lab.demo.watching import Stage


def scene() -> tuple[Any, Any, Any]:
    """In the middle of the second release: 30 s at 10 %, users of both versions."""
    now = time.monotonic()
    stage = Stage(Mock(), "http://envoy", CAST, lambda _: None)
    stage.canary.declared[:] = stage.canary.actual[:] = [(now - 100, 0), (now - 90, 100), (now - 60, 0), (now - 30, 10)]
    for number in range(50):
        stage.say("warning", f"notice {number} with a text [of some length] " + "x" * 150)
    users = SimpleNamespace(tally=Tally())
    answers = [["web", "v2", "200", 300], ["web", "v3", "500", 8], ["web", "v3", "200", 32]]
    failures = [[now - 2, "web", "v3", "500"]] * 8
    users.tally.add(
        {"t": now - 2, "answers": answers, "latencies": {"web": {"7": 340}}, "failures": failures, "skipped": 0}
    )
    story = Story(Mock(), users, stage)  # type: ignore[arg-type]
    story.chapters[0].started, story.chapters[0].ended, story.chapters[0].reached = now - 95, True, True
    story.chapters[1].started = now - 31
    story.playing = story.chapters[1]
    return story, stage, users


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 30), (104, 40), (200, 60)])
def test_given_a_terminal_then_the_screen_fits_it(width: int, height: int) -> None:
    story, stage, users = scene()
    console = Console(width=width, height=height, file=io.StringIO())
    console.print(Screen(console, story, stage, users).frame())
    lines = console.file.getvalue().rstrip("\n").split("\n")  # type: ignore[attr-defined]
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for part in ("promoted", "web.example.com  v3", "80.0%", "notice 49", " 10 %", "p99 7 ms"):
        assert part in text
    assert ("100 %│" in text) == (height > 24)


def test_given_no_terminal_then_one_line_says_where_things_stand() -> None:
    story, stage, users = scene()
    assert standing(stage, users, story) == (
        "new version of web: declared 10 %, Envoy 10 %; web v2 60/s 100.0%, web v3 8/s 80.0%; 340 requests, 8 failed"
    )


def test_given_a_picture_then_it_holds_the_screen_and_asks_for_nothing_from_elsewhere(tmp_path: Any) -> None:
    story, stage, users = scene()
    picture = Picture()
    picture.add(Screen(picture.console, story, stage, users).frame(lines=40))
    picture.write(tmp_path / "deep" / "rollout.svg")
    svg = (tmp_path / "deep" / "rollout.svg").read_text()
    assert "notice&#160;49" in svg
    assert svg.count("http") == svg.count('xmlns="http://www.w3.org/2000/svg"') == 1
    assert "@import" not in svg
    assert "url(" not in svg.replace("url(#", "")


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({"currentStepIndex": 1}, " 10 %  ⏸ 15s  analysis  ⏸ "),
        ({"abort": True, "phase": "Degraded", "message": "RolloutAborted: why"}, "Degraded  RolloutAborted: why"),
    ],
)
def test_given_a_canary_then_its_steps_are_shown_until_it_is_aborted(status: dict[str, Any], shown: str) -> None:
    spec_steps = [{"setWeight": 10}, {"pause": {"duration": "15s"}}, {"analysis": {}}, {"pause": {}}]
    rollout = {"spec": {"strategy": {"canary": {"steps": spec_steps}}}, "status": status}
    assert steps(rollout).plain == shown


@pytest.mark.parametrize(("weight", "rows"), [(0, 0), (1, 1), (10, 1), (25, 2), (50, 4), (100, 8)])
def test_given_a_weight_then_it_is_as_high_as_it_is_and_never_lost(weight: int, rows: int) -> None:
    assert filled_rows(weight, 8) == rows


def test_given_weights_over_time_then_columns_show_them_above_their_marks() -> None:
    def highest(start: float, end: float) -> tuple[int, str]:
        return (100 if 5 <= start < 10 else 0), "green"

    drawn = chart(2, 26, highest, start=0, end=20, marks=[(0, "one"), (1, "two"), (5, "three")])
    assert drawn.plain.split("\n") == [
        "100 %│     █████          ",
        "  0 %│     █████          ",
        "      one  three",
    ]
