"""What must hold for an Experiment, and for a canary step that makes one, beyond the types of their fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tidegate.api import names
from tidegate.api.analysis import Argument
from tidegate.api.common import is_duration
from tidegate.api.experiment import (
    ExperimentAnalysis,
    ExperimentArms,
    ExperimentSpec,
    ExperimentStep,
    StepAnalysis,
    StepTemplate,
    TemplateService,
    has_port,
)
from tidegate.api.parts import LabelSelector, RolloutArgument, RunMetadata
from tidegate.api.pod_checks import check_key, check_label, check_pods, check_selector
from tidegate.api.problems import Problem

_SERVICE_NAME: Final = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_PART_OF_A_NAME: Final = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")
_LONGEST_LABEL: Final = 63
_RUN_LABELS: Final = (names.POD_TEMPLATE_HASH, names.INSTANCE_ID)


def check_experiment(spec: ExperimentSpec) -> Iterator[Problem]:
    """Every problem of an Experiment's spec."""
    yield from _check_length(spec.templates, spec.duration, "spec")
    yield from _check_names([one.name for one in spec.templates], "spec.templates")
    for index, one in enumerate(spec.templates):
        at = f"spec.templates[{index}]"
        yield from check_pods(one.selector, one.template, at)
        if one.min_ready_seconds > spec.progress_deadline_seconds:
            told = f"is {one.min_ready_seconds}, must be at most progressDeadlineSeconds"
            yield Problem(f"{at}.minReadySeconds", f"{told} ({spec.progress_deadline_seconds})")
        if one.service is not None:
            yield from _check_service(one.service, at)
        if one.by_subset and not one.has_service:
            told = "needs a service, for pods with a port: the subset that is meant is the one of its name"
            yield Problem(f"{at}.bySubset", told)
    yield from _check_services([one.service for one in spec.templates], "spec.templates")
    yield from _check_analyses(spec.analyses, [one.name for one in spec.templates], "spec.analyses")
    yield from check_run_metadata(spec.analysis_run_metadata, "spec.analysisRunMetadata")


def check_step(
    step: ExperimentStep, at: str, *, template: Mapping[str, Any], routed: bool, left: int
) -> Iterator[Problem]:
    """Every problem of a canary step's experiment.

    template: the Rollout's. routed: whether a router can give a template a weight. left: the part of the traffic that
    is not the canary's at this step.
    """
    yield from _check_length(step.templates, step.duration, at)
    yield from _check_names([one.name for one in step.templates], f"{at}.templates")
    for index, one in enumerate(step.templates):
        yield from _check_template(one, f"{at}.templates[{index}]", template, routed=routed)
    yield from _check_services([one.service for one in step.templates], f"{at}.templates")
    given = sum(one.weight or 0 for one in step.templates)
    if given > left:
        told = f"have weights of {given} together; the canary's weight at this step leaves {left}"
        yield Problem(f"{at}.templates", f"{told}; lower them")
    yield from _check_analyses(step.analyses, [one.name for one in step.templates], f"{at}.analyses")
    yield from check_run_metadata(step.analysis_run_metadata, f"{at}.analysisRunMetadata")


def _check_template(one: StepTemplate, at: str, template: Mapping[str, Any], *, routed: bool) -> Iterator[Problem]:
    if one.selector is not None:
        yield from check_selector(one.selector, f"{at}.selector")
        yield from _check_match(one, one.selector, at, template)
    if one.metadata is not None:
        for key, value in (one.metadata.labels or {}).items():
            yield from check_label(f"{at}.metadata.labels[{key}]", key, value)
            if key == names.POD_TEMPLATE_HASH:
                yield Problem(f"{at}.metadata.labels[{key}]", "is set by Tidegate; choose another key")
        for key in one.metadata.annotations or {}:
            yield from check_key(f"{at}.metadata.annotations[{key}]", key)
    if one.service is not None:
        yield from _check_service(one.service, at)
    if one.weight is None:
        return
    if not routed:
        yield Problem(f"{at}.weight", "is only possible with trafficRouting: without it no route could lead there")
    elif one.weight < 0:
        yield Problem(f"{at}.weight", f"is {one.weight}, must be 0 or more")
    elif not has_port(template):
        told = "needs a Service, and a Service needs a port: no container of the template has one"
        yield Problem(f"{at}.weight", f"{told}; give it ports[].containerPort")


