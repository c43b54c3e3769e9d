"""What can be done to the cluster for a Rollout, each as an intent that knows its one request.

Preconditions: `metadata.uid` where only identity matters (we alone scale our ReplicaSets, and their status moves too
fast for a resourceVersion), the whole resourceVersion where a person or another controller writes the same fields.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidegate.api import names
from tidegate.core.plan import Event, Key, Untold, Write
from tidegate.core.rollout.world import Experiment, Pod, ReplicaSet, Run, Service, Workload
from tidegate.core.times import format_time


@dataclass(frozen=True, slots=True)
class CreateReplicaSet:
    """Bring up a new revision."""

    namespace: str
    body: Mapping[str, Any]

    @property
    def event(self) -> Event:
        metadata = self.body["metadata"]
        revision = (metadata.get("annotations") or {}).get(names.REVISION, "")
        told = f"Created ReplicaSet {metadata['name']} (revision {revision})"
        return Event(names.REASON_NEW_REPLICA_SET, told)

    def write(self) -> Write:
        return Write("create", Key("ReplicaSet", self.namespace, self.body["metadata"]["name"]), self.body)


@dataclass(frozen=True, slots=True)
class Scale:
    """Give a ReplicaSet this many replicas, and take it off any scale-down list when it is needed again."""

    namespace: str
    replica_set: ReplicaSet
    replicas: int
    desired: int
    keep_deadline: bool = False

    @property
    def event(self) -> Event:
        direction = "up" if self.replicas > self.replica_set.replicas else "down"
        return Event(
            names.REASON_SCALING_REPLICA_SET,
            f"Scaled {direction} ReplicaSet {self.replica_set.name} "
            f"(revision {self.replica_set.revision}) from {self.replica_set.replicas} to {self.replicas}",
        )

    def write(self) -> Write:
        annotations: dict[str, str | None] = {names.DESIRED_REPLICAS: str(self.desired)}
        if self.replica_set.deadline and not self.keep_deadline:
            annotations |= _off_the_list(self.replica_set)
        return _patch(
            "ReplicaSet",
            self.namespace,
            self.replica_set,
            {"metadata": {"annotations": annotations}, "spec": {"replicas": self.replicas}},
        )


@dataclass(frozen=True, slots=True)
class SetDeadline(Untold):
    """Say when a ReplicaSet that nobody needs goes down, and whether it was stable; None takes it off the list."""

    namespace: str
    replica_set: ReplicaSet
    deadline: datetime | None
    was_stable: bool = False

    def write(self) -> Write:
        annotations = _off_the_list(self.replica_set)
        if self.deadline:
            annotations[names.SCALE_DOWN_DEADLINE] = format_time(self.deadline)
            if self.was_stable:
                annotations[names.WAS_STABLE] = "true"
        return _patch("ReplicaSet", self.namespace, self.replica_set, {"metadata": {"annotations": annotations}})


@dataclass(frozen=True, slots=True)
class MarkRevision(Untold):
    """Write what the Rollout says about its current ReplicaSet: its revision number and minReadySeconds."""

    namespace: str
    replica_set: ReplicaSet
    annotations: Mapping[str, str]
    min_ready_seconds: int

    def write(self) -> Write:
        return _patch(
            "ReplicaSet",
            self.namespace,
            self.replica_set,
            {
                "metadata": {"annotations": dict(self.annotations)},
                "spec": {"minReadySeconds": self.min_ready_seconds},
            },
        )


@dataclass(frozen=True, slots=True)
class DeleteReplicaSet(Untold):
    """Forget a revision beyond the history limit."""

    namespace: str
    replica_set: ReplicaSet

    def write(self) -> Write:
        key = Key("ReplicaSet", self.namespace, self.replica_set.name)
        return Write("delete", key, uid=self.replica_set.uid)


@dataclass(frozen=True, slots=True)
class DressReplicaSet(Untold):
    """Change the metadata that a ReplicaSet's pods bear for their role. behind: what its pods may still have."""

    namespace: str
    replica_set: ReplicaSet
    changes: Mapping[str, Mapping[str, str | None]]
    metadata: str | None
    behind: str | None

    def write(self) -> Write:
        marks: dict[str, str | None] = {names.EPHEMERAL_METADATA: self.metadata}
        if self.behind or names.PODS_BEHIND in self.replica_set.annotations:
            marks[names.PODS_BEHIND] = self.behind
        body: dict[str, Any] = {"metadata": {"annotations": marks}}
        if self.changes:
            body["spec"] = {"template": {"metadata": {part: dict(values) for part, values in self.changes.items()}}}
        return _patch("ReplicaSet", self.namespace, self.replica_set, body)


