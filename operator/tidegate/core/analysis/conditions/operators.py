"""The operators on values, with Go's arithmetic (vm/runtime/helpers, vm/runtime/runtime.go).

Each takes the meter of the evaluation first. Integers and floats meet as floats, / always gives a float, + - *
overflow silently at 64 bits, % is for integers only and keeps the sign of the dividend.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Final, NoReturn

from tidegate.core.analysis.conditions.errors import MAX_DEPTH, ConditionError, Meter, too_deep
from tidegate.core.analysis.conditions.gofloat import power_of
from tidegate.core.analysis.conditions.regex import compile_regex
from tidegate.core.analysis.conditions.values import (
    LISTS,
    MAPS,
    PAIRS,
    Groups,
    Keyed,
    describe,
    is_nil,
    is_number,
    to_int,
    wrap,
)

Operator = Callable[[Meter, Any, Any], Any]


def _refuse(symbol: str, left: Any, right: Any) -> NoReturn:
    raise ConditionError(f"{describe(left)} and {describe(right)} cannot be combined by {symbol}")


def _ordering(symbol: str, compare: Callable[[Any, Any], bool]) -> Operator:
    def ordered(_: Meter, left: Any, right: Any) -> bool:
        one, other = type(left), type(right)
        if one is float:
            if other is float:
                return compare(left, right)
            if other is int:
                return compare(left, float(right))
        elif one is int:
            if other is float:
                return compare(float(left), right)
            if other is int:
                return compare(left, right)
        elif one is str is other:
            return compare(left, right)
        _refuse(symbol, left, right)

    return ordered


less: Final = _ordering("<", operator.lt)
greater: Final = _ordering(">", operator.gt)
less_or_equal: Final = _ordering("<=", operator.le)
greater_or_equal: Final = _ordering(">=", operator.ge)


def add(meter: Meter, left: Any, right: Any) -> Any:
    one, other = type(left), type(right)
    if one is float and (other is float or other is int):
        return left + float(right)
    if one is int:
        if other is int:
            return wrap(left + right)
        if other is float:
            return float(left) + right
    if one is str is other:
        meter.grow(len(left) + len(right))
        return left + right
    _refuse("+", left, right)


def subtract(_: Meter, left: Any, right: Any) -> Any:
    if is_number(left) and is_number(right):
        if type(left) is int is type(right):
            return wrap(left - right)
        return float(left) - float(right)
    _refuse("-", left, right)


def multiply(_: Meter, left: Any, right: Any) -> Any:
    if is_number(left) and is_number(right):
        if type(left) is int is type(right):
            return wrap(left * right)
        return float(left) * float(right)
    _refuse("*", left, right)


def divide(_: Meter, left: Any, right: Any) -> float:
    if not (is_number(left) and is_number(right)):
        _refuse("/", left, right)
    dividend, divisor = float(left), float(right)
    if divisor:
        return dividend / divisor
    if dividend == 0 or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)


def modulo(_: Meter, left: Any, right: Any) -> int:
    if not (type(left) is int is type(right)):
        _refuse("%", left, right)
    if right == 0:
        raise ConditionError("integer division by zero in %")
    remainder: int = abs(left) % abs(right)
    return -remainder if left < 0 else remainder


def power(_: Meter, left: Any, right: Any) -> float:
    if is_number(left) and is_number(right):
        return power_of(float(left), float(right))
    _refuse("**", left, right)


def negate(value: Any) -> Any:
    if type(value) is int:
        return wrap(-value)
    if type(value) is float:
        return -value
    raise ConditionError(f"- cannot be applied to {describe(value)}")


def between(meter: Meter, low: Any, high: Any) -> range:
    start, stop = to_int(low), to_int(high)
    size = wrap(stop - start + 1)
    if size <= 0:
        return range(0)
    meter.grow(size)
    return range(start, stop + 1)


# Equality


def equal(meter: Meter, left: Any, right: Any, depth: int = 0) -> bool:
    """expr's ==: numbers by value, lists element by element, anything else only with its own Go type."""
    one, other = type(left), type(right)
    if one is float or one is int:
        if other is float or other is int:
            return left == right if one is other else float(left) == float(right)
        return False
    if one in LISTS and other in LISTS and one not in PAIRS and other not in PAIRS:
        if one is list or other is list or one is other:
            return _equal_lists(meter, left, right, depth, equal)
        return is_nil(left) and is_nil(right)
    if is_nil(left) and is_nil(right):
        return True
    return _identical(meter, left, right, depth)


def _equal_lists(meter: Meter, left: Any, right: Any, depth: int, same: Callable[[Meter, Any, Any, int], bool]) -> bool:
    if len(left) != len(right):
        return False
    if depth > MAX_DEPTH:
        raise too_deep()
    meter.visit(len(left))
    return all(same(meter, one, other, depth + 1) for one, other in zip(left, right, strict=True))


def _identical(meter: Meter, left: Any, right: Any, depth: int) -> bool:
    """Go's reflect.DeepEqual: 1 and 1.0 differ, and a map or list is equal to itself whatever it holds."""
    kind = type(left)
    if kind is not type(right):
        return False
    if kind in LISTS:
        return left is right or _equal_lists(meter, left, right, depth, _identical)
    if kind in MAPS:
        return left is right or _identical_maps(meter, left, right, depth)
    return bool(left == right)


