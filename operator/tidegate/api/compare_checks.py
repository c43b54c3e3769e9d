"""What must hold for a metric that compares, and for the rules by which such metrics decide together."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tidegate.api.common import is_duration, is_templated, number_of
from tidegate.api.compare import Arm, EffectSize, Judgement, Score
from tidegate.api.problems import Problem
from tidegate.api.provider_checks import check_provider
from tidegate.api.unsupported import known_fields

if TYPE_CHECKING:
    from tidegate.api.analysis import Metric

ARM_FIELDS: Final[Mapping[str, str]] = dict(zip(known_fields(Arm), Arm.__dataclass_fields__, strict=True))
"""The names by which placeholders know an arm, `podTemplateHash` and so on, with the model's."""
ARM_PLACEHOLDERS: Final = frozenset(f"arm.{name}" for name in ARM_FIELDS)
KINDS: Final[Sequence[str]] = ("counts", "distribution", "samples")
SELECTORS: Final[Mapping[str, Sequence[str]]] = {
    "counts": ("total", "bad", "good"),
    "distribution": ("buckets",),
    "samples": ("gauge", "counter", "per"),
}
"""The fields of each kind that hold a selector."""

_ARM: Final = re.compile(r"\{\{\s*(arm\.[^}]*?)\s*\}\}")
_OTHER: Final = re.compile(r"\{\{.*?\}\}")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_SELECTOR: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*|(?:[a-zA-Z_:][a-zA-Z0-9_:]*)?\s*\{[^{}()\[\]]*\}")
_RATIOS: Final = {"tolerated": (1.0, 20.0), "safe": (1.0, 20.0)}
_SHARES: Final = {"negligible": (0.0, 1.0), "covers": (0.5, 1.0)}
_KAYENTAS: Final = {"effectSize": "effect_size", "outliers": "outliers", "nanStrategy": "nan_strategy"}
"""What counts in the mode mannWhitney alone."""
_CRITICAL: Final = {"criticalIncrease": "critical_increase", "criticalDecrease": "critical_decrease"}
_EFFECTS: Final = {"allowedIncrease": "allowed_increase", "allowedDecrease": "allowed_decrease", **_CRITICAL}


def check_compare(metric: Metric, at: str) -> Iterator[Problem]:
    """Every problem of a metric that compares."""
    compare = metric.compare
    assert compare is not None
    yield from _check_neighbours(metric, at)
    at = f"{at}.compare"
    given = [name for name in KINDS if getattr(compare, name) is not None]
    if len(given) != 1:
        none = f"names no kind: add one of {', '.join(KINDS)}"
        yield Problem(at, f"names {' and '.join(given)}; make a metric of each" if given else none)
        return
    (kind,) = given
    settings = getattr(compare, kind)
    yield from _check_selectors(kind, settings, f"{at}.{kind}")
    yield from _check_numbers(settings, f"{at}.{kind}")
    yield from _CHECKS[kind](settings, f"{at}.{kind}")
    delay = compare.delay
    if delay and not is_templated(delay) and (not is_duration(delay) or delay[0] == "-"):
        yield Problem(f"{at}.delay", f"{delay!r} is not a duration such as 2s or 30s")


def _check_neighbours(metric: Metric, at: str) -> Iterator[Problem]:
    """What stands beside `compare` in the metric."""
    beside = "counts nothing beside compare"
    if not metric.interval:
        yield Problem(f"{at}.interval", "is required beside compare: the time between two looks, such as 30s")
    if metric.success_condition.strip():
        told = "stands beside compare, which decides by itself; a static bound beside it is a failureCondition"
        yield Problem(f"{at}.successCondition", told)
    if metric.consecutive_success_limit is not None:
        yield Problem(f"{at}.consecutiveSuccessLimit", f"{beside}; see spec.judge.advanceWhenSafe")
    if metric.inconclusive_limit is not None:
        yield Problem(f"{at}.inconclusiveLimit", f"{beside}; see spec.judge.whenUndecided")
    if metric.failure_limit is not None and not metric.failure_condition.strip():
        yield Problem(f"{at}.failureLimit", f"{beside} without a failureCondition; leave it out")
    provider = metric.provider
    if provider.prometheus is None:
        yield Problem(f"{at}.compare", "needs the provider prometheus: both versions are asked for at one instant")
        return
    for field, value in (("query", provider.prometheus.query), ("rangeQuery", provider.prometheus.range_query)):
        if value:
            told = "stands beside compare, which asks by selectors of its own, window by window; leave it out"
            yield Problem(f"{at}.provider.prometheus.{field}", told)
    asked = replace(provider.prometheus, query="up", range_query=None)
    yield from check_provider(replace(provider, prometheus=asked), f"{at}.provider")


