"""What each kind of comparison asks of both arms, and what the judge makes of the answers.

A kind is a module of the judge with its parameters; adding one is a class and a line in `KINDS`. Those of gauges have a
module of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tidegate.api.common import number_of
from tidegate.api.compare import Compare
from tidegate.core.analysis.compare import gauges
from tidegate.core.analysis.compare.answers import (
    CANARY,
    STABLE,
    AnswerError,
    Answers,
    Kind,
    Sample,
    Seen,
    by_label,
)
from tidegate.core.analysis.compare.windows import Window, increases, summed
from tidegate.core.judge import Verdict, counts, distribution, sufficient
from tidegate.core.judge.dispersion import PodCount
from tidegate.core.times import format_time


@dataclass(frozen=True, slots=True)
class Counts:
    """Shares of bad requests. `by`: the label of pods; empty for none."""

    parameters: counts.CountsParameters
    by: str = "pod"

    def questions(self, selectors: Mapping[str, str], window: Window) -> dict[str, str]:
        return {part: summed(self.by, increases(selector, window)) for part, selector in selectors.items()}

    def observe(self, state: Mapping[str, Any] | None, answers: Answers, window: Window) -> Seen:
        before = counts.CountsState.from_json(dict(state)) if state else counts.CountsState()
        canary, stable = self._pods(answers, CANARY), self._pods(answers, STABLE)
        look = counts.CountsLook(
            canary=_tally(canary),
            stable=_tally(stable),
            seconds=window.seconds,
            at=format_time(window.end),
            canary_pods=_named(canary),
            stable_pods=_named(stable),
        )
        after = counts.observe(self.parameters, before, look)
        arms = {CANARY: look.canary, STABLE: look.stable}
        return Seen(
            state=after.to_json(),
            finding=counts.judge(self.parameters, after),
            result={arm: _figures(tally) for arm, tally in arms.items()},
            text=", ".join(f"{arm} {t.bad:.0f}/{t.total:.0f}" for arm, t in arms.items()),
            enough=sufficient.for_counts(self.parameters, after),
        )

    def with_budget(self, false_alarm: float, shared_by: int) -> Counts:
        return replace(
            self, parameters=replace(self.parameters, false_alarm=false_alarm / shared_by, shared_by=shared_by)
        )

    def _pods(self, answers: Answers, arm: str) -> tuple[PodCount, ...]:
        totals = by_label(answers.get((arm, "total"), ()), self.by)
        part = "good" if any((each, "good") in answers for each in (CANARY, STABLE)) else "bad"
        given = by_label(answers.get((arm, part), ()), self.by)
        strange = sorted(given.keys() - totals.keys())
        if strange:
            told = f"{part} has {self.by} {strange[0]!r} of {arm} that total has not"
            raise AnswerError(f"{told}: both must be of the same requests")
        pods = []
        for name, total in totals.items():
            bad = given.get(name, 0.0) if part == "bad" else total - given.get(name, 0.0)
            if not 0 <= bad <= total:
                told = f"{part} of {arm} is {given.get(name, 0):g} where total is {total:g}"
                raise AnswerError(f"{told}: it must be a part of it")
            pods.append(PodCount(name, bad, total))
        return tuple(pods)


def _figures(tally: counts.Tally) -> dict[str, float]:
    return {"bad": tally.bad, "total": tally.total, "rate": tally.rate} if tally.total else {}


def _tally(pods: Sequence[PodCount]) -> counts.Tally:
    return counts.Tally(math.fsum(pod.bad for pod in pods), math.fsum(pod.total for pod in pods))


def _named(pods: Sequence[PodCount]) -> tuple[PodCount, ...]:
    """Pods by name; none where the answer does not tell pods apart."""
    return tuple(pod for pod in pods if pod.name) if len(pods) > 1 or all(pod.name for pod in pods) else ()


def _counts(compare: Compare) -> tuple[Kind, dict[str, str]]:
    spec = compare.counts
    assert spec is not None
    default = counts.CountsParameters()
    parameters = counts.CountsParameters(
        tolerated=number_of(spec.tolerated, default.tolerated),
        safe=number_of(spec.safe, default.safe),
        negligible=number_of(spec.negligible, default.negligible),
    )
    selectors = {"total": spec.total, "bad": spec.bad, "good": spec.good}
    return Counts(parameters, spec.by), {part: text for part, text in selectors.items() if text}


@dataclass(frozen=True, slots=True)
class Distribution:
    """Latency histograms. `by`: a label whose values the answers tell apart, though a look does not; mostly none."""

    parameters: distribution.DistributionParameters
    by: str = ""

    def questions(self, selectors: Mapping[str, str], window: Window) -> dict[str, str]:
        labels = f"le, {self.by}" if self.by else "le"
        return {part: summed(labels, increases(selector, window)) for part, selector in selectors.items()}

    def observe(self, state: Mapping[str, Any] | None, answers: Answers, window: Window) -> Seen:
        before = distribution.DistributionState.from_json(dict(state)) if state else distribution.DistributionState()
        arms = {arm: _buckets(answers.get((arm, "buckets"), ())) for arm in (CANARY, STABLE)}
        known = next((found for found in arms.values() if found), None) or dict.fromkeys(before.edges, 0.0)
        if not known:
            # Nobody has been asked yet: no histogram, no edges, no look.
            return Seen({}, distribution.judge(self.parameters, before), {CANARY: {}, STABLE: {}}, "no requests", False)
        filled = {arm: found or dict.fromkeys(known, 0.0) for arm, found in arms.items()}
        look = distribution.look_at_buckets(
            filled[CANARY], filled[STABLE], window.seconds, format_time(window.end), before.edges
        )
        after = distribution.observe(self.parameters, before, look)
        finding = distribution.judge(self.parameters, after)
        result = {arm: _quantiles(look.edges, each) for arm, each in ((CANARY, look.canary), (STABLE, look.stable))}
        return Seen(
            state=after.to_json(),
            finding=finding,
            result=result,
            text=", ".join(f"{arm} {_quantiles_text(found)}" for arm, found in result.items()),
            enough=finding.verdict is not Verdict.NOT_YET or sufficient.for_distribution(self.parameters, after),
        )

    def with_budget(self, false_alarm: float, shared_by: int) -> Distribution:
        return replace(
            self, parameters=replace(self.parameters, false_alarm=false_alarm / shared_by, shared_by=shared_by)
        )


def _buckets(samples: Sequence[Sample]) -> dict[float, float]:
    """Cumulative counts by upper edge. Buckets of pods that were scraped at different moments may not quite rise."""
    sums: dict[float, float] = {}
    for labels, value in samples:
        edge = _edge(labels)
        sums[edge] = sums.get(edge, 0.0) + value
    found: dict[float, float] = {}
    highest = 0.0
    for edge in sorted(sums):
        highest = found[edge] = max(highest, sums[edge])
    if found and math.inf not in found:
        raise AnswerError('the buckets have none with le="+Inf": is the selector that of a histogram\'s _bucket?')
    return found


def _edge(labels: Mapping[str, str]) -> float:
    try:
        return float(labels["le"])
    except (KeyError, ValueError):
        raise AnswerError("the buckets have no label le: is the selector that of a histogram's _bucket?") from None


def _quantiles(edges: Sequence[float], arm: distribution.Histogram) -> dict[str, float]:
    """As conditions see them: the upper edge of the bucket that a quantile lies in."""
    if not arm.total:
        return {}
    told = {"total": arm.total}
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)):
        within = zip(edges, arm.within, strict=True)
        told[name] = next((edge for edge, count in within if count >= share * arm.total), math.inf)
    return told


def _quantiles_text(told: Mapping[str, float]) -> str:
    return f"{told['total']:.0f} p50<={told['p50']:g} p99<={told['p99']:g}" if told else "0"


def _distribution(compare: Compare) -> tuple[Kind, dict[str, str]]:
    spec = compare.distribution
    assert spec is not None
    default = distribution.DistributionParameters()
    parameters = distribution.DistributionParameters(
        tolerated=number_of(spec.tolerated, default.tolerated),
        safe=number_of(spec.safe, default.safe),
        covers=number_of(spec.covers, default.covers),
        unit=spec.unit,
    )
    return Distribution(parameters), {"buckets": spec.buckets}


KINDS: Final[Mapping[str, Callable[[Compare], tuple[Kind, dict[str, str]]]]] = {
    # The kind and its selectors by part. Raises ValueError for parameters that don't go together.
    "counts": _counts,
    "distribution": _distribution,
    "samples": gauges.read,
}
