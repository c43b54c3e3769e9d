"""A Rollout in the midst of an update, with everything that belongs to it, as a cluster shows it."""

from __future__ import annotations

from typing import Any, Final

from tests.fakes.cluster import FakeCluster

Obj = dict[str, Any]

NEW: Final = "newhash"
OLD: Final = "oldhash"
HASH: Final = "rollouts-pod-template-hash"
STEPS: Final = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {"duration": "10m"}}]


def template(image: str, hash_: str = "") -> Obj:
    labels = {"app": "app", **({HASH: hash_} if hash_ else {})}
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}}


class Release:
    """Revision 2 (image app:v2) beside revision 1 (app:v1, stable), at the endless pause."""

    def __init__(self, cluster: FakeCluster, name: str = "app", namespace: str = "default", **strategy: Any) -> None:
        self.cluster, self.name, self.namespace = cluster, name, namespace
        if cluster.peek("Namespace", namespace) is None:
            cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        spec = {
            "replicas": 5,
            "selector": {"matchLabels": {"app": "app"}},
            "template": template("app:v2"),
            "strategy": strategy or {"canary": {"steps": STEPS}},
        }
        made = cluster.create(
            self._object("Rollout", name, annotations={"rollout.argoproj.io/revision": "2"}, spec=spec)
        )
        self.uid = made["metadata"]["uid"]
        self.old = self._replica_set(OLD, 1, "app:v1", 4)
        self.new = self._replica_set(NEW, 2, "app:v2", 1)
        self._pod(self.new, f"{name}-{NEW}-aaaaa", {"phase": "Running"}, ready=True)
        self._pod(self.old, f"{name}-{OLD}-bbbbb", {"phase": "Running"}, ready=True)
        self.status(
            phase="Paused",
            message="CanaryPauseStep",
            observedGeneration="1",
            currentPodHash=NEW,
            stableRS=OLD,
            currentStepIndex=1,
            controllerPause=True,
            pauseConditions=[{"reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z"}],
            replicas=5,
            updatedReplicas=1,
            readyReplicas=5,
            availableReplicas=5,
            canary={
                "weights": {
                    "canary": {"weight": 20, "podTemplateHash": NEW},
                    "stable": {"weight": 80, "podTemplateHash": OLD},
                }
            },
            duration={"rolloutStartedAt": "2026-01-01T00:00:00Z"},
        )

    # -- changes

    def status(self, **fields: Any) -> None:
        self.cluster.patch("Rollout", self.name, {"status": fields}, self.namespace, "status", actor="operator")

    def spec(self, **fields: Any) -> None:
        self.cluster.patch("Rollout", self.name, {"spec": fields}, self.namespace)

    def observe(self) -> None:
        self.status(observedGeneration=str(self.now["metadata"]["generation"]))

    def run(self, name: str, phase: str, *, message: str = "", **result: Any) -> None:
        """An AnalysisRun of the new revision."""
        metric = {"name": "errors", "phase": phase, **result}
        obj = self._object(
            "AnalysisRun",
            name,
            labels={HASH: NEW, "rollout-type": "Background"},
            annotations={"rollout.argoproj.io/revision": "2"},
            owner=("Rollout", self.name, self.uid),
            spec={"metrics": [{"name": "errors", "provider": {"prometheus": {"query": "up"}}}]},
            status={"phase": phase, "message": message, "metricResults": [metric]},
        )
        self.cluster.create(obj)

    def event(self, reason: str, message: str, at: str) -> None:
        self.cluster.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {
                    "name": f"{self.name}.{reason.lower()}.{at[-9:-1].replace(':', '')}",
                    "namespace": self.namespace,
                },
                "involvedObject": {"kind": "Rollout", "name": self.name, "uid": self.uid, "namespace": self.namespace},
                "reason": reason,
                "message": message,
                "lastTimestamp": at,
                "type": "Normal",
            }
        )

    # -- what is there

    @property
    def now(self) -> Obj:
        found = self.cluster.get("Rollout", self.name, self.namespace)
        assert found is not None
        return found

    # -- making

    def _object(self, kind: str, name: str, *, owner: tuple[str, str, str] | None = None, **parts: Any) -> Obj:
        labels, annotations = parts.pop("labels", {}), parts.pop("annotations", {})
        version = {"Rollout": "argoproj.io/v1alpha1", "AnalysisRun": "argoproj.io/v1alpha1", "ReplicaSet": "apps/v1"}
        metadata: Obj = {"name": name, "namespace": self.namespace, "labels": labels, "annotations": annotations}
        if owner:
            kind_, name_, uid = owner
            metadata["ownerReferences"] = [
                {"apiVersion": version.get(kind_, "v1"), "kind": kind_, "name": name_, "uid": uid, "controller": True}
            ]
        return {"apiVersion": version.get(kind, "v1"), "kind": kind, "metadata": metadata, **parts}

    def _replica_set(self, hash_: str, revision: int, image: str, replicas: int) -> Obj:
        name = f"{self.name}-{hash_}"
        made = self.cluster.create(
            self._object(
                "ReplicaSet",
                name,
                labels={"app": "app", HASH: hash_},
                annotations={"rollout.argoproj.io/revision": str(revision)},
                owner=("Rollout", self.name, self.uid),
                spec={
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": "app", HASH: hash_}},
                    "template": template(image, hash_),
                },
            )
        )
        counts = {"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas}
        self.cluster.patch("ReplicaSet", name, {"status": counts}, self.namespace, "status")
        return made

    def _pod(self, owner: Obj, name: str, status: Obj, *, ready: bool) -> None:
        meta = owner["metadata"]
        shown = {**status, "containerStatuses": [{"name": "app", "ready": ready, "restartCount": 0, "state": {}}]}
        pod = self._object(
            "Pod",
            name,
            labels=owner["spec"]["template"]["metadata"]["labels"],
            owner=("ReplicaSet", meta["name"], meta["uid"]),
            spec={"containers": [{"name": "app", "image": "app"}]},
            status=shown,
        )
        self.cluster.create(pod)
