"""How the story looks: a screen that is drawn anew four times a second, or plain lines where there is no terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lab.demo.chart import chart
from lab.demo.story import BLUE_GREEN, CANARY, HOSTS, Chapter, Story
from lab.demo.traffic import Users
from lab.demo.watching import Notice, Stage, Track

WIDEST = 120
WINDOW = 5
"""Seconds over which rates are shown."""

_CHAPTER_STYLES = ("green", "red", "dark_orange")
_NOTICE_STYLES = {"story": "bold", "event": "", "warning": "yellow", "weight": "cyan"}
_FIXED_LINES = 15
"""Lines of the screen without the chart, the users and the events."""
_FEWEST_EVENTS = 3


class Screen:
    """Draws what the story, the stage and the users' tally say now."""

    def __init__(self, console: Console, story: Story, stage: Stage, users: Users) -> None:
        self._console = console
        self._story = story
        self._stage = stage
        self._users = users

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keep the terminal up to date for the length of the block."""
        with Live(get_renderable=self.frame, console=self._console, refresh_per_second=4, vertical_overflow="crop"):
            yield

    def frame(self, *, lines: int | None = None) -> RenderableType:
        """Everything at this moment. lines: how high it may be; the terminal's height if not given."""
        now = time.monotonic()
        width = min(self._console.width, WIDEST)
        users = self._users_table(now)
        room = (lines or self._console.height - 1) - _FIXED_LINES - users.row_count
        rows = 8 if room >= 18 else 4 if room >= 4 + 2 + _FEWEST_EVENTS else 0
        room -= rows + 2 if rows else 0
        frame = Table.grid(expand=False)
        frame.add_column(width=width)
        frame.add_row(self._header(now))
        frame.add_row(_panel("Releases", self._chapters()))
        frame.add_row(_panel("Traffic to the new version", self._weights(now, width - 4, rows)))
        frame.add_row(_panel(f"Users, last {WINDOW} s", users))
        frame.add_row(_panel("Events", self._events(max(room, _FEWEST_EVENTS))))
        return frame

    def _header(self, now: float) -> RenderableType:
        latency = self._users.tally.latency(now, WINDOW, 0.99)
        rate = sum(count.requests for count in self._users.tally.recent(now, WINDOW).values()) / WINDOW
        line = Table.grid(expand=True)
        line.add_column()
        line.add_column(justify="right")
        total = self._users.tally.total().requests
        shown = f"{rate:.0f} requests/s   p99 {'?' if latency is None else latency} ms   {total:,} in all"
        minutes, seconds = divmod(int(now - self._story.began), 60)
        line.add_row(Text(" Tidegate", style="bold cyan"), Text(f"{shown}   {minutes}:{seconds:02} ", style="dim"))
        return line

    def _chapters(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for chapter, style in zip(self._story.chapters, _CHAPTER_STYLES, strict=True):
            grid.add_row(_marked(chapter, style), self._progress(chapter))
        return grid

    def _progress(self, chapter: Chapter) -> Text:
        if chapter.ended:
            return Text(chapter.wanted, "green") if chapter.reached else Text(f"not {chapter.wanted}", "bold red")
        if chapter is not self._story.playing:
            return Text("")
        return steps(self._stage.rollouts.get(chapter.rollout, {}))

    def _weights(self, now: float, width: int, rows: int) -> RenderableType:
        """The bars of the release on its way, or of the last one, and a chart of them all that is `rows` high."""
        chapter = self._story.playing or next((c for c in reversed(self._story.chapters) if c.ended), None)
        blue_green = chapter is not None and chapter.rollout == BLUE_GREEN
        track = self._stage.blue_green if blue_green else self._stage.canary
        style = _CHAPTER_STYLES[self._story.chapters.index(chapter)] if chapter else "green"
        bars = Table.grid(padding=(0, 1))
        declared = "Service" if blue_green else "VirtualService"
        for name, series in ((declared, track.declared), ("Envoy", track.actual)):
            weight = Track.last(series)
            bars.add_row(Text(f"{name:<14}"), _bar(weight, style, width - 22), Text(f"{weight:3d} %", style="bold"))
        start = self._story.chapters[0].started or self._story.began
        if not rows:
            return bars
        begun = [(c.started, c.short) for c in self._story.chapters if c.started]
        end = max(now, start + 60)
        drawing = chart(rows, width, self._highest, start=start, end=end, marks=begun)
        return Group(bars, Text(""), drawing)

    def _highest(self, start: float, end: float) -> tuple[int, str]:
        """The weight that Envoy gave the version of whichever release was on its way then."""
        number = max((i for i, c in enumerate(self._story.chapters) if c.started and c.started < end), default=0)
        track = self._stage.blue_green if self._story.chapters[number].rollout == BLUE_GREEN else self._stage.canary
        if start > time.monotonic():
            return 0, ""
        return Track.highest(track.actual, start, end), _CHAPTER_STYLES[number]

    def _users_table(self, now: float) -> Table:
        table = Table(box=None, expand=True, header_style="dim", pad_edge=False)
        table.add_column("Host and version", ratio=1)
        for heading in ("requests/s", "succeeded", "failed"):
            table.add_column(heading, justify="right", width=12)
        for (stream, version), count in self._users.tally.recent(now, WINDOW).items():
            style = "green" if not count.failed else "red"
            table.add_row(
                f"{HOSTS.get(stream, stream)}  [bold]{version or '(no pod)'}[/]",
                f"{count.requests / WINDOW:.0f}",
                f"[{style}]{count.success:.1%}[/]",
                f"[{style}]{count.failed:,}[/]",
            )
        return table

    def _events(self, room: int) -> RenderableType:
        text = Text(no_wrap=True, overflow="ellipsis")
        for notice in list(self._stage.notices)[-room:]:
            text.append(f"{self._clock(notice.at)}  ", style="dim")
            text.append(f"{notice.text}\n", style=_NOTICE_STYLES[notice.kind])
        text.rstrip()
        return text

    def _clock(self, at: float) -> str:
        return f"{at - self._story.began:6.1f} s"


class Lines:
    """The same for a log: each notice as it comes, and every few seconds where things stand."""

    def __init__(self, console: Console, interval: float = 5.0) -> None:
        self._console = console
        self._interval = interval
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def tell(self, notice: Notice) -> None:
        """Print a notice."""
        self._print(notice.at, f"{'== ' if notice.kind == 'story' else ''}{notice.text}")

    @contextmanager
    def live(self, story: Story, stage: Stage, users: Users) -> Iterator[None]:
        """Print the state every few seconds for the length of the block."""
        stopped = threading.Event()
        self._began = story.began

        def report() -> None:
            while not stopped.wait(self._interval):
                self._print(time.monotonic(), standing(stage, users, story))

        thread = threading.Thread(target=report, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def _print(self, at: float, text: str) -> None:
        with self._lock:
            self._console.print(f"{at - self._began:7.1f} s  {text}", markup=False, highlight=False, soft_wrap=True)


def standing(stage: Stage, users: Users, story: Story) -> str:
    """Where things stand, in one line."""
    recent = users.tally.recent(time.monotonic(), WINDOW)
    versions = ", ".join(
        f"{stream} {version or '(no pod)'} {count.requests / WINDOW:.0f}/s {count.success:.1%}"
        for (stream, version), count in recent.items()
    )
    blue_green = story.playing is not None and story.playing.rollout == BLUE_GREEN
    track = stage.blue_green if blue_green else stage.canary
    name = BLUE_GREEN if blue_green else CANARY
    weights = f"new version of {name}: declared {Track.last(track.declared)} %, Envoy {Track.last(track.actual)} %"
    total = users.tally.total()
    return f"{weights}; {versions}; {total.requests:,} requests, {total.failed:,} failed"


def steps(rollout: Mapping[str, Any]) -> Text:
    """How far a Rollout has come: its steps if it has any, else its phase and message."""
    status = rollout.get("status", {})
    canary = rollout.get("spec", {}).get("strategy", {}).get("canary", {})
    message = status.get("message", "")
    text = Text()
    index = status.get("currentStepIndex", 0)
    if canary and not status.get("abort"):
        for number, step in enumerate(canary.get("steps", [])):
            style = "green" if number < index else "bold reverse" if number == index else "dim"
            text.append(f" {_step(step)} ", style=style)
        return text
    return text.append(f"{status.get('phase', '')}  {message}", style="yellow" if message else "")


def _step(step: Mapping[str, Any]) -> str:
    if "setWeight" in step:
        return f"{step['setWeight']} %"
    if "pause" in step:
        return f"⏸ {step['pause'].get('duration', '')}".rstrip()
    return "analysis"


def _marked(chapter: Chapter, style: str) -> Text:
    if chapter.ended:
        mark = Text("✔ ", "green") if chapter.reached else Text("✘ ", "bold red")
    else:
        mark = Text("▶ ", style) if chapter.started else Text("· ", "dim")
    return mark.append(chapter.title, style=style if chapter.started else "dim")


def _bar(weight: int, style: str, width: int) -> Text:
    filled = round(weight / 100 * width)
    return Text("━" * filled, style=style).append("━" * (width - filled), style="grey30")


def _panel(title: str, content: RenderableType) -> Panel:
    return Panel(content, title=title, title_align="left", border_style="grey50", box=ROUNDED)
