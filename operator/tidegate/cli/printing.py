"""How answers are printed: columns as kubectl has them, JSON, YAML, names, and colours on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import orjson

from tidegate.core.times import parse_time

COLOURS: Final[Mapping[str, str]] = {
    "Healthy": "32",
    "Successful": "32",
    "Promoted": "32",
    "FastPromoted": "32",
    "Running": "",
    "Progressing": "36",
    "Paused": "33",
    "Inconclusive": "33",
    "Superseded": "33",
    "RolledBack": "33",
    "FastRolledBack": "33",
    "Degraded": "31",
    "Aborted": "31",
    "Failed": "31",
    "Error": "31",
}


class Output(StrEnum):
    """What kubectl's -o knows."""

    json = "json"
    yaml = "yaml"
    wide = "wide"
    name = "name"


def echo(text: str = "") -> None:
    """Print a line of an answer."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Print a line beside the answer."""
    sys.stderr.write(text + "\n")


def dump(data: Any, output: Output) -> None:
    """Print data as JSON or YAML."""
    if output is Output.yaml:
        import yaml  # noqa: PLC0415 - most answers need no YAML

        sys.stdout.write(yaml.safe_dump(orjson.loads(orjson.dumps(data)), sort_keys=False, allow_unicode=True))
        return
    sys.stdout.write(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode() + "\n")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns."""
    for line in columns(head, rows):
        echo(line)


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines with columns, three spaces apart, without anything that a pipe would stumble over."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    for row in (head, *rows):
        cells = [paint(cell, cell.ljust(width)) for cell, width in zip(row, widths, strict=True)]
        yield "   ".join(cells).rstrip()


def coloured() -> bool:
    """Whether standard output is a terminal that wants colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(word: str, text: str = "") -> str:
    """A word in the colour that stands for it, on a terminal."""
    colour = COLOURS.get(word, "")
    return f"\x1b[{colour}m{text or word}\x1b[0m" if colour and coloured() else text or word


def age(created: str, now: datetime | None = None) -> str:
    """How long ago, as kubectl shows it."""
    try:
        moment = parse_time(created)
    except ValueError:
        return "<unknown>"
    return span(((now or datetime.now(UTC)) - moment).total_seconds())


def span(seconds: float) -> str:
    """A length of time in its one or two greatest units: 45s, 12m, 3h20m, 5d."""
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    if days > 3:
        return f"{days}d"
    if days or hours:
        hours += 24 * days
        return f"{hours}h{minutes}m" if minutes and hours < 10 else f"{hours}h"
    if minutes:
        return f"{minutes}m{rest}s" if rest and minutes < 10 else f"{minutes}m"
    return f"{rest}s"
