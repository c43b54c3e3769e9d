"""A VirtualService: which of its routes are split, and the one patch that sets their weights.

The patch touches our weights and nothing else: no route is rewritten (Flagger #1715 loses users' routes that way),
and labels or annotations don't come into it (Flagger #1573 resets weights when somebody labels the object).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.api.problems import Problem
from tidegate.core.plan import Key, Write
from tidegate.core.traffic import Observed
from tidegate.routers.istio.choosing import Target, choose
from tidegate.routers.istio.routes import Ends, Route, read_route


@dataclass(frozen=True, slots=True)
class BoundVirtualService:
    """The routes that were found in one VirtualService, and why others were not."""

    key: Key
    version: str
    routes: tuple[Route, ...] = ()
    problems: tuple[Problem, ...] = ()

    def observe(self) -> tuple[Observed, ...]:
        return tuple(route.observe() for route in self.routes)

    def split(self, canary: int) -> Write | None:
        """The patch that gives the canary `canary` percent in every route, or None where all show it.

        A named route is found by its name wherever the object stands, so edits elsewhere don't get in the way of an
        undo. A nameless one is known by its position alone, which only holds for the version that was read.
        """
        operations: list[dict[str, Any]] = []
        nameless = False
        for route in self.routes:
            changes = route.set(canary)
            operations += changes
            nameless = nameless or bool(changes and not route.name)
        if not operations:
            return None
        if nameless:
            operations.insert(0, unchanged_since(self.version))
        return Write("patch", self.key, operations, patch="json")


def unchanged_since(version: str) -> dict[str, Any]:
    """The operation that makes a patch fail when the object was changed after this resource version."""
    return {"op": "test", "path": "/metadata/resourceVersion", "value": version}


def bind_virtual_service(target: Target, obj: Mapping[str, Any] | None, ends: Ends) -> BoundVirtualService:
    """Find the target's routes in the object as it was read; None where it does not exist."""
    key = target.key
    if obj is None:
        said = f"{key} not found: no traffic can be split before it exists; create it or correct the name"
        return BoundVirtualService(key, "", problems=(Problem(f"{target.at}.name", said),))
    spec = obj.get("spec") or {}
    routes: list[Route] = []
    problems: list[Problem] = []
    for chosen in choose(target, spec, ends):
        if isinstance(chosen, Problem):
            problems.append(chosen)
            continue
        kind, index, at = chosen
        read = read_route(kind, index, spec[kind][index], ends, owner=str(key), namespace=key.namespace, at=at)
        problems.append(read) if isinstance(read, Problem) else routes.append(read)
    return BoundVirtualService(key, obj["metadata"]["resourceVersion"], tuple(routes), tuple(problems))
