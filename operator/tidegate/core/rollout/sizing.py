"""The sizes of a canary's ReplicaSets at a weight, with a traffic router and without."""

from __future__ import annotations

from tidegate.core.rollout.pointing import referenced
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.replicas import Bounds, Ratio, needed, ratio, roll
from tidegate.core.rollout.revisions import keep, resize, retire, retire_all, wanted
from tidegate.core.rollout.shifting import observed


def at_weight(draft: Draft, weight: int) -> bool:
    """Whether the canary has this weight: in the routes and in available pods, or in the ratio of pods."""
    release = draft.release
    if release.new is None:
        return False
    traffic = draft.world.traffic
    if traffic is not None:
        # Scaled to nothing there is nobody to serve, and no pod that could ever bring the route to its weight.
        return not release.replicas or (
            release.available >= needed(release.replicas, weight, release.canary.whole)
            and traffic.observe().canary == weight
            and not traffic.split(weight)
        )
    goal = _goal(draft, weight)
    stable = release.stable.replicas if release.stable else 0
    held = 1 if release.stable and release.stable.hash in referenced(draft) else 0
    return (
        release.new.replicas == goal.canary
        and release.available >= goal.canary
        and goal.stable <= stable <= max(goal.stable, held)
        and not any(rs.replicas for rs in release.others)
    )


def size_update(draft: Draft, weight: int, least: int = 0) -> None:
    """Size every ReplicaSet for an update that stands at this weight. least: pods that managed routes lead to."""
    release = draft.release
    if draft.world.traffic is None:
        _roll(draft, _goal(draft, weight))
        return
    if release.stable is not None:
        keep(draft, release.stable, release.replicas)
    new = wanted(release)
    pods = needed(release.replicas, weight, release.canary.whole)
    if new.hash in referenced(draft):
        pods = max(pods, needed(release.replicas, observed(draft), release.canary.whole))
        least = max(least, 1 if draft.world.traffic.managed() else 0)
    pods = max(pods, min(least, release.replicas))
    keep(draft, new, pods)
    retire_others(draft)


def size_held(draft: Draft) -> None:
    """Size every ReplicaSet while a person holds the update: only the Rollout's own size may change."""
    release = draft.release
    if release.new is None:
        if release.stable is not None:
            keep(draft, release.stable, release.replicas)
    elif draft.world.traffic is None:
        canary = min(release.new.replicas, release.replicas)
        _roll(draft, Ratio(canary, release.replicas - canary))
    else:
        size_update(draft, observed(draft))


def size_undone(draft: Draft, *, traffic_gone: bool) -> None:
    """Size every ReplicaSet after an abort; the canary's pods stay while any traffic may still reach them."""
    release = draft.release
    if draft.world.traffic is None:
        _roll(draft, _goal(draft, 0))
        return
    if release.stable is not None:
        keep(draft, release.stable, release.replicas)
    if traffic_gone:
        if release.new is not None and release.new.hash not in referenced(draft):
            retire(draft, release.new, release.canary.abort_scale_down_delay)
        retire_others(draft)


def size_alone(draft: Draft) -> None:
    """Size every ReplicaSet where the new one is, or is to become, the only one."""
    release = draft.release
    if draft.world.traffic is None and not any(rs.replicas and rs.deadline for rs in release.others):
        _roll(draft, Ratio(release.replicas, 0))
        return
    keep(draft, wanted(release), release.replicas)
    if release.available >= release.replicas:
        retire_others(draft)


def retire_others(draft: Draft) -> None:
    """Retire the revisions that no Service or subset stands for."""
    release = draft.release
    pointed_at = referenced(draft)
    retire_all(
        draft,
        [rs for rs in release.others if rs.hash not in pointed_at],
        release.canary.scale_down_delay,
        release.canary.scale_down_delay_revision_limit,
    )


def _goal(draft: Draft, weight: int) -> Ratio:
    return ratio(draft.release.replicas, weight, _bounds(draft).surge)


def _bounds(draft: Draft) -> Bounds:
    canary = draft.release.canary
    return Bounds.resolve(canary.max_surge, canary.max_unavailable, draft.release.replicas)


def _roll(draft: Draft, goal: Ratio) -> None:
    """One safe move of pods between the revisions. On the way back stable grows first and the canary goes first.

    A revision that a Service still selects keeps its last pod.
    """
    release = draft.release
    new = wanted(release)
    order = [(new, goal.canary)]
    if release.stable is not None and release.stable is not release.new:
        stable = (release.stable, goal.stable)
        order = [stable, *order] if draft.aborted else [*order, stable]
    order += [(rs, 0) for rs in release.others]
    pointed_at = referenced(draft)
    floor = {rs.name: 1 for rs, _ in order if rs.hash in pointed_at and rs.replicas}
    sizes = roll(order, release.replicas, _bounds(draft))
    for rs, _ in order:
        if rs.name in sizes or not rs.uid:
            resize(draft, rs, max(sizes.get(rs.name, rs.replicas), floor.get(rs.name, 0)))
