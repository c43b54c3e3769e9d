"""The canary strategy: bring the new version up beside stable and move traffic to it in steps.

The order of one decision is the order of safety: capacity up, ends pointed, traffic shifted, capacity down. Each part
only ever acts on what the cluster shows, so a decision that is repeated, after a crash or by a second replica, goes
on where the last one stopped.
"""

from __future__ import annotations

from tidegate.api import names
from tidegate.core.rollout import gates, pauses
from tidegate.core.rollout.lifecycle import abort, promote, set_step_index, step_index
from tidegate.core.rollout.pointing import canary_end_carries, canary_stands_for, point_ends
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.replicas import carries
from tidegate.core.rollout.shifting import observed, reachable, shift
from tidegate.core.rollout.sizing import at_weight, gives_way, size_alone, size_held, size_undone, size_update
from tidegate.core.rollout.steps import KINDS, weight_at
from tidegate.core.rollout.world import ReplicaSet


def decide_canary(draft: Draft) -> None:
    """Decide for a Rollout with the canary strategy."""
    if draft.release.promoted or draft.release.first:
        _settle(draft)
        return
    if not draft.aborted and (why := gates.failure(draft)):
        abort(draft, why)
    if draft.aborted:
        _undo(draft)
        return
    begun = gates.BACKGROUND.slot in draft.canary
    if begun:
        _ask_background(draft)
    if draft.paused:
        steps = draft.release.canary.steps
        size_held(draft, 100 if draft.status.get("promoteFull") else weight_at(steps, step_index(draft)))
        return
    start = step_index(draft)
    index = _walk(draft)
    if not begun:
        _ask_background(draft)
    if not _leaves_a_weight(draft, start, index):
        _advance(draft, index)


def _settle(draft: Draft) -> None:
    """Nothing is on its way: the present version gets everything, and is stable once it can carry it."""
    release = draft.release
    if release.new is None and draft.paused:
        return
    set_step_index(draft, len(release.canary.steps))
    size_alone(draft)
    new = release.new
    if new is None or (release.first and release.available < release.replicas):
        return
    now = observed(draft)
    if now and not release.first and not canary_stands_for(draft, new):
        # The template went back to stable's in the middle: traffic leaves the version that is given up, then its end.
        point_ends(draft, stable=new)
        shift(draft, reachable(0, now, canary_end_carries(draft, now), carries(new.available, release.replicas)))
        return
    at_rest = point_ends(draft, canary=new, stable=new) and shift(draft, 0)
    if release.first and (at_rest or not release.replicas):
        promote(draft, "Initial deploy")


def _ask_background(draft: Draft) -> None:
    """Have the background analysis run, from its first step on."""
    analysis = draft.release.canary.analysis
    if analysis is None or draft.release.new is None or draft.status.get("promoteFull"):
        return
    if gates.BACKGROUND.slot in draft.canary or step_index(draft) >= analysis.starting_step:
        gates.ask(draft, gates.BACKGROUND, analysis)


def _leaves_a_weight(draft: Draft, start: int, index: int) -> bool:
    """Whether what comes now would undo what a step in between was found done by, its weight.

    Such progress is written down before anything is done, or the next look would find that step not done, go back to
    its weight, find it done, and so on.
    """
    steps = draft.release.canary.steps
    if draft.status.get("promoteFull"):
        return False
    passed = (step.set_weight for step in steps[start:index] if step.set_weight is not None)
    return any(weight != weight_at(steps, index) for weight in passed)


def _walk(draft: Draft) -> int:
    """Go through the steps that are done; the index of the one to wait at."""
    steps = draft.release.canary.steps
    index = step_index(draft)
    if draft.status.get("promoteFull"):
        set_step_index(draft, len(steps))
        return len(steps)
    if pauses.condition(draft, names.PAUSE_INCONCLUSIVE_ANALYSIS):
        draft.waiting = True
        return index
    if index < len(steps) and steps[index].kind != "pause" and pauses.resumed(draft):
        # Argo CD's "skip current step" lifts a pause and leaves its step: that must not lift the next pause as well.
        pauses.release(draft)
    while index < len(steps):
        step = steps[index]
        draft.waiting = step.kind != "setWeight"
        if not KINDS[step.kind](draft, step, index):
            break
        index += 1
        draft.waiting = False
        draft.canary.pop("currentStepAnalysisRunStatus", None)
        draft.say(names.REASON_STEP_COMPLETED, f"Rollout step {index}/{len(steps)} completed ({step.kind})")
    set_step_index(draft, index)
    return index


def _advance(draft: Draft, index: int) -> None:
    """Bring pods, ends and traffic to what the step asks for; promote when the last step is behind."""
    release = draft.release
    steps = release.canary.steps
    weight = weight_at(steps, index)
    size_update(draft, weight)
    new = release.new
    if new is None:
        return
    all_done = index >= len(steps) and release.available >= release.replicas
    if not all_done or (draft.world.traffic is not None and not at_weight(draft, 100) and release.replicas):
        _move(draft, new, weight)
        return
    # Stable's end is pointed at the new version while no traffic uses it, so the last flip of weights meets pods.
    if point_ends(draft, canary=new, stable=new) or not release.replicas:
        promoted_in_full = draft.status.get("promoteFull")
        promote(
            draft,
            "Full promotion requested" if promoted_in_full else f"Completed all {len(steps)} canary steps",
        )


def _move(draft: Draft, new: ReplicaSet, weight: int) -> None:
    """Move traffic towards `weight`, once the canary's end stands for the new version."""
    release = draft.release
    point_ends(draft, stable=new if gives_way(draft, weight) else release.stable)
    now = observed(draft)
    stable_carries = carries(release.stable_available, release.replicas)
    if canary_stands_for(draft, new):
        if draft.world.traffic is not None:
            shift(draft, reachable(weight, now, carries(release.available, release.replicas), stable_carries))
    elif now:
        # The end still stands for an earlier version, which must lose its traffic before the new one can have any.
        shift(draft, reachable(0, now, canary_end_carries(draft, now), stable_carries))
    elif weight and (new.available or draft.world.traffic is not None):
        point_ends(draft, canary=new)
    elif draft.world.traffic is None:
        # Or a superseded version would keep its last pod for this Service, where the new one may need the room.
        point_ends(draft, canary=release.stable)


def _undo(draft: Draft) -> None:
    """Traffic goes back first and at once; then the canary's end; its pods last, after their delay."""
    release = draft.release
    now = observed(draft)
    gone = point_ends(draft, stable=release.stable) and now == 0
    if draft.world.traffic is not None:
        stable_carries = carries(release.stable_available, release.replicas)
        back = reachable(0, now, canary_end_carries(draft, now), stable_carries)
        gone = shift(draft, back) and gone
    size_undone(draft, traffic_gone=gone and point_ends(draft, canary=release.stable))
