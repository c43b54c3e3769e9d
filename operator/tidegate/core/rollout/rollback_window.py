"""`rollbackWindow`: back to a version that did well a short while ago, without steps, pauses and analyses.

How far back a version lies is told by the age of its ReplicaSet and not by its revision number: one that comes back
gets a new number, but stays as old as it is.
"""

from __future__ import annotations

from tidegate.api import names
from tidegate.core.rollout import pauses
from tidegate.core.rollout.release import Draft, Release


def within(release: Release) -> bool:
    """Whether the update goes back to a revision within the window."""
    window, new, stable = release.spec.rollback_window, release.new, release.stable
    if window is None or new is None or stable is None or not new.created < stable.created:
        return False
    between = sum(new.created < rs.created < stable.created for rs in release.others)
    return between < window.revisions


def hasten(draft: Draft) -> None:
    """Have an update that goes back within the window promoted in full."""
    if draft.release.promoted or draft.aborted or draft.status.get("promoteFull") or not within(draft.release):
        return
    draft.status["promoteFull"] = True
    pauses.release(draft)
    draft.say(names.REASON_SKIP_STEPS, "Rollback within the window, skipping steps")
