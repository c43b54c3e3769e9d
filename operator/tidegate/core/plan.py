"""What a decision hands back: a plan of writes, the new status, and when to look again.

A plan is data. `decide` returns it, `tidegate.engine.apply` carries it out, and a test reads it like a sentence.
Every action states its intent in its type and knows the one request that it stands for, so nothing outside the
core has to know what a rollout is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

Verb = Literal["create", "patch", "delete"]


class Key(NamedTuple):
    """The address of one object. `namespace` is empty for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Write:
    """One request to the API server.

    `patch` says how `body` is to be read: a JSON merge patch (a mapping) or a JSON patch (a list of operations).
    Preconditions travel inside the body (`metadata.uid`, `metadata.resourceVersion`, or a JSON-patch `test`), for a
    delete in `uid`. An eviction is a create at its pod, and asks: a disruption budget may refuse it for now.
    """

    verb: Verb
    key: Key
    body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    patch: Literal["merge", "json"] = "merge"
    subresource: Literal["", "status", "eviction"] = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes event about the object that is being reconciled. step: the index of the canary step that it tells
    of, for listeners; no part of what is recorded."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"
    step: int | None = field(default=None, compare=False)


class Action(Protocol):
    """Something to do to the cluster. `event` is recorded once the request has succeeded."""

    @property
    def event(self) -> Event | None: ...

    def write(self) -> Write: ...


class Untold:
    """The part of an action that no event tells of."""

    __slots__ = ()

    @property
    def event(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of one decision.

    actions: to be carried out in this order, each only after the one before has succeeded.
    status: the whole `.status` the object should have, or None to leave it. Written once, after the actions and only
        when there are none left to do, so that a reader never sees half a step.
    events: what changed with this status; recorded after it has been written.
    again_at: look again at this time even if nothing happens.
    may_wait: seconds for which the engine may hold the status back, to send one write in place of five. 0 for
        anything that somebody may be waiting for.
    """

    actions: tuple[Action, ...] = ()
    status: Mapping[str, Any] | None = None
    events: tuple[Event, ...] = ()
    again_at: datetime | None = None
    may_wait: float = 0.0
