"""Sending what is due, beside the work and never in its way.

A Rollout that may have something to tell is noted; one task decides, some more send. What was sent is written on the
Rollout, so a restart or another leader does not tell it again. Between the receiver's yes and that write lie some
milliseconds: who is killed there leaves a message to be told twice, with the same id. A message that waits for a dead
receiver when the process ends is told by the next one as long as the Rollout's state still shows its occasion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from tidegate.core.plan import Event, Key
from tidegate.observe.notify.deciding import (
    NEWS,
    Due,
    decide,
    decide_event,
    remember,
    subscribes,
)
from tidegate.observe.notify.desk import LOOK_AGAIN, Desk, DeskError
from tidegate.observe.notify.messages import WordingError, word
from tidegate.observe.notify.sending import Sender, SendError
from tidegate.observe.notify.services import pack
from tidegate.observe.notify.settings import Settings

log = structlog.get_logger("tidegate.observe.notify")

Obj = Mapping[str, Any]

MOST_WAITING: Final = 500
"""Messages on their way at a time, those that wait for another try among them."""
_AT_ONCE: Final = 4
"""Messages that one service is sent at the same time, so that a slow one holds up itself alone."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_MARK_TRIES: Final = 8

REASON_NOT_SENT: Final = "NotificationNotSent"


@dataclass(slots=True)
class _Known:
    """Of one Rollout: messages on their way or given up, told but not yet written down, and to be forgotten."""

    under_way: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    troubles: set[str] = field(default_factory=set)
    marking: bool = False


