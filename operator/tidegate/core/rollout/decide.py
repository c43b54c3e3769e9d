"""From a world to a plan: the one decision about a Rollout, pure and repeatable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidegate.api import names
from tidegate.api.problems import Problem
from tidegate.core.plan import Event, Plan
from tidegate.core.rollout import (
    affinity,
    conditions,
    experiments,
    gates,
    judging,
    metadata,
    restarts,
    revisions,
    rollback_window,
    workload,
)
from tidegate.core.rollout.actions import LetGo
from tidegate.core.rollout.blue_green import decide_blue_green
from tidegate.core.rollout.canary import decide_canary
from tidegate.core.rollout.counts import COUNTS
from tidegate.core.rollout.lasting import keep_time
from tidegate.core.rollout.ledger import keep_record
from tidegate.core.rollout.lifecycle import abort, begin, obey
from tidegate.core.rollout.release import Draft, Release
from tidegate.core.rollout.report import overdue, report
from tidegate.core.rollout.telling import tell
from tidegate.core.rollout.world import World

_VOLATILE: Final = frozenset({*COUNTS, "conditions", "message", "releases"})
_PARTS: Final = ("canary", "blueGreen")
_COUNTS_MAY_WAIT: Final = 0.5
_RUNNING_MAY_WAIT: Final = 3.0
"""Seconds. Whoever watches a run watches the AnalysisRun; a short one ends before its beginning had to be told."""


def decide(world: World) -> Plan:
    """Decide what to do for a Rollout now.

    A Rollout that is being deleted leaves its routes as they are, and its owned objects go with it; only a Deployment
    that it stood in for gets its pods back. One that can't be acted on gets a condition that says why, and nothing
    else changes.
    """
    if "deletionTimestamp" in world.rollout["metadata"]:
        return Plan(actions=workload.give_back(world))
    if world.problems or world.spec is None:
        return _refuse(world, world.problems)
    if world.rivals:
        return _refuse(world, world.rivals)
    if world.denied:
        return _stand_still(world, names.CONDITION_PROGRESSING, False, names.REASON_NOT_CREATED, world.denied)
    draft = Draft(world, Release.assess(world, world.spec))
    if problems := _unmet(draft):
        return _refuse(world, problems)
    try:
        _decide(draft)
    except gates.RefusedError as refused:
        return _refuse(world, refused.problems)
    return _plan(draft)


def unfit(world: World) -> tuple[Problem, ...]:
    """Why nothing could be done for a Rollout as the world is: what `decide` would say of it first."""
    if world.problems or world.spec is None:
        return world.problems
    return _unmet(Draft(world, Release.assess(world, world.spec)))


def _decide(draft: Draft) -> None:
    release = draft.release
    if release.new is None and draft.world.name_taken:
        # Another object has the name that our next ReplicaSet would have: the hash is salted with this count.
        draft.status["collisionCount"] = int(draft.status.get("collisionCount") or 0) + 1
        report(draft)
        # What stands in the status is still of the template before: it must not be taken for this one's.
        draft.status["observedGeneration"] = draft.before.get("observedGeneration", "0")
        return
    begin(draft)
    rollback_window.hasten(draft)
    obey(draft)
    if release.spec.progress_deadline_abort and not release.first and overdue(draft):
        # Written before anything is undone, for undoing is progress, and the deadline would seem kept again.
        _give_up(draft, f'ReplicaSet "{draft.world.name}-{release.hash}" has timed out progressing.')
        return
    # Before the first pod comes from a template of an earlier role.
    affinity.follow(draft)
    metadata.prepare(draft)
    if release.spec.strategy.blue_green:
        decide_blue_green(draft)
    else:
        try:
            decide_canary(draft)
        except judging.GivenUpError as why:
            # Written before anything is undone, for without the weight the step would not be done, nor a verdict due.
            _give_up(draft, str(why))
            return
    if not (draft.paused and release.new is None):
        revisions.number(draft)
    workload.follow(draft)
    metadata.follow(draft)
    restarts.follow(draft)
    for leftover in draft.world.leftovers:
        draft.do(LetGo(leftover))
    gates.follow(draft)
    gates.end_unneeded(draft)
    gates.forget_old(draft)
    experiments.follow(draft)
    revisions.forget_old(draft)
    if not draft.actions:
        report(draft)


def _give_up(draft: Draft, why: str) -> None:
    """Decide for an abort, and for nothing else: the next decision undoes the update, whatever it finds then."""
    draft.actions.clear()
    abort(draft, why)
    gates.follow(draft)
    report(draft)


def _plan(draft: Draft) -> Plan:
    if draft.actions:  # The decision is made again on what they bring, and only the last one's status is written.
        return Plan(actions=tuple(draft.actions))
    changed = draft.status != draft.before
    if changed:
        keep_time(draft)
        keep_record(draft)
    return Plan(
        status=draft.status if changed else None,
        events=tuple(tell(draft)) if changed else (),
        again_at=draft.wake,
        may_wait=_may_wait(draft.before, draft.status) if changed else 0.0,
    )


def _may_wait(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """How long a status may be held back: a moment where only numbers of pods and what follows from them differ, some
    seconds where a run has merely begun, and not at all where anybody might wait for it."""
    keys = (before.keys() | after.keys()) - _VOLATILE - set(_PARTS)
    if any(before.get(key) != after.get(key) for key in keys) or _truths(before) != _truths(after):
        return 0.0
    if any(_begun(before.get(part)) != _begun(after.get(part)) for part in _PARTS):
        return 0.0
    return _COUNTS_MAY_WAIT if any(before.get(key) != after.get(key) for key in _VOLATILE) else _RUNNING_MAY_WAIT


def _begun(part: Mapping[str, Any] | None) -> dict[str, Any]:
    """A strategy's part of the status, in which a run that waits and one that runs look the same."""
    return {
        name: {**value, "status": names.RUN_RUNNING} if _is_waiting_run(value) else value
        for name, value in (part or {}).items()
    }


