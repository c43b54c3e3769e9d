"""What is kept of past updates: `status.releases`, from which durations, outcomes and the four DORA figures are told.

It is written along with the change of the status that it tells of and never for its own sake, so it costs no write, and
a process that is killed anywhere loses none of it. The totals only ever grow: whoever watches them has the rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from tidegate.api import names
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.world import ReplicaSet
from tidegate.core.times import format_time, parse_time

RECENT: Final = 10
"""Updates that are kept one by one. Ten are two kilobytes; the totals know of all."""
UNDONE: Final = ("Aborted", "FastRolledBack")
"""How an update ends whose version never became the stable one, because it was not wanted."""
_LONGEST_REASON: Final = 256

Record = Mapping[str, Any]


def keep_record(draft: Draft) -> None:
    """Write what this change of the status means for the record of updates."""
    kept: dict[str, Any] = dict(draft.before.get("releases") or {})
    before, after = _duration(draft.before), _duration(draft.status)
    anew = after.get("rolloutStartedAt") != before.get("rolloutStartedAt")
    if anew and _runs(before):
        kept = _with(kept, _record(draft, before, "Superseded", draft.world.now, _hash(draft.before)))
    steps = () if anew else kept.get("steps") or ()
    if after.get("finishedAt") and (anew or not before.get("finishedAt")):
        outcome = after.get("completionStatus") or "Promoted"
        # Who goes back to stable's template in the middle of an update undoes the version that was on its way.
        undone = _hash(draft.before) if outcome == "FastRolledBack" else _hash(draft.status)
        kept = _with(kept, _record(draft, after, outcome, parse_time(after["finishedAt"]), undone))
    kept = _restored(draft, kept)
    steps = _steps(draft, steps)
    kept.pop("steps", None)
    if steps:
        kept["steps"] = list(steps)
    if kept:
        draft.status["releases"] = kept


def _with(kept: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    recent = [*(kept.get("recent") or ()), record][-RECENT:]
    totals = dict(kept.get("totals") or {})
    outcomes = [dict(entry) for entry in totals.get("outcomes") or ()]
    entry = next((entry for entry in outcomes if entry["outcome"] == record["outcome"]), None)
    if entry is None:
        entry = {"outcome": record["outcome"], "count": 0, "seconds": 0}
        outcomes.append(entry)
    entry["count"] += 1
    entry["seconds"] += seconds_between(record["startedAt"], record["finishedAt"])
    totals["outcomes"] = outcomes
    if record["outcome"] in ("Promoted", "FastPromoted") and record.get("changedAt"):
        _count(totals, "lead", seconds_between(record["changedAt"], record["finishedAt"]))
    return {**kept, "totals": totals, "recent": recent}


def _count(totals: dict[str, Any], what: str, seconds: int) -> None:
    totals[f"{what}Count"] = int(totals.get(f"{what}Count") or 0) + 1
    totals[f"{what}Seconds"] = int(totals.get(f"{what}Seconds") or 0) + seconds


def _record(draft: Draft, duration: Record, outcome: str, end: datetime, hash_: str) -> dict[str, Any]:
    replica_set = _set_of(draft, hash_)
    record: dict[str, Any] = {
        "revision": _revision(draft, replica_set, hash_),
        "podHash": hash_,
        "outcome": outcome,
        "startedAt": duration["rolloutStartedAt"],
        "finishedAt": format_time(end),
    }
    if changed := _changed_at(draft, replica_set, end):
        record["changedAt"] = changed
    if outcome in UNDONE and (bad := _first_bad(draft, hash_, duration["rolloutStartedAt"])):
        record["badAt"] = bad
    reason = str(draft.status.get("message") or "") if outcome == "Aborted" else draft.why_promoted
    if reason and outcome != "Superseded":
        record["reason"] = reason[:_LONGEST_REASON]
    return record


def _set_of(draft: Draft, hash_: str) -> ReplicaSet | None:
    new = draft.release.new
    if new is not None and new.hash == hash_:
        return new
    return next((rs for rs in draft.world.replica_sets if rs.hash == hash_), None)


def _revision(draft: Draft, replica_set: ReplicaSet | None, hash_: str) -> int:
    if hash_ == draft.release.hash:
        return draft.release.revision
    return replica_set.revision if replica_set else 0


def _changed_at(draft: Draft, replica_set: ReplicaSet | None, end: datetime) -> str:
    """When the change was made, by the annotations that the update came with; empty where none tells."""
    if replica_set is None:
        return ""
    template = (replica_set.template.get("metadata") or {}).get("annotations") or {}
    given = {**template, **replica_set.annotations}
    for annotation in names.CHANGE_TIMES:
        if not (text := given.get(annotation)):
            continue
        try:
            moment = parse_time(text)
        except ValueError:
            told = f"metadata.annotations[{annotation}] is no RFC 3339 time, so this update has no lead time"
            draft.say(names.REASON_INVALID_ANNOTATION, told, "Warning")
            return ""
        return format_time(moment) if moment <= end else ""
    return ""


def _first_bad(draft: Draft, hash_: str, since: str) -> str:
    """When the first measurement of this update failed; empty where none did."""
    begun = parse_time(since)
    bad = [run.first_bad for run in draft.world.runs if run.ours and run.hash == hash_ and run.first_bad]
    times = sorted(moment for moment in map(parse_time, bad) if moment >= begun)
    return format_time(times[0]) if times else ""


def _restored(draft: Draft, kept: dict[str, Any]) -> dict[str, Any]:
    """The record with the time at which all traffic was back on the stable version, once it is."""
    recent: Sequence[Record] = kept.get("recent") or ()
    if not recent or recent[-1]["outcome"] not in UNDONE or recent[-1].get("restoredAt"):
        return kept
    last = recent[-1]
    if _runs(_duration(draft.status)) or not _without_traffic(draft, last["podHash"]):
        return kept
    now = format_time(draft.world.now)
    totals = dict(kept["totals"])
    _count(totals, "recovery", seconds_between(last.get("badAt") or last["finishedAt"], now))
    return {**kept, "totals": totals, "recent": [*recent[:-1], {**last, "restoredAt": now}]}


def _without_traffic(draft: Draft, hash_: str) -> bool:
    """Whether no user meets this version any more, as far as the status and the ReplicaSets tell."""
    if draft.release.spec.strategy.blue_green:
        return bool(draft.blue_green.get("activeSelector") != hash_)
    if draft.world.traffic is not None:
        weights = draft.canary.get("weights") or {}
        return not (weights.get("canary") or {}).get("weight")
    replica_set = _set_of(draft, hash_)
    return replica_set is None or not replica_set.current


def _steps(draft: Draft, known: Sequence[str]) -> Sequence[str]:
    """When each step of the present update was completed. Steps that a full promotion passes over were not."""
    status = draft.status
    index = status.get("currentStepIndex")
    passed_over = draft.before.get("promoteFull") or status.get("promoteFull") or draft.aborted or draft.release.first
    if passed_over or not isinstance(index, int) or not _duration(status).get("rolloutStartedAt"):
        return known
    if _duration(draft.before).get("finishedAt") and _duration(status).get("finishedAt"):
        return known
    # A list of steps that was changed under way begins anew.
    return [*known[:index], *[format_time(draft.world.now)] * (index - len(known))]


def seconds_between(start: str, end: str) -> int:
    """Whole seconds from one time to another, 0 where clocks disagree."""
    return max(0, int((parse_time(end) - parse_time(start)).total_seconds()))


def _duration(status: Mapping[str, Any]) -> Record:
    return status.get("duration") or {}


def _runs(duration: Record) -> bool:
    return bool(duration.get("rolloutStartedAt")) and not duration.get("finishedAt")


def _hash(status: Mapping[str, Any]) -> str:
    return status.get("currentPodHash") or ""
