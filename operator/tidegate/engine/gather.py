"""From the store to a frozen world: everything that one decision reads, read once and remembered.

Every read goes through a tracked view, so the key is woken by whatever it has looked at: a Service that was missing
and appears, a template that is mended, a route that somebody changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from tidegate.api import names
from tidegate.api.parsing import parse_rollout
from tidegate.api.problems import Problem
from tidegate.api.rollout import RolloutSpec
from tidegate.core.analysis.nesting import TemplateName, Templates, gather_templates
from tidegate.core.hashing import MalformedError, pod_template_hash, step_hash
from tidegate.core.plan import Key
from tidegate.core.rollout.analyses import arguments, check_analyses, named_templates
from tidegate.core.rollout.world import Experiment, ReplicaSet, Run, Service, Workload, World
from tidegate.core.traffic import Observed, Traffic
from tidegate.engine.claims import Claims
from tidegate.engine.signatures import Signatures
from tidegate.engine.workloads import reference, unpacked
from tidegate.routers.base import Router
from tidegate.routers.registry import router_for

_replica_set, _service, _run = ReplicaSet.read, Service.read, Run.read
"""A classmethod is another object each time that it is asked for; what is remembered is found by these."""

_Seen = TypeVar("_Seen")


class _Memory:
    """What was made of objects the last time, by the objects themselves.

    The store never changes an object: a new version is a new one. So whatever was made of the same objects is still
    true, and most of them are the same from one decision to the next. Only what was asked for in the present round
    is kept for the next one.
    """

    __slots__ = ("_before", "_now")

    def __init__(self) -> None:
        self._before: dict[tuple[int, ...], tuple[object, Any]] = {}
        self._now: dict[tuple[int, ...], tuple[object, Any]] = {}

    def turn(self) -> None:
        """A new round begins."""
        self._before, self._now = self._now, {}

    def of(self, make: Callable[..., _Seen], *objects: Any) -> _Seen:
        """make(*objects), or what it returned for these very objects the last time."""
        address = (id(make), *map(id, objects))
        # Kept beside their result, the objects can't be replaced by others at the same place in memory.
        known = self._now[address] = self._before.get(address) or ((make, objects), make(*objects))
        found: _Seen = known[1]
        return found


@dataclass(frozen=True, slots=True)
class _Read:
    """A spec as it was understood, for as long as its generation lasts."""

    generation: int
    collisions: int | None
    stable_end: str
    spec: RolloutSpec | None
    problems: tuple[Problem, ...]
    template_hash: str
    step_hash: str
    workload: tuple[str, str] | None
    taken: Mapping[str, Any]
    """What the workload has filled in: template and selector."""
    router: Router | None
    named: tuple[TemplateName, ...]
    """The analysis templates that the spec names."""


class View(Protocol):
    """Where a world is read: a tracked view of the store, or one of an object that is only proposed."""

    def get(self, key: Key) -> Any: ...

    def owned(self, kind: str, owner_uid: str, namespace: str) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was found wrong with the analyses of a spec, and what that depends on."""

    read: _Read
    strategy: Mapping[str, Any]
    versions: tuple[str | None, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Led:
    """How routes lead users, and since when they have been seen to."""

    traffic: Traffic
    shown: tuple[Observed, tuple[str, ...]]
    since: datetime


class Gatherer:
    """Builds worlds. Keeps nothing but what can be read again, such as specs by generation, or else costs a moment:
    since when routes are as they are.

    strangers: names that our next ReplicaSet can't have because something that is not ours has them.
    """

    def __init__(self, now: Callable[[], datetime], signatures: Signatures, claims: Claims) -> None:
        self._now = now
        self._signatures = signatures
        self._claims = claims
        self._specs: dict[Key, _Read] = {}
        self._memories: dict[Key, _Memory] = {}
        self._checked: dict[Key, _Checked] = {}
        self._led: dict[Key, _Led] = {}
        self.strangers: set[Key] = set()

    def forget(self, key: Key) -> None:
        """The Rollout is gone."""
        self._specs.pop(key, None)
        self._memories.pop(key, None)
        self._checked.pop(key, None)
        self._led.pop(key, None)

    def rollout(self, view: View, key: Key) -> World | None:
        """The world of one Rollout, or None when it is gone."""
        raw = view.get(key)
        if raw is None:
            return None
        now = self._now()
        where = reference(raw)
        found = view.get(where) if where else None
        workload = Workload.read(where, found) if where and found else None
        if "deletionTimestamp" in raw["metadata"]:
            return World(now, raw, None, workload=workload)
        read = self._spec(key, raw, found)
        if read.taken:
            raw = {**raw, "spec": {**raw["spec"], **read.taken}}
        if read.spec is None or read.problems:
            return World(now, raw, None, read.problems)
        uid = raw["metadata"]["uid"]
        spec = read.spec
        memory = self._memories.get(key) or self._memories.setdefault(key, _Memory())
        memory.turn()
        templates = gather_templates(read.named, key.namespace, view.get)
        if problems := self._check_analyses(key, raw, read, templates):
            return World(now, raw, spec, problems)
        traffic = _traffic(view, memory, read.router)
        return World(
            now=now,
            rollout=raw,
            spec=spec,
            template_hash=read.template_hash,
            step_hash=read.step_hash,
            replica_sets=tuple(memory.of(_replica_set, rs) for rs in view.owned("ReplicaSet", uid, key.namespace)),
            name_taken=Key("ReplicaSet", key.namespace, f"{key.name}-{read.template_hash}") in self.strangers,
            services=_services(view, memory, key.namespace, spec),
            traffic=traffic,
            led_since=self._led_since(key, traffic, now),
            runs=_runs(view, memory, key.namespace, uid, raw.get("status") or {}),
            experiments=_experiments(view, key.namespace, uid, spec, raw.get("status") or {}),
            templates=templates,
            workload=workload,
            leftovers=self._signatures.leftovers(key, self._claims.objects(key)),
            rivals=self._claims.rivals(key),
        )

    def _led_since(self, key: Key, traffic: Traffic | None, now: datetime) -> datetime | None:
        """Since when routes lead users as they do now; where that is not known, since now."""
        known = self._led.get(key)
        if traffic is None:
            return None
        if known is None or known.traffic is not traffic:
            if traffic.problems():
                return None
            shown = (traffic.observe(), traffic.managed())
            known = self._led[key] = _Led(traffic, shown, known.since if known and known.shown == shown else now)
        return known.since

    def _check_analyses(
        self, key: Key, rollout: Mapping[str, Any], read: _Read, templates: Templates
    ) -> tuple[Problem, ...]:
        """Problems of the analyses, found anew only when what they depend on has changed: mostly not the image."""
        assert read.spec is not None
        if not templates:
            return ()
        versions = tuple(raw["metadata"]["resourceVersion"] if raw else None for raw in templates.values())
        known = self._checked.get(key)
        if known is None or known.read is not read or known.versions != versions:
            strategy = rollout["spec"]["strategy"]
            if known and known.versions == versions and known.strategy == strategy and not _asks_for_fields(read.spec):
                problems = known.problems
            else:
                problems = check_analyses(rollout, read.spec, templates)
            known = self._checked[key] = _Checked(read, strategy, versions, problems)
        return known.problems

    def _spec(self, key: Key, raw: Mapping[str, Any], workload: Mapping[str, Any] | None) -> _Read:
        generation = raw["metadata"].get("generation", 0)
        collisions = (raw.get("status") or {}).get("collisionCount")
        meta = workload["metadata"] if workload else {}
        source = (meta["uid"], str(meta.get("generation", meta["resourceVersion"]))) if workload else None
        read = self._specs.get(key)
        present = (generation, collisions, _stable_end(raw), source)
        if read is None or (read.generation, read.collisions, read.stable_end, read.workload) != present:
            taken, missing = _taken(raw, workload)
            spec, problems = (
                (None, missing)
                if missing
                else parse_rollout({**raw, "spec": {**raw["spec"], **taken}} if taken else raw)
            )
            spec = _with_ends(spec, present[2]) if spec else None
            hashes, wrong = _hashes(raw, spec, collisions) if spec else (("", ""), ())
            router = _router(key, spec) if spec else None
            named = tuple(named_templates(spec)) if spec else ()
            read = _Read(*present[:3], spec, (*problems, *wrong), *hashes, source, taken, router, named)
            self._specs[key] = read
        return read


def _asks_for_fields(spec: RolloutSpec) -> bool:
    """Whether an argument of an analysis is a field of the Rollout, which may stand anywhere in its spec."""
    return any(arg.value_from and arg.value_from.field_ref for arg in arguments(spec))


def _taken(raw: Mapping[str, Any], workload: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], tuple[Problem, ...]]:
    """What a Rollout takes from its workload; or why it can't."""
    where = reference(raw)
    if where is None:
        return {}, ()
    kind, spec = raw["spec"]["workloadRef"]["kind"], raw["spec"]
    if ((spec.get("template") or {}).get("spec") or {}).get("containers"):
        return {}, (Problem("spec.workloadRef", "is given and so is spec.template; keep one of them"),)
    if workload is None:
        return {}, (Problem("spec.workloadRef.name", f"{kind} {where.name} not found in namespace {where.namespace}"),)
    parts = unpacked(workload)
    if parts is None:
        owner = next(o for o in workload["metadata"]["ownerReferences"] if o.get("controller"))
        told = f"{kind} {where.name} belongs to {owner['kind']} {owner['name']}; name that instead"
        return {}, (Problem("spec.workloadRef.name", told),)
    return {**parts, "selector": spec.get("selector") or parts["selector"]}, ()


