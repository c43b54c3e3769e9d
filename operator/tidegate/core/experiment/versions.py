"""The versions of an Experiment: a ReplicaSet each, at times a Service, and what their statuses say."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from tidegate.api import names
from tidegate.api.experiment import DEFAULT_SCALE_DOWN_DELAY, ExperimentTemplate
from tidegate.core.experiment import bodies
from tidegate.core.experiment.actions import Create, DeleteService, GiveNotice, Resize
from tidegate.core.experiment.world import Draft, Entry
from tidegate.core.plan import Event, Key
from tidegate.core.rollout.world import ReplicaSet
from tidegate.core.times import format_time, parse_time

FINAL: Final = frozenset({names.TEMPLATE_SUCCESSFUL, names.TEMPLATE_FAILED, names.TEMPLATE_ERROR})
_COUNTS: Final = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


def follow(draft: Draft, index: int, *, over: bool) -> None:
    """Have a version run, and say how it is doing. over: whether the time of the Experiment is over."""
    given = draft.spec.templates[index]
    entry = draft.templates.setdefault(given.name, {"name": given.name})
    before = dict(entry)
    rs = draft.world.set_of(given.name)
    error = ""
    if entry.get("status") not in FINAL and not draft.spec.terminate:
        error = _bring_up(draft, index, entry) if rs is None else _keep_up(draft, given, rs)
    _count(entry, rs)
    _point_to(draft, given, entry, rs)
    if entry.get("status") not in FINAL:
        _judge(draft, given, entry, before, error=error, over=over)
    if any(entry.get(field) != before.get(field) for field in (*_COUNTS, "status")):
        entry["lastTransitionTime"] = format_time(draft.world.now)


def wind_down(draft: Draft) -> None:
    """Take down every version, once nobody can be led to its pods and its delay is over; then the Services go."""
    world = draft.world
    for entry in draft.templates.values():
        _count(entry, world.set_of(entry["name"]))
    if world.held:
        return
    for rs in world.replica_sets:
        _retire(draft, rs)
    if not any(rs.replicas for rs in world.replica_sets):
        for service in world.services:
            draft.do(DeleteService(world.namespace, service))
        for entry in draft.templates.values():
            entry.pop("serviceName", None)


def retire_strays(draft: Draft) -> None:
    """Take down the versions that the spec has no more."""
    wanted = {given.name for given in draft.spec.templates}
    for rs in () if draft.world.held else draft.world.replica_sets:
        if rs.annotations.get(names.EXPERIMENT_TEMPLATE) not in wanted:
            _retire(draft, rs)
    for name in draft.templates.keys() - wanted:
        del draft.templates[name]


def _bring_up(draft: Draft, index: int, entry: Entry) -> str:
    """Create the ReplicaSet; why that can't be done, or nothing."""
    world, collisions = draft.world, entry.get("collisionCount")
    body = bodies.replica_set(world, index, collisions)
    key = Key("ReplicaSet", world.namespace, body["metadata"]["name"])
    if key in world.refused:
        return f"ReplicaSet {key.name} was not created: {world.refused[key]}"
    if key in world.taken:
        # Written down first, so that the name is the same after a crash.
        entry["collisionCount"] = int(collisions or 0) + 1
        return ""
    told = f"Created ReplicaSet {key.name} with size {body['spec']['replicas']}"
    draft.do(Create(body, Event(names.REASON_NEW_REPLICA_SET, told)))
    return ""


def _keep_up(draft: Draft, given: ExperimentTemplate, rs: ReplicaSet) -> str:
    """Bring the ReplicaSet to its size and have its Service; why that can't be done, or nothing."""
    world, wanted = draft.world, given.desired_replicas
    # One that is still shrinking does not grow before that has been counted: see `revisions.resize`.
    shrinks = rs.replicas < wanted and rs.replicas < rs.current
    if (rs.replicas != wanted or (rs.deadline and wanted)) and not shrinks:
        draft.do(Resize(world.namespace, rs, wanted))
    if not given.has_service:
        return ""
    key = Key("Service", world.namespace, bodies.service_name(given, rs))
    if world.service(key.name) is not None:
        return ""
    if key in world.refused:
        return f"Service {key.name} was not created: {world.refused[key]}"
    if key.name in world.foreign or key in world.taken:
        # One of an Experiment before this one goes when its pods have gone; it is waited for until the deadline.
        other = f"{key} belongs to somebody else; choose another service.name"
        return "" if world.foreign.get(key.name) else other
    draft.do(Create(bodies.service(world, given, rs), None))
    return ""


