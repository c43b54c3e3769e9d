"""Tells people what happened through Kubernetes Events, at no cost to the work itself.

Recording only takes a note; one task sends the notes in order, when it can. The same thing said again about
the same object becomes a higher count on one Event. An object that says too much is cut off, a full queue
drops what comes next, and both are counted: events are for reading, and no decision may ever wait for one.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any, Final, NamedTuple, Protocol

import structlog

from tidegate.cluster.errors import AlreadyExists, ApiError, NotFound, ServerError, TransportError
from tidegate.cluster.limits import Backoff, TokenBucket
from tidegate.core.plan import Event, Key, Write
from tidegate.core.times import format_time

log = structlog.get_logger("tidegate.cluster.events")

_LONGEST_MESSAGE: Final = 1024
_LONGEST_NAME: Final = 253
_REMEMBERED: Final = 1024
_LONGEST_COURTESY: Final = 10.0
_COURTESY: Final = 0.1
_ATTEMPTS: Final = 5


class EventClient(Protocol):
    """The part of Client that is needed here."""

    async def get(self, key: Key) -> dict[str, Any]: ...

    async def send(self, write: Write) -> dict[str, Any]: ...


class _Subject(NamedTuple):
    """What makes two occurrences the same event."""

    uid: str
    type: str
    reason: str
    message: str


@dataclass(slots=True)
class _Note:
    about: dict[str, Any]
    count: int
    first: datetime
    last: datetime


class Recorder:
    """Records Events.

    component: who says so, shown by `kubectl describe`. instance: which replica.
    capacity: how many different events may wait to be sent.
    burst, rate: how many events one object may cause at once, and how many a second it regains.
    busy: whether there is work that matters more; events wait for it, up to ten seconds.
    on_record: told the object and the event of every call of `record`.
    dropped: events lost to these limits. failed: events that the server would not take.
    """

    def __init__(
        self,
        client: EventClient,
        *,
        component: str = "tidegate",
        instance: str = "",
        capacity: int = 1000,
        burst: int = 50,
        rate: float = 0.1,
        busy: Callable[[], bool] = lambda: False,
        on_record: Callable[[Mapping[str, Any], Event], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.dropped = 0
        self.failed = 0
        self._client = client
        self._component = component
        self._instance = instance
        self._capacity = capacity
        self._burst = burst
        self._rate = rate
        self._busy = busy
        self._on_record = on_record
        self._clock = clock
        self._wall = wall
        self._waiting: OrderedDict[_Subject, _Note] = OrderedDict()
        self._in_hand: _Note | None = None
        self._ending = False
        self._wanted = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        # How often the server's Event of a subject has been counted so far.
        self._counts: OrderedDict[_Subject, int] = OrderedDict()
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def record(self, about: Mapping[str, Any], event: Event) -> None:
        """Note an event about an object (its `apiVersion`, `kind`, `metadata`). Never blocks or fails."""
        if self._on_record is not None:
            self._on_record(about, event)
        uid = about["metadata"]["uid"]
        subject = _Subject(uid, event.type, event.reason, _shortened(event.message))
        now = self._wall()
        note = self._waiting.get(subject)
        if note is not None:
            note.count += 1
            note.last = now
            return
        if len(self._waiting) >= self._capacity or not self._bucket(uid).try_take():
            self.dropped += 1
            return
        self._waiting[subject] = _Note(_reference(about), 1, now, now)
        self._idle.clear()
        self._wanted.set()

    async def run(self) -> None:
        """Send what is recorded, in order, until cancelled."""
        while True:
            await self._wanted.wait()
            while self._waiting:
                await self._give_way(next(iter(self._waiting.values())))
                subject, self._in_hand = self._waiting.popitem(last=False)
                await self._deliver(subject, self._in_hand)
                self._in_hand = None
            self._wanted.clear()
            self._idle.set()

    async def flush(self, within: float) -> None:
        """Give what is recorded up to `within` seconds to be sent, before the process ends."""
        self._ending = True  # What events give way to may never be done now.
        try:
            async with asyncio.timeout(within):
                await self._idle.wait()
        except TimeoutError:
            unsent = len(self._waiting) + (self._in_hand is not None)
            self.dropped += unsent
            log.warning("events not sent before the end", events=unsent)

    async def _give_way(self, note: _Note) -> None:
        """Wait while there is more important work, but not for ever: people read events to see what goes on."""
        while self._busy() and not self._ending and (self._wall() - note.first).total_seconds() < _LONGEST_COURTESY:  # noqa: ASYNC110
            await asyncio.sleep(_COURTESY)

    async def _deliver(self, subject: _Subject, note: _Note) -> None:
        backoff = Backoff(base=1.0, cap=15.0)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._send(subject, note)
            except (ServerError, TransportError) as error:
                if attempt == _ATTEMPTS:
                    return self._give_up(subject, note, error)
                await asyncio.sleep(backoff.next())
            except ApiError as error:
                return self._give_up(subject, note, error)
            else:
                return None
        return None

    def _give_up(self, subject: _Subject, note: _Note, error: Exception) -> None:
        self.failed += note.count
        log.warning("event lost", about=note.about["name"], reason=subject.reason, error=str(error))

    async def _send(self, subject: _Subject, note: _Note) -> None:
        key = Key("Event", note.about.get("namespace") or "default", _name(note.about["name"], subject))
        counted = self._counts.get(subject)
        if counted is not None:
            try:
                return await self._count_up(key, subject, counted, note)
            except NotFound:  # Events expire, by default after an hour.
                del self._counts[subject]
        try:
            await self._client.send(Write("create", key, self._body(key, subject, note)))
            self._remember(subject, note.count)
        except AlreadyExists:  # From before a restart, or by the replica that led before.
            there = await self._client.get(key)
            await self._count_up(key, subject, int(there.get("count") or 1), note)
        return None

    async def _count_up(self, key: Key, subject: _Subject, counted: int, note: _Note) -> None:
        total = counted + note.count
        body = {"count": total, "lastTimestamp": format_time(note.last)}
        await self._client.send(Write("patch", key, body))
        self._remember(subject, total)

    def _body(self, key: Key, subject: _Subject, note: _Note) -> dict[str, Any]:
        source = {"component": self._component}
        if self._instance:
            source["host"] = self._instance
        return {
            "metadata": {"name": key.name, "namespace": key.namespace},
            "involvedObject": note.about,
            "reason": subject.reason,
            "message": subject.message,
            "type": subject.type,
            "source": source,
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
            "count": note.count,
            "firstTimestamp": format_time(note.first),
            "lastTimestamp": format_time(note.last),
        }

    def _remember(self, subject: _Subject, count: int) -> None:
        self._counts[subject] = count
        self._counts.move_to_end(subject)
        if len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)

    def _bucket(self, uid: str) -> TokenBucket:
        bucket = self._buckets.get(uid)
        if bucket is None:
            bucket = TokenBucket(rate=self._rate, burst=self._burst, clock=self._clock)
            self._buckets[uid] = bucket
            if len(self._buckets) > _REMEMBERED:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(uid)
        return bucket


def _reference(about: Mapping[str, Any]) -> dict[str, Any]:
    metadata = about["metadata"]
    reference = {"apiVersion": about.get("apiVersion"), "kind": about.get("kind")}
    reference |= {name: metadata.get(name) for name in ("name", "namespace", "uid", "resourceVersion")}
    return {name: value for name, value in reference.items() if value}


def _name(about: str, subject: _Subject) -> str:
    """The same for the same subject in every process, so replicas count up one Event. Always a valid name."""
    digest = sha1("\0".join(subject).encode(), usedforsecurity=False).hexdigest()[:16]
    return f"{about[: _LONGEST_NAME - 17].rstrip('-.')}.{digest}"


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…"
