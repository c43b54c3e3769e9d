"""Moving user traffic within what the pods on each side can carry."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.api import names
from tidegate.core.plan import Event
from tidegate.core.rollout import extras
from tidegate.core.rollout.actions import Shift
from tidegate.core.rollout.release import Draft
from tidegate.core.traffic import Extra, ManagedRoute, Traffic


def reachable(want: int, now: int, canary_carries: int, stable_carries: int, whole: int = 100) -> int:
    """The canary weight to set now on the way from `now` to `want`, given what each side can carry of the whole.

    Upwards: only when the canary can carry all of `want`; otherwise it stays, or goes to nothing when no canary pod
    is left. Downwards: at once, in proportion to what stable can carry, so that one unready stable pod costs its
    share of the way and no more. When the canary can carry nothing, holding traffic there helps nobody.
    """
    if canary_carries == 0:
        return min(want, now) if stable_carries == 0 else 0
    if want > now:
        return want if canary_carries >= want else now
    return max(want, min(now, whole - stable_carries))


def shift(draft: Draft, weight: int, routes: Sequence[ManagedRoute] | None = None) -> bool:
    """Make every route show `weight` for the canary, with these managed routes before them; True when they do.

    None leaves the managed routes as they are.
    """
    traffic = draft.world.traffic
    if traffic is None:
        return True
    more = extras.destinations(draft, weight)
    requests = traffic.split(weight, routes, more)
    if requests:
        extras.point(draft, more)
    else:
        extras.prepare(draft)
        extras.clear(draft)
    for number, request in enumerate(requests):
        draft.do(Shift(request, _told(traffic, weight, routes, more) if number == 0 else None))
    return not requests


def _told(traffic: Traffic, weight: int, routes: Sequence[ManagedRoute] | None, more: Sequence[Extra]) -> Event:
    """What to say of a shift: of the weights where they change, and of managed routes that come or go.

    Nothing is removed without a word, for the name of a managed route may be one that somebody else uses.
    """
    before, there = traffic.observe().canary, traffic.managed()
    wanted = there if routes is None else tuple(route.name for route in routes)
    told = []
    if added := [name for name in wanted if name not in there]:
        told.append(f"added {', '.join(added)}")
    if removed := [name for name in there if name not in wanted]:
        told.append(f"removed {', '.join(removed)}")
    shown = traffic.shares([extra.name for extra in more]) if more else {}
    changed = [f"{extra.name} {extra.weight}" for extra in more if shown.get(extra.name, 0) != extra.weight]
    if before != weight or changed or not told:
        message = f"Traffic weight updated from {before} to {weight}"
        if changed and before == weight:
            message = f"Traffic weight of experiments updated to {', '.join(changed)}"
        elif changed:
            message += f"; of experiments to {', '.join(changed)}"
        return Event(names.REASON_WEIGHT_UPDATED, f"{message}; managed routes: {', '.join(told)}" if told else message)
    return Event(names.REASON_UPDATED_VIRTUAL_SERVICE, f"Managed routes: {', '.join(told)}")


def led(draft: Draft) -> bool:
    """Whether any user may be led to the canary's end: by a weight, or by a managed route."""
    traffic = draft.world.traffic
    return traffic is not None and bool(traffic.observe().canary or traffic.managed())


def observed(draft: Draft) -> int:
    """The canary weight that the routes show; 0 without a router."""
    return draft.world.traffic.observe().canary if draft.world.traffic is not None else 0
