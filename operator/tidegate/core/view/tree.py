"""One Rollout as a tree: its revisions, and below each its ReplicaSet, pods, analysis runs and experiments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.api import names
from tidegate.core.view.outcome import canary_weight, strategy_word
from tidegate.core.view.phase import shown_phase, step_index, step_words, steps_of, strategy_of

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod. status: as kubectl calls it, such as Running or CrashLoopBackOff. ready: containers, `1/2`."""

    name: str
    status: str
    ready: str
    restarts: int
    created: str


@dataclass(frozen=True, slots=True)
class RunView:
    """One AnalysisRun or Experiment. type: what it was started for. counts: measurements by how they went."""

    kind: str
    name: str
    type: str
    phase: str
    message: str
    counts: Mapping[str, int]
    created: str


@dataclass(frozen=True, slots=True)
class RevisionView:
    """One revision: its ReplicaSet and what belongs to it.

    roles: stable, canary, active or preview. weight: its part of the traffic; None where nothing says.
    deadline: when its pods go; empty where they stay.
    """

    revision: int
    hash: str
    roles: tuple[str, ...]
    weight: int | None
    replica_set: str
    images: tuple[str, ...]
    replicas: int
    ready: int
    available: int
    deadline: str
    created: str
    pods: tuple[PodView, ...]
    runs: tuple[RunView, ...]


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A Rollout, newest revision first. `step` is None without steps, and the number of steps when all are done."""

    name: str
    namespace: str
    phase: str
    message: str
    strategy: str
    step: int | None
    steps: tuple[str, ...]
    weight: int | None
    desired: int
    current: int
    updated: int
    ready: int
    available: int
    created: str
    asides: tuple[str, ...]
    revisions: tuple[RevisionView, ...]


def picture(
    rollout: Obj,
    replica_sets: Iterable[Obj],
    pods: Iterable[Obj] = (),
    runs: Iterable[Obj] = (),
    *,
    workload_generation: int | None = None,
) -> RolloutView:
    """The tree of a Rollout. Objects that are not its own are left out. runs: AnalysisRuns and Experiments."""
    metadata, status = rollout["metadata"], rollout.get("status") or {}
    phase, message, _ = shown_phase(rollout, workload_generation)
    owned = [rs for rs in replica_sets if owner_uid(rs) == metadata["uid"]]
    own_runs = [run for run in runs if owner_uid(run) == metadata["uid"]]
    by_owner: dict[str, list[Obj]] = {}
    for pod in pods:
        by_owner.setdefault(owner_uid(pod), []).append(pod)
    found = [_revision(rollout, rs, by_owner.get(rs["metadata"]["uid"], ()), own_runs) for rs in owned]
    return RolloutView(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        phase=phase,
        message=message,
        strategy=strategy_word(rollout),
        step=step_index(rollout),
        steps=tuple(map(step_words, steps_of(rollout))),
        weight=canary_weight(rollout),
        desired=int((rollout.get("spec") or {}).get("replicas", 1)),
        current=int(status.get("replicas") or 0),
        updated=int(status.get("updatedReplicas") or 0),
        ready=int(status.get("readyReplicas") or 0),
        available=int(status.get("availableReplicas") or 0),
        created=metadata.get("creationTimestamp", ""),
        asides=_asides(status),
        revisions=tuple(sorted(found, key=lambda revision: (-revision.revision, revision.replica_set))),
    )


def owner_uid(obj: Obj) -> str:
    """The uid of an object's controller; empty without one."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def revision_of(obj: Obj) -> int:
    """The revision number that an object is annotated with; 0 without one."""
    text = str((obj["metadata"].get("annotations") or {}).get(names.REVISION, ""))
    return int(text) if text.isdigit() else 0


def hash_of(obj: Obj) -> str:
    """The pod template hash that an object is labelled with."""
    return str((obj["metadata"].get("labels") or {}).get(names.POD_TEMPLATE_HASH, ""))


def images_of(template: Obj) -> tuple[str, ...]:
    """The images of a pod template's containers."""
    return tuple(str(c.get("image", "")) for c in (template.get("spec") or {}).get("containers") or ())


def _asides(status: Obj) -> tuple[str, ...]:
    """What a person should know beside the phase: conditions that explain why nothing moves."""
    wanted = (names.CONDITION_STANDING_ASIDE, names.CONDITION_REPLICA_FAILURE, names.CONDITION_INVALID_SPEC)
    return tuple(
        f"{condition['type']}: {condition.get('message', '')}"
        for condition in status.get("conditions") or ()
        if condition.get("type") in wanted and condition.get("status") == "True"
    )


