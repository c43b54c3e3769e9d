"""Objects as Argo Rollouts' controller leaves them, by the contract and not by what Tidegate would write.

The hashes are from Argo Rollouts itself: what 1.8.3 and 1.10.1 make of the stage's two templates and of STEPS. `older`
stands for a version whose hashes no later one computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from tests.rollout.objects import rollout
from tests.rollout.stage import HASH, NAMESPACE, ROLLOUT, START, Stage, set_up
from tidegate.core.plan import Key

Obj = dict[str, Any]

VERSIONS: Final = ("1.8", "1.10", "older")
HASHES: Final[Mapping[str, Mapping[str, str]]] = {
    "1.8": {"v1": "7b5cc8f64c", "v2": "6c9fbd4cdb"},
    "1.10": {"v1": "5b57768d75", "v2": "7f77d98d86"},
    "older": {"v1": "5d59d67564", "v2": "6f8b7c9d4b"},
}
"""Pod template hashes of the stage's templates, by the version of Argo Rollouts that gave them."""

ANALYSE: Final = {"analysis": {"templates": [{"templateName": "ok"}]}}
STEPS: Final = ({"setWeight": 50}, {"pause": {}}, ANALYSE, {"setWeight": 100})
STEP_HASHES: Final[Mapping[str, str]] = {"1.8": "7f4d49b595", "1.10": "6679fffc89", "older": "6c7d5b9f4c"}
"""Of STEPS."""


def stamp(seconds: float) -> str:
    """A metav1.Time, so many seconds from the stage's start."""
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def left(
    strategy: Mapping[str, Any],
    sizes: Mapping[str, int],
    status: Mapping[str, Any],
    *,
    by: str = "1.8",
    ends: Mapping[str, str],
    weight: int = 0,
    deadlines: Mapping[str, str] | None = None,
    **spec: Any,
) -> Stage:
    """A cluster in which Argo Rollouts has just ended.

    sizes: pods of v1 and, where an update has begun, v2, whose template is the Rollout's then. ends: the version that
    each Service selects. weight: of the canary in the route. deadlines: at which ReplicaSets go, by version.
    """
    hashes = HASHES[by]
    stage = set_up(strategy, stage=Stage(default_boot=0.0))
    stage.remove(ROLLOUT)
    revision = len(sizes)
    body = rollout(strategy, image=f"v{revision}", **spec)
    body["metadata"]["annotations"]["rollout.argoproj.io/revision"] = str(revision)
    body["metadata"] |= {"generation": 6, "managedFields": _managed("argoproj.io/v1alpha1")}
    body["status"] = {**_status(strategy, sizes, hashes, by, observed="7"), **status}
    owner = stage.put(body)
    for number, (version, pods) in enumerate(sizes.items(), 1):
        deadline = (deadlines or {}).get(version)
        stage.put(_replica_set(owner, version, hashes[version], number, pods, deadline))
    for name, version in ends.items():
        annotations = {"argo-rollouts.argoproj.io/managed-by-rollouts": "app"}
        stage.edit(
            Key("Service", NAMESPACE, name),
            {"metadata": {"annotations": annotations}, "spec": {"selector": {HASH: hashes[version]}}},
        )
    if weight:
        path = "/spec/http/0/route"
        changes = [(f"{path}/0/weight", 100 - weight), (f"{path}/1/weight", weight)]
        patch = [{"op": "replace", "path": path, "value": value} for path, value in changes]
        stage.edit(Key("VirtualService", NAMESPACE, "app"), patch)
    stage.cluster_moves()
    assert stage.rollout["metadata"]["generation"] == 7, "what the status says it has observed"
    return stage


def analysis_run(stage: Stage, name: str, hash_: str, *, revision: int, step: int) -> None:
    """A run that Argo started for an analysis step, and that is measuring."""
    owner = stage.rollout
    stage.put(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisRun",
            "metadata": {
                "name": name,
                "labels": {"app": "app", HASH: hash_, "rollout-type": "Step", "step-index": str(step)},
                "annotations": {"rollout.argoproj.io/revision": str(revision)},
                "ownerReferences": [_owner(owner)],
                "managedFields": _managed("argoproj.io/v1alpha1"),
            },
            "spec": {"metrics": [{"name": "up", "provider": {"prometheus": {"query": "up"}}}]},
            "status": {"phase": "Running", "startedAt": stamp(-5)},
        }
    )


def _status(
    strategy: Mapping[str, Any], sizes: Mapping[str, int], hashes: Mapping[str, str], by: str, *, observed: str
) -> Obj:
    current = f"v{len(sizes)}"
    pods = sum(sizes.values())
    canary = "canary" in strategy
    return {
        "HPAReplicas": pods,
        "availableReplicas": pods,
        "blueGreen": {},
        "canary": {},
        "conditions": [
            _condition("Available", "True", "AvailableReason", "Rollout has minimum availability"),
            _condition(
                "Progressing", "True", "ReplicaSetUpdated", f'ReplicaSet "app-{hashes[current]}" is progressing.'
            ),
        ],
        "currentPodHash": hashes[current],
        **({"currentStepHash": STEP_HASHES[by]} if canary else {}),
        "observedGeneration": observed,
        "readyReplicas": pods,
        "replicas": pods,
        "selector": "app=app",
        "stableRS": hashes["v1"],
        "updatedReplicas": sizes[current],
    }


def _condition(type_: str, status: str, reason: str, message: str) -> Obj:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": stamp(-60),
        "lastTransitionTime": stamp(-600),
    }


def _replica_set(owner: Obj, version: str, hash_: str, revision: int, pods: int, deadline: str | None) -> Obj:
    """As the API server returns it: with every default filled in."""
    container = {
        "name": "main",
        "image": version,
        "resources": {},
        "imagePullPolicy": "Always",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    labels = {"app": "app", HASH: hash_}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"app-{hash_}",
            "labels": labels,
            "annotations": {
                "owner": "shop",
                "rollout.argoproj.io/desired-replicas": str(owner["spec"].get("replicas", 1)),
                "rollout.argoproj.io/revision": str(revision),
                **({"scale-down-deadline": deadline} if deadline else {}),
            },
            "creationTimestamp": stamp(-3600 + 60 * revision),
            "ownerReferences": [_owner(owner)],
            "managedFields": _managed("apps/v1"),
        },
        "spec": {
            "replicas": pods,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"creationTimestamp": None, "labels": labels},
                "spec": {
                    "containers": [container],
                    "restartPolicy": "Always",
                    "terminationGracePeriodSeconds": 30,
                    "dnsPolicy": "ClusterFirst",
                    "securityContext": {},
                    "schedulerName": "default-scheduler",
                },
            },
        },
    }


def _owner(owner: Obj) -> Obj:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _managed(version: str) -> list[Obj]:
    return [
        {"manager": manager, "operation": "Update", "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": {}}
        for manager in ("kubectl-client-side-apply", "rollouts-controller")
    ]
