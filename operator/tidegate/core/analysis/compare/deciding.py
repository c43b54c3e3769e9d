"""What becomes of metrics that compare, each by itself and all of a run together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tidegate.api.names import AnalysisPhase
from tidegate.core.analysis.compare.comparison import Rules, ScoreRules
from tidegate.core.analysis.compare.standing import Standing
from tidegate.core.analysis.verdicts import Verdict, too_many_consecutive_errors, too_many_failures
from tidegate.core.judge import Verdict as Judged
from tidegate.core.judge.score import Outcome, Score, score
from tidegate.core.times import format_time

if TYPE_CHECKING:
    from tidegate.core.analysis.metrics import Metric
    from tidegate.core.analysis.progress import MetricProgress, Progress


@dataclass(frozen=True, slots=True)
class Together:
    """All metrics of a run that compare and decide.

    safe: each of them. hold: why there is no verdict yet that traffic could not bring; empty when it is not for want
    of traffic. undecided: why there is no verdict though there has been enough traffic for one. looks_left: how many
    looks are planned before that counts. since: the beginning of the oldest of their last looks; None while one of them
    has had none.
    """

    any: bool = False
    safe: bool = False
    hold: str = ""
    undecided: str = ""
    looks_left: int = 0
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
        found = _score_so_far(deciding, progress, comparison.rules)
        hold = next((_hold(m, s) for m, s in zip(deciding, standings, strict=True) if _lacks_traffic(s)), "")
        open_ = [m for m, s in zip(deciding, standings, strict=True) if not (s.safe or progress.of(m).ended)]
        return cls(
            any=True,
            safe=found.verdict is Judged.SAFE if found else all(standing.safe for standing in standings),
            hold=hold,
            undecided="" if hold else _no_verdict(open_, progress, found),
            looks_left=max((_looks_left(metric, progress) for metric in open_), default=0),
            since=min(starts) if len(starts) == len(standings) else None,
            rules=comparison.rules,
        )

    @property
    def advance(self) -> bool:
        """Whether to go on before the planned end."""
        return self.safe and self.rules.advance_when_safe

    def write(self, score: Score | None, *, ended: bool) -> dict[str, Any]:
        """As `status.judge`. A run that has ended holds nothing up."""
        open_ = self.undecided and not ended
        return {
            **({"safe": True} if self.safe else {}),
            **({"hold": self.hold} if self.hold and not ended else {}),
            **({"undecided": self.undecided} if open_ else {}),
            **({"looksLeft": self.looks_left} if open_ and self.looks_left else {}),
            **({"since": format_time(self.since)} if self.since else {}),
            **({"advance": True} if self.advance and not ended else {}),
            **({"score": f"{score.so_far:g}", "message": score.sentence} if score else {}),
        }


def judge_compared(metric: Metric, entry: MetricProgress, together: Together, *, terminating: bool) -> Verdict:
    """What a metric's looks say together; `Running` while there is nothing to say yet."""
    standing, rules = entry.standing, together.rules
    if standing.worse:
        return Verdict("Failed", standing.message)
    limited = _limited(metric, entry)
    if limited is not None:
        return limited
    planned = metric.count is not None and entry.tally.count >= metric.count
    # One without an end watches a whole update: knowing that the canary is safe at this weight shortens a pause only.
    early = together.advance and metric.count is not None
    if standing.safe and (planned or terminating or early):
        return Verdict("Successful", standing.message)
    if planned and (standing.enough or metric.dry_run):
        return _undecided(rules, standing.message)
    if terminating or early:
        return Verdict("Inconclusive", f"ended before there was a verdict: {standing.message or 'there was no look'}")
    return Verdict("Running")


def judge_together(metrics: Iterable[Metric], progress: Progress, verdicts: Mapping[str, Verdict]) -> Score | None:
    """The score that the verdicts of metrics that compare make; None where each of them decides alone."""
    deciding = [metric for metric in metrics if metric.comparison is not None and not metric.dry_run]
    rules = deciding[0].comparison.rules.score if deciding and deciding[0].comparison else None
    if rules is None:
        return None
    return score(rules.parameters, [_outcome(metric, rules, progress.of(metric), verdicts) for metric in deciding])


def _limited(metric: Metric, entry: MetricProgress) -> Verdict | None:
    """What errors and the static bound beside the comparison say."""
    limited = too_many_consecutive_errors(metric, entry.tally)
    if limited is None and metric.failure is not None:
        limited = too_many_failures(metric, entry.tally)
    return limited


def _outcome(metric: Metric, rules: ScoreRules, entry: MetricProgress, verdicts: Mapping[str, Verdict]) -> Outcome:
    phase = verdicts[metric.name].phase if metric.name in verdicts else "Running"
    ends = {"Successful": Judged.SAFE, "Failed": Judged.WORSE}
    verdict = ends.get(phase) or (Judged.SAFE if entry.standing.safe and phase == "Running" else Judged.NOT_YET)
    return _in_score(metric, rules, entry, verdict)


def _in_score(metric: Metric, rules: ScoreRules, entry: MetricProgress, verdict: Judged) -> Outcome:
    """A mild worse of a critical metric is that of any other; a static bound that is passed knows no mildness."""
    mild = entry.standing.mild and _limited(metric, entry) is None
    has_data = bool(entry.standing.record.get("data"))
    group = rules.groups.get(metric.name, "")
    return Outcome(metric.name, verdict, has_data, group, metric.name in rules.critical and not mild)


def score_verdict(found: Score) -> Verdict:
    """What the score of a run that has come to its end says of it."""
    phases: dict[Judged, AnalysisPhase] = {Judged.WORSE: "Failed", Judged.SAFE: "Successful"}
    return Verdict(phases.get(found.verdict, "Inconclusive"), found.sentence)


def _score_so_far(metrics: Sequence[Metric], progress: Progress, rules: Rules) -> Score | None:
    """The score that the metrics make if nothing more comes; None where each of them decides alone."""
    if rules.score is None:
        return None
    entries = [(metric, progress.of(metric)) for metric in metrics]
    outcomes = [
        _in_score(metric, rules.score, entry, Judged(entry.standing.verdict or Judged.NOT_YET))
        for metric, entry in entries
    ]
    return score(rules.score.parameters, outcomes)


def _no_verdict(metrics: Sequence[Metric], progress: Progress, found: Score | None) -> str:
    """Why metrics that are neither safe nor ended leave the canary undecided; empty where they don't."""
    if found is not None:
        return found.sentence if found.verdict is Judged.NOT_YET else ""
    if not metrics:
        return ""
    return f'Metric "{metrics[0].name}": {progress.of(metrics[0]).standing.message}'


def _looks_left(metric: Metric, progress: Progress) -> int:
    return max(0, metric.count - progress.of(metric).tally.count) if metric.count is not None else 0


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
