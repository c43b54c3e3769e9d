"""Prometheus' text format for numbers that are worked out when they are asked for.

A thousand Rollouts are some twenty thousand lines. The client library would make an object of each and hold them all;
here a line is a line, and the page is handed out in pieces, so that a scrape costs little memory and holds nobody up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

_PIECE: Final = 500
"""Lines."""


@dataclass(frozen=True, slots=True)
class Family:
    """The metrics of one name. Histograms, summaries and counters are named as their samples without suffix."""

    name: str
    kind: Literal["gauge", "counter", "histogram", "summary"]
    help: str
    labels: tuple[str, ...]

    def head(self) -> str:
        """The lines that stand before the samples."""
        return f"# HELP {self.name} {self.help}\n# TYPE {self.name} {self.kind}\n"

    def line(self, values: Sequence[str], number: float) -> str:
        """One sample. `values`: of the labels, in their order."""
        return f"{self.name}{{{_pairs(self.labels, values)}}} {number:g}\n"

    def summary(self, values: Sequence[str], total: float, count: int) -> str:
        """The samples of one sum and count."""
        pairs = _pairs(self.labels, values)
        return f"{self.name}_sum{{{pairs}}} {total}\n{self.name}_count{{{pairs}}} {count}\n"

    def histogram(self, values: Sequence[str], tally: Tally) -> str:
        """The samples of one histogram."""
        pairs, name = _pairs(self.labels, values), self.name
        lines, total = [], 0
        for bound, count in zip((*tally.bounds, "+Inf"), tally.counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{pairs},le="{bound}"}} {total}\n')
        return f"{''.join(lines)}{name}_sum{{{pairs}}} {tally.sum:.6g}\n{name}_count{{{pairs}}} {total}\n"


class Tally:
    """A histogram's numbers: how many fell into each bucket, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, number: float) -> None:
        """Count a number."""
        place = next((place for place, bound in enumerate(self.bounds) if number <= bound), len(self.bounds))
        self.counts[place] += 1
        self.sum += number


def pieces(families: Iterable[tuple[Family, Iterable[str]]]) -> Iterator[str]:
    """The page's text, some hundred lines at a time. A family without samples is left out."""
    piece: list[str] = []
    for family, lines in families:
        begun = False
        for line in lines:
            if not begun:
                piece.append(family.head())
                begun = True
            piece.append(line)
            if len(piece) >= _PIECE:
                yield "".join(piece)
                piece.clear()
    if piece:
        yield "".join(piece)


_ESCAPES: Final[Mapping[int, str]] = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def _pairs(labels: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f'{label}="{value.translate(_ESCAPES)}"' for label, value in zip(labels, values, strict=True))
