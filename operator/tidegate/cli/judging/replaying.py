"""What the judge would have said of recorded looks, and of one version's pods against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from tidegate.cli.told import Told
from tidegate.core.analysis.compare.answers import CANARY, STABLE, Answers, Sample
from tidegate.core.analysis.compare.comparison import Comparison
from tidegate.core.analysis.compare.gauges import MannWhitney
from tidegate.core.analysis.compare.looking import is_broken, knew_stable, sorted_answers
from tidegate.core.analysis.compare.windows import Window
from tidegate.core.analysis.conditions import ConditionError
from tidegate.core.analysis.metrics import Metric
from tidegate.core.judge import Finding, Verdict
from tidegate.core.judge.null_splits import null_splits
from tidegate.core.judge.score import Outcome, Score, score
from tidegate.core.times import format_time

_OVER: Final = "bound"
"""In place of a verdict: the static bound beside the comparison has failed the metric."""


Recorded = Mapping[str, Sequence[tuple[Window, Any]]]
"""What was answered to each metric, window by window: (labels, value) pairs, or the text of an error."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One metric over all windows. way: evidence against after each look, as a share of what is needed. at: the end of
    the window in which it was settled. broken: in how many looks the failureCondition beside it held; over: whether
    these were more than failureLimit bears."""

    finding: Finding
    way: tuple[float, ...]
    at: datetime | None
    broken: int = 0
    over: bool = False

    @property
    def verdict(self) -> str:
        worse = self.finding.verdict is Verdict.WORSE
        return _OVER if self.over and not worse else self.finding.verdict.value

    @property
    def sentence(self) -> str:
        if not self.broken:
            return self.finding.sentence
        looks = f"{self.broken} look{'s' if self.broken > 1 else ''}"
        return f"the failureCondition held in {looks}; {self.finding.sentence}"


def comparison_of(metric: Metric, split: str) -> Comparison:
    """A metric's comparison; for splits its answers tell pods apart."""
    comparison = metric.comparison
    assert comparison is not None
    kind = comparison.kind
    return replace(comparison, kind=replace(kind, by=split)) if split else comparison  # type: ignore[type-var]


def replay(metric: Metric, comparison: Comparison, looks: Sequence[tuple[Window, Answers]]) -> Replayed:
    """What would have been said, up to the first verdict "worse", or until the static bound has failed the metric.
    Raises Told."""
    if isinstance(comparison.kind, MannWhitney):
        looks = looks[: comparison.kind.planned]  # judged once; each further look would be another chance to be wrong
    broken, over = 0, False
    state: Mapping[str, Any] = {}
    way: list[float] = []
    finding: Finding | None = None
    settled: datetime | None = None
    for window, answers in looks:
        try:
            seen = comparison.kind.observe(state, answers, window)
            broken += metric.failure is not None and is_broken(metric.failure, seen.result)
        except ConditionError as error:
            raise Told(f"the failureCondition can't be evaluated for {format_time(window.end)}: {error}") from None
        except ValueError as error:
            raise Told(f"the look up to {format_time(window.end)} can't be judged: {error}") from None
        if seen.finding.verdict is not Verdict.NOT_YET and (
            finding is None or finding.verdict is not seen.finding.verdict
        ):
            settled = window.end
        state, finding = seen.state, seen.finding
        way.append(finding.against.log_e / finding.against.needed)
        over = metric.failure_limit is not None and broken > metric.failure_limit
        if over:
            settled = window.end
        if over or finding.verdict is Verdict.WORSE:
            break
    assert finding is not None, "`good` gives at least one look"
    at = settled if over or finding.verdict is not Verdict.NOT_YET else None
    return Replayed(finding, tuple(way), at, broken, over)


def good(metric: Metric, recorded: Recorded) -> list[tuple[Window, Answers]]:
    """A metric's looks that have answers, without those that the operator would pass over. Raises Told for none."""
    looks, comparison = recorded.get(metric.name, ()), metric.comparison
    assert comparison is not None
    answered = [
        (window, sorted_answers(tuple((labels, float(value)) for labels, value in answer)))
        for window, answer in looks
        if not isinstance(answer, str)
    ]
    good = [(window, answers) for window, answers in answered if knew_stable(answers, comparison.name)]
    if good:
        return good
    if not looks:
        raise Told(f"nothing is recorded of metric {metric.name}; there are {', '.join(sorted(recorded)) or 'none'}")
    errors = [answer for _, answer in looks if isinstance(answer, str)]
    why = f"the first of them: {errors[0]}" if errors else "Prometheus knew stable at the beginning of none"
    raise Told(f"metric {metric.name} has no answer to any of its {len(looks)} looks; {why}")


def scored(metrics: Sequence[Metric], found: Mapping[str, Replayed]) -> Score | None:
    """What the metrics say together at the end, where the template has a score. Those that are only watched say
    nothing."""
    deciding = [metric for metric in metrics if metric.comparison is not None and not metric.dry_run]
    rules = deciding[0].comparison.rules.score if deciding and deciding[0].comparison else None
    if rules is None:
        return None
    outcomes = []
    for name in (metric.name for metric in deciding):
        finding, over = found[name].finding, found[name].over
        verdict = Verdict.WORSE if over else finding.verdict
        critical = name in rules.critical and (over or not finding.mild)
        outcomes.append(Outcome(name, verdict, finding.data, rules.groups.get(name, ""), critical))
    return score(rules.parameters, outcomes)


def splits(
    looks: Sequence[tuple[Window, Answers]], label: str, size: int, *, saved: bool
) -> list[list[tuple[Window, Answers]]]:
    """One version against itself: some of its pods as the canary, the others as stable. Raises Told."""
    pods = sorted({labels[label] for _, a in looks for found in a.values() for labels, _ in found if label in labels})
    try:
        chosen = null_splits(pods, size)
    except ValueError as error:
        told = f"--split {label}: {error}; the answers know {len(pods)} values of that label"
        anew = "; what was saved without --split may not tell them apart: ask the server anew" if saved else ""
        raise Told(told + anew) from None
    return [[(window, _divided(answers, label, ours)) for window, answers in looks] for ours in chosen]


def _divided(answers: Answers, label: str, ours: frozenset[str]) -> Answers:
    def of(found: Sequence[Sample], *, mine: bool) -> list[Sample]:
        return [(labels, value) for labels, value in found if label in labels and (labels[label] in ours) is mine]

    stable = {part: found for (arm, part), found in answers.items() if arm == STABLE}
    return {
        **{(CANARY, part): of(found, mine=True) for part, found in stable.items()},
        **{(STABLE, part): of(found, mine=False) for part, found in stable.items()},
    }
