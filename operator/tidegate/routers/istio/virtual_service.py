"""A VirtualService: which of its routes are split, and the one patch that sets their weights and the managed routes.

The patch touches our weights and our routes and nothing else: no route of others is rewritten (Flagger #1715 loses
users' routes that way), and labels or annotations don't come into it (Flagger #1573 resets weights when somebody labels
the object). It is one patch, so that an undo takes the header routes and the weights back in the same moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.api import names
from tidegate.api.problems import Problem
from tidegate.core.plan import Write
from tidegate.core.traffic import ManagedRoute, Observed
from tidegate.routers.istio import managed
from tidegate.routers.istio.choosing import Target, choose
from tidegate.routers.istio.routes import Ends, Json, Place, Route, read_route


@dataclass(frozen=True, slots=True)
class BoundVirtualService:
    """The routes that were found in one VirtualService, and why others were not.

    managed: our own routes that are there. mirrors: those of them that carry weights, as routes.
    """

    target: Target
    version: str
    routes: tuple[Route, ...] = ()
    managed: tuple[managed.Present, ...] = ()
    mirrors: tuple[Route, ...] = ()
    problems: tuple[Problem, ...] = ()

    def observe(self) -> tuple[Observed, ...]:
        return tuple(route.observe() for route in (*self.routes, *self.mirrors))

    @property
    def primary(self) -> Route | None:
        """The HTTP route that managed routes take their destinations from."""
        return next((route for route in self.routes if route.kind == "http"), None)

    def split(self, canary: int, routes: Sequence[ManagedRoute] | None, places: Sequence[Place] = ()) -> Write | None:
        """The patch that gives the canary `canary` parts in every route, or None where all show it.

        A named route is found by its name wherever the object stands, so edits elsewhere don't get in the way of an
        undo. A nameless one is known by its position alone, which only holds for the version that was read.
        """
        operations: list[dict[str, Any]] = []
        by_position = False
        for route in (*self.routes, *(self.mirrors if routes is None else ())):
            changes = route.set(canary, places)
            operations += changes
            by_position = by_position or bool(changes and not route.name)
        if routes is not None:
            wanted = self._wanted(canary, routes, places)
            operations += managed.changes(self.managed, wanted, self.target.key.namespace)
            by_position = by_position or managed.moves(self.managed, wanted)
        if not operations:
            return None
        if by_position:
            operations.insert(0, unchanged_since(self.version))
        return Write("patch", self.target.key, operations, patch="json")

    def _wanted(self, canary: int, routes: Sequence[ManagedRoute], places: Sequence[Place]) -> list[dict[str, Any]]:
        primary = self.primary
        if primary is None:
            return []
        return [managed.build(route, primary, canary, places) for route in managed.ordered(routes, self.target.managed)]


def unchanged_since(version: str) -> dict[str, Any]:
    """The operation that makes a patch fail when the object was changed after this resource version."""
    return {"op": "test", "path": "/metadata/resourceVersion", "value": version}


def bind_virtual_service(target: Target, obj: Mapping[str, Any] | None, ends: Ends) -> BoundVirtualService:
    """Find the target's routes in the object as it was read; None where it does not exist."""
    key = target.key
    if obj is None:
        said = f"{key} not found: no traffic can be split before it exists; create it or correct the name"
        missing = Problem(f"{target.at}.name", said, names.REASON_VIRTUAL_SERVICE_NOT_FOUND)
        return BoundVirtualService(target, "", problems=(missing,))
    spec = obj.get("spec") or {}
    http: Sequence[Json] = spec.get("http") or ()
    present = managed.find(target.managed, http, ends, namespace=key.namespace)
    problems = managed.strangers(target.managed, http, ends, owner=str(key), namespace=key.namespace)
    routes: list[Route] = []
    for chosen in choose(target, spec, ends):
        if isinstance(chosen, Problem):
            problems.append(chosen)
            continue
        kind, index, at = chosen
        read = read_route(kind, index, spec[kind][index], ends, owner=str(key), namespace=key.namespace, at=at)
        problems.append(read) if isinstance(read, Problem) else routes.append(read)
    mirrors = [
        read_route("http", one.index, one.route, ends, owner=str(key), namespace=key.namespace, at=managed.AT)
        for one in present
        if "mirror" in one.route
    ]
    return BoundVirtualService(
        target,
        obj["metadata"]["resourceVersion"],
        tuple(routes),
        tuple(present),
        tuple(mirror for mirror in mirrors if isinstance(mirror, Route)),
        tuple(problems),
    )
