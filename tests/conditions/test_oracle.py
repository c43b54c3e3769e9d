"""Tidegate judges as Argo Rollouts does: the same answer, or an error where it has one."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.conditions.grammar import CONDITIONS, one_of
from tests.conditions.judge import Judge
from tidegate.core.analysis.conditions.condition import read
from tidegate.core.analysis.conditions.errors import ConditionError

HARD = (Path(__file__).parent / "hard.txt").read_text().splitlines()
"""Corners of the language, one a line."""

COMMON = {"s": "1_000", "f": 1.5, "l": [1.0], "m": {"a": None}, "p": "x"}

TEMPLATES = (
    "result[0] >= 0.95",
    "result[0] >= 0.90 || len(result) == 0",
    "len(result) == 0 || isNaN(result[0]) || result[0] >= 0.99",
    "len(result) > 0 && !isNaN(result[0]) && result[0] < 0.95",
    "len(result) != 1 || !(result[0] < 0.05)",
    "all(result, # < 0.01)",
    "all(result, {# < 0.01})",
    "result >= 0.95",
    "isNaN(result) || result >= 0.95",
    "isInf(result)",
    "default(result, 0) < 0.05",
    "asFloat(result) <= 0.5",
    "asInt(result) == 1",
    "result == true",
    "result == 'true'",
    'result == "It worked!"',
    "result.ok && result.successPercent >= 0.90",
    "result.major == '1'",
    "result.Status == 999",
    "results[0] >= 90.000000",
    "all(result.service_apdex.values.values, {asFloat(.value) >= 9900})",
    "len(result[0].Values) >= 5 and all(result[0].Values, {# < 0.01})",
    "isNil(result) or result < 1",
    "result == nil || result[0] == nil || result[0] <= 100",
    "(result[0] ?? 0) <= 100",
    "result[0] < 0.5 and result[1] > 0.5 or false",
    "max(result) - min(result) < 2 && mean(result) <= 1",
    "2 in result",
    "result.status in ['ok', 'warn'] && result.version matches '^v[0-9]+'",
    "count(result.items, .state != 'done') == 0",
)
"""What people write, taken in kind from public templates and Argo Rollouts' documentation and tests."""

MEASURED: tuple[object, ...] = (
    *(0.97, 0.004, float("nan"), float("inf"), True, False, None, "true", "1", "It worked!", "abc"),
    *((), (0.99,), (0.004,), (float("nan"),), (0.4, 0.6), (2.0, 2.0)),
    *([], [1.0], ["ok"], [{"Values": [0.001] * 5}], {}, {"ok": True, "successPercent": 0.91}, {"major": "1"}),
    {"service_apdex": {"values": {"values": [{"value": "9999"}, {"value": 9950}]}}},
    {"Status": 999, "status": "ok", "version": "v12", "items": [{"state": "done"}, {"state": "new"}]},
)


def judged_here(condition: str, result: object) -> tuple[bool | None, str]:
    """Read as Argo Rollouts reads it, without a list standing for its one number."""
    try:
        return read(condition, lift=False).holds(result), ""
    except ConditionError as error:
        return None, str(error)


def agree(judge: Judge, condition: str, result: object) -> None:
    theirs = judge.ask(condition, result)
    ours, why = judged_here(condition, result)
    assert ours is theirs.holds, f"{condition!r} of {result!r}: {ours} {why} here, {theirs.holds} {theirs.error} there"


def test_conditions_from_real_templates(judge: Judge) -> None:
    for condition in TEMPLATES:
        for result in MEASURED:
            agree(judge, condition, result)


def test_corners_of_the_language(judge: Judge) -> None:
    for condition in HARD:
        agree(judge, condition, None)
        agree(judge, condition, COMMON)


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=CONDITIONS)
def test_any_condition_is_judged_as_by_argo_rollouts(judge: Judge, asked: tuple[str, object]) -> None:
    agree(judge, *asked)


TOKEN = re.compile(r"\s+|\w+|'[^']*'|\"[^\"]*\"|.", re.DOTALL)
TOKENS = sorted({token for line in HARD for token in TOKEN.findall(line)} | {"?.", "??", "..", "::", "not", "#"})
REFUSED_HERE = re.compile(r"now|date|duration|timezone|\$env|\d{6}")
"""What Tidegate does not support, and figures at which its budget counts otherwise than expr's."""

EDITS = st.lists(st.tuples(one_of("drop", "add", "set", "cut"), st.integers(0, 60), one_of(*TOKENS)), max_size=3)


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(condition=st.sampled_from(HARD), edits=EDITS)
def test_a_mistyped_condition_is_refused_where_argo_rollouts_refuses_it(
    judge: Judge, condition: str, edits: list[tuple[str, int, str]]
) -> None:
    for edit, where, token in edits:
        tokens = TOKEN.findall(condition)
        at = where % (len(tokens) + 1)
        if edit == "cut":
            condition = condition[: where % (len(condition) + 1)] + condition[where % (len(condition) + 1) + 1 :]
            continue
        tokens[at : at + (edit != "add")] = [] if edit == "drop" else [token]
        condition = "".join(tokens)
    assume(not REFUSED_HERE.search(condition))
    theirs = judge.ask(condition, COMMON)
    ours, why = judged_here(condition, COMMON)
    assume("is a function; call it" not in why)  # a function as a value: refused here, nil or no help there
    assert ours is theirs.holds, f"{condition!r}: {ours} {why} here, {theirs.holds} {theirs.error} there"


PIECES = (
    *(
        "a",
        "b",
        "A",
        "é",
        "K",
        "\u017f",
        "1",
        "_",
        " ",
        "\n",
        ".",
        "*",
        "+",
        "?",
        "*?",
        "{2}",
        "{1,2}",
        "{,2}",
        "{0}",
        "{1,}",
    ),
    *(
        "{",
        "}",
        "|",
        "(",
        ")",
        "(?:",
        "(?i)",
        "(?i:",
        "(?s)",
        "(?m)",
        "(?-i:",
        "(?P<n>",
        "(?<m>",
        "(?=",
        "[",
        "]",
        "[^",
        "-",
    ),
    *(
        "a-c",
        "\\d",
        "\\D",
        "\\w",
        "\\W",
        "\\s",
        "\\b",
        "\\B",
        "^",
        "$",
        "\\A",
        "\\z",
        "\\Z",
        "\\pL",
        "\\p{Lu}",
        "\\P{Nd}",
    ),
    *(
        "\\p{^L}",
        "[[:alpha:]]",
        "[[:^digit:]]",
        "[:",
        ":]",
        "\\Q",
        "\\E",
        "\\x41",
        "\\x{e9}",
        "\\101",
        "\\1",
        "\\.",
        "\\n",
    ),
    *("\\-", "\\k", "\\", "(?U)", "[a-\\d]", "[]a]", "[^\\w]", "[\\pL_]", "c"),
)
SUBJECTS = (
    "",
    "a",
    "abc",
    "ABC",
    "aab",
    "a1_b",
    " é\n",
    "K",
    "\u017fk",
    "s\nA",
    "1-2",
    "\\",
    "aaaa",
    "b]",
    "Éé",
    "[a]",
    "a.b",
)


@settings(max_examples=1200, deadline=None, suppress_health_check=list(HealthCheck))
@given(pattern=st.lists(one_of(*PIECES), max_size=6).map("".join), subject=st.sampled_from(SUBJECTS))
def test_a_regular_expression_matches_as_in_go(judge: Judge, pattern: str, subject: str) -> None:
    agree(judge, "result.s matches result.p", {"s": subject, "p": pattern})
