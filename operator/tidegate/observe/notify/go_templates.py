"""Filling in a Go template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tidegate.observe.notify.go_functions import FUNCTIONS, SHORT, shown, truth
from tidegate.observe.notify.go_syntax import (
    Branch,
    Call,
    Expression,
    Literal,
    Part,
    Pipe,
    Print,
    Reach,
    Set,
    TemplateError,
    read_template,
)

_LONGEST: Final = 200_000
"""Characters of a text that a template makes."""
_VISITS: Final = 50_000
"""Parts that are visited, so that ranges inside ranges end."""


class Template:
    """A template that has been read. Raises TemplateError for one that can't be, or that uses what is not supported."""

    __slots__ = ("_parts",)

    def __init__(self, text: str) -> None:
        self._parts = read_template(text, FUNCTIONS.keys() | SHORT)

    def fill(self, values: Mapping[str, Any]) -> str:
        """The text for these values. Raises TemplateError.

        A field that is not there is nothing, and printed as `<no value>`; also one of a field that is not there, which
        ends Go's rendering: a message with a gap is better than none.
        """
        return _Filling(values).text(self._parts)


class _Filling:
    def __init__(self, values: Mapping[str, Any]) -> None:
        self._scopes: list[dict[str, Any]] = [{"$": values}]
        self._told: list[str] = []
        self._length = 0
        self._visits = 0

    def text(self, parts: Sequence[Part]) -> str:
        self._walk(parts, self._scopes[0]["$"])
        return "".join(self._told)

    def _walk(self, parts: Sequence[Part], dot: Any) -> None:
        for part in parts:
            self._visits += 1
            if self._visits > _VISITS:
                raise TemplateError("the template does too much")
            if isinstance(part, str):
                self._say(part)
            elif isinstance(part, Print):
                self._say(shown(self._value(part.value, dot)))
            elif isinstance(part, Set):
                self._set(part, self._value(part.value, dot))
            else:
                self._branch(part, dot)

    def _say(self, text: str) -> None:
        self._length += len(text)
        if self._length > _LONGEST:
            raise TemplateError(f"the text is longer than {_LONGEST} characters")
        self._told.append(text)

    def _set(self, part: Set, value: Any) -> None:
        if part.declare:
            self._scopes[-1][part.name] = value
            return
        for scope in reversed(self._scopes):
            if part.name in scope:
                scope[part.name] = value
                return
        raise TemplateError(f"the variable {part.name} is not declared")

    def _branch(self, part: Branch, dot: Any) -> None:
        value = self._value(part.value, dot)
        if part.kind == "range":
            return self._range(part, value, dot)
        if not truth(value):
            return self._within({}, part.otherwise, dot)
        named = dict.fromkeys(part.variables, value)
        return self._within(named, part.body, value if part.kind == "with" else dot)

    def _range(self, part: Branch, value: Any, dot: Any) -> None:
        items = _items(value)
        if not items:
            return self._within({}, part.otherwise, dot)
        for key, item in items:
            named = dict(zip(part.variables, (key, item), strict=True)) if len(part.variables) == 2 else {}
            if len(part.variables) == 1:
                named = {part.variables[0]: item}
            self._within(named, part.body, item)
        return None

    def _within(self, named: dict[str, Any], parts: Sequence[Part], dot: Any) -> None:
        self._scopes.append(named)
        self._walk(parts, dot)
        self._scopes.pop()

    def _value(self, pipe: Pipe, dot: Any) -> Any:
        value = self._one(pipe.parts[0], dot)
        for call in pipe.parts[1:]:
            assert isinstance(call, Call)
            value = self._call(call, dot, value)
        return value

    def _one(self, expression: Expression, dot: Any) -> Any:
        if isinstance(expression, Literal):
            return expression.value
        if isinstance(expression, Call):
            return self._call(expression, dot)
        if isinstance(expression, Pipe):
            return self._value(expression, dot)
        return self._reach(expression, dot)

    def _reach(self, reach: Reach, dot: Any) -> Any:
        if reach.base is None:
            value = dot
        elif isinstance(reach.base, Pipe):
            value = self._value(reach.base, dot)
        else:
            value = self._variable(reach.base)
        for field in reach.path:
            if value is not None and not isinstance(value, Mapping):
                raise TemplateError(f"can't take the field {field} of what is no map")
            value = value.get(field) if value is not None else None
        return value

    def _variable(self, name: str) -> Any:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        raise TemplateError(f"the variable {name} is not declared")

    def _call(self, call: Call, dot: Any, *piped: Any) -> Any:
        if call.function in SHORT:
            return self._short(call, dot, *piped)
        arguments = [self._one(argument, dot) for argument in call.arguments]
        try:
            return FUNCTIONS[call.function](*arguments, *piped)
        except (TypeError, ValueError, AttributeError, KeyError):
            # The error's own text may hold values.
            raise TemplateError(f"{call.function} can't be called with these arguments") from None

    def _short(self, call: Call, dot: Any, *piped: Any) -> Any:
        """`and` gives the first that is false, `or` the first that is true, or the last."""
        value: Any = None
        for argument in call.arguments:
            value = self._one(argument, dot)
            if truth(value) == (call.function == "or"):
                return value
        return piped[0] if piped else value


def _items(value: Any) -> list[tuple[Any, Any]]:
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [(key, value[key]) for key in sorted(value)]
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return [(number, number) for number in range(min(value, _VISITS))]
    raise TemplateError("range takes a list, a map or a whole number")
