"""When the background analysis has to have come to a verdict, where it compares, and what becomes of an update without.

Its verdict is due before the update leaves the last step at which both versions have users: from there on stable has
nobody to be compared with, and no waiting would bring a verdict. So no update goes past that step unjudged without a
word: there is a verdict, or there is its policy for having none, or a person has said so.
"""

from __future__ import annotations

from typing import Final

from tidegate.api import names
from tidegate.core.rollout import gates, pauses, slots
from tidegate.core.rollout.aims import last_shared, shared
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.world import Run

_WAYS_ON: Final = "It goes on by itself once the canary is found safe. Promote it to go on now, or abort it."


class GivenUpError(Exception):
    """The update is to be undone for want of a verdict. Told before anything is done: see `decide`."""


def may_go(draft: Draft, index: int, *, lifted: bool) -> bool:
    """Whether the update may go on from a step that is done. lifted: whether a person has just said so.

    Raises GivenUpError where no verdict is a reason to undo it.
    """
    if lifted or draft.release.canary.analysis is None or not is_due(draft, index):
        return True
    if not gates.begun(draft):
        draft.waiting = gates.compares(draft)
        return not draft.waiting
    if waits_for := missing(draft, index):
        return _wait(draft, waits_for)
    run = gates.background(draft)
    return run is None or not run.undecided or _without_a_verdict(draft, run, index)


def missing(draft: Draft, index: int) -> str:
    """What has to be seen yet before a step may be left, or nothing: traffic, where both versions have some, and the
    looks that are planned, where a verdict is due."""
    due = is_due(draft, index)
    if not (due or shared(draft.release.canary, index)):
        return ""
    if lacking := gates.lacks_traffic(draft):
        return lacking
    run = gates.background(draft)
    if run is None or not (due and run.undecided and run.looks_left):
        return ""
    return f"AnalysisRun {run.name} has {run.looks_left} looks yet to take: {run.undecided}"


def resolved(draft: Draft, index: int) -> bool:
    """Whether an update that is paused here for want of a verdict has got one. If not, say what is missing now."""
    run = gates.background(draft)
    if run is None or not is_due(draft, index) or not _holds(draft):
        return False
    lacking = gates.lacks_traffic(draft)
    if lacking or run.undecided:
        gates.tell(draft, gates.BACKGROUND, f"{lacking or run.undecided}. {_WAYS_ON}")
    return not (lacking or run.undecided)


def is_due(draft: Draft, index: int) -> bool:
    """Whether this is the step at which a verdict is due. Where arms of the template's own let an analysis compare what
    never shares the users, that is the last one."""
    canary = draft.release.canary
    last = last_shared(canary)
    return index == (len(canary.steps) - 1 if last is None else last)


def _wait(draft: Draft, why: str) -> bool:
    draft.waiting = True
    gates.tell(draft, gates.BACKGROUND, why)
    return False


def _without_a_verdict(draft: Draft, run: Run, index: int) -> bool:
    """What the template says of an update that is found neither worse nor safe."""
    policy = f"and whenUndecided is {run.when_undecided}"
    told = f"AnalysisRun {run.name} has no verdict at the last step at which both versions have users, {policy}"
    if run.when_undecided == "undo":
        raise GivenUpError(f"{told}: {run.undecided}")
    if run.when_undecided == "promote":
        draft.say(names.REASON_UNDECIDED, f"{told}, so the update goes on: {run.undecided}", "Warning")
        return True
    pauses.hold(draft, names.PAUSE_INCONCLUSIVE_ANALYSIS, index)
    draft.say(names.REASON_UNDECIDED, f"{told}, so the update waits: {run.undecided}. {_WAYS_ON}", "Warning")
    return _wait(draft, f"{run.undecided}. {_WAYS_ON}")


def _holds(draft: Draft) -> bool:
    """Whether the pause is for want of this verdict, and not for that of a step's own analysis."""
    step = draft.canary.get(slots.STEP.name) or {}
    return bool(
        pauses.condition(draft, names.PAUSE_INCONCLUSIVE_ANALYSIS)
        and not pauses.condition(draft, names.PAUSE_INCONCLUSIVE_EXPERIMENT)
        and step.get("status") != names.RUN_INCONCLUSIVE
    )