def _check_match(one: StepTemplate, selector: LabelSelector, at: str, template: Mapping[str, Any]) -> Iterator[Problem]:
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector.matches({**labels, **((one.metadata.labels if one.metadata else None) or {})}):
        told = "must match the labels of the Rollout's template with those of metadata.labels"
        yield Problem(f"{at}.selector", f"{told}, or the pods would not be the Experiment's")


def _check_length(templates: Sequence[object], duration: str, at: str) -> Iterator[Problem]:
    if not templates:
        yield Problem(f"{at}.templates", "is required: at least one version to run")
    if duration and not (duration.isascii() and duration.isdigit() and len(duration) < 10):
        if not is_duration(duration):
            yield Problem(f"{at}.duration", f"{duration!r} is not a duration such as 30s, 5m or 1h")
        elif duration.startswith("-"):
            yield Problem(f"{at}.duration", f"is {duration}, must not be negative")


def _check_names(given: Sequence[str], at: str) -> Iterator[Problem]:
    for index, name in enumerate(given):
        path = f"{at}[{index}].name"
        if not name:
            yield Problem(path, "is required")
        elif _PART_OF_A_NAME.fullmatch(name) is None or len(name) > _LONGEST_LABEL:
            yield Problem(path, f"{name!r} can't be a part of a name: use small letters, digits, '-' and '.'")
        elif name in given[:index]:
            yield Problem(path, f"{name!r} is the name of another one too")


def _check_service(service: TemplateService, at: str) -> Iterator[Problem]:
    name = service.name
    if name and (_SERVICE_NAME.fullmatch(name) is None or len(name) > _LONGEST_LABEL):
        told = "can't be the name of a Service: up to 63 small letters, digits and '-', a letter first"
        yield Problem(f"{at}.service.name", f"{name!r} {told}")


def _check_services(services: Sequence[TemplateService | None], at: str) -> Iterator[Problem]:
    """Two versions behind one Service could not be told apart."""
    given = [service.name if service else "" for service in services]
    for index, name in enumerate(given):
        if name and name in given[:index]:
            yield Problem(f"{at}[{index}].service.name", f"{name!r} is the Service of another template too")


def _check_analyses(
    analyses: Iterable[ExperimentAnalysis | StepAnalysis], templates: Sequence[str], at: str
) -> Iterator[Problem]:
    given: Sequence[ExperimentAnalysis | StepAnalysis] = tuple(analyses)
    yield from _check_names([one.name for one in given], at)
    for index, one in enumerate(given):
        if not one.template_name:
            yield Problem(f"{at}[{index}].templateName", "is required: the name of a template")
        args: Sequence[Argument | RolloutArgument] = one.args
        for number, arg in enumerate(args):
            if not arg.name:
                yield Problem(f"{at}[{index}].args[{number}].name", "is required")
        if one.arms is not None:
            yield from _check_arms(one.arms, templates, f"{at}[{index}].arms")


def _check_arms(arms: ExperimentArms, templates: Sequence[str], at: str) -> Iterator[Problem]:
    for arm, name in (("canary", arms.canary), ("stable", arms.stable)):
        if name and name not in templates:
            yield Problem(f"{at}.{arm}", f"{name!r} is no template of this Experiment: {', '.join(templates)}")
    if arms.canary and arms.canary == arms.stable:
        yield Problem(f"{at}.stable", f"{arms.stable!r} is the canary too; a version is not compared with itself")


def check_run_metadata(metadata: RunMetadata | None, at: str) -> Iterator[Problem]:
    """Every problem of labels and annotations for AnalysisRuns."""
    if metadata is None:
        return
    for key, value in (metadata.labels or {}).items():
        path = f"{at}.labels[{key}]"
        yield from check_label(path, key, value)
        if key in _RUN_LABELS:
            yield Problem(path, "is set by Tidegate, for controllers to find the run by; choose another key")
    for key in metadata.annotations or {}:
        yield from check_key(f"{at}.annotations[{key}]", key)