def _identical_maps(meter: Meter, left: Any, right: Any, depth: int) -> bool:
    if len(left) != len(right):
        return False
    if depth > MAX_DEPTH:
        raise too_deep()
    meter.visit(len(left))
    for key, value in left.items():
        if isinstance(right, Keyed):
            if not right.has(key) or not _identical(meter, value, right.get(key), depth + 1):
                return False
        elif key not in right or not _identical(meter, value, right[key], depth + 1):
            return False
    return True


def contained(meter: Meter, needle: Any, haystack: Any) -> bool:
    """The operator `in`."""
    kind = type(haystack)
    if haystack is None:
        return False
    if kind is range and is_number(needle):
        return float(needle).is_integer() and int(needle) in haystack
    if kind in LISTS:
        meter.visit(len(haystack))
        return any(equal(meter, one, needle) for one in haystack)
    if kind is dict:
        return map_key(needle) in haystack
    if kind is Keyed or kind is Groups:
        found: bool = haystack.has(needle)
        return found
    raise ConditionError(f"in needs a list or a map on its right, not {describe(haystack)}")


def map_key(key: Any) -> str:
    """The key by which a map of texts is looked into; Go takes nil for the empty one."""
    if type(key) is str:
        return key
    if key is None:
        return ""
    raise ConditionError(f"a key of this map is a text, not {describe(key)}")


def contained_in_set(_: Meter, needle: Any, constants: Any) -> bool:
    """`in` with a list of literals of one kind."""
    kind = type(next(iter(constants)))
    if needle is None:
        return kind() in constants
    if type(needle) is not kind:
        raise ConditionError(f"{describe(needle)} cannot be looked up among constants of another kind")
    return needle in constants


# Texts


def _on_texts(symbol: str, test: Callable[[str, str], bool]) -> Operator:
    def tested(meter: Meter, left: Any, right: Any) -> bool:
        if is_nil(left) or is_nil(right):
            return False
        if type(left) is not str or type(right) is not str:
            _refuse(symbol, left, right)
        return test(left, right)

    return tested


def matches(meter: Meter, text: Any, pattern: Any) -> bool:
    if is_nil(text) or is_nil(pattern):
        return False
    if type(text) is not str or type(pattern) is not str:
        _refuse("matches", text, pattern)
    return compile_regex(pattern).search(text, meter)


# Tidegate's own


def lifted(symbol: str, plain: Operator) -> Operator:
    """The operator where a list of exactly one number stands for that number, if the other side is a number."""

    def on_numbers(meter: Meter, left: Any, right: Any) -> Any:
        if type(left) in LISTS:
            if is_number(right):
                left = only_number(left, symbol)
        elif type(right) in LISTS and is_number(left):
            right = only_number(right, symbol)
        return plain(meter, left, right)

    return on_numbers


def only_number(values: Any, use: str) -> Any:
    """The one number of a list."""
    if len(values) == 1 and is_number(values[0]):
        return values[0]
    if len(values) == 0:
        raise ConditionError(
            f"{use} compares a number with an empty list: the query found nothing; "
            "say what that means, as in len(result) == 0 || result[0] < 0.01"
        )
    if len(values) == 1:
        raise ConditionError(f"{use} needs a number, and the only element is {describe(values[0])}")
    raise ConditionError(
        f"{use} compares a number with a list of {len(values)} values; choose one, as in result[0], "
        "or test all, as in all(result, # < 0.01)"
    )


def equal_or_only(meter: Meter, left: Any, right: Any) -> bool:
    """== where either side turns out to be a list or a number; a list of another length is just not equal."""
    if type(left) in LISTS and is_number(right) and len(left) == 1:
        return equal(meter, left[0], right)
    if type(right) in LISTS and is_number(left) and len(right) == 1:
        return equal(meter, left, right[0])
    return equal(meter, left, right)


def _strict(kind: type) -> Operator:
    """expr compares two static integers (or texts) without looking; a value that is none after all is an error."""

    def equals(_: Meter, left: Any, right: Any) -> bool:
        if type(left) is kind is type(right):
            return bool(left == right)
        _refuse("==", left, right)

    return equals


_PLAIN: Final[dict[str, Operator]] = {
    "<": less,
    ">": greater,
    "<=": less_or_equal,
    ">=": greater_or_equal,
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
    "**": power,
    "^": power,
    "==": equal,
}
_COMMON: Final[dict[str, Operator]] = {
    "== int": _strict(int),
    "== text": _strict(str),
    "..": between,
    "in": contained,
    "in set": contained_in_set,
    "contains": _on_texts("contains", lambda text, part: part in text),
    "startsWith": _on_texts("startsWith", str.startswith),
    "endsWith": _on_texts("endsWith", str.endswith),
    "matches": matches,
}

ARGO: Final = _PLAIN | _COMMON
"""The operators exactly as in Argo Rollouts."""

TIDEGATE: Final = (
    {symbol: lifted(symbol, plain) for symbol, plain in _PLAIN.items()}
    | _COMMON
    | {"==": equal_or_only, "== one": lifted("==", equal), "%": modulo}
)
"""The operators where a list stands for its one number."""
