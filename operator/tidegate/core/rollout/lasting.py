"""How long an update takes: `status.duration`, and how it ended.

Kept only along with other changes of the status, so it costs no write. An update that was under way before the operator
kept this has no beginning, and gets none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tidegate.api import names
from tidegate.core.rollout import rollback_window
from tidegate.core.rollout.release import Draft
from tidegate.core.times import format_time, parse_time


def keep_time(draft: Draft) -> None:
    """Write what this change of the status means for the update's duration."""
    kept = _with_pause(draft, _begun(draft))
    end = _end(draft)
    if end and _runs(kept):
        kept = {**_resumed(kept, draft.world.now), "finishedAt": format_time(draft.world.now), "completionStatus": end}
    if kept:
        draft.status["duration"] = kept


def _begun(draft: Draft) -> dict[str, Any]:
    """The duration so far; from now on where an update, or a new try of it, begins."""
    before, after = draft.before, draft.status
    anew = before.get("currentPodHash") != after.get("currentPodHash")
    tried_again = bool(before.get("abortedAt")) and not after.get("abortedAt")
    kept = dict(before.get("duration") or {})
    if (anew or tried_again) and not draft.release.promoted:
        return {"rolloutStartedAt": format_time(draft.world.now)}
    return kept


def _end(draft: Draft) -> str:
    """How the update has ended; empty while it has not."""
    before, after, release = draft.before, draft.status, draft.release
    if draft.aborted:
        return "Aborted"
    if after.get("stableRS") != after.get("currentPodHash"):
        return ""
    if before.get("currentPodHash") != after.get("currentPodHash") and release.promoted:
        return "FastRolledBack"
    new = release.new
    # Where pods are up already all is done in one decision, and nothing of what hastened it was written before.
    fast = before.get("promoteFull") or rollback_window.within(release) or (new is not None and new.just_stable)
    if new is not None and names.REVISION_HISTORY in new.annotations:
        return "FastRolledBack" if fast else "RolledBack"
    return "FastPromoted" if fast else "Promoted"


def _with_pause(draft: Draft, kept: dict[str, Any]) -> dict[str, Any]:
    if not _runs(kept):
        return kept
    if not _waits_for_a_person(draft):
        return _resumed(kept, draft.world.now)
    return {"manualPauseStartedAt": format_time(draft.world.now), **kept}


def _resumed(kept: dict[str, Any], now: datetime) -> dict[str, Any]:
    since = kept.get("manualPauseStartedAt")
    if not since:
        return kept
    total = int(kept.get("totalManualPauseDurationSeconds") or 0) + int((now - parse_time(since)).total_seconds())
    rest = {name: value for name, value in kept.items() if name != "manualPauseStartedAt"}
    return {**rest, "totalManualPauseDurationSeconds": max(0, total)}


def _runs(kept: dict[str, Any]) -> bool:
    return bool(kept.get("rolloutStartedAt")) and not kept.get("finishedAt")


def _waits_for_a_person(draft: Draft) -> bool:
    """Whether nothing but a person's word takes the update on."""
    if draft.paused:
        return True
    strategy = draft.release.spec.strategy
    for pause in draft.status.get("pauseConditions") or ():
        reason = pause.get("reason")
        if reason == names.PAUSE_CANARY_STEP and strategy.canary:
            index, steps = draft.status.get("currentStepIndex"), strategy.canary.steps
            step = steps[index] if isinstance(index, int) and 0 <= index < len(steps) else None
            if step is not None and step.pause is not None and step.pause.duration is None:
                return True
        elif reason == names.PAUSE_BLUE_GREEN and strategy.blue_green:
            if not strategy.blue_green.auto_promotion_enabled:
                return True
        else:
            return True
    return False