def _check_selectors(kind: str, settings: Any, at: str) -> Iterator[Problem]:
    for field in SELECTORS[kind]:
        text = getattr(settings, field)
        if not text:
            continue
        where = f"{at}.{field}"
        plain = _OTHER.sub("x", _ARM.sub("x", text))
        if not _SELECTOR.fullmatch(_QUOTED.sub("", plain).strip()):
            told = 'is not a selector such as name{label="value"}; what is made of it is not up to the template'
            yield Problem(where, f"{text!r} {told}")
        named = [found[1] for found in _ARM.finditer(text)]
        for name in named:
            if name not in ARM_PLACEHOLDERS:
                known = ", ".join(f"{{{{{each}}}}}" for each in sorted(ARM_PLACEHOLDERS))
                yield Problem(where, f"{{{{{name}}}}} can't be resolved; there are {known}")
        if not named:
            yield Problem(where, "asks the same of both versions; tell them apart, such as by {{arm.podTemplateHash}}")


def _check_numbers(settings: Any, at: str) -> Iterator[Problem]:
    numbers: dict[str, float] = {}
    for field, (least, most) in (_RATIOS | _SHARES).items():
        value = getattr(settings, field, None)
        if value is None or is_templated(value):
            continue
        try:
            numbers[field] = number_of(value, least)
        except ValueError:
            yield Problem(f"{at}.{field}", f"{value!r} is neither a number nor {{{{args.…}}}}")
            continue
        if not least <= numbers[field] <= most or (field in _SHARES and numbers[field] == most):
            yield Problem(f"{at}.{field}", f"is {value}, must lie between {least:g} and {most:g}")
    tolerated, safe = numbers.get("tolerated", 1.0), numbers.get("safe", 2.0 if "tolerated" in numbers else 20.0)
    if tolerated >= safe:
        yield Problem(f"{at}.safe", f"is {safe:g}, must be more than tolerated ({tolerated:g})")


def _check_counts(settings: Any, at: str) -> Iterator[Problem]:
    if not settings.total.strip():
        yield Problem(f"{at}.total", "is required")
    if bool(settings.bad) == bool(settings.good):
        told = "stands beside good; keep one of the two" if settings.bad else "is required, or else good"
        yield Problem(f"{at}.bad", told)
    yield from _check_label(settings.by, at)


def _check_distribution(settings: Any, at: str) -> Iterator[Problem]:
    if not settings.buckets.strip():
        yield Problem(f"{at}.buckets", "is required")


def _check_samples(settings: Any, at: str) -> Iterator[Problem]:
    if bool(settings.gauge) == bool(settings.counter):
        told = "stands beside counter; keep one of the two" if settings.gauge else "is required, or else counter"
        yield Problem(f"{at}.gauge", told)
    if settings.mode == "mannWhitney":
        for field in _RATIOS:
            if getattr(settings, field) is not None:
                yield Problem(
                    f"{at}.{field}", "counts nothing in the mode mannWhitney, which tolerates what Kayenta does"
                )
        if settings.effect_size is not None:
            yield from _check_effect(settings.effect_size, settings.direction or "increase", f"{at}.effectSize")
    else:
        for field, ours in _KAYENTAS.items():
            if getattr(settings, ours) is not None:
                yield Problem(f"{at}.{field}", "counts nothing without mode: mannWhitney; leave it out")
    yield from _check_label(settings.by, at)


def _check_effect(size: EffectSize, direction: str, at: str) -> Iterator[Problem]:
    numbers: dict[str, float] = {}
    for field, ours in _EFFECTS.items():
        value = getattr(size, ours)
        if value is None:
            continue
        if {"increase": "Decrease", "decrease": "Increase"}.get(direction, "-") in field:
            yield Problem(f"{at}.{field}", f"counts nothing where the direction is {direction}; leave it out")
        if is_templated(value):
            numbers[field] = math.nan
            continue
        try:
            numbers[field] = number_of(value, 0.0)
        except ValueError:
            yield Problem(f"{at}.{field}", f"{value!r} is neither a number nor {{{{args.…}}}}")
            continue
        yield from _check_range(numbers[field], size, f"{at}.{field}")
    yield from _check_order(numbers, 0.5 if size.measure == "cles" else 1.0, at)


