"""The builtins on numbers and collections, and the functions that Argo Rollouts adds.

Each takes the frame of the evaluation first. Sources: builtin/builtin.go and lib.go of expr, utils/evaluate/evaluate.go
of Argo Rollouts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from tidegate.core.analysis.conditions import gojson, texts
from tidegate.core.analysis.conditions.access import fetch, get
from tidegate.core.analysis.conditions.errors import ConditionError
from tidegate.core.analysis.conditions.frame import Frame
from tidegate.core.analysis.conditions.loops import is_descending, sort
from tidegate.core.analysis.conditions.operators import equal, greater, less, negate, only_number
from tidegate.core.analysis.conditions.values import (
    INT64_MAX,
    INT64_MIN,
    LISTS,
    MAPS,
    Keyed,
    NilList,
    Pair,
    Pairs,
    Texts,
    describe,
    flattened,
    is_nil,
    is_number,
    numbers,
    to_int,
    wrap,
)

Function = Callable[..., Any]

_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_HEXADECIMAL: Final = re.compile(r"[+-]?0x([0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)p[+-]?\d+", re.ASCII | re.IGNORECASE)
_STRAY: Final = re.compile(r"(?<![0-9])_|_(?![0-9])")
_STRAY_HEXADECIMAL: Final = re.compile(r"(?<![0-9a-fx])_|_(?![0-9a-f])", re.IGNORECASE)
_WORDS: Final = re.compile(r"[+-]?(inf|infinity)|nan", re.ASCII | re.IGNORECASE)


def parse_int(text: str) -> int:
    """Go's strconv.Atoi."""
    if _INTEGER.fullmatch(text) and len(text) < 100 and INT64_MIN <= int(text) <= INT64_MAX:
        return int(text)
    raise ConditionError("this text is not an integer")


def parse_float(text: str) -> float:
    """Go's strconv.ParseFloat."""
    if "_" in text:
        stray = _STRAY_HEXADECIMAL if "x" in text.lower() else _STRAY
        text = text if stray.search(text) else text.replace("_", "")
    if _WORDS.fullmatch(text):
        return float(text)
    if _DECIMAL.fullmatch(text):
        value = float(text)
    elif _HEXADECIMAL.fullmatch(text):
        try:
            value = float.fromhex(text)
        except OverflowError:
            value = math.inf
    else:
        raise ConditionError("this text is not a number")
    if math.isinf(value):
        raise ConditionError("this text is too large a number")
    return value


# What Argo Rollouts adds


def environment(lift: bool) -> dict[str, Function]:
    """The functions of the environment. With `lift`, a list stands for its only number there too."""
    functions: dict[str, Function] = {"isNaN": _is_nan, "isInf": _is_inf, "asInt": _as_int, "asFloat": _as_float}
    if lift:
        functions = {name: _lifted(name, function) for name, function in functions.items()}
    return functions | {"isNil": _is_nil, "default": _default}


def _lifted(name: str, function: Function) -> Function:
    def on_number(frame: Frame, value: Any) -> Any:
        return function(frame, only_number(value, name) if type(value) in LISTS else value)

    return on_number


def _is_nan(_: Frame, value: Any) -> bool:
    if type(value) is not float:
        raise ConditionError(f"isNaN takes a float, not {describe(value)}; wrap it as isNaN(float(…))")
    return math.isnan(value)


def _is_inf(_: Frame, value: Any) -> bool:
    if type(value) is not float:
        raise ConditionError(f"isInf takes a float, not {describe(value)}; wrap it as isInf(float(…))")
    return math.isinf(value)


def _as_int(_: Frame, value: Any) -> int:
    if is_number(value):
        return to_int(value)
    if type(value) is str:
        return parse_int(value)
    raise ConditionError(f"asInt takes a number or a text, not {describe(value)}")


def _as_float(_: Frame, value: Any) -> float:
    if is_number(value):
        return float(value)
    if type(value) is str:
        return parse_float(value)
    raise ConditionError(f"asFloat takes a number or a text, not {describe(value)}")


