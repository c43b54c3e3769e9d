"""The releases of a Rollout with their outcomes, as far as the cluster still knows them.

What is kept, and for how long: ReplicaSets and their revision numbers (spec.revisionHistoryLimit), the latest update's
times and end (status.duration), analysis runs (spec.analysis), and events (an hour, by the API server's default). Where
all of these have gone, a release's outcome is unknown, and said to be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.api import names
from tidegate.core.times import parse_time
from tidegate.core.view.outcome import failures
from tidegate.core.view.phase import shown_phase
from tidegate.core.view.tree import hash_of, images_of, owner_uid, revision_of

Obj = Mapping[str, Any]

UNKNOWN: Final = "Unknown"
_TOLD: Final = re.compile(r"update to revision (\d+)\b(?: \(\w+\))?(?:: (.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Release:
    """One release.

    outcome: Promoted, FastPromoted, Aborted, Superseded, RolledBack, FastRolledBack, a phase while it is under way, or
        Unknown. seconds: from the start to the end; None where that is not known.
    """

    revision: int
    hash: str
    images: tuple[str, ...]
    started: str
    outcome: str
    seconds: int | None
    reason: str
    stable: bool


def history(
    rollout: Obj, replica_sets: Iterable[Obj], runs: Iterable[Obj] = (), events: Iterable[Obj] = ()
) -> list[Release]:
    """The releases, newest first. Objects that are not the Rollout's own are left out."""
    uid = rollout["metadata"]["uid"]
    owned = [rs for rs in replica_sets if owner_uid(rs) == uid]
    own_runs = [run for run in runs if owner_uid(run) == uid]
    told = _told(event for event in events if (event.get("involvedObject") or {}).get("uid") == uid)
    newest = max(map(revision_of, owned), default=0)
    known = _Known(rollout, newest, own_runs, told)
    releases = (_release(known, rs, number) for rs in owned for number in _numbers(rs))
    return sorted(releases, key=lambda release: -release.revision)


def _numbers(rs: Obj) -> list[int]:
    """The numbers that a ReplicaSet has had: one for each time that its template was released."""
    earlier = str((rs["metadata"].get("annotations") or {}).get(names.REVISION_HISTORY, ""))
    return [*(int(part) for part in earlier.split(",") if part.isdigit()), revision_of(rs)]


@dataclass(frozen=True, slots=True)
class _Told:
    outcome: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What every release is judged by. newest: the greatest revision number."""

    rollout: Obj
    newest: int
    runs: Sequence[Obj]
    told: Mapping[int, _Told]


def _told(events: Iterable[Obj]) -> dict[int, _Told]:
    """The last word of the events about each revision."""
    found: dict[int, _Told] = {}
    for event in sorted(events, key=_last_seen):
        match = _TOLD.search(str(event.get("message") or ""))
        if match is None:
            continue
        number, words = int(match[1]), (match[2] or "").strip()
        if event.get("reason") == names.REASON_COMPLETED:
            outcome = "FastPromoted" if words == "Full promotion requested" else "Promoted"
            found[number] = _Told(outcome, words, _last_seen(event))
        elif event.get("reason") == names.REASON_ABORTED:
            found[number] = _Told("Aborted", words, _last_seen(event))
    return found


def _last_seen(event: Obj) -> str:
    return str(event.get("eventTime") or event.get("lastTimestamp") or event["metadata"].get("creationTimestamp") or "")


def _release(known: _Known, rs: Obj, number: int) -> Release:
    rollout, told = known.rollout, known.told
    status, hash_ = rollout.get("status") or {}, hash_of(rs)
    latest = number == known.newest and status.get("currentPodHash") == hash_
    again = number != revision_of(rs)
    started = "" if again else str(rs["metadata"].get("creationTimestamp", ""))
    outcome, reason, seconds = _end(number, hash_, known.runs, told)
    if latest:
        outcome, reason, started, seconds = _present(rollout, outcome, reason, started)
    elif outcome == UNKNOWN and hash_ == status.get("stableRS") and not again:
        outcome = "Promoted"
    elif number in told and started and not _numbers(rs)[:-1]:
        seconds = _between(started, told[number].at)
    stable = hash_ == status.get("stableRS") and not again
    return Release(
        number, hash_, images_of(rs["spec"].get("template") or {}), started, outcome, seconds, reason, stable
    )


def _end(number: int, hash_: str, runs: Sequence[Obj], told: Mapping[int, _Told]) -> tuple[str, str, int | None]:
    """How a past release ended, by its events, else by its analysis runs."""
    words = [
        f"{run['metadata']['name']}: {failure}"
        for run in runs
        if hash_of(run) == hash_ and revision_of(run) == number
        for failure in failures(run)
    ]
    known = told.get(number)
    if known:
        return known.outcome, known.reason or "; ".join(words), None
    if words:
        return "Aborted", "; ".join(words), None
    return UNKNOWN, "its events are no longer kept", None


def _present(rollout: Obj, outcome: str, reason: str, started: str) -> tuple[str, str, str, int | None]:
    """The latest release, which the status knows best."""
    status = rollout.get("status") or {}
    duration = status.get("duration") or {}
    started = duration.get("rolloutStartedAt") or started
    ended, end = duration.get("finishedAt"), duration.get("completionStatus")
    phase, message, _ = shown_phase(rollout)
    promoted = status.get("currentPodHash") == status.get("stableRS")
    if ended and end:
        reason = message if phase == names.DEGRADED else (reason if outcome != UNKNOWN else "")
        return end, reason, started, _between(started, ended)
    if promoted and not status.get("abort"):
        return (outcome, reason, started, None) if outcome != UNKNOWN else ("Promoted", "", started, None)
    return ("Aborted" if status.get("abort") else phase), message, started, None


def _between(start: str, end: str) -> int | None:
    try:
        return max(0, round((parse_time(end) - parse_time(start)).total_seconds()))
    except ValueError:
        return None
