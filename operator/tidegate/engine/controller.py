"""Runs `reconcile` over the keys of a queue, by controller-runtime's contract and nothing beside it.

An error is tried again, later each time. A wish to look again is granted to the second. Done is forgotten. A
terminal error waits for a change. Nothing else decides when a key is looked at again, so whoever asks why a
rollout stands still reads one reconcile and has the whole answer.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

import structlog
from structlog.contextvars import bound_contextvars

from tidegate.cluster.errors import ClusterError, Conflict, NotLeading
from tidegate.engine.queue import ShutDown, WorkQueue

K = TypeVar("K", bound=Hashable)

Result = Literal["done", "requeue", "conflict", "not_leading", "error", "terminal"]

log = structlog.get_logger("tidegate.engine.controller")

# A conflict means that the cache was behind, which the next watch event cures. Seven in a row, two thirds of
# a second, mean something else, such as another controller that fights for the same object.
_QUIET_CONFLICTS: Final = 7
_FRAMES: Final = 6
_CREDENTIAL: Final = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+|(?<=://)[^/@\s]+(?=@)")


class TerminalError(Exception):
    """Trying again can't help; only a change of the object or of what it names can."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reconcile ended. requeue_after: seconds until it wants to look again (0: at once), or None."""

    requeue_after: float | None = None


DONE: Final = Outcome()


