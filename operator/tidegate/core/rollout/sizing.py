"""The sizes of a canary's ReplicaSets at a weight, with a traffic router and without."""

from __future__ import annotations

from collections.abc import Callable

from tidegate.core.rollout.aims import Aim
from tidegate.core.rollout.pointing import canary_end, canary_end_carries, canary_stands_for, referenced, stable_end
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.replicas import Bounds, Ratio, carries, nearly_needed, needed, ratio, roll
from tidegate.core.rollout.revisions import keep, resize, retire, retire_all, wanted
from tidegate.core.rollout.shifting import led, observed
from tidegate.core.rollout.world import ReplicaSet


def at_weight(draft: Draft, aim: Aim) -> bool:
    """Whether the canary has this weight: in the routes and in available pods, or in the ratio of pods. By a
    replicaProgressThreshold fewer pods do, with the weight that they can carry."""
    release = draft.release
    if release.new is None:
        return False
    traffic = draft.world.traffic
    if traffic is not None:
        # Scaled to nothing there is nobody to serve, and no pod that could ever bring the route to its weight.
        weight = weight_now(draft, aim)
        return not release.replicas or (
            _enough(draft, _canary_pods(draft, aim))
            and bool(weight) == bool(aim.weight)
            and traffic.observe().canary == weight
            and not traffic.split(weight)
        )
    goal = _goal(draft, aim.weight)
    missing = max(goal.canary - release.available, 0)
    stable, held = (release.stable.replicas, _floor(draft, release.stable)) if release.stable else (0, 0)
    return (
        release.new.replicas == goal.canary
        and _enough(draft, goal.canary)
        and goal.stable <= stable <= max(goal.stable + missing, held)
        and not any(rs.replicas for rs in release.others)
    )


def at_scale(draft: Draft, aim: Aim) -> bool:
    """Whether as many canary pods are available as the step asks for."""
    release = draft.release
    return release.new is not None and _enough(draft, _canary_pods(draft, aim))


def weight_now(draft: Draft, aim: Aim) -> int:
    """The canary weight to go for now: the aim's, or by a replicaProgressThreshold as much of it as the available pods
    can carry, once they are enough. It does not go back when a pod is lost on the way."""
    release, now = draft.release, observed(draft)
    if release.canary.replica_progress_threshold is None:
        return aim.weight
    enough = _enough(draft, _canary_pods(draft, aim))
    carried = carries(release.available, release.replicas, release.canary.whole) if enough else 0
    return min(aim.weight, max(now, carried))


def size_update(draft: Draft, aim: Aim) -> None:
    """Size every ReplicaSet for an update that stands at this aim."""
    release = draft.release
    if draft.world.traffic is None:
        _roll(draft, _goal(draft, aim.weight))
        return
    new = wanted(release)
    # A version before it at the canary's end has to lose all of its traffic first, and stable has to take that.
    _size_stable(draft, aim.weight if canary_stands_for(draft, new) else 0)
    _size_canary(draft, new, _canary_pods(draft, aim), aim)
    _drain_others(draft)
    retire_others(draft)


def gives_way(draft: Draft, weight: int) -> bool:
    """Whether stable's Service has to go over to the new version before that is complete: without a router and
    without surge, the last pod that this Service selects is in the way of the last new one."""
    release = draft.release
    if draft.world.traffic is not None or release.stable is None or _bounds(draft).surge:
        return False
    last = release.stable.replicas == 1 == _floor(draft, release.stable)
    return last and _goal(draft, weight).stable == 0 and release.available >= release.replicas - 1 > 0


def size_held(draft: Draft, aim: Aim) -> None:
    """Size every ReplicaSet while a person holds the update, at a step of this aim: it follows the Rollout's own
    size, but brings no pods up for traffic that may not come yet."""
    release = draft.release
    if release.new is None and draft.world.traffic is None:
        if release.stable is not None:
            keep(draft, release.stable, release.replicas)
    elif release.new is None:
        _size_stable(draft, observed(draft))
    elif draft.world.traffic is None:
        canary = min(release.new.replicas, release.replicas)
        _roll(draft, Ratio(canary, release.replicas - canary))
    else:
        _size_stable(draft, observed(draft))
        _size_canary(draft, release.new, min(release.new.replicas, _canary_pods(draft, aim)), aim)
        retire_others(draft)


