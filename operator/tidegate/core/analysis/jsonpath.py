"""The part of Kubernetes' JSONPath that metrics use to pick one value out of an answer: `{$.data.rates[0].value}`.

Built are names, positions from either end, slices, `*`, and filters such as `[?(@.name == "web")]`. Recursive
descent, unions, ranges and text around the path are refused: of several values a metric only ever takes the
first, which for those is seldom the one that was meant. Source: k8s.io/client-go/util/jsonpath. Other than
there, a name in quotes may hold dots.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

_NAME: Final = re.compile(r"\.((?:\\.|[^\s.,\[\]$@{}\\])+)")
_QUOTED: Final = re.compile(r"\['([^']*)'\]|\[\"([^\"]*)\"\]")
_SLICE: Final = re.compile(r"\[(-?\d+)?(:)?(-?\d+)?(?::(\d+))?\]")
_ANY: Final = re.compile(r"\[\*\]|\.\*")
_FILTER: Final = re.compile(r"\[\?\(\s*@((?:\.[\w\\.-]+|\['[^']*'\]|\[-?\d+\])*)\s*(?:([!<>=]+)\s*(.+?)\s*)?\)\]")
_TEXT: Final = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class JsonPathError(ValueError):
    """A text that is no path here, or a path that leads to no value. Its text quotes nothing of the answer."""


Step = Callable[[Any], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path that was understood."""

    text: str
    steps: tuple[Step, ...]

    def first(self, document: Any) -> Any:
        """The first value that the path leads to. Raises JsonPathError when there is none."""
        found = next(_walk(self.steps, document), _NOTHING)
        if found is _NOTHING:
            raise JsonPathError(f"has nothing at {self.text}")
        return found


_NOTHING: Final = object()


def parse_json_path(text: str) -> JsonPath:
    """Understand a path; an empty one is the whole document. Raises JsonPathError."""
    inner = text.strip() or "{$}"
    if not (inner.startswith("{") and inner.endswith("}")) or "{" in inner[1:-1]:
        raise JsonPathError(f"{text!r} is not a path such as {{$.data.value}}")
    return JsonPath(inner, tuple(_steps(inner[1:-1].strip(), text)))


def _steps(path: str, whole: str) -> Iterator[Step]:
    at = 1 if path[:1] in ("$", "@") else 0
    while at < len(path):
        for pattern, make in _PARTS:
            found = pattern.match(path, at)
            if found is not None and found.end() > at:
                yield make(found, whole)
                at = found.end()
                break
        else:
            if path.startswith("..", at):
                raise JsonPathError(f"{whole!r} uses .., which is not supported: name each level")
            raise JsonPathError(f"{whole!r} can't be read from {path[at : at + 20]!r} on")


def _walk(steps: tuple[Step, ...], value: Any) -> Iterator[Any]:
    if not steps:
        yield value
        return
    for inner in steps[0](value):
        yield from _walk(steps[1:], inner)


def _name(found: re.Match[str], _whole: str) -> Step:
    return _member(re.sub(r"\\(.)", r"\1", found[1]))


def _quoted(found: re.Match[str], _whole: str) -> Step:
    return _member(found[1] if found[1] is not None else found[2])


def _member(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _slice(found: re.Match[str], whole: str) -> Step:
    start, colon, stop, stride = found.groups()
    if start is None and colon is None:
        raise JsonPathError(f"{whole!r} has an empty position")
    if stride == "0":
        raise JsonPathError(f"{whole!r} has a step of 0")

    def step(value: Any) -> Iterator[Any]:
        if not isinstance(value, list):
            return
        if colon is None:
            index = int(start)
            if -len(value) <= index < len(value):
                yield value[index]
            return
        yield from value[int(start) if start else None : int(stop) if stop else None : int(stride) if stride else 1]

    return step


def _any(_found: re.Match[str], _whole: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            yield from value

    return step


def _filter(found: re.Match[str], whole: str) -> Step:
    inner = tuple(_steps(found[1], whole))
    if found[2] is None:
        return lambda value: (one for one in _items(value) if next(_walk(inner, one), _NOTHING) is not _NOTHING)
    compare = _COMPARE.get(found[2])
    if compare is None:
        raise JsonPathError(f"{whole!r} compares by {found[2]}, which is none of {', '.join(_COMPARE)}")
    wanted = _constant(found[3], whole)

    def step(value: Any) -> Iterator[Any]:
        for one in _items(value):
            left = next(_walk(inner, one), _NOTHING)
            if _comparable(left, wanted) and compare(left, wanted):
                yield one

    return step


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _comparable(left: Any, right: Any) -> bool:
    return _kind(left) is _kind(right)


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)


def _constant(text: str, whole: str) -> Any:
    quoted = _TEXT.fullmatch(text)
    if quoted is not None:
        return quoted[1] if quoted[1] is not None else quoted[2]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        raise JsonPathError(f"{whole!r} compares with {text!r}, which is neither text in quotes nor a number") from None


_PARTS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], Step]], ...]] = (
    (_FILTER, _filter),
    (_ANY, _any),
    (_NAME, _name),
    (_QUOTED, _quoted),
    (_SLICE, _slice),
)
