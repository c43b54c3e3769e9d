"""What a Rollout takes for itself of Istio's objects: routes and subsets, each with the field that names it.

Two Rollouts may well share a VirtualService or a DestinationRule, as long as each has routes and subsets of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.core.plan import Key
from tidegate.routers.istio.router import IstioRouter


def istio_claims(
    router: IstioRouter, objects: Mapping[Key, Mapping[str, Any] | None]
) -> Iterator[tuple[Key, str, str]]:
    """(the object, which part of it is claimed, the path of the field that claims it).

    A route that is not named is only known once its VirtualService is there to be looked at.
    """
    for target in router.targets:
        for number, name in enumerate(target.routes):
            yield target.key, f"HTTP route '{name}'", f"{target.at}.routes[{number}]"
    bound = router.bind(objects)
    for service in bound.services:
        for route in service.routes:
            shown = f"route '{route.name}'" if route.name else f"route {route.index}"
            yield service.target.key, f"{route.kind.upper()} {shown}", f"{service.target.at}.name"
    if router.rule is not None:
        for field, subset in (("canarySubsetName", router.rule.canary), ("stableSubsetName", router.rule.stable)):
            yield router.rule.key, f"subset '{subset}'", f"{router.rule.at}.{field}"
