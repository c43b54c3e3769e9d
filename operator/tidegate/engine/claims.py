"""Which Services, routes and subsets a Rollout takes for itself, and which others take them too.

Argo Rollouts notices a Service of two Rollouts when it has already written to it, and a route never: both set its
weights, each after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.api.parsing import parse_rollout
from tidegate.api.problems import Problem
from tidegate.api.rollout import RolloutSpec
from tidegate.cluster.store import Store
from tidegate.core.plan import Key
from tidegate.routers.istio.claims import istio_claims
from tidegate.routers.istio.router import istio_router

_CANARY: Final = "spec.strategy.canary"
_BLUE_GREEN: Final = "spec.strategy.blueGreen"
_ANY_TEMPLATE: Final[Mapping[str, Any]] = {
    "selector": {"matchLabels": {"app": "any"}},
    "template": {"metadata": {"labels": {"app": "any"}}, "spec": {"containers": [{"name": "any", "image": "any"}]}},
}
"""Claims depend on nothing of the template, which may stand in a workload that nobody has read."""


def conflicts(key: Key, raw: Mapping[str, Any], store: Store) -> Iterator[Problem]:
    """What this Rollout claims and another one does too, each with the path of its field."""
    ours = _claims(key, raw, store)
    if not ours:
        return
    names = set(_names(raw))
    for other in sorted(store.keys("Rollout")):
        there = store.get(other)
        if other == key or there is None or "deletionTimestamp" in there["metadata"]:
            continue
        if names.isdisjoint(_names(there)):  # Cheap, for a cluster may have thousands of them.
            continue
        theirs = _claims(other, there, store)
        for claim, at in ours.items():
            if claim in theirs:
                told = f"is the {claim}, which {other} claims too ({theirs[claim]})"
                yield Problem(at, f"{told}; each would undo what the other has set: give one of them another")


def _claims(key: Key, raw: Mapping[str, Any], store: Store) -> dict[str, str]:
    """The field that claims it, by what is claimed. Nothing for a Rollout that can't be acted on anyway."""
    given = raw.get("spec")
    strategy = given.get("strategy") if isinstance(given, Mapping) else None
    spec, _ = parse_rollout({"spec": {**_ANY_TEMPLATE, "strategy": strategy}})
    found: dict[str, str] = {}
    for claim, at in _claimed(key, spec, store) if spec else ():
        found.setdefault(claim, at)
    return found


def _claimed(key: Key, spec: RolloutSpec, store: Store) -> Iterator[tuple[str, str]]:
    for at, name in _services(spec):
        if name:
            yield str(Key("Service", key.namespace, name)), at
    canary = spec.strategy.canary
    router = istio_router(canary, key.namespace, key.name) if canary else None
    if router is not None:
        yield from istio_claims(router, {reference: store.get(reference) for reference in router.references()})


def _services(spec: RolloutSpec) -> Iterator[tuple[str, str]]:
    canary, blue_green = spec.strategy.canary, spec.strategy.blue_green
    if canary:
        yield f"{_CANARY}.canaryService", canary.canary_service
        yield f"{_CANARY}.stableService", canary.stable_service
        if pair := canary.ping_pong:
            yield f"{_CANARY}.pingPong.pingService", pair.ping_service
            yield f"{_CANARY}.pingPong.pongService", pair.pong_service
    if blue_green:
        yield f"{_BLUE_GREEN}.activeService", blue_green.active_service
        yield f"{_BLUE_GREEN}.previewService", blue_green.preview_service


def _names(value: Any) -> Iterator[str]:
    """The first labels of all names in a strategy that may be those of an object; more than there are do no harm."""
    spec = value.get("spec") if isinstance(value, Mapping) else None
    strategy = spec.get("strategy") if isinstance(spec, Mapping) else None
    for part in strategy.values() if isinstance(strategy, Mapping) else ():
        if isinstance(part, Mapping):
            for field in ("canaryService", "stableService", "activeService", "previewService", "pingPong"):
                yield from _texts(part.get(field))
            routing = part.get("trafficRouting")
            yield from _texts(routing.get("istio") if isinstance(routing, Mapping) else None)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.partition(".")[0]
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
