"""Which kinds the engine keeps, how much of each, and which changes are worth a second look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidegate.api import names
from tidegate.cluster.rules import KindRules, Obj
from tidegate.engine import workloads

WATCHED_BY_SHELL: Final = ("AnalysisTemplate", "ClusterAnalysisTemplate")
"""The kinds that only people change; kopf watches these."""

BY_INSTANCE: Final = frozenset({"Rollout", "AnalysisRun", "Experiment"})
"""The kinds that belong to one of several controllers in a cluster, by a label; of these only ours are watched. What
they own and what they name is theirs."""

WATCHED_BY_INFORMERS: Final[Mapping[str, str]] = {
    "Rollout": "",
    "ReplicaSet": names.POD_TEMPLATE_HASH,
    "AnalysisRun": "",
    "Experiment": "",
    "Service": "",
    "VirtualService": "",
    "DestinationRule": "",
    "Job": names.JOB_RUN_UID,
    "JobPod": names.JOB_RUN_UID,
}
"""The kinds that change often, with the label selector that picks ours.

kopf spends about eight times as much CPU on one event (4 to 5 of 25 ms for a whole update, with Rollouts watched by it)
and does not tell of what vanished while it was out of touch. The store is the seam: a kind moves by moving its line.
"""


def _metadata(obj: Obj, annotations: bool = True) -> dict[str, Any]:
    kept = (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "ownerReferences",
        "labels",
        "creationTimestamp",
        "deletionTimestamp",
    )
    metadata = {field: obj["metadata"][field] for field in kept if field in obj["metadata"]}
    if annotations and "annotations" in obj["metadata"]:
        metadata["annotations"] = obj["metadata"]["annotations"]
    return metadata


def _replica_set(obj: Obj) -> Obj:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    failures = [c for c in status.get("conditions") or () if c.get("type") == "ReplicaFailure"]
    metadata, seen = _metadata(obj), {}
    if names.PODS_BEHIND in (metadata.get("annotations") or {}):
        # Whether the controller has seen the template matters now; at other times it would only wake the Rollout.
        metadata["generation"] = obj["metadata"].get("generation", 0)
        seen = {"observedGeneration": status.get("observedGeneration", 0)}
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": metadata,
        "spec": {field: spec[field] for field in ("replicas", "minReadySeconds", "template") if field in spec},
        "status": {
            **{field: status[field] for field in ("replicas", "readyReplicas", "availableReplicas") if field in status},
            **({"conditions": failures} if failures else {}),
            **seen,
        },
    }


def _service(obj: Obj) -> Obj:
    manager = (obj["metadata"].get("annotations") or {}).get(names.MANAGED_BY)
    metadata = _metadata(obj, annotations=False)
    metadata.pop("labels", None)
    if manager:
        metadata["annotations"] = {names.MANAGED_BY: manager}
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": metadata,
        "spec": {"selector": (obj.get("spec") or {}).get("selector") or {}},
    }


def _route(obj: Obj) -> Obj:
    """Routes are kept whole: a patch of ours is guarded by what we read of them. Only istiod's findings go."""
    return {field: value for field, value in obj.items() if field != "status"}


def _job(obj: Obj) -> Obj:
    """What tells of a Job's end; not its counts, which change on the way there."""
    ends = [c for c in (obj.get("status") or {}).get("conditions") or () if c.get("type") in ("Complete", "Failed")]
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": _metadata(obj),
        "status": {"conditions": ends},
    }


def _job_pod(obj: Obj) -> Obj:
    """What a pod's containers wait for."""
    status = obj.get("status") or {}
    waiting = {
        field: [
            {"name": container["name"], "image": container.get("image", ""), "state": {"waiting": state["waiting"]}}
            for container in status.get(field) or ()
            if "waiting" in (state := container.get("state") or {})
        ]
        for field in ("initContainerStatuses", "containerStatuses")
    }
    return {"metadata": _metadata(obj, annotations=False), "status": waiting}


RULES: Final[Mapping[str, KindRules]] = {
    "ReplicaSet": KindRules(project=_replica_set),
    "Service": KindRules(project=_service),
    "VirtualService": KindRules(project=_route),
    "DestinationRule": KindRules(project=_route),
    **workloads.RULES,
    "Job": KindRules(project=_job),
    "JobPod": KindRules(project=_job_pod),
}
