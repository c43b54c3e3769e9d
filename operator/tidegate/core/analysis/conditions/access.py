"""Indexing and slicing, as expr's runtime.Fetch and runtime.Slice do it."""

from __future__ import annotations

from typing import Any

from tidegate.core.analysis.conditions.errors import ConditionError
from tidegate.core.analysis.conditions.operators import map_key
from tidegate.core.analysis.conditions.values import LISTS, Groups, Keyed, describe, to_bytes, to_int, to_text


def fetch(value: Any, key: Any) -> Any:
    """value[key]. Negative indexes count from the end; a missing key of a map is nil; a text gives a byte."""
    kind = type(value)
    if kind in LISTS or kind is str:
        if kind is str:
            value = to_bytes(value)
        index = key if type(key) is int else to_int(key)
        size = len(value)
        if -size <= index < size:
            return value[index]
        raise ConditionError(_out_of_range(index, size))
    if kind is dict:
        return value.get(map_key(key))
    if kind is Keyed or kind is Groups:
        return value.get(key)
    which = f"field {key!r}" if type(key) is str else "element"
    raise ConditionError(f"{describe(value)} has no {which}; test for nil first, or use ?. or ??")


def _out_of_range(index: int, size: int) -> str:
    if size == 0:
        return (
            f"index {index} is out of range: the list is empty, so the query found nothing; "
            "say what that means, as in len(result) == 0 || result[0] < 0.01"
        )
    return f"index {index} is out of range: the list has {size} value{'s'[: size != 1]}"


def get(value: Any, key: Any) -> Any:
    """The builtin get: like fetch, but nil where there is nothing."""
    kind = type(value)
    if kind in LISTS or kind is str:
        index = to_int(key)
        size = len(to_bytes(value)) if kind is str else len(value)
        return fetch(value, index) if -size <= index < size else None
    if kind is dict:
        return value.get(map_key(key))
    if kind is Keyed or kind is Groups:
        return value.get(key) if value.has(key) else None
    return None


def slice_of(value: Any, start: Any, stop: Any, has_stop: bool) -> Any:
    """value[start:stop], its bounds clipped. Without a stop, up to the end."""
    kind = type(value)
    if kind is not str and kind not in LISTS:
        raise ConditionError(f"only lists and texts can be sliced, not {describe(value)}")
    whole = to_bytes(value) if kind is str else value
    size = len(whole)
    low, high = _bound(start, size), _bound(stop, size) if has_stop else size
    high = min(high, size)
    part = whole[min(low, high) : high]
    if kind is str:
        return to_text(part)
    return part if type(part) is kind else kind(part)


def _bound(bound: Any, size: int) -> int:
    index = to_int(bound)
    return max(index + size, 0) if index < 0 else index
