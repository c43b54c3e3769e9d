"""Standing aside for Argo Rollouts' own controller: nothing is done, and every Rollout says once why.

The condition is on an object that the other controller writes too. So it is written once, with the version that it was
read in as its condition, and where somebody takes it away it is not put back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from tidegate.api import names
from tidegate.cluster.errors import Conflict, NotFound
from tidegate.cluster.neighbour import Neighbour
from tidegate.cluster.store import Store
from tidegate.core.plan import Key
from tidegate.core.rollout import conditions
from tidegate.engine.controller import DONE, Outcome
from tidegate.engine.writing import WriteClient, status_write

_AGAIN: Final = Outcome(0.5)

Reconcile = Callable[[Key], Awaitable[Outcome]]


class StandingAside:
    """Stands before the controllers' reconciles and lets nothing through while the neighbour may be at work.

    client: one that may write although nothing else of ours may.
    """

    def __init__(self, neighbour: Neighbour, client: WriteClient, store: Store, now: Callable[[], datetime]) -> None:
        self._neighbour = neighbour
        self._client = client
        self._store = store
        self._now = now
        self._told: dict[Key, str] = {}

    @property
    def active(self) -> bool:
        """Whether nothing may be done."""
        return self._neighbour.state != "gone"

    @property
    def why(self) -> str:
        """What a person should know of it now; empty when we act."""
        if self._neighbour.state == "at work":
            return (
                f"Argo Rollouts' own controller is at work ({self._neighbour.who}), so Tidegate leaves Rollouts to it; "
                "end it and Tidegate goes on from where it stands"
            )
        if self._neighbour.state == "unknown":
            return "not known yet whether Argo Rollouts' own controller is at work, so Tidegate does not act"
        return ""

    def before(self, reconcile: Reconcile, *, tell: bool) -> Reconcile:
        """`reconcile`, but not while standing aside. tell: note the reason on the object then."""

        async def guarded(key: Key) -> Outcome:
            if not self.active:
                self._told.clear()
                return await reconcile(key)
            return await self._tell(key) if tell and self._neighbour.state == "at work" else DONE

        return guarded

    async def _tell(self, key: Key) -> Outcome:
        rollout = self._store.get(key)
        if rollout is None or "deletionTimestamp" in rollout["metadata"]:
            self._told.pop(key, None)
            return DONE
        uid = rollout["metadata"]["uid"]
        if self._told.get(key) == uid:
            return DONE
        status: Mapping[str, Any] = rollout.get("status") or {}
        given = status.get("conditions") or ()
        if not conditions.holds(given, names.CONDITION_STANDING_ASIDE):
            type_, reason = names.CONDITION_STANDING_ASIDE, names.REASON_ARGO_AT_WORK
            noted = conditions.put(given, type_, True, reason, self.why, now=self._now())
            try:
                await self._client.send(status_write(rollout, {**status, "conditions": noted}))
            except Conflict:
                return _AGAIN
            except NotFound:
                return DONE
        self._told[key] = uid
        return DONE