def _check_range(number: float, size: EffectSize, at: str) -> Iterator[Problem]:
    if size.measure == "cles":
        if not 0 <= number <= 1:
            yield Problem(at, f"is {number:g}; it is a chance, must lie between 0 and 1")
    elif number < 0:
        yield Problem(at, f"is {number:g}; it is a multiple of stable's mean, must not be below 0")


def _check_order(numbers: Mapping[str, float], default: float, at: str) -> Iterator[Problem]:
    """A difference that does not count is not critical either. NaN, which is known later, is in any order."""
    allowed = numbers.get("allowedIncrease", default)
    if numbers.get("criticalIncrease", math.inf) < allowed:
        told = f"must not be below allowedIncrease ({allowed:g}): an increase counts only from there on"
        yield Problem(f"{at}.criticalIncrease", f"is {numbers['criticalIncrease']:g}, {told}")
    allowed = numbers.get("allowedDecrease", default)
    if numbers.get("criticalDecrease", -math.inf) > allowed:
        told = f"must not be above allowedDecrease ({allowed:g}): a decrease counts only up to there"
        yield Problem(f"{at}.criticalDecrease", f"is {numbers['criticalDecrease']:g}, {told}")


def check_critical(metrics: Sequence[Metric], judge: Judgement | None) -> Iterator[Problem]:
    """What is said of critical effects in metrics of a run that its score does not name as critical."""
    critical = judge.score.critical if judge is not None and judge.score is not None else ()
    for index, metric in enumerate(metrics):
        samples = metric.compare.samples if metric.compare is not None else None
        size = samples.effect_size if samples is not None else None
        if size is None or metric.name in critical:
            continue
        for field, ours in _CRITICAL.items():
            if getattr(size, ours) is not None:
                told = f"counts nothing: {metric.name!r} is not in spec.judge.score.critical; add it, or leave this out"
                yield Problem(f"spec.metrics[{index}].compare.samples.effectSize.{field}", told)


def _check_label(by: str, at: str) -> Iterator[Problem]:
    if by and not is_templated(by) and not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", by):
        yield Problem(f"{at}.by", f"{by!r} is not the name of a label")


_CHECKS: Final = {"counts": _check_counts, "distribution": _check_distribution, "samples": _check_samples}


def check_judge(judge: Judgement | None, names: Sequence[str] | None, at: str) -> Iterator[Problem]:
    """Every problem of the rules for metrics that compare. names: of these metrics; None while not all are known."""
    if judge is None:
        return
    if names is not None and not names:
        yield Problem(at, "decides nothing: no metric here has compare")
    rate = judge.false_alarm
    if rate is not None and not is_templated(rate):
        try:
            number = number_of(rate, 0.01)
        except ValueError:
            yield Problem(f"{at}.falseAlarm", f"{rate!r} is neither a number nor {{{{args.…}}}}")
        else:
            if not 0 < number < HALF:
                yield Problem(f"{at}.falseAlarm", f"is {rate}, must lie between 0 and 0.5; 0.01 is 1 %")
    if judge.score is not None:
        yield from _check_score(judge.score, names, f"{at}.score")


def _check_score(score: Score, names: Sequence[str] | None, at: str) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for index, group in enumerate(score.groups):
        where = f"{at}.groups[{index}].metrics"
        if not group.metrics:
            yield Problem(where, "is required: a group without metrics says nothing")
        for metric in group.metrics:
            if metric in seen:
                yield Problem(where, f"{metric!r} is in the group {seen[metric]!r} too; a metric is in one group")
            seen[metric] = group.name
    for where, metric in [*((f"{at}.critical", each) for each in score.critical), *((f"{at}.groups", m) for m in seen)]:
        if names is not None and metric not in names:
            yield Problem(where, f"{metric!r} is no metric with compare; there are {', '.join(names) or 'none'}")


HALF: Final = 0.5
