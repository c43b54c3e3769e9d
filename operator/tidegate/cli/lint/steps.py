"""Steps and strategies that are allowed and can't be meant: weights that go down, steps that nobody reaches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from tidegate.api.analysis import Metric
from tidegate.api.common import int_of, is_templated
from tidegate.api.idle import idle_fields, idle_services
from tidegate.api.parsing import parse_experiment, parse_template
from tidegate.api.rollout import BlueGreenStrategy, CanaryStrategy, RolloutAnalysis, RolloutSpec
from tidegate.cli.lint.findings import Finding, Manifest, Manifests
from tidegate.core.analysis.nesting import gather_templates, named
from tidegate.core.times import parse_duration

_CANARY: Final = "spec.strategy.canary"
_BLUE_GREEN: Final = "spec.strategy.blueGreen"
_COARSE: Final = 10
"""Percentage points by which a weight may differ from what numbers of pods can express before that is worth a word."""


def check_steps(manifest: Manifest, spec: RolloutSpec, known: Manifests) -> Iterator[Finding]:
    """What can't be meant in a Rollout's strategy."""
    canary, blue_green = spec.strategy.canary, spec.strategy.blue_green
    for idle in idle_fields(spec):
        yield manifest.finding("warning", "no-effect", idle.path, idle.message)
    if canary:
        yield from _weights(manifest, canary)
        yield from _unreachable(manifest, canary, known)
        yield from _background(manifest, canary, known)
        if canary.traffic_routing is None and spec.replicas:
            yield from _coarse(manifest, canary, spec.replicas)
    if blue_green:
        yield from _blue_green(manifest, blue_green)


def check_services(manifest: Manifest) -> Iterator[Finding]:
    """The Services of an Experiment that there would not be."""
    spec = parse_experiment(manifest.raw)[0]
    for idle in idle_services(spec) if spec else ():
        yield manifest.finding("warning", "no-effect", idle.path, idle.message)


def _weights(manifest: Manifest, canary: CanaryStrategy) -> Iterator[Finding]:
    before = 0
    for index, step in enumerate(canary.steps):
        weight, path = step.set_weight, f"{_CANARY}.steps[{index}].setWeight"
        if weight is None:
            continue
        if weight < before:
            said = f"goes down from {before} to {weight}: users of the new version get the old one again"
            yield manifest.finding("warning", "weights-down", path, said)
        elif weight == before:
            yield manifest.finding(
                "warning", "no-effect", path, f"is {weight}, as it was before: this step does nothing"
            )
        before = weight


def _unreachable(manifest: Manifest, canary: CanaryStrategy, known: Manifests) -> Iterator[Finding]:
    count = len(canary.steps)
    for index, step in enumerate(canary.steps):
        if step.analysis is None or index + 1 == count:
            continue
        endless = [m.name for m in _metrics(manifest, step.analysis, known) if _endless(m)]
        if endless:
            rest = count - index - 1
            said = (
                f"is never reached, nor is any of the {rest} steps after step {index}: its metric {endless[0]} has an "
                "interval and no count, so the analysis never ends"
            )
            yield manifest.finding("error", "unreachable", f"{_CANARY}.steps[{index + 1}]", said)
            return


def _background(manifest: Manifest, canary: CanaryStrategy, known: Manifests) -> Iterator[Finding]:
    """Whether a background analysis has the time to find anything before the steps are over. One that compares holds
    them until it has."""
    if canary.analysis is None:
        return
    at, lasts = f"{_CANARY}.analysis", _lasts(canary, canary.analysis.starting_step)
    if lasts is None:
        return
    metrics = list(_metrics(manifest, canary.analysis, known))
    timed = [metric for metric in metrics if metric.compare is None]
    if not lasts and len(timed) == len(metrics):
        said = "no step from its first on pauses, so it has no time to measure anything; add a pause"
        yield manifest.finding("warning", "no-time", at, said)
        return
    for metric in timed if lasts else ():
        if is_templated(metric.initial_delay) or is_templated(metric.interval) or is_templated(metric.failure_limit):
            continue
        delay = _duration(metric.initial_delay)
        needed = delay + _duration(metric.interval) * max(0, int_of(metric.failure_limit, 0))
        if delay >= lasts:
            said = (
                f"metric {metric.name} waits {metric.initial_delay} before it measures, and the pauses are over after "
                f"{_words(lasts)}"
            )
            yield manifest.finding("warning", "no-time", at, said)
        elif needed >= lasts:
            said = (
                f"metric {metric.name} fails after {_words(needed)} at the earliest (failureLimit "
                f"{metric.failure_limit}), and the pauses are over after {_words(lasts)}: it can't undo anything"
            )
            yield manifest.finding("warning", "no-time", at, said)


def _lasts(canary: CanaryStrategy, start: int) -> timedelta | None:
    """How long the pauses from a step on take; None where a person or another analysis decides."""
    total = timedelta(0)
    for step in canary.steps[start:]:
        if (
            step.analysis is not None
            or step.experiment is not None
            or (step.pause is not None and step.pause.duration is None)
        ):
            return None
        if step.pause is not None and step.pause.duration is not None:
            total += parse_duration(step.pause.duration)
    return total


def _coarse(manifest: Manifest, canary: CanaryStrategy, replicas: int) -> Iterator[Finding]:
    for index, step in enumerate(canary.steps):
        weight = step.set_weight
        if weight is None or not 0 < weight < 100:
            continue
        pods = min(max(1, round(replicas * weight / 100)), replicas)
        shown = 100 * pods / replicas
        if abs(shown - weight) > _COARSE:
            said = (
                f"is {weight}, but without trafficRouting a weight is a number of pods: of {replicas} pods {pods} is "
                f"the nearest, about {shown:.0f} %"
            )
            yield manifest.finding("warning", "coarse-weight", f"{_CANARY}.steps[{index}].setWeight", said)


def _blue_green(manifest: Manifest, strategy: BlueGreenStrategy) -> Iterator[Finding]:
    if strategy.pre_promotion_analysis and not strategy.preview_service:
        said = "asks about a version that no Service reaches yet; add a previewService to send requests to"
        yield manifest.finding("warning", "no-preview", f"{_BLUE_GREEN}.prePromotionAnalysis", said)


def _metrics(manifest: Manifest, analysis: RolloutAnalysis, known: Manifests) -> Iterator[Metric]:
    """The metrics of an analysis, as far as its templates are in the files and can be read."""
    for raw in gather_templates(named(analysis.templates), manifest.namespace, known.raw).values():
        spec = parse_template(raw)[0] if raw is not None else None
        if spec is not None:
            yield from spec.metrics


def _endless(metric: Metric) -> bool:
    if not metric.interval or is_templated(metric.count) or is_templated(metric.consecutive_success_limit):
        return False
    return int_of(metric.count, 0) == 0 and int_of(metric.consecutive_success_limit, 0) == 0


def _duration(text: str) -> timedelta:
    return parse_duration(text) if text else timedelta(0)


def _words(length: timedelta) -> str:
    seconds = round(length.total_seconds())
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m" + (f"{rest}s" if rest else "") if minutes else f"{seconds}s"
