"""Moving user traffic within what the pods on each side can carry."""

from __future__ import annotations

from tidegate.api import names
from tidegate.core.plan import Event
from tidegate.core.rollout.actions import Shift
from tidegate.core.rollout.release import Draft


def reachable(want: int, now: int, canary_carries: int, stable_carries: int) -> int:
    """The canary weight to set now on the way from `now` to `want`, given what each side can carry (percent).

    Upwards: only when the canary can carry all of `want`; otherwise it stays, or goes to nothing when no canary pod
    is left. Downwards: at once, in proportion to what stable can carry, so that one unready stable pod costs its
    share of the way and no more. When the canary can carry nothing, holding traffic there helps nobody.
    """
    if canary_carries == 0:
        return min(want, now) if stable_carries == 0 else 0
    if want > now:
        return want if canary_carries >= want else now
    return max(want, min(now, 100 - stable_carries))


def shift(draft: Draft, weight: int) -> bool:
    """Make every route show `weight` for the canary; True when they do."""
    traffic = draft.world.traffic
    if traffic is None:
        return True
    requests = traffic.split(weight)
    before = traffic.observe().canary
    for number, request in enumerate(requests):
        told = Event(names.REASON_WEIGHT_UPDATED, f"Traffic weight updated from {before} to {weight}")
        draft.do(Shift(request, told if number == 0 else None))
    return not requests


def observed(draft: Draft) -> int:
    """The canary weight that the routes show; 0 without a router."""
    return draft.world.traffic.observe().canary if draft.world.traffic is not None else 0
