"""Whether Argo Rollouts' own controller is at work, as told by the Lease that it renews.

Two controllers that act on the same Rollouts undo each other's writes, with users' traffic in between. Argo does not
know of us, so it is on us to look before we act and to let go when it comes back.

What is trusted is that a lease changes, as seen here; its times are of another machine's clock. Only a renewal that is
ten lease durations old is taken for an ended controller's without waiting, so that a lease which Argo left behind when
it was removed (it never gives one up) does not hold up every start of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Protocol

import structlog

from tidegate.cluster.errors import ApiError, NotFound, TransportError
from tidegate.core.plan import Key
from tidegate.core.times import parse_time

log = structlog.get_logger("tidegate.cluster.neighbour")

State = Literal["unknown", "at work", "gone"]

_DURATION: Final = 15.0
_LONG_AGO: Final = 10
_RETRY: Final = 1.0
_SHORTEST: Final = 0.01


class LeaseReader(Protocol):
    """The part of Client that is needed here."""

    async def get(self, key: Key, *, within: float | None = None) -> dict[str, Any]: ...


@dataclass(slots=True)
class _Seen:
    """A lease as last seen.

    at: when it was first seen so. renewed: whether it has changed under our eyes. over: known to have run out.
    """

    spec: Mapping[str, Any]
    holder: str
    duration: float
    at: float
    renewed: bool
    over: bool = False


class Neighbour:
    """Watches the leases of another controller. `state` is `unknown` until it is known that nobody renews them.

    client: to look once more before a controller is called gone, for a watch may have stopped without a word.
    on_change: told whenever `state` changes. clock: monotonic seconds. wall: the time of day.
    """

    def __init__(
        self,
        client: LeaseReader,
        *,
        on_change: Callable[[State], None],
        clock: Callable[[], float],
        wall: Callable[[], datetime],
    ) -> None:
        self.state: State = "unknown"
        self._client = client
        self._on_change = on_change
        self._clock = clock
        self._wall = wall
        self._leases: dict[Key, _Seen] = {}
        self._news = asyncio.Event()
        self._listed = False

    @property
    def who(self) -> str:
        """The lease that is being renewed and its holder, for people; empty when there is none."""
        return next((f"{key} held by {seen.holder}" for key, seen in self._held().items()), "")

    def see(self, key: Key, lease: Mapping[str, Any] | None) -> None:
        """A lease is, or has become, like this; None when it is gone."""
        if lease is None:
            self._leases.pop(key, None)
        else:
            self._note(key, lease.get("spec") or {})
        self._news.set()
        if self._listed:
            self._judge()

    async def run(self, listed: Awaitable[object]) -> None:
        """Judge until cancelled. listed: done once every lease that there is has been seen."""
        await listed
        self._listed = True
        while True:
            self._judge()
            self._news.clear()
            try:
                async with asyncio.timeout(self._until_next()):
                    await self._news.wait()
            except TimeoutError:
                await self._look_again()

    def _note(self, key: Key, spec: Mapping[str, Any]) -> None:
        before = self._leases.get(key)
        if before is not None and before.spec == spec:
            return
        duration = float(spec.get("leaseDurationSeconds") or _DURATION)
        seen = _Seen(spec, spec.get("holderIdentity") or "", duration, self._clock(), self._listed)
        seen.over = not self._listed and self._age(spec) > _LONG_AGO * duration
        self._leases[key] = seen

    def _age(self, spec: Mapping[str, Any]) -> float:
        """Seconds since the last renewal by the clocks on the wall; 0 where that can't be read."""
        try:
            return (self._wall() - parse_time(spec["renewTime"])).total_seconds()
        except (KeyError, TypeError, ValueError):
            return 0.0

    def _held(self) -> dict[Key, _Seen]:
        return {key: seen for key, seen in self._leases.items() if seen.holder and not seen.over}

    def _judge(self) -> None:
        held = self._held()
        state: State = "gone"
        if held:
            state = "at work" if any(seen.renewed for seen in held.values()) else "unknown"
            if self.state == "at work":
                state = "at work"
        if state == self.state:
            return
        self.state = state
        if state == "at work":
            log.warning("Argo Rollouts' controller is at work; standing aside until its lease runs out", lease=self.who)
        elif state == "gone":
            log.info("no Argo Rollouts controller is at work; Tidegate may act")
        self._on_change(state)

    def _until_next(self) -> float | None:
        """Seconds until a lease has run out; None with none to wait for."""
        now = self._clock()
        waits = [seen.at + seen.duration - now for seen in self._held().values()]
        return max(_SHORTEST, min(waits)) if waits else None

    async def _look_again(self) -> None:
        """Read what has run out from the server, before anything is made of it."""
        for key, seen in self._held().items():
            if self._clock() - seen.at < seen.duration:
                continue
            try:
                lease = await self._client.get(key)
            except NotFound:
                self._leases.pop(key, None)
            except (ApiError, TransportError) as error:
                log.warning("can't tell whether Argo Rollouts' controller has ended", lease=str(key), error=str(error))
                seen.at = self._clock() - seen.duration + _RETRY
            else:
                self._note(key, lease.get("spec") or {})
                # Another lease than the one that ran out, where it was renewed meanwhile: that one is as it was.
                seen.over = True
