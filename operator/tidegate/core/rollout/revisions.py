"""Revisions as ReplicaSets: their bodies and numbers, their sizes, and when the old ones go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from tidegate.api import names
from tidegate.core.rollout import metadata
from tidegate.core.rollout.actions import (
    CreateReplicaSet,
    DeleteReplicaSet,
    MarkRevision,
    MarkRollout,
    Scale,
    SetDeadline,
)
from tidegate.core.rollout.affinity import apart, rules
from tidegate.core.rollout.dress import dressed, written
from tidegate.core.rollout.release import Draft, Release
from tidegate.core.rollout.world import ReplicaSet

_NOT_COPIED: Final = frozenset(
    {
        names.LAST_APPLIED,
        names.NOTIFIED,
        names.REVISION,
        names.REVISION_HISTORY,
        names.DESIRED_REPLICAS,
        names.WORKLOAD_GENERATION,
        names.EPHEMERAL_METADATA,
        names.PODS_BEHIND,
        names.WAS_STABLE,
    }
)


def wanted(release: Release) -> ReplicaSet:
    """The ReplicaSet of the present template, or the picture of one that has yet to be created."""
    if release.new is not None:
        return release.new
    return ReplicaSet(
        name=f"{release.world.name}-{release.hash}",
        uid="",
        hash=release.hash,
        revision=release.revision,
        replicas=0,
        current=0,
        ready=0,
        available=0,
        created="",
        deadline=None,
        deleting=False,
        min_ready_seconds=release.spec.min_ready_seconds,
        annotations={},
        template=release.spec.template,
        failure="",
    )


def resize(draft: Draft, rs: ReplicaSet, replicas: int, *, keep_deadline: bool = False) -> None:
    """Bring a ReplicaSet to this size, creating it at that size if it is not there.

    One that is still shrinking does not grow before that has been counted: its status would have pods that are going
    stand for those that have yet to come.
    """
    release = draft.release
    if not rs.uid:
        draft.do(CreateReplicaSet(draft.world.namespace, _body(release, replicas)))
    elif rs.replicas != replicas and not (rs.replicas < replicas and rs.replicas < rs.current):
        draft.do(Scale(draft.world.namespace, rs, replicas, release.replicas, keep_deadline))


def keep(draft: Draft, rs: ReplicaSet, replicas: int) -> None:
    """Bring a ReplicaSet that is in use to this size and take it off the scale-down list."""
    resize(draft, rs, replicas)
    if rs.deadline and rs.replicas == replicas:
        draft.do(SetDeadline(draft.world.namespace, rs, None))


def give_notice(draft: Draft, rs: ReplicaSet, delay: int, *, was_stable: bool = False) -> None:
    """Write on a ReplicaSet that nobody needs that it goes down in `delay` seconds."""
    # Written in whole seconds: rounded up, or the pods would go before their delay is over.
    deadline = (draft.world.now + timedelta(seconds=delay, microseconds=999_999)).replace(microsecond=0)
    draft.do(SetDeadline(draft.world.namespace, rs, deadline, was_stable))
    draft.wake_at(deadline)


def retire(draft: Draft, rs: ReplicaSet, delay: int | None) -> None:
    """Take down a ReplicaSet that nothing points at any more, `delay` seconds after that was first seen.

    None keeps it up. The deadline is written on the ReplicaSet, so it outlives this process.
    """
    if not rs.replicas or delay is None:
        return
    if rs.deadline is None and delay:
        give_notice(draft, rs, delay)
    elif rs.deadline is None or draft.reached(rs.deadline):
        resize(draft, rs, 0)


def retire_all(draft: Draft, sets: Iterable[ReplicaSet], delay: int, limit: int | None) -> None:
    """Retire several, newest first; those beyond `limit` do not get a delay."""
    waiting = 0
    for rs in sets:
        if not rs.replicas:
            continue
        waiting += 1
        over = limit is not None and waiting > limit
        if over:
            resize(draft, rs, 0)
        else:
            retire(draft, rs, delay)


def number(draft: Draft) -> None:
    """Write the revision's number on its ReplicaSet when it came back or changed, and on the Rollout."""
    release, world = draft.release, draft.world
    meta = world.rollout["metadata"]
    given = meta.get("annotations") or {}
    default = "replicas" not in world.rollout["spec"]
    generation = world.workload.generation if world.workload else ""
    stale = generation and given.get(names.WORKLOAD_GENERATION) != generation
    if given.get(names.REVISION) != str(release.revision) or default or stale:
        version, revision = meta["resourceVersion"], release.revision
        mark = MarkRollout(draft.key, world.uid, version, revision, default, workload_generation=generation)
        # By this mark alone Argo CD knows that the phase in the status is of the workload's template before.
        draft.do(mark, first=bool(stale))
    rs = release.new
    if rs is None:
        return
    if rs.revision != release.revision or rs.min_ready_seconds != release.spec.min_ready_seconds:
        annotations = _annotations(release)
        if rs.revision and rs.revision != release.revision:
            past = rs.annotations.get(names.REVISION_HISTORY)
            annotations[names.REVISION_HISTORY] = f"{past},{rs.revision}" if past else str(rs.revision)
        draft.do(MarkRevision(world.namespace, rs, annotations, release.spec.min_ready_seconds))


def forget_old(draft: Draft) -> None:
    """Delete ReplicaSets without pods beyond the history limit, oldest first."""
    empty = [rs for rs in draft.release.others if not rs.replicas and not rs.current]
    for rs in empty[draft.release.spec.revision_history_limit :]:
        draft.do(DeleteReplicaSet(draft.world.namespace, rs))


def _annotations(release: Release) -> dict[str, str]:
    given: Mapping[str, str] = release.world.rollout["metadata"].get("annotations") or {}
    copied = {key: value for key, value in given.items() if key not in _NOT_COPIED}
    return {**copied, names.REVISION: str(release.revision)}


def _body(release: Release, replicas: int) -> dict[str, Any]:
    """A ReplicaSet for the present template, by the contract: named after the hash, selecting by it, owned."""
    world, template = release.world, release.spec.template
    mark = {names.POD_TEMPLATE_HASH: release.hash}
    own = template.get("metadata") or {}
    labels = {**(own.get("labels") or {}), **mark}
    role = metadata.wanted(release, wanted(release))
    noted = {names.EPHEMERAL_METADATA: text} if (text := written(role)) else {}
    selector = world.rollout["spec"]["selector"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{world.name}-{release.hash}",
            "namespace": world.namespace,
            "labels": labels,
            "annotations": {**_annotations(release), names.DESIRED_REPLICAS: str(release.replicas), **noted},
            "ownerReferences": [owner(world.rollout)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": release.spec.min_ready_seconds,
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **mark}},
            "template": apart(dressed({**template, "metadata": {**own, "labels": labels}}, role), rules(release)),
        },
    }


def owner(rollout: Mapping[str, Any]) -> dict[str, Any]:
    """The reference by which the garbage collector and we know what belongs to a Rollout."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.ROLLOUT,
        "name": rollout["metadata"]["name"],
        "uid": rollout["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