def _is_nil(frame: Frame, _: Any) -> bool:
    """Whatever it is asked about, Argo Rollouts answers for the result."""
    return frame.result is None


def _default(frame: Frame, _: Any, otherwise: Any) -> Any:
    return otherwise if frame.result is None else frame.result


# Numbers


def _abs(_: Frame, value: Any) -> Any:
    if not is_number(value):
        raise ConditionError(f"abs takes a number, not {describe(value)}")
    return negate(value) if value < 0 else value


def _rounding(name: str, whole: Callable[[float], float]) -> Function:
    def rounded(_: Frame, value: Any) -> float:
        if not is_number(value):
            raise ConditionError(f"{name} takes a number, not {describe(value)}")
        number = float(value)
        if not math.isfinite(number):
            return number
        return math.copysign(whole(number), number)

    return rounded


def _round(number: float) -> float:
    """Half away from zero."""
    fraction, whole = math.modf(number)
    return whole + math.copysign(1.0, number) if abs(fraction) >= 0.5 else whole


def _int(_: Frame, value: Any) -> int:
    if type(value) is str:
        return parse_int(value)
    return to_int(value)


def _float(_: Frame, value: Any) -> float:
    if is_number(value):
        return float(value)
    if type(value) is str:
        return parse_float(value)
    raise ConditionError(f"float takes a number or a text, not {describe(value)}")


def _extreme(name: str, worse: Callable[[Any, Any, Any], bool]) -> Function:
    def extreme(frame: Frame, *values: Any) -> Any:
        if len(values) == 1 and not is_number(values[0]) and type(values[0]) not in LISTS:
            return values[0]
        best: Any = None
        for number in numbers(frame, values, name, empty=False):
            if best is None or worse(frame, best, number):
                best = number
        return best

    return extreme


def _mean(frame: Frame, *values: Any) -> float:
    found = list(map(float, numbers(frame, values, "mean")))
    total = 0.0
    for number in found:
        total += number
    return total / len(found) if found else 0.0


def _median(frame: Frame, *values: Any) -> float:
    # Go sorts NaN before all other numbers
    found = sorted(map(float, numbers(frame, values, "median")), key=lambda number: (not math.isnan(number), number))
    if not found:
        return 0.0
    middle = len(found) // 2
    return found[middle] if len(found) % 2 else (found[middle - 1] + found[middle]) / 2


def _bits(name: str, combine: Callable[[int, int], int]) -> Function:
    def combined(_: Frame, left: Any, right: Any) -> int:
        for value in (left, right):
            if type(value) is not int:
                raise ConditionError(f"{name} takes integers, not {describe(value)}")
        return wrap(combine(left, right))

    return combined


def _shift(name: str, shift: Callable[[int, int], int]) -> Function:
    """Shifts by more than 63 bits leave what 63 or 64 single shifts leave."""

    def checked(left: int, right: int) -> int:
        if right < 0:
            raise ConditionError(f"{name} cannot shift by a negative count")
        return shift(left, min(right, 64))

    return _bits(name, checked)


def _bit_not(_: Frame, value: Any) -> int:
    if type(value) is not int:
        raise ConditionError(f"bitnot takes an integer, not {describe(value)}")
    return ~value


# Collections


def _len(_: Frame, value: Any) -> int:
    if type(value) in LISTS or type(value) in MAPS:
        return len(value)
    if type(value) is str:
        return texts.length(value)
    raise ConditionError(f"len takes a list, a map or a text, not {describe(value)}")


def _type(_: Frame, value: Any) -> str:
    if value is None:
        return "nil"
    if type(value) in LISTS:
        return "array"
    if type(value) in MAPS:
        return "map"
    return {bool: "bool", int: "int", float: "float", str: "string"}[type(value)]


def _list(value: Any, name: str) -> Any:
    if type(value) in LISTS:
        return value
    raise ConditionError(f"{name} takes a list, not {describe(value)}")


def _entries(value: Any, name: str) -> list[tuple[Any, Any]]:
    if type(value) in MAPS:
        return list(value.items())
    raise ConditionError(f"{name} takes a map, not {describe(value)}")


