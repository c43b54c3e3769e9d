"""Leadership by a Lease: of all replicas one acts, the others stay warm.

What makes this safe (and what the client library's own elector lacks):
- A leader counts from when it *sent* its last successful renewal and stops at `renew_deadline`; a candidate
counts
  `duration`, which is longer, from when it *saw* the last change. Neither compares clocks with the other.
- Every write carries the resource version that it was decided on, so of two who try, one wins.
- `remaining` is computed at the moment of asking. A process that was paused finds out at its next write,
before
  its timers have had a chance to run.
- A deleted lease is claimed first and acted on later. (A replica that has never seen it takes it for a new
  cluster's and acts at once: deleting the lease of a running operator while another one starts is on the person.)
- Whatever a request does, refuse, hang, break, it ends within the retry period and is tried again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import structlog

from tidegate.cluster.errors import AlreadyExists, ApiError, ClusterError, Conflict, NotFound, TransportError
from tidegate.core.plan import Key, Write

log = structlog.get_logger("tidegate.cluster.lease")

_NEVER: Final = float("-inf")
_UNKNOWN: Final = float("inf")
# Two clocks differ in their last digits: a pause up to the deadline may end just before it, again and again.
_SHORTEST: Final = 0.01


class LeadershipOverrunError(ClusterError):
    """Leadership ended and `on_stopped` did not finish in time: end the process, another may act by now."""


class LeaseClient(Protocol):
    """The part of Client that is needed here."""

    async def get(self, key: Key, *, within: float | None = None) -> dict[str, Any]: ...

    async def send(self, write: Write, *, within: float | None = None) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTiming:
    """Seconds.

    duration: how long others wait after the last sign of life (whole seconds, the API stores an int).
    renew_deadline: how long a leader acts after sending its last successful renewal.
    retry: between two attempts, and the limit for each request.
    """

    duration: int = 10
    renew_deadline: float = 6.5
    retry: float = 1.5

    def __post_init__(self) -> None:
        if not 0 < 2 * self.retry <= self.renew_deadline < self.duration:
            raise ValueError(
                f"lease timing: need 2 x retry ({self.retry}) <= renew_deadline ({self.renew_deadline}) "
                f"< duration ({self.duration})"
            )


@dataclass(slots=True)
class _Seen:
    """The lease as last seen, and when it was first seen so."""

    holder: str
    version: str
    duration: float
    transitions: int
    at: float


def boot_clock() -> float:
    """Seconds that also pass while the machine sleeps; Linux's plain monotonic clock stands still then."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Elector:
    """Runs for one Lease.

    identity: unique to this process among all running ones; a lease that names it is taken back at once.
    on_started: leadership has begun; must return soon (start tasks, don't await them).
    on_stopped: leadership is over; returns when nothing acts any more.
    clock: seconds, monotonic. wall: the time written for people to read; no decision uses it.
    """

    def __init__(
        self,
        client: LeaseClient,
        key: Key,
        identity: str,
        *,
        on_started: Callable[[], Awaitable[None]],
        on_stopped: Callable[[], Awaitable[None]],
        timing: LeaseTiming | None = None,
        clock: Callable[[], float] = boot_clock,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._key = key
        self._identity = identity
        self._on_started = on_started
        self._on_stopped = on_stopped
        self._timing = timing or LeaseTiming()
        self._clock = clock
        self._wall = wall
        self._spread = spread
        self._seen: _Seen | None = None
        self._valid_until = _NEVER
        # A lease claimed after a deletion is acted on only from here: `_UNKNOWN` until the claim is known to stand.
        self._act_from = _NEVER
        self._acquired_at = ""
        self._trouble = ""

    @property
    def holder(self) -> str:
        """Who held the lease when it was last seen; empty for nobody."""
        return self._seen.holder if self._seen else ""

    @property
    def leading(self) -> bool:
        return self.remaining() > 0

    def remaining(self) -> float:
        """Seconds for which this process may still act; 0 or less: it may not. For Client's write_budget."""
        return self._valid_until - self._clock()

    async def run(self, stop: asyncio.Event) -> None:
        """Run for the lease, lead, run again after losing it; until `stop`, then let go of the lease.

        Raises LeadershipOverrunError. Cancelling fences writes but neither calls on_stopped nor lets go:
        others then wait for the lease to run out.
        """
        try:
            while not stop.is_set():
                await self._attempt()
                if self.leading:
                    await self._lead(stop)
                else:
                    await self._pause(stop, self._between_attempts())
        finally:
            self._valid_until = _NEVER

    async def _lead(self, stop: asyncio.Event) -> None:
        log.info("leading", lease=str(self._key), identity=self._identity)
        await self._on_started()
        while not stop.is_set() and self.leading:
            await self._pause(stop, max(_SHORTEST, min(self._between_attempts(), self.remaining())))
            if not stop.is_set() and self.leading:
                await self._attempt()
        asked = stop.is_set() and self.leading
        if asked:
            log.info("giving up leadership as asked", lease=str(self._key))
        else:
            log.warning("leadership lost, stopping all work", lease=str(self._key), holder=self.holder)
        await self._stop_work()
        if asked:
            await self._release()

    async def _stop_work(self) -> None:
        """Wait for on_stopped, but no longer than until another replica could begin to act."""
        margin = self._timing.duration - self._timing.renew_deadline
        limit = max(0.0, self.remaining()) + margin
        try:
            async with asyncio.timeout(limit):
                await self._on_stopped()
        except TimeoutError:
            raise LeadershipOverrunError(
                f"work went on for {limit:.1f} s after leadership of {self._key} ended; this process must end"
            ) from None

    async def _attempt(self) -> None:
        """Try once to get or keep the lease. Failure changes nothing: what we have runs out by itself."""
        try:
            if not self.leading:
                await self._look()
            if self.leading or self._free():
                await self._take()
        except (Conflict, AlreadyExists):
            await self._look_again()
        except (ApiError, TransportError) as error:
            self._warn_once("lease not reached, trying again", error)
        else:
            self._trouble = ""

    async def _look_again(self) -> None:
        """The lease has moved on. If it still names us (an edit, or a write whose answer was lost), go on."""
        try:
            await self._look()
        except (ApiError, TransportError) as error:
            self._warn_once("lease not readable, trying again", error)
            return
        if self.leading and self.holder != self._identity:
            self._valid_until = _NEVER

    async def _look(self) -> None:
        try:
            lease = await self._in_time(self._client.get(self._key, within=self._timing.retry))
        except NotFound:
            self._note_missing()
            return
        self._note(lease)

    def _note(self, lease: dict[str, Any]) -> None:
        version, spec = lease["metadata"]["resourceVersion"], lease.get("spec") or {}
        if self._seen and self._seen.version == version:
            return
        holder = spec.get("holderIdentity") or ""
        if holder != self._identity:
            self._act_from = _NEVER
        if holder != self.holder:
            log.info("lease holder", lease=str(self._key), holder=holder or "nobody")
        self._seen = _Seen(
            holder=holder,
            version=version,
            duration=float(spec.get("leaseDurationSeconds") or self._timing.duration),
            transitions=int(spec.get("leaseTransitions") or 0),
            at=self._clock(),
        )

    def _note_missing(self) -> None:
        if self._seen is not None and self._seen.version:
            self._seen.version = ""
            self._seen.at = self._clock()

    def _free(self) -> bool:
        seen = self._seen
        if seen is None:
            return True
        if not seen.version:  # Deleted: its holder, if alive, is given the time to write it anew.
            return self._clock() - seen.at >= 2 * self._timing.retry
        if seen.holder in ("", self._identity):
            return True
        return self._clock() - seen.at >= seen.duration

    async def _take(self) -> None:
        """Write ourselves into the lease as last seen; raises Conflict if it has moved on since.

        A lease that was deleted frees nobody, for its holder, whom we may never have seen, acts until it notices.
        Then the claim comes first, and acting after all that any holder before it can have left.
        """
        now, seen = _micro_time(self._wall()), self._seen
        held = seen is not None and seen.holder == self._identity
        if not held or not self._acquired_at:
            self._acquired_at = now
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._timing.duration,
            "acquireTime": self._acquired_at,
            "renewTime": now,
            "leaseTransitions": (seen.transitions if seen else 0) + (0 if held else 1),
        }
        leading, anew = self.leading, seen is not None and not seen.version
        if anew:
            self._act_from = _UNKNOWN
        limit = min(self._timing.retry, self.remaining()) if self.leading else self._timing.retry
        sent_at = self._clock()
        try:
            lease = await self._in_time(self._client.send(self._write(spec), within=limit), limit)
        except NotFound:
            self._note_missing()  # Created anew at the next attempt, while our time lasts.
            raise
        self._note(lease)
        if anew and leading:
            self._act_from = _NEVER
        elif self._act_from == _UNKNOWN:  # From this claim, or from one before it whose answer was lost.
            self._act_from = self._clock() + self._timing.duration
        if self._clock() >= self._act_from:
            self._valid_until = sent_at + self._timing.renew_deadline

    async def _release(self) -> None:
        """Leave the lease to whoever comes next, at once instead of after `duration`."""
        self._valid_until = _NEVER
        now = _micro_time(self._wall())
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": now, "renewTime": now}
        try:
            self._note(await self._in_time(self._client.send(self._write(spec), within=self._timing.retry)))
        except (ApiError, TransportError) as error:
            log.warning("lease not released, it will run out", lease=str(self._key), error=str(error))

    def _write(self, spec: dict[str, Any]) -> Write:
        if self._seen is None or not self._seen.version:
            metadata = {"name": self._key.name, "namespace": self._key.namespace}
            return Write("create", self._key, {"metadata": metadata, "spec": spec})
        return Write("patch", self._key, {"metadata": {"resourceVersion": self._seen.version}, "spec": spec})

    async def _in_time(self, request: Awaitable[dict[str, Any]], limit: float | None = None) -> dict[str, Any]:
        """A request that hangs below its own limit (a name lookup, a pool) must not hold up the deadline."""
        try:
            async with asyncio.timeout(limit or self._timing.retry):
                return await request
        except TimeoutError as error:
            raise TransportError(f"{self._key}: no answer in time") from error

    def _warn_once(self, what: str, error: ClusterError) -> None:
        """An outage is one line in the log, not one for every attempt."""
        if str(error) != self._trouble:
            left = round(max(0.0, self.remaining()), 1)
            log.warning(what, lease=str(self._key), error=str(error), leading=self.leading, seconds_left=left)
        self._trouble = str(error)

    def _between_attempts(self) -> float:
        """Mostly a little less than the retry period, so that replicas that started together drift apart."""
        return self._timing.retry * (0.8 + 0.2 * self._spread())

    async def _pause(self, stop: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            return


def _micro_time(moment: datetime) -> str:
    """A metav1.MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