def _retire(draft: Draft, rs: ReplicaSet) -> None:
    if not rs.replicas or rs.deleting:
        return
    world, spec = draft.world, draft.world.spec
    delay = spec.scale_down_delay if spec else DEFAULT_SCALE_DOWN_DELAY
    if rs.deadline is None and delay:
        # Written in whole seconds: rounded up, or the pods would go before their delay is over.
        deadline = (world.now + timedelta(seconds=delay, microseconds=999_999)).replace(microsecond=0)
        draft.do(GiveNotice(world.namespace, rs, deadline))
        draft.reached(deadline)
    elif not delay or rs.deadline is None or draft.reached(rs.deadline):
        draft.do(Resize(world.namespace, rs, 0))


def _count(entry: Entry, rs: ReplicaSet | None) -> None:
    entry["replicas"] = entry["updatedReplicas"] = rs.current if rs else 0
    entry["readyReplicas"] = rs.ready if rs else 0
    entry["availableReplicas"] = rs.available if rs else 0


def _point_to(draft: Draft, given: ExperimentTemplate, entry: Entry, rs: ReplicaSet | None) -> None:
    """Write how the version's pods are found."""
    name = bodies.service_name(given, rs) if rs and given.has_service else ""
    found: dict[str, str] = {
        "serviceName": name if draft.world.service(name) else "",
        "podTemplateHash": rs.hash if rs else "",
    }
    for field, value in found.items():
        if value:
            entry[field] = value
        else:
            entry.pop(field, None)


def _judge(draft: Draft, given: ExperimentTemplate, entry: Entry, before: Entry, *, error: str, over: bool) -> None:
    """Write how the version is doing, for the first time or until that is settled."""
    rs, wanted = draft.world.set_of(given.name), given.desired_replicas
    up = rs is not None and rs.replicas == wanted == rs.available and (not given.has_service or "serviceName" in entry)
    entry.pop("message", None)
    if error:
        entry["status"], entry["message"] = names.TEMPLATE_ERROR, error
    elif draft.spec.terminate or (up and over):
        entry["status"] = names.TEMPLATE_SUCCESSFUL
    elif up:
        entry["status"] = names.TEMPLATE_RUNNING
    elif _overdue(draft, entry, before):
        seconds = draft.spec.progress_deadline_seconds
        told = f"Template '{given.name}' exceeded its progressDeadlineSeconds ({seconds})"
        why = f"{entry['availableReplicas']} of {wanted} pods are available"
        failure = f"; {rs.failure}" if rs and rs.failure else ""
        occupied = _occupied(draft, given, rs) if rs else ""
        entry["status"], entry["message"] = names.TEMPLATE_FAILED, f"{told}: {why}{failure}{occupied}; look at its pods"
    else:
        entry["status"] = names.TEMPLATE_PROGRESSING


def _occupied(draft: Draft, given: ExperimentTemplate, rs: ReplicaSet) -> str:
    name = bodies.service_name(given, rs) if given.has_service else ""
    owner = draft.world.foreign.get(name)
    return f"; Service {name} still belongs to Experiment {owner}" if owner else ""


def _overdue(draft: Draft, entry: Entry, before: Entry) -> bool:
    moved = any(entry.get(field) != before.get(field) for field in _COUNTS)
    since = before.get("lastTransitionTime")
    start = draft.world.now if moved or since is None else parse_time(since)
    return draft.reached(start + timedelta(seconds=draft.spec.progress_deadline_seconds))
