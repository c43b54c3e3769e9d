"""Pictures that are drawn anew while somebody looks."""

from __future__ import annotations

import asyncio
from typing import Final

from tidegate.cli.printing import coloured, echo

_REDRAW: Final = 0.25
"""Seconds that changes are gathered for before they are drawn."""
_TICK: Final = 1.0
"""Seconds after which ages and delays are drawn anew."""


class Screen:
    """Draws over what was drawn before, on a terminal; elsewhere a picture follows the other if it differs."""

    def __init__(self) -> None:
        self._before = ""

    def show(self, text: str) -> None:
        """Draw a picture."""
        if coloured():
            # Home, each line to its end, and what is left below: no flicker, as nothing is blank in between.
            echo("\x1b[H" + "\n".join(line + "\x1b[K" for line in text.splitlines()) + "\x1b[J")
        elif text != self._before:
            echo(text + "\n")
        self._before = text


async def next_picture(changed: asyncio.Event, *, tick: bool) -> None:
    """Wait for a change, or for the next second where time is on show; then for what comes right after it."""
    try:
        async with asyncio.timeout(_TICK if tick else None):
            await changed.wait()
    except TimeoutError:
        return
    await asyncio.sleep(_REDRAW)
