"""A compiled condition."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tidegate.core.analysis.conditions.checker import check
from tidegate.core.analysis.conditions.errors import ConditionError, too_deep
from tidegate.core.analysis.conditions.frame import Closure, Frame
from tidegate.core.analysis.conditions.nodes import Node
from tidegate.core.analysis.conditions.parser import parse
from tidegate.core.analysis.conditions.program import build
from tidegate.core.analysis.conditions.values import admit, describe


class Condition:
    """A condition that may hold for a result.

    `text` is as written. A program is built once for each type of result that it meets, as its types decide what is
    an error. With `lift` false the condition is read exactly as Argo Rollouts reads it.
    """

    __slots__ = ("_lift", "_programs", "_tree", "text")

    def __init__(self, text: str, tree: Node, *, lift: bool = True) -> None:
        self.text = text
        self._tree = tree
        self._lift = lift
        self._programs: dict[str, Closure] = {}

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    def holds(self, result: Any) -> bool:
        """Whether the condition is true of a result.

        `result` is a float, a tuple of floats (a vector, []float64), or what JSON gives: dict, list, str, bool, None,
        int, float. Raises ConditionError when it cannot be evaluated for this result, or is neither true nor false.
        """
        value = self.value(result)
        if value is True or value is False:
            return bool(value)
        raise ConditionError(f"the condition gives {describe(value)}, not true or false")

    def value(self, result: Any) -> Any:
        """What it gives for a result. Raises ConditionError."""
        try:
            return self._evaluate(result)
        except RecursionError:
            # The limits on depth are far below Python's, unless the caller itself stands deep in the stack.
            raise too_deep() from None

    def _evaluate(self, result: Any) -> Any:
        value, type_ = admit(result)
        program = self._programs.get(type_.go)
        if program is None:
            program = build(check(self._tree, type_, lift=self._lift), lift=self._lift)
            self._programs[type_.go] = program
        return program(Frame(value))


def compile_condition(text: str) -> Condition:
    """The condition that a text expresses.

    Raises ConditionError, with the position and what was expected there, for a text that is no condition for any
    result. An error that depends on the result's type appears in Condition.holds.
    """
    try:
        return _compiled(text)
    except RecursionError:
        raise too_deep() from None


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Condition:
    return read(text)


def read(text: str, *, lift: bool = True) -> Condition:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ConditionError("the condition is not valid Unicode text")
    tree = parse(text)
    check(tree, None, lift=lift)
    return Condition(text, tree, lift=lift)
