"""Regular expressions with RE2's promise: time grows with pattern times text, whatever the pattern.

Python's re backtracks, and one `(a+)+$` in a template would stop the operator. `matches` only asks whether a pattern
occurs, so the pattern is compiled to a nondeterministic automaton whose states are all followed at once (Thompson
1968; https://swtch.com/~rsc/regexp/regexp2.html). Syntax: RE2's as Go accepts it. Refused: scripts such as
\\p{Greek}, as the language's standard library does not know them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tidegate.core.analysis.conditions.errors import ConditionError, Meter
from tidegate.core.analysis.conditions.regex_syntax import (
    Alternatives,
    Assertion,
    Chars,
    Concatenation,
    Part,
    Repeat,
    parse_pattern,
)

_MAX_STATES: Final = 10_000


@dataclass(slots=True)
class _State:
    """One state: it consumes a character of `chars`, or holds under an assertion, or splits freely."""

    chars: Chars | None = None
    assertion: str = ""
    out: int = -1
    other: int = -1


_MATCH: Final = 0


class Regex:
    """A compiled pattern."""

    __slots__ = ("_literal", "_start", "_states")

    def __init__(self, states: list[_State], start: int, literal: str | None) -> None:
        self._states = states
        self._start = start
        self._literal = literal

    def search(self, text: str, meter: Meter) -> bool:
        """Whether the pattern occurs anywhere in the text."""
        if self._literal is not None:
            return self._literal in text
        current: list[int] = []
        for position in range(len(text) + 1):
            current.append(self._start)
            current = self._closure(current, text, position, meter)
            if _MATCH in current:
                return True
            if position < len(text):
                current = self._step(current, text[position])
        return False

    def _step(self, current: Iterable[int], char: str) -> list[int]:
        states = self._states
        following = []
        for index in current:
            chars = states[index].chars
            if chars is not None and chars.has(char):
                following.append(states[index].out)
        return following

    def _closure(self, start: list[int], text: str, position: int, meter: Meter) -> list[int]:
        """All states reachable without consuming a character."""
        seen: set[int] = set()
        pending = start
        reached: list[int] = []
        while pending:
            index = pending.pop()
            if index in seen:
                continue
            seen.add(index)
            state = self._states[index]
            if index == _MATCH or state.chars is not None:
                reached.append(index)
            elif not state.assertion or _HOLDS[state.assertion](text, position):
                pending.append(state.out)
                if state.other >= 0:
                    pending.append(state.other)
        meter.visit(len(seen))
        return reached


@lru_cache(maxsize=256)
def compile_regex(pattern: str) -> Regex:
    """Raises ConditionError for a pattern that Go's regexp refuses, or that is refused here."""
    builder = _Builder()
    part = parse_pattern(pattern)
    start = builder.build(part, _MATCH)
    return Regex(builder.states, start, _literal(part))


def _literal(part: Part) -> str | None:
    """The text that a pattern without any choice asks for, so that a long body is searched at full speed."""
    parts = part.parts if isinstance(part, Concatenation) else (part,)
    text = ""
    for one in parts:
        char = one.only if isinstance(one, Chars) else None
        if char is None:
            return None
        text += char
    return text


def check_regex(pattern: str, position: int) -> None:
    """Refuses a pattern at its place in a condition."""
    try:
        compile_regex(pattern)
    except ConditionError as error:
        raise error.at(position) from None


class _Builder:
    """Builds from the end: each part is given the state that follows it."""

    def __init__(self) -> None:
        self.states = [_State()]

    def state(self, state: _State) -> int:
        if len(self.states) >= _MAX_STATES:
            raise ConditionError("the regular expression is too large once its repetitions are written out")
        self.states.append(state)
        return len(self.states) - 1

    def build(self, part: Part, following: int) -> int:
        if isinstance(part, Chars):
            return self.state(_State(chars=part, out=following))
        if isinstance(part, Assertion):
            return self.state(_State(assertion=part.kind, out=following))
        if isinstance(part, Concatenation):
            for one in reversed(part.parts):
                following = self.build(one, following)
            return following
        if isinstance(part, Alternatives):
            start = self.build(part.parts[-1], following)
            for one in reversed(part.parts[:-1]):
                start = self.state(_State(out=self.build(one, following), other=start))
            return start
        return self.repeat(part, following)

    def repeat(self, part: Repeat, following: int) -> int:
        if part.most is None:
            loop = self.state(_State(other=following))
            self.states[loop].out = self.build(part.part, loop)
            following = loop
        else:
            after = following
            for _ in range(part.most - part.least):
                following = self.state(_State(out=self.build(part.part, following), other=after))
        for _ in range(part.least):
            following = self.build(part.part, following)
        return following


def _is_word(text: str, position: int) -> bool:
    if not 0 <= position < len(text):
        return False
    char = text[position]
    return char == "_" or (char.isascii() and char.isalnum())


def _at_boundary(text: str, position: int) -> bool:
    return _is_word(text, position - 1) != _is_word(text, position)


_HOLDS: Final[dict[str, Callable[[str, int], bool]]] = {
    "start": lambda text, position: position == 0,
    "end": lambda text, position: position == len(text),
    "line start": lambda text, position: position == 0 or text[position - 1] == "\n",
    "line end": lambda text, position: position == len(text) or text[position] == "\n",
    "boundary": _at_boundary,
    "no boundary": lambda text, position: not _at_boundary(text, position),
}
