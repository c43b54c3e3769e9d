"""The rewrites of expr's optimizer that a user can observe (optimizer/*.go).

`x && false` is false even where x alone would fail, `filter(list, p)[0]` stops at the first match, `sum([a, b])` is
`a + b` and so joins texts. A condition is judged after these, so they belong to its meaning.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeGuard

from tidegate.core.analysis.conditions import operators
from tidegate.core.analysis.conditions.errors import ConditionError, Meter
from tidegate.core.analysis.conditions.nodes import (
    Array,
    Binary,
    Builtin,
    Const,
    Member,
    Node,
    Pointer,
    Predicate,
    Unary,
    children,
    same,
)

_AND: Final = ("&&", "and")
_OR: Final = ("||", "or")
_ARITHMETIC: Final = {
    "+": operators.add,
    "-": operators.subtract,
    "*": operators.multiply,
    "/": operators.divide,
    "%": operators.modulo,
    "**": operators.power,
    "^": operators.power,
}
_COMBINED: Final = {
    ("all", "&&"): "&&",
    ("all", "and"): "&&",
    ("any", "||"): "||",
    ("any", "or"): "||",
    ("none", "&&"): "||",
    ("none", "and"): "||",
}


def unary(node: Unary) -> Node:
    if isinstance(node.node, Const):
        value = node.node.value
        if node.operator in ("!", "not") and type(value) is bool:
            return Const(node.position, not value)
        if type(value) in (int, float) and node.operator in "+-":
            return Const(node.position, operators.negate(value) if node.operator == "-" else value)
    return node


def binary(node: Binary) -> Node:
    left, right, operator = node.left, node.right, node.operator
    if operator in _AND:
        if _is_bool(left, True):
            return right
        if _is_bool(right, True):
            return left
        if _is_bool(left, False) or _is_bool(right, False):
            return Const(node.position, False)
    elif operator in _OR:
        if _is_bool(left, False):
            return right
        if _is_bool(right, False):
            return left
        if _is_bool(left, True) or _is_bool(right, True):
            return Const(node.position, True)
    elif isinstance(left, Const) and isinstance(right, Const):
        return _constants(node, left.value, right.value)
    return _combined_predicates(node)


def _is_bool(node: Node, value: bool) -> bool:
    return isinstance(node, Const) and node.value is value


def _constants(node: Binary, left: object, right: object) -> Node:
    kinds = {type(left), type(right)}
    if node.operator.startswith("==") and len(kinds) == 1 and kinds <= {int, str, bool}:
        return Const(node.position, left == right)
    numbers = kinds <= {int} if node.operator == "%" else kinds <= {int, float}
    if node.operator in _ARITHMETIC and (numbers or (kinds == {str} and node.operator == "+")):
        try:
            return Const(node.position, _ARITHMETIC[node.operator](Meter(), left, right))
        except ConditionError as error:
            raise error.at(node.position) from None
    return node


def _combined_predicates(node: Binary) -> Node:
    """all(x, p) && all(x, q) visits x once."""
    left, right = node.left, node.right
    if not (isinstance(left, Builtin) and isinstance(right, Builtin) and left.name == right.name):
        return node
    operator = _COMBINED.get((left.name, node.operator))
    if operator is None or not same(left.arguments[0], right.arguments[0]):
        return node
    inner = _combined_predicates(Binary(node.position, operator, _body(left), _body(right)))
    return replace(left, arguments=(left.arguments[0], Predicate(node.position, inner)))


def _body(loop: Builtin) -> Node:
    predicate = loop.arguments[1]
    assert isinstance(predicate, Predicate)
    return predicate.node


def array(node: Array) -> Node:
    if node.nodes and all(isinstance(one, Const) and type(one.value) in (int, float, str, bool) for one in node.nodes):
        return Const(node.position, [one.value for one in node.nodes if isinstance(one, Const)])
    return node


def member(node: Member) -> Node:
    base = node.node
    if _is_filter(base) and not node.optional and isinstance(node.key, Const) and type(node.key.value) is int:
        name = {0: "find", -1: "findLast"}.get(node.key.value)
        if name:
            return replace(base, name=name, throws=True)
    return node


def builtin(node: Builtin) -> Node:
    name, first = node.name, node.arguments[0] if node.arguments else None
    if name == "filter" and _is_filter(first) and first.then is None:
        both = Binary(node.position, "&&", _body(first), _body(node))
        return replace(node, arguments=(first.arguments[0], Predicate(node.position, binary(both))))
    if name == "map" and _is_filter(first) and first.then is None and not _has_index(_body(node)):
        return replace(first, then=_body(node))
    if len(node.arguments) == 1:
        if name in ("first", "last") and _is_filter(first):
            return replace(first, name="find" if name == "first" else "findLast")
        if name == "len" and _is_filter(first):
            return replace(first, name="count", then=None)
        if name == "sum" and isinstance(first, Array) and len(first.nodes) >= 2:
            return _sum(first.nodes)
        if name == "sum" and isinstance(first, Builtin) and first.name == "map":
            return replace(node, arguments=first.arguments)
    return node


def _is_filter(node: Node | None) -> TypeGuard[Builtin]:
    return isinstance(node, Builtin) and node.name == "filter"


def _has_index(node: Node) -> bool:
    return (isinstance(node, Pointer) and node.name == "index") or any(map(_has_index, children(node)))


def _sum(nodes: tuple[Node, ...]) -> Node:
    total = nodes[-1]
    for node in reversed(nodes[:-1]):
        total = Binary(node.position, "+", node, total)
    return total
