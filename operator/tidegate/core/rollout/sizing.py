"""The sizes of a canary's ReplicaSets at a weight, with a traffic router and without."""

from __future__ import annotations

from tidegate.core.rollout.pointing import referenced
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.replicas import Bounds, Ratio, needed, ratio, roll
from tidegate.core.rollout.revisions import keep, resize, retire, retire_all, wanted
from tidegate.core.rollout.shifting import observed
from tidegate.core.rollout.world import ReplicaSet


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
    stable, held = (release.stable.replicas, _floor(draft, release.stable)) if release.stable else (0, 0)
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
    pods = max(needed(release.replicas, weight, release.canary.whole), min(least, release.replicas))
    _size_canary(draft, wanted(release), pods)
    retire_others(draft)


def gives_way(draft: Draft, weight: int) -> bool:
    """Whether stable's Service has to go over to the new version before that is complete: without a router and
    without surge, the last pod that this Service selects is in the way of the last new one."""
    release = draft.release
    if draft.world.traffic is not None or release.stable is None or _bounds(draft).surge:
        return False
    last = release.stable.replicas == 1 == _floor(draft, release.stable)
    return last and _goal(draft, weight).stable == 0 and release.available >= release.replicas - 1 > 0


def size_held(draft: Draft, weight: int) -> None:
    """Size every ReplicaSet while a person holds the update, at a step of this weight: it follows the Rollout's own
    size, but brings no pods up for traffic that may not come yet."""
    release = draft.release
    if release.new is None:
        if release.stable is not None:
            keep(draft, release.stable, release.replicas)
    elif draft.world.traffic is None:
        canary = min(release.new.replicas, release.replicas)
        _roll(draft, Ratio(canary, release.replicas - canary))
    else:
        if release.stable is not None:
            keep(draft, release.stable, release.replicas)
        pods = min(release.new.replicas, needed(release.replicas, weight, release.canary.whole))
        _size_canary(draft, release.new, pods)
        retire_others(draft)


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


def _size_canary(draft: Draft, rs: ReplicaSet, pods: int) -> None:
    """Bring the canary to so many pods: more where its end stands for it and has more traffic, and never without the
    last one then, for those who come to it by another way, such as a header route. One of ours brings up the first."""
    release, traffic = draft.release, draft.world.traffic
    if rs.hash in referenced(draft) and release.replicas:
        last = 1 if traffic is not None and traffic.managed() else min(rs.replicas, 1)
        pods = max(pods, needed(release.replicas, observed(draft), release.canary.whole), last)
    if pods < rs.replicas and rs.deadline is not None and not draft.reached(rs.deadline):
        return  # It was stable a moment ago and has come back: its pods have their delay yet.
    keep(draft, rs, pods)


def _goal(draft: Draft, weight: int) -> Ratio:
    return ratio(draft.release.replicas, weight, _bounds(draft).surge)


def _bounds(draft: Draft) -> Bounds:
    canary = draft.release.canary
    return Bounds.resolve(canary.max_surge, canary.max_unavailable, draft.release.replicas)


def _roll(draft: Draft, goal: Ratio) -> None:
    """One safe move of pods between the revisions. On the way back stable grows first and the canary goes first."""
    release = draft.release
    new = wanted(release)
    order = [(new, goal.canary)]
    if release.stable is not None and release.stable is not release.new:
        stable = (release.stable, goal.stable)
        order = [stable, *order] if draft.aborted else [*order, stable]
    order += [(rs, 0) for rs in release.others]
    sizes = roll(order, release.replicas, _bounds(draft))
    for rs, _ in order:
        if rs.name in sizes or not rs.uid:
            resize(draft, rs, max(sizes.get(rs.name, rs.replicas), _floor(draft, rs)))


def _floor(draft: Draft, rs: ReplicaSet) -> int:
    """The fewest pods of a revision where the ratio of pods is the weight: one that a Service still selects keeps its
    last pod, unless all pods may be gone for a time."""
    spared = rs.replicas > 0 and rs.hash in referenced(draft)
    return 1 if spared and _bounds(draft).unavailable < draft.release.replicas else 0
