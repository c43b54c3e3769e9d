"""Tables of figures with their intervals, as text and as JSON."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.judge.streams import Array
from benchmarks.judge.vector import NEVER
from tidegate.core.judge.draws import wilson


def share(hits: Sequence[bool] | Array) -> dict[str, float]:
    """A share with the ends of its 95 % interval."""
    count, of = int(np.sum(hits)), len(hits)
    low, high = wilson(count, of)
    return {"share": count / of, "low": low, "high": high, "of": of}


def mean(values: Array) -> dict[str, float]:
    half = 1.96 * float(np.std(values)) / len(values) ** 0.5 if len(values) else 0.0
    centre = float(np.mean(values)) if len(values) else 0.0
    return {"mean": centre, "low": centre - half, "high": centre + half}


def median_look(looks: Array) -> dict[str, float] | None:
    """The median over all rollouts, never counting as late; None if half of them never get there. The interval is
    that of the ranks."""
    ordered = np.sort(looks)
    n = len(ordered)
    half = int(0.98 * n**0.5)
    middle, low, high = ordered[n // 2], ordered[max(0, n // 2 - half)], ordered[min(n - 1, n // 2 + half)]
    if middle >= NEVER:
        return None
    return {"median": float(middle), "low": float(low), "high": float(high)}


def show(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        if "share" in value:
            return f"{_percent(value['share'])} ({_percent(value['low'])}-{_percent(value['high'])})"
        if "mean" in value:
            return (
                f"{value['mean']:,.3g} ({value['low']:,.3g}-{value['high']:,.3g})"
                if value["mean"] < 1000
                else (f"{value['mean']:,.0f} ({value['low']:,.0f}-{value['high']:,.0f})")
            )
        high = "never" if value["high"] >= NEVER else f"{value['high']:g}"
        return f"{value['median']:g} ({value['low']:g}-{high})"
    return str(value)


def _percent(part: float) -> str:
    value = 100 * part
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %" if value >= 1 else f"{value:.2f} %"


@dataclass(slots=True)
class Table:
    """Printed as Markdown row by row, so that a long run shows that it lives."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def begin(self) -> None:
        print(f"\n## {self.title}\n\n| {' | '.join(self.columns)} |\n|{'---|' * len(self.columns)}")

    def row(self, *values: Any) -> None:
        self.rows.append(dict(zip(self.columns, values, strict=True)))
        print(f"| {' | '.join(show(v) for v in values)} |")
        sys.stdout.flush()
