"""The analyses that a Rollout's spec asks for, and what is wrong with them before any of them runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.api import names
from tidegate.api.problems import Problem
from tidegate.api.rollout import RolloutAnalysis, RolloutSpec
from tidegate.core.analysis.metrics import read_metrics
from tidegate.core.analysis.templates import compose

BACKGROUND: Final = "spec.strategy.canary.analysis"
PRE_PROMOTION: Final = "spec.strategy.blueGreen.prePromotionAnalysis"
POST_PROMOTION: Final = "spec.strategy.blueGreen.postPromotionAnalysis"

Templates = Mapping[tuple[bool, str], Mapping[str, Any] | None]
"""Raw templates by (cluster-wide?, name); None where there is none."""

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


def check_analyses(spec: RolloutSpec, templates: Templates) -> tuple[Problem, ...]:
    """Why an analysis can't be run: a missing or broken template, an argument without a value, no end.

    Found before an update begins, so that a typing error holds it up and never undoes it.
    """
    problems: list[Problem] = []
    for path, analysis in analyses(spec):
        problems += _missing(path, analysis, templates) or _broken(path, analysis, templates)
    return tuple(problems)


def _missing(path: str, analysis: RolloutAnalysis, templates: Templates) -> list[Problem]:
    problems = []
    for position, ref in enumerate(analysis.templates):
        if templates.get((ref.cluster_scope, ref.template_name)) is None:
            kind = names.CLUSTER_ANALYSIS_TEMPLATE if ref.cluster_scope else names.ANALYSIS_TEMPLATE
            at = f"{path}.templates[{position}].templateName"
            problems.append(Problem(at, f"{kind} {ref.template_name} not found"))
    return problems


def _broken(path: str, analysis: RolloutAnalysis, templates: Templates) -> list[Problem]:
    raws = [templates.get((ref.cluster_scope, ref.template_name)) for ref in analysis.templates]
    spec, problems = compose(
        [raw for raw in raws if raw is not None],
        analysis,
        stable_hash=_ANY_HASH,
        latest_hash=_ANY_HASH,
        path=path,
    )
    if spec is None:
        return list(problems)
    if path == BACKGROUND:
        return []
    values = {argument["name"]: argument["value"] for argument in spec.get("args") or ()}
    metrics, _ = read_metrics(spec["metrics"], values, path)
    return [
        Problem(
            f"{path}.templates",
            f"metric {metric.name} has an interval and no count, so it never ends; only {BACKGROUND} may have such",
        )
        for metric in metrics
        if metric.count is None and not metric.consecutive_success_limit
    ]
