"""A VirtualService: which of its routes are split, and the one patch that sets their weights.

The patch touches our weights and nothing else: no route is rewritten (Flagger #1715 loses users' routes that way),
and labels or annotations don't come into it (Flagger #1573 resets weights when somebody labels the object).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.api import names
from tidegate.api.problems import Problem
from tidegate.core.plan import Key, Write
from tidegate.core.traffic import Observed
from tidegate.routers.istio.routes import Ends, Json, Route, read_route


@dataclass(frozen=True, slots=True)
class Target:
    """One VirtualService that the Rollout names: its key, the names of its routes (may be empty), the field's path."""

    key: Key
    routes: tuple[str, ...]
    at: str


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
        missing = Problem(f"{target.at}.name", said, names.REASON_VIRTUAL_SERVICE_NOT_FOUND)
        return BoundVirtualService(key, "", problems=(missing,))
    http: Sequence[Json] = (obj.get("spec") or {}).get("http") or ()
    routes: list[Route] = []
    problems: list[Problem] = []
    for chosen in _choose(target, http):
        if isinstance(chosen, Problem):
            problems.append(chosen)
            continue
        index, at = chosen
        read = read_route(index, http[index], ends, owner=str(key), namespace=key.namespace, at=at)
        problems.append(read) if isinstance(read, Problem) else routes.append(read)
    return BoundVirtualService(key, obj["metadata"]["resourceVersion"], tuple(routes), tuple(problems))


def _choose(target: Target, http: Sequence[Json]) -> list[tuple[int, str] | Problem]:
    """The indexes of the routes to split, each with the path of the field that chose it.

    Always at least one entry. Argo Rollouts can come out of this with an empty list and no error, and then counts
    weights up in the status while the route never changes (#4741, #3884).
    """
    if not http:
        said = f"{target.key} has no spec.http, and only HTTP routes can be split; give it an HTTP route"
        return [Problem(f"{target.at}.name", said)]
    if not target.routes:
        return [_choose_only(target, http)]
    chosen: list[tuple[int, str] | Problem] = []
    for number, name in enumerate(target.routes):
        at = f"{target.at}.routes[{number}]"
        found = [index for index, route in enumerate(http) if route.get("name") == name]
        if not found:
            said = f"HTTP Route '{name}' is not found in the defined Virtual Service. {target.key} has {_named(http)}"
            chosen.append(Problem(at, said))
        chosen += [(index, at) for index in found if name not in target.routes[:number]]
    return chosen


def _choose_only(target: Target, http: Sequence[Json]) -> tuple[int, str] | Problem:
    """Without names: the only route, or the only nameless one beside named ones (a testers' header route)."""
    candidates = range(len(http)) if len(http) == 1 else [i for i, route in enumerate(http) if not route.get("name")]
    if len(candidates) == 1:
        return candidates[0], target.at
    return Problem(
        f"{target.at}.routes",
        "spec.http[] should be set in VirtualService and it must have exactly one route when omitting "
        f"{target.at}.routes. {target.key} has {_named(http)}; name the ones to split",
    )


def _named(http: Sequence[Json]) -> str:
    names = ", ".join(route.get("name") or f"a nameless one at spec.http[{index}]" for index, route in enumerate(http))
    return f"{len(http)} HTTP route{'' if len(http) == 1 else 's'}: {names}"
