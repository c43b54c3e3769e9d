"""How Go's values are represented here, and the admission of a measured result.

    Go                      Python
    nil                     None
    bool, string, float64   bool, str, float
    int, int64              int, kept within 64 bits
    []float64               tuple (a Prometheus vector)
    []int                   range (what `..` gives)
    []any, []string         list, Texts
    nil []any               NilList
    map[string]any          dict
    map[any]any, map[any][]any    Keyed, Groups

int and int64 differ as map keys only, in Go; here a group made by asInt is found by an int as well.
A Go string is bytes: slicing and indexOf count bytes, and half a character is kept as surrogate escapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tidegate.core.analysis.conditions.errors import MAX_DEPTH, ConditionError, Meter, too_deep
from tidegate.core.analysis.conditions.gotypes import BOOL, FLOAT, LIST, MAP, NIL, TEXT, VECTOR, Type

INT64_MIN: Final = -(1 << 63)
INT64_MAX: Final = (1 << 63) - 1


class Texts(list[str]):
    """[]string"""

    __slots__ = ()


class NilList(list[Any]):
    """A nil slice: an empty list that also equals nil."""

    __slots__ = ()


class NilTexts(Texts):
    """A nil []string."""

    __slots__ = ()


class Pair(list[Any]):
    """[2]any, what toPairs makes of an entry."""

    __slots__ = ()


class Pairs(list[Any]):
    """[][2]any"""

    __slots__ = ()


class Keyed:
    """A Go map with keys of any type, where 1, 1.0 and true are three keys and NaN is never found."""

    __slots__ = ("_entries", "missing")

    def __init__(self) -> None:
        self._entries: dict[tuple[type, Any], tuple[Any, Any]] = {}

    @staticmethod
    def _tag(key: Any) -> tuple[type, Any]:
        if key is not None and type(key) not in (bool, int, float, str):
            raise ConditionError(f"{describe(key)} cannot be the key of a map")
        return (float, object()) if type(key) is float and math.isnan(key) else (type(key), key)

    def get(self, key: Any) -> Any:
        return self._entries.get(self._tag(key), (None, self.absent()))[1]

    def absent(self) -> Any:
        return None

    def has(self, key: Any) -> bool:
        return self._tag(key) in self._entries

    def set(self, key: Any, value: Any) -> None:
        self._entries[self._tag(key)] = (key, value)

    def items(self) -> Iterable[tuple[Any, Any]]:
        return self._entries.values()

    def __len__(self) -> int:
        return len(self._entries)


class Groups(Keyed):
    """map[any][]any, what groupBy gives; an absent group is a nil list."""

    __slots__ = ()

    def absent(self) -> Any:
        return NilList()

    def add(self, key: Any, value: Any) -> None:
        tag = self._tag(key)
        if tag in self._entries:
            self._entries[tag][1].append(value)
        else:
            self._entries[tag] = (key, [value])


LISTS: Final = frozenset((list, tuple, range, Texts, NilList, NilTexts, Pair, Pairs))
PAIRS: Final = frozenset((Pair, Pairs))
"""Lists that expr compares with their own kind only."""
MAPS: Final = frozenset((dict, Keyed, Groups))


def is_nil(value: Any) -> bool:
    return value is None or type(value) is NilList or type(value) is NilTexts


def is_number(value: Any) -> bool:
    return type(value) is float or type(value) is int


def describe(value: Any) -> str:
    """A value's kind, for messages. Never the value itself: it may be long, or a secret echoed by a service."""
    kind = type(value)
    if value is None:
        return "nil"
    if kind is bool:
        return "a truth value"
    if kind is int:
        return "an integer"
    if kind is float:
        return "a number"
    if kind is str:
        return "a text"
    if kind in LISTS:
        return f"a list of {len(value)} value{'s'[: len(value) != 1]}"
    return "a map" if kind in MAPS else f"a value of type {kind.__name__}"


def wrap(number: int) -> int:
    """An integer as 64 bits hold it."""
    if INT64_MIN <= number <= INT64_MAX:
        return number
    return ((number - INT64_MIN) & ((1 << 64) - 1)) + INT64_MIN


def to_int(value: Any) -> int:
    """Go's conversion of a number, as amd64 does it beyond 64 bits."""
    if type(value) is int:
        return value
    if type(value) is float:
        if -(2.0**63) <= value < 2.0**63:
            return int(value)
        return INT64_MIN
    raise ConditionError(f"an integer is needed here, not {describe(value)}")


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def admit(result: Any) -> tuple[Any, Type]:
    """A measured result as the language sees it, and its type. Raises ConditionError for a foreign value.

    A float, int, str, bool or None is itself, a tuple of numbers is a vector ([]float64), a list or dict is JSON, in
    which Go knows no integers.
    """
    kind = type(result)
    if kind is float:
        return result, FLOAT
    if kind is tuple:
        return _vector(result), VECTOR
    if kind is list:
        return _json(result, 0), LIST
    if kind is dict:
        return _json(result, 0), MAP
    if kind is int:
        return float(result), FLOAT
    if kind is str:
        return _clean(result), TEXT
    if kind is bool:
        return result, BOOL
    if result is None:
        return None, NIL
    raise ConditionError(f"a result of type {kind.__name__} cannot be judged by a condition")


def _vector(result: tuple[Any, ...]) -> tuple[float, ...]:
    if not all(map(is_number, result)):
        raise ConditionError("a vector holds numbers only")
    return tuple(map(float, result))


def _clean(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-8", "replace").decode()
    return text


def _json(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is float or kind is bool or value is None:
        return value
    if kind is str:
        return _clean(value)
    if kind is int:
        return float(value) if INT64_MIN <= value <= INT64_MAX else _large(value)
    if depth > MAX_DEPTH:
        raise too_deep()
    if kind is list:
        return [_json(one, depth + 1) for one in value]
    if kind is dict:
        if not all(type(key) is str for key in value):
            raise ConditionError("the keys of a map in a result are texts")
        return {_clean(key): _json(one, depth + 1) for key, one in value.items()}
    raise ConditionError(f"a value of type {kind.__name__} in the result cannot be judged by a condition")


def _large(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def numbers(meter: Meter, values: Iterable[Any], what: str, depth: int = 0, *, empty: bool = True) -> Iterator[Any]:
    """The numbers in nested lists, in order. Without `empty`, a list within a list must hold some."""
    if depth > MAX_DEPTH:
        raise too_deep()
    for value in values:
        if type(value) is float or type(value) is int:
            yield value
        elif type(value) in LISTS:
            meter.visit(len(value))
            if depth and not value and not empty:
                raise ConditionError(f"{what} was given a list that holds an empty list")
            yield from numbers(meter, value, what, depth + 1, empty=empty)
        else:
            raise ConditionError(f"{what} takes numbers and lists of numbers, not {describe(value)}")


def flattened(meter: Meter, values: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    if depth > MAX_DEPTH:
        raise too_deep()
    for value in values:
        if type(value) in LISTS:
            meter.visit(len(value) + 1)
            yield from flattened(meter, value, depth + 1)
        else:
            yield value