def _hashes(
    raw: Mapping[str, Any], spec: RolloutSpec, collisions: int | None
) -> tuple[tuple[str, str], tuple[Problem, ...]]:
    """The hashes of template and steps; or why Kubernetes could not read the one or the other."""
    steps = ((raw["spec"]["strategy"] or {}).get("canary") or {}).get("steps")
    try:
        template_hash = pod_template_hash(spec.template, collisions)
    except MalformedError as error:
        return ("", ""), (Problem(f"spec.template.{error.problem.path}", error.problem.message),)
    try:
        return (template_hash, step_hash(steps)), ()
    except MalformedError as error:
        return ("", ""), (Problem(f"spec.strategy.canary.steps{error.problem.path}", error.problem.message),)


def _stable_end(raw: Mapping[str, Any]) -> str:
    """Which of two Services that take turns is the stable one: ping at first, pong where the turns begin later.

    Empty where none take turns, so that the spec need not be read again when there is a stable revision.
    """
    found: Any = raw
    for name in ("spec", "strategy", "canary", "pingPong"):  # not read yet: anything may stand there
        found = found.get(name) if isinstance(found, Mapping) else None
    if not found:
        return ""
    status = raw.get("status") or {}
    told: str = (status.get("canary") or {}).get("stablePingPong") or ""
    return told or (names.PONG if status.get("stableRS") else names.PING)


