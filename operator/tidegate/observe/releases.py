"""Past updates and the four DORA figures for Prometheus, read from the Rollouts' statuses when it asks.

Nothing is counted in memory, so the numbers go on where they were after a restart and are the same on every replica.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from tidegate.observe.exposition import Family

Obj = Mapping[str, Any]
Objects = Callable[[], Iterable[Obj]]

PROMOTED: Final = frozenset(("Promoted", "FastPromoted"))
"""Outcomes of an update whose version users have now: a deployment."""
UNDONE: Final = frozenset(("Aborted", "FastRolledBack"))
"""Outcomes of an update that was undone before it was everybody's."""
TAKEN_BACK: Final = frozenset(("RolledBack",))
"""Outcomes of an update that goes back to an earlier version: the one before it had failed."""

_LABELS: Final = ("namespace", "name", "team")
RELEASES: Final = Family("tidegate_releases_total", "counter", "Updates that are over", (*_LABELS, "outcome"))
DURATION: Final = Family(
    "tidegate_release_duration_seconds", "summary", "Seconds from an update's start to its end", (*_LABELS, "outcome")
)
DEPLOYMENTS: Final = Family(
    "tidegate_dora_deployments_total", "counter", "Updates that were promoted; its rate is the frequency", _LABELS
)
LEAD: Final = Family("tidegate_dora_lead_time_seconds", "summary", "Seconds from a change to its promotion", _LABELS)
RECOVERY: Final = Family(
    "tidegate_dora_recovery_seconds",
    "summary",
    "Seconds from the first bad measurement of an update to all traffic being back on stable",
    _LABELS,
)
CHANGES: Final = Family("tidegate_dora_changes_total", "counter", "Updates that were promoted or undone", _LABELS)
FAILURES: Final = Family(
    "tidegate_dora_change_failures_total", "counter", "Updates that were undone, or taken back later", _LABELS
)


def release_families(rollouts: Objects, team_label: str) -> Iterator[tuple[Family, Iterator[str]]]:
    """Everything about past updates. team_label: the label of a Rollout that names its team."""

    def each() -> Iterator[tuple[tuple[str, str, str], Obj]]:
        for rollout in rollouts():
            totals = _part(_part(rollout, "status"), "releases").get("totals")
            if isinstance(totals, Mapping):
                yield _labels(rollout, team_label), totals

    yield RELEASES, (RELEASES.line((*at, o["outcome"]), o["count"]) for at, totals in each() for o in _outcomes(totals))
    yield (
        DURATION,
        (
            DURATION.summary((*at, o["outcome"]), o["seconds"], o["count"])
            for at, totals in each()
            for o in _outcomes(totals)
        ),
    )
    yield DEPLOYMENTS, (DEPLOYMENTS.line(at, counted(totals, PROMOTED)) for at, totals in each())
    yield LEAD, _summed(LEAD, "lead", each)
    yield RECOVERY, _summed(RECOVERY, "recovery", each)
    yield CHANGES, (CHANGES.line(at, counted(totals, PROMOTED | UNDONE)) for at, totals in each())
    yield FAILURES, (FAILURES.line(at, counted(totals, UNDONE | TAKEN_BACK)) for at, totals in each())


def counted(totals: Obj, outcomes: frozenset[str]) -> int:
    """How many updates ended in one of these ways."""
    return sum(o["count"] for o in _outcomes(totals) if o["outcome"] in outcomes)


def _summed(family: Family, what: str, each: Callable[[], Iterator[tuple[tuple[str, str, str], Obj]]]) -> Iterator[str]:
    for at, totals in each():
        if count := totals.get(f"{what}Count"):
            yield family.summary(at, totals.get(f"{what}Seconds") or 0, count)


def _outcomes(totals: Obj) -> Iterator[dict[str, Any]]:
    """Entries that are whole: anybody may write a status."""
    for entry in totals.get("outcomes") or ():
        if isinstance(entry, Mapping) and isinstance(entry.get("count"), int):
            yield {"seconds": 0, **entry, "outcome": str(entry.get("outcome"))}


def _labels(rollout: Obj, team_label: str) -> tuple[str, str, str]:
    metadata = rollout["metadata"]
    return metadata.get("namespace", ""), metadata["name"], str((metadata.get("labels") or {}).get(team_label, ""))


def _part(obj: Obj, field: str) -> Obj:
    part = obj.get(field)
    return part if isinstance(part, Mapping) else {}
