"""Comparisons of what each pod uses: a ratio at every look, or Mann and Whitney's test once at the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tidegate.api.common import number_of
from tidegate.api.compare import Compare, EffectSize
from tidegate.core.analysis.compare.answers import CANARY, MOST_SAMPLES, STABLE, Answers, Kind, Seen, by_label
from tidegate.core.analysis.compare.windows import Window, averages, increases, summed
from tidegate.core.judge import Estimate, Evidence, Finding, Verdict, mann_whitney, samples, sufficient
from tidegate.core.judge.mann_whitney import MannWhitneyParameters
from tidegate.core.times import format_time


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
        canary, stable = arms[CANARY], arms[STABLE]
        look = samples.SamplesLook(
            canary=tuple(canary.values()),
            stable=tuple(stable.values()),
            seconds=window.seconds,
            at=format_time(window.end),
            canary_names=_names(canary),
            stable_names=_names(stable),
        )
        after = samples.observe(self.parameters, before, look)
        return Seen(
            state=after.to_json(),
            finding=samples.judge(self.parameters, after),
            result={arm: _spread(tuple(found.values())) for arm, found in arms.items()},
            text=_means(arms),
            enough=sufficient.for_samples(after),
        )

    def with_budget(self, false_alarm: float, shared_by: int) -> Samples:
        return replace(
            self, parameters=replace(self.parameters, false_alarm=false_alarm / shared_by, shared_by=shared_by)
        )


def values(answers: Answers, arm: str, by: str, seconds: float) -> dict[str, float]:
    """Each pod's value by its name: of a gauge as it is, of a counter by the second, or for each request."""
    part = next((each for each in ("gauge", "counter") if answers.get((arm, each))), "gauge")
    found = by_label(answers.get((arm, part), ()), by)
    if any((each, "per") in answers for each in (CANARY, STABLE)):
        requests = by_label(answers.get((arm, "per"), ()), by)
        return {name: found[name] / requests[name] for name in sorted(found) if requests.get(name)}
    divisor = seconds if part == "counter" else 1.0
    return {name: found[name] / divisor for name in sorted(found)}


def _names(found: Mapping[str, float]) -> tuple[str, ...]:
    """Of the pods; none where the answer does not tell them apart."""
    return tuple(found) if all(found) else ()


def _spread(found: Sequence[float]) -> dict[str, float]:
    return {"mean": math.fsum(found) / len(found), "max": max(found), "pods": float(len(found))} if found else {}


def _means(arms: Mapping[str, Mapping[str, float]]) -> str:
    told = {
        arm: f"{math.fsum(found.values()) / len(found):.4g} ({len(found)})" if found else "-"
        for arm, found in arms.items()
    }
    return ", ".join(f"{arm} {text}" for arm, text in told.items())


