"""Numbers in the handwriting of Go's strconv.FormatFloat(value, 'f', -1, 64)."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.analysis.values import show_number, show_vector

GO = [
    (0.95, "0.95"),
    (1.0, "1"),
    (0.0, "0"),
    (-0.0, "-0"),
    (-2.5, "-2.5"),
    (1e21, "1000000000000000000000"),
    (1.5e-9, "0.0000000015"),
    (0.1 + 0.2, "0.30000000000000004"),
    (123456789.0, "123456789"),
    (5e-324, "0." + "0" * 323 + "5"),
    (math.nan, "NaN"),
    (math.inf, "+Inf"),
    (-math.inf, "-Inf"),
]


@pytest.mark.parametrize(("value", "text"), GO)
def test_a_number_is_shown_as_go_shows_it(value: float, text: str) -> None:
    assert show_number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_has_no_exponent_and_reads_back_as_the_same_number(value: float) -> None:
    text = show_number(value)

    assert re.fullmatch(r"-?\d+(\.\d*[1-9])?", text)
    assert float(text) == value


@pytest.mark.parametrize(("values", "text"), [([], "[]"), ([0.95], "[0.95]"), ([1.0, math.nan, 2.5], "[1,NaN,2.5]")])
def test_a_vector_is_shown_in_brackets_without_spaces(values: list[float], text: str) -> None:
    assert show_vector(values) == text
