"""A look's window, and the PromQL that counts what happened in it.

Both ends stand in the query as instants (`@`), so that the query in the status gives the same numbers whenever a
person asks it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

FORGOTTEN: Final = timedelta(minutes=15)
"""A series without a sample for so long counts as a new one."""
ARM: Final = "tidegate_arm"
PART: Final = "tidegate_part"
"""Labels that tell the parts of one answer apart."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `start`, which is left out, to `end`, which is in. Whole seconds."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


def next_window(up_to: datetime, now: datetime, delay: timedelta) -> Window:
    """The window after `up_to`. Empty or turned around while it is too early for one."""
    end = now.astimezone(UTC).replace(microsecond=0) - timedelta(seconds=-(-delay // timedelta(seconds=1)))
    return Window(up_to, end)


def last_values(selector: str, at: datetime) -> str:
    """The last value of each series at an instant."""
    return f"last_over_time({selector}[{_seconds(FORGOTTEN)}] @ {at.timestamp():.0f})"


def increases(selector: str, window: Window) -> str:
    """By how much each counter has grown in a window: exact, not extrapolated."""
    after, before = last_values(selector, window.end), last_values(selector, window.start)
    return f"{after} - {before} >= 0 or {after}"


def averages(selector: str, window: Window) -> str:
    """The mean of each gauge's samples in a window."""
    return f"avg_over_time({selector}[{_seconds(window.end - window.start)}] @ {window.end.timestamp():.0f})"


def summed(by: str, expression: str) -> str:
    """The sum over series, for each value of a label if there is one."""
    return f"sum{f' by ({by}) ' if by else ' '}({expression})"


def labelled(arm: str, part: str, expression: str) -> str:
    """An expression whose results say which part of the answer they are."""
    named = f'label_replace({expression}, "{ARM}", "{arm}", "", "")'
    return f'label_replace({named}, "{PART}", "{part}", "", "")'


def _seconds(span: timedelta) -> str:
    return f"{span // timedelta(seconds=1)}s"