@dataclass(frozen=True, slots=True)
class Avoid(Untold):
    """Change the pods that a ReplicaSet's pods keep away from."""

    namespace: str
    replica_set: ReplicaSet
    terms: Mapping[str, list[Any] | None]

    def write(self) -> Write:
        spec = {"template": {"spec": {"affinity": {"podAntiAffinity": dict(self.terms)}}}}
        return _patch("ReplicaSet", self.namespace, self.replica_set, {"spec": spec})


@dataclass(frozen=True, slots=True)
class DressPod(Untold):
    """Change the metadata that one pod bears for its role."""

    namespace: str
    pod: Pod
    changes: Mapping[str, Mapping[str, str | None]]

    def write(self) -> Write:
        return _patch("Pod", self.namespace, self.pod, {"metadata": {p: dict(v) for p, v in self.changes.items()}})


@dataclass(frozen=True, slots=True)
class Forget(Untold):
    """Take an annotation off a ReplicaSet."""

    namespace: str
    replica_set: ReplicaSet
    annotation: str

    def write(self) -> Write:
        body: dict[str, Any] = {"metadata": {"annotations": {self.annotation: None}}}
        return _patch("ReplicaSet", self.namespace, self.replica_set, body)


@dataclass(frozen=True, slots=True)
class Evict(Untold):
    """Ask for the end of a pod, so that its ReplicaSet replaces it. A disruption budget may refuse."""

    namespace: str
    pod: Pod

    def write(self) -> Write:
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": self.pod.name, "namespace": self.namespace},
            "deleteOptions": {"preconditions": {"uid": self.pod.uid}},
        }
        return Write("create", Key("Pod", self.namespace, self.pod.name), body, subresource="eviction")


@dataclass(frozen=True, slots=True)
class PointService:
    """Make a Service select the pods of one revision."""

    namespace: str
    service: Service
    hash: str
    rollout: str

    @property
    def event(self) -> Event:
        return Event(
            names.REASON_SWITCH_SERVICE,
            f"Switched selector for service '{self.service.name}' from '{self.service.hash}' to '{self.hash}'",
        )

    def write(self) -> Write:
        return _patch(
            "Service",
            self.namespace,
            self.service,
            {
                "metadata": {"annotations": {names.MANAGED_BY: self.rollout}},
                "spec": {"selector": {names.POD_TEMPLATE_HASH: self.hash}},
            },
        )


@dataclass(frozen=True, slots=True)
class Shift:
    """One router write that moves user traffic."""

    request: Write
    event: Event | None

    def write(self) -> Write:
        return self.request


@dataclass(frozen=True, slots=True)
class PointSubsets:
    """One router write that changes which pods a subset stands for."""

    request: Write

    @property
    def event(self) -> Event:
        return Event(names.REASON_UPDATED_DESTINATION_RULE, f"Updated the subsets of {self.request.key}")

    def write(self) -> Write:
        return self.request


@dataclass(frozen=True, slots=True)
class LetGo:
    """One write that takes our marks off an object that the Rollout no longer names."""

    request: Write

    @property
    def event(self) -> Event:
        is_service = self.request.key.kind == "Service"
        reason = names.REASON_SWITCH_SERVICE if is_service else names.REASON_UPDATED_DESTINATION_RULE
        return Event(reason, f"Let go of {self.request.key}, which is no longer named")

    def write(self) -> Write:
        return self.request


