"""Moments that are worked out when a question goes out: `now() - duration("5m")`.

Argo Rollouts has them in expr, the language of conditions, of which these parts can give a time: now(), date(…),
duration(…), + and -. Everything else is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidegate.core.times import parse_duration

_TOKEN: Final = re.compile(r"""\s*(?:([A-Za-z_]\w*)|"([^"\\]*)"|'([^'\\]*)'|([-+(),]))\s*""")
_DURATION: Final = re.compile(r"-?(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+|0")
_LAYOUTS: Final = {
    "2006-01-02": "%Y-%m-%d",
    "2006-01-02 15:04:05": "%Y-%m-%d %H:%M:%S",
    "2006-01-02T15:04:05": "%Y-%m-%dT%H:%M:%S",
}


class MomentError(ValueError):
    """A text that does not say when."""


def moment(text: str, now: datetime) -> datetime:
    """The time that `text` stands for at `now`. Raises MomentError, whose text quotes it."""
    try:
        found = _Reader(text, now).whole()
    except (_UnreadableError, OverflowError) as error:
        raise MomentError(f"{text!r} is not a time such as now() - duration('5m'): {error}") from None
    if not isinstance(found, datetime):
        raise MomentError(f"{text!r} is a duration and not a time; a time is now() - duration('5m')")
    return found


class _UnreadableError(ValueError):
    pass


class _Reader:
    """Reads sums from left to right and works them out as it goes."""

    def __init__(self, text: str, now: datetime) -> None:
        self._now = now
        self._tokens = list(_tokens(text))
        self._at = 0

    def whole(self) -> datetime | timedelta:
        found = self._sum()
        if self._at < len(self._tokens):
            raise _UnreadableError(f"nothing may follow before {self._tokens[self._at][1]!r}")
        return found

    def _next(self) -> tuple[str, str]:
        self._at += 1
        return self._tokens[self._at - 1] if self._at <= len(self._tokens) else ("", "")

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _sum(self, depth: int = 0) -> datetime | timedelta:
        found = self._term(depth)
        while self._peek() in ("+", "-"):
            sign = self._next()[1]
            found = _added(sign, found, self._term(depth))
        return found

    def _term(self, depth: int) -> datetime | timedelta:
        kind, text = self._next()
        if text == "(" and kind == "sign" and depth < 20:
            found = self._sum(depth + 1)
            if self._next() != ("sign", ")"):
                raise _UnreadableError("a bracket is not closed")
            return found
        if kind == "name":
            return _called(text, self._arguments(text), self._now)
        raise _UnreadableError("only now(), date(…), duration(…), + and - are known here")

    def _arguments(self, name: str) -> list[str]:
        found: list[str] = []
        if self._next() != ("sign", "("):
            raise _UnreadableError(f"{name} is no function call")
        if self._peek() == ")":
            self._next()
            return found
        while True:
            kind, text = self._next()
            if kind != "text":
                raise _UnreadableError(f"the arguments of {name} must be texts in quotes")
            found.append(text)
            after = self._next()
            if after == ("sign", ")"):
                return found
            if after != ("sign", ","):
                raise _UnreadableError(f"the arguments of {name} are not closed")


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise _UnreadableError(f"{text[at : at + 10]!r} is not understood")
        name, double, single, sign = token.groups()
        quoted = double if double is not None else single
        found.append(("name", name) if name else ("text", quoted) if quoted is not None else ("sign", sign))
        at = token.end()
    return found


def _called(name: str, texts: list[str], now: datetime) -> datetime | timedelta:
    if name == "now" and not texts:
        return now
    if name == "duration" and len(texts) == 1:
        if _DURATION.fullmatch(texts[0]) is None:
            raise _UnreadableError(f"{texts[0]!r} is not a duration such as 5m")
        return parse_duration(texts[0])
    if name == "date" and 1 <= len(texts) <= 3:
        return _date(*texts)
    raise _UnreadableError("only now(), date(…), duration(…), + and - are known here")


def _added(sign: str, left: datetime | timedelta, right: datetime | timedelta) -> datetime | timedelta:
    if isinstance(right, datetime):
        if sign == "-" and isinstance(left, datetime):
            return left - right
        if sign == "+" and isinstance(left, timedelta):
            return right + left
        raise _UnreadableError("a time can neither be added to a time nor taken from a duration")
    return left + right if sign == "+" else left - right


def _date(text: str, layout: str = "", zone: str = "UTC") -> datetime:
    if layout and layout not in _LAYOUTS:
        raise _UnreadableError(f"the layout {layout!r} is not supported; there are {', '.join(_LAYOUTS)}")
    try:
        found = datetime.strptime(text, _LAYOUTS[layout]) if layout else datetime.fromisoformat(text)
    except ValueError:
        raise _UnreadableError(f"{text!r} is not a date such as 2026-05-01T10:00:00Z") from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=_zone(zone))).astimezone(UTC)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _UnreadableError(f"{name!r} is not a time zone such as Europe/Berlin") from None
