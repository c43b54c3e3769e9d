"""Which key is looked at next, and when: the part of controller-runtime's work queue that asyncio lacks.

It closes three races. A key is never with two workers, so two decisions never write over each other. A key
that is added while it is being worked on is worked on again afterwards, so a change seen half-way is not lost. And
of two wishes to look again the earlier one holds, so a long pause can't swallow a short one.

Time is the event loop's, so a test in virtual time needs no other clock.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from itertools import count
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_BASE: Final = 0.005
# controller-runtime waits up to 1000 s: a rollout that could not be undone while the API server was away
# could serve its sick version for a quarter of an hour after it is back. One try a minute costs nothing.
_CAP: Final = 60.0
# One pick in eight is a low one, or a storm of edits would starve what was listed at start-up.
_LOW_SHARE: Final = 8
_SPARE_TIMERS: Final = 64


class ShutDown(Exception):  # noqa: N818  (not an error: the queue has been closed)
    """There is nothing more to get, now or later."""


class WorkQueue(Generic[K]):
    """Keys that wait, keys that are due later, keys that are being worked on.

    base, cap: seconds before the first and at most before any retry; in between it doubles with each failure.
    on_wait: told how many seconds a key has waited, each time one is handed out.
    """

    def __init__(
        self, *, base: float = _BASE, cap: float = _CAP, on_wait: Callable[[float], None] | None = None
    ) -> None:
        self._base = base
        self._cap = cap
        self._on_wait = on_wait
        # Ready keys in order, with the time since which they wait. A key is in one of the two.
        self._normal: OrderedDict[K, float] = OrderedDict()
        self._low: OrderedDict[K, float] = OrderedDict()
        self._processing: set[K] = set()
        # Added while processing: low or not, and since when.
        self._again: dict[K, tuple[bool, float]] = {}
        # Due later. The heap may hold outdated entries; `_due` says which one counts.
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at: float | None = None
        self._failures: dict[K, int] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._picks = 0
        self._closed = False

    # -- putting in

    def add(self, key: K, *, low: bool = False) -> None:
        """Have a key worked on as soon as a worker is free, and the present work on it is done.

        low: others go first, as they do before everything that is listed at start-up.
        """
        if self._closed:
            return
        now = _now()
        if key in self._processing:
            was_low, since = self._again.get(key, (low, now))
            self._again[key] = (was_low and low, since)
        else:
            self._enqueue(key, low, now)

    def add_after(self, key: K, delay: float) -> None:
        """Have a key worked on in `delay` seconds, or earlier if an earlier time is already set.

        The time holds until the key is next handed out: whoever works on it decides anew when to look again.
        """
        if self._closed:
            return
        if delay <= 0:
            self.add(key)
            return
        at = _now() + delay
        if key in self._due and self._due[key] <= at:
            return
        self._due[key] = at
        heapq.heappush(self._heap, (at, next(self._order), key))
        self._drop_outdated()
        self._set_timer()

    def add_rate_limited(self, key: K) -> float:
        """Have a key tried again after a failure. Returns the seconds until then."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # 2**64 s is beyond any cap, and the exponent must not overflow a float.
        delay = min(self._cap, self._base * 2.0 ** min(failures, 64))
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Count the failures of a key from zero again."""
        self._failures.pop(key, None)

    # -- taking out

    async def get(self) -> K:
        """Wait for a key and take it; `done` must follow. Raises ShutDown once closed and empty."""
        while not self._normal and not self._low:
            if self._closed:
                raise ShutDown
            await self._wait()
        return self._take()

    def done(self, key: K) -> None:
        """The work on a key has ended, well or not. If it was added meanwhile it is ready again."""
        self._processing.discard(key)
        again = self._again.pop(key, None)
        if again is not None:
            low, since = again
            self._enqueue(key, low, since)

    def shut_down(self) -> None:
        """Take nothing in any more and drop what is due later. What is ready can still be taken."""
        self._closed = True
        self._due.clear()
        self._heap.clear()
        self._again.clear()
        self._set_timer()
        for getter in self._getters:
            if not getter.done():
                getter.set_result(None)

    # -- figures

    @property
    def depth(self) -> int:
        """Keys that are ready, or will be as soon as the present work on them is done."""
        return len(self._normal) + len(self._low) + len(self._again)

    @property
    def delayed(self) -> int:
        """Keys that are due later."""
        return len(self._due)

    @property
    def processing(self) -> int:
        """Keys that are being worked on."""
        return len(self._processing)

    @property
    def retrying(self) -> int:
        """Keys whose last attempt failed."""
        return len(self._failures)

    def failures(self, key: K) -> int:
        """How often in a row the work on a key has failed."""
        return self._failures.get(key, 0)

    def longest_wait(self) -> float:
        """Seconds that the key at the head has waited; 0 when none does."""
        heads = [next(iter(queue.values())) for queue in (self._normal, self._low) if queue]
        return _now() - min(heads) if heads else 0.0

    # -- inside

    def _enqueue(self, key: K, low: bool, since: float) -> None:
        if key in self._normal:
            return
        if low:
            self._low.setdefault(key, since)
        else:
            self._normal[key] = self._low.pop(key, since)
        self._wake_one()

    def _take(self) -> K:
        self._picks += 1
        low_turn = self._picks % _LOW_SHARE == 0 and self._low
        key, since = (self._low if low_turn or not self._normal else self._normal).popitem(last=False)
        self._processing.add(key)
        if self._due.pop(key, None) is not None:
            self._drop_outdated()
            self._set_timer()
        if self._on_wait is not None:
            self._on_wait(_now() - since)
        return key

    async def _wait(self) -> None:
        getter = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        try:
            await getter
        except asyncio.CancelledError:
            # Woken and cancelled at once: somebody else must get the key that this one was woken for.
            if getter.done() and not getter.cancelled():
                self._wake_one()
            raise
        finally:
            if getter in self._getters:
                self._getters.remove(getter)

    def _wake_one(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _drop_outdated(self) -> None:
        heap, due = self._heap, self._due
        while heap and due.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        if len(heap) > 2 * len(due) + _SPARE_TIMERS:
            heap[:] = [entry for entry in heap if due.get(entry[2]) == entry[0]]
            heapq.heapify(heap)

    def _set_timer(self) -> None:
        at = self._heap[0][0] if self._heap else None
        if at == self._rings_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._ring) if at is not None else None

    def _ring(self) -> None:
        self._timer = self._rings_at = None
        # The loop may ring a clock's resolution early; what it rang for is due.
        now = max(_now(), self._heap[0][0])
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == at:
                del self._due[key]
                self.add(key)
        self._drop_outdated()
        self._set_timer()


def _now() -> float:
    return asyncio.get_running_loop().time()
