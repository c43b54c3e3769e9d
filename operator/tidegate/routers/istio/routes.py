"""One route of a VirtualService (HTTP, TLS or TCP): which of its weights are ours, what they show and should be.

Destinations of others in the same route are left alone: each keeps its weight, and stable gets what is left of
the whole after the canary and them. Argo Rollouts removes such destinations (#3125, #2266, #2526).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tidegate.api.problems import Problem
from tidegate.core.traffic import Observed
from tidegate.routers.istio.hosts import covers, fqdn

Json = Mapping[str, Any]

RouteKind = Literal["http", "tls", "tcp"]
"""The lists of routes that a VirtualService has; their entries look alike where weights are concerned."""


@dataclass(frozen=True, slots=True)
class End:
    """How one side of the split is named in a route: by the host of its Service, or by a subset of one host.

    title: what messages call it, in the contract's words.
    host: the full name, for subsets possibly with a wildcard; empty where any host will do.
    subset: empty for a split by hosts.
    """

    title: str
    host: str
    subset: str = ""

    def is_in(self, destination: Json, namespace: str) -> bool:
        """Whether a destination of a VirtualService in `namespace` goes to this end."""
        if self.subset and destination.get("subset") != self.subset:
            return False
        return not self.host or covers(self.host, fqdn(destination.get("host") or "", namespace))


@dataclass(frozen=True, slots=True)
class Ends:
    """The two sides of the split, and what the weights of a route add up to."""

    canary: End
    stable: End
    whole: int = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A further destination: how it is known, what of it differs from the canary's destination, the wanted weight."""

    end: End
    differs: Mapping[str, Any]
    weight: int


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one end in a route: its position among the destinations, the destination, the weight."""

    position: int
    destination: Json
    weight: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a route should become: weights to have, destinations to lose, destinations to gain."""

    weights: Sequence[tuple[Slot, int]]
    gone: Sequence[Slot]
    new: Sequence[dict[str, Any]]

    @property
    def changes(self) -> bool:
        return bool(self.gone or self.new or any(slot.weight != weight for slot, weight in self.weights))


