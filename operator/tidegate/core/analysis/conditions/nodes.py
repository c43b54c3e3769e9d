"""The syntax tree of a condition, shared by the parser, the checker and the code generator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    """`position` is an offset in the text, from 0, for messages only."""

    position: int = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Const(Node):
    """nil, true, 1, 1.5, "text"; after folding also a list of such."""

    value: Any


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    node: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """The reach of `?.`: a nil before one ends the whole chain with nil."""

    node: Node


@dataclass(frozen=True, slots=True)
class Member(Node):
    node: Node
    key: Node
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Slice(Node):
    node: Node
    start: Node | None
    stop: Node | None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A call of a function of the environment, or of something that turns out to be none."""

    callee: Node
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Builtin(Node):
    """A call of a builtin. `then` and `throws` appear when a filter is fused with what follows it:
    the expression for each kept element, and an error instead of nil when none is kept."""

    name: str
    arguments: tuple[Node, ...]
    then: Node | None = None
    throws: bool = False


@dataclass(frozen=True, slots=True)
class Predicate(Node):
    node: Node


@dataclass(frozen=True, slots=True)
class Pointer(Node):
    """`#` (name ""), `#index`, `#acc`."""

    name: str


@dataclass(frozen=True, slots=True)
class Let(Node):
    name: str
    value: Node
    body: Node


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class If(Node):
    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Array(Node):
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Map(Node):
    keys: tuple[Node, ...]
    values: tuple[Node, ...]


def children(node: Node) -> Iterator[Node]:
    for part in fields(node):
        value = getattr(node, part.name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from value


def same(one: Node, other: Node) -> bool:
    """Whether two trees read the same, wherever they stand. Unlike ==, keeps 1, 1.0 and true apart."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Const):
        return repr(one) == repr(other)
    for part in fields(one):
        value = getattr(one, part.name)
        if part.compare and not isinstance(value, Node | tuple) and value != getattr(other, part.name):
            return False
    left, right = list(children(one)), list(children(other))
    return len(left) == len(right) and all(map(same, left, right))
