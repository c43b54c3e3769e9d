"""The analyses that a Rollout's spec asks for, and what is wrong with them before any of them runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tidegate.api.problems import Problem
from tidegate.api.rollout import RolloutAnalysis, RolloutSpec
from tidegate.core.analysis.arguments import Source
from tidegate.core.analysis.metrics import read_run
from tidegate.core.analysis.nesting import Templates, unfold
from tidegate.core.analysis.templates import compose
from tidegate.core.rollout.arms import arms

BACKGROUND: Final = "spec.strategy.canary.analysis"
PRE_PROMOTION: Final = "spec.strategy.blueGreen.prePromotionAnalysis"
POST_PROMOTION: Final = "spec.strategy.blueGreen.postPromotionAnalysis"

_ANY_HASH: Final = "0"


def step_path(index: int) -> str:
    """Where an inline analysis stands in the spec."""
    return f"spec.strategy.canary.steps[{index}].analysis"


def analyses(spec: RolloutSpec) -> Iterator[tuple[str, RolloutAnalysis]]:
    """Every analysis of the spec, with its path."""
    canary, blue_green = spec.strategy.canary, spec.strategy.blue_green
    if canary:
        if canary.analysis:
            yield BACKGROUND, canary.analysis
        for index, step in enumerate(canary.steps):
            if step.analysis:
                yield step_path(index), step.analysis
    if blue_green:
        if blue_green.pre_promotion_analysis:
            yield PRE_PROMOTION, blue_green.pre_promotion_analysis
        if blue_green.post_promotion_analysis:
            yield POST_PROMOTION, blue_green.post_promotion_analysis


def check_analyses(rollout: Mapping[str, Any], spec: RolloutSpec, templates: Templates) -> tuple[Problem, ...]:
    """Why an analysis can't be run: a missing or broken template, an argument without a value, no end.

    Found before an update begins, so that a typing error holds it up and never undoes it. What is found depends
    on nothing of the raw Rollout but its spec.
    """
    known = arms(spec, rollout, canary=_ANY_HASH, stable=_ANY_HASH)
    source = Source(_ANY_HASH, _ANY_HASH, rollout, foreseen=True, arms=known)
    problems: list[Problem] = []
    for path, analysis in analyses(spec):
        problems += _problems(path, analysis, templates, source)
    return tuple(problems)


def composed(
    path: str, analysis: RolloutAnalysis, templates: Templates, source: Source
) -> tuple[dict[str, Any] | None, tuple[Problem, ...]]:
    """The spec of the run that an analysis asks for, or what is wrong with it."""
    raws, problems = unfold(analysis.templates, templates, f"{path}.templates")
    if problems:
        return None, problems
    return compose(raws, analysis, source, path)


def _problems(path: str, analysis: RolloutAnalysis, templates: Templates, source: Source) -> Sequence[Problem]:
    spec, problems = composed(path, analysis, templates, source)
    if spec is None:
        return problems
    if path == BACKGROUND:
        return []
    metrics, _ = read_run({"spec": spec})
    return [
        Problem(
            f"{path}.templates",
            f"metric {metric.name} has an interval and no count, so it never ends; only {BACKGROUND} may have such",
        )
        for metric in metrics
        if metric.count is None and not metric.consecutive_success_limit
    ]