class Courier:
    """Sends the messages of all Rollouts while this replica leads."""

    def __init__(self, desk: Desk, sender: Sender, now: Callable[[], datetime]) -> None:
        self._desk = desk
        self._sender = sender
        self._now = now
        self._dirty: dict[Key, None] = {}
        self._heard: list[tuple[Key, Event]] = []
        self._wanted = asyncio.Event()
        self._known: dict[Key, _Known] = {}
        self._settings: Settings | None = None
        self._read_at: datetime | None = None
        self._places: dict[str, asyncio.Semaphore] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._dropped_at: datetime | None = None
        self._told_faults: frozenset[str] = frozenset()

    # -- what the operator tells

    def changed(self, key: Key) -> None:
        """A Rollout, or a run of its, is not what it was."""
        if self._desk.leading and self._may_matter(key):
            self._dirty[key] = None
            self._wanted.set()

    def heard(self, key: Key, event: Event) -> None:
        """An event about a Rollout was recorded."""
        if event.reason == REASON_NOT_SENT:
            return
        if self._desk.leading and self._may_matter(key) and len(self._heard) < MOST_WAITING:
            self._heard.append((key, event))
            self._wanted.set()

    def look_at_everything(self) -> None:
        """This replica has begun to lead: what was not told before is told now."""
        for key in self._desk.rollouts():
            self.changed(key)

    def forget(self, key: Key) -> None:
        """A Rollout is gone."""
        self._known.pop(key, None)
        self._dirty.pop(key, None)

    # -- the work

    async def run(self) -> None:
        """Decide and send until cancelled; what is on its way then is told by the next process."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                await self._round()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._sender.close()

    async def _round(self) -> None:
        dirty, self._dirty = self._dirty, {}
        heard, self._heard = self._heard, []
        try:
            settings = await self._present_settings()
        except Exception as error:  # noqa: BLE001 - a strange ConfigMap must not end the operator
            why = str(error) if isinstance(error, DeskError) else type(error).__name__
            log.warning("can't read what notifications are set up with, trying again", error=why)
            self._dirty = {**dirty, **self._dirty}
            self._heard = [*heard, *self._heard][:MOST_WAITING]
            asyncio.get_running_loop().call_later(5.0, self._wanted.set)
            return
        for key in dirty:
            self._guarded(key, partial(self._decide, settings, key))
        for key, event in heard:
            self._guarded(key, partial(self._decide_event, settings, key, event))

    def _guarded(self, key: Key, decide: Callable[[], None]) -> None:
        """One strange object must not keep the others' messages back."""
        try:
            decide()
        except Exception as error:  # noqa: BLE001
            log.error("can't tell what messages are due", rollout=str(key), error=type(error).__name__)

    def _decide(self, settings: Settings, key: Key) -> None:
        rollout = self._desk.rollout(key)
        if rollout is None or not self._desk.leading or not subscribes(rollout, settings):
            return
        known = self._known.setdefault(key, _Known())
        decision = decide(settings, rollout, self._desk.runs(rollout), self._now())
        for trouble in decision.troubles:
            self._tell_trouble(known, rollout, trouble)
        for due in decision.due:
            if not due.key or due.key not in known.under_way | known.given_up | known.told:
                self._begin(settings, key, known, due)
        known.given_up &= {due.key for due in decision.due}
        if ended := decision.ended - known.ended:
            known.ended |= ended
            known.told -= ended
            self._mark_soon(key, known)

    def _decide_event(self, settings: Settings, key: Key, event: Event) -> None:
        rollout = self._desk.rollout(key)
        if rollout is None or not subscribes(rollout, settings):
            return
        for due in decide_event(settings, rollout, event):
            self._begin(settings, key, self._known.setdefault(key, _Known()), due)

    def _begin(self, settings: Settings, key: Key, known: _Known, due: Due) -> None:
        if self._waiting >= MOST_WAITING:
            self._drop(due)
            return
        self._waiting += 1
        if due.key:
            known.under_way.add(due.key)
        self._start(self._deliver(settings, key, known, due))

    def _drop(self, due: Due) -> None:
        """Too much is on its way: nothing waits for room. What is remembered comes up again with the next change."""
        self._desk.sent(due, 0.0, False)
        now = self._now()
        if self._dropped_at is None or now - self._dropped_at > timedelta(minutes=1):
            self._dropped_at = now
            log.warning("messages are left out: too many are on their way", most=MOST_WAITING)

    async def _deliver(self, settings: Settings, key: Key, known: _Known, due: Due) -> None:
        try:
            if await self._sent(settings, known, due) and due.key:
                known.told.add(due.key)
                self._mark_soon(key, known)
        finally:
            self._waiting -= 1
            known.under_way.discard(due.key)

    async def _sent(self, settings: Settings, known: _Known, due: Due) -> bool:
        """Send, again and again while that may help, but no longer than it is news."""
        until, pause = self._now() + NEWS, _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while self._desk.leading:
            began = loop.time()
            try:
                parcel = pack(settings.services[due.service], due.recipient, word(settings, due))
                async with self._places.setdefault(due.service, asyncio.Semaphore(_AT_ONCE)):
                    if not self._desk.leading:
                        return False
                    began = loop.time()
                    await self._sender.send(parcel)
            except Exception as error:  # noqa: BLE001 - whatever it is, it ends as a message that was not sent
                self._desk.sent(due, loop.time() - began, False)
                again = isinstance(error, SendError) and error.again and self._now() < until
                known_kind = isinstance(error, SendError | WordingError)
                self._tell_failure(known, due, str(error) if known_kind else type(error).__name__, again)
                if not again:
                    known.given_up.add(due.key)
                    return False
            else:
                self._desk.sent(due, loop.time() - began, True)
                return True
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        return False

    # -- what was told is written down

    def _mark_soon(self, key: Key, known: _Known) -> None:
        if not known.marking:
            known.marking = True
            self._start(self._mark(key, known))

    async def _mark(self, key: Key, known: _Known) -> None:
        """Write down what was told, several at once where they come together."""
        pause = 0.2
        try:
            for _ in range(_MARK_TRIES):
                rollout = self._desk.rollout(key)
                if rollout is None or not (known.told or known.ended):
                    return
                told, ended = set(known.told), set(known.ended)
                try:
                    await self._desk.mark(rollout, remember(rollout, told, ended, self._now()))
                except DeskError:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 10.0)
                    continue
                known.told -= told
                known.ended -= ended
        finally:
            known.marking = False

    # -- what people are told when it does not work

    def _tell_failure(self, known: _Known, due: Due, why: str, again: bool) -> None:
        where = f"{due.service}:{due.recipient}" if due.recipient else due.service
        onward = "it is tried again" if again else "it is not tried again"
        self._tell_trouble(known, due.rollout, f"{due.trigger} to {where}: {why}; {onward}")

    def _tell_trouble(self, known: _Known, rollout: Obj, trouble: str) -> None:
        """Once for each trouble of a Rollout, in the log and as an Event."""
        if trouble in known.troubles or len(known.troubles) > 50:
            return
        known.troubles.add(trouble)
        metadata = rollout["metadata"]
        log.warning("a message was not sent", rollout=f"{metadata.get('namespace')}/{metadata['name']}", why=trouble)
        self._desk.record(rollout, Event(REASON_NOT_SENT, f"Message not sent: {trouble}", "Warning"))

    # -- below

    def _may_matter(self, key: Key) -> bool:
        """Cheap: asked for every change of every Rollout."""
        rollout = self._desk.rollout(key)
        if rollout is None:
            return False
        return self._settings is None or self._stale() or subscribes(rollout, self._settings)

    def _stale(self) -> bool:
        return self._read_at is None or self._now() - self._read_at > LOOK_AGAIN

    async def _present_settings(self) -> Settings:
        if self._settings is None or self._stale():
            before, self._settings = self._settings, await self._desk.settings()
            self._read_at = self._now()
            if self._settings is before:
                return before
            faults = frozenset(map(str, self._settings.faults))
            for fault in sorted(faults - self._told_faults):
                log.warning("a setting of the notifications can't be used", why=fault)
            self._told_faults = faults
            for known in self._known.values():  # What was wrong may have been mended, and may go wrong anew.
                known.given_up.clear()
                known.troubles.clear()
        return self._settings

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
