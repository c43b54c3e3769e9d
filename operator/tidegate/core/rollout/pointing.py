"""The ends of traffic: which revision each Service, and each subset of a router, stands for."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from tidegate.api import names
from tidegate.core.rollout import conditions
from tidegate.core.rollout.actions import PointService, PointSubsets
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.replicas import carries, nearly_carries
from tidegate.core.rollout.world import ReplicaSet, Service

_LISTEN: Final = timedelta(milliseconds=200)
_LISTEN_SELDOM: Final = timedelta(seconds=5)
_LEARN: Final = timedelta(seconds=2)
"""Proxies learn of new weights one after the other, mostly within a second."""
_MOMENT: Final = timedelta(seconds=10)
"""Endpoints mostly follow their pods at once. Where they have not after a moment, something else is wrong."""


def point_service(draft: Draft, name: str, target: ReplicaSet, *, at_once: bool = False) -> bool:
    """Make a Service select the pods of `target`; True when it does so already (or there is no such Service).

    at_once: whoever may still be on the way to the pods that it selects now.

    A Service that selects no revision yet may be serving users from pods that are not ours, so it is only taken over
    once all pods of the target are available. Later one available pod is enough: what was selected before is going. Of
    a Rollout that is scaled to 0 no pod is asked for, once what was selected before has none either.
    """
    service = draft.world.services.get(name) if name else None
    if service is None or service.hash == target.hash:
        return True
    enough = max(target.replicas, 1) if not service.hash else 1
    idle = service.hash and not draft.release.replicas and not _available(draft, service.hash)
    if (idle or target.available >= enough) and (at_once or not _still_met(draft, service)):
        draft.do(PointService(draft.world.namespace, service, target.hash, draft.world.name))
    return False


def _still_met(draft: Draft, service: Service) -> bool:
    """Whether pods would be left without any Service a moment after routes have led users to them: their sidecars
    refuse whoever comes by a weight of before."""
    since, left = draft.world.led_since, service.hash
    if since is None or not left or not _available(draft, left) or draft.world.now >= since + _LEARN:
        return False
    if any(other.hash == left for other in draft.world.services.values() if other and other.name != service.name):
        return False
    return not draft.reached(since + _LEARN)


def point_ends(
    draft: Draft, *, canary: ReplicaSet | None = None, stable: ReplicaSet | None = None, at_once: bool = False
) -> bool:
    """Make the canary's and stable's ends stand for these revisions; None leaves an end alone. True when they do.

    at_once: of stable's end, as for `point_service`.
    """
    strategy = draft.release.canary
    done = True
    if stable is not None:
        done = point_service(draft, strategy.stable_service, stable, at_once=at_once)
    if canary is not None:
        done = point_service(draft, strategy.canary_service, canary) and done
    return _point_subsets(draft, canary, stable) and done


def stable_end_waits(draft: Draft, target: ReplicaSet) -> bool:
    """Whether stable's end is to go over to `target` and has not yet, for the sake of the pods that it leaves."""
    service = draft.world.services.get(draft.release.canary.stable_service)
    return service is not None and service.hash != target.hash and _still_met(draft, service)


def canary_stands_for(draft: Draft, target: ReplicaSet) -> bool:
    """Whether the canary's end, Service and subset alike, stands for this revision."""
    name = draft.release.canary.canary_service
    service = draft.world.services.get(name) if name else None
    if service is not None and service.hash != target.hash:
        return False
    selected = draft.world.traffic.selected() if draft.world.traffic else None
    return selected is None or selected.canary == target.hash


def canary_end(draft: Draft) -> str:
    """The revision that the canary's traffic goes to; empty where its end selects none."""
    selected = draft.world.traffic.selected() if draft.world.traffic else None
    return selected.canary if selected else _service_hash(draft, draft.release.canary.canary_service)


def stable_end(draft: Draft) -> str:
    """The revision that stable's traffic goes to; empty where its end selects none."""
    selected = draft.world.traffic.selected() if draft.world.traffic else None
    return selected.stable if selected else _service_hash(draft, draft.release.canary.stable_service)


def canary_end_carries(draft: Draft, weight: int) -> int:
    """The greatest weight that the revision at the canary's end can carry, whichever it is; at least `weight` where
    that end selects no revision, so that nothing is known of its pods."""
    hash_ = canary_end(draft)
    if not hash_:
        return weight
    return carries(_available(draft, hash_), draft.release.replicas, draft.release.canary.whole)


def stable_takes_back(draft: Draft, stable: ReplicaSet | None) -> int:
    """The greatest weight that stable can carry on an undo. By dynamicStableScale it grows by the room that the canary
    leaves, pod by pod, and rounding must not hold up either."""
    release, canary = draft.release, draft.release.canary
    count = nearly_carries if canary.dynamic_stable_scale else carries
    return count(stable.available if stable else 0, release.replicas, canary.whole)


def referenced(draft: Draft) -> frozenset[str]:
    """The pod template hashes that some Service or subset of this Rollout selects now."""
    hashes = {service.hash for service in draft.world.services.values() if service}
    selected = draft.world.traffic.selected() if draft.world.traffic else None
    if selected is not None:
        hashes |= {selected.canary, selected.stable}
    return frozenset(hashes - {""})


def _service_hash(draft: Draft, name: str) -> str:
    service = draft.world.services.get(name) if name else None
    return service.hash if service else ""


def _point_subsets(draft: Draft, canary: ReplicaSet | None, stable: ReplicaSet | None) -> bool:
    traffic = draft.world.traffic
    selected = traffic.selected() if traffic else None
    if traffic is None or selected is None:
        return True
    requests = traffic.point(
        canary_hash=canary.hash if canary else selected.canary,
        stable_hash=stable.hash if stable else selected.stable,
    )
    changes = [
        end
        for end, hash_ in ((canary, selected.canary), (stable, selected.stable))
        if end is not None and end.hash != hash_
    ]
    if any(end.hash == draft.world.unheard_of for end in changes):
        draft.wake_at(draft.world.now + (_LISTEN_SELDOM if long_unheard_of(draft) else _LISTEN))
    elif all(end.available for end in changes):
        for request in requests:
            draft.do(PointSubsets(request))
    return not requests


def long_unheard_of(draft: Draft) -> bool:
    """Whether a version's pods have been missing among the endpoints for longer than it takes to tell of them."""
    if not draft.world.unheard_of:
        return False
    progressing = conditions.find(draft.status.get("conditions") or (), names.CONDITION_PROGRESSING)
    since = conditions.updated_at(progressing) if progressing else None
    return since is not None and draft.world.now >= since + _MOMENT


def _available(draft: Draft, hash_: str) -> int:
    return sum(rs.available for rs in draft.world.replica_sets if rs.hash == hash_ and not rs.deleting)
