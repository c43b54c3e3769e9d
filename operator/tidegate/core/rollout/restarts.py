"""`restartAt`: every pod from before a time is replaced, a few at once, without a new revision.

Pods are evicted and not deleted, so disruption budgets have their say. Unlike with Argo Rollouts, a pod that is not
available may go although others are missing too: nobody loses anything, and pods that all crash are a common reason to
restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from tidegate.api.common import pods_of
from tidegate.core.rollout.actions import Evict
from tidegate.core.rollout.release import Draft, Release
from tidegate.core.rollout.world import Pod, ReplicaSet, World
from tidegate.core.times import parse_time


def under_way(world: World) -> bool:
    """Whether a restart has been asked for, its time has come, and it is not done."""
    return (at := asked(world)) is not None and world.now >= at


def asked(world: World) -> datetime | None:
    """The time of a restart that has not been carried out yet, if one is asked for."""
    text = world.spec.restart_at if world.spec else None
    if text is None:
        return None
    at, done = parse_time(text), world.status.get("restartedAt")
    return None if done and parse_time(done) >= at else at


def affected(world: World) -> tuple[ReplicaSet, ...]:
    """The ReplicaSets whose pods have to be known for the restart to go on."""
    if not under_way(world) or (world.no_eviction_before and world.now < world.no_eviction_before):
        return ()
    return tuple(rs for rs in world.replica_sets if not rs.deleting and (rs.replicas or rs.current))


def follow(draft: Draft) -> None:
    """Take the restart one step further: evict what may go now, and tell when every pod is younger."""
    world = draft.world
    at = asked(world)
    if at is None or not draft.reached(at):
        return
    if world.no_eviction_before and not draft.reached(world.no_eviction_before):
        return
    old = [(rs, pod) for rs, pod in _in_order(draft.release) if pod.created < at and not pod.deleting]
    if not old:
        draft.status["restartedAt"] = draft.release.spec.restart_at
        return
    for pod in _may_go(draft, at, old):
        draft.do(Evict(world.namespace, pod))


def _may_go(draft: Draft, at: datetime, old: Iterable[tuple[ReplicaSet, Pod]]) -> Iterator[Pod]:
    """Old pods, as many as may be on their way at once."""
    pods = _in_order(draft.release)
    wanted = sum(rs.replicas for rs in affected(draft.world))
    limit = max(_max_unavailable(draft.release), 1)
    available = sum(_available(draft, rs, pod) for rs, pod in pods)
    coming = sum(pod.created >= at and not _available(draft, rs, pod) for rs, pod in pods if not pod.deleting)
    missing = max(wanted - sum(not pod.deleting for _, pod in pods), 0)
    room, spare = limit - coming - missing, available - (max(wanted, draft.release.replicas) - limit)
    for rs, pod in old:
        if room <= 0:
            return
        if _available(draft, rs, pod):
            if spare <= 0:
                continue
            spare -= 1
        room -= 1
        yield pod


def _in_order(release: Release) -> list[tuple[ReplicaSet, Pod]]:
    """Every pod with its ReplicaSet: stable's, the new revision's, then older ones'."""
    older = sorted(release.others, key=lambda rs: (rs.created, rs.name))
    sets = {rs.uid: rs for rs in (release.stable, release.new, *older) if rs is not None}
    pods = sorted(release.world.pods, key=lambda pod: (pod.created, pod.name))
    return [(rs, pod) for uid, rs in sets.items() for pod in pods if pod.owner == uid]


def _available(draft: Draft, rs: ReplicaSet, pod: Pod) -> bool:
    return pod.available(rs.min_ready_seconds, draft.world.now)


def _max_unavailable(release: Release) -> int:
    strategy = release.spec.strategy
    given = strategy.blue_green.max_unavailable if strategy.blue_green else release.canary.max_unavailable
    return pods_of(given, release.replicas, round_up=False)
