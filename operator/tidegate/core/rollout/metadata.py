"""Ephemeral metadata: labels and annotations that pods bear for as long as their revision has a role.

They are written into the ReplicaSet's template and onto its pods, so nothing restarts, and they are no part of any
hash. The ReplicaSet goes first, so that pods which come meanwhile have them already. Until its pods have been seen to
follow, a mark on the ReplicaSet says so, and what they may still bear; with Argo Rollouts a crash between the two
leaves pods as they were for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from tidegate.api import names
from tidegate.api.parts import PodMetadata
from tidegate.core.rollout.actions import DressPod, DressReplicaSet, Forget
from tidegate.core.rollout.dress import PARTS, Metadata, borne, read, written
from tidegate.core.rollout.release import Draft, Release
from tidegate.core.rollout.world import Pod, ReplicaSet, World


def wanted(release: Release, rs: ReplicaSet) -> Metadata:
    """What the pods of a revision should bear beside what their template says."""
    canary, blue_green = release.spec.strategy.canary, release.spec.strategy.blue_green
    coming, staying = (
        (blue_green.preview_metadata, blue_green.active_metadata)
        if blue_green
        else (release.canary.canary_metadata, release.canary.stable_metadata)
        if canary
        else (None, None)
    )
    if rs is release.stable or (_is_new(release, rs) and (release.promoted or release.first)):
        return _plain(staying)
    return _plain(coming) if _is_new(release, rs) else {}


def behind(world: World) -> Iterator[ReplicaSet]:
    """The ReplicaSets whose pods may not have followed yet and can be looked at: every pod that comes from here on has
    the new template, as the ReplicaSet controller has seen it."""
    for rs in world.replica_sets:
        if names.PODS_BEHIND in rs.annotations and rs.observed and not rs.deleting:
            yield rs


def prepare(draft: Draft) -> None:
    """Bring the templates of revisions without pods to what their role asks for."""
    for rs in _sets(draft.release):
        if not rs.replicas and not rs.current:
            _dress(draft, rs, None)


def follow(draft: Draft) -> None:
    """Bring the templates and the pods of the other revisions to what their role asks for."""
    late = tuple(behind(draft.world))
    for rs in _sets(draft.release):
        old = _both(read(rs.annotations.get(names.PODS_BEHIND)), borne(rs.annotations))
        dressing = (rs.replicas or rs.current) and _dress(draft, rs, old)
        if not dressing and rs in late:
            _dress_pods(draft, rs, wanted(draft.release, rs))


def _sets(release: Release) -> list[ReplicaSet]:
    sets = {rs.uid: rs for rs in (release.new, release.stable, *release.others) if rs is not None}
    return list(sets.values())


def _dress(draft: Draft, rs: ReplicaSet, old: Metadata | None) -> bool:
    """Change a template that is not as its role asks for. old: what its pods may still have, if there are any."""
    want, have = wanted(draft.release, rs), borne(rs.annotations)
    if want == have:
        return False
    changes = _changes(draft.release, rs, rs.template.get("metadata") or {}, want, have)
    mark = None if old is None else orjson.dumps(old).decode()
    draft.do(DressReplicaSet(draft.world.namespace, rs, changes, written(want), mark))
    return True


def _dress_pods(draft: Draft, rs: ReplicaSet, want: Metadata) -> None:
    old, done = read(rs.annotations.get(names.PODS_BEHIND)), True
    for pod in draft.world.pods:
        if pod.owner == rs.uid and not pod.deleting and (changes := _pod_changes(draft.release, rs, pod, want, old)):
            draft.do(DressPod(draft.world.namespace, pod, changes))
            done = False
    if done:
        draft.do(Forget(draft.world.namespace, rs, names.PODS_BEHIND))


def _pod_changes(release: Release, rs: ReplicaSet, pod: Pod, want: Metadata, old: Metadata) -> dict[str, Any]:
    return _changes(release, rs, {"labels": pod.labels, "annotations": pod.annotations}, want, old)


def _changes(
    release: Release, rs: ReplicaSet, actual: Mapping[str, Any], want: Metadata, have: Metadata
) -> dict[str, dict[str, str | None]]:
    """What to change of `actual`. Where the present template has a value of its own, that comes back."""
    own: Mapping[str, Any] = (release.spec.template.get("metadata") or {}) if rs is release.new else {}
    found: dict[str, dict[str, str | None]] = {}
    for part in PARTS:
        before, template = actual.get(part) or {}, own.get(part) or {}
        goal: dict[str, str | None] = {key: template.get(key) for key in have.get(part, {})}
        goal |= want.get(part, {})
        if changes := {key: value for key, value in goal.items() if before.get(key) != value}:
            found[part] = changes
    return found


def _is_new(release: Release, rs: ReplicaSet) -> bool:
    return rs is release.new or (release.new is None and rs.hash == release.hash)


def _both(first: Metadata, second: Metadata) -> Metadata:
    return {p: {**first.get(p, {}), **second.get(p, {})} for p in PARTS if p in first or p in second}


def _plain(metadata: PodMetadata | None) -> Metadata:
    if metadata is None:
        return {}
    given = {"labels": metadata.labels, "annotations": metadata.annotations}
    return {part: dict(values) for part, values in given.items() if values}
