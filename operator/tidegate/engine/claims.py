"""Which Services, routes and subsets each Rollout takes for itself, and who goes first where two take the same.

Argo Rollouts notices a Service of two Rollouts when it has already written to it, and a route or a subset never: both
set it, each after the other, for ever. Here one of the two stands aside until the other lets go.

Who goes first follows from the two Rollouts and the objects that they share, so both come to the same answer without
speaking to each other: whoever has signed one of these objects, else whoever was created first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tidegate.api import names
from tidegate.api.parsing import parse_rollout
from tidegate.api.problems import Problem
from tidegate.cluster.rules import Obj
from tidegate.cluster.store import Change, Store
from tidegate.core.plan import Key
from tidegate.engine.signatures import signature
from tidegate.routers.istio.claims import istio_claims
from tidegate.routers.istio.router import IstioRouter, istio_router

_NAMING: Final[Mapping[str, Sequence[str]]] = {
    "canary": ("canaryService", "stableService", "pingPong", "trafficRouting"),
    "blueGreen": ("activeService", "previewService"),
}
_ROUTING: Final = ("istio", "managedRoutes")
_ANY_TEMPLATE: Final[Mapping[str, Any]] = {
    "selector": {"matchLabels": {"app": "any"}},
    "template": {"metadata": {"labels": {"app": "any"}}, "spec": {"containers": [{"name": "any", "image": "any"}]}},
}
"""Claims depend on nothing of the template, which may stand in a workload that nobody has read."""


class Claim(NamedTuple):
    """A part of an object, in words; empty for all of it."""

    object: Key
    part: str

    def __str__(self) -> str:
        return f"{self.part} of {self.object}" if self.part else str(self.object)


@dataclass(slots=True)
class _Named:
    """What a Rollout names: the field of each Service, and its router.

    seen: the router's objects as they were when `claims` was made of them; the store never changes one.
    """

    services: Mapping[Key, str]
    router: IstioRouter | None
    seen: tuple[Obj | None, ...] = ()
    claims: dict[Claim, str] | None = None

    @property
    def objects(self) -> tuple[Key, ...]:
        return (*self.services, *(self.router.references() if self.router else ()))


@dataclass(slots=True)
class _Entry:
    """A Rollout in the index. known: filled in only for those that share an object with another."""

    objects: tuple[Key, ...]
    known: _Named | None = None


class Claims:
    """An index of the Rollouts by the objects that they name. A Rollout that is being deleted names none.

    wake: called with a Rollout when another one that names one of its objects has come, gone or changed its mind.
    """

    def __init__(self, store: Store, wake: Callable[[Key], None]) -> None:
        self._store = store
        self._wake = wake
        self._rollouts: dict[Key, _Entry] = {}
        self._claimants: dict[Key, tuple[Key, ...]] = {}
        store.on_change(names.ROLLOUT, self._changed)

    def objects(self, key: Key) -> tuple[Key, ...]:
        """What a Rollout names: Services, VirtualServices, its DestinationRule."""
        entry = self._rollouts.get(key)
        return entry.objects if entry else ()

    def rivals(self, key: Key) -> tuple[Problem, ...]:
        """Why a Rollout has to stand aside: what it claims and another one, which goes first, claims too."""
        if not (others := self._others(key, self.objects(key))):
            return ()
        found: dict[Claim, Problem] = {}
        for claim, at, other, there in self._shared(self._entry_claims(key), others):
            if self._goes_first(other, key, there):
                told = f"is the {claim}, which {other} claims too ({there[claim]}) and had first"
                told += "; nothing is changed here until one of them names another"
                found.setdefault(claim, Problem(at, told))
        return tuple(found.values())

    def conflicts(self, key: Key, raw: Mapping[str, Any]) -> Iterator[Problem]:
        """What a Rollout would claim as it is proposed and another one does too, whoever goes first."""
        named = _named(key, raw)
        if others := self._others(key, named.objects):
            for claim, at, other, there in self._shared(self._claims(named), others):
                told = f"is the {claim}, which {other} claims too ({there[claim]})"
                yield Problem(at, f"{told}; each would undo what the other has set: give one of them another")

    def _others(self, key: Key, objects: Sequence[Key]) -> list[Key]:
        return sorted({other for obj in objects for other in self._claimants.get(obj, ()) if other != key})

    def _shared(
        self, ours: Mapping[Claim, str], others: Sequence[Key]
    ) -> Iterator[tuple[Claim, str, Key, Mapping[Claim, str]]]:
        """(claim, the path of our field, the other one, what that one claims of the same)."""
        for other in others:
            theirs = self._entry_claims(other)
            both = {claim: theirs[claim] for claim in ours if claim in theirs}
            for claim in both:
                yield claim, ours[claim], other, both

    def _goes_first(self, one: Key, other: Key, shared: Mapping[Claim, str]) -> bool:
        """Whether `one` goes before `other`; exactly one of the two does."""
        if one.namespace == other.namespace:
            signed = {signature(self._store.get(claim.object)) for claim in shared} & {one.name, other.name}
            if len(signed) == 1:
                return one.name in signed
        return self._age(one) < self._age(other)

    def _age(self, key: Key) -> tuple[str, str]:
        metadata = (self._store.get(key) or {}).get("metadata", {})
        return metadata.get("creationTimestamp", ""), metadata.get("uid", "")

    def _entry_claims(self, key: Key) -> Mapping[Claim, str]:
        entry, raw = self._rollouts.get(key), self._store.get(key)
        if entry is None or raw is None:
            return {}
        if entry.known is None:
            entry.known = _named(key, raw)
        return self._claims(entry.known)

    def _claims(self, named: _Named) -> Mapping[Claim, str]:
        """The field that claims it, by what is claimed. A route that is not named depends on its VirtualService."""
        references = named.router.references() if named.router else ()
        seen = tuple(self._store.get(reference) for reference in references)
        if named.claims is None or any(was is not now for was, now in zip(named.seen, seen, strict=True)):
            found = {Claim(service, ""): at for service, at in named.services.items()}
            if named.router is not None:
                for obj, part, at in istio_claims(named.router, dict(zip(references, seen, strict=True))):
                    found.setdefault(Claim(obj, part), at)
            named.seen, named.claims = seen, found
        return named.claims

    def _changed(self, change: Change) -> None:
        if change.old and change.new and _same(change.old, change.new):
            return
        key, was = change.key, self.objects(change.key)
        self._rollouts.pop(key, None)
        for obj in was:
            if left := tuple(other for other in self._claimants[obj] if other != key):
                self._claimants[obj] = left
            else:
                del self._claimants[obj]
        if change.new is not None and (now := _named(key, change.new).objects):
            self._rollouts[key] = _Entry(now)
            for obj in now:
                self._claimants[obj] = (*self._claimants.get(obj, ()), key)
        for other in self._others(key, (*was, *self.objects(key))):
            self._wake(other)


def _same(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two states of a Rollout name the same."""
    before, after = old["metadata"], new["metadata"]
    if before["uid"] != after["uid"] or ("deletionTimestamp" in before) != ("deletionTimestamp" in after):
        return False
    return _naming(old) == _naming(new)


