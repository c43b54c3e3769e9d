"""Reading Go templates: the part of text/template that messages are written in, as a tree.

Fields, variables, if, with, range, pipelines and calls of functions. What is beyond it (define, template, block, break,
continue, functions that are not in `go_functions`) is refused by name when the template is read.
Language: https://pkg.go.dev/text/template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

_ACTION: Final = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_COMMENT: Final = re.compile(r"\s*/\*.*\*/\s*\Z", re.DOTALL)
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    |(?P<number>[-+]?\d+(?:\.\d+)?(?![\w.]))
    |(?P<field>\.(?:[A-Za-z_]\w*)?)
    |(?P<variable>\$\w*)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<sign>:=|[=|(),]))""",
    re.VERBOSE,
)
_BEYOND: Final = frozenset(("define", "template", "block", "break", "continue"))
_LITERALS: Final = {"true": True, "false": False, "nil": None}
_DEEPEST: Final = 40
_LONGEST: Final = 100_000
"""Characters of a template."""


class TemplateError(Exception):
    """A template that can't be read, or not be filled in. The message holds words of the template, never values."""


@dataclass(frozen=True, slots=True)
class Literal:
    value: object


@dataclass(frozen=True, slots=True)
class Reach:
    """`.a.b`, `$x.a` or `(…).a`. base: None for the dot, a variable's name with its `$`, or an expression."""

    base: str | Pipe | None
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Pipe:
    """Calls whose value goes on as the last argument of the next."""

    parts: tuple[Expression, ...]


Expression = Literal | Reach | Call | Pipe


@dataclass(frozen=True, slots=True)
class Print:
    value: Pipe


@dataclass(frozen=True, slots=True)
class Set:
    """`$x := …` or, with `declare` false, `$x = …`."""

    name: str
    value: Pipe
    declare: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """if, with or range. variables: those of `$i, $x :=`."""

    kind: str
    variables: tuple[str, ...]
    value: Pipe
    body: tuple[Part, ...]
    otherwise: tuple[Part, ...]


Part = str | Print | Set | Branch


def read_template(text: str, functions: Collection[str]) -> tuple[Part, ...]:
    """The parts of a template. functions: the names that it may call. Raises TemplateError."""
    if len(text) > _LONGEST:
        raise TemplateError(f"the template is longer than {_LONGEST} characters")
    return _Reader(text, functions).whole()


class _Reader:
    def __init__(self, text: str, functions: Collection[str]) -> None:
        self._pieces = list(_pieces(text))
        self._at = 0
        self._functions = functions
        self._depth = 0

    def whole(self) -> tuple[Part, ...]:
        parts, end = self._parts()
        if end:
            raise TemplateError(f"{{{{{end}}}}} without an if, with or range before it")
        return parts

    def _parts(self) -> tuple[tuple[Part, ...], str]:
        """Parts up to an `else …` or `end`, and that."""
        parts: list[Part] = []
        while self._at < len(self._pieces):
            action, text = self._pieces[self._at]
            self._at += 1
            if not action:
                parts.append(text)
                continue
            word = text.split(None, 1)[0] if text else ""
            if word in ("else", "end"):
                return tuple(parts), text
            parts.append(self._action(word, text))
        return tuple(parts), ""

    def _action(self, word: str, text: str) -> Part:
        if word in _BEYOND:
            raise TemplateError(f"{{{{{word}}}}} is not supported; write the text out")
        if word in ("if", "with", "range"):
            return self._branch(word, text[len(word) :])
        line = _Line(text, self._functions)
        names, sign = line.variables(1)
        value = line.whole()
        return Set(names[0], value, sign == ":=") if names else Print(value)

    def _branch(self, kind: str, text: str) -> Branch:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TemplateError(f"more than {_DEEPEST} if, with and range inside each other")
        line = _Line(text, self._functions)
        names, sign = line.variables(2 if kind == "range" else 1)
        if sign == "=":
            raise TemplateError(f"{{{{{kind}}}}}: use := to name its variables")
        value = line.whole()
        body, end = self._parts()
        otherwise: tuple[Part, ...] = ()
        following = end.split(None, 1)
        if following[:1] == ["else"]:
            if len(following) > 1:
                inner = following[1].split(None, 1)[0]
                if inner not in ("if", "with"):
                    raise TemplateError(f"{{{{else {inner}}}}} is not supported")
                otherwise = (self._branch(inner, following[1][len(inner) :]),)
                self._depth -= 1
                return Branch(kind, names, value, body, otherwise)
            otherwise, end = self._parts()
        if end != "end":
            raise TemplateError(f"{{{{{kind}}}}} without its {{{{end}}}}")
        self._depth -= 1
        return Branch(kind, names, value, body, otherwise)


