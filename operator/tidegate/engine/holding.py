"""Holding a status back for a moment, to send one write in place of five."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tidegate.core.plan import Key, Plan


class Held:
    """Since when the statuses of which keys wait. Only when one is written depends on this, never what."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._since: dict[Key, datetime] = {}

    def wait(self, key: Key, plan: Plan) -> float:
        """Seconds that a status still waits."""
        if not plan.may_wait:
            return 0.0
        now = self._now()
        since = self._since.setdefault(key, now)
        return max(0.0, plan.may_wait - (now - since).total_seconds())

    def release(self, key: Key) -> None:
        """The status has been written, or nobody waits for it any more."""
        self._since.pop(key, None)


def until(plan: Plan, now: datetime) -> float | None:
    """Seconds until a plan wants to look again."""
    return None if plan.again_at is None else max(0.0, (plan.again_at - now).total_seconds())


def earlier(first: float, second: float | None) -> float:
    """The earlier of two times, of which the second may be never."""
    return first if second is None else min(first, second)
