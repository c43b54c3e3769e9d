"""What the steps ask for at a point of the update: the canary's share of the traffic, the number of its pods, and the
managed routes that lead to it.

All stay in force until a later step says otherwise, so they are read from the steps up to that point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.api.rollout import CanaryStep, CanaryStrategy, SetCanaryScale
from tidegate.core.traffic import ManagedRoute


@dataclass(frozen=True, slots=True)
class Aim:
    """The canary's weight in parts of the whole; its own scale where one is in force, None where its pods follow the
    weight; and the managed routes in force."""

    weight: int
    scale: SetCanaryScale | None = None
    routes: tuple[ManagedRoute, ...] = ()


def aim_at(canary: CanaryStrategy, index: int) -> Aim:
    """What is in force at a step: the last of each kind up to it; everything past the last step, and what managed
    routes are left until the end of the update."""
    steps = canary.steps
    if index >= len(steps):
        return Aim(canary.whole, routes=routes_at(steps, index))
    passed = steps[index::-1]
    weight = next((step.set_weight for step in passed if step.set_weight is not None), 0)
    scale = next((step.set_canary_scale for step in passed if step.set_canary_scale is not None), None)
    return Aim(weight, None if scale is None or scale.match_traffic_weight else scale, routes_at(steps, index))


def shared(canary: CanaryStrategy, index: int) -> bool:
    """Whether both versions have users at a step, by the weight or by a managed route: what a comparison needs."""
    aim = aim_at(canary, index)
    return aim.weight < canary.whole and bool(aim.weight or aim.routes)


def last_shared(canary: CanaryStrategy) -> int | None:
    """The last step at which the background analysis sees users of both versions; None where it never does."""
    start = canary.analysis.starting_step if canary.analysis else 0
    return next((index for index in reversed(range(start, len(canary.steps))) if shared(canary, index)), None)


def everything(canary: CanaryStrategy) -> Aim:
    """All of the traffic for the new version, by no special way."""
    return Aim(canary.whole)


def routes_at(steps: Sequence[CanaryStep], index: int) -> tuple[ManagedRoute, ...]:
    """The managed routes in force at a step."""
    found: dict[str, ManagedRoute] = {}
    for step in steps[: index + 1]:
        route = step.set_header_route or step.set_mirror_route
        if route is None:
            continue
        found.pop(route.name, None)
        if route.match:
            found[route.name] = route
    return tuple(found.values())
