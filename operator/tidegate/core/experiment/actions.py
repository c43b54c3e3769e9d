"""What can be done to the cluster for an Experiment, each as an intent that knows its one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidegate.api import names
from tidegate.core.plan import Event, Key, Untold, Write
from tidegate.core.rollout.world import ReplicaSet, Run, Service
from tidegate.core.times import format_time


@dataclass(frozen=True, slots=True)
class Create:
    """Create something that the Experiment owns; `event` tells of it."""

    body: Mapping[str, Any]
    event: Event | None

    def write(self) -> Write:
        metadata = self.body["metadata"]
        return Write("create", Key(self.body["kind"], metadata["namespace"], metadata["name"]), self.body)


@dataclass(frozen=True, slots=True)
class Resize:
    """Give a ReplicaSet this many replicas, and take its deadline off where it is needed again."""

    namespace: str
    replica_set: ReplicaSet
    replicas: int

    @property
    def event(self) -> Event | None:
        rs = self.replica_set
        if rs.replicas == self.replicas:
            return None
        way = "up" if self.replicas > rs.replicas else "down"
        told = f"Scaled {way} ReplicaSet {rs.name} from {rs.replicas} to {self.replicas}"
        return Event(names.REASON_SCALING_REPLICA_SET, told)

    def write(self) -> Write:
        metadata: dict[str, Any] = {"uid": self.replica_set.uid}
        if self.replicas and self.replica_set.deadline:
            metadata["annotations"] = {names.SCALE_DOWN_DEADLINE: None}
        body: dict[str, Any] = {"metadata": metadata}
        if self.replica_set.replicas != self.replicas:
            body["spec"] = {"replicas": self.replicas}
        return Write("patch", Key("ReplicaSet", self.namespace, self.replica_set.name), body)


@dataclass(frozen=True, slots=True)
class GiveNotice(Untold):
    """Write on a ReplicaSet when its pods go."""

    namespace: str
    replica_set: ReplicaSet
    deadline: datetime

    def write(self) -> Write:
        noted = {names.SCALE_DOWN_DEADLINE: format_time(self.deadline)}
        body = {"metadata": {"uid": self.replica_set.uid, "annotations": noted}}
        return Write("patch", Key("ReplicaSet", self.namespace, self.replica_set.name), body)


@dataclass(frozen=True, slots=True)
class DeleteService(Untold):
    """Delete a Service whose pods are gone."""

    namespace: str
    service: Service

    def write(self) -> Write:
        return Write("delete", Key("Service", self.namespace, self.service.name), uid=self.service.uid)


@dataclass(frozen=True, slots=True)
class EndRun:
    """Tell an analysis that its verdict is due."""

    namespace: str
    run: Run

    @property
    def event(self) -> Event:
        return Event("AnalysisRunTerminating", f"Terminating AnalysisRun {self.run.name}: the Experiment ends")

    def write(self) -> Write:
        body = {"metadata": {"uid": self.run.uid}, "spec": {"terminate": True}}
        return Write("patch", Key("AnalysisRun", self.namespace, self.run.name), body)
