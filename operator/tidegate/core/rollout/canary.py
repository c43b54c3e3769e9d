"""The canary strategy: bring the new version up beside stable and move traffic to it in steps.

The order of one decision is the order of safety: capacity up, ends pointed, traffic shifted, capacity down. Each part
only ever acts on what the cluster shows, so a decision that is repeated, after a crash or by a second replica, goes
on where the last one stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tidegate.api import names
from tidegate.core.rollout import experiments, extras, gates, judging, pauses, slots
from tidegate.core.rollout.actions import PointService
from tidegate.core.rollout.aims import Aim, aim_at, everything
from tidegate.core.rollout.lifecycle import abort, promote, set_step_index, step_index
from tidegate.core.rollout.pointing import (
    canary_end,
    canary_end_carries,
    canary_stands_for,
    point_ends,
    stable_end_waits,
    stable_takes_back,
)
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.replicas import carries
from tidegate.core.rollout.revisions import give_notice
from tidegate.core.rollout.shifting import led, observed, reachable, shift
from tidegate.core.rollout.sizing import (
    at_weight,
    gives_way,
    size_alone,
    size_held,
    size_undone,
    size_update,
    weight_now,
)
from tidegate.core.rollout.steps import KINDS
from tidegate.core.rollout.world import ReplicaSet

_EVIDENCE: Final[Mapping[str, Callable[[Aim], object]]] = {
    "setWeight": lambda aim: aim.weight,
    "setCanaryScale": lambda aim: aim.scale,
    "setHeaderRoute": lambda aim: aim.routes,
    "setMirrorRoute": lambda aim: aim.routes,
}
"""By which part of an aim a step of this kind is found done."""

_IN_DOUBT: Final = (names.PAUSE_INCONCLUSIVE_ANALYSIS, names.PAUSE_INCONCLUSIVE_EXPERIMENT)


def decide_canary(draft: Draft) -> None:
    """Decide for a Rollout with the canary strategy."""
    if draft.release.promoted or draft.release.first:
        _settle(draft)
        return
    if _follows(draft):
        return
    if not draft.aborted and (why := gates.failure(draft)):
        abort(draft, why)
    elif not draft.aborted and (why := experiments.failure(draft)):
        draft.say(names.REASON_EXPERIMENT_FAILED, why, "Warning")
        abort(draft, why)
    if draft.aborted:
        _undo(draft)
        return
    begun, lifted = gates.begun(draft), pauses.resumed(draft)  # A new run in place of one in doubt takes note of it.
    if begun:
        _ask_background(draft)
    if draft.paused:
        _hold_still(draft)
        return
    start = step_index(draft)
    index = _walk(draft, lifted=lifted)
    if not begun:
        _ask_background(draft)
    if not _outruns(draft, start, index):
        _advance(draft, index)


def _follows(draft: Draft) -> bool:
    """Whether stable's end has yet to go over to what was promoted a moment ago, for there is a new template already.

    The users are at the canary's end, whose version is stable now, so none is lost though its pods may be unready;
    while they are ready the new template waits, for the sake of those whom a proxy leads to the old pods.
    """
    release, routed = draft.release, draft.world.traffic is not None
    service = draft.world.services.get(release.canary.stable_service)
    if release.stable is None or service is None or service.hash in ("", release.stable.hash) or not routed:
        return False
    if not led(draft) or canary_end(draft) != release.stable.hash:
        return False
    if release.stable.available and not draft.aborted and stable_end_waits(draft, release.stable):
        return True
    back, delay = release.new, release.canary.scale_down_delay
    if back is not None and back.hash == service.hash and back.replicas and back.deadline is None and delay:
        give_notice(draft, back, delay)  # The old version has come back, and has its delay all the same.
    draft.do(PointService(draft.world.namespace, service, release.stable.hash, draft.world.name))
    return True


def _hold_still(draft: Draft) -> None:
    """A person holds the rollout: it is scaled, and a verdict that comes meanwhile is noted."""
    canary, index = draft.release.canary, step_index(draft)
    if draft.status.get("promoteFull"):
        size_held(draft, everything(canary))
        return
    size_held(draft, aim_at(canary, index))
    if index < len(canary.steps) and canary.steps[index].kind == "analysis":
        gates.doubt(draft, gates.step_gate(index))


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
    if led(draft) and not release.first and not canary_stands_for(draft, new):
        # The template went back to stable's in the middle: traffic leaves the version that is given up, then its end.
        now, whole = observed(draft), release.canary.whole
        point_ends(draft, stable=new, at_once=True)
        back = reachable(0, now, canary_end_carries(draft, now), stable_takes_back(draft, new), whole)
        shift(draft, back, routes=())
        return
    if release.canary.ping_pong:
        # No selector changes under the users: the canary's Service follows when nobody is led to it any more.
        at_rest = point_ends(draft, stable=new) and shift(draft, 0, routes=()) and point_ends(draft, canary=new)
    else:
        at_rest = point_ends(draft, canary=new, stable=new) and shift(draft, 0, routes=())
    if release.first and (at_rest or not release.replicas):
        promote(draft, "Initial deploy")


def _ask_background(draft: Draft) -> None:
    """Have the background analysis run, from its first step on."""
    analysis = draft.release.canary.analysis
    if analysis is None or draft.release.new is None or draft.status.get("promoteFull"):
        return
    if gates.begun(draft) or step_index(draft) >= analysis.starting_step:
        gates.ask(draft, gates.BACKGROUND, analysis)


def _walk(draft: Draft, *, lifted: bool) -> int:
    """Go through the steps that are done; the index of the one to wait at. Raises judging.GivenUpError.

    lifted: whether a person has lifted a pause of the controller's since it last looked.
    """
    steps = draft.release.canary.steps
    index = step_index(draft)
    if draft.status.get("promoteFull"):
        set_step_index(draft, len(steps))
        experiments.let_go(draft, len(steps))
        return len(steps)
    if any(pauses.condition(draft, reason) for reason in _IN_DOUBT):
        if not judging.resolved(draft, index):
            draft.waiting = True
            return index
        pauses.lift(draft)
        lifted = True
    waits_by_itself = index < len(steps) and steps[index].kind in ("pause", "experiment")
    if index < len(steps) and pauses.resumed(draft) and not (waits_by_itself and pauses.at_step(draft, index)):
        # Argo CD's "skip current step" lifts a pause and leaves its step: that must not lift the next pause as well.
        pauses.release(draft)
    while index < len(steps):
        step = steps[index]
        draft.waiting = step.kind in ("pause", "analysis", "experiment")
        if not KINDS[step.kind](draft, step, index) or not judging.may_go(draft, index, lifted=lifted):
            break
        index, lifted = index + 1, False
        draft.waiting = False
        draft.canary.pop(slots.STEP.name, None)
        draft.canary.pop(slots.EXPERIMENT, None)
        told = f"Rollout step {index}/{len(steps)} completed ({step.kind})"
        draft.say(names.REASON_STEP_COMPLETED, told, step=index - 1)
    set_step_index(draft, index)
    experiments.let_go(draft, index)
    return index


def _outruns(draft: Draft, start: int, index: int) -> bool:
    """Whether what comes now would undo what shows that a step just passed is done: its weight, its pods, its routes.

    Such progress is written down before anything is done, or the next look would find that step not done, go back to
    it, find it done, and so on for ever.
    """
    canary = draft.release.canary
    if draft.status.get("promoteFull"):
        return False
    over = index >= len(canary.steps) and canary.ping_pong is not None  # The turn is handed over without their routes.
    now = everything(canary) if over else aim_at(canary, index)
    return any(
        shows(aim_at(canary, passed)) != shows(now)
        for passed, step in enumerate(canary.steps[start:index], start)
        if (shows := _EVIDENCE.get(step.kind))
    )


def _advance(draft: Draft, index: int) -> None:
    """Bring pods, ends and traffic to what the step asks for; promote when the last step is behind."""
    release = draft.release
    steps = release.canary.steps
    aim = everything(release.canary) if draft.status.get("promoteFull") else aim_at(release.canary, index)
    size_update(draft, aim)
    new = release.new
    if new is None:
        return
    all_done = index >= len(steps) and release.available >= release.replicas
    routed = draft.world.traffic is not None and release.replicas
    if not all_done or (routed and not at_weight(draft, everything(release.canary))):
        _move(draft, new, aim)
        return
    # With the turn a managed route would lead to stable all at once, and be taken for somebody else's.
    weight = release.canary.whole if routed else observed(draft)
    if release.canary.ping_pong and not shift(draft, weight, routes=()):
        return
    # Stable's end is pointed at the new version while no traffic uses it, so the last flip of weights meets pods; after
    # the promotion where proxies may lead somebody to the old pods yet. Of Services that take turns the canary's
    # becomes stable's by being called so, and nothing has to move.
    later = release.canary.ping_pong or stable_end_waits(draft, new)
    if point_ends(draft, canary=new, stable=None if later else new) or not release.replicas:
        promoted_in_full = draft.status.get("promoteFull")
        promote(
            draft,
            "Full promotion requested" if promoted_in_full else f"Completed all {len(steps)} canary steps",
        )


def _move(draft: Draft, new: ReplicaSet, aim: Aim) -> None:
    """Move traffic towards the aim, once the canary's end stands for the new version."""
    release, whole = draft.release, draft.release.canary.whole
    point_ends(draft, stable=new if gives_way(draft, aim.weight) else release.stable, at_once=True)
    now = observed(draft)
    stable_carries = carries(release.stable_available, release.replicas, whole)
    if canary_stands_for(draft, new):
        if draft.world.traffic is not None:
            canary_carries = carries(release.available, release.replicas, whole)
            reached = reachable(weight_now(draft, aim), now, canary_carries, stable_carries, whole)
            shift(draft, reached, aim.routes if release.available else ())
    elif led(draft):
        # The end still stands for an earlier version, which must lose its traffic before the new one can have any.
        back = reachable(0, now, canary_end_carries(draft, now), stable_takes_back(draft, release.stable), whole)
        shift(draft, back, routes=())
    elif (aim.weight or aim.routes) and (new.available or draft.world.traffic is not None):
        point_ends(draft, canary=new)
    elif draft.world.traffic is None:
        # Or a superseded version would keep its last pod for this Service, where the new one may need the room.
        point_ends(draft, canary=release.stable)
    if extras.concerned(draft) and not canary_stands_for(draft, new) and not led(draft):
        shift(draft, now)


def _undo(draft: Draft) -> None:
    """Traffic goes back first and at once; then the canary's end; its pods last, after their delay."""
    release, whole = draft.release, draft.release.canary.whole
    now = observed(draft)
    gone = point_ends(draft, stable=release.stable, at_once=True) and now == 0
    if draft.world.traffic is not None:
        back = reachable(0, now, canary_end_carries(draft, now), stable_takes_back(draft, release.stable), whole)
        gone = shift(draft, back, routes=()) and gone
    size_undone(draft, traffic_gone=gone and point_ends(draft, canary=release.stable))
