"""Stands where the courier will be, until there is something to send with.

Most clusters have no notifications set up. An operator there need not hold the code that words and sends them, nor
decide anything about them: it looks for the ConfigMap when something has happened, at most twice a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from tidegate.core.plan import Event, Key
from tidegate.observe.notify.desk import LOOK_AGAIN, Desk, DeskError

if TYPE_CHECKING:
    from tidegate.observe.notify.courier import Courier

log = structlog.get_logger("tidegate.observe.notify")


class Threshold:
    """A listener that becomes the courier's once there is a ConfigMap."""

    def __init__(self, desk: Desk, now: Callable[[], datetime]) -> None:
        self._desk = desk
        self._now = now
        self._courier: Courier | None = None
        self._wanted = asyncio.Event()
        self._looked_at: datetime | None = None

    def changed(self, key: Key) -> None:
        """A Rollout, or a run of its, is not what it was."""
        if self._courier is not None:
            self._courier.changed(key)
        else:
            self._look()

    def heard(self, key: Key, event: Event) -> None:
        """An event about a Rollout was recorded."""
        if self._courier is not None:
            self._courier.heard(key, event)

    def look_at_everything(self) -> None:
        """This replica has begun to lead."""
        if self._courier is not None:
            self._courier.look_at_everything()
        else:
            self._look()

    def forget(self, key: Key) -> None:
        """A Rollout is gone."""
        if self._courier is not None:
            self._courier.forget(key)

    async def run(self) -> None:
        """Wait for the ConfigMap, then send, until cancelled."""
        there = False
        while not there:
            await self._wanted.wait()
            self._wanted.clear()
            there = await self._set_up()
        from tidegate.observe.notify.courier import Courier  # noqa: PLC0415 - a megabyte, for those who use it
        from tidegate.observe.notify.sending import WideSender  # noqa: PLC0415

        self._courier = Courier(self._desk, WideSender(), self._now)
        self._courier.look_at_everything()
        await self._courier.run()

    def _look(self) -> None:
        stale = self._looked_at is None or self._now() - self._looked_at > LOOK_AGAIN
        if self._desk.leading and stale:
            self._wanted.set()

    async def _set_up(self) -> bool:
        self._looked_at = self._now()
        try:
            return await self._desk.set_up()
        except DeskError as error:
            log.warning("can't look for the settings of notifications, trying again", error=str(error))
            self._looked_at = None
            asyncio.get_running_loop().call_later(5.0, self._look)
            return False
