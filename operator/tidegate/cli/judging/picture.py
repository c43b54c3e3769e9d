"""A picture of evidence: one panel for each metric, one line for each replay, and the line that it must cross."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

_WIDTH: Final = 720
_HEIGHT: Final = 180
_LEFT: Final = 60
_LOWEST, _HIGHEST = -1.0, 1.5
_MOST_LINES: Final = 200


def draw(path: Path, ways: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """Write an SVG. ways: by metric, the evidence after each look as shares of what is needed."""
    height = len(ways) * (_HEIGHT + 30)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH + _LEFT + 20}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="{height}" fill="white"/>',
        *(line for number, (name, found) in enumerate(ways.items()) for line in _panel(number, name, found)),
        "</svg>",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _panel(number: int, name: str, ways: Sequence[Sequence[float]]) -> Iterator[str]:
    top = number * (_HEIGHT + 30) + 20
    longest = max((len(way) for way in ways), default=1)
    yield f'<text x="{_LEFT}" y="{top - 6}">{escape(name)}: evidence that the canary is worse, by look</text>'
    for level, told, colour in ((0.0, "none", "#bbb"), (1.0, "enough", "#c00")):
        y = _y(top, level)
        yield f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y}" y2="{y}" stroke="{colour}"/>'
        yield f'<text x="4" y="{y + 4}" fill="{colour}">{told}</text>'
    opacity = 1.0 if len(ways) == 1 else 0.3
    for way in ways[:_MOST_LINES]:
        points = " ".join(
            f"{_LEFT + _WIDTH * look / max(longest, 1):.1f},{_y(top, level)}" for look, level in enumerate((0.0, *way))
        )
        yield f'<polyline points="{points}" fill="none" stroke="#06c" stroke-opacity="{opacity}"/>'


def _y(top: int, level: float) -> float:
    inside = max(_LOWEST, min(level, _HIGHEST))
    return round(top + _HEIGHT * (_HIGHEST - inside) / (_HIGHEST - _LOWEST), 1)
