"""How many pods each revision should have: the arithmetic, without any state.

With a traffic router the canary needs the share of pods that its weight asks for and stable keeps its full size.
Without one the ratio of pods *is* the weight, and every change stays between `maxSurge` and `maxUnavailable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.api.common import pods_of
from tidegate.core.rollout.world import ReplicaSet


def needed(replicas: int, weight: int, whole: int = 100) -> int:
    """The fewest pods, out of `replicas` for all traffic, that can carry `weight` parts of the whole."""
    return -(-replicas * weight // whole)


def carries(available: int, replicas: int, whole: int = 100) -> int:
    """The greatest weight in parts of the whole that `available` pods can carry when `replicas` carry all of it.

    A Rollout that is scaled to nothing has no traffic to speak of: any weight can be carried.
    """
    return min(whole, whole * available // replicas) if replicas else whole


def nearly_carries(available: int, replicas: int, whole: int = 100) -> int:
    """As `carries`, but half of the pods or more carry their share rounded up: a fiftieth more than theirs at the most.

    Weights are whole numbers: of 3 pods, 2 carry 66 parts and the third 33. Where the pods of two versions are as many
    as all traffic needs, and there is room for no more, the part that is left belongs to the larger side, or neither
    could ever give way to the other.
    """
    if 2 * available < replicas:
        return carries(available, replicas, whole)
    return min(whole, -(-whole * available // replicas)) if replicas else whole


def nearly_needed(replicas: int, weight: int, whole: int = 100) -> int:
    """The fewest pods that nearly carry `weight` parts of the whole."""
    pods = needed(replicas, weight, whole)
    while pods and nearly_carries(pods - 1, replicas, whole) >= weight:
        pods -= 1
    return pods


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a change of pods may stray from the wanted number: so many more, so many fewer."""

    surge: int
    unavailable: int

    @classmethod
    def resolve(cls, max_surge: int | str, max_unavailable: int | str, replicas: int) -> Bounds:
        """Resolve both against the replica count.

        When both come to nothing, one pod may be unavailable, or no change could ever begin (as Deployments do it).
        """
        surge = pods_of(max_surge, replicas, round_up=True)
        unavailable = pods_of(max_unavailable, replicas, round_up=False)
        return cls(surge, max(unavailable, 0 if surge else 1))


@dataclass(frozen=True, slots=True)
class Ratio:
    """So many canary pods beside so many stable ones."""

    canary: int
    stable: int


def ratio(replicas: int, weight: int, surge: int) -> Ratio:
    """The numbers of pods whose ratio comes nearest to `weight` percent.

    Neither side is left without a pod by rounding, save where one pod is all there is and no surge is allowed. One
    pod of surge may be used when that comes nearer. Ties go to fewer pods, then to more canary pods.
    """
    if weight <= 0 or replicas == 0:
        return Ratio(0, replicas)
    if weight >= 100:
        return Ratio(replicas, 0)
    candidates = [
        Ratio(canary, total - canary)
        for total in ((replicas, replicas + 1) if surge else (replicas,))
        for canary in (-(-total * weight // 100), total * weight // 100)
        if 0 < canary < total or (replicas == 1 and not surge)
    ]
    if not candidates:
        return Ratio(1, max(replicas - 1, 0))
    return min(candidates, key=lambda r: abs(100 * r.canary - weight * (r.canary + r.stable)) / (r.canary + r.stable))


def roll(wanted: Sequence[tuple[ReplicaSet, int]], replicas: int, bounds: Bounds) -> dict[str, int]:
    """The next safe size of each ReplicaSet on the way to `wanted`, by name; those that stay are left out.

    `wanted` is in order of need: the first in the list grows first, the last shrinks first. Growth keeps the sum of
    pods within `replicas + surge`; shrinking keeps at least `replicas - unavailable` pods available, and pods that
    are not available may always go (the ReplicaSet controller removes those first).
    """
    sizes: dict[str, int] = {}
    room = replicas + bounds.surge - sum(rs.replicas for rs, _ in wanted)
    for rs, want in wanted:
        grow = min(want - rs.replicas, room)
        if grow > 0:
            sizes[rs.name] = rs.replicas + grow
            room -= grow
    spare = sum(rs.available for rs, _ in wanted) - max(replicas - bounds.unavailable, 0)
    for rs, want in reversed(wanted):
        excess = rs.replicas - want
        if excess <= 0:
            continue
        idle = rs.replicas - rs.available
        shrink = min(excess, idle + max(spare, 0))
        spare -= max(shrink - idle, 0)
        if shrink > 0:
            sizes[rs.name] = rs.replicas - shrink
    return sizes
