"""The analyses that a Rollout's spec asks for, and what is wrong with them before any of them runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tidegate.api.analysis import TemplateRef
from tidegate.api.experiment import ExperimentStep, StepAnalysis, StepTemplate
from tidegate.api.parts import RolloutArgument
from tidegate.api.problems import Problem
from tidegate.api.rollout import CanaryStrategy, RolloutAnalysis, RolloutSpec
from tidegate.core.analysis.arguments import Source
from tidegate.core.analysis.metrics import read_run
from tidegate.core.analysis.nesting import TemplateName, Templates, named, unfold
from tidegate.core.analysis.selection import at
from tidegate.core.analysis.templates import compose
from tidegate.core.experiment.asking import FORESEEN, Question, Rules, Version, check, comparing, named_arms
from tidegate.core.rollout.aims import last_shared, shared
from tidegate.core.rollout.arms import arms

BACKGROUND: Final = "spec.strategy.canary.analysis"
PRE_PROMOTION: Final = "spec.strategy.blueGreen.prePromotionAnalysis"
POST_PROMOTION: Final = "spec.strategy.blueGreen.postPromotionAnalysis"

_STEPS: Final = "spec.strategy.canary.steps"
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
    if not problems and spec.strategy.canary:
        problems += _blind(spec.strategy.canary, templates, source)
    for path, step in experiments(spec):
        versions = {
            one.name: Version(service=FORESEEN if has_service(one) else "", by_subset=has_subset(spec, one))
            for one in step.templates
        }
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


def has_subset(spec: RolloutSpec, template: StepTemplate) -> bool:
    """Whether a step's version gets its users by a subset of a DestinationRule, which has its Service's name."""
    routing = spec.strategy.canary.traffic_routing if spec.strategy.canary else None
    return bool(template.weight and routing and routing.istio and routing.istio.destination_rule)


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


def _blind(canary: CanaryStrategy, templates: Templates, source: Source) -> Iterator[Problem]:
    """Whether the background analysis compares versions that never serve users beside each other while it runs: there
    would never be a verdict, and nothing to hold the update at. Arms of the template's own may be other versions."""
    analysis = canary.analysis
    if analysis is None or last_shared(canary) is not None or not compares(analysis, templates):
        return
    run, _ = composed(BACKGROUND, analysis, templates, source)
    deciding = {m.name for m in read_run({"spec": run})[0] if m.comparison and not m.dry_run}
    asking = (m for m in comparing(unfold(analysis.templates, templates, "")[0]) if m["name"] in deciding)
    name = next((m["name"] for m in asking if not canary.steps or not m["compare"].get("arms")), "")
    if not name:
        return
    told = f"metric {name} compares the canary with stable, and would never see users of both"
    earlier = [index for index in range(analysis.starting_step) if shared(canary, index)]
    if earlier:
        start = f"step {earlier[-1]} is the last at which both have some; begin there or before"
        yield Problem(f"{BACKGROUND}.startingStep", f"is {analysis.starting_step}: {told} from there on; {start}")
    elif canary.steps:
        more = f"at no step has the canary some of them and not all; add a setWeight below {canary.whole} and a pause"
        yield Problem(_STEPS, f"{told}: {more}")
    else:
        yield Problem(_STEPS, f"is required: {told}; add a setWeight below {canary.whole} and a pause")
