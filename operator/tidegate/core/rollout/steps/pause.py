"""The step `pause`: hold for a time, or until a person promotes.

A background analysis that compares may change when a timed pause ends: it lasts longer while there has been too little
traffic for a verdict, and shorter once the canary is known to be safe, where the analysis says so. Safe at the weight
of this step, that is: by a look whose window began after the pause had.
"""

from __future__ import annotations

from tidegate.api import names
from tidegate.api.rollout import CanaryStep
from tidegate.core.rollout import gates, judging, pauses
from tidegate.core.rollout.release import Draft
from tidegate.core.times import parse_duration


def ask(draft: Draft, step: CanaryStep, index: int) -> bool:
    """Done when its time is over, or a client has lifted it."""
    assert step.pause is not None
    given = step.pause.duration
    duration = None if given is None else parse_duration(given)
    over = pauses.over(draft, names.PAUSE_CANARY_STEP, duration, index)
    if duration is not None and not pauses.resumed(draft):
        over = _may_end(draft, index) if over else _is_safe(draft)
    if not over:
        return False
    pauses.release(draft)
    return True


def _may_end(draft: Draft, index: int) -> bool:
    """Whether the pause may end: not while the background analysis has not seen what may yet come. It wakes the rollout
    when it has looked again."""
    missing = judging.missing(draft, index)
    if missing:
        gates.tell(draft, gates.BACKGROUND, missing)
    return not missing


def _is_safe(draft: Draft) -> bool:
    """Whether the background analysis has found the canary safe since the pause began."""
    run, began = gates.background(draft), pauses.since(draft, names.PAUSE_CANARY_STEP)
    return run is not None and run.safe_since is not None and began is not None and run.safe_since >= began
