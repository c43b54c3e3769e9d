"""The garbage collector of kube-controller-manager, one round at a time.

Apart from the API server because it is apart in a real cluster: owners and dependents vanish one after the
other, and an operator sees the moments between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .cluster import FakeCluster
from .kinds import Obj

_ACTOR: Final = "garbage-collector"
_Address = tuple[str, str, str]


def collect_garbage(cluster: FakeCluster) -> bool:
    """Delete what has lost all its owners, and finish deletions in the foreground and of orphaning owners.

    True if anything was done; a chain of owners takes one round a link.
    """
    before = cluster.resource_version
    existing = {obj["metadata"]["uid"] for obj in cluster.everything()}
    for obj in cluster.everything():
        if cluster.peek(*_address(obj)) is obj:
            _collect(cluster, obj, existing)
    return cluster.resource_version != before


def _collect(cluster: FakeCluster, obj: Obj, existing: set[str]) -> None:
    metadata = obj["metadata"]
    finalizers = metadata.get("finalizers") or ()
    dying = "deletionTimestamp" in metadata
    if dying and "orphan" in finalizers:
        for dependent in _dependents(cluster, metadata["uid"]):
            _drop_owners(cluster, dependent, {metadata["uid"]})
        _drop_finalizer(cluster, obj, "orphan")
    elif dying and "foregroundDeletion" in finalizers:
        dependents = _dependents(cluster, metadata["uid"])
        for dependent in dependents:
            cluster.delete(*_address(dependent), actor=_ACTOR)
        if not dependents:
            _drop_finalizer(cluster, obj, "foregroundDeletion")
    elif owners := metadata.get("ownerReferences"):
        gone = {owner["uid"] for owner in owners} - existing
        if gone and len(gone) < len(owners):
            _drop_owners(cluster, obj, gone)
        elif gone and not dying:
            cluster.delete(*_address(obj), actor=_ACTOR)


def _dependents(cluster: FakeCluster, uid: str) -> list[Obj]:
    return [
        obj
        for obj in cluster.everything()
        if any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences") or ())
    ]


def _drop_owners(cluster: FakeCluster, obj: Obj, gone: set[str]) -> None:
    rest = [owner for owner in obj["metadata"]["ownerReferences"] if owner["uid"] not in gone]
    _patch_metadata(cluster, obj, {"ownerReferences": rest or None})


def _drop_finalizer(cluster: FakeCluster, obj: Obj, finalizer: str) -> None:
    rest = [each for each in obj["metadata"]["finalizers"] if each != finalizer]
    _patch_metadata(cluster, obj, {"finalizers": rest or None})


def _patch_metadata(cluster: FakeCluster, obj: Obj, metadata: Mapping[str, object]) -> None:
    kind, name, namespace = _address(obj)
    cluster.patch(kind, name, {"metadata": metadata}, namespace, actor=_ACTOR)


def _address(obj: Obj) -> _Address:
    return obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace", "")
