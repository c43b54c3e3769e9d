"""The four DORA figures of workloads and teams over the last days, from the records of past updates.

A Rollout keeps its last ten updates one by one. A busy one may have had more within the days that are asked for; its
figures are then of those that are known, and say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from tidegate.core.times import parse_time
from tidegate.observe.releases import PROMOTED, TAKEN_BACK, UNDONE

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of one workload or team.

    deployments: updates that were promoted. per_day: of them, over the days that are known. lead: median seconds from
    the change to the promotion. changes, failures: updates that were promoted or undone; those that were undone or
    taken back later. recovery: median seconds from the first bad measurement (or the abort) to the traffic being back.
    since: from when on all updates are known. None where there is nothing to tell.
    """

    namespace: str
    name: str
    team: str
    since: datetime
    deployments: int
    per_day: float
    lead: float | None
    changes: int
    failures: int
    recovery: float | None

    @property
    def failure_rate(self) -> float | None:
        """Failures in a hundred changes; None without changes."""
        return min(100.0, 100.0 * self.failures / self.changes) if self.changes else None


@dataclass(frozen=True, slots=True)
class _Known:
    namespace: str
    name: str
    team: str
    since: datetime
    records: Sequence[Obj]


def figures(
    rollouts: Iterable[Obj], now: datetime, window: timedelta, *, team_label: str, by_team: bool = False
) -> list[Figures]:
    """The figures of each Rollout, or of each team, over the window that ends now."""
    known = [_known(rollout, now - window, team_label) for rollout in rollouts]
    if not by_team:
        return [_figures(one.namespace, one.name, one.team, [one], now) for one in sorted(known, key=_address)]
    teams = sorted({one.team for one in known})
    return [_figures("", "", team, [one for one in known if one.team == team], now) for team in teams]


def _address(one: _Known) -> tuple[str, str]:
    return one.namespace, one.name


def _known(rollout: Obj, since: datetime, team_label: str) -> _Known:
    metadata = rollout["metadata"]
    releases = (rollout.get("status") or {}).get("releases") or {}
    recent = releases.get("recent") or ()
    ended = sum(o["count"] for o in (releases.get("totals") or {}).get("outcomes") or ())
    if recent and ended > len(recent):  # There were others before.
        since = max(since, parse_time(recent[0]["finishedAt"]))
    team = (metadata.get("labels") or {}).get(team_label, "")
    records = [record for record in recent if parse_time(record["finishedAt"]) >= since]
    return _Known(metadata.get("namespace", ""), metadata["name"], team, since, records)


def _figures(namespace: str, name: str, team: str, known: Sequence[_Known], now: datetime) -> Figures:
    records = [record for one in known for record in one.records]
    promoted = [record for record in records if record["outcome"] in PROMOTED]
    leads = [_seconds(r["changedAt"], r["finishedAt"]) for r in promoted if r.get("changedAt")]
    back = [r for r in records if r["outcome"] in UNDONE and r.get("restoredAt")]
    recoveries = [_seconds(r.get("badAt") or r["finishedAt"], r["restoredAt"]) for r in back]
    per_day = sum(
        sum(r["outcome"] in PROMOTED for r in one.records) / max((now - one.since) / timedelta(days=1), 1 / 24)
        for one in known
    )
    return Figures(
        namespace,
        name,
        team,
        since=max(one.since for one in known),
        deployments=len(promoted),
        per_day=per_day,
        lead=median(leads) if leads else None,
        changes=sum(r["outcome"] in PROMOTED | UNDONE for r in records),
        failures=sum(r["outcome"] in UNDONE | TAKEN_BACK for r in records),
        recovery=median(recoveries) if recoveries else None,
    )


def _seconds(start: str, end: str) -> float:
    return max(0.0, (parse_time(end) - parse_time(start)).total_seconds())
