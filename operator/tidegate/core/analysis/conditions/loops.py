"""Builtins with a predicate. Each builder returns the closure of one call.

A loop lends its element to the frame while it runs, so `#` is always the innermost one's, and gives the outer one's
back at its end. An error ends the whole evaluation, so it need not give back anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cmp_to_key
from typing import Any, Final

from tidegate.core.analysis.conditions.errors import ConditionError
from tidegate.core.analysis.conditions.frame import Closure, Frame
from tidegate.core.analysis.conditions.nodes import Builtin
from tidegate.core.analysis.conditions.operators import add, less
from tidegate.core.analysis.conditions.values import LISTS, MAPS, Groups, describe, to_bytes

Outer = tuple[Any, int, Any]


class _Loop:
    """What all loops share: their list, their predicate and where to put the blame."""

    def __init__(self, node: Builtin, arguments: list[Closure], then: Closure | None) -> None:
        self.name = node.name
        self.position = node.position
        self.throws = node.throws
        self.source = arguments[0]
        self.predicate = arguments[1] if len(arguments) > 1 else element
        self.third = arguments[2] if len(arguments) > 2 else None
        self.then = then or element

    def fail(self, message: str) -> ConditionError:
        return ConditionError(message, self.position)

    def values(self, frame: Frame) -> Any:
        """The list to go through, paid for."""
        values = self.source(frame)
        if type(values) is str:
            values = to_bytes(values)
        elif type(values) in MAPS:
            # expr goes through a map as well, and fails only where it needs an element
            values = [NO_ELEMENT] * len(values)
        elif type(values) not in LISTS:
            raise self.fail(f"{self.name} takes a list, not {describe(values)}")
        frame.visit(len(values))
        return values

    def test(self, frame: Frame) -> bool:
        answer = self.predicate(frame)
        if answer is True or answer is False:
            return bool(answer)
        raise self.fail(f"the predicate of {self.name} gives {describe(answer)}, not true or false")

    def passing(self, frame: Frame, values: Any, *, backwards: bool = False) -> Iterator[int]:
        """The indexes whose element passes the predicate; the frame holds that element meanwhile."""
        indexes = range(len(values))
        for index in reversed(indexes) if backwards else indexes:
            frame.item, frame.index = values[index], index
            if self.test(frame):
                yield index


NO_ELEMENT: Final = object()


def element(frame: Frame) -> Any:
    """The pointer `#`."""
    if frame.item is NO_ELEMENT:
        raise ConditionError("a loop takes a list, not a map; choose keys(…) or values(…)")
    return frame.item


def _enter(frame: Frame) -> Outer:
    return frame.item, frame.index, frame.acc


def _leave(frame: Frame, outer: Outer) -> None:
    frame.item, frame.index, frame.acc = outer


def _all(loop: _Loop, frame: Frame, values: Any) -> bool:
    return all(loop.test(frame) for frame.index, frame.item in enumerate(values))


def _any(loop: _Loop, frame: Frame, values: Any) -> bool:
    return any(True for _ in loop.passing(frame, values))


def _none(loop: _Loop, frame: Frame, values: Any) -> bool:
    return not _any(loop, frame, values)


def _count(loop: _Loop, frame: Frame, values: Any) -> int:
    return sum(1 for _ in loop.passing(frame, values))


def _one(loop: _Loop, frame: Frame, values: Any) -> bool:
    return _count(loop, frame, values) == 1


def _filter(loop: _Loop, frame: Frame, values: Any) -> list[Any]:
    kept = [loop.then(frame) for _ in loop.passing(frame, values)]
    frame.grow(len(kept))
    return kept


def _found(loop: _Loop, frame: Frame, values: Any, backwards: bool) -> Any:
    for _ in loop.passing(frame, values, backwards=backwards):
        return loop.then(frame)
    if loop.throws:
        raise loop.fail("no element passes the filter, so there is none to choose")
    return None


def _find(loop: _Loop, frame: Frame, values: Any) -> Any:
    return _found(loop, frame, values, False)


def _find_last(loop: _Loop, frame: Frame, values: Any) -> Any:
    return _found(loop, frame, values, True)


def _find_index(loop: _Loop, frame: Frame, values: Any) -> int | None:
    return next(loop.passing(frame, values), None)


def _find_last_index(loop: _Loop, frame: Frame, values: Any) -> int | None:
    return next(loop.passing(frame, values, backwards=True), None)


def _mapped(loop: _Loop, frame: Frame, values: Any) -> list[Any]:
    frame.grow(len(values))
    mapped = []
    for frame.index, frame.item in enumerate(values):
        mapped.append(loop.predicate(frame))
    return mapped


def _sum(loop: _Loop, frame: Frame, values: Any) -> Any:
    total: Any = 0
    for frame.index, frame.item in enumerate(values):
        total = add(frame, loop.predicate(frame), total)
    return total


def _group_by(loop: _Loop, frame: Frame, values: Any) -> Groups:
    groups = Groups()
    for frame.item in values:
        groups.add(loop.predicate(frame), element(frame))
    return groups


def _sort_by(loop: _Loop, frame: Frame, values: Any) -> list[Any]:
    descending = is_descending(loop.third(frame)) if loop.third else False
    keys = []
    for frame.item in values:
        keys.append(loop.predicate(frame))
        element(frame)
    frame.grow(len(keys))
    return [values[index] for index in ranking(frame, keys, descending)]


def _reduce(loop: _Loop, frame: Frame, values: Any) -> Any:
    if not loop.third and not values:
        raise loop.fail("reduce of an empty list needs a third argument to start from")
    first = 0 if loop.third else 1
    if values:
        frame.item, frame.index = values[0], 0
    frame.acc = loop.third(frame) if loop.third else element(frame)
    for index in range(first, len(values)):
        frame.item, frame.index = values[index], index
        frame.acc = loop.predicate(frame)
    return frame.acc


def is_descending(order: Any) -> bool:
    if order not in ("asc", "desc"):
        raise ConditionError('the order of sorting is "asc" or "desc"')
    return bool(order == "desc")


def sort(frame: Frame, values: list[Any], descending: bool) -> list[Any]:
    """Sorted by <, which fails for what cannot be compared."""
    return [values[index] for index in ranking(frame, values, descending)]


def ranking(frame: Frame, keys: list[Any], descending: bool) -> list[int]:
    """The indexes of the keys in sorted order.

    Up to twelve values Go sorts by insertion, and so does this, because NaN makes the algorithm visible.
    """
    order = list(range(len(keys)))
    kinds = set(map(type, keys))
    if kinds == {str} or (kinds <= {int, float} and not any(key != key for key in keys)):  # noqa: PLR0124
        return sorted(order, key=keys.__getitem__, reverse=descending)
    frame.visit(len(keys) * len(keys).bit_length())

    def before(one: int, other: int) -> bool:
        left, right = keys[one], keys[other]
        return bool(less(frame, right, left) if descending else less(frame, left, right))

    def compared(one: int, other: int) -> int:
        return before(other, one) - before(one, other)

    if len(order) > 12:
        return sorted(order, key=cmp_to_key(compared))
    for end in range(1, len(order)):
        at = end
        while at > 0 and before(order[at], order[at - 1]):
            order[at - 1], order[at] = order[at], order[at - 1]
            at -= 1
    return order


def _builder(
    run: Callable[[_Loop, Frame, Any], Any],
) -> Callable[[Builtin, list[Closure], Closure | None], Closure]:
    def build(node: Builtin, arguments: list[Closure], then: Closure | None) -> Closure:
        loop = _Loop(node, arguments, then)

        def closure(frame: Frame) -> Any:
            values = loop.values(frame)
            outer = _enter(frame)
            try:
                answer = run(loop, frame, values)
            except ConditionError as error:
                raise error.at(loop.position) from None
            _leave(frame, outer)
            return answer

        return closure

    return build


LOOP_BUILDERS: Final = {
    name: _builder(run)
    for name, run in {
        "all": _all,
        "any": _any,
        "none": _none,
        "one": _one,
        "count": _count,
        "filter": _filter,
        "find": _find,
        "findLast": _find_last,
        "findIndex": _find_index,
        "findLastIndex": _find_last_index,
        "map": _mapped,
        "sum": _sum,
        "groupBy": _group_by,
        "sortBy": _sort_by,
        "reduce": _reduce,
    }.items()
}
