"""What a decision knows of traffic routers: a few questions, answered without any I/O.

The routers implement this over the objects that were gathered; the core only ever sees the protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tidegate.api.problems import Problem
from tidegate.core.plan import Write


@dataclass(frozen=True, slots=True)
class Observed:
    """The split that the routes show now, in parts of 100.

    With several routes that disagree, `canary` is the greatest canary weight and `stable` the least stable weight:
    the view under which traffic is never believed safer than it is.
    """

    canary: int
    stable: int


@dataclass(frozen=True, slots=True)
class Selected:
    """The pod template hashes that the canary's and stable's subsets select; empty where they name none."""

    canary: str
    stable: str


class Traffic(Protocol):
    """The routes of one Rollout, bound to the objects as they were gathered."""

    def problems(self) -> tuple[Problem, ...]:
        """Why the routes can't be used: a missing object, route, destination or subset. Empty when all is well."""
        ...

    def observe(self) -> Observed:
        """The split as the routes show it. Only called when there are no problems."""
        ...

    def split(self, canary: int) -> tuple[Write, ...]:
        """The writes that give the canary `canary` percent and stable the rest; none where the route shows it."""
        ...

    def point(self, *, canary_hash: str, stable_hash: str) -> tuple[Write, ...]:
        """The writes that make subsets select these pod template hashes; none where they do, or without subsets."""
        ...

    def selected(self) -> Selected | None:
        """What the subsets select now; None without subsets."""
        ...
