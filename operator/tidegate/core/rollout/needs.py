"""What a decision needs to know beyond what the store keeps, so that it is only asked for then."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tidegate.core.plan import Key
from tidegate.core.rollout import metadata, restarts
from tidegate.core.rollout.release import Release
from tidegate.core.rollout.world import ReplicaSet, World

_SUFFIX: Final = 5
_STEM: Final = 63 - _SUFFIX
"""What the API server adds to a generated name, and how much it leaves of what it adds it to."""


def pods_of(world: World) -> frozenset[str]:
    """The hashes of the ReplicaSets whose pods this decision is about; mostly none."""
    if world.spec is None or world.problems or "deletionTimestamp" in world.rollout["metadata"]:
        return frozenset()
    sets = (*restarts.affected(world), *metadata.behind(world))
    return frozenset(rs.hash for rs in sets if rs.hash)


def endpoints_of(world: World) -> tuple[Key, ReplicaSet] | None:
    """A Service and the version that its canary subset is about to be given; mostly none.

    A ReplicaSet knows of its pods before the EndpointSlices do, and a subset of pods that no proxy has heard of
    answers 503 to everybody who is led to it.
    """
    selected = world.traffic.selected() if world.traffic else None
    if selected is None or selected.service is None or world.template_hash in (selected.canary, selected.stable):
        return None
    if world.spec is None or world.traffic is None or world.traffic.problems():
        return None
    new = Release.assess(world, world.spec).new
    if new is None or not new.available or new.hash in (selected.canary, selected.stable):
        return None
    return selected.service, new


def unheard_of(new: ReplicaSet, endpoints: Collection[str] | None) -> bool:
    """Whether available pods of this version are missing among the ready endpoints, given by the names of their pods.

    endpoints: None where the Service has no EndpointSlices at all, because its endpoints come from elsewhere.
    """
    if endpoints is None:
        return False
    stem = f"{new.name}-"[:_STEM]
    heard = sum(1 for name in endpoints if name[:-_SUFFIX] == stem)
    return heard < new.available
