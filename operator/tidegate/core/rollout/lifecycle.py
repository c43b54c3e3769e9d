"""Beginnings and ends of an update: a new template, an abort, a retry, a promotion."""

from __future__ import annotations

from tidegate.api import names
from tidegate.core.rollout import pauses
from tidegate.core.rollout.adoption import same_steps
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.slots import BACKGROUND, EXPERIMENT, SLOTS, STEP
from tidegate.core.times import format_time


def step_count(draft: Draft) -> int:
    """How many steps the canary strategy has; 0 for blue-green."""
    canary = draft.release.spec.strategy.canary
    return len(canary.steps) if canary else 0


def step_index(draft: Draft) -> int:
    """The index of the current step; the number of steps when all are done."""
    index = draft.status.get("currentStepIndex")
    count = step_count(draft)
    return count if index is None else max(0, min(int(index), count))


def set_step_index(draft: Draft, index: int) -> None:
    """Write the index of the current step, where there are steps at all."""
    if step_count(draft):
        draft.status["currentStepIndex"] = index
    else:
        draft.status.pop("currentStepIndex", None)


def begin(draft: Draft) -> None:
    """A changed template, or changed steps, begin the update anew; going back to stable's has no steps to take."""
    release, world = draft.release, draft.world
    steps = world.step_hash if release.spec.strategy.canary else None
    same_template = draft.before.get("currentPodHash") == release.hash
    draft.status["currentPodHash"] = release.hash
    if steps is None:
        draft.status.pop("currentStepHash", None)
    else:
        draft.status["currentStepHash"] = steps
    if same_template and (draft.before.get("currentStepHash") == steps or (steps is not None and same_steps(world))):
        return
    _start_over(draft)
    draft.status.pop("abort", None)
    draft.status.pop("promoteFull", None)
    if not same_template:
        what = "Rolling back to" if release.promoted and draft.before.get("currentPodHash") else "Updating to"
        draft.say(names.REASON_UPDATED, f"{what} revision {release.revision} ({release.hash})")


def obey(draft: Draft) -> None:
    """Take note of what a client has asked for in the status: abort, retry, promote in full."""
    release, status = draft.release, draft.status
    if release.promoted or release.first:
        status.pop("abort", None)
        status.pop("abortedAt", None)
        status.pop("promoteFull", None)
        return
    if draft.aborted:
        if not status.get("abortedAt"):
            abort(draft, "")
        return
    if status.get("abortedAt"):
        _start_over(draft)
        draft.say(names.REASON_RETRY, f"Retrying the update to revision {release.revision} after an abort")
    status.pop("abort", None)
    if status.get("promoteFull"):
        pauses.release(draft)


def abort(draft: Draft, why: str) -> None:
    """Give the update up. Traffic goes back in this same decision; the steps start at the first on a retry."""
    message = f"Rollout aborted update to revision {draft.release.revision}"
    draft.status["abort"] = True
    draft.status["abortedAt"] = format_time(draft.world.now)
    draft.status.pop("promoteFull", None)
    pauses.release(draft)
    draft.canary.pop(EXPERIMENT, None)
    draft.why_aborted = f"{message}: {why}" if why else message
    set_step_index(draft, 0)
    draft.say(names.REASON_ABORTED, draft.why_aborted, "Warning")


def promote(draft: Draft, why: str) -> None:
    """The new revision is the stable one from here on."""
    release = draft.release
    draft.why_promoted = why
    _take_turns(draft)
    draft.status["stableRS"] = release.hash
    draft.status.pop("promoteFull", None)
    pauses.release(draft)
    set_step_index(draft, step_count(draft))
    draft.blue_green.pop("scaleUpPreviewCheckPoint", None)
    for name in (STEP.name, BACKGROUND.name, EXPERIMENT):  # What was asked of a blue-green update stays to be read.
        draft.canary.pop(name, None)
    draft.say(
        names.REASON_COMPLETED,
        f"Rollout completed update to revision {release.revision} ({release.hash}): {why}",
    )


def _take_turns(draft: Draft) -> None:
    """Two Services that take turns: the one that the users are at now is the stable one from here on."""
    strategy = draft.release.spec.strategy.canary
    if strategy is None or strategy.ping_pong is None:
        return
    stable = strategy.stable_service if draft.release.first else strategy.canary_service
    draft.canary["stablePingPong"] = names.PING if stable == strategy.ping_pong.ping_service else names.PONG


def _start_over(draft: Draft) -> None:
    for slot in SLOTS:
        draft.status[slot.part].pop(slot.name, None)
    draft.canary.pop(EXPERIMENT, None)
    draft.blue_green.pop("scaleUpPreviewCheckPoint", None)
    draft.status.pop("abortedAt", None)
    pauses.release(draft)
    set_step_index(draft, step_count(draft) if draft.release.promoted or draft.release.first else 0)
