"""Time for the fakes: moved by hand, or the event loop's, which looptime makes virtual."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

START: Final = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """A clock that stands until it is moved."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def loop_clock() -> datetime:
    """The running loop's time, counted from START. Outside a loop it is START."""
    try:
        return START + timedelta(seconds=asyncio.get_running_loop().time())
    except RuntimeError:
        return START
