"""What becomes of metrics that compare, each by itself and all of a run together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tidegate.core.analysis.compare.comparison import Rules
from tidegate.core.analysis.compare.standing import Standing
from tidegate.core.analysis.verdicts import Verdict, too_many_consecutive_errors, too_many_failures
from tidegate.core.times import format_time

if TYPE_CHECKING:
    from tidegate.core.analysis.metrics import Metric
    from tidegate.core.analysis.progress import MetricProgress, Progress


@dataclass(frozen=True, slots=True)
class Together:
    """All metrics of a run that compare and decide.

    safe: each of them. hold: why there is no verdict yet that traffic could not bring; empty when it is not for want
    of traffic. since: the beginning of the oldest of their last looks; None while one of them has had none.
    """

    any: bool = False
    safe: bool = False
    hold: str = ""
    since: datetime | None = None
    rules: Rules = field(default_factory=Rules)

    @classmethod
    def see(cls, metrics: Iterable[Metric], progress: Progress) -> Together:
        deciding = [metric for metric in metrics if metric.comparison is not None and not metric.dry_run]
        standings = [progress.of(metric).standing for metric in deciding]
        if not standings:
            return cls()
        comparison = deciding[0].comparison
        assert comparison is not None
        starts = [standing.since for standing in standings if standing.since is not None]
        return cls(
            any=True,
            safe=all(standing.safe for standing in standings),
            hold=next((_hold(m, s) for m, s in zip(deciding, standings, strict=True) if _lacks_traffic(s)), ""),
            since=min(starts) if len(starts) == len(standings) else None,
            rules=comparison.rules,
        )

    def write(self) -> dict[str, Any]:
        """As `status.judge` of a run that is under way."""
        return {
            **({"safe": True} if self.safe else {}),
            **({"hold": self.hold} if self.hold else {}),
            **({"since": format_time(self.since)} if self.since else {}),
            **({"advance": True} if self.safe and self.rules.advance_when_safe else {}),
        }


def judge_compared(metric: Metric, entry: MetricProgress, together: Together, *, terminating: bool) -> Verdict:
    """What a metric's looks say together; `Running` while there is nothing to say yet."""
    standing, rules = entry.standing, together.rules
    if standing.worse:
        return Verdict("Failed", standing.message)
    limited = too_many_consecutive_errors(metric, entry.tally)
    if limited is None and metric.failure is not None:
        limited = too_many_failures(metric, entry.tally)
    if limited is not None:
        return limited
    planned = metric.count is not None and entry.tally.count >= metric.count
    if standing.safe and (planned or terminating or (rules.advance_when_safe and (together.safe or metric.dry_run))):
        return Verdict("Successful", standing.message)
    if terminating:
        return Verdict("Inconclusive", f"ended before there was a verdict: {standing.message or 'there was no look'}")
    if not planned or (_lacks_traffic(standing) and not metric.dry_run):
        return Verdict("Running")
    return _undecided(rules, standing.message)


def _undecided(rules: Rules, sentence: str) -> Verdict:
    told = f"no verdict until the end, and whenUndecided is {rules.when_undecided}: {sentence}"
    if rules.when_undecided == "promote":
        return Verdict("Successful", told)
    return Verdict("Failed" if rules.when_undecided == "undo" else "Inconclusive", told)


def held(metrics: Iterable[Metric], progress: Progress) -> str:
    """Why a run goes on after the planned number of looks; empty when it does not."""
    for metric in metrics:
        entry = progress.of(metric)
        past = metric.count is not None and entry.tally.count >= metric.count
        if metric.comparison is not None and past and not entry.ended and _lacks_traffic(entry.standing):
            return _hold(metric, entry.standing)
    return ""


def _lacks_traffic(standing: Standing) -> bool:
    return not (standing.worse or standing.safe or standing.enough)


def _hold(metric: Metric, standing: Standing) -> str:
    return f'Metric "{metric.name}" has had too little traffic for a verdict: {standing.message or "no look yet"}'