def _end(index: int) -> Function:
    def end(_: Frame, values: Any) -> Any:
        try:
            return fetch(values, index)
        except ConditionError:
            # expr answers nil wherever there is no such element, whatever the reason
            return None

    return end


def _take(_: Frame, values: Any, count: Any) -> Any:
    _list(values, "take")
    if type(count) is not int:
        raise ConditionError(f"take needs an integer, not {describe(count)}")
    if count < 0:
        raise ConditionError("take cannot take fewer than no elements")
    part = values[:count]
    return part if type(part) is type(values) else type(values)(part)


def _to_pairs(_: Frame, value: Any) -> Pairs:
    return Pairs(Pair(entry) for entry in _entries(value, "toPairs"))


def _from_pairs(_: Frame, pairs: Any) -> Keyed:
    made = Keyed()
    for pair in _list(pairs, "fromPairs"):
        if type(pair) not in LISTS or len(pair) != 2:
            raise ConditionError(f"fromPairs takes lists of a key and a value, not {describe(pair)}")
        made.set(pair[0], pair[1])
    return made


def _uniq(frame: Frame, values: Any) -> list[Any]:
    kept: list[Any] = []
    for value in _list(values, "uniq"):
        frame.visit(len(kept))
        if not any(equal(frame, value, one) for one in kept):
            kept.append(value)
    return kept


def _concat(_: Frame, *lists: Any) -> list[Any]:
    joined = [value for one in lists for value in _list(one, "concat")]
    return joined if joined else NilList()


def _sort(frame: Frame, values: Any, order: Any = "asc") -> list[Any]:
    if type(order) is not str:
        raise ConditionError(f'the order of sorting is "asc" or "desc", not {describe(order)}')
    descending = is_descending(order)
    if type(values) not in LISTS or type(values) in (Pairs, Pair):
        return NilList()
    frame.visit(len(values))
    return sort(frame, list(values), descending)


def _from_json(_: Frame, text: Any) -> Any:
    return gojson.parse(texts.text(text, "fromJSON"))


def _join(frame: Frame, values: Any, glue: Any = "") -> str:
    if type(values) not in (list, Texts, NilList) and not is_nil(values):
        raise ConditionError(f"join takes a list of texts, not {describe(values)}")
    return texts.join(frame, values, glue)


FUNCTIONS: Final[dict[str, Function]] = {
    **texts.FUNCTIONS,
    "len": _len,
    "type": _type,
    "abs": _abs,
    "ceil": _rounding("ceil", lambda number: float(math.ceil(number))),
    "floor": _rounding("floor", lambda number: float(math.floor(number))),
    "round": _rounding("round", _round),
    "int": _int,
    "float": _float,
    "string": gojson.show,
    "toJSON": gojson.write,
    "fromJSON": _from_json,
    "join": _join,
    "max": _extreme("max", less),
    "min": _extreme("min", greater),
    "mean": _mean,
    "median": _median,
    "first": _end(0),
    "last": _end(-1),
    "get": lambda _, value, key: get(value, key),
    "take": _take,
    "keys": lambda _, value: [key for key, _value in _entries(value, "keys")],
    "values": lambda _, value: [one for _key, one in _entries(value, "values")],
    "toPairs": _to_pairs,
    "fromPairs": _from_pairs,
    "reverse": lambda _, values: list(_list(values, "reverse"))[::-1],
    "uniq": _uniq,
    "concat": _concat,
    "flatten": lambda frame, values: list(flattened(frame, _list(values, "flatten"))),
    "sort": _sort,
    "bitand": _bits("bitand", lambda left, right: left & right),
    "bitor": _bits("bitor", lambda left, right: left | right),
    "bitxor": _bits("bitxor", lambda left, right: left ^ right),
    "bitnand": _bits("bitnand", lambda left, right: left & ~right),
    "bitshl": _shift("bitshl", lambda left, count: left << count),
    "bitshr": _shift("bitshr", lambda left, count: left >> count),
    "bitushr": _shift("bitushr", lambda left, count: (left & ((1 << 64) - 1)) >> count),
    "bitnot": _bit_not,
}
