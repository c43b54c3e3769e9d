"""Managed routes: those that steps put in front of the users' own, and take away when the update ends.

A route is ours when it has a managed name and leads to the canary alone, or mirrors to it. One that has such a name and
leads elsewhere is somebody's own: Argo Rollouts deletes it at the next promotion, we refuse to begin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.api.problems import Problem
from tidegate.api.rollout import RouteMatch, SetHeaderRoute, SetMirrorRoute, StringMatch
from tidegate.core.traffic import ManagedRoute
from tidegate.routers.istio.hosts import fqdn
from tidegate.routers.istio.routes import Ends, Json, Place, Route

AT: Final = "spec.strategy.canary.trafficRouting.managedRoutes"


@dataclass(frozen=True, slots=True)
class Present:
    """A managed route as it was read: its position in spec.http, its name, the route."""

    index: int
    name: str
    route: Json


def find(names: Sequence[str], http: Sequence[Json], ends: Ends, *, namespace: str) -> list[Present]:
    """The managed routes that are there. Strangers that have such a name are not among them: see `strangers`."""
    return [
        Present(index, route["name"], route)
        for index, route in enumerate(http)
        if route.get("name") in names and _is_ours(route, ends, namespace)
    ]


def strangers(names: Sequence[str], http: Sequence[Json], ends: Ends, *, owner: str, namespace: str) -> list[Problem]:
    """What to say of routes that have a managed name and are not ours."""
    return [
        Problem(
            f"{AT}[{names.index(route['name'])}].name",
            f"{route['name']!r} is the name of spec.http[{index}] of {owner} too, which does not lead to the canary "
            "alone, so it is not Tidegate's to remove; rename the one or the other",
        )
        for index, route in enumerate(http)
        if route.get("name") in names and not _is_ours(route, ends, namespace)
    ]


def _is_ours(route: Json, ends: Ends, namespace: str) -> bool:
    if "mirror" in route:
        return ends.canary.is_in(route["mirror"], namespace)
    destinations = [weighted.get("destination") or {} for weighted in route.get("route") or ()]
    return bool(destinations) and all(ends.canary.is_in(one, namespace) for one in destinations)


def build(asked: ManagedRoute, primary: Route, canary: int, places: Sequence[Place] = ()) -> dict[str, Any]:
    """The route that a step asks for, beside a primary route that gives the canary this weight.

    Both take their destinations from the primary route, ports and all, as its owner wrote them.
    """
    if isinstance(asked, SetHeaderRoute):
        return {
            "name": asked.name,
            "match": [{"headers": {one.header_name: _text(one.header_value)}} for one in asked.match],
            "route": [{"destination": primary.canary.destination, "weight": 100}],
        }
    return {
        "name": asked.name,
        "match": [_match(one) for one in asked.match],
        "route": primary.weighted(canary, places),
        "mirror": primary.canary.destination,
        "mirrorPercentage": {"value": 100 if asked.percentage is None else asked.percentage},
    }


def changes(present: Sequence[Present], wanted: Sequence[dict[str, Any]], namespace: str) -> list[dict[str, Any]]:
    """The JSON-patch operations that make `wanted` the first of all HTTP routes, in place of those that are there.

    Where names and places are right already, only routes that differ are replaced, each known by its name. Otherwise
    routes move, and the caller must see to it that nobody else has moved them since.
    """
    if not moves(present, wanted):
        return [
            operation for old, new in zip(present, wanted, strict=True) for operation in _replace(old, new, namespace)
        ]
    removed = [{"op": "remove", "path": f"/spec/http/{old.index}"} for old in reversed(present)]
    return [*removed, *({"op": "add", "path": f"/spec/http/{place}", "value": new} for place, new in enumerate(wanted))]


def moves(present: Sequence[Present], wanted: Sequence[Json]) -> bool:
    """Whether routes have to be added, removed or brought into another order."""
    return [(old.index, old.name) for old in present] != [(place, new["name"]) for place, new in enumerate(wanted)]


def _replace(old: Present, new: dict[str, Any], namespace: str) -> Iterator[dict[str, Any]]:
    if _essence(old.route, namespace) != _essence(new, namespace):
        yield {"op": "test", "path": f"/spec/http/{old.index}/name", "value": old.name}
        yield {"op": "replace", "path": f"/spec/http/{old.index}", "value": new}


def _essence(route: Json, namespace: str) -> object:
    """What counts of a managed route: hosts in full, an omitted weight of an only destination as all of it."""
    destinations = route.get("route") or ()
    alone = len(destinations) == 1

    def end(destination: Json) -> object:
        port = (destination.get("port") or {}).get("number")
        return fqdn(destination.get("host") or "", namespace), destination.get("subset"), port

    return (
        route.get("match"),
        [(end(one.get("destination") or {}), alone or int(one.get("weight") or 0)) for one in destinations],
        end(route["mirror"]) if "mirror" in route else None,
        (route.get("mirrorPercentage") or {}).get("value"),
    )


def _match(match: RouteMatch) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if match.method is not None:
        found["method"] = _text(match.method)
    if match.path is not None:
        found["uri"] = _text(match.path)
    if match.headers:
        found["headers"] = {name: _text(value) for name, value in match.headers.items()}
    return found


def _text(text: StringMatch) -> Mapping[str, str]:
    forms = {"exact": text.exact, "prefix": text.prefix, "regex": text.regex}
    return {form: value for form, value in forms.items() if value}


def ordered(asked: Sequence[ManagedRoute], names: Sequence[str]) -> list[SetHeaderRoute | SetMirrorRoute]:
    """In the order of `managedRoutes`, in which they are tried."""
    return sorted(asked, key=lambda route: names.index(route.name))
