"""What came from a Secret is in no text that people can read, whatever way a server spells it back."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.analysis.conditions import compile_condition
from tidegate.core.analysis.metrics import Metric
from tidegate.core.analysis.secrecy import conceal
from tidegate.core.analysis.verdicts import judge_measurement
from tidegate.core.analysis.world import Reading

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda secret: json.dumps(secret)[1:-1],
    "PHP's JSON": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1].replace("/", "\\/"),
    "Python": lambda secret: repr(secret)[1:-1],
    "URL": lambda secret: quote(secret, safe=""),
    "form": quote_plus,
    "small letters": lambda secret: quote(secret, safe="").lower() if secret.islower() else quote(secret),
    "HTML": html.escape,
    # What aiohttp does to an address that is its user's own affair: some signs are escaped and others are not.
    "query": lambda secret: quote(secret, safe="/:@?!$'()*,;=+&"),
    "JSON in JSON": lambda secret: json.dumps(json.dumps(secret))[3:-3],
    "URL in Python": lambda secret: repr([quote(secret, safe="'/")])[2:-2],
    "JSON in a URL": lambda secret: quote(json.dumps(secret)[1:-1]),
}


@pytest.mark.parametrize("notation", SPELLINGS)
@given(st.text(min_size=1), st.text(), st.text())
def test_given_any_secret_then_no_spelling_of_it_is_left(notation: str, secret: str, before: str, after: str) -> None:
    spelling = SPELLINGS[notation](secret)
    text = conceal(f"{before}{spelling}{after}", [secret])
    assert spelling not in text or spelling in "*" * 5


@pytest.mark.parametrize("notation", SPELLINGS)
@given(st.text(st.characters(exclude_characters="*… ", exclude_categories=["Cs"]), min_size=6), st.data())
def test_given_a_text_that_was_cut_then_a_secrets_beginning_is_hidden(
    notation: str, secret: str, data: st.DataObject
) -> None:
    spelling = SPELLINGS[notation](secret)
    cut = data.draw(st.integers(min(len(SPELLINGS[notation](secret[:4])), len(spelling)), len(spelling)))

    assert conceal(f"the token: {spelling[:cut]}…", [secret]) == "the token: *****…"


@pytest.mark.parametrize(
    ("secret", "sent", "shown"),
    [
        ("a+b/c==", "q=a b/c==", "a form's reader takes + for a space"),
        ("x%41y-z", "q=xAy-z", "a URL is made tidy on its way"),
        ("*" * 8, "*" * 8, "stars"),
    ],
)
def test_given_what_a_server_makes_of_it_then_that_is_hidden(secret: str, sent: str, shown: str) -> None:
    assert conceal(f"no such token: {sent}", [secret]).removeprefix("no such token: q=") in (
        "*****",
        "no such token: *****",
    ), shown


def test_given_text_around_a_secret_then_it_stays_as_it_is() -> None:
    assert conceal(r"a%20b%2Fhunter%32 &lt;c\n+", ["hunter2"]) == r"a%20b%2F***** &lt;c\n+"


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