def _naming(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a strategy that names objects. A mistake anywhere else does not end a claim: while its owner mends
    it, nobody takes the object from him."""
    spec = raw.get("spec")
    strategy = spec.get("strategy") if isinstance(spec, Mapping) else None
    if not isinstance(strategy, Mapping):
        return {}
    parts = {kind: _only(strategy.get(kind), fields) for kind, fields in _NAMING.items() if kind in strategy}
    canary = parts.get("canary")
    if isinstance(canary, dict) and "trafficRouting" in canary:
        canary["trafficRouting"] = _only(canary["trafficRouting"], _ROUTING)
    return parts


def _only(value: Any, fields: Sequence[str]) -> Any:
    return {name: value[name] for name in fields if name in value} if isinstance(value, Mapping) else value


def _named(key: Key, raw: Mapping[str, Any]) -> _Named:
    spec = None
    if "deletionTimestamp" not in raw["metadata"]:
        spec, _ = parse_rollout({"spec": {**_ANY_TEMPLATE, "strategy": _naming(raw)}})
    if spec is None:
        return _Named({}, None)
    services: dict[Key, str] = {}
    for at, name in spec.strategy.services():
        services.setdefault(Key("Service", key.namespace, name), at)
    canary = spec.strategy.canary
    # A route leads to both that take turns, whichever turn it is.
    return _Named(services, istio_router(canary.in_turn(names.PING), key.namespace, key.name) if canary else None)
