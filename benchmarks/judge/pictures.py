"""Small line charts as SVG, without a library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INK, PALE = "#333", "#ddd"
COLOURS = ("#1f6f8b", "#c8553d", "#5f7f26", "#8a5a9e", "#a8741a")
ON_DARK = ("#62b6d3", "#f08c74", "#a9cc63", "#c79bdc", "#e6b45a")
STYLE = (
    "<style>@media (prefers-color-scheme: dark) { .paper { fill: #0d1117 } text { fill: #ddd } "
    ".grid { stroke: #3a3f46 } .level { stroke: #ddd } "
    + " ".join(f"text.l{i} {{ fill: {c} }} polyline.l{i} {{ stroke: {c} }}" for i, c in enumerate(ON_DARK))
    + " }</style>"
)
"""Attributes draw for light pages, and wherever styles are not understood."""


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    points: tuple[tuple[float, float], ...]
    dashed: bool = False


def chart(
    path: Path,
    title: str,
    x_label: str,
    y_label: str,
    lines: Sequence[Line],
    *,
    log_x: bool = False,
    percent: bool = False,
    level: tuple[float, str] | None = None,
    y_range: tuple[float, float] | None = None,
) -> None:
    width, height, left, right, top, bottom = 720, 380, 64, 190, 40, 52
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points] + ([level[0]] if level else [])
    x0, x1 = min(xs), max(xs)
    y0, y1 = y_range or (min(0.0, *ys), max(ys) * 1.05)

    def place(x: float, y: float) -> tuple[float, float]:
        part = math.log(x / x0) / math.log(x1 / x0) if log_x else (x - x0) / (x1 - x0)
        return left + part * (width - left - right), height - bottom - (y - y0) / (y1 - y0) * (height - top - bottom)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">',
        STYLE,
        f'<rect class="paper" width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="22" font-size="15">{title}</text>',
    ]
    for y in _ticks(y0, y1):
        px, py = place(x0, y)
        said = f"{100 * y:g} %" if percent else f"{y:g}"
        across = f'x1="{left}" x2="{width - right}" y1="{py:.1f}" y2="{py:.1f}"'
        out.append(f'<line class="grid" {across} stroke="{PALE}"/>')
        out.append(f'<text x="{px - 6:.1f}" y="{py + 4:.1f}" text-anchor="end">{said}</text>')
    for x in _decades(x0, x1) if log_x else _ticks(x0, x1):
        px, _ = place(x, y0)
        out.append(f'<text x="{px:.1f}" y="{height - bottom + 18}" text-anchor="middle">{x:g}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 12}" text-anchor="middle">{x_label}</text>')
    turned = f"translate(16 {(height - bottom + top) / 2}) rotate(-90)"
    out.append(f'<text transform="{turned}" text-anchor="middle">{y_label}</text>')
    if level:
        _, py = place(x0, level[0])
        across = f'x1="{left}" x2="{width - right}" y1="{py:.1f}" y2="{py:.1f}"'
        out.append(f'<line class="level" {across} stroke="{INK}" stroke-dasharray="2 3"/>')
        out.append(f'<text x="{width - right + 8}" y="{py + 4:.1f}">{level[1]}</text>')
    taken = [place(x0, level[0])[1]] if level else []
    for number, (line, colour) in enumerate(zip(lines, COLOURS, strict=False)):
        places = [place(x, min(max(y, y0), y1)) for x, y in line.points]
        drawn = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        dash = ' stroke-dasharray="6 4"' if line.dashed else ""
        paint = f'class="l{number}" fill="none" stroke="{colour}" stroke-width="2"'
        out.append(f'<polyline points="{drawn}" {paint}{dash}/>')
        label = places[-1][1]
        while any(abs(label - other) < 14 for other in taken):
            label += 14
        taken.append(label)
        at = f'x="{places[-1][0] + 8:.1f}" y="{label + 4:.1f}"'
        out.append(f'<text class="l{number}" {at} fill="{colour}">{line.name}</text>')
    out.append("</svg>")
    path.write_text("\n".join(out) + "\n")


def _ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    return [
        m * 10.0**e
        for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for m in (1, 2, 5)
        if low <= m * 10.0**e <= high * 1.001
    ]
