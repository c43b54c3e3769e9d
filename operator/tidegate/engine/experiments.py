"""Reconciling an Experiment: gather, decide, apply, until nothing is left to do; then one write of the status."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tidegate.api import names
from tidegate.api.experiment import ExperimentSpec
from tidegate.api.parsing import parse_experiment
from tidegate.api.problems import Problem
from tidegate.cluster.errors import AlreadyExists, ApiError
from tidegate.cluster.events import Recorder
from tidegate.cluster.store import Store, View
from tidegate.core.analysis.nesting import gather_templates, named
from tidegate.core.experiment.bodies import service_name
from tidegate.core.experiment.decide import decide
from tidegate.core.experiment.world import ExperimentWorld
from tidegate.core.plan import Action, Key
from tidegate.core.rollout.experiments import holds
from tidegate.core.rollout.world import ReplicaSet, Run, Service
from tidegate.engine.controller import DONE, Outcome
from tidegate.engine.holding import Held, earlier, until
from tidegate.engine.rollouts import Restless
from tidegate.engine.writing import Writer, status_write

_ROUNDS: Final = 30


@dataclass(frozen=True, slots=True)
class Attempts:
    """What became of objects that this reconcile tried to create: the name is a stranger's, or the server will not have
    it. Not kept any longer, for what follows is in the status then, and a person may ask for another try."""

    taken: set[Key] = field(default_factory=set)
    refused: dict[Key, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Read:
    """A spec as it was understood, for as long as it stays the same."""

    raw: Any
    spec: ExperimentSpec | None
    problems: tuple[Problem, ...]


class ExperimentGatherer:
    """Builds worlds of Experiments. Keeps nothing but what can be read again: specs."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._specs: dict[Key, _Read] = {}

    def forget(self, key: Key) -> None:
        """The Experiment is gone."""
        self._specs.pop(key, None)

    def experiment(self, view: View, key: Key, attempts: Attempts) -> ExperimentWorld | None:
        """The world of one Experiment, or None when it is gone."""
        raw = view.get(key)
        if raw is None:
            return None
        now, read = self._now(), self._spec(key, raw)
        if "deletionTimestamp" in raw["metadata"]:
            return ExperimentWorld(now, raw, None)
        uid, namespace, status = raw["metadata"]["uid"], key.namespace, raw.get("status") or {}
        asked = named(read.spec.analyses) if read.spec else []
        services = tuple(Service.read(service) for service in view.owned("Service", uid, namespace))
        sets = tuple(ReplicaSet.read(rs) for rs in view.owned("ReplicaSet", uid, namespace))
        return ExperimentWorld(
            now=now,
            experiment=raw,
            spec=read.spec,
            problems=read.problems,
            replica_sets=sets,
            services=services,
            runs=_runs(view, namespace, uid, status),
            templates=gather_templates(asked, namespace, view.get),
            taken=frozenset(attempts.taken),
            refused=dict(attempts.refused),
            foreign=_foreign(view, key, uid, read.spec, sets),
            held=_is_held(view, key, raw, services),
        )

    def _spec(self, key: Key, raw: Mapping[str, Any]) -> _Read:
        spec, read = raw.get("spec"), self._specs.get(key)
        if read is None or read.raw != spec:  # The generation counts writes of the status too.
            read = self._specs[key] = _Read(spec, *parse_experiment(raw))
        return read


class Experiments:
    """The reconcile function of Experiments."""

    def __init__(self, store: Store, writer: Writer, recorder: Recorder, now: Callable[[], datetime]) -> None:
        self._store = store
        self._writer = writer
        self._recorder = recorder
        self._now = now
        self._gatherer = ExperimentGatherer(now)
        self._held = Held(now)

    async def reconcile(self, key: Key) -> Outcome:
        """Bring one Experiment as far as it can go now."""
        attempts = Attempts()
        for _ in range(_ROUNDS):
            view = self._store.view(key)
            world = self._gatherer.experiment(view, key, attempts)
            if world is None:
                self._store.forget(key)
                self._gatherer.forget(key)
                self._held.release(key)
                return DONE
            plan = decide(world)
            view.commit()
            if plan.actions:
                await self._carry_out(key, world, plan.actions, attempts)
            elif plan.status is not None:
                if wait := self._held.wait(key, plan):
                    return Outcome(earlier(wait, until(plan, self._now())))
                await self._writer.send(status_write(world.experiment, plan.status), key)
                self._held.release(key)
                for event in plan.events:
                    self._recorder.record(world.experiment, event)
            else:
                return Outcome(until(plan, self._now()))
        raise Restless(f"{key} did not come to rest in {_ROUNDS} decisions")

    async def _carry_out(
        self, key: Key, world: ExperimentWorld, actions: tuple[Action, ...], attempts: Attempts
    ) -> None:
        for action in actions:
            write = action.write()
            try:
                await self._writer.send(write, key)
            except AlreadyExists:
                # Ours after all (an earlier answer was lost), and in the store by now; or a stranger's.
                if not _owns(world, self._store.get(write.key)):
                    attempts.taken.add(write.key)
                return
            except ApiError as error:
                if write.verb != "create" or error.passing:
                    raise
                attempts.refused[write.key] = str(error)
                return
            if action.event is not None:
                self._recorder.record(world.experiment, action.event)


def _runs(view: View, namespace: str, uid: str, status: Mapping[str, Any]) -> tuple[Run, ...]:
    raws = {raw["metadata"]["name"]: raw for raw in view.owned(names.ANALYSIS_RUN, uid, namespace)}
    for entry in status.get("analysisRuns") or ():
        name = entry.get("analysisRun")
        if name and name not in raws and (raw := view.get(Key(names.ANALYSIS_RUN, namespace, name))):
            raws[name] = raw
    return tuple(Run.read(raw, uid) for raw in raws.values())


def _foreign(view: View, key: Key, uid: str, spec: ExperimentSpec | None, sets: Sequence[ReplicaSet]) -> dict[str, str]:
    """The wanted Services that are somebody else's, and the other Experiment that each belongs to, if it is one."""
    found: dict[str, str] = {}
    by_template = {rs.annotations.get(names.EXPERIMENT_TEMPLATE): rs for rs in sets}
    for given in spec.templates if spec else ():
        rs = by_template.get(given.name)
        if given.service is None or rs is None:
            continue
        name = service_name(given, rs)
        raw = view.get(Key("Service", key.namespace, name))
        owners = (raw["metadata"].get("ownerReferences") or ()) if raw else ()
        if raw is not None and not any(owner.get("uid") == uid for owner in owners):
            found[name] = next((owner["name"] for owner in owners if owner.get("kind") == names.EXPERIMENT), "")
    return found


def _is_held(view: View, key: Key, raw: Mapping[str, Any], services: Sequence[Service]) -> bool:
    """Whether the Rollout that owns the Experiment may lead users to its pods."""
    for owner in raw["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == names.ROLLOUT:
            rollout = view.get(Key(names.ROLLOUT, key.namespace, owner["name"]))
            if rollout is not None and rollout["metadata"]["uid"] == owner.get("uid"):
                return holds(rollout.get("status") or {}, key.name, services)
    return False


def _owns(world: ExperimentWorld, found: Mapping[str, Any] | None) -> bool:
    owners = found["metadata"].get("ownerReferences") or () if found else ()
    return any(owner.get("uid") == world.experiment["metadata"]["uid"] for owner in owners)
