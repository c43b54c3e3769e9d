"""The controller of Experiments on the stage, and what must hold at each of its writes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from tests.rollout.definitions import lacks
from tidegate.api import names
from tidegate.core.experiment.decide import decide
from tidegate.core.plan import Event, Key, Write
from tidegate.engine.experiments import Attempts, ExperimentGatherer

if TYPE_CHECKING:
    from tests.rollout.stage import Stage

Obj = dict[str, Any]

_ROUNDS: Final = 30


class Trials:
    """All Experiments of a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._gatherer = ExperimentGatherer(lambda: stage.now)
        self.again: dict[Key, datetime] = {}
        self.told: list[Event] = []
        self._left_since: dict[str, datetime] = {}

    def reconcile(self) -> bool:
        """Bring every Experiment as far as it can go; True if anything was done."""
        keys = [key for key in self._stage.objects if key.kind == "Experiment"]
        self.again = {key: at for key, at in self.again.items() if key in keys}
        done = [self._reconcile(key) for key in keys]
        return any(done)

    def _reconcile(self, key: Key) -> bool:
        stage, attempts, begun = self._stage, Attempts(), len(self._stage.writes)
        for _ in range(_ROUNDS):
            world = self._gatherer.experiment(stage, key, attempts)  # type: ignore[arg-type]
            if world is None:
                return True
            plan = decide(world)
            if stage.twice:
                assert decide(world) == plan, "`decide` is a pure function"
            self.again.pop(key, None)
            if plan.again_at is not None:
                self.again[key] = plan.again_at
            if plan.actions:
                self._carry_out(key, [action.write() for action in plan.actions], attempts)
            elif plan.status is not None:
                self._write_status(key, plan.status)
            else:
                return len(stage.writes) > begun
            self.told += [action.event for action in plan.actions if action.event] or plan.events
        raise stage.broken(f"Restless: {key} after {_ROUNDS} decisions")

    def _carry_out(self, key: Key, writes: list[Write], attempts: Attempts) -> None:
        for write in writes:
            if write.verb == "create" and write.key in self._stage.objects:
                attempts.taken.add(write.key)
                return
            self._stage.carry_out(write)

    def _write_status(self, key: Key, status: Mapping[str, Any]) -> None:
        plain, stage = orjson.loads(orjson.dumps(status)), self._stage
        if plain == stage.objects[key].get("status"):
            raise stage.broken("A write that would change nothing is not made: the same status again")
        if lacking := lacks(key.kind, plain):
            raise stage.broken(f"Argo Rollouts' definition would refuse this status, which lacks {lacking}: {plain}")
        stage.writes.append(Write("patch", key, {"status": plain}))
        stage.store({**stage.objects[key], "status": plain})

    def note_use(self, shares: Mapping[str, Mapping[str, float]]) -> None:
        """Take note of when users last were led to which version."""
        used = {hash_ for split in shares.values() for hash_, share in split.items() if share}
        for hash_ in self.sets():
            if hash_ in used:
                self._left_since[hash_] = self._stage.now
                # Overwritten at every write while in use, so what stays is the moment of the last one.

    def sets(self) -> dict[str, Obj]:
        """The ReplicaSets of Experiments by hash."""
        found = [o for k, o in self._stage.objects.items() if k.kind == "ReplicaSet" and experiment_of(o)]
        return {rs["metadata"]["labels"][names.POD_TEMPLATE_HASH]: rs for rs in found}

    def check_scale(self, old: Obj, now: int) -> None:
        """3: nothing is scaled down while a route still points at it, nor before its delay."""
        hash_ = old["metadata"]["labels"][names.POD_TEMPLATE_HASH]
        if any(split.get(hash_) for split in self._stage.shares().values()):
            raise self._stage.broken(f"Pods outlive their routes: {hash_} of an Experiment goes to {now}")
        since = self._left_since.get(hash_)
        delay = self._delay(experiment_of(old))
        if since is not None and (self._stage.now - since).total_seconds() < delay - 1e-6:
            raise self._stage.broken(f"Nothing is scaled down before its delay: {hash_} of an Experiment")

    def _delay(self, name: str) -> float:
        found = self._stage.objects.get(Key("Experiment", "default", name))
        return float(found["spec"].get("scaleDownDelaySeconds", 30)) if found else math.inf

    def check_hosts(self, write: Write) -> None:
        """Argo Rollouts writes an empty host for an Experiment without a Service (#4890); one that is not there is as
        bad."""
        if write.key.kind not in ("VirtualService", "DestinationRule", "Service"):
            return
        for key, route in self._stage.objects.items():
            if key.kind != "VirtualService" or (write.key.kind == "VirtualService" and key != write.key):
                continue  # What somebody else has deleted is taken out of one after the other.
            for http in route["spec"]["http"]:
                for each in http["route"]:
                    self._check_host(each["destination"], each.get("weight", 0))

    def _check_host(self, destination: Mapping[str, Any], weight: int) -> None:
        host, subset, stage = destination["host"].partition(".")[0], destination.get("subset"), self._stage
        if not host:
            raise stage.broken("an empty host")
        if not weight or host == "elsewhere":
            return
        if Key("Service", "default", host) not in stage.objects:
            raise stage.broken(f"Traffic only goes where there is capacity: there is no Service {host}")
        rules = [o for k, o in stage.objects.items() if k.kind == "DestinationRule"]
        if subset and not any(each["name"] == subset for rule in rules for each in rule["spec"]["subsets"]):
            raise stage.broken(f"Traffic only goes where there is capacity: there is no subset {subset}")


def experiment_of(rs: Mapping[str, Any]) -> str:
    """The Experiment that owns an object; empty for none."""
    owners = rs["metadata"].get("ownerReferences") or ()
    return next((owner["name"] for owner in owners if owner.get("kind") == "Experiment"), "")