def _with_ends(spec: RolloutSpec, stable_end: str) -> RolloutSpec:
    """The spec with the Services that are stable's and the canary's in this turn."""
    canary = spec.strategy.canary
    if canary is None or canary.ping_pong is None:
        return spec
    return replace(spec, strategy=replace(spec.strategy, canary=canary.in_turn(stable_end)))


def _services(view: View, memory: _Memory, namespace: str, spec: RolloutSpec) -> dict[str, Service | None]:
    raws = {name: view.get(Key("Service", namespace, name)) for _, name in spec.strategy.services()}
    return {name: memory.of(_service, raw) if raw else None for name, raw in raws.items()}


def _router(key: Key, spec: RolloutSpec) -> Router | None:
    if spec.strategy.canary is None:
        return None
    return router_for(spec.strategy.canary, namespace=key.namespace, rollout=key.name)


def _traffic(view: View, memory: _Memory, router: Router | None) -> Traffic | None:
    if router is None:
        return None
    return memory.of(_bound, router, *(view.get(reference) for reference in router.references()))


def _bound(router: Router, *objects: Mapping[str, Any] | None) -> Traffic:
    return router.bind(dict(zip(router.references(), objects, strict=True)))


def _runs(view: View, memory: _Memory, namespace: str, uid: str, status: Mapping[str, Any]) -> tuple[Run, ...]:
    raws = {raw["metadata"]["name"]: raw for raw in view.owned("AnalysisRun", uid, namespace)}
    for part in ("canary", "blueGreen"):
        for slot in (status.get(part) or {}).values():
            name = slot.get("name") if isinstance(slot, dict) else None
            if name and name not in raws and (raw := view.get(Key("AnalysisRun", namespace, name))):
                raws[name] = raw
    return tuple(memory.of(_run, raw, uid) for raw in raws.values())


def _experiments(
    view: View, namespace: str, uid: str, spec: RolloutSpec, status: Mapping[str, Any]
) -> tuple[Experiment, ...]:
    strategy, canary = spec.strategy.canary, status.get("canary") or {}
    current: str = canary.get("currentExperiment") or ""
    if not (current or (strategy and strategy.experiments) or (canary.get("weights") or {}).get("additional")):
        return ()
    raws = {raw["metadata"]["name"]: raw for raw in view.owned(names.EXPERIMENT, uid, namespace)}
    if current and current not in raws and (raw := view.get(Key(names.EXPERIMENT, namespace, current))):
        raws[current] = raw
    return tuple(_experiment(view, namespace, uid, raw) for raw in raws.values())


def _experiment(view: View, namespace: str, uid: str, raw: Mapping[str, Any]) -> Experiment:
    own = raw["metadata"]["uid"]
    sets = map(ReplicaSet.read, view.owned("ReplicaSet", own, namespace))
    services = map(Service.read, view.owned("Service", own, namespace))
    return Experiment.read(
        raw,
        uid,
        {rs.annotations.get(names.EXPERIMENT_TEMPLATE, ""): rs for rs in sets},
        {service.name: service for service in services},
    )