def _revision(rollout: Obj, rs: Obj, pods: Iterable[Obj], runs: Iterable[Obj]) -> RevisionView:
    metadata, spec, status = rs["metadata"], rs.get("spec") or {}, rs.get("status") or {}
    hash_, number = hash_of(rs), revision_of(rs)
    shown = sorted(map(_pod, pods), key=lambda pod: (pod.created, pod.name))
    mine = [run for run in runs if hash_of(run) == hash_ and revision_of(run) in (0, number)]
    return RevisionView(
        revision=number,
        hash=hash_,
        roles=_roles(rollout, hash_),
        weight=_weight(rollout, hash_),
        replica_set=metadata["name"],
        images=images_of(spec.get("template") or {}),
        replicas=int(spec.get("replicas") or 0),
        ready=int(status.get("readyReplicas") or 0),
        available=int(status.get("availableReplicas") or 0),
        deadline=(metadata.get("annotations") or {}).get(names.SCALE_DOWN_DEADLINE, ""),
        created=metadata.get("creationTimestamp", ""),
        pods=tuple(shown),
        runs=tuple(sorted(map(run_view, mine), key=lambda run: (run.created, run.name))),
    )


def _roles(rollout: Obj, hash_: str) -> tuple[str, ...]:
    status = rollout.get("status") or {}
    stable, current = status.get("stableRS"), status.get("currentPodHash")
    if not hash_:
        return ()
    if strategy_of(rollout)[0] == "blueGreen":
        ends = status.get("blueGreen") or {}
        roles = [("stable", stable), ("active", ends.get("activeSelector"))]
        if ends.get("previewSelector") != ends.get("activeSelector") or current != stable:
            roles.append(("preview", ends.get("previewSelector")))
        return tuple(role for role, of in roles if of == hash_)
    return tuple(
        role
        for role, of in (("stable", stable), ("canary", current))
        if of == hash_ and (role == "stable" or current != stable)
    )


def _weight(rollout: Obj, hash_: str) -> int | None:
    status = rollout.get("status") or {}
    if strategy_of(rollout)[0] == "blueGreen":
        active = (status.get("blueGreen") or {}).get("activeSelector")
        return None if not active else 100 * (active == hash_)
    weights = (status.get("canary") or {}).get("weights") or {}
    ends: Sequence[Obj] = [weights.get("canary") or {}, weights.get("stable") or {}, *(weights.get("additional") or ())]
    mine = [int(end.get("weight") or 0) for end in ends if end.get("podTemplateHash") == hash_]
    return sum(mine) if mine else None


def run_view(run: Obj) -> RunView:
    """An AnalysisRun or Experiment."""
    metadata, status = run["metadata"], run.get("status") or {}
    results = [result for result in status.get("metricResults") or () if not result.get("dryRun")]
    kinds = ("successful", "failed", "inconclusive", "error")
    counts = {name: sum(int(result.get(name) or 0) for result in results) for name in kinds}
    return RunView(
        kind=run.get("kind", names.ANALYSIS_RUN),
        name=metadata["name"],
        type=str((metadata.get("labels") or {}).get(names.RUN_TYPE, "")),
        phase=status.get("phase") or names.RUN_PENDING,
        message=status.get("message") or "",
        counts={name: count for name, count in counts.items() if count},
        created=metadata.get("creationTimestamp", ""),
    )


def _pod(pod: Obj) -> PodView:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or ()
    total = len((pod.get("spec") or {}).get("containers") or containers)
    return PodView(
        name=pod["metadata"]["name"],
        status=_pod_status(pod),
        ready=f"{sum(bool(c.get('ready')) for c in containers)}/{total}",
        restarts=sum(int(c.get("restartCount") or 0) for c in containers),
        created=pod["metadata"].get("creationTimestamp", ""),
    )


def _pod_status(pod: Obj) -> str:
    """The word of kubectl's STATUS column."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state") or {}
        for kind in ("waiting", "terminated"):
            reason = (state.get(kind) or {}).get("reason")
            if reason and reason not in ("PodInitializing", "Completed"):
                return str(reason)
    return str(status.get("reason") or status.get("phase") or "Pending")