def _is_waiting_run(value: object) -> bool:
    return isinstance(value, Mapping) and value.get("status") == names.RUN_PENDING


def _truths(status: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c.get("status", ""), c.get("reason", "")) for c in status.get("conditions") or ()}


def _refuse(world: World, problems: tuple[Problem, ...]) -> Plan:
    """Say what is wrong; traffic, pods and the step stay as they are until it is mended."""
    message = "; ".join(map(str, problems))
    missing = (Event(problem.event, str(problem), "Warning") for problem in problems if problem.event)
    return _stand_still(world, names.CONDITION_INVALID_SPEC, True, names.REASON_INVALID_SPEC, message, *missing)


def _stand_still(
    world: World, type_: names.ConditionType, truth: bool, reason: str, message: str, *more: Event
) -> Plan:
    """Say by a condition why nothing is done."""
    status = dict(world.status)
    held = conditions.acting(status)
    if type_ != names.CONDITION_INVALID_SPEC:
        held = conditions.drop(held, names.CONDITION_INVALID_SPEC)
    status.update(
        observedGeneration=str(world.rollout["metadata"].get("generation", 0)),
        phase=names.DEGRADED,
        message=f"{reason}: {message}",
        conditions=conditions.put(held, type_, truth, reason, message, now=world.now),
    )
    if status == world.status:
        return Plan()
    return Plan(status=status, events=(Event(reason, message, "Warning"), *more))


def _unmet(draft: Draft) -> tuple[Problem, ...]:
    """What the spec relies on and the cluster does not have."""
    return (*_missing_services(draft), *_routes(draft.world))


def _missing_services(draft: Draft) -> tuple[Problem, ...]:
    problems = []
    for path, name in draft.release.spec.strategy.services():
        service = draft.world.services.get(name)
        if service is None:
            problems.append(Problem(path, f"Service {name} not found"))
        elif service.manager and service.manager != draft.world.name:
            message = (
                f"Service {name} is managed by another Rollout, {service.manager}; "
                "it is free once that one is deleted or names another Service"
            )
            problems.append(Problem(path, message))
    return tuple(problems)


def _routes(world: World) -> tuple[Problem, ...]:
    return world.traffic.problems() if world.traffic is not None else ()
