"""Which routes of a VirtualService a Rollout means.

Never nobody's without a word: Argo Rollouts can come out of this with an empty list and no error, and then counts
weights up in the status while the route never changes (#4741, #3884).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tidegate.api.problems import Problem
from tidegate.api.rollout import IstioTcpRoute, IstioTlsRoute
from tidegate.core.plan import Key
from tidegate.routers.istio.routes import Ends, Json, RouteKind, has_an_end

KINDS: Final[tuple[RouteKind, ...]] = ("http", "tls", "tcp")
_FIELDS: Final[Mapping[RouteKind, str]] = {"http": "routes", "tls": "tlsRoutes", "tcp": "tcpRoutes"}


@dataclass(frozen=True, slots=True)
class Target:
    """One VirtualService that the Rollout names: its key, the field's path, and which routes it asks for, if any.

    routes: names of HTTP routes. tls, tcp: by what these match, for they have no names. managed: names of routes that
    steps add and remove, which are never meant.
    """

    key: Key
    at: str
    routes: tuple[str, ...] = ()
    tls: tuple[IstioTlsRoute, ...] = ()
    tcp: tuple[IstioTcpRoute, ...] = ()
    managed: tuple[str, ...] = ()


class Chosen(NamedTuple):
    """One route to split, and the path of the Rollout's field that chose it."""

    kind: RouteKind
    position: int
    at: str


def choose(target: Target, spec: Json, ends: Ends) -> list[Chosen | Problem]:
    """The routes to split; always at least one entry.

    A kind of routes that the Rollout does not ask for is split where there is no doubt which one is meant, and is a
    stranger's where none of its routes leads to either of our ends. The names of HTTP routes are only missed in a
    VirtualService without any where nothing else is found: with Argo Rollouts they stand beside `tlsRoutes`.
    """
    found: list[Chosen | Problem] = []
    unasked: list[RouteKind] = []
    for kind in KINDS:
        routes = spec.get(kind) or ()
        if (routes or kind != "http") and (asked := _asked(target, kind, routes)):
            found += asked
        elif routes:
            unasked.append(kind)
    ours = [
        kind for kind in unasked if any(has_an_end(r, ends, target.key.namespace) for r in _own(target, spec[kind]))
    ]
    # With nothing of ours anywhere, the first kind is the one to tell of.
    found += [_only(target, kind, spec[kind]) for kind in ours or ([] if found else unasked[:1])]
    if not spec.get("http") and not any(isinstance(one, Chosen) for one in found):
        found = [*_asked(target, "http", ()), *found]
    if not found:
        said = f"{target.key} has no spec.http, spec.tls or spec.tcp, so there is nothing to split; give it a route"
        return [Problem(f"{target.at}.name", said)]
    return found


def _asked(target: Target, kind: RouteKind, routes: Sequence[Json]) -> list[Chosen | Problem]:
    """The routes of a kind that the Rollout asks for; none where it asks for none of that kind."""
    found: dict[int, Chosen] = {}
    problems: list[Problem] = []
    for number, (wanted, indexes) in enumerate(_wanted(target, kind, routes)):
        at = f"{target.at}.{_FIELDS[kind]}[{number}]"
        if not indexes:
            problems.append(
                Problem(at, f"{wanted} in the defined Virtual Service. {target.key} has {_shown(kind, routes)}")
            )
        for index in indexes:
            found.setdefault(index, Chosen(kind, index, at))
    return [*found.values(), *problems]


def _wanted(target: Target, kind: RouteKind, routes: Sequence[Json]) -> Iterator[tuple[str, list[int]]]:
    """For each entry of the Rollout's field: what to say if there is no such route, and the routes that it means."""
    if kind == "http":
        for name in target.routes:
            yield f"HTTP Route '{name}' is not found", [i for i, r in enumerate(routes) if r.get("name") == name]
    elif kind == "tls":
        for tls in target.tls:
            yield "No matching TLS routes found", [i for i, route in enumerate(routes) if _is_tls(route, tls)]
    else:
        for tcp in target.tcp:
            yield "No matching TCP routes found", [i for i, r in enumerate(routes) if _ports(r) == {tcp.port}]


def _is_tls(route: Json, wanted: IstioTlsRoute) -> bool:
    """What is given must agree: the one port, and exactly these hosts. A route for several ports is never meant."""
    hosts = {host for match in route.get("match") or () for host in match.get("sniHosts") or ()}
    if wanted.sni_hosts and hosts != set(wanted.sni_hosts):
        return False
    return not wanted.port or _ports(route) == {wanted.port}


def _ports(route: Json) -> set[int]:
    return {int(match.get("port") or 0) for match in route.get("match") or ()}


def _only(target: Target, kind: RouteKind, routes: Sequence[Json]) -> Chosen | Problem:
    """Without being asked for: the only route, or the only nameless one beside named ones (a testers' header route)."""
    candidates = [i for i, route in enumerate(routes) if route.get("name") not in target.managed]
    if len(candidates) > 1:
        candidates = [i for i in candidates if not routes[i].get("name")]
    if len(candidates) == 1:
        return Chosen(kind, candidates[0], target.at)
    at = f"{target.at}.{_FIELDS[kind]}"
    return Problem(
        at,
        f"spec.{kind}[] should be set in VirtualService and it must have exactly one route when omitting {at}. "
        f"{target.key} has {_shown(kind, routes)}; name the ones to split",
    )


def _own(target: Target, routes: Sequence[Json]) -> Iterator[Json]:
    """The users' own routes."""
    return (route for route in routes if route.get("name") not in target.managed)


def _shown(kind: RouteKind, routes: Sequence[Json]) -> str:
    names = ", ".join(_name(kind, index, route) for index, route in enumerate(routes)) or "none"
    return f"{len(routes)} {kind.upper()} route{'' if len(routes) == 1 else 's'}: {names}"


def _name(kind: RouteKind, index: int, route: Json) -> str:
    if name := route.get("name"):
        return str(name)
    matches = route.get("match") or ()
    hosts = [str(host) for match in matches for host in match.get("sniHosts") or ()]
    if hosts or any(_ports(route)):
        return f"the one for {' '.join([*hosts, *(f'port {port}' for port in sorted(_ports(route)) if port)])}"
    return f"a nameless one at spec.{kind}[{index}]"
