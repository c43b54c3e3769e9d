"""The demo's verdict: exit code 0 only if all three releases went as they should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.demo.summary import Release, Summary, weights_given
from lab.demo.traffic import Count
from lab.demo.watching import Track, share_of

GOOD = Release("v2", "promoted", True, "", Count(25_000, 0))
BAD = Release("v3", "undone", True, "", Count(4_000, 30), first_bad=10.0, declared_zero=12.5, envoy_zero=12.625)
FLIP = Release("blue-green", "flipped back", True, "", Count(6_000, 90), 20.0, 22.0, 22.25)
SUMMARY = Summary(
    good=GOOD,
    bad=BAD,
    blue_green=FLIP,
    users=Count(36_000, 120),
    weights=(10, 25, 50, 100),
    envoy_weights=(10, 25, 50, 100),
    rate=400.0,
    skipped=0,
)


def test_given_three_releases_that_went_as_they_should_then_there_is_no_problem() -> None:
    assert SUMMARY.problems() == []
    assert SUMMARY.remark() == ""


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"good": replace(GOOD, reached=False, told="It says Paused.")}, ["v2: not promoted. It says Paused."]),
        ({"bad": replace(BAD, reached=False)}, ["v3: not undone"]),
        ({"blue_green": replace(FLIP, reached=False)}, ["blue-green: not flipped back"]),
        ({"good": replace(GOOD, users=Count(25_000, 1))}, ["1 of 25,000 requests failed"]),
        ({"good": replace(GOOD, users=Count(19_999))}, ["19,999 requests only"]),
        ({"weights": (10, 50, 100)}, ["10 → 50 → 100"]),
        ({"weights": ()}, ["none"]),
        ({"bad": replace(BAD, first_bad=None)}, ["v3: no user got a bad answer"]),
        ({"bad": replace(BAD, envoy_zero=None)}, ["v3: its share did not"]),
        ({"blue_green": replace(FLIP, declared_zero=None)}, ["blue-green: its share did not"]),
        (
            {"good": replace(GOOD, reached=False), "bad": replace(BAD, reached=False)},
            ["v2: not promoted", "v3: not undone"],
        ),
    ],
)
def test_given_anything_else_then_each_thing_is_named(changes: dict[str, Any], told: list[str]) -> None:
    problems = replace(SUMMARY, **changes).problems()
    assert len(problems) == len(told)
    for problem, words in zip(problems, told, strict=True):
        assert words in problem


def test_given_a_machine_too_slow_for_the_pace_then_that_is_said_and_is_no_problem() -> None:
    slow = replace(SUMMARY, skipped=1234)
    assert "1,234 were not sent" in slow.remark()
    assert slow.problems() == []


def test_given_a_summary_then_its_json_has_what_others_read() -> None:
    written = SUMMARY.as_json()
    expected = {
        "promoted": True,
        "undone": True,
        "flipped_back": True,
        "requests": 36_000,
        "failed_during_good_release": 0,
        "bad_answer_to_virtualservice_ms": 2500,
        "bad_answer_to_envoy_ms": 2625,
        "flip_bad_answer_to_service_ms": 2000,
        "flip_bad_answer_to_envoy_ms": 2250,
        "weights_seen": [10, 25, 50, 100],
        "problems": [],
    }
    assert expected.items() <= written.items()


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ([(0.0, 0)], None),
        ([(0.0, 0), (11.0, 10), (14.0, 0)], 14.0),
        ([(0.0, 0), (11.0, 10)], None),
        ([(0.0, 0), (11.0, 10), (14.0, 0), (15.0, 10)], None),
        ([(0.0, 0), (5.0, 100), (9.0, 0)], None),
        ([], None),
    ],
    ids=["never up", "up and back", "still up", "up again", "only before", "nothing known"],
)
def test_given_a_track_then_its_zero_is_the_last_change_since_the_release_began(
    series: list[tuple[float, int]], expected: float | None
) -> None:
    assert Track.zero_after(series, 10.0) == expected


def test_given_changes_then_only_real_ones_are_noted() -> None:
    series: list[tuple[float, int]] = []
    assert [Track.note(series, at, weight) for at, weight in ((1, 0), (2, 0), (3, 10), (4, 10), (5, 0))] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert series == [(1, 0), (3, 10), (5, 0)]
    assert Track.last(series) == 0


@pytest.mark.parametrize(
    ("start", "end", "highest"),
    [(0, 1, 0), (0, 2, 50), (2.5, 3, 50), (3, 9, 50), (4.5, 9, 10), (9, 12, 10)],
)
def test_given_a_span_then_its_highest_share_counts(start: float, end: float, highest: int) -> None:
    assert Track.highest([(2.0, 50), (4.0, 10)], start, end) == highest


def test_given_a_release_then_its_weights_are_told_once_each_in_order() -> None:
    series = [(1.0, 90), (2.0, 0), (11.0, 10), (12.0, 25), (13.0, 10), (14.0, 100), (15.0, 0), (21.0, 5)]
    assert weights_given(series, 10.0, 20.0) == (10, 25, 100)


@pytest.mark.parametrize(
    ("weights", "share"),
    [
        ({"outbound|80||web-stable.demo": 100}, 0),
        ({"outbound|80||web-stable.demo": 90, "outbound|80||web-canary.demo": 10}, 10),
        ({"outbound|80||web-canary.demo": 100}, 100),
        ({"outbound|80||web-stable.demo": 3, "outbound|80||web-canary.demo": 1}, 25),
        ({}, 0),
    ],
)
def test_given_what_envoy_has_then_the_canarys_share_of_it_is_found(weights: dict[str, int], share: int) -> None:
    assert share_of(weights, "||web-canary.") == share
