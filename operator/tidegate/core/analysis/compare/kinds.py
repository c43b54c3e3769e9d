"""What each kind of comparison asks of both arms, and what the judge makes of the answers.

A kind is a module of the judge with its parameters; adding one is a class here and a line in `KINDS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tidegate.api.common import number_of
from tidegate.api.compare import Compare
from tidegate.core.analysis.compare.answers import (
    CANARY,
    MOST_SAMPLES,
    STABLE,
    AnswerError,
    Answers,
    Kind,
    Sample,
    Seen,
)
from tidegate.core.analysis.compare.windows import Window, averages, increases, summed
from tidegate.core.judge import (
    Estimate,
    Evidence,
    Finding,
    Verdict,
    counts,
    distribution,
    mann_whitney,
    samples,
    sufficient,
)
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
        totals = _by_label(answers.get((arm, "total"), ()), self.by)
        part = "good" if any((each, "good") in answers for each in (CANARY, STABLE)) else "bad"
        given = _by_label(answers.get((arm, part), ()), self.by)
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


def _by_label(samples: Sequence[Sample], label: str) -> dict[str, float]:
    return {labels.get(label, ""): value for labels, value in samples}


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


@dataclass(frozen=True, slots=True)
class Samples:
    """Gauges, a value for each pod. `by`: the label of pods."""

    parameters: samples.SamplesParameters
    by: str = "pod"

    def questions(self, selectors: Mapping[str, str], window: Window) -> dict[str, str]:
        expressions = {}
        for part, selector in selectors.items():
            made = averages(selector, window) if part == "gauge" else increases(selector, window)
            expressions[part] = summed(self.by, made)
        return expressions

    def observe(self, state: Mapping[str, Any] | None, answers: Answers, window: Window) -> Seen:
        before = samples.SamplesState.from_json(dict(state)) if state else samples.SamplesState()
        arms = {arm: values(answers, arm, self.by, window.seconds) for arm in (CANARY, STABLE)}
        look = samples.SamplesLook(arms[CANARY], arms[STABLE], window.seconds, format_time(window.end))
        after = samples.observe(self.parameters, before, look)
        return Seen(
            state=after.to_json(),
            finding=samples.judge(self.parameters, after),
            result={arm: _spread(found) for arm, found in arms.items()},
            text=_means(arms),
            enough=sufficient.for_samples(after),
        )

    def with_budget(self, false_alarm: float, shared_by: int) -> Samples:
        return replace(
            self, parameters=replace(self.parameters, false_alarm=false_alarm / shared_by, shared_by=shared_by)
        )


def values(answers: Answers, arm: str, by: str, seconds: float) -> tuple[float, ...]:
    """One value for each pod of an arm: of a gauge as it is, of a counter by the second, or for each request."""
    part = next((each for each in ("gauge", "counter") if answers.get((arm, each))), "gauge")
    found = _by_label(answers.get((arm, part), ()), by)
    if any((each, "per") in answers for each in (CANARY, STABLE)):
        requests = _by_label(answers.get((arm, "per"), ()), by)
        return tuple(found[name] / requests[name] for name in sorted(found) if requests.get(name))
    divisor = seconds if part == "counter" else 1.0
    return tuple(found[name] / divisor for name in sorted(found))


def _spread(found: Sequence[float]) -> dict[str, float]:
    return {"mean": math.fsum(found) / len(found), "max": max(found), "pods": float(len(found))} if found else {}


def _means(arms: Mapping[str, Sequence[float]]) -> str:
    told = {arm: f"{math.fsum(found) / len(found):.4g} ({len(found)})" if found else "-" for arm, found in arms.items()}
    return ", ".join(f"{arm} {text}" for arm, text in told.items())


@dataclass(frozen=True, slots=True)
class MannWhitney:
    """Kayenta's test over one mean a look, once the planned number of looks is in. It keeps no false-alarm budget."""

    direction: mann_whitney.Direction
    by: str = "pod"
    planned: int = 1

    def questions(self, selectors: Mapping[str, str], window: Window) -> dict[str, str]:
        return Samples(samples.SamplesParameters(), self.by).questions(selectors, window)

    def observe(self, state: Mapping[str, Any] | None, answers: Answers, window: Window) -> Seen:
        arms = {arm: values(answers, arm, self.by, window.seconds) for arm in (CANARY, STABLE)}
        before = state or {}
        kept = {arm: [*(before.get(arm) or ()), *_mean_of(found)][-MOST_SAMPLES:] for arm, found in arms.items()}
        looks = int(before.get("looks") or 0) + 1
        judged = mann_whitney.classify(
            kept[CANARY], kept[STABLE], mann_whitney.MannWhitneyParameters(direction=self.direction)
        )
        return Seen(
            state={"looks": looks, **kept},
            finding=_told(judged, kept, looks, done=looks >= self.planned),
            result={arm: _spread(found) for arm, found in arms.items()},
            text=_means(arms),
            enough=judged.mark is not mann_whitney.Mark.NODATA,
        )

    def with_budget(self, false_alarm: float, shared_by: int) -> MannWhitney:
        return self


def _mean_of(found: Sequence[float]) -> list[float]:
    return [math.fsum(found) / len(found)] if found else []


def _told(judged: mann_whitney.Judgement, kept: Mapping[str, Sequence[float]], looks: int, *, done: bool) -> Finding:
    verdicts = {
        mann_whitney.Mark.HIGH: Verdict.WORSE,
        mann_whitney.Mark.LOW: Verdict.WORSE,
        mann_whitney.Mark.PASS: Verdict.SAFE,
    }
    verdict = verdicts.get(judged.mark, Verdict.NOT_YET) if done else Verdict.NOT_YET
    none = Evidence(log_e=0.0, peak=0.0, needed=1.0, p=1.0)
    ratio = judged.ratio if math.isfinite(judged.ratio) else None
    told = judged.sentence if done else f"{judged.sentence}, so far; it counts after the last look"
    return Finding(
        verdict=verdict,
        against=none,
        favour=none,
        ratio=Estimate(ratio, None, None, mann_whitney.MannWhitneyParameters().confidence),
        remaining=None,
        design_effect=1.0,
        looks=looks,
        data=judged.mark is not mann_whitney.Mark.NODATA,
        arms={arm: {"mean": math.fsum(found) / len(found)} if found else {} for arm, found in kept.items()},
        sentence=told,
    )


def _samples(compare: Compare) -> tuple[Kind, dict[str, str]]:
    spec = compare.samples
    assert spec is not None
    selectors = {"gauge": spec.gauge, "counter": spec.counter, "per": spec.per}
    asked = {part: text for part, text in selectors.items() if text}
    if spec.mode == "mannWhitney":
        return MannWhitney(mann_whitney.Direction(spec.direction or "increase"), spec.by), asked
    default = samples.SamplesParameters()
    parameters = samples.SamplesParameters(
        tolerated=number_of(spec.tolerated, default.tolerated),
        safe=number_of(spec.safe, default.safe),
        higher_is_worse=spec.direction != "decrease",
        either=spec.direction == "either",
    )
    return Samples(parameters, spec.by), asked


KINDS: Final[Mapping[str, Callable[[Compare], tuple[Kind, dict[str, str]]]]] = {
    # The kind and its selectors by part. Raises ValueError for parameters that don't go together.
    "counts": _counts,
    "distribution": _distribution,
    "samples": _samples,
}
