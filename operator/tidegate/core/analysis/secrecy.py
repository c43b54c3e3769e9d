"""Keeping what came from a Secret out of everything that people can read.

A server may send a credential back in an answer or an error, in another spelling, or cut off. Which signs are escaped
is the whim of every library on the way, and an error may quote an error that quotes an address. So a text is not
searched for spellings of a credential: it is read as each notation would have it, one within the other, and where the
credential stands in what was read, it is hidden in what was written. So is its beginning at the end of a text that was
cut.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final
from urllib.parse import unquote, unquote_plus, unquote_to_bytes

HIDDEN: Final = "*****"
"""What stands in a credential's place; the word is Argo Rollouts'."""

_CUT: Final = "…"
_LEAST_TELLING: Final = 4
"""So much of a credential's beginning, at the end of a text that was cut, is hidden as well."""
_DEEPEST: Final = 3
"""How many notations, one within the other, are read."""
_LONGEST_SIGN: Final = 32

Span = tuple[int, int]


def conceal(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of `secrets`."""
    wanted = {variant for secret in secrets for variant in _variants(secret) if variant}
    if not wanted or not text:
        return text
    spans = list(_whole(text, wanted))
    if text.endswith(_CUT):
        spans += _beginnings(text.removesuffix(_CUT), wanted)
    return _without(text, spans)


def _variants(secret: str) -> set[str]:
    """A credential as it is, without white space around it, as it stands in a form, and as who reads an address that it
    was put into understands it."""
    found = {secret, secret.strip(), secret.replace(" ", "+")}
    return found | {unquote(secret), unquote_plus(secret)} if len(secret) > _LEAST_TELLING else found


def _whole(text: str, wanted: Collection[str]) -> Iterator[Span]:
    """Where in a text any of `wanted` stands."""
    for reading in _readings(text):
        for secret in wanted:
            at = reading.text.find(secret)
            while at >= 0:
                yield reading.begin(at), reading.end(at + len(secret))
                at = reading.text.find(secret, at + len(secret))


def _beginnings(text: str, wanted: Collection[str]) -> Iterator[Span]:
    """Where at a text's end the beginning of any of `wanted` stands. The cut may have gone through a sign."""
    for left in range(min(_LONGEST_SIGN, len(text))):
        shown = text[: len(text) - left]
        if left and text[len(shown)] not in _BEGIN_SIGNS:
            continue
        for reading in _readings(shown):
            for secret in wanted:
                for length in _lengths(secret, reading.text):
                    yield reading.begin(len(reading.text) - length), len(text)


def _lengths(secret: str, text: str) -> Iterator[int]:
    """How much of a secret's beginning stands at a text's end, if that tells anything."""
    end = text[-_LEAST_TELLING:]
    at = secret.find(end) if len(end) == _LEAST_TELLING else -1
    while at >= 0:
        if text.endswith(secret[: at + len(end)]):
            yield at + len(end)
        at = secret.find(end, at + 1)


def _without(text: str, spans: Iterable[Span]) -> str:
    """A text with HIDDEN in the place of each span; of those that overlap, once."""
    kept: list[str] = []
    at = 0
    for begin, end in sorted(spans):
        if begin >= at:
            kept += [text[at:begin], HIDDEN]
        at = max(at, end)
    return "".join([*kept, text[at:]])


class _Reading:
    """What a text says, and where in it each character comes from. Here: the text itself."""

    def __init__(self, text: str) -> None:
        self.text = text

    def begin(self, place: int) -> int:
        """Where in the text the character at `place` begins."""
        return place

    def end(self, place: int) -> int:
        """Where in the text the character before `place` ends."""
        return place


class _Unescaped(_Reading):
    """What a reading says when its signs are taken for what they stand for."""

    def __init__(self, outer: _Reading, sign: re.Pattern[str], meaning: Callable[[str], str]) -> None:
        self._outer = outer
        self._begins: list[int] = []
        """Where each part begins here."""
        self._sources: list[tuple[int, int, bool]] = []
        """Where each part begins and ends in the outer reading, and whether it is a sign, which has no inside."""
        parts: list[str] = []
        length = at = 0

        def add(part: str, begin: int, end: int, *, is_sign: bool) -> None:
            nonlocal length
            if part:
                parts.append(part)
                self._begins.append(length)
                self._sources.append((begin, end, is_sign))
                length += len(part)

        for found in sign.finditer(outer.text):
            add(outer.text[at : found.start()], at, found.start(), is_sign=False)
            add(meaning(found[0]), found.start(), found.end(), is_sign=True)
            at = found.end()
        add(outer.text[at:], at, len(outer.text), is_sign=False)
        super().__init__("".join(parts))

    def begin(self, place: int) -> int:
        part = bisect_right(self._begins, place) - 1
        first, _, is_sign = self._sources[part]
        return self._outer.begin(first if is_sign else first + place - self._begins[part])

    def end(self, place: int) -> int:
        part = bisect_right(self._begins, place - 1) - 1
        first, last, is_sign = self._sources[part]
        return self._outer.end(last if is_sign else first + place - self._begins[part])


def _readings(text: str) -> Iterable[_Reading]:
    """All that a text may say."""
    known = {text: _Reading(text)}
    fresh = list(known.values())
    for _ in range(_DEEPEST):
        outer, fresh = fresh, []
        for reading in outer:
            for sign, meaning in _NOTATIONS:
                if sign.search(reading.text):
                    found = _Unescaped(reading, sign, meaning)
                    if found.text not in known:
                        known[found.text] = found
                        fresh.append(found)
    return known.values()


def _escape(sign: str) -> str:
    """What an escape of JSON, Go, JavaScript or Python stands for."""
    if sign[1] not in "uxU":
        return _NAMED.get(sign[1], sign[1])
    units = [int(unit, 16) for unit in re.findall(r"\\[uxU]([0-9a-fA-F]+)", sign)]
    if len(units) == 2:
        return chr(0x10000 + ((units[0] - 0xD800) << 10) + (units[1] - 0xDC00))
    return chr(units[0]) if units[0] <= 0x10FFFF else sign


def _percent(sign: str) -> str:
    """What percent escapes stand for."""
    return unquote_to_bytes(sign).decode(errors="replace")


_NAMED: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}
_ESCAPE: Final = (
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\x[0-9a-fA-F]{2}|\\[^uUx]"
)
_OCTET: Final = "%[0-9a-fA-F]{2}"
_CHARACTER: Final = (
    f"%[0-7][0-9a-fA-F]|%[cdCD][0-9a-fA-F]{_OCTET}|%[eE][0-9a-fA-F](?:{_OCTET}){{2}}|%[fF][0-7](?:{_OCTET}){{3}}"
)
_BEGIN_SIGNS: Final = "\\%&"
_NOTATIONS: Final = (
    (re.compile(_ESCAPE, re.DOTALL), _escape),
    (re.compile(_CHARACTER), _percent),
    (re.compile(r"&#?\w{1,31};"), html.unescape),
)
