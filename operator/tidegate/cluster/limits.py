"""Pace and patience: a token bucket for requests and events, growing pauses for what keeps failing."""

from __future__ import annotations

import asyncio
import random
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


class Backoff:
    """Pauses that double from `base` to `cap` seconds, each spread by half up and down.

    The spread keeps many clients that lost the same server from coming back in step.
    """

    __slots__ = ("_base", "_cap", "_failures", "_random")

    def __init__(self, *, base: float, cap: float, random: Callable[[], float] = random.random) -> None:
        self._base = base
        self._cap = cap
        self._random = random
        self._failures = 0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        pause = min(self._cap, self._base * 2.0**self._failures)
        if pause < self._cap:
            self._failures += 1
        return pause * (0.5 + self._random())

    def reset(self) -> None:
        self._failures = 0
