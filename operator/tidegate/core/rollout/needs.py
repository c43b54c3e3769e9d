"""What a decision needs to know beyond what the store keeps, so that it is only asked for then."""

from __future__ import annotations

from tidegate.core.rollout import metadata, restarts
from tidegate.core.rollout.world import World


def pods_of(world: World) -> frozenset[str]:
    """The hashes of the ReplicaSets whose pods this decision is about; mostly none."""
    if world.spec is None or world.problems or "deletionTimestamp" in world.rollout["metadata"]:
        return frozenset()
    sets = (*restarts.affected(world), *metadata.behind(world))
    return frozenset(rs.hash for rs in sets if rs.hash)
