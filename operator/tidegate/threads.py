"""A bounded pool of threads that may hang without holding up anything but themselves.

The standard ThreadPoolExecutor joins its threads when the interpreter exits. One server that accepts a
connection and says nothing would then hold a stopping operator back until the question times out, long after
another replica should have taken over. These threads are daemons.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonPool:
    """Up to `size` daemon threads, started as they are needed."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have `work` called in a thread. What is cancelled before a thread is free is never called."""
        future: Future[T] = Future()
        self._work.put((future, work))
        if not self._idle.acquire(blocking=False) and self._started < self._size:
            self._started += 1
            name = f"{self._name}-{self._started}"
            threading.Thread(target=self._run, name=name, daemon=True).start()
        return future

    def close(self) -> None:
        """Let idle threads end, and busy ones once they are done. Nothing may be submitted after this."""
        for _ in range(self._started):
            self._work.put(None)

    def _run(self) -> None:
        while (item := self._next()) is not None:
            future, work = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
                    future.set_exception(error)
            del item, future, work  # an idle thread must not keep an answer alive

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        if self._work.empty():
            self._idle.release()
        return self._work.get()
