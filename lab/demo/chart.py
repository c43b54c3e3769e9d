"""The new version's weight over time, drawn with blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text


def chart(
    height: int,
    width: int,
    highest: Callable[[float, float], tuple[int, str]],
    *,
    start: float,
    end: float,
    marks: Sequence[tuple[float, str]] = (),
) -> Text:
    """`height` rows of bars and one of labels, with the axis at the left in 6 of the `width` columns.

    highest: of a time span (seconds), the highest weight (0 to 100) and the style to draw it in. A column shows the
    highest weight of its span, so that a short one is not lost. marks: times, and what to write below them.
    """
    columns = max(width - 6, 10)
    span = (end - start) / columns
    bars = [highest(start + i * span, start + (i + 1) * span) for i in range(columns)]
    text = Text(no_wrap=True, overflow="crop")
    for row in reversed(range(height)):
        text.append(_axis(row, height), style="dim")
        for weight, style in bars:
            if row < filled_rows(weight, height):
                text.append("█", style=f"{style} on {style}")  # a full block alone often leaves a gap between rows
            else:
                text.append(" ")
        text.append("\n")
    text.append(" " * 6 + _labels(columns, start, span, marks), style="dim")
    return text


def filled_rows(weight: int, height: int) -> int:
    """The nearest number of rows, but at least one for any weight at all. Exact figures stand above the chart."""
    return max(round(weight / 100 * height), weight > 0)


def _axis(row: int, height: int) -> str:
    """Labels at the top, the middle and the bottom."""
    label = {height - 1: "100 %", (height - 1) // 2: " 50 %", 0: "  0 %"}.get(row, "")
    return f"{label:<5}│"


def _labels(columns: int, start: float, span: float, marks: Sequence[tuple[float, str]]) -> str:
    line = ""
    for at, label in marks:
        column = round((at - start) / span)
        if column < len(line) + bool(line) or column >= columns:
            continue  # no room: the one before is still being written
        line += " " * (column - len(line)) + label
    return line[:columns]
