"""The blue-green strategy: bring the new version up in full, then flip the active Service for everybody at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from tidegate.api import names
from tidegate.core.rollout import gates, pauses
from tidegate.core.rollout.lifecycle import abort, promote
from tidegate.core.rollout.pointing import point_service, referenced
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.revisions import give_notice, keep, resize, retire, retire_all, wanted

_CHECKPOINT: Final = "scaleUpPreviewCheckPoint"
"""In the status: everything before the flip is behind, and the new version grows from its preview to its full size."""


def decide_blue_green(draft: Draft) -> None:
    """Decide for a Rollout with the blue-green strategy."""
    release = draft.release
    if release.promoted or release.first:
        _settle(draft)
        return
    if not draft.aborted and (why := gates.failure(draft)):
        abort(draft, why)
    if draft.aborted:
        _undo(draft)
    elif draft.paused and release.new is None:
        _hold_stable(draft)
    else:
        _advance(draft)


def active_hash(draft: Draft) -> str:
    """The revision that users reach."""
    return _hash(draft, draft.release.blue_green.active_service)


def _settle(draft: Draft) -> None:
    """Nothing is on its way: the present version is what users reach, and stable once it can carry them."""
    release, strategy = draft.release, draft.release.blue_green
    if release.new is None and draft.paused:
        return
    keep(draft, wanted(release), release.replicas)
    new = release.new
    if new is None:
        return
    if strategy.preview_service:
        point_service(draft, strategy.preview_service, new)
    if release.first and release.available < release.replicas:
        return
    if not point_service(draft, strategy.active_service, new) and release.replicas:
        return
    if release.first:
        promote(draft, "Initial deploy")
    _retire_others(draft)


def _advance(draft: Draft) -> None:
    """Take the update one safe move further."""
    release, strategy = draft.release, draft.release.blue_green
    new = wanted(release)
    pods = _pods_before_the_flip(draft)
    if active_hash(draft) != new.hash:
        _hold_stable(draft)
    elif release.stable is not None:
        resize(draft, release.stable, release.replicas, keep_deadline=True)  # See _leave.
    if new.just_stable:
        resize(draft, new, pods, keep_deadline=True)  # What is on it is the reason to flip at once.
    else:
        keep(draft, new, pods)
    _retire_others(draft)
    if release.new is None:
        return
    if strategy.preview_service:
        point_service(draft, strategy.preview_service, new)
    if active_hash(draft) == new.hash:
        _confirm(draft)
    elif release.available >= pods and not draft.paused and _may_flip(draft):
        if pods != release.replicas:
            # Written down before it is acted on: the verdicts and pauses behind must not be asked again meanwhile.
            pauses.release(draft)
            draft.blue_green[_CHECKPOINT] = True
        elif release.available >= release.replicas:
            point_service(draft, strategy.active_service, new)
            if not release.replicas:
                # Scaled to nothing there is nobody to flip, and no pod that would ever allow it.
                draft.blue_green[_CHECKPOINT] = True
                _confirm(draft)
    elif not _nothing_more_to_ask(draft):
        gates.doubt(draft, gates.PRE_PROMOTION)


def _pods_before_the_flip(draft: Draft) -> int:
    """How many pods the new version has: only those of the preview until nothing but their number is in the way."""
    release, count = draft.release, draft.release.blue_green.preview_replica_count
    if count is None or not release.replicas or _nothing_more_to_ask(draft):
        return release.replicas
    if active_hash(draft) == release.hash:
        return release.replicas
    return max(count, min(wanted(release).replicas, 1))  # The last pod of one that is up may be previewed.


def _may_flip(draft: Draft) -> bool:
    """Whether the analysis before the flip and the pause before it are both behind."""
    strategy = draft.release.blue_green
    if _nothing_more_to_ask(draft):
        return True
    if pauses.condition(draft, names.PAUSE_INCONCLUSIVE_ANALYSIS):
        draft.waiting = True
        return False
    passed = True
    if strategy.pre_promotion_analysis:
        passed = gates.ask(draft, gates.PRE_PROMOTION, strategy.pre_promotion_analysis)
    waited = _pause_over(draft)
    draft.waiting = not (passed and waited)
    return passed and waited


def _nothing_more_to_ask(draft: Draft) -> bool:
    """Whether neither pause nor analysis is between the new version and its flip. A version that comes back while it
    is still up, and was stable a moment ago, has passed them: users wait for the way back."""
    return bool(
        draft.status.get("promoteFull") or draft.blue_green.get(_CHECKPOINT) or wanted(draft.release).just_stable
    )


def _pause_over(draft: Draft) -> bool:
    strategy = draft.release.blue_green
    if not strategy.auto_promotion_enabled:
        return pauses.over(draft, names.PAUSE_BLUE_GREEN, None)
    if not strategy.auto_promotion_seconds:
        return True
    return pauses.over(draft, names.PAUSE_BLUE_GREEN, timedelta(seconds=strategy.auto_promotion_seconds))


def _confirm(draft: Draft) -> None:
    """Users reach the new version: watch it if asked to, then call it stable."""
    analysis = draft.release.blue_green.post_promotion_analysis
    if pauses.condition(draft, names.PAUSE_BLUE_GREEN):
        pauses.release(draft)
    in_full, back = draft.status.get("promoteFull"), wanted(draft.release).just_stable
    if analysis is not None and not in_full and not back:
        held = pauses.condition(draft, names.PAUSE_INCONCLUSIVE_ANALYSIS)
        if held or not gates.ask(draft, gates.POST_PROMOTION, analysis):
            draft.waiting = True
            return
    if not _leave(draft):
        return
    if back:
        promote(draft, "Went back to a version that was still up")
    else:
        promote(draft, "Full promotion requested" if in_full else "Completed blue-green update")


def _leave(draft: Draft) -> bool:
    """Whether the version that users have left is marked as one to go back to at once. Its deadline is written before
    it stops being stable: afterwards nobody could tell it from a preview that was never promoted."""
    stable, strategy = draft.release.stable, draft.release.blue_green
    delay = 0 if strategy.scale_down_delay_revision_limit == 0 else strategy.scale_down_delay
    if stable is None or not stable.replicas or not delay or stable.just_stable:
        return True
    if stable.hash in referenced(draft):
        return True
    give_notice(draft, stable, delay, was_stable=True)
    return False


def _undo(draft: Draft) -> None:
    """Users go back to stable first; the new version's pods go after their delay."""
    release, strategy = draft.release, draft.release.blue_green
    stable = release.stable
    _hold_stable(draft)
    if stable is None or (stable.available == 0 and release.available):
        return
    if not point_service(draft, strategy.active_service, stable):
        return
    new = release.new
    if new is not None and new.replicas:
        previewed = _hash(draft, strategy.preview_service) == new.hash
        if previewed and new.deadline is not None and draft.reached(new.deadline):
            point_service(draft, strategy.preview_service, stable)
        elif new.just_stable:
            keep(draft, new, new.replicas)  # It was given up, so it is nothing to go back to at once.
        else:
            retire(draft, new, strategy.abort_scale_down_delay)
    _retire_others(draft)


def _hold_stable(draft: Draft) -> None:
    if draft.release.stable is not None:
        keep(draft, draft.release.stable, draft.release.replicas)


def _retire_others(draft: Draft) -> None:
    strategy, pointed_at = draft.release.blue_green, referenced(draft)
    retire_all(
        draft,
        [rs for rs in draft.release.others if rs.hash not in pointed_at],
        strategy.scale_down_delay,
        strategy.scale_down_delay_revision_limit,
    )


def _hash(draft: Draft, name: str) -> str:
    service = draft.world.services.get(name) if name else None
    return service.hash if service else ""