def let_go_service(raw: Mapping[str, Any], foreign: Collection[str]) -> Write:
    """The patch that takes our signature out of a Service that bears it, and the hash but one of those in `foreign`."""
    metadata = raw["metadata"]
    operations = [{"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}]
    hash_ = ((raw.get("spec") or {}).get("selector") or {}).get(names.POD_TEMPLATE_HASH)
    if hash_ and hash_ not in foreign:
        operations.append({"op": "remove", "path": f"/spec/selector/{names.POD_TEMPLATE_HASH}"})
    operations.append({"op": "remove", "path": f"/metadata/annotations/{names.MANAGED_BY.replace('/', '~1')}"})
    return Write("patch", Key("Service", metadata["namespace"], metadata["name"]), operations, patch="json")


@dataclass(frozen=True, slots=True)
class CreateRun:
    """Start an analysis."""

    namespace: str
    body: Mapping[str, Any]

    @property
    def event(self) -> Event:
        metadata = self.body["metadata"]
        status = "Status New: 'Running' Previous: 'NoPreviousStatus'"
        told = f"{metadata['labels'][names.RUN_TYPE]} Analysis Run '{metadata['name']}' {status}"
        return Event(f"AnalysisRun{names.RUN_RUNNING}", told)

    def write(self) -> Write:
        return Write("create", Key("AnalysisRun", self.namespace, self.body["metadata"]["name"]), self.body)


@dataclass(frozen=True, slots=True)
class EndRun(Untold):
    """Tell an analysis that its verdict is no longer wanted."""

    namespace: str
    run: Run

    def write(self) -> Write:
        return _patch("AnalysisRun", self.namespace, self.run, {"spec": {"terminate": True}})


@dataclass(frozen=True, slots=True)
class DeleteRun(Untold):
    """Forget an analysis beyond its history limit."""

    namespace: str
    run: Run

    def write(self) -> Write:
        return Write("delete", Key("AnalysisRun", self.namespace, self.run.name), uid=self.run.uid)


@dataclass(frozen=True, slots=True)
class CreateExperiment:
    """Start the Experiment of a step."""

    namespace: str
    body: Mapping[str, Any]

    @property
    def event(self) -> Event:
        return Event(names.REASON_EXPERIMENT_CREATED, f"Created Experiment '{self.body['metadata']['name']}'")

    def write(self) -> Write:
        return Write("create", Key("Experiment", self.namespace, self.body["metadata"]["name"]), self.body)


@dataclass(frozen=True, slots=True)
class EndExperiment(Untold):
    """Tell an Experiment that its verdict is no longer wanted."""

    namespace: str
    experiment: Experiment

    def write(self) -> Write:
        return _patch("Experiment", self.namespace, self.experiment, {"spec": {"terminate": True}})


@dataclass(frozen=True, slots=True)
class DeleteExperiment(Untold):
    """Forget an Experiment beyond its history limit."""

    namespace: str
    experiment: Experiment

    def write(self) -> Write:
        return Write("delete", Key("Experiment", self.namespace, self.experiment.name), uid=self.experiment.uid)


@dataclass(frozen=True, slots=True)
class ScaleWorkload:
    """Give the Deployment that a Rollout stands in for fewer pods, or some of them back; note what it had."""

    namespace: str
    workload: Workload
    replicas: int
    before: int
    rollout: str

    @property
    def event(self) -> Event:
        return Event(
            "ScalingDeployment", f"Scaled {self.workload.key} from {self.workload.replicas} to {self.replicas}"
        )

    def write(self) -> Write:
        noted = {names.SCALED_DOWN_BY: self.rollout, names.REPLICAS_BEFORE: str(self.before)}
        meta = {
            "uid": self.workload.uid,
            "resourceVersion": self.workload.version,
            "labels": {names.SCALED_DOWN: "true"},
            "annotations": noted,
        }
        return Write("patch", self.workload.key, {"metadata": meta, "spec": {"replicas": self.replicas}})


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Give a Deployment the pods back that it had before a Rollout stood in for it."""

    namespace: str
    workload: Workload

    @property
    def event(self) -> Event:
        return Event(
            "ScalingDeployment", f"Scaled {self.workload.key} back to {self.workload.before}: its Rollout is deleted"
        )

    def write(self) -> Write:
        gone = {names.SCALED_DOWN_BY: None, names.REPLICAS_BEFORE: None}
        meta = {"uid": self.workload.uid, "labels": {names.SCALED_DOWN: None}, "annotations": gone}
        replicas = max(self.workload.before or 0, self.workload.replicas)
        return Write("patch", self.workload.key, {"metadata": meta, "spec": {"replicas": replicas}})


@dataclass(frozen=True, slots=True)
class MarkRollout(Untold):
    """Write the revision on the Rollout itself, and the replica count that was left open, for autoscalers to read.

    workload_generation: that of the workload whose template this is about; empty without one.
    """

    key: Key
    uid: str
    resource_version: str
    revision: int
    default_replicas: bool
    workload_generation: str = ""

    def write(self) -> Write:
        marks = {names.REVISION: str(self.revision)}
        if self.workload_generation:
            marks[names.WORKLOAD_GENERATION] = self.workload_generation
        body: dict[str, Any] = {
            "metadata": {"uid": self.uid, "resourceVersion": self.resource_version, "annotations": marks}
        }
        if self.default_replicas:
            body["spec"] = {"replicas": 1}
        return Write("patch", self.key, body)


def _off_the_list(replica_set: ReplicaSet) -> dict[str, str | None]:
    present = (names.SCALE_DOWN_DEADLINE, names.WAS_STABLE)
    return {name: None for name in present if name in replica_set.annotations}


def _patch(
    kind: str, namespace: str, target: ReplicaSet | Service | Run | Experiment | Pod, body: dict[str, Any]
) -> Write:
    body.setdefault("metadata", {})["uid"] = target.uid
    return Write("patch", Key(kind, namespace, target.name), body)
