"""A token bucket: the one pace-keeper behind requests and events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class TokenBucket:
    """Holds up to `burst` tokens and regains `rate` a second. Those who wait are served in order."""

    __slots__ = ("_at", "_burst", "_clock", "_rate", "_sleep", "_tokens")

    def __init__(
        self,
        *,
        rate: float,
        burst: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._sleep = sleep
        self._tokens = burst
        self._at = clock()

    def try_take(self) -> bool:
        """Take a token if there is one now."""
        self._refill()
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    async def take(self) -> None:
        """Take a token, waiting for it if need be.

        The token is booked before the wait, so the balance goes below zero and each one who comes later waits
        longer.
        """
        self._refill()
        self._tokens -= 1.0
        if self._tokens < 0.0:
            await self._sleep(-self._tokens / self._rate)

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