class _Line:
    """What stands between two pairs of braces."""

    def __init__(self, text: str, functions: Collection[str]) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._functions = functions
        self._depth = 0

    def variables(self, most: int) -> tuple[tuple[str, ...], str]:
        """The names before `:=` or `=`, and that sign."""
        names: list[str] = []
        at = 0
        while at < len(self._tokens) and self._tokens[at][0] == "variable" and len(names) < most:
            names.append(self._tokens[at][1])
            at += 1
            if at < len(self._tokens) and self._tokens[at][1] in (":=", "="):
                self._at = at + 1
                return tuple(names), self._tokens[at][1]
            if at >= len(self._tokens) or self._tokens[at][1] != ",":
                break
            at += 1
        return (), ""

    def whole(self) -> Pipe:
        pipe = self._pipe()
        if self._at < len(self._tokens):
            raise TemplateError(f"unexpected {self._tokens[self._at][1]!r}")
        return pipe

    def _pipe(self) -> Pipe:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TemplateError(f"more than {_DEEPEST} brackets inside each other")
        parts: list[Expression] = [self._command()]
        while self._peek() == "|":
            self._at += 1
            following = self._command()
            if not isinstance(following, Call):
                raise TemplateError("after | comes a function")
            parts.append(following)
        self._depth -= 1
        return Pipe(tuple(parts))

    def _command(self) -> Expression:
        kind, text = self._next("a value")
        if kind == "word" and text not in _LITERALS:
            if text not in self._functions:
                raise TemplateError(f"the function {text} is not supported")
            arguments: list[Expression] = []
            while self._at < len(self._tokens) and self._peek() not in ("|", ")"):
                arguments.append(self._operand(*self._next("a value")))
            return Call(text, tuple(arguments))
        value = self._operand(kind, text)
        if self._at < len(self._tokens) and self._peek() not in ("|", ")"):
            raise TemplateError(f"{self._peek()!r} can't follow a value: only functions take arguments")
        return value

    def _operand(self, kind: str, text: str) -> Expression:
        if kind == "text":
            return Literal(_unquoted(text))
        if kind == "number":
            return Literal(float(text) if "." in text else int(text))
        if kind == "field":
            return Reach(None, self._path((text[1:],) if text != "." else ()))
        if kind == "variable":
            return Reach(text, self._path(()))
        if kind == "word" and text in _LITERALS:
            return Literal(_LITERALS[text])
        if kind == "word":
            if text not in self._functions:
                raise TemplateError(f"the function {text} is not supported")
            return Call(text, ())
        if text == "(":
            inner = self._pipe()
            if self._peek() != ")":
                raise TemplateError("a bracket is not closed")
            self._at += 1
            return Reach(inner, self._path(()))
        raise TemplateError(f"unexpected {text!r}")

    def _path(self, begun: tuple[str, ...]) -> tuple[str, ...]:
        """The fields that follow without a space."""
        path = list(begun)
        while self._at < len(self._tokens):
            kind, text, spaced = self._tokens[self._at]
            if kind != "field" or spaced or text == ".":
                break
            path.append(text[1:])
            self._at += 1
        return tuple(path)

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _next(self, wanted: str) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise TemplateError(f"{wanted} is missing before }}}}")
        kind, text, _ = self._tokens[self._at]
        self._at += 1
        return kind, text


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    """Texts (False) and what stands between braces (True), with the spaces that `{{-` and `-}}` eat gone."""
    at, trim = 0, False
    for found in _ACTION.finditer(text):
        before = text[at : found.start()]
        before = before.lstrip() if trim else before
        yield False, before.rstrip() if found[1] else before
        inner = found[2].strip()
        if not _COMMENT.match(found[2]):
            yield True, inner
        at, trim = found.end(), bool(found[3])
    rest = text[at:]
    if "{{" in rest:
        raise TemplateError("{{ without its }}")
    yield False, rest.lstrip() if trim else rest


def _tokens(text: str) -> Iterator[tuple[str, str, bool]]:
    """Kind, text, and whether a space stands before it."""
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise TemplateError(f"can't read {text[at:].split(None, 1)[0]!r}")
        token = found[found.lastgroup]
        yield found.lastgroup, token, found.end() - found.start() > len(token)
        at = found.end()


def _unquoted(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    try:
        value: str = json.loads(text)
    except ValueError:
        raise TemplateError(f"can't read the text {text}") from None
    return value
