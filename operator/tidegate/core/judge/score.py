"""Many metrics, one verdict: groups with weights, critical metrics, a pass and a marginal mark.

The score is 0 to 100. Each group has its share, each of its metrics an equal part of that. A metric that is worse earns
nothing, a safe one all of its part. While metrics are undecided there are two scores: what is certain (`lower`,
undecided metrics earn nothing) and what is still possible (`upper`, they earn all). So a run is worse as soon as
the marginal mark can't be reached any more, and safe as soon as the pass mark is certain. A metric without data is
undecided for ever: it never counts for the canary.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .finding import Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """One metric's verdict. data: whether there was anything to compare. critical: worse makes the whole run worse,
    and the run is not safe before this metric is."""

    metric: str
    verdict: Verdict
    data: bool = True
    group: str = ""
    critical: bool = False


@dataclass(frozen=True, slots=True)
class ScoreParameters:
    """group_weights: percentages; groups that are not named share what is left to 100."""

    pass_mark: float = 95.0
    marginal_mark: float = 75.0
    group_weights: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.marginal_mark <= self.pass_mark <= 100:
            raise ValueError(
                f"0 <= marginal <= pass <= 100 must hold, not marginal {self.marginal_mark} and pass {self.pass_mark}"
            )
        weights = self.group_weights or {}
        if any(w < 0 for w in weights.values()) or math.fsum(weights.values()) > 100:
            raise ValueError("the groups' weights must not be negative nor exceed 100 together")


@dataclass(frozen=True, slots=True)
class Score:
    """lower, upper: what is certain and what is possible. so_far: what a person would call the score: metrics with
    data that are not worse count. All rounded to 2 places."""

    verdict: Verdict
    lower: float
    so_far: float
    upper: float
    groups: dict[str, float]
    failed_critical: tuple[str, ...]
    sentence: str


def score(parameters: ScoreParameters, outcomes: Sequence[Outcome]) -> Score:
    """ValueError for no metrics."""
    if not outcomes:
        raise ValueError("a score needs at least one metric")
    weights = _weights(parameters, outcomes)
    lower = _sum(weights, outcomes, lambda o: o.data and o.verdict is Verdict.SAFE)
    so_far = _sum(weights, outcomes, _so_far)
    upper = _sum(weights, outcomes, lambda o: o.verdict is not Verdict.WORSE)
    failed = tuple(o.metric for o in outcomes if o.critical and o.verdict is Verdict.WORSE)
    pending = tuple(o.metric for o in outcomes if o.critical and o.verdict is Verdict.NOT_YET)
    if failed:
        lower = so_far = upper = 0.0
    worse = any(o.verdict is Verdict.WORSE for o in outcomes)
    verdict = Verdict.NOT_YET
    if failed or (worse and upper < parameters.marginal_mark):
        verdict = Verdict.WORSE
    elif lower >= parameters.pass_mark and not pending:
        verdict = Verdict.SAFE
    groups = {
        g: round(100 * _part(g, outcomes, lambda o: o.data and o.verdict is not Verdict.WORSE), 2) for g in weights
    }
    lower, so_far, upper = round(lower, 2), round(so_far, 2), round(upper, 2)
    said = _sentence(parameters, outcomes, verdict, (lower, so_far, upper), failed)
    return Score(verdict, lower, so_far, upper, groups, failed, said)


def _weights(parameters: ScoreParameters, outcomes: Sequence[Outcome]) -> dict[str, float]:
    given = parameters.group_weights or {}
    groups = sorted({o.group for o in outcomes})
    unnamed = [g for g in groups if g not in given]
    rest = (100 - math.fsum(given.values())) / len(unnamed) if unnamed else 0.0
    return {g: given.get(g, rest) for g in groups}


def _so_far(outcome: Outcome) -> bool:
    return outcome.data and outcome.verdict is not Verdict.WORSE


def _part(group: str, outcomes: Sequence[Outcome], counts: Callable[[Outcome], bool]) -> float:
    members = [o for o in outcomes if o.group == group]
    return sum(counts(o) for o in members) / len(members)


def _sum(weights: Mapping[str, float], outcomes: Sequence[Outcome], counts: Callable[[Outcome], bool]) -> float:
    return math.fsum(weight * _part(group, outcomes, counts) for group, weight in weights.items())


def _sentence(
    parameters: ScoreParameters,
    outcomes: Sequence[Outcome],
    verdict: Verdict,
    scores: tuple[float, float, float],
    failed: tuple[str, ...],
) -> str:
    lower, so_far, upper = scores
    worse = [_called(o) for o in outcomes if o.verdict is Verdict.WORSE]
    silent = [o.metric for o in outcomes if not o.data]
    marks = f"pass {parameters.pass_mark:g}, marginal {parameters.marginal_mark:g}"
    parts = [f"score {so_far:g} (certain {lower:g}, possible {upper:g}; {marks})"]
    if failed:
        parts = [f"score 0: {_list(failed)} critical and worse than stable"]
    elif worse:
        parts.append(f"worse: {', '.join(worse)}")
    if silent and verdict is not Verdict.WORSE:
        parts.append(f"no data, which counts for nothing: {', '.join(silent)}")
    return "; ".join(parts)


def _called(outcome: Outcome) -> str:
    return f"{outcome.metric} of {outcome.group}" if outcome.group else outcome.metric


def _list(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"
