"""A whole rollout in virtual time: `decide` in a loop over a small cluster of plain objects.

Every write is watched as it is made. What must hold after any single write is checked here, on what Services, subsets
and routes say, never on what the status claims; so each test on this stage tests the list "What always holds" too.
Objects are frozen: a decision that changes what it was given raises.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from tests.fakes.patches import json_patch, merge_patch
from tests.rollout.definitions import kept, lacks
from tests.rollout.objects import (
    GUESTS,
    MANAGED,
    SERVICES,
    TRIED,
    destination_rule,
    rollout,
    service,
    template,
    virtual_service,
)
from tests.rollout.ours import check_only_our_fields
from tests.rollout.trials import Trials, experiment_of
from tidegate.api import names
from tidegate.cluster.frozen import freeze
from tidegate.cluster.store import Store
from tidegate.core.plan import Event, Key, Plan, Write
from tidegate.core.rollout import needs
from tidegate.core.rollout.decide import decide
from tidegate.core.rollout.replicas import Bounds, carries
from tidegate.core.rollout.world import Pod as WorldPod
from tidegate.core.rollout.world import World
from tidegate.engine.claims import Claims
from tidegate.engine.gather import Gatherer
from tidegate.engine.signatures import Signatures
from tidegate.engine.workloads import LOOSE, RULES, WATCHED_ON_DEMAND

START: Final = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
HASH: Final = names.POD_TEMPLATE_HASH
DEADLINE: Final = names.SCALE_DOWN_DEADLINE
NAMESPACE: Final = "default"
ROLLOUT: Final = Key("Rollout", NAMESPACE, "app")
MIXED: Final = "*"
"""Stands for the pods of a Service or subset that selects no revision."""

_ROUNDS: Final = 30
_LEARN: Final = 2.0
"""Seconds in which the last proxy has learned of new weights."""

Obj = dict[str, Any]
Shares = dict[str, dict[str, float]]
"""Per route, the percent of its traffic that each pod template hash gets."""


class Broken(AssertionError):  # noqa: N818
    """One of the lines of "What always holds" was broken; the message quotes it."""


@dataclass(slots=True)
class Pod:
    """One pod. ready_at: seconds since START at which it is ready, infinity for never."""

    born: float
    ready_at: float
    name: str = ""
    gone_at: float | None = None
    metadata: Obj = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an analysis run ends: after so many seconds (None: never by itself), in this phase.

    judge: what its metrics that compare say until then, as `status.judge`. undecided: what its template says of that.
    """

    phase: str = "Successful"
    after: float | None = 4.0
    judge: Mapping[str, Any] = field(default_factory=dict)
    undecided: str = "pause"


