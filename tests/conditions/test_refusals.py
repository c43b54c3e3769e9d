"""What is refused, how it is said, and that nothing runs away."""

from __future__ import annotations

import sys
import time
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conditions.test_oracle import HARD, MEASURED, TOKENS
from tidegate.core.analysis.conditions import Condition, ConditionError, compile_condition


@pytest.mark.parametrize(
    ("condition", "message", "position"),
    [
        ("result[0] >=", "unexpected the end of the condition, expected a value", 12),
        ("result[0 >= 1", "unexpected the end of the condition, expected ']'", 13),
        ("result = 1", "unexpected '=', expected an operator or the end", 7),
        ("", "unexpected the end of the condition, expected a value", 0),
        ("results[0] > 1", "unknown name results; the measured value is called result", 0),
        ("'abc", "never closed; expected '", 0),
        ("result > 1 ☂", "means nothing", 11),
        ("now() > result", "the builtin now is not supported", 0),
        ("result.t | date() > 1", "the builtin date is not supported", 11),
        ("duration('1h')", "the builtin duration is not supported", 0),
        ("$env.result", r"\$env is not supported", 0),
        ("isNaN == nil", "isNaN is a function; call it", 0),
        ("1 + 'a' == 2", r"an integer and a text cannot be combined by \+", 2),
        ("len(1, 2) > 1", "len takes 1 argument, not 2", 0),
        ("repeat(1, 2) == ''", r"repeat was given an integer, an integer; it takes repeat\(a text, an integer\)", 0),
        ("any(result, 1)", "the predicate of any gives an integer", 12),
        ("result matches '(a'", "regular expression '\\(a' is not valid", 15),
        ("result matches '\\\\p{Greek}'", "only general categories are supported", 15),
        ("1 ?? 2 + 3 == 1", "cannot be mixed", 7),
        ("# > 1", "needs a predicate around it", 0),
    ],
)
def test_compiling_names_the_place_and_what_was_expected(condition: str, message: str, position: int) -> None:
    with pytest.raises(ConditionError, match=message) as caught:
        compile_condition(condition)
    assert caught.value.position == position
    assert str(caught.value).endswith(f"(at character {position + 1})")


@pytest.mark.parametrize(
    ("condition", "result", "message"),
    [
        ("result[0] > 1", (), "the list is empty, so the query found nothing"),
        ("result[2] > 1", (1.0, 2.0), "index 2 is out of range: the list has 2 values"),
        ("result", 0.5, "gives a number, not true or false"),
        ("result.ok", {"ok": "yes"}, "gives a text, not true or false"),
        ("result > 1", "2", "a text and an integer cannot be combined by >"),
        ("result.a > 1", {"a": "2"}, "a text and an integer cannot be combined by >"),
        ("result.a.b > 1", {}, "nil has no field 'b'"),
        ("asFloat(result) > 1", "many", "not a number"),
        ("result.n % 0 == 1", {"n": 4}, "cannot be combined by %"),
        ("int(result) % 0 == 1", 4.0, "division by zero"),
        ("result > 1", object(), "a result of type object cannot be judged"),
        ("result > 1", ("a",), "a vector holds numbers only"),
        ("result.a == 1", {"a": {1: 2}}, "keys of a map in a result are texts"),
    ],
)
def test_evaluating_says_why_a_result_cannot_be_judged(condition: str, result: object, message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        compile_condition(condition).holds(result)


def test_messages_do_not_repeat_a_measured_text() -> None:
    """A web result may echo a credential."""
    for condition in ("asInt(result) > 1", "result > 1", "result", "fromJSON(result) == 1", "result[0]"):
        with pytest.raises(ConditionError) as caught:
            compile_condition(condition).holds("s3cret")
        assert "s3cret" not in str(caught.value)


def only_condition_errors(text: str) -> None:
    try:
        condition = compile_condition(text)
    except ConditionError:
        return
    for result in MEASURED:
        with suppress(ConditionError):
            assert condition.holds(result) in (True, False)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from(TOKENS), max_size=12).map("".join)))
@example("\ud800")
@example("'\\ud800' == result")
@example("0x" + "f" * 5000)
@example("1" * 5000)
@example("result[9223372036854775807]")
def test_no_text_makes_anything_but_a_condition_error(text: str) -> None:
    only_condition_errors(text)


