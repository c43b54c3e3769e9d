"""What must hold for managed routes and for the steps that set them.

A header route whose name nobody manages would never be taken away again, and one that matches everything would send
all users to the canary at once; so both are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.api.problems import Problem
from tidegate.api.rollout import CanaryStrategy, RouteMatch, SetHeaderRoute, SetMirrorRoute, StringMatch


def check_managed_routes(canary: CanaryStrategy, at: str) -> Iterator[Problem]:
    """Every problem of a canary strategy's managed routes. at: the strategy's path."""
    routing = canary.traffic_routing
    names = [route.name for route in routing.managed_routes] if routing else []
    for index, name in enumerate(names):
        path = f"{at}.trafficRouting.managedRoutes[{index}].name"
        if not name:
            yield Problem(path, "is required")
        elif name in names[:index]:
            yield Problem(path, f"{name!r} is listed twice")
        else:
            yield from _check_not_split(canary, name, path)
    for index, step in enumerate(canary.steps):
        for field, route in (("setHeaderRoute", step.set_header_route), ("setMirrorRoute", step.set_mirror_route)):
            if route is None:
                continue
            path = f"{at}.steps[{index}].{field}"
            if routing is None:
                yield Problem(path, "is only possible with trafficRouting: without it there are no routes")
            elif route.name not in names:
                told = f"{route.name!r} is not listed" if route.name else "is required: a name that is listed"
                yield Problem(f"{path}.name", f"{told} in trafficRouting.managedRoutes; add it there")
            if isinstance(route, SetHeaderRoute):
                yield from _check_header_route(route, path)
            else:
                yield from _check_mirror_route(route, path)


def _check_not_split(canary: CanaryStrategy, name: str, path: str) -> Iterator[Problem]:
    istio = canary.traffic_routing.istio if canary.traffic_routing else None
    if istio and any(name in target.routes for target in istio.targets):
        yield Problem(path, f"{name!r} is among the routes to split too; a managed route is removed after the update")


def _check_header_route(route: SetHeaderRoute, at: str) -> Iterator[Problem]:
    for index, match in enumerate(route.match):
        path = f"{at}.match[{index}]"
        if not match.header_name:
            yield Problem(f"{path}.headerName", "is required")
        yield from _check_text(match.header_value, f"{path}.headerValue")


def _check_mirror_route(route: SetMirrorRoute, at: str) -> Iterator[Problem]:
    if route.percentage is not None and not 0 <= route.percentage <= 100:
        yield Problem(f"{at}.percentage", f"is {route.percentage}, must be from 0 to 100")
    for index, match in enumerate(route.match):
        yield from _check_route_match(match, f"{at}.match[{index}]")


def _check_route_match(match: RouteMatch, at: str) -> Iterator[Problem]:
    texts = {"method": match.method, "path": match.path}
    texts |= {f"headers[{name}]": value for name, value in (match.headers or {}).items()}
    given = {field: text for field, text in texts.items() if text is not None}
    if not given:
        yield Problem(at, "matches everything: give it a method, a path or headers")
    for field, text in given.items():
        yield from _check_text(text, f"{at}.{field}")


def _check_text(text: StringMatch, at: str) -> Iterator[Problem]:
    given = sum(bool(one) for one in (text.exact, text.prefix, text.regex))
    if given != 1:
        yield Problem(at, f"has {given or 'none'} of exact, prefix and regex; give it exactly one")
