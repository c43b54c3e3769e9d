"""Turns a checked tree into closures: one Python function per part, no evaluation of Python text.

A closure takes the Frame of one evaluation. Each knows its position only on the way out, when it adds it to an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tidegate.core.analysis.conditions.access import fetch, slice_of
from tidegate.core.analysis.conditions.builtins import FUNCTIONS, environment
from tidegate.core.analysis.conditions.errors import ConditionError
from tidegate.core.analysis.conditions.frame import Closure, Frame
from tidegate.core.analysis.conditions.loops import LOOP_BUILDERS, element
from tidegate.core.analysis.conditions.nodes import (
    Array,
    Binary,
    Builtin,
    Call,
    Chain,
    Const,
    If,
    Let,
    Map,
    Member,
    Name,
    Node,
    Pointer,
    Predicate,
    Sequence,
    Slice,
    Unary,
)
from tidegate.core.analysis.conditions.operators import ARGO, TIDEGATE, negate
from tidegate.core.analysis.conditions.regex import check_regex
from tidegate.core.analysis.conditions.values import describe, is_nil


class _ChainEndsError(Exception):
    """A nil before `?.`; caught by the chain around it."""


def build(tree: Node, *, lift: bool = True) -> Closure:
    """The program of a checked tree."""
    return _Builder(lift).build(tree)


class _Builder:
    def __init__(self, lift: bool) -> None:
        self.operators = TIDEGATE if lift else ARGO
        self.environment = environment(lift)

    def build(self, node: Node) -> Closure:
        return _BUILDERS[type(node)](self, node)

    def all(self, nodes: tuple[Node, ...]) -> list[Closure]:
        return [self.build(node) for node in nodes]

    def const(self, node: Const) -> Closure:
        value = node.value
        return lambda frame: value

    def name(self, node: Name) -> Closure:
        name = node.name
        if name == "result":
            return lambda frame: frame.result
        return lambda frame: frame.variables[name]

    def pointer(self, node: Pointer) -> Closure:
        if node.name == "index":
            return lambda frame: frame.index
        if node.name == "acc":
            return lambda frame: frame.acc
        return element

    def let(self, node: Let) -> Closure:
        name, value, body = node.name, self.build(node.value), self.build(node.body)

        def run(frame: Frame) -> Any:
            frame.variables[name] = value(frame)
            return body(frame)

        return run

    def sequence(self, node: Sequence) -> Closure:
        *before, last = self.all(node.nodes)

        def run(frame: Frame) -> Any:
            for part in before:
                part(frame)
            return last(frame)

        return run

    def if_else(self, node: If) -> Closure:
        condition, then, otherwise = self.build(node.condition), self.build(node.then), self.build(node.otherwise)
        position = node.condition.position

        def run(frame: Frame) -> Any:
            answer = condition(frame)
            if answer is not True and answer is not False:
                raise ConditionError(f"a choice needs true or false, not {describe(answer)}", position)
            return then(frame) if answer else otherwise(frame)

        return run

    def array(self, node: Array) -> Closure:
        parts = self.all(node.nodes)

        def run(frame: Frame) -> Any:
            frame.grow(len(parts))
            return [part(frame) for part in parts]

        return run

    def map(self, node: Map) -> Closure:
        entries = list(zip(self.all(node.keys), self.all(node.values), strict=True))
        position = node.position

        def run(frame: Frame) -> Any:
            frame.grow(len(entries))
            made = {}
            # expr fills a map from its last entry to its first, so of equal keys the first one stays.
            for key, value in [(key(frame), value(frame)) for key, value in entries][::-1]:
                if type(key) is not str:
                    raise ConditionError(f"a key of a map is a text, not {describe(key)}", position)
                made[key] = value
            return made

        return run

    def unary(self, node: Unary) -> Closure:
        inner, position = self.build(node.node), node.position
        if node.operator == "+":
            return inner

        def opposite(frame: Frame) -> Any:
            value = inner(frame)
            if value is True or value is False:
                return not value
            raise ConditionError(f"{node.operator} needs true or false, not {describe(value)}", position)

        def negative(frame: Frame) -> Any:
            value = inner(frame)
            try:
                return negate(value)
            except ConditionError as error:
                raise error.at(position) from None

        return negative if node.operator == "-" else opposite

    def binary(self, node: Binary) -> Closure:
        symbol = node.operator
        if symbol in ("&&", "and", "||", "or"):
            return self.connective(node, symbol in ("||", "or"))
        left, right = self.build(node.left), self.build(node.right)
        if symbol == "??":

            def coalesce(frame: Frame) -> Any:
                value = left(frame)
                return right(frame) if is_nil(value) else value

            return coalesce
        negated = symbol.startswith("!=")
        operate = self.operators["==" + symbol[2:] if negated else symbol]
        position = node.position
        if symbol == "matches" and isinstance(node.right, Const) and type(node.right.value) is str:
            # A pattern put together of constants is refused before running, as a single one is when checking.
            check_regex(node.right.value, node.right.position)

        def run(frame: Frame) -> Any:
            one, other = left(frame), right(frame)
            try:
                return operate(frame, one, other)
            except ConditionError as error:
                raise error.at(position) from None

        return (lambda frame: not run(frame)) if negated else run

    def connective(self, node: Binary, stop: bool) -> Closure:
        left, right, position = self.build(node.left), self.build(node.right), node.position

        def run(frame: Frame) -> Any:
            value = left(frame)
            if value is stop:
                return stop
            if value is True or value is False:
                return right(frame)
            raise ConditionError(f"{node.operator} needs true or false, not {describe(value)}", position)

        return run

    def chain(self, node: Chain) -> Closure:
        inner = self.build(node.node)

        def run(frame: Frame) -> Any:
            try:
                value = inner(frame)
            except _ChainEndsError:
                return None
            return None if is_nil(value) else value

        return run

    def member(self, node: Member) -> Closure:
        base, key, optional, position = self.build(node.node), self.build(node.key), node.optional, node.position

        def run(frame: Frame) -> Any:
            value = base(frame)
            if optional and is_nil(value):
                raise _ChainEndsError
            which = key(frame)
            try:
                return fetch(value, which)
            except ConditionError as error:
                raise error.at(position) from None

        return run

    def slice(self, node: Slice) -> Closure:
        base, position = self.build(node.node), node.position
        start = self.build(node.start) if node.start else None
        stop = self.build(node.stop) if node.stop else None

        def run(frame: Frame) -> Any:
            value = base(frame)
            high = stop(frame) if stop else None
            low = start(frame) if start else 0
            try:
                return slice_of(value, low, high, stop is not None)
            except ConditionError as error:
                raise error.at(position) from None

        return run

    def call(self, node: Call) -> Closure:
        arguments, position = self.all(node.arguments), node.position
        if isinstance(node.callee, Name) and node.callee.name in self.environment:
            function = self.environment[node.callee.name]

            def run(frame: Frame) -> Any:
                values = [argument(frame) for argument in arguments]
                try:
                    return function(frame, *values)
                except ConditionError as error:
                    raise error.at(position) from None

            return run
        callee = self.build(node.callee)

        def refuse(frame: Frame) -> Any:
            raise ConditionError(f"{describe(callee(frame))} is no function and cannot be called", position)

        return refuse

    def builtin(self, node: Builtin) -> Closure:
        if node.name in LOOP_BUILDERS:
            arguments = self.all(node.arguments)
            then = self.build(node.then) if node.then else None
            return LOOP_BUILDERS[node.name](node, arguments, then)
        function, arguments, position = FUNCTIONS[node.name], self.all(node.arguments), node.position

        def run(frame: Frame) -> Any:
            values = [argument(frame) for argument in arguments]
            try:
                value = function(frame, *values)
                if type(value) is list:
                    frame.grow(len(value))
            except ConditionError as error:
                raise error.at(position) from None
            return value

        return run

    def predicate(self, node: Predicate) -> Closure:
        return self.build(node.node)


_BUILDERS: Final[dict[type[Node], Callable[[_Builder, Any], Closure]]] = {
    Const: _Builder.const,
    Name: _Builder.name,
    Array: _Builder.array,
    Map: _Builder.map,
    Pointer: _Builder.pointer,
    Let: _Builder.let,
    Sequence: _Builder.sequence,
    If: _Builder.if_else,
    Chain: _Builder.chain,
    Member: _Builder.member,
    Slice: _Builder.slice,
    Unary: _Builder.unary,
    Binary: _Builder.binary,
    Call: _Builder.call,
    Builtin: _Builder.builtin,
    Predicate: _Builder.predicate,
}