def size_undone(draft: Draft, *, traffic_gone: bool) -> None:
    """Size every ReplicaSet after an abort; the canary's pods stay while any traffic may still reach them."""
    release = draft.release
    if draft.world.traffic is None:
        _roll(draft, _goal(draft, 0))
        return
    _size_stable(draft, 0)
    _drain_others(draft)
    if release.new is not None and release.canary.abort_scale_down_delay_seconds is None:
        _drain(draft, release.new)
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
    _drain_others(draft)
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


def _size_canary(draft: Draft, rs: ReplicaSet, pods: int, aim: Aim) -> None:
    """Bring the canary to so many pods, or to those that its end needs."""
    pods = max(pods, _in_use(draft, rs, aim))
    served = led(draft) and canary_stands_for(draft, rs)  # From here on its delay begins when they have left again.
    if pods < rs.replicas and rs.deadline is not None and not served and not draft.reached(rs.deadline):
        return  # It was stable a moment ago and has come back: its pods have their delay yet.
    keep(draft, rs, pods)


def _size_stable(draft: Draft, weight: int) -> None:
    """Give stable its pods behind a router: all of them, or by dynamicStableScale those for what is not the canary's,
    now and at this weight.

    They go only after their traffic has, in every route, and come before it does: see peers' deadlocks on an abort.
    """
    release, now, whole = draft.release, observed(draft), draft.release.canary.whole
    stable, pods = release.stable, release.replicas
    if stable is None:
        return
    elsewhere = canary_end(draft) != stable.hash  # At rest both ends are stable's, whatever weight somebody sets.
    if release.canary.dynamic_stable_scale and elsewhere and canary_end_carries(draft, now):
        pods = max(needed(pods, whole - min(weight, now), whole), min(stable.replicas, _least(draft, Aim(0))))
        assert draft.world.traffic is not None
        if draft.world.traffic.split(now):
            pods = max(pods, stable.replicas)  # Some route still gives stable more than this.
    keep(draft, stable, min(pods, release.replicas))


def _drain_others(draft: Draft) -> None:
    for rs in draft.release.others:
        _drain(draft, rs)


def _drain(draft: Draft, rs: ReplicaSet) -> None:
    """Let the pods at the canary's end go as its traffic does, where stable may need their room to take it back."""
    if draft.world.traffic is None or not draft.release.canary.dynamic_stable_scale:
        return
    pods = _in_use(draft, rs, Aim(0), nearly_needed)
    if pods < rs.replicas and rs.hash == canary_end(draft) != stable_end(draft):
        resize(draft, rs, pods)


def _canary_pods(draft: Draft, aim: Aim) -> int:
    """How many pods the canary should have behind a router. A setCanaryScale gives it more than its weight asks for,
    never fewer: traffic only goes where there is capacity, and a step whose weight too few pods can carry would wait
    for ever."""
    replicas, scale = draft.release.replicas, aim.scale
    if not replicas:
        return 0
    pods = max(needed(replicas, aim.weight, draft.release.canary.whole), 1 if aim.routes else 0)
    if scale is not None and scale.replicas is not None:
        return max(pods, scale.replicas)
    pods = max(pods, needed(replicas, scale.weight or 0) if scale else 0)
    return max(pods, _least(draft, aim)) if pods else 0


def _in_use(draft: Draft, rs: ReplicaSet, aim: Aim, count: Callable[[int, int, int], int] = needed) -> int:
    """The fewest pods that the canary's end needs: what its traffic asks for, and the last ones for those who come to
    it by another way, such as a testers' header route."""
    release = draft.release
    if rs.hash not in referenced(draft) or not release.replicas:
        return 0
    led_here = draft.world.traffic is not None and bool(draft.world.traffic.managed())
    least = min(max(rs.replicas, int(led_here)), _least(draft, aim))
    return max(count(release.replicas, observed(draft), release.canary.whole), least)


def _least(draft: Draft, aim: Aim) -> int:
    """The fewest pods of a version that has any, behind a router: a scale in pods is exact."""
    if aim.scale is not None and aim.scale.replicas is not None:
        return 1
    return max(min(draft.release.canary.min_pods_per_replica_set, draft.release.replicas), 1)


def _enough(draft: Draft, pods: int) -> bool:
    """Whether the canary has so many pods available, or the part of them that the threshold asks for."""
    threshold = draft.release.canary.replica_progress_threshold
    return draft.release.available >= (pods if threshold is None else threshold.of(pods))


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
