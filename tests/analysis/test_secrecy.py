"""What came from a Secret is in no text that people can read, whatever way a server spells it back."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.analysis.conditions import compile_condition
from tidegate.core.analysis.metrics import Metric
from tidegate.core.analysis.secrecy import conceal
from tidegate.core.analysis.verdicts import judge_measurement
from tidegate.core.analysis.world import Reading


@given(st.text(min_size=1), st.text(), st.text())
def test_given_any_secret_then_no_spelling_of_it_is_left(secret: str, before: str, after: str) -> None:
    for spelling in (secret, json.dumps(secret)[1:-1], quote_plus(secret, errors="replace")):
        text = conceal(f"{before}{spelling}{after}", [secret])
        assert spelling not in text or spelling in "*" * 5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no such user hunter2", "no such user *****"),
        ("hunter2hunter2", "**********"),
        ("the token ends: hunte…", "the token ends: *****…"),
        ("the token ends: hun…", "the token ends: hun…"),
        ("hunte is not at the end", "hunte is not at the end"),
        ("", ""),
    ],
)
def test_given_a_text_then_it_is_shown_as(text: str, shown: str) -> None:
    assert conceal(text, ["hunter2", ""]) == shown


def test_given_a_longer_secret_around_a_shorter_one_then_nothing_of_it_remains() -> None:
    assert conceal("abc-def", ["abc", "abc-def"]) == "*****"


def test_given_a_line_break_at_a_secrets_end_then_the_rest_is_hidden_too() -> None:
    assert conceal("Bearer hunter2", ["hunter2\n"]) == "Bearer *****"


def test_given_an_answer_that_holds_a_secret_then_a_condition_that_fails_on_it_does_not_tell() -> None:
    metric = Metric("m", {}, success=compile_condition("fromJSON(result.said) == 1"))
    reading = Reading(value={"said": "hunter2"}, text='{"said":"*****"}', hidden=frozenset({"hunter2"}))

    verdict = judge_measurement(metric, reading)

    assert verdict.phase == "Error"
    assert "hunter2" not in str(verdict) + repr(reading).replace("value={'said': 'hunter2'}", "")
