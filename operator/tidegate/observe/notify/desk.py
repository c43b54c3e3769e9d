"""What sending needs of the operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from tidegate.core.plan import Event, Key

if TYPE_CHECKING:
    from tidegate.observe.notify.deciding import Due
    from tidegate.observe.notify.settings import Settings

Obj = Mapping[str, Any]

LOOK_AGAIN: Final = timedelta(seconds=30)
"""For which the settings count as known."""


class DeskError(Exception):
    """The desk could not do it now; another time it may."""


class Desk(Protocol):
    """What the courier needs of the operator.

    leading: whether this replica may send. rollout: the object, None when gone. runs: the AnalysisRuns that it owns.
    set_up: whether there are settings. settings: read anew. mark: write the annotation (None: take it away); raises
    DeskError where it may be tried again. record: an Event. sent: told of every try: the message, the seconds it took,
    whether it worked.
    """

    @property
    def leading(self) -> bool: ...

    def rollouts(self) -> Sequence[Key]: ...

    def rollout(self, key: Key) -> Obj | None: ...

    def runs(self, rollout: Obj) -> Sequence[Obj]: ...

    async def set_up(self) -> bool: ...

    async def settings(self) -> Settings: ...

    async def mark(self, rollout: Obj, text: str | None) -> None: ...

    def record(self, rollout: Obj, event: Event) -> None: ...

    def sent(self, due: Due, seconds: float, worked: bool) -> None: ...
