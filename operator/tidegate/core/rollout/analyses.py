"""The analyses that a Rollout's spec asks for, and what is wrong with them before any of them runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tidegate.api.analysis import TemplateRef
from tidegate.api.experiment import ExperimentStep, StepAnalysis, StepTemplate
from tidegate.api.parts import RolloutArgument
from tidegate.api.problems import Problem
from tidegate.api.rollout import RolloutAnalysis, RolloutSpec
from tidegate.core.analysis.arguments import Source
from tidegate.core.analysis.metrics import read_run
from tidegate.core.analysis.nesting import TemplateName, Templates, named, unfold
from tidegate.core.analysis.selection import at
from tidegate.core.analysis.templates import compose
from tidegate.core.experiment.asking import FORESEEN, Question, Rules, Version, check, comparing, named_arms
from tidegate.core.rollout.arms import arms

BACKGROUND: Final = "spec.strategy.canary.analysis"
PRE_PROMOTION: Final = "spec.strategy.blueGreen.prePromotionAnalysis"
POST_PROMOTION: Final = "spec.strategy.blueGreen.postPromotionAnalysis"

_ANY_HASH: Final = "0"


def experiment_path(index: int) -> str:
    """Where the experiment of a step stands in the spec."""
    return f"spec.strategy.canary.steps[{index}].experiment"


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
    for path, step in experiments(spec):
        versions = {one.name: Version(service=FORESEEN if has_service(one) else "") for one in step.templates}
        problems += check(step_questions(step, path), step_rules(step, path), templates, versions, source)
    return tuple(problems)


def experiments(spec: RolloutSpec) -> Iterator[tuple[str, ExperimentStep]]:
    """Every experiment of the spec, with its path."""
    for index, step in enumerate(spec.strategy.canary.steps if spec.strategy.canary else ()):
        if step.experiment:
            yield experiment_path(index), step.experiment


def arguments(spec: RolloutSpec) -> Iterator[RolloutArgument]:
    """Every argument that the spec gives to an analysis."""
    for _, analysis in analyses(spec):
        yield from analysis.args
    for _, step in experiments(spec):
        for asked in step.analyses:
            yield from asked.args


def named_templates(spec: RolloutSpec) -> list[TemplateName]:
    """The analysis templates that the spec names."""
    found = [name for _, analysis in analyses(spec) for name in named(analysis.templates)]
    return found + [question.template for path, step in experiments(spec) for question in step_questions(step, path)]


def step_questions(step: ExperimentStep, path: str) -> list[Question]:
    """The analyses of a step's experiment."""
    return [
        Question(
            f"{path}.analyses[{index}]",
            TemplateRef(template_name=one.template_name, cluster_scope=one.cluster_scope),
            one.args,
            endless=not one.required_for_completion,
            arms=step_arms(step, one),
            unnamed="give exactly one template that specRef, or name the one that is meant here",
        )
        for index, one in enumerate(step.analyses)
    ]


def step_arms(step: ExperimentStep, analysis: StepAnalysis) -> dict[str, str]:
    """The templates of a step that are the arms of a comparison, by arm: those that the analysis names, or else the
    only ones of their version."""
    versions: dict[str, list[str]] = {}
    for template in step.templates:
        versions.setdefault(template.spec_ref, []).append(template.name)
    alone = {version: found[0] for version, found in versions.items() if len(found) == 1}
    return {**alone, **named_arms(analysis.arms)}


def has_service(template: StepTemplate) -> bool:
    """Whether a step's version gets a Service of its own."""
    return template.weight is not None or template.service is not None


def step_rules(step: ExperimentStep, path: str) -> Rules:
    """What a step says of the metrics of its analyses."""
    return Rules(at(f"{path}.dryRun", step.dry_run))


def composed(
    path: str, analysis: RolloutAnalysis, templates: Templates, source: Source
) -> tuple[dict[str, Any] | None, tuple[Problem, ...]]:
    """The spec of the run that an analysis asks for, or what is wrong with it."""
    raws, problems = unfold(analysis.templates, templates, f"{path}.templates")
    if problems:
        return None, problems
    return compose(raws, analysis, source, path)


def compares(analysis: RolloutAnalysis, templates: Templates) -> bool:
    """Whether an analysis has a metric that compares."""
    return any(True for _ in comparing(unfold(analysis.templates, templates, "")[0]))


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
