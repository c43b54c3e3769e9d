"""Where Tidegate differs from Argo Rollouts on purpose: a list of exactly one number stands for that number."""

from __future__ import annotations

import pytest

from tests.conditions.judge import Judge
from tidegate.core.analysis.conditions import ConditionError, compile_condition

NAN = float("nan")


@pytest.mark.parametrize(
    ("condition", "result", "holds"),
    [
        ("result < 0.01", (0.004,), True),
        ("result < 0.01", (0.2,), False),
        ("result <= 0.5", (0.5,), True),
        ("0.01 > result", (0.004,), True),
        ("result == 1", (1.0,), True),
        ("result != 1", (1.0,), False),
        ("result >= 0.95 && result <= 1", (0.97,), True),
        ("0 < result < 1", (0.5,), True),
        ("(1 - result) * 100 < 5", (0.97,), True),
        ("result / 2 == 0.25", (0.5,), True),
        ("result ** 2 == 0.25", (0.5,), True),
        ("default(result, 0) < 0.05", (0.01,), True),
        ("isNaN(result) || result < 0.01", (NAN,), True),
        ("isInf(result)", (float("inf"),), True),
        ("asFloat(result) <= 0.5", (0.5,), True),
        ("asInt(result) == 2", (2.5,), True),
        ("result < 0.01", [0.004], True),
        ("result.errors < 3", {"errors": [2]}, True),
        ("result.errors == 2", {"errors": [2]}, True),
    ],
)
def test_a_list_of_one_number_stands_for_it(judge: Judge, condition: str, result: object, holds: bool) -> None:
    assert compile_condition(condition).holds(result) is holds
    # and it is indeed a difference: Argo Rollouts has an error, or finds a list unequal to any number
    assert judge.ask(condition, result).holds is (None if "errors ==" not in condition else False) or (
        "default" in condition
    )


@pytest.mark.parametrize(
    ("condition", "result", "advice"),
    [
        ("result < 0.01", (), r"len\(result\) == 0"),
        ("result < 0.01", (0.1, 0.2), r"list of 2 values; choose one, as in result\[0\]"),
        ("result == 1", (1.0, 1.0), r"all\(result"),
        ("result + 1 > 2", (1.0, 1.0), r"list of 2 values"),
        ("isNaN(result)", (), "found nothing"),
        ("result < 0.01", ["0.001"], "the only element is a text"),
        ("result < 0.01", [[0.001]], "the only element is a list"),
    ],
)
def test_another_list_is_an_error_that_says_what_to_write(condition: str, result: object, advice: str) -> None:
    with pytest.raises(ConditionError, match=advice):
        compile_condition(condition).holds(result)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("result == [0.5]", True),
        ("result[0] == 0.5", True),
        ("len(result) == 1", True),
        ("0.5 in result", True),
        ("any(result, # > 0.4)", True),
        ("result == nil", False),
    ],
)
def test_elsewhere_a_vector_stays_a_list(judge: Judge, condition: str, holds: bool) -> None:
    assert compile_condition(condition).holds((0.5,)) is holds is judge.ask(condition, (0.5,)).holds


def test_a_list_never_stands_for_a_text_or_for_a_truth() -> None:
    for condition, result in (("result == 'a'", ["a"]), ("result && true", [True]), ("!result", [True])):
        with pytest.raises(ConditionError):
            compile_condition(condition).holds(result)
