"""Times as Kubernetes writes them: RFC 3339, UTC, whole seconds; and Go durations as users write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_UNIT_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time, with or without a fraction. Raises ValueError."""
    return datetime.fromisoformat(text).astimezone(UTC)


def format_time(moment: datetime) -> str:
    """Write a time the way metav1.Time does: UTC, whole seconds, `Z`."""
    return f"{_in_utc(moment).isoformat(timespec='seconds')[:19]}Z"


def format_micro(moment: datetime) -> str:
    """Write a time with its microseconds, where a pause or an interval of a second would suffer from rounding.

    Every client that reads metav1.Time accepts a fraction.
    """
    return f"{_in_utc(moment).isoformat(timespec='microseconds')[:26]}Z"


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def parse_duration(text: str | int) -> timedelta:
    """Read a duration: whole seconds (an int or its digits) or Go's form, such as `90s`, `1h30m`, `500ms`.

    Raises ValueError with the text in its message.
    """
    if isinstance(text, int):
        return timedelta(seconds=text)
    if text.isdigit():
        return timedelta(seconds=int(text))
    negative, body = text.startswith("-"), text.lstrip("+-")
    total, end = 0.0, 0
    for part in _PART.finditer(body):
        if part.start() != end:
            break
        total += float(part[1]) * _UNIT_SECONDS[part[2]]
        end = part.end()
    if not body or end != len(body):
        raise ValueError(f"{text!r} is not a duration such as 30s, 5m or 1h30m")
    return timedelta(seconds=-total if negative else total)