class Controller(Generic[K]):
    """One kind's workers. They run from `start` to `stop`, as leadership comes and goes.

    name: in logs and metrics.
    reconcile: brings what the key names closer to what is wanted. Never called twice at once for a key.
    workers: keys worked on at once.
    time_limit: seconds after which a reconcile is given up as failed, or one lost answer would hold its
        worker and its key for ever.
    on_result: told the key, the result and the seconds of every reconcile.
    on_error: told the key and the error of every failed one, conflicts and lost leadership aside.
    """

    def __init__(
        self,
        name: str,
        queue: WorkQueue[K],
        reconcile: Callable[[K], Awaitable[Outcome]],
        *,
        workers: int = 16,
        time_limit: float = 120.0,
        on_result: Callable[[K, Result, float], None] | None = None,
        on_error: Callable[[K, Exception], None] | None = None,
    ) -> None:
        self.name = name
        self.queue = queue
        self._reconcile = reconcile
        self._count = workers
        self._time_limit = time_limit
        self._on_result = on_result
        self._on_error = on_error
        self._workers: set[asyncio.Task[None]] = set()
        self._busy: dict[asyncio.Task[None], float] = {}
        """Since when each worker has been at its key."""

    @property
    def running(self) -> bool:
        """Whether keys are being worked on, or would be if there were any."""
        return bool(self._workers)

    def under_way(self) -> list[float]:
        """The seconds for which each key that is being worked on has been."""
        now = asyncio.get_running_loop().time()
        return [now - begun for begun in self._busy.values()]

    async def start(self) -> None:
        """Begin to work: this replica leads. Does nothing if it has begun already."""
        if self._workers:
            return
        for number in range(self._count):
            self._hire(f"{self.name}-{number}")
        log.info("controller started", controller=self.name, workers=self._count, waiting=self.queue.depth)

    async def stop(self, within: float = 10.0) -> None:
        """End the work: no key is begun any more, and those begun get `within` seconds to end.

        What is cut off then stays in the queue like what waits, so a later `start` goes on where this ended.
        """
        if not self._workers:
            return
        # Emptied before the first await: a `start` meanwhile must not revive these workers.
        workers, self._workers = self._workers, set()
        for worker in workers - self._busy.keys():
            worker.cancel()
        _, late = await asyncio.wait(workers, timeout=within)
        if late:
            for worker in late:
                worker.cancel()
            # Bounded too: what swallows its cancellation must not keep the lease from being given up.
            await asyncio.wait(late, timeout=1.0)
        log.info("controller stopped", controller=self.name, cut_off=len(late), waiting=self.queue.depth)

    async def _work(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        while me in self._workers:
            try:
                key = await self.queue.get()
            except ShutDown:
                return
            self._busy[me] = asyncio.get_running_loop().time()
            try:
                await self._process(key)
            except BaseException:
                # Cut off half-way, so it counts as never done.
                self.queue.add(key)
                raise
            finally:
                del self._busy[me]
                self.queue.done(key)

    async def _process(self, key: K) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        with bound_contextvars(controller=self.name, key=str(key)):
            result = await self._attempt(key)
            if self._on_result is not None:
                self._tell(self._on_result, key, result, loop.time() - started)

    async def _attempt(self, key: K) -> Result:
        """Reconcile once, and put the key back by the contract."""
        try:
            async with asyncio.timeout(self._time_limit) as limit:
                outcome = await self._reconcile(key)
        except TerminalError as error:
            return self._given_up(key, error)
        except Conflict as error:
            return self._conflicted(key, error)
        except NotLeading:
            # The workers are about to be stopped; the key waits for whoever leads next.
            self.queue.add_rate_limited(key)
            return "not_leading"
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            return self._failed(key, RuntimeError("the reconcile cancelled itself"), error)
        except Exception as error:  # noqa: BLE001  (one bad object hurts only itself)
            if limit.expired():
                return self._failed(key, TimeoutError(f"not done within {self._time_limit:g} s"), error)
            return self._failed(key, error)
        self.queue.forget(key)
        if outcome.requeue_after is None:
            return "done"
        self.queue.add_after(key, outcome.requeue_after)
        return "requeue"

    def _given_up(self, key: K, error: TerminalError) -> Result:
        self.queue.forget(key)
        log.error("reconcile failed for good, waiting for a change", error=_safe(str(error)))
        if self._on_error is not None:
            self._tell(self._on_error, key, error)
        return "terminal"

    def _conflicted(self, key: K, error: Conflict) -> Result:
        delay = self.queue.add_rate_limited(key)
        failures = self.queue.failures(key)
        if failures > _QUIET_CONFLICTS:
            log.warning(
                "another writer keeps changing an object, trying again",
                error=_safe(str(error)),
                failures=failures,
                again_in=delay,
            )
        return "conflict"

    def _failed(self, key: K, error: Exception, cause: BaseException | None = None) -> Result:
        delay = self.queue.add_rate_limited(key)
        failures = self.queue.failures(key)
        about = {
            "error": f"{type(error).__name__}: {_safe(str(error))}",
            "failures": failures,
            "again_in": delay,
        }
        if isinstance(error, ClusterError):
            log.warning("reconcile failed, trying again", **about)
        else:
            log.error("reconcile failed, trying again", **about, at=_frames(cause or error))
        if self._on_error is not None:
            self._tell(self._on_error, key, error)
        return "error"

    def _tell(self, hook: Callable[..., None], *args: object) -> None:
        """Call a hook; one that breaks costs a log line, not a worker."""
        try:
            hook(*args)
        except Exception as error:  # noqa: BLE001
            log.error("a hook of the controller failed", error=_safe(str(error)), at=_frames(error))

    def _hire(self, name: str) -> None:
        worker = asyncio.create_task(self._work(), name=name)
        worker.add_done_callback(self._ended)
        self._workers.add(worker)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        """Only what ends the process gets out of a worker, or a defect of the queue. Then another takes its place:
        with one worker less after each, all rollouts would stand still in the end."""
        if not worker.cancelled() and (error := worker.exception()) is not None:
            log.critical("a worker of the controller died", controller=self.name, error=repr(error))
            if isinstance(error, Exception) and worker in self._workers:
                self._workers.remove(worker)
                self._hire(worker.get_name())


def _is_cancelled() -> bool:
    """Whether this very task is being cancelled, as opposed to something that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _frames(error: BaseException) -> list[str]:
    """The last places that an error passed, without the values of variables: those may hold secrets."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def _safe(text: str) -> str:
    """Blank what looks like a credential: a token in a header, a password in an address."""
    return _CREDENTIAL.sub("[redacted]", text)
