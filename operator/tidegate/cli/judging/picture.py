"""A picture of evidence: one panel for each metric, one line for each replay, and the line that it must cross."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

_WIDTH: Final = 720
_HEIGHT: Final = 180
_PANEL: Final = _HEIGHT + 60
_LEFT: Final = 60
_LOWEST, _HIGHEST = -1.0, 1.5
_MOST_LINES: Final = 200
_STYLE: Final = (
    "<style>@media (prefers-color-scheme: dark) { .paper { fill: #0d1117 } text { fill: #ddd } "
    ".none { stroke: #666 } .enough { stroke: #ff7b72 } "
    ".way { stroke: #58a6ff } }</style>"
)
"""Attributes draw for light pages, and wherever styles are not understood."""


def draw(path: Path, ways: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """Write an SVG. ways: by metric, the evidence after each look as shares of what is needed."""
    width, height = _WIDTH + _LEFT + 20, len(ways) * _PANEL
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12" fill="#333">',
        _STYLE,
        f'<rect class="paper" width="100%" height="{height}" fill="white"/>',
        *(line for number, (name, found) in enumerate(ways.items()) for line in _panel(number, name, found)),
        "</svg>",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _panel(number: int, name: str, ways: Sequence[Sequence[float]]) -> Iterator[str]:
    top = number * _PANEL + 28
    longest = max((len(way) for way in ways), default=0)
    yield f'<text x="{_LEFT}" y="{top - 10}">{escape(name)}: evidence that the canary is worse</text>'
    for level, told, colour in ((0.0, "none", "#999"), (1.0, "enough", "#c00")):
        y = _y(top, level)
        yield f'<line class="{told}" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y}" y2="{y}" stroke="{colour}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{told}</text>'
    for look in sorted({0, longest // 2, longest}):
        x, y = _LEFT + _WIDTH * look / max(longest, 1), top + _HEIGHT + 16
        end = "start" if not look else "end" if look == longest else "middle"
        yield f'<text x="{x:.1f}" y="{y}" text-anchor="{end}">{f"look {look}" if look else "begin"}</text>'
    opacity = 1.0 if len(ways) == 1 else 0.45
    # A window of its own cuts off what leaves the panel; along its edge it would look like evidence that stands still.
    yield f'<svg x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}">'
    for way in ways[:_MOST_LINES]:
        points = " ".join(
            f"{_WIDTH * look / max(longest, 1):.1f},{_y(0, level)}" for look, level in enumerate((0.0, *way))
        )
        paint = f'fill="none" stroke="#06c" stroke-width="1.5" stroke-opacity="{opacity}"'
        yield f'<polyline class="way" points="{points}" {paint}/>'
    yield "</svg>"


def _y(top: int, level: float) -> float:
    return round(top + _HEIGHT * (_HIGHEST - max(-99.0, min(level, 99.0))) / (_HIGHEST - _LOWEST), 1)
