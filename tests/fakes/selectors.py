"""Label selectors: as a query (`a=b,c in (d,e),!f`) and as an object (matchLabels, matchExpressions)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Labels = Mapping[str, str]
Matches = Callable[[Labels], bool]

_SET: Final = re.compile(r"^(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s+\((?P<values>[^()]*)\)$")
_EQUAL: Final = re.compile(r"^(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=,()]*)$")
_EXISTS: Final = re.compile(r"^(?P<no>!?)\s*(?P<key>[^\s!=,()]+)$")
_COMMA: Final = re.compile(r",(?![^(]*\))")


def parse_selector(text: str) -> Matches:
    """Read the query form. Raises ValueError."""
    tests = [_requirement(part.strip()) for part in _COMMA.split(text)] if text.strip() else []
    return lambda labels: all(test(labels) for test in tests)


def _requirement(text: str) -> Matches:
    if found := _SET.match(text):
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        if found["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.match(text):
        key, value = found["key"], found["value"]
        if found["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(text):
        key, absent = found["key"], bool(found["no"])
        return lambda labels: (key in labels) != absent
    raise ValueError(f"unable to parse requirement: {text!r}")


def object_selector(selector: Mapping[str, Any] | None) -> Matches:
    """Read metav1.LabelSelector. None selects nothing, an empty one everything."""
    if selector is None:
        return lambda labels: False
    tests: list[Matches] = [_equals(key, value) for key, value in (selector.get("matchLabels") or {}).items()]
    tests += [_expression(each) for each in selector.get("matchExpressions") or ()]
    return lambda labels: all(test(labels) for test in tests)


def map_selector(selector: Labels | None) -> Matches:
    """Read a plain map, as of a Service. Absent or empty selects nothing."""
    if not selector:
        return lambda labels: False
    return object_selector({"matchLabels": selector})


def _equals(key: str, value: str) -> Matches:
    return lambda labels: labels.get(key) == value


def _expression(each: Mapping[str, Any]) -> Matches:
    key, values = each["key"], frozenset(each.get("values") or ())
    match each["operator"]:
        case "In":
            return lambda labels: labels.get(key) in values
        case "NotIn":
            return lambda labels: labels.get(key) not in values
        case "Exists":
            return lambda labels: key in labels
        case "DoesNotExist":
            return lambda labels: key not in labels
        case other:
            raise ValueError(f"{other!r} is not a valid label selector operator")