@pytest.mark.parametrize(
    "repeated", ["(", "[", "{a:", "-", "!", "not ", "all(result, ", "a ? ", "if true {", "1 + (", "2 ** ", "let x = "]
)
def test_deep_nesting_is_refused_without_exhausting_the_stack(repeated: str) -> None:
    with pytest.raises(ConditionError):
        compile_condition(repeated * 5000)


@pytest.mark.parametrize("joint", [" + 1", " && true", ".a", "[0]", " ?? 1", " | first()", " == 1"])
def test_long_chains_are_refused_or_judged(joint: str) -> None:
    only_condition_errors("result" + joint * 3000)
    only_condition_errors("result" + joint * 100)


def test_nesting_up_to_the_limit_is_judged_even_deep_in_the_stack() -> None:
    def deep(levels: int, condition: str) -> bool:
        return compile_condition(condition).holds(1.0) if levels == 0 else deep(levels - 1, condition)

    assert deep(150, "(" * 50 + "result" + ")" * 50 + " == 1" + " && true" * 90)
    assert deep(150, "all([result], " * 25 + "true" + ")" * 25)


def test_a_caller_at_the_end_of_the_stack_gets_a_condition_error() -> None:
    condition = compile_condition("(((((((((((((((result > 0.5)))))))))))))))")

    def deepest() -> ConditionError:
        try:
            return deepest()
        except RecursionError:
            try:
                Condition(condition.text, condition._tree).holds([[[1.0]]])
            except ConditionError as error:
                return error
            raise

    assert sys.getrecursionlimit() <= 10_000
    assert "deeper" in str(deepest()) or "cannot be combined" in str(deepest())


@pytest.mark.parametrize(
    "condition",
    [
        "len(1..2000000) > 1",
        "let r = 1..2000; all(r, all(r, all(r, true)))",
        "reduce(1..200, #acc + #acc, 'a') == ''",
        "reduce(1..200, [#acc, #acc], 1) == reduce(1..200, [#acc, #acc], 1)",
        "reduce(1..60, [#acc, #acc], 1) == reduce(1..60, [#acc, #acc], 1)",
        "toJSON(reduce(1..60, [#acc, #acc], 1)) == ''",
        "string(reduce(1..60, [#acc, #acc], 1)) == ''",
        "flatten(reduce(1..60, [#acc, #acc], 1)) == []",
        "max(reduce(1..60, [#acc, #acc], 1)) == 1",
        "mean(reduce(1..60, [#acc, #acc], [])) == 1",
        "repeat(repeat('a', 900000), 900000) == ''",
        "replace(repeat('a', 90000), 'a', repeat('b', 90000)) == ''",
        "join(split(repeat('a', 90000), ''), repeat('b', 90000)) == ''",
        "reduce(1..500, toBase64(#acc), 'a') == ''",
        "len(uniq(1..100000)) == 1",
        "repeat('a', 50000) matches '(a+)+b'",
        "'a' matches repeat('(a{30}){30}', 40)",
        "repeat('a', 100) matches '((a{30}){30}){30}'",
        "sortBy(1..100000, # % 2 == 0 ? # : 0/0)[0] == 1",
    ],
)
def test_nothing_runs_away(condition: str) -> None:
    started = time.process_time()
    with pytest.raises(ConditionError):
        compile_condition(condition).holds(1.0)
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("repeat('a', 20000) matches '(a*)*(a*)*b'", False),
        ("repeat('a', 20000) matches '^(a|a)*$'", True),
        ("(repeat('a', 400000) + 'ok') matches 'ok'", True),
        ("sortBy(1..100000, -#)[0] == 100000", True),
        ("sum(map(1..80000, # * 2)) == 6400080000", True),
    ],
)
def test_large_work_within_the_budget_is_done_soon(condition: str, holds: bool) -> None:
    started = time.process_time()
    assert compile_condition(condition).holds(1.0) is holds
    assert time.process_time() - started < 3


def test_every_line_of_the_corners_survives_every_result() -> None:
    for line in HARD:
        only_condition_errors(line)


def test_compiling_is_cached() -> None:
    assert compile_condition("result[0] > 0.123") is compile_condition("result[0] > 0.123")