@dataclass(frozen=True, slots=True)
class Route:
    """A route whose canary and stable weights are ours. `others` is the sum of all other weights in it."""

    kind: RouteKind
    index: int
    name: str
    canary: Slot
    stable: Slot
    others: int
    whole: int
    destinations: Sequence[Json]
    namespace: str

    def observe(self) -> Observed:
        """The split in parts of the whole. Weights that we did not set need not add up; only their ratio counts.

        Rounded so that the canary never looks smaller than it is, nor stable larger. Where the others leave less
        than the canary's weight, a split of ours reads as it was set: (canary, 0).
        """
        canary, stable = self.canary.weight, self.stable.weight
        if canary <= self.whole and stable == self._left_of(canary):
            return Observed(canary, stable)
        total = canary + stable + self.others
        if total <= 0:
            return Observed(0, 0)
        return Observed(-(-self.whole * canary // total), self.whole * stable // total)

    def set(self, canary: int, places: Sequence[Place] = ()) -> list[dict[str, Any]]:
        """The JSON-patch operations that give the canary `canary` parts; none where the route shows it.

        Where the canary has nothing and stable all, the figure for all does not matter: a route that its owner keeps
        at 100 in Git is not counted up to another whole between updates.

        Each weight is guarded by tests of the route's name and of what the destinations are. Routes that moved since
        the object was read make the patch fail as a whole, so a weight can't land on a stranger's.
        """
        wanted = self._wanted(canary, places)
        if not wanted.changes or (not canary and not places and self._is_at_rest()):
            return []
        at = f"/spec/{self.kind}/{self.index}"
        operations: list[dict[str, Any]] = []
        if self.name:
            operations.append({"op": "test", "path": f"{at}/name", "value": self.name})
        for slot in (*(slot for slot, _ in wanted.weights), *wanted.gone):
            path = f"{at}/route/{slot.position}/destination"
            operations.append({"op": "test", "path": path, "value": slot.destination})
        for slot, weight in wanted.weights:
            # `add` replaces what is there, and does where an omitted weight is not there to be replaced.
            path = f"{at}/route/{slot.position}/weight"
            operations.append({"op": "add", "path": path, "value": weight})
        # From the last to the first: each removal moves those behind it.
        gone = sorted((slot.position for slot in wanted.gone), reverse=True)
        operations += [{"op": "remove", "path": f"{at}/route/{position}"} for position in gone]
        return [*operations, *({"op": "add", "path": f"{at}/route/-", "value": one} for one in wanted.new)]

    def weighted(self, canary: int, places: Sequence[Place] = ()) -> list[dict[str, Any]]:
        """All destinations of the route, with the weights that they have when the canary has this one."""
        wanted = self._wanted(canary, places)
        ours = {slot.position: weight for slot, weight in wanted.weights}
        gone = {slot.position for slot in wanted.gone}
        kept = [
            {**one, "weight": ours.get(position, _weight(one))}
            for position, one in enumerate(self.destinations)
            if position not in gone
        ]
        return [*kept, *wanted.new]

    def weight_of(self, end: End) -> int:
        """The weight of a further destination; 0 where it is not there."""
        return sum(slot.weight for slot in _slots(self.destinations, end, self.namespace))

    def _wanted(self, canary: int, places: Sequence[Place]) -> _Wanted:
        weights, gone, new = [(self.canary, canary)], [], []
        others = self.others
        for place in places:
            slot = next(_slots(self.destinations, place.end, self.namespace), None)
            others += place.weight - (slot.weight if slot else 0)
            if slot and place.weight:
                weights.append((slot, place.weight))
            elif slot:
                gone.append(slot)
            elif place.weight:
                destination = {**self.canary.destination, **place.differs}
                new.append({"destination": destination, "weight": place.weight})
        weights.insert(1, (self.stable, max(0, self.whole - canary - others)))
        return _Wanted(weights, gone, new)

    def _left_of(self, canary: int) -> int:
        return max(0, self.whole - canary - self.others)

    def _is_at_rest(self) -> bool:
        return not self.canary.weight and not self.others and self.stable.weight > 0


def has_an_end(route: Json, ends: Ends, namespace: str) -> bool:
    """Whether any destination of a route is one of ours."""
    destinations = [weighted.get("destination") or {} for weighted in route.get("route") or ()]
    return any(end.is_in(one, namespace) for one in destinations for end in (ends.canary, ends.stable))


def read_route(
    kind: RouteKind, index: int, route: Json, ends: Ends, *, owner: str, namespace: str, at: str
) -> Route | Problem:
    """Find both ends in one route.

    owner: the VirtualService, as messages name it. at: the path of the Rollout's field that chose the route.
    """
    destinations: Sequence[Json] = route.get("route") or ()
    where = f"route {route.get('name') or f'spec.{kind}[{index}]'} of {owner}"
    slots: list[Slot] = []
    for end in (ends.canary, ends.stable):
        found = list(_slots(destinations, end, namespace))
        if not found:
            return Problem(at, _not_found(end, where, destinations, namespace))
        if len(found) > 1:
            said = (
                f"{end.title} is {len(found)} of the destinations in {where}; leave one, its weight is set as a whole"
            )
            return Problem(at, said)
        slots.append(found[0])
    canary, stable = slots
    total = sum(_weight(destination) for destination in destinations)
    others = total - canary.weight - stable.weight
    if others >= ends.whole:
        said = f"other destinations in {where} have a weight of {others} together"
        return Problem(at, f"{said}, so nothing of {ends.whole} is left to split; lower theirs")
    return Route(kind, index, route.get("name") or "", canary, stable, others, ends.whole, destinations, namespace)


def _slots(destinations: Sequence[Json], end: End, namespace: str) -> Iterator[Slot]:
    for position, weighted in enumerate(destinations):
        destination = weighted.get("destination") or {}
        if end.is_in(destination, namespace):
            yield Slot(position, destination, _weight(weighted))


def _weight(weighted: Json) -> int:
    """An omitted weight is 0 to Istio wherever a route has more than one destination, as ours always do."""
    return int(weighted.get("weight") or 0)


def _not_found(end: End, where: str, destinations: Sequence[Json], namespace: str) -> str:
    told = f"{end.title} not found in route: {where}"
    if not destinations:
        return f"{told} has no destinations at all; it needs one for each version"
    there = ", ".join(_shown(weighted.get("destination") or {}, namespace) for weighted in destinations)
    wanted = f"subset {end.subset} of {end.host}" if end.subset and end.host else end.subset or end.host
    return f"{told} has {there}; add {wanted} with weight 0"


def _shown(destination: Json, namespace: str) -> str:
    host = fqdn(destination.get("host") or "(no host)", namespace)
    return f"{host} (subset {destination['subset']})" if destination.get("subset") else host