@dataclass
class Stage:
    """One Rollout, `app`, and all that belongs to it.

    boot: seconds from a pod's creation to ready, by image; None for never. Others take `default_boot`.
    verdicts: how runs end, by `rollout-type` label; the last one of a list repeats.
    room: how many pods the cluster has room for; None for any number. Others wait until some go.
    strict: check every write against the invariants.
    budget: available pods that a disruption budget insists on; None without one.
    lag: seconds until EndpointSlices tell of a ready pod.
    drops: Argo Rollouts' definitions are installed, which drop what they do not know from a status.
    evicted: names of pods that were evicted. leaving: pods that are told to end, for 3 seconds yet, by ReplicaSet.
    """

    boot: dict[str, float | None] = field(default_factory=dict)
    default_boot: float = 2.0
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    room: int | None = None
    strict: bool = True
    twice: bool = False
    now: datetime = START
    objects: dict[Key, Obj] = field(default_factory=dict)
    pods: dict[str, list[Pod]] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)
    statuses: list[Mapping[str, Any]] = field(default_factory=list)
    plan: Plan = field(default_factory=Plan)
    decisions: int = 0
    foreign: set[Key] = field(default_factory=set)
    budget: int | None = None
    refused_until: datetime | None = None
    evicted: list[str] = field(default_factory=list)
    leaving: dict[str, list[Pod]] = field(default_factory=dict)
    pod_lists: int = 0
    endpoint_lists: int = 0
    lag: float = 0.0
    drops: bool = False
    _serial: int = 0
    _stepped: bool = False
    _runs: dict[str, tuple[float | None, Verdict]] = field(default_factory=dict)
    _run_numbers: dict[str, int] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _unused_since: dict[str, datetime] = field(default_factory=dict)
    _promised: dict[str, float] = field(default_factory=dict)
    _led: dict[Key, tuple[Any, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        store = Store()
        self._gatherer = Gatherer(lambda: self.now, Signatures(store, lambda _: None), Claims(store, lambda _: None))
        self.trials = Trials(self)
        self.broken = Broken

    # -- objects

    def put(self, obj: Obj) -> Obj:
        """Create or replace an object, as a user or another controller does."""
        key = _key(obj)
        old = self.objects.get(key)
        self._serial += 1
        metadata = {"namespace": NAMESPACE, "creationTimestamp": _stamp(self.now), "uid": f"u{self._serial}"}
        if old is not None:
            metadata |= {k: old["metadata"][k] for k in ("uid", "creationTimestamp", "generation")}
        obj = {**obj, "metadata": {**metadata, **obj["metadata"], "resourceVersion": str(self._serial)}}
        if old is None or any(old.get(k) != obj.get(k) for k in obj if k not in ("metadata", "status")):
            obj["metadata"]["generation"] = obj["metadata"].get("generation", 0) + 1
        self.objects[key] = freeze(obj)
        if key.kind == "VirtualService":
            self._note_way(key, obj)
        if key.kind in ("ReplicaSet", "Service", "VirtualService", "DestinationRule"):
            self._note_use()
        return obj

    def edit(self, key: Key, patch: Mapping[str, Any] | list[Mapping[str, Any]]) -> None:
        """Change an object as somebody else does: a merge patch or a JSON patch."""
        changed = (
            json_patch(self.objects[key], patch) if isinstance(patch, list) else merge_patch(self.objects[key], patch)
        )
        self.put(orjson.loads(orjson.dumps(changed)))

    def remove(self, key: Key) -> None:
        """Delete an object, as somebody else does."""
        gone = self.objects.pop(key, None)
        if gone is not None:
            self.pods.pop(gone["metadata"]["uid"], None)
            for owned in [k for k, o in self.objects.items() if _owned(o, gone)]:
                self.remove(owned)
            self._note_use()

    @property
    def rollout(self) -> Obj:
        return self.objects[ROLLOUT]

    @property
    def status(self) -> Mapping[str, Any]:
        return self.rollout.get("status") or {}

    def user(self, **status: Any) -> None:
        """Patch the status, as the plugin and Argo CD do."""
        self.edit(ROLLOUT, {"status": status})

    def spec(self, **fields: Any) -> None:
        """Change the Rollout's spec."""
        self.edit(ROLLOUT, {"spec": fields})

    def image(self, image: str) -> None:
        """A new pod template, in the Rollout or in the Deployment that it refers to."""
        owner = self._template_owner()
        containers = [{**owner["spec"]["template"]["spec"]["containers"][0], "image": image}]
        self.edit(_key(owner), {"spec": {"template": {"spec": {"containers": containers}}}})

    def asked(self) -> str:
        """The image that is asked for."""
        return _image(self._template_owner())

    def _template_owner(self) -> Obj:
        ref = self.rollout["spec"].get("workloadRef")
        return self.objects[Key(ref["kind"], NAMESPACE, ref["name"])] if ref else self.rollout

    def canary_end(self) -> str:
        """The subset, or the first label of the host, that is the canary's now."""
        canary = self.rollout["spec"]["strategy"].get("canary") or {}
        pair = canary.get("pingPong")
        if not pair:
            return "app-canary" if canary.get("canaryService") else "canary"
        turn = (self.status.get("canary") or {}).get("stablePingPong", "ping")
        return str(pair["pongService" if turn == "ping" else "pingService"])

    def sets(self) -> dict[str, Obj]:
        """ReplicaSets of the Rollout by the image of their pods."""
        return {
            _image(o): o for k, o in sorted(self.objects.items()) if k.kind == "ReplicaSet" and _owned(o, self.rollout)
        }

    def sizes(self) -> dict[str, int]:
        """Wanted pods by image; only those with any."""
        return {image: rs["spec"]["replicas"] for image, rs in self.sets().items() if rs["spec"]["replicas"]}

    def hash(self, image: str) -> str:
        found: str = self.sets()[image]["metadata"]["labels"][HASH]
        return found

    def selects(self, service: str) -> str:
        """The image that a Service points at, or its hash if that is nobody's."""
        wanted = self.objects[Key("Service", NAMESPACE, service)]["spec"]["selector"].get(HASH, MIXED)
        return next((image for image, rs in self.sets().items() if rs["metadata"]["labels"][HASH] == wanted), wanted)

    def weight(self, service: str = "app", route: int = 0) -> int:
        """The canary's weight in a VirtualService."""
        https = self.objects[Key("VirtualService", NAMESPACE, service)]["spec"]["http"]
        routes = [http for http in https if _is_ours(http)][route]["route"]
        canary = next(each for each in routes if _end(each["destination"]) == self.canary_end())
        return int(canary.get("weight") or 0)

    def runs(self) -> dict[str, str]:
        """Analysis runs and their phases."""
        found = {k.name: o for k, o in sorted(self.objects.items()) if k.kind == "AnalysisRun"}
        return {name: (o.get("status") or {}).get("phase", "") for name, o in found.items()}

    def condition(self, type_: str) -> Mapping[str, Any]:
        return next((c for c in self.status.get("conditions") or () if c["type"] == type_), {})

    def phase(self) -> tuple[str, str]:
        return self.status.get("phase", ""), self.status.get("message", "")

    # -- what `Gatherer` asks of a view

    def get(self, key: Key) -> Obj | None:
        obj = self.objects.get(Key("ReplicaSet", *key[1:]) if key.kind == LOOSE else key)
        if obj is None or key.kind not in WATCHED_ON_DEMAND:
            return obj
        project = RULES[key.kind].project
        assert project is not None
        return project(orjson.loads(orjson.dumps(obj)))

    def owned(self, kind: str, owner_uid: str, namespace: str) -> list[Obj]:
        return [
            obj
            for key, obj in sorted(self.objects.items())
            if key.kind == kind and key.namespace == namespace and _owner(obj) == owner_uid
        ]

    # -- the operator

    def world(self) -> World:
        world = self._gatherer.rollout(self, ROLLOUT)  # type: ignore[arg-type]
        assert world is not None
        if self.refused_until and self.now < self.refused_until:
            world = replace(world, no_eviction_before=self.refused_until)
        if hashes := needs.pods_of(world):
            self.pod_lists += 1
            world = replace(world, pods=tuple(WorldPod.read(raw) for raw in self.pod_objects(hashes)))
        if asked := needs.endpoints_of(world):
            self.endpoint_lists += 1
            if needs.unheard_of(asked[1], self.endpoints()):
                world = replace(world, unheard_of=asked[1].hash)
        return world

    def endpoints(self) -> list[str]:
        """The names of the pods, as the API server makes them, that EndpointSlices tell of by now."""
        found = []
        for key, rs in sorted(self.objects.items()):
            if key.kind == "ReplicaSet":
                known = [
                    p
                    for p in self.pods.get(rs["metadata"]["uid"], ())
                    if p.ready_at + self.lag <= self._seconds() + 1e-6
                ]
                found += [f"{key.name}-{number:05}" for number, _ in enumerate(known)]
        return found

    def pod_objects(self, hashes: Collection[str]) -> list[Obj]:
        """What the API server lists of pods with these hashes."""
        found = []
        for key, rs in sorted(self.objects.items()):
            if key.kind == "ReplicaSet" and rs["metadata"]["labels"].get(HASH) in hashes:
                uid = rs["metadata"]["uid"]
                found += [self._pod_object(rs, pod) for pod in (*self.pods.get(uid, ()), *self.leaving.get(uid, ()))]
        return found

    def _pod_object(self, rs: Obj, pod: Pod) -> Obj:
        ready = pod.gone_at is None and pod.ready_at <= self._seconds() + 1e-6
        owner = {"kind": "ReplicaSet", "name": rs["metadata"]["name"], "uid": rs["metadata"]["uid"], "controller": True}
        metadata = {
            **pod.metadata,
            "name": pod.name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{pod.name}",
            "creationTimestamp": _stamp(START + timedelta(seconds=pod.born)),
            "ownerReferences": [owner],
        }
        if pod.gone_at is not None:
            metadata["deletionTimestamp"] = _stamp(START + timedelta(seconds=pod.gone_at))
        since = _stamp(START + timedelta(seconds=pod.ready_at)) if ready else _stamp(self.now)
        condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": since}
        return {"metadata": metadata, "status": {"conditions": [condition]}}

    def _patch_pod(self, write: Write) -> None:
        assert isinstance(write.body, Mapping)
        patch = {
            part: write.body["metadata"][part] for part in ("labels", "annotations") if part in write.body["metadata"]
        }
        pod = next((p for pods in self.pods.values() for p in pods if p.name == write.key.name), None)
        assert write.body["metadata"]["uid"] == f"uid-of-{write.key.name}"
        self.writes.append(write)
        if pod is not None:
            changed = merge_patch(pod.metadata, patch)
            if changed == pod.metadata:
                raise Broken(f"A write that would change nothing is not made: {write}")
            pod.metadata = changed

    def _evict(self, write: Write) -> bool:
        """The Eviction API: False when the disruption budget refuses."""
        assert isinstance(write.body, Mapping)
        for uid, pods in self.pods.items():
            pod = next((pod for pod in pods if pod.name == write.key.name), None)
            if pod is None:
                continue
            assert write.body["deleteOptions"]["preconditions"]["uid"] == f"uid-of-{pod.name}"
            ready = sum(each.ready_at <= self._seconds() + 1e-6 for all_ in self.pods.values() for each in all_)
            if self.budget is not None and pod.ready_at <= self._seconds() + 1e-6 and ready <= self.budget:
                self.refused_until = self.now + timedelta(seconds=30)
                return False
            pods.remove(pod)
            pod.gone_at = self._seconds() + 3
            self.leaving.setdefault(uid, []).append(pod)
            self.evicted.append(pod.name)
            self._replicaset_controller()
        return True

    def decide(self) -> Plan:
        self.decisions += 1
        world = self.world()
        plan = decide(world)
        if self.twice:
            assert decide(world) == plan, "`decide` is a pure function"
        return plan

    def reconcile(self, crash_after: int | None = None) -> bool:
        """One reconcile of the Rollout and of its Experiments, as the engine does it; True if it did anything.

        crash_after: stop after so many writes of the Rollout's, as a killed process does.
        """
        did = self._reconcile(crash_after)
        return self.trials.reconcile() or did

    def _reconcile(self, crash_after: int | None) -> bool:
        if ROLLOUT not in self.objects:
            return False
        begun, done_since_status = len(self.writes), True
        for _ in range(_ROUNDS):
            self.plan = plan = self.decide()
            if plan.actions:
                done_since_status = True
                for action in plan.actions:
                    write = action.write()
                    if crash_after is not None and write.key.kind == "Pod" and len(self.writes) - begun >= crash_after:
                        return True
                    if write.subresource == "eviction":
                        self.writes.append(write)
                        if not self._evict(write):
                            break
                        continue
                    if write.key.kind == "Pod":
                        self._patch_pod(write)
                        continue
                    if self._taken(write):
                        break
                    self.carry_out(write)
                    if crash_after is not None and len(self.writes) - begun >= crash_after:
                        return True
                    if action.event:
                        self._tell(action.event)
            elif plan.status is not None:
                if not done_since_status and not self._stepped:
                    raise Broken("One status write a reconcile: two in a row with nothing done between")
                self._write_status(plan.status)
                done_since_status = False
                self._tell(*plan.events)
                if crash_after is not None and len(self.writes) - begun >= crash_after:
                    return True
            else:
                return len(self.writes) > begun
        raise Broken(f"Restless: still {self.plan} after {_ROUNDS} decisions")

    def _tell(self, *events: Event) -> None:
        self.told += events
        self.events += [event.reason for event in events]

    def _taken(self, write: Write) -> bool:
        if write.verb != "create" or write.key not in self.objects:
            return False
        if write.key.kind == "ReplicaSet" and not _owned(self.objects[write.key], self.rollout):
            self._gatherer.strangers.add(write.key)
        return True

    def _write_status(self, status: Mapping[str, Any]) -> None:
        plain = orjson.loads(orjson.dumps(status))
        if self.drops:
            plain = kept(plain)
        if plain == self.status:
            raise Broken("A write that would change nothing is not made: the same status again")
        # A step that is done is written down before the next one begins, which may be over as soon.
        self._stepped = any(plain.get(f) != self.status.get(f) for f in ("currentStepIndex", "currentPodHash"))
        self.writes.append(Write("patch", ROLLOUT, {"status": plain}, subresource="status"))
        self.statuses.append(plain)
        if lacking := lacks("Rollout", plain):
            raise Broken(f"Argo Rollouts' definition would refuse this status, which lacks {lacking}: {plain}")
        before = self.status
        self.store({**self.rollout, "status": plain})
        self._check_together(before)
        self._check_status()

    def carry_out(self, write: Write) -> None:
        """Carry out one write, and check what must hold after it."""
        self.writes.append(write)
        before_shares = self.shares() if self.strict else {}
        old = self.objects.get(write.key)
        if write.verb == "create":
            assert isinstance(write.body, Mapping)
            self.put(orjson.loads(orjson.dumps(dict(write.body))))
            if write.key.kind == "AnalysisRun":
                self._begin_run(write.key)
        elif old is None:
            return
        elif write.verb == "delete":
            if write.uid not in ("", old["metadata"]["uid"]):
                raise Broken(f"{write.key}: deleted by a wrong uid")
            self.remove(write.key)
        else:
            changed = merge_patch(old, write.body) if write.patch == "merge" else json_patch(old, write.body)
            changed = orjson.loads(orjson.dumps(changed))
            if changed == old:
                raise Broken(f"A write that would change nothing is not made: {write}")
            if self.strict:
                check_only_our_fields(write.key, old, changed)
            self.put(changed)
        if (after := self.objects.get(write.key)) and "finalizers" in after["metadata"]:
            raise Broken(f"No finalizers that block deletion: {write}")
        if self.strict:
            self._check_shift(write, before_shares)
            self._check_subsets(write, old)
            self._check_leaving(write, old)
            self._check_scale(write, old)
            self.trials.check_hosts(write)
        self._replicaset_controller()

    def store(self, obj: Obj) -> None:
        """Take in an object whose spec has not changed."""
        self._serial += 1
        key = _key(obj)
        self.objects[key] = freeze({**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._serial)}})

    # -- the rest of the cluster

    def _replicaset_controller(self) -> None:
        """Pods for every ReplicaSet, and its counts, at once."""
        at = self._seconds()
        sets = [(key, rs) for key, rs in self.objects.items() if key.kind == "ReplicaSet"]
        wanted_of = {key: 0 if "deletionTimestamp" in rs["metadata"] else rs["spec"]["replicas"] for key, rs in sets}
        for key, rs in sets:  # Pods go first, so that others find their room.
            uid = rs["metadata"]["uid"]
            pods = self.pods.setdefault(uid, [])
            self.leaving[uid] = [pod for pod in self.leaving.get(uid, ()) if (pod.gone_at or 0) > at]
            pods.sort(key=lambda pod: (pod.ready_at, pod.born))
            del pods[wanted_of[key] :]
        for key, rs in sets:
            uid, spec, wanted = rs["metadata"]["uid"], rs["spec"], wanted_of[key]
            pods = self.pods[uid]
            boot = self.boot.get(_image(rs), self.default_boot)
            while len(pods) < wanted and (self.room is None or sum(map(len, self.pods.values())) < self.room):
                self._serial += 1
                name = f"{rs['metadata']['name']}-{self._serial}"
                metadata = spec["template"].get("metadata") or {}
                pods.append(Pod(at, math.inf if boot is None else at + boot, name, metadata=dict(metadata)))
            ready = [pod for pod in pods if pod.ready_at <= at + 1e-6]
            settled = [pod for pod in ready if pod.ready_at + (spec.get("minReadySeconds") or 0) <= at + 1e-6]
            counts = {"replicas": len(pods), "readyReplicas": len(ready), "availableReplicas": len(settled)}
            status = {name: count for name, count in counts.items() if count or name == "replicas"}
            if "observedGeneration" in (rs.get("status") or {}):
                status["observedGeneration"] = rs["status"]["observedGeneration"]
            if status != rs.get("status"):
                self.store({**rs, "status": status})

    def _begin_run(self, key: Key) -> None:
        run = self.objects[key]
        kind = run["metadata"]["labels"].get(names.RUN_TYPE, "Experiment")
        number = self._run_numbers.get(kind, 0)
        self._run_numbers[kind] = number + 1
        script = self.verdicts.get(kind) or [Verdict()]
        verdict = script[min(number, len(script) - 1)]
        due = None if verdict.after is None else self._seconds() + verdict.after
        self._runs[run["metadata"]["uid"]] = (due, verdict)
        if verdict.judge:
            self.store({**run, "spec": {**run["spec"], "judge": {"whenUndecided": verdict.undecided}}})
        if verdict.after == 0:
            self._analysis()

    def _analysis(self) -> None:
        for key, run in list(self.objects.items()):
            if key.kind != "AnalysisRun" or (run.get("status") or {}).get("phase") in (
                "Successful",
                "Failed",
                "Error",
                "Inconclusive",
            ):
                continue
            due, verdict = self._runs.get(run["metadata"]["uid"], (None, Verdict("")))
            if run["spec"].get("terminate"):
                self.store({**run, "status": {"phase": "Successful", "message": "Run Terminated"}})
            elif due is not None and due <= self._seconds() + 1e-6:
                self.store({**run, "status": {"phase": verdict.phase, "message": f"scripted {verdict.phase}"}})
            elif not run.get("status"):
                judge = {"judge": dict(verdict.judge)} if verdict.judge else {}
                self.store({**run, "status": {"phase": "Running", **judge}})

    def found(self, **judge: Any) -> None:
        """What the metrics of the runs under way, which compare, have found now."""
        for key, run in list(self.objects.items()):
            if key.kind == "AnalysisRun" and (run.get("status") or {}).get("phase") == "Running":
                self.store({**run, "status": {"phase": "Running", "judge": judge}})

    def crash_pods(self, image: str, count: int = 1, for_seconds: float = math.inf) -> None:
        """Make ready pods of an image unready, for a time or for good."""
        rs = self.sets().get(image)
        at = self._seconds()
        for pod in self.pods.get(rs["metadata"]["uid"], ())[:count] if rs else ():
            pod.ready_at = at + for_seconds
        self._replicaset_controller()

    def heal_pods(self, image: str) -> None:
        """Every pod of the image becomes ready soon, now and from here on."""
        self.boot[image] = self.default_boot
        rs = self.sets().get(image)
        for pod in self.pods.get(rs["metadata"]["uid"], ()) if rs else ():
            pod.ready_at = min(pod.ready_at, self._seconds() + self.default_boot)

    def cluster_moves(self) -> None:
        self._replicaset_controller()
        self._analysis()

    def _next_change(self) -> float | None:
        at = self._seconds()
        times = [due for due, _ in self._runs.values() if due is not None]
        for key, rs in self.objects.items():
            if key.kind == "ReplicaSet":
                delay = rs["spec"].get("minReadySeconds") or 0
                times += [t for p in self.pods.get(rs["metadata"]["uid"], ()) for t in (p.ready_at, p.ready_at + delay)]
        return min((t for t in times if t > at + 1e-6 and t != math.inf), default=None)

    # -- time

    def _seconds(self) -> float:
        return (self.now - START).total_seconds()

    def play(self, seconds: float = 3600.0) -> Stage:
        """Let time pass, reconciling whenever something has happened or the plan wanted to look again."""
        end = self.now + timedelta(seconds=seconds)
        for _ in range(5000):
            self.cluster_moves()
            self.reconcile()
            self.cluster_moves()
            if self.reconcile():
                continue
            change = self._next_change()
            wakes = [START + timedelta(seconds=change)] if change is not None else []
            if self.plan.again_at is not None:
                wakes.append(max(self.plan.again_at, self.now))
            wakes += [max(at, self.now) for at in self.trials.again.values()]
            upcoming = min((wake for wake in wakes if wake > self.now), default=None)
            if any(wake <= self.now for wake in wakes):
                raise Broken(f"Restless: wants to look again at {self.plan.again_at}, which has come, and does nothing")
            if upcoming is None or upcoming > end:
                self.now = end
                self.cluster_moves()
                return self
            self.now = upcoming
        raise Broken("Restless: the story does not settle")

    def settle(self) -> Stage:
        """Play until nothing more is to come, and check that it stays so."""
        self.play(7200)
        self.cluster_moves()
        if self.reconcile():
            raise Broken(f"Idle is silent: {self.writes[-1]} long after the story")
        return self

    # -- the view of traffic

    def shares(self) -> Shares:
        """Where the traffic of every route goes, by pod template hash; for blue-green, that of the active Service."""
        strategy = self.rollout["spec"]["strategy"]
        if "blueGreen" in strategy:
            name = strategy["blueGreen"]["activeService"]
            return {name: {self._service_hash(name): 100.0}}
        found: Shares = {}
        for key, vs in self.objects.items():
            if key.kind != "VirtualService":
                continue
            for at, http in enumerate(vs["spec"].get("http") or ()):
                weights = [float(d.get("weight") or 0) for d in http.get("route") or ()]
                if len(weights) < 2:
                    continue
                total = sum(weights) or 1.0
                share: dict[str, float] = {}
                for destination, weight in zip(http["route"], weights, strict=True):
                    end = self._destination_hash(destination["destination"])
                    if end is not None:
                        share[end] = share.get(end, 0.0) + 100 * weight / total
                found[f"{key.name}[{http.get('name', at)}]"] = share
        return found

    def _destination_hash(self, destination: Mapping[str, Any]) -> str | None:
        host, subset = destination["host"].partition(".")[0], destination.get("subset")
        if subset:
            for key, rule in self.objects.items():
                if key.kind == "DestinationRule":
                    for each in rule["spec"]["subsets"]:
                        if each["name"] == subset:
                            return (each.get("labels") or {}).get(HASH, MIXED)
            return None
        return self._service_hash(host) if Key("Service", NAMESPACE, host) in self.objects else None

    def _service_hash(self, name: str) -> str:
        service = self.objects.get(Key("Service", NAMESPACE, name))
        return service["spec"]["selector"].get(HASH, MIXED) if service else MIXED

    def _pointed_at(self) -> set[str]:
        """The hashes that a Service or subset of the Rollout selects."""
        found = {self._service_hash(k.name) for k in self.objects if k.kind == "Service"}
        for key, rule in self.objects.items():
            if key.kind == "DestinationRule":
                found |= {(each.get("labels") or {}).get(HASH, MIXED) for each in rule["spec"]["subsets"]}
        return found

    def _note_use(self) -> None:
        # A delay is counted from when users have left, not those who merely look at a preview.
        used = (
            set(self.shares().get("app-active", {}))
            if "'app-active'" in str(self.objects.get(ROLLOUT))
            else self._pointed_at()
        )
        self.trials.note_use(self.shares() if ROLLOUT in self.objects else {})
        for rs in self.sets_by_hash():
            if rs in used:
                self._used.add(rs)
                self._unused_since.pop(rs, None)
            elif rs in self._used:
                self._unused_since.setdefault(rs, self.now)

    def sets_by_hash(self) -> dict[str, Obj]:
        if ROLLOUT not in self.objects:
            return {}
        return {rs["metadata"]["labels"][HASH]: rs for rs in self.sets().values()}

    def available(self, hash_: str) -> int:
        rs = self.sets_by_hash().get(hash_) or self.trials.sets().get(hash_)
        if rs is None or "deletionTimestamp" in rs["metadata"]:
            return 0
        return min((rs.get("status") or {}).get("availableReplicas", 0), rs["spec"]["replicas"])

    # -- the invariants

    def _check_shift(self, write: Write, before: Shares) -> None:
        """1 and 2: weight only where there are pods, on the way there and on the way back."""
        if write.key.kind not in ("VirtualService", "DestinationRule", "Service"):
            return
        replicas = self.rollout["spec"].get("replicas", 1)
        blue_green = "blueGreen" in self.rollout["spec"]["strategy"]
        after = self.shares()
        for route, split in after.items():
            was = before.get(route, {})
            for hash_, share in split.items():
                if hash_ == MIXED or share <= was.get(hash_, 0.0) + 1e-6 or not replicas:
                    continue
                available = self.available(hash_)
                if share <= self._carries(available, nearly=hash_ == self.status.get("stableRS")) + 1e-6:
                    continue
                if not any(self.available(h) for h, s in was.items() if s > split.get(h, 0.0) + 1e-6) and (
                    available or hash_ == self.status.get("stableRS") or hash_ not in self.sets_by_hash()
                ):
                    continue  # Where the traffic was, nobody answered at all.
                if blue_green and available and hash_ == self.status.get("stableRS"):
                    continue  # All or nothing: an unready stable pod does not block the way back.
                raise Broken(
                    "Traffic only goes where there is capacity: "
                    f"{write} gives {hash_} {share:g} % of {route} (was {was}) with {available} of {replicas} pods"
                )

    def _check_subsets(self, write: Write, old: Obj | None) -> None:
        """A subset is only given pods that proxies can know of; a Service is told of its pods in one go."""
        if write.key.kind != "DestinationRule" or old is None or not self.rollout["spec"].get("replicas", 1):
            return
        for hash_ in _ends(self.objects[write.key]) - _ends(old):
            rs = self.sets_by_hash().get(hash_)
            if rs and not any(name.startswith(f"{rs['metadata']['name']}-") for name in self.endpoints()):
                raise Broken(f"Traffic only goes where there is capacity: {write} leads to pods that nobody knows of")

    def _note_way(self, key: Key, vs: Obj) -> None:
        """Since when the routes of the Rollout lead users as they do."""
        way = [
            (http.get("name"), [(_end(each["destination"]), each.get("weight")) for each in http.get("route") or ()])
            for http in vs["spec"].get("http") or ()
            if _is_ours(http) or http.get("name") in MANAGED
        ]
        if self._led.get(key, (None, 0.0))[0] != way:
            self._led[key] = way, self._seconds()

    def _check_leaving(self, write: Write, old: Obj | None) -> None:
        """3: pods to which a weight of before may still lead users keep a Service."""
        if write.key.kind != "Service" or old is None or not self._routed() or not self._led:
            return
        left = old["spec"]["selector"].get(HASH, MIXED)
        since = max(at for _, at in self._led.values())
        selected = {self._service_hash(key.name) for key in self.objects if key.kind == "Service"}
        stable = self.sets_by_hash().get(self.status.get("stableRS", ""))
        back = self.status.get("abort") or (stable and _image(stable) == self.asked())
        if back and write.key.name != self.canary_end():
            return  # On the way back nothing waits: users are led to stable's end at once.
        if not self.available(self.status.get("stableRS", "")):
            return  # Nor where a new template comes while what was promoted a moment ago is down.
        if self.available(left) and left not in selected and self._seconds() < since + _LEARN - 1e-6:
            raise Broken(
                f"Pods outlive their routes: {write} leaves {left} without a Service {self._seconds() - since:g} s "
                "after the routes have changed"
            )

    def _check_scale(self, write: Write, old: Obj | None) -> None:
        """3: nothing is scaled down while a route still points at it, nor before its delay."""
        if write.key.kind != "ReplicaSet" or old is None:
            return
        new = self.objects.get(write.key)
        self._note_promise(old, new)
        was, now = old["spec"]["replicas"], new["spec"]["replicas"] if new else 0
        if now >= was:
            return
        if experiment_of(old):
            self.trials.check_scale(old, now)
            return
        hash_, spec = old["metadata"]["labels"][HASH], self.rollout["spec"]
        desired = spec.get("replicas", 1)
        routed = self._routed()
        if routed:
            for route, split in self.shares().items():
                carried = self._carries(now, nearly=hash_ != self.status.get("stableRS"))
                if split.get(hash_, 0.0) > carried + 1e-6 and desired:
                    raise Broken(
                        f"Pods outlive their routes: {hash_} goes from {was} to {now} of {desired} pods "
                        f"with {split[hash_]:g} % of {route}"
                    )
        if now == 0 and desired and hash_ in self._pointed_at() and not self._all_may_go():
            raise Broken(
                f"Pods outlive their routes: {hash_} is scaled to nothing while a Service or subset selects it"
            )
        if now == 0 and desired and routed and (delay := self._delay(hash_)):
            since = self._unused_since.get(hash_)
            delay = self._promised.get(hash_, delay)
            if since is not None and (self.now - since).total_seconds() < delay - 1e-6:
                raise Broken(
                    f"Nothing is scaled down before its delay: {hash_} after {self.now - since}, not {delay} s"
                )

    def _note_promise(self, old: Obj, new: Obj | None) -> None:
        """A deadline is written for the delay of that moment, and holds though an abort may be over before it."""
        hash_ = old["metadata"]["labels"][HASH]
        deadlines = [((rs or {}).get("metadata") or {}).get("annotations", {}).get(DEADLINE) for rs in (old, new)]
        if deadlines[1] is None:
            self._promised.pop(hash_, None)
        elif deadlines[0] is None and hash_ in self.sets_by_hash():
            self._promised[hash_] = self._delay(hash_)

    def _carries(self, pods: int, *, nearly: bool = False) -> float:
        """The percent of the traffic that so many pods can carry, to the fineness of the route's weights.

        nearly: where stable's size is dynamic, half of the pods or more may have a part of the whole more, for stable
        to take its traffic back, and for the others to make room for it.
        """
        spec = self.rollout["spec"]
        canary, replicas = spec["strategy"].get("canary") or {}, spec.get("replicas", 1)
        whole = (canary.get("trafficRouting") or {}).get("maxTrafficWeight", 100)
        more = 1 if nearly and canary.get("dynamicStableScale") and 2 * pods >= replicas else 0
        exact = whole * pods / replicas if replicas else whole
        rounded_up = math.ceil(exact - 1e-9) if more else carries(pods, replicas, whole)
        return 100 * min(whole, rounded_up) / whole

    def _all_may_go(self) -> bool:
        """Whether the strategy lets every pod be unavailable for a time, as one pod without surge has to."""
        strategy, replicas = self.rollout["spec"]["strategy"], self.rollout["spec"].get("replicas", 1)
        if self._routed():
            return False
        given = [strategy["canary"].get(name, "25%") for name in ("maxSurge", "maxUnavailable")]
        return Bounds.resolve(*given, replicas).unavailable >= replicas

    def _routed(self) -> bool:
        strategy = self.rollout["spec"]["strategy"]
        return "blueGreen" in strategy or "trafficRouting" in strategy["canary"]

    def _delay(self, hash_: str) -> float:
        strategy = self.rollout["spec"]["strategy"]
        part = strategy.get("blueGreen") or strategy["canary"]
        if part.get("scaleDownDelayRevisionLimit") is not None:
            return 0.0
        if self.status.get("abort") and _image(self.sets_by_hash()[hash_]) == self.asked():
            return float(part.get("abortScaleDownDelaySeconds", 30)) or math.inf
        return float(part.get("scaleDownDelaySeconds", 30))

    def _check_together(self, before: Mapping[str, Any]) -> None:
        """11: one status write, with everything that belongs together. Scripts read it within milliseconds."""
        status = self.status
        reasons = [pause["reason"] for pause in status.get("pauseConditions") or ()]
        waits = status["phase"] == "Paused" and status["message"] != "manually paused"
        if waits and (status["message"] not in reasons or not status.get("controllerPause")):
            raise Broken(f"Half a step: {status['message']} without its pause: {reasons}")
        if reasons and status["phase"] not in ("Paused", "Degraded"):
            raise Broken(f"Half a step: {reasons} with the phase {status['phase']}")
        seen, present = status["observedGeneration"], str(self.rollout["metadata"].get("generation", 0))
        if seen != present and status.get("collisionCount") == before.get("collisionCount"):
            raise Broken(f"Half a step: a phase of generation {present} that says it is of {seen}")

    def _check_status(self) -> None:
        """5: status tells what is."""
        canary = self.rollout["spec"]["strategy"].get("canary") or {}
        weights = (self.status.get("canary") or {}).get("weights")
        if "trafficRouting" not in canary or not weights or self.condition("InvalidSpec"):
            return
        shown = max(self._in_parts(k.name) for k in self.objects if k.kind == "VirtualService")
        if weights["canary"]["weight"] != shown:
            raise Broken(f"Status tells what is, not what was asked: says {weights}, the routes show {shown}")
        more = self.more_weights()
        if {each["serviceName"]: each["weight"] for each in weights.get("additional", ())} != more:
            raise Broken(f"Status tells what is, not what was asked: says {weights}, the routes show {more}")

    def _in_parts(self, name: str) -> int:
        """The canary's weight in parts of the whole, where a route at rest may count to 100 yet."""
        route = next(h for h in self.objects[Key("VirtualService", NAMESPACE, name)]["spec"]["http"] if _is_ours(h))
        total = sum(each.get("weight") or 0 for each in route["route"])
        routing = self.rollout["spec"]["strategy"]["canary"]["trafficRouting"]
        whole: int = routing.get("maxTrafficWeight", 100)
        return self.weight(name) * whole // total if total == 100 else self.weight(name)

    def more_weights(self) -> dict[str, int]:
        """The weights of Experiments' versions in the routes, by Service or subset."""
        found: dict[str, int] = {}
        for key, route in self.objects.items():
            for http in route["spec"]["http"] if key.kind == "VirtualService" else ():
                for each in http["route"]:
                    name = each["destination"].get("subset") or each["destination"]["host"].partition(".")[0]
                    if name.rpartition("-")[2] in TRIED and each.get("weight"):
                        found[name] = max(found.get(name, 0), each["weight"])
        return found


