"""The releases of a Rollout with their outcomes, as far as the cluster still knows them.

The status has a record of the latest ten that are over (`status.releases.recent`), and of the one under way. Of older
ones, and of those that another controller carried out, there are ReplicaSets and their revision numbers
(spec.revisionHistoryLimit), analysis runs (spec.analysis), and events (an hour, by the API server's default). Where all
of these have gone, a release's outcome is unknown, and said to be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """One release. A revision that was tried again has several.

    images: none where its ReplicaSet has gone. started, finished: RFC 3339; empty where that is not known.
    outcome: Promoted, FastPromoted, Aborted, Superseded, RolledBack, FastRolledBack, a phase while it is under way, or
        Unknown. seconds: from the start to the end; None where that is not known.
    """

    revision: int
    hash: str
    images: tuple[str, ...]
    started: str
    finished: str
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
    recorded = list(_recorded(known, {hash_of(rs): rs for rs in owned}))
    there = {(release.revision, release.hash) for release in recorded}
    others = (
        _release(known, rs, number)
        for rs in owned
        for number in _numbers(rs)
        if (number, hash_of(rs)) not in there or known.under_way(number, hash_of(rs))
    )
    # The record is oldest first, and of a revision that was tried again the last try comes first.
    return sorted([*others, *reversed(recorded)], key=lambda release: -release.revision)


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

    @property
    def status(self) -> Obj:
        return self.rollout.get("status") or {}

    def latest(self, number: int, hash_: str) -> bool:
        """Whether it is what the status is about."""
        return number == self.newest and self.status.get("currentPodHash") == hash_

    def under_way(self, number: int, hash_: str) -> bool:
        """Whether it is what is being released now."""
        duration = self.status.get("duration") or {}
        return self.latest(number, hash_) and bool(duration.get("rolloutStartedAt")) and not duration.get("finishedAt")


def _recorded(known: _Known, sets: Mapping[str, Obj]) -> Iterator[Release]:
    """The releases of the status's record, oldest first. Entries that are not whole are left out: anybody may write a
    status."""
    records = [
        record
        for record in (known.status.get("releases") or {}).get("recent") or ()
        if isinstance(record, Mapping) and {"revision", "podHash", "outcome", "startedAt", "finishedAt"} <= set(record)
    ]
    numbers = [int(record["revision"]) for record in records]
    for place, (number, record) in enumerate(zip(numbers, records, strict=True)):
        hash_ = str(record["podHash"])
        replica_set = sets.get(hash_)
        last = number not in numbers[place + 1 :]
        present = replica_set is not None and revision_of(replica_set) == number
        yield Release(
            revision=number,
            hash=hash_,
            images=images_of(replica_set["spec"].get("template") or {}) if replica_set else (),
            started=record["startedAt"],
            finished=record["finishedAt"],
            outcome=str(record["outcome"]),
            seconds=_between(record["startedAt"], record["finishedAt"]),
            reason=_why(known, number, record, last=last and not known.under_way(number, hash_)),
            stable=last and present and hash_ == known.status.get("stableRS"),
        )


def _why(known: _Known, number: int, record: Obj, *, last: bool) -> str:
    """Why a recorded release ended so. last: whether it is the last try of its revision, of which events tell."""
    if last and (told := known.told.get(number)) and told.reason and (told.outcome == record["outcome"]):
        return told.reason
    reason = str(record.get("reason") or "")
    found = _TOLD.search(reason)
    words = found[2] if found and found[2] else reason
    return words or ("another version came before it was done" if record["outcome"] == "Superseded" else "")


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
    """A release that is under way, or that the record does not have."""
    told, status, hash_ = known.told, known.status, hash_of(rs)
    again = number != revision_of(rs)
    started = "" if again else str(rs["metadata"].get("creationTimestamp", ""))
    outcome, reason = _end(number, hash_, known.runs, told)
    finished = ""
    if known.latest(number, hash_):
        outcome, reason, started, finished = _present(known.rollout, outcome, reason, started)
    elif outcome == UNKNOWN and hash_ == status.get("stableRS") and not again:
        outcome = "Promoted"
    elif number in told and started and not _numbers(rs)[:-1]:
        finished = told[number].at
    return Release(
        revision=number,
        hash=hash_,
        images=images_of(rs["spec"].get("template") or {}),
        started=started,
        finished=finished,
        outcome=outcome,
        seconds=_between(started, finished),
        reason=reason,
        stable=hash_ == status.get("stableRS") and not again,
    )


def _end(number: int, hash_: str, runs: Sequence[Obj], told: Mapping[int, _Told]) -> tuple[str, str]:
    """How a past release ended and why, by its events, else by its analysis runs."""
    words = [
        f"{run['metadata']['name']}: {failure}"
        for run in runs
        if hash_of(run) == hash_ and revision_of(run) == number
        for failure in failures(run)
    ]
    known = told.get(number)
    if known:
        return known.outcome, known.reason or "; ".join(words)
    if words:
        return "Aborted", "; ".join(words)
    return UNKNOWN, "its events are no longer kept"


def _present(rollout: Obj, outcome: str, reason: str, started: str) -> tuple[str, str, str, str]:
    """Outcome, reason, start and end of the latest release, which the status knows best."""
    status = rollout.get("status") or {}
    duration = status.get("duration") or {}
    started = duration.get("rolloutStartedAt") or started
    ended, end = duration.get("finishedAt"), duration.get("completionStatus")
    phase, message, _ = shown_phase(rollout)
    promoted = status.get("currentPodHash") == status.get("stableRS")
    if ended and end:
        reason = message if phase == names.DEGRADED else (reason if outcome != UNKNOWN else "")
        return end, reason, started, ended
    if promoted and not status.get("abort"):
        return (outcome, reason, started, "") if outcome != UNKNOWN else ("Promoted", "", started, "")
    return ("Aborted" if status.get("abort") else phase), message, started, ""


def _between(start: str, end: str) -> int | None:
    try:
        return max(0, round((parse_time(end) - parse_time(start)).total_seconds()))
    except ValueError:
        return None
