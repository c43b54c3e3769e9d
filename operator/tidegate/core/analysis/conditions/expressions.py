"""Expressions of the same language over named values, as the triggers of notifications have them.

A condition of an analysis knows one value, `result`. Here each free name stands for a field of that, so that there is
one language with one set of meanings, and nothing is lifted: this is expr as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any, Final

from tidegate.core.analysis.conditions.checker import check
from tidegate.core.analysis.conditions.condition import Condition
from tidegate.core.analysis.conditions.errors import ConditionError, too_deep
from tidegate.core.analysis.conditions.names import BUILTINS, ENVIRONMENT
from tidegate.core.analysis.conditions.nodes import Call, Const, Let, Member, Name, Node
from tidegate.core.analysis.conditions.parser import parse

_OURS: Final = ENVIRONMENT - BUILTINS
"""What analyses add to the language; triggers don't have it."""


class Expression:
    """An expression over named values."""

    __slots__ = ("_condition", "text")

    def __init__(self, text: str, condition: Condition) -> None:
        self.text = text
        self._condition = condition

    def value(self, values: Mapping[str, Any]) -> Any:
        """The expression's value for these, which are what JSON gives. Raises ConditionError."""
        return self._condition.value(dict(values))

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true. Raises ConditionError where it can't be evaluated or is neither true nor false."""
        return self._condition.holds(dict(values))


def compile_expression(text: str, names: Collection[str]) -> Expression:
    """The expression that a text stands for, over values of these names.

    Raises ConditionError with the position for a text that is none, or that uses other names.
    """
    try:
        return _compiled(text, frozenset(names))
    except RecursionError:
        raise too_deep() from None


@lru_cache(maxsize=256)
def _compiled(text: str, names: frozenset[str]) -> Expression:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ConditionError("the expression is not valid Unicode text")
    tree = _bound(parse(text), names, frozenset())
    check(tree, None, lift=False)
    return Expression(text, Condition(text, tree, lift=False))


def _bound(node: Node, names: frozenset[str], local: frozenset[str]) -> Node:
    """The tree with every free name as a field of the one value that a condition knows."""
    if isinstance(node, Name):
        if node.name in local or node.name in BUILTINS:
            return node
        if node.name in names:
            return Member(node.position, Name(node.position, "result"), Const(node.position, node.name))
        raise _unknown(node, names)
    if isinstance(node, Call) and isinstance(node.callee, Name) and node.callee.name in _OURS:
        raise _unknown(node.callee, names)
    if isinstance(node, Let):
        inner = local | {node.name}
        return replace(node, value=_bound(node.value, names, local), body=_bound(node.body, names, inner))
    changes: dict[str, Any] = {}
    for part in fields(node):
        value = getattr(node, part.name)
        if isinstance(value, Node):
            changes[part.name] = _bound(value, names, local)
        elif isinstance(value, tuple) and value and isinstance(value[0], Node):
            changes[part.name] = tuple(_bound(one, names, local) for one in value)
    return replace(node, **changes) if changes else node


def _unknown(node: Name, names: frozenset[str]) -> ConditionError:
    return ConditionError(f"unknown name {node.name}; there is {', '.join(sorted(names))}", node.position)