@dataclass(frozen=True, slots=True)
class MannWhitney:
    """Kayenta's test over one mean a look, once the planned number of looks is in. It keeps no false-alarm budget."""

    parameters: MannWhitneyParameters
    by: str = "pod"
    planned: int = 1

    def questions(self, selectors: Mapping[str, str], window: Window) -> dict[str, str]:
        return Samples(samples.SamplesParameters(), self.by).questions(selectors, window)

    def observe(self, state: Mapping[str, Any] | None, answers: Answers, window: Window) -> Seen:
        arms = {arm: values(answers, arm, self.by, window.seconds) for arm in (CANARY, STABLE)}
        before = state or {}
        kept = {
            arm: [*(before.get(arm) or ()), *_mean_of(tuple(found.values()))][-MOST_SAMPLES:]
            for arm, found in arms.items()
        }
        looks = int(before.get("looks") or 0) + 1
        return Seen(
            state={"looks": looks, **kept},
            finding=self._judged(kept, looks),
            result={arm: _spread(tuple(found.values())) for arm, found in arms.items()},
            text=_means(arms),
            enough=all(kept.values()),
        )

    def _judged(self, kept: Mapping[str, Sequence[float]], looks: int) -> Finding:
        """The test counts after the last look only; until then it is not made."""
        kept = {arm: self._with_gaps(found, looks) for arm, found in kept.items()}
        canary, stable = kept[CANARY], kept[STABLE]
        if looks < self.planned:
            ratio = mann_whitney.mean_ratio(canary, stable) if canary and stable else math.nan
            told = f"{looks} of {self.planned} looks are in; Mann and Whitney's test is made after the last one"
            return _told(Verdict.NOT_YET, ratio, told, kept, looks)
        judged = mann_whitney.classify(canary, stable, self.parameters)
        verdict = _OF_MARK.get(judged.mark, Verdict.NOT_YET)
        finding = _told(verdict, judged.ratio, judged.sentence, kept, looks)
        return replace(finding, mild=verdict is Verdict.WORSE and not judged.critical)

    def _with_gaps(self, found: Sequence[float], looks: int) -> list[float]:
        """Of the looks without a number only how many there were is known, which is all that the test depends on."""
        gaps = [math.nan] * (min(looks, MOST_SAMPLES) - len(found))
        return mann_whitney.without_gaps([*found, *gaps], replaced=self.parameters.nan_replaced)

    def with_budget(self, false_alarm: float, shared_by: int) -> MannWhitney:
        return self


def _mean_of(found: Sequence[float]) -> list[float]:
    return [math.fsum(found) / len(found)] if found else []


_OF_MARK: Final = {
    mann_whitney.Mark.HIGH: Verdict.WORSE,
    mann_whitney.Mark.LOW: Verdict.WORSE,
    mann_whitney.Mark.PASS: Verdict.SAFE,
}


def _told(verdict: Verdict, ratio: float, sentence: str, kept: Mapping[str, Sequence[float]], looks: int) -> Finding:
    none = Evidence(log_e=0.0, peak=0.0, needed=math.inf, p=1.0)  # no amount of it is a verdict
    return Finding(
        verdict=verdict,
        against=none,
        favour=none,
        ratio=Estimate(ratio if math.isfinite(ratio) else None, None, None, MannWhitneyParameters().confidence),
        remaining=None,
        design_effect=1.0,
        looks=looks,
        data=all(kept.values()),
        arms={arm: {"mean": math.fsum(found) / len(found)} if found else {} for arm, found in kept.items()},
        sentence=sentence,
    )


def read(compare: Compare) -> tuple[Kind, dict[str, str]]:
    """A metric's comparison of gauges and its selectors by part."""
    spec = compare.samples
    assert spec is not None
    selectors = {"gauge": spec.gauge, "counter": spec.counter, "per": spec.per}
    asked = {part: text for part, text in selectors.items() if text}
    if spec.mode == "mannWhitney":
        as_kayenta = MannWhitneyParameters(
            direction=mann_whitney.Direction(spec.direction or "increase"),
            critical=True,  # which metrics are is the score's affair; here only whether the effect would do
            effect=_effect(spec.effect_size or EffectSize()),
            nan_replaced=spec.nan_strategy == "replace",
            outliers_removed=spec.outliers == "remove",
        )
        return MannWhitney(as_kayenta, spec.by), asked
    default = samples.SamplesParameters()
    parameters = samples.SamplesParameters(
        tolerated=number_of(spec.tolerated, default.tolerated),
        safe=number_of(spec.safe, default.safe),
        higher_is_worse=spec.direction != "decrease",
        either=spec.direction == "either",
    )
    return Samples(parameters, spec.by), asked


def _effect(size: EffectSize) -> mann_whitney.Effect:
    def given(value: Any) -> float | None:
        return None if value is None else number_of(value, 0.0)

    return mann_whitney.Effect(
        measure=mann_whitney.Measure(size.measure or "meanRatio"),
        allowed_increase=given(size.allowed_increase),
        allowed_decrease=given(size.allowed_decrease),
        critical_increase=given(size.critical_increase),
        critical_decrease=given(size.critical_decrease),
    )