def set_up(strategy: Mapping[str, Any], *, others: int = 0, stage: Stage | None = None, **spec: Any) -> Stage:
    """A cluster with everything that the strategy names, before the Rollout's first reconcile."""
    stage = stage or Stage()
    text = str(strategy)
    for name in SERVICES:
        if f"'{name}'" in text:
            stage.put(service(name))
    stage.put(service("app"))
    if "virtualService" in text:
        stage.put(virtual_service(subsets="Subset" in text, others=others, turns="pingPong" in text))
    if "'other'" in text:
        stage.put(virtual_service("other"))
    if "Subset" in text:
        stage.put(destination_rule())
    stage.put(template())
    stage.put(rollout(strategy, **spec))
    return stage


def deployed(strategy: Mapping[str, Any], *, others: int = 0, stage: Stage | None = None, **spec: Any) -> Stage:
    """The same with v1 deployed and Healthy."""
    stage = set_up(strategy, others=others, stage=stage, **spec).settle()
    assert stage.phase() == ("Healthy", ""), stage.status
    stage.writes.clear()
    stage.events.clear()
    stage.statuses.clear()
    return stage


def _key(obj: Obj) -> Key:
    return Key(obj["kind"], obj["metadata"].get("namespace", NAMESPACE), obj["metadata"]["name"])


def _is_ours(http: Mapping[str, Any]) -> bool:
    return http.get("name") not in (*MANAGED, GUESTS)


def _end(destination: Mapping[str, Any]) -> str:
    return str(destination.get("subset") or destination["host"].partition(".")[0])


def _image(rs: Obj) -> str:
    image: str = rs.get("spec", rs)["template"]["spec"]["containers"][0]["image"]
    return image


def _owner(obj: Obj) -> str:
    return next((o["uid"] for o in obj["metadata"].get("ownerReferences") or () if o.get("controller")), "")


def _owned(obj: Obj, owner: Obj) -> bool:
    return _owner(obj) == owner["metadata"]["uid"]


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _ends(rule: Obj) -> set[str]:
    """The hashes that the subsets of canary and stable select."""
    ends = [each for each in rule["spec"]["subsets"] if each["name"] in ("canary", "stable")]
    return {(each.get("labels") or {}).get(HASH, MIXED) for each in ends}
