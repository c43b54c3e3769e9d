"""What a decision knows of traffic routers: a few questions, answered without any I/O.

The routers implement this over the objects that were gathered; the core only ever sees the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tidegate.api.problems import Problem
from tidegate.api.rollout import SetHeaderRoute, SetMirrorRoute
from tidegate.core.plan import Key, Write

ManagedRoute = SetHeaderRoute | SetMirrorRoute
"""A route of ours in front of the users' own, as a step asks for it."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The split that the routes show now, in parts of the whole: of 100, or maxTrafficWeight.

    With several routes that disagree, `canary` is the greatest canary weight and `stable` the least stable weight:
    the view under which traffic is never believed safer than it is.
    """

    canary: int
    stable: int


@dataclass(frozen=True, slots=True)
class Extra:
    """A version beside canary and stable that gets a part of the traffic, such as one of an experiment.

    name: of its Service, and of its subset where the split is by subsets. weight: its part of the whole; 0 takes it
    out again. All extras and foreign weights together stay below the whole. hash: its pod template hash. port: of its
    Service; 0 for the canary's.
    """

    name: str
    weight: int
    hash: str = ""
    port: int = 0

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("an additional destination needs the name of a Service: an empty host leads nowhere")


@dataclass(frozen=True, slots=True)
class Selected:
    """The pod template hashes that the canary's and stable's subsets select; empty where they name none.

    service: whose pods they divide; None where the host is no Service of this cluster.
    """

    canary: str
    stable: str
    service: Key | None = None


class Traffic(Protocol):
    """The routes of one Rollout, bound to the objects as they were gathered."""

    def problems(self) -> tuple[Problem, ...]:
        """Why the routes can't be used: a missing object, route, destination or subset. Empty when all is well."""
        ...

    def observe(self) -> Observed:
        """The split as the routes show it. Only called when there are no problems."""
        ...

    def split(
        self, canary: int, routes: Sequence[ManagedRoute] | None = None, extras: Sequence[Extra] = ()
    ) -> tuple[Write, ...]:
        """The writes that give the canary `canary` parts and stable the rest; none where the route shows it.

        routes: the managed routes that there should be, and no others; None leaves them as they are. Routes that
        mirror carry users too, so they get the same weights.
        extras: further destinations to set, add, or take out. Destinations that are not named keep their weight.
        """
        ...

    def shares(self, names: Sequence[str]) -> Mapping[str, int]:
        """The weights of these further destinations: the greatest that any route shows, without those at nothing."""
        ...

    def managed(self) -> tuple[str, ...]:
        """The names of the managed routes that are there: each leads some users to the canary whatever the weights."""
        ...

    def point(self, *, canary_hash: str, stable_hash: str, extras: Sequence[Extra] = ()) -> tuple[Write, ...]:
        """The writes that make subsets select these pod template hashes; none where they do, or without subsets.

        extras: subsets to add or point, or to remove where the weight is 0. A subset comes before the routes lead to
        it, and goes when none does any more.
        """
        ...

    def selected(self) -> Selected | None:
        """What the subsets select now; None without subsets."""
        ...
