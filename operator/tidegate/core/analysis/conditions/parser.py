"""Turns tokens into a syntax tree, by the grammar of expr 1.17 (parser/parser.go)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from tidegate.core.analysis.conditions.errors import MAX_DEPTH, ConditionError
from tidegate.core.analysis.conditions.lexer import Kind, Token, is_alphanumeric, tokenize
from tidegate.core.analysis.conditions.names import BUILTINS, LOOPS, UNSUPPORTED
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
    children,
)

MAX_NODES: Final = 10_000
"""expr's default limit."""

_MAX_NESTING: Final = 60
"""Brackets within brackets: one level costs the parser up to nine frames of Python's thousand."""

_N = TypeVar("_N", bound=Node)

_UNARY: Final = {"not": 50, "!": 50, "-": 90, "+": 90}
_BINARY: Final = (
    {"|": 0, "or": 10, "||": 10, "and": 15, "&&": 15, "..": 25, "+": 30, "-": 30, "*": 60, "/": 60, "%": 60}
    | dict.fromkeys(("==", "!=", "<", ">", ">=", "<=", "in", "matches", "contains", "startsWith", "endsWith"), 20)
    | {"**": 100, "^": 100, "??": 500}
)
_RIGHT: Final = frozenset(("**", "^"))
_COMPARISONS: Final = frozenset(("<", ">", ">=", "<="))
_NEGATABLE: Final = frozenset(("contains", "matches", "startsWith", "endsWith", "in"))
_FLOAT: Final = re.compile(r"(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII)
_INT64_MAX: Final = (1 << 63) - 1


def parse(text: str) -> Node:
    """The tree of a condition. Raises ConditionError naming the position and what was expected there."""
    tree = _Parser(tokenize(text)).parse()
    _refuse_deep(tree)
    return tree


def _refuse_deep(tree: Node) -> None:
    """Later passes recurse over the tree; operators in a row nest it without any bracket."""
    level, depth = [tree], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ConditionError(
                f"the condition is nested deeper than {MAX_DEPTH} levels; split it into several metrics",
                level[0].position,
            )
        level = [child for node in level for child in children(node)]


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.current = tokens[0]
        self.predicates = 0
        self.nesting = 0
        self.nodes = 0

    def parse(self) -> Node:
        node = self.sequence()
        if self.current.kind is not Kind.END:
            raise self.unexpected("an operator or the end of the condition")
        return node

    # Tokens

    def next(self) -> None:
        self.at = min(self.at + 1, len(self.tokens) - 1)
        self.current = self.tokens[self.at]

    def on(self, *values: str) -> bool:
        """Whether the current token is one of these operators or brackets."""
        token = self.current
        return token.value in values and (token.kind is Kind.OPERATOR or token.kind is Kind.BRACKET)

    def expect(self, value: str) -> None:
        if not self.on(value):
            raise self.unexpected(repr(value))
        self.next()

    def expect_name(self) -> Token:
        token = self.current
        if token.kind is not Kind.NAME:
            raise self.unexpected("a name")
        self.next()
        return token

    def unexpected(self, expected: str) -> ConditionError:
        return ConditionError(f"unexpected {self.current}, expected {expected}", self.current.position)

    def made(self, node: _N) -> _N:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ConditionError(f"the condition has more than {MAX_NODES:,} parts", node.position)
        return node

    def nested(self, part: Callable[[], _N]) -> _N:
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise ConditionError(f"the condition is nested deeper than {_MAX_NESTING} brackets", self.current.position)
        node = part()
        self.nesting -= 1
        return node

    # Expressions

    def sequence(self) -> Node:
        nodes = [self.expression()]
        while self.on(";"):
            self.next()
            if self.current.kind is Kind.END:
                break
            nodes.append(self.expression())
        return nodes[0] if len(nodes) == 1 else self.made(Sequence(nodes[0].position, tuple(nodes)))

    def expression(self) -> Node:
        """An expression of any precedence, where `let`, `if` and `?:` may stand."""
        return self.nested(self._expression)

    def _expression(self) -> Node:
        if self.on("let"):
            return self.let()
        if self.on("if"):
            return self.if_else()
        return self.ternary(self.operation(0))

    def operation(self, precedence: int) -> Node:
        left = self.primary()
        previous = ""
        while self.current.kind is Kind.OPERATOR:
            token, negate = self.current, False
            if token.value == "not":
                following = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
                if following.value not in _NEGATABLE:
                    self.next()
                    raise self.unexpected("in, contains, matches, startsWith or endsWith")
                token, negate = following, True
            strength = _BINARY.get(token.value, -1)
            if strength < precedence:
                break
            self.next()
            if negate:
                self.next()
            if token.value == "|":
                left = self.call(self.expect_name(), (left,))
            elif previous == "??" and token.value != "??":
                raise ConditionError(
                    f"{token.value} and ?? cannot be mixed; wrap either by parentheses", token.position
                )
            elif token.value in _COMPARISONS:
                left = self.comparison(left, token, strength)
            else:
                right = self.operand(strength if token.value in _RIGHT else strength + 1)
                left = self.made(Binary(token.position, token.value, left, right))
                if negate:
                    left = self.made(Unary(token.position, "not", left))
            previous = token.value
        return left

    def operand(self, precedence: int) -> Node:
        return self.nested(lambda: self.operation(precedence))

    def comparison(self, left: Node, token: Token, precedence: int) -> Node:
        """a < b < c means a < b && b < c."""
        root: Node | None = None
        while True:
            right = self.operand(precedence + 1)
            pair = self.made(Binary(token.position, token.value, left, right))
            root = pair if root is None else self.made(Binary(token.position, "&&", root, pair))
            left, token = right, self.current
            if token.kind is not Kind.OPERATOR or token.value not in _COMPARISONS:
                return root
            self.next()

    def let(self) -> Node:
        self.next()
        name = self.expect_name()
        self.expect("=")
        value = self.expression()
        self.expect(";")
        return self.made(Let(name.position, name.value, value, self.nested(self.sequence)))

    def if_else(self) -> Node:
        start = self.current.position
        self.next()
        condition = self.expression()
        then = self.block()
        self.expect("else")
        otherwise = self.nested(self.if_else) if self.on("if") else self.block()
        return self.made(If(start, condition, then, otherwise))

    def block(self) -> Node:
        self.expect("{")
        node = self.sequence()
        self.expect("}")
        return node

    def ternary(self, node: Node) -> Node:
        while self.on("?"):
            start = self.current.position
            self.next()
            then = node
            if not self.on(":"):
                then = self.expression()
            self.expect(":")
            node = self.made(If(start, node, then, self.expression()))
        return node

    def primary(self) -> Node:
        token = self.current
        if token.kind is Kind.OPERATOR and token.value in _UNARY:
            self.next()
            return self.postfix(self.made(Unary(token.position, token.value, self.operand(_UNARY[token.value]))))
        if self.on("("):
            self.next()
            node = self.sequence()
            self.expect(")")
            return self.postfix(node)
        if self.predicates and self.on("#", "."):
            return self.postfix(self.pointer())
        if self.on("::"):
            self.next()
            return self.postfix(self.call(self.expect_name(), ()))
        return self.secondary()

    def pointer(self) -> Node:
        start, name = self.current.position, ""
        if self.on("#"):
            self.next()
            if self.current.kind is Kind.NAME:
                name = self.current.value
                self.next()
        return self.made(Pointer(start, name))

    def secondary(self) -> Node:
        token = self.current
        if token.kind is Kind.NAME:
            self.next()
            if token.value in ("true", "false", "nil"):
                return self.made(Const(token.position, {"true": True, "false": False, "nil": None}[token.value]))
            if self.on("("):
                return self.postfix(self.call(token, ()))
            return self.postfix(self.made(Name(token.position, token.value)))
        if token.kind is Kind.NUMBER:
            self.next()
            return self.made(Const(token.position, _number(token)))
        if token.kind is Kind.TEXT:
            self.next()
            return self.postfix(self.made(Const(token.position, token.value)))
        if self.on("["):
            return self.postfix(self.array())
        if self.on("{"):
            return self.postfix(self.map())
        if token.kind is Kind.OPERATOR and token.value in ("#", "."):
            raise ConditionError(f"{token} stands for an element and needs a predicate around it", token.position)
        raise self.unexpected("a value")

    # Calls

    def call(self, name: Token, piped: tuple[Node, ...]) -> Node:
        if name.value in UNSUPPORTED:
            raise ConditionError(f"the builtin {name.value} is not supported: {UNSUPPORTED[name.value]}", name.position)
        if name.value in LOOPS:
            return self.made(Builtin(name.position, name.value, self.loop_arguments(name, piped)))
        arguments = self.arguments(piped)
        if name.value in BUILTINS:
            return self.made(Builtin(name.position, name.value, arguments))
        return self.made(Call(name.position, self.made(Name(name.position, name.value)), arguments))

    def arguments(self, piped: tuple[Node, ...] = ()) -> tuple[Node, ...]:
        arguments = list(piped)
        self.expect("(")
        while not self.on(")"):
            if len(arguments) > len(piped):
                self.expect(",")
                if self.on(")"):
                    break
            arguments.append(self.expression())
        self.next()
        return tuple(arguments)

    def loop_arguments(self, name: Token, piped: tuple[Node, ...]) -> tuple[Node, ...]:
        arguments, least, most = list(piped), *LOOPS[name.value]
        self.expect("(")
        for index in range(len(piped), most):
            if self.on(")"):
                if index >= least:
                    break
                raise ConditionError(f"{name.value} needs at least {least} arguments", self.current.position)
            if index > len(piped):
                self.expect(",")
            arguments.append(self.predicate() if index == 1 else self.expression())
        if self.on(","):
            self.next()
        self.expect(")")
        return tuple(arguments)

    def predicate(self) -> Node:
        start, braces = self.current.position, self.on("{")
        if braces:
            self.next()
        self.predicates += 1
        node = self.nested(self.sequence) if braces else self.expression()
        self.predicates -= 1
        if braces:
            self.expect("}")
        elif self.on(";"):
            raise ConditionError("wrap the predicate with { and }", self.current.position)
        return self.made(Predicate(start, node))

    # Literals

    def array(self) -> Node:
        start, nodes = self.current.position, list[Node]()
        self.next()
        while not self.on("]"):
            if nodes:
                self.expect(",")
                if self.on("]"):
                    break
            nodes.append(self.expression())
        self.next()
        return self.made(Array(start, tuple(nodes)))

    def map(self) -> Node:
        start = self.current.position
        keys, values = list[Node](), list[Node]()
        self.next()
        while not self.on("}"):
            if keys:
                self.expect(",")
                if self.on("}"):
                    break
            keys.append(self.map_key())
            self.expect(":")
            values.append(self.made(self.expression()))
        self.next()
        return self.made(Map(start, tuple(keys), tuple(values)))

    def map_key(self) -> Node:
        token = self.current
        if token.kind in (Kind.NUMBER, Kind.TEXT, Kind.NAME):
            self.next()
            return self.made(Const(token.position, token.value))
        if self.on("("):
            return self.expression()
        raise self.unexpected("a map key: a name, a string, a number or an expression in parentheses")

    # What follows a value

    def postfix(self, node: Node) -> Node:
        while True:
            if self.on(".", "?."):
                optional = self.on("?.")
                self.next()
                node = self.index(node, True) if optional and self.on("[") else self.field(node, optional)
            elif self.on("["):
                node = self.index(node, False)
            else:
                return node

    def field(self, node: Node, optional: bool) -> Node:
        token = self.current
        word = token.value[:1]
        if token.kind is not Kind.NAME and not (
            token.kind is Kind.OPERATOR and is_alphanumeric(word or " ") and not word.isdecimal()
        ):
            raise self.unexpected("a name")
        self.next()
        chained = isinstance(node, Chain)
        base = node.node if isinstance(node, Chain) else node
        member: Node = self.made(Member(token.position, base, self.made(Const(token.position, token.value)), optional))
        if self.on("("):
            member = self.made(Call(token.position, member, self.arguments()))
        return self.made(Chain(token.position, member)) if chained or optional else member

    def index(self, node: Node, optional: bool) -> Node:
        start = self.current.position
        self.next()
        first = None if self.on(":") else self.expression()
        if self.on(":"):
            self.next()
            stop = None if self.on("]") else self.expression()
            self.expect("]")
            return self.made(Slice(start, node, first, stop))
        self.expect("]")
        assert first is not None
        member = self.made(Member(start, node, first, optional))
        return self.made(Chain(start, member)) if optional else member


def _number(token: Token) -> int | float:
    digits = token.value.replace("_", "").lower()
    radix = {"0x": 16, "0b": 2, "0o": 8}.get(digits[:2])
    try:
        if radix is None and not digits.isdecimal():
            if not _FLOAT.fullmatch(digits):
                raise ValueError
            number = float(digits)
            if number == float("inf"):
                raise ConditionError(f"{token} is too large for a float", token.position)
            return number
        value = int(digits[2:], radix) if radix else int(digits)
    except ValueError:
        raise ConditionError(f"{token} is not a number", token.position) from None
    if value > _INT64_MAX:
        raise ConditionError(f"{token} is too large for an integer", token.position)
    return value
