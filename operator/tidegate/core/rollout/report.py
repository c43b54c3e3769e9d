"""The status that a decision leaves behind: conditions, progress deadline, phase and message, by the contract."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from tidegate.api import names
from tidegate.core.rollout import conditions, restarts, slots
from tidegate.core.rollout.counts import count, pods
from tidegate.core.rollout.pointing import long_unheard_of
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.world import ENDED

_PROGRESS: Final = (
    "currentPodHash",
    "currentStepIndex",
    "stableRS",
    "abort",
    "pauseConditions",
    "controllerPause",
    "promoteFull",
)
_NOT_AVAILABLE: Final = "Rollout does not have minimum availability"


def report(draft: Draft) -> None:
    """Write counts, conditions, phase and message into the draft's status."""
    count(draft)
    _conditions(draft)
    draft.status["phase"], message = phase(draft)
    if message:
        draft.status["message"] = message
    else:
        draft.status.pop("message", None)


def overdue(draft: Draft) -> bool:
    """Whether the update has made no progress for longer than its deadline; if it may come to that, look then."""
    release = draft.release
    progressing = conditions.find(draft.before.get("conditions") or (), names.CONDITION_PROGRESSING)
    promoted = draft.status.get("stableRS") == release.hash
    if promoted or draft.aborted or draft.paused or draft.waiting or draft.status.get("pauseConditions"):
        return False
    if progressing is None or progressing.get("status") == "Unknown" or _awaits_a_verdict(draft.before):
        return False
    if progressing.get("reason") == names.REASON_TIMED_OUT:
        return not _progressed(draft)
    since = conditions.updated_at(progressing)
    if since is None:
        return False
    deadline = since + timedelta(seconds=release.spec.progress_deadline_seconds)
    return draft.reached(deadline) and not _progressed(draft)


def _awaits_a_verdict(status: Mapping[str, Any]) -> bool:
    """Whether an analysis that holds the update up had not ended when the status was written: the deadline is asked
    about before the strategy says what it waits for, and a long analysis is no lack of progress. One in the
    background holds the update up while there is something to say of it (`gates.tell`)."""
    if (status.get("canary") or {}).get(slots.EXPERIMENT):
        return True
    not_ended = (names.RUN_PENDING, names.RUN_RUNNING)
    return any(
        (slot.holds_up or entry.get("message")) and entry.get("status") in not_ended
        for slot, entry in slots.entries(status)
    )


def phase(draft: Draft) -> tuple[str, str]:
    """The phase and message, in the contract's order of precedence."""
    release, status = draft.release, draft.status
    progressing = conditions.find(status["conditions"], names.CONDITION_PROGRESSING) or {}
    reason = progressing.get("reason")
    if reason in (names.REASON_ABORTED, names.REASON_TIMED_OUT):
        return names.DEGRADED, f"{reason}: {progressing.get('message')}"
    if draft.paused:
        return names.PAUSED, "manually paused"
    if status.get("pauseConditions"):
        return names.PAUSED, status["pauseConditions"][0]["reason"]
    if _restarting(draft):
        return names.PROGRESSING, "rollout is restarting"
    if long_unheard_of(draft) and draft.world.traffic and (selected := draft.world.traffic.selected()):
        return names.PROGRESSING, (
            f"no traffic yet: the endpoints of {selected.service} lack pods of hash {draft.world.unheard_of}; "
            "does its selector match them?"
        )
    if status["updatedReplicas"] < release.replicas:
        return names.PROGRESSING, "more replicas need to be updated"
    if release.available < status["updatedReplicas"]:
        return names.PROGRESSING, "updated replicas are still becoming available"
    waiting = _blue_green_waits(draft) if release.spec.strategy.blue_green else _canary_waits(draft)
    return (names.PROGRESSING, waiting) if waiting else (names.HEALTHY, "")


def _restarting(draft: Draft) -> bool:
    done = draft.status.get("restartedAt") != draft.before.get("restartedAt")
    return restarts.under_way(draft.world) and not done


def _blue_green_waits(draft: Draft) -> str:
    status, hash_ = draft.status, draft.release.hash
    ends = status.get("blueGreen") or {}
    if draft.release.replicas and ends.get("activeSelector") != hash_:
        return "active service cutover pending"
    if status.get("stableRS") != hash_:
        verdict = (ends.get(slots.POST_PROMOTION.name) or {}).get("status")
        if draft.release.blue_green.post_promotion_analysis and verdict not in ENDED:
            return "waiting for analysis to complete"
        return "waiting for post-promotion verification to complete"
    return ""


def _canary_waits(draft: Draft) -> str:
    status = draft.status
    if draft.world.traffic is None and status["replicas"] > status["updatedReplicas"]:
        return "old replicas are pending termination"
    if status.get("stableRS") != draft.release.hash:
        return "waiting for all steps to complete"
    return ""


def _conditions(draft: Draft) -> None:
    release, status, now = draft.release, draft.status, draft.world.now
    held = conditions.drop(conditions.acting(draft.before), names.CONDITION_INVALID_SPEC)

    def put(type_: str, truth: bool, reason: str, message: str) -> None:
        nonlocal held
        held = conditions.put(held, type_, truth, reason, message, now=now)

    paused = bool(draft.paused or status.get("pauseConditions"))
    if paused or conditions.find(held, names.CONDITION_PAUSED):
        put(
            names.CONDITION_PAUSED,
            paused,
            names.REASON_PAUSED,
            "Rollout is paused" if paused else "Rollout is not paused",
        )
    if _available(draft):
        put(names.CONDITION_AVAILABLE, True, names.REASON_AVAILABLE, "Rollout has minimum availability")
    else:
        put(
            names.CONDITION_AVAILABLE,
            False,
            names.REASON_AVAILABLE,
            _NOT_AVAILABLE,
        )
    failure = next((rs.failure for rs in (release.new, release.stable) if rs and rs.failure), "")
    if failure:
        reason, _, message = failure.partition(": ")
        put(names.CONDITION_REPLICA_FAILURE, True, reason or "FailedCreate", message)
    else:
        held = conditions.drop(held, names.CONDITION_REPLICA_FAILURE)
    healthy = _at_rest(draft)
    put(
        names.CONDITION_HEALTHY,
        healthy,
        names.REASON_HEALTHY,
        "Rollout is healthy" if healthy else "Rollout is not healthy",
    )
    completed = status.get("stableRS") == release.hash
    put(
        names.CONDITION_COMPLETED,
        completed,
        names.REASON_COMPLETED,
        "RolloutCompleted" if completed else "RolloutNotCompleted",
    )
    status["conditions"] = _progressing(draft, held, healthy=healthy, paused=paused)


def _progressing(draft: Draft, held: conditions.Conditions, *, healthy: bool, paused: bool) -> conditions.Conditions:
    release, now = draft.release, draft.world.now
    before = conditions.find(held, names.CONDITION_PROGRESSING) or {}
    name = f"{draft.world.name}-{release.hash}"

    def put(truth: bool | None, reason: str, message: str) -> conditions.Conditions:
        return conditions.put(held, names.CONDITION_PROGRESSING, truth, reason, message, now=now)

    if draft.aborted:
        if before.get("reason") == names.REASON_ABORTED and not draft.why_aborted:
            return list(held)
        why = draft.why_aborted or f"Rollout aborted update to revision {release.revision}"
        return put(False, names.REASON_ABORTED, why)
    if paused:
        return put(None, names.REASON_PAUSED, "Rollout is paused")
    if overdue(draft):
        return put(False, names.REASON_TIMED_OUT, f'ReplicaSet "{name}" has timed out progressing.')
    if healthy:
        return put(True, names.REASON_NEW_REPLICA_SET_AVAILABLE, f'ReplicaSet "{name}" has successfully progressed.')
    if draft.status.get("stableRS") == release.hash:
        return put(True, names.REASON_REPLICA_SET_NOT_AVAILABLE, _NOT_AVAILABLE)
    if release.new is None:
        return put(True, names.REASON_NEW_REPLICA_SET, f'Created new replica set "{name}"')
    moved = put(True, names.REASON_REPLICA_SET_UPDATED, f'ReplicaSet "{name}" is progressing.')
    return conditions.touch(moved, names.CONDITION_PROGRESSING, now) if _progressed(draft) else moved


def _at_rest(draft: Draft) -> bool:
    """Whether the phase would be Healthy, were there no aborts, pauses and deadlines."""
    probe: Mapping[str, Any] = draft.status
    if draft.aborted or draft.paused or probe.get("pauseConditions") or _restarting(draft):
        return False
    release = draft.release
    if probe["updatedReplicas"] < release.replicas or release.available < probe["updatedReplicas"]:
        return False
    return not (_blue_green_waits(draft) if draft.release.spec.strategy.blue_green else _canary_waits(draft))


def _available(draft: Draft) -> bool:
    release = draft.release
    if release.spec.strategy.blue_green:
        active = (draft.status.get("blueGreen") or {}).get("activeSelector")
        serving = next((rs for rs in (release.new, release.stable) if rs and rs.hash == active), None)
        return not release.replicas or (serving is not None and serving.available >= release.replicas)
    return bool(draft.status["availableReplicas"] >= release.replicas)


def _progressed(draft: Draft) -> bool:
    """Whether anything has come further. A verdict counts: the deadline does not run until there is one."""
    if _awaits_a_verdict(draft.before) and not _awaits_a_verdict(draft.status):
        return True
    before, after = draft.before, {**draft.status, **(counted := pods(draft))}
    if any(before.get(field) != after.get(field) for field in (*_PROGRESS, *counted)):
        return True
    parts = (("canary", "weights"), ("blueGreen", "activeSelector"), ("blueGreen", "scaleUpPreviewCheckPoint"))
    return any((before.get(part) or {}).get(field) != (after.get(part) or {}).get(field) for part, field in parts)
