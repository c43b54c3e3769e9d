"""The analyses of an Experiment: what each hands over to its template, and what is wrong before it is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.api.analysis import Argument, DryRun, MeasurementRetention, TemplateRef
from tidegate.api.experiment import ExperimentSpec
from tidegate.api.parts import RolloutArgument
from tidegate.api.problems import Problem
from tidegate.core.analysis.arguments import Source
from tidegate.core.analysis.metrics import read_run
from tidegate.core.analysis.nesting import TemplateName, Templates, unfold
from tidegate.core.analysis.selection import R, at, select_dry_run, select_retention
from tidegate.core.analysis.templates import compose

_PLACEHOLDER: Final = re.compile(r"\{\{\s*templates\.(.+?)\.(podTemplateHash|replicaset\.name)\s*\}\}")
_NOT_YET: Final = "0"


@dataclass(frozen=True, slots=True)
class Version:
    """What an argument may ask of a version: the hash of its pods and the name of its ReplicaSet."""

    hash: str = _NOT_YET
    set_name: str = _NOT_YET


@dataclass(frozen=True, slots=True)
class Question:
    """One analysis. path: where it stands in its object. endless: whether it may have no end of its own."""

    path: str
    ref: TemplateRef
    args: Sequence[Argument | RolloutArgument]
    endless: bool

    @property
    def template(self) -> TemplateName:
        """The template that it names."""
        return TemplateName(self.ref.cluster_scope, self.ref.template_name)


@dataclass(frozen=True, slots=True)
class Rules:
    """What an Experiment says of metrics of all its analyses, with the path of each rule."""

    dry_run: Sequence[tuple[str, DryRun]] = ()
    measurement_retention: Sequence[tuple[str, MeasurementRetention]] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What `compose` wants to know."""

    args: Sequence[Argument | RolloutArgument]
    dry_run: Sequence[DryRun]
    measurement_retention: Sequence[MeasurementRetention]


def questions(spec: ExperimentSpec) -> list[Question]:
    """The analyses of an Experiment."""
    return [
        Question(
            f"spec.analyses[{index}]",
            TemplateRef(template_name=one.template_name, cluster_scope=one.cluster_scope),
            one.args,
            endless=not one.required_for_completion,
        )
        for index, one in enumerate(spec.analyses)
    ]


def rules(spec: ExperimentSpec) -> Rules:
    """What an Experiment says of the metrics of its analyses."""
    return Rules(at("spec.dryRun", spec.dry_run), at("spec.measurementRetention", spec.measurement_retention))


def check(
    asked: Sequence[Question], rules: Rules, templates: Templates, versions: Mapping[str, Version], source: Source
) -> tuple[Problem, ...]:
    """Why the analyses can't be run: a missing or broken template, an argument without a value, no end, a rule that
    means no metric of any of them."""
    problems: list[Problem] = []
    known: list[str] = []
    for question in asked:
        raws, missing = _templates(question, templates)
        if missing:
            problems += missing
            continue
        known += _metric_names(raws)
        spec, wrong = composed(question, rules, templates, versions, source)
        problems += wrong
        problems += _without_end(question, spec) if spec is not None else ()
    if not problems:
        problems += select_dry_run(rules.dry_run, known)[1]
        problems += select_retention(rules.measurement_retention, known)[1]
    return tuple(problems)


def composed(
    question: Question, rules: Rules, templates: Templates, versions: Mapping[str, Version], source: Source
) -> tuple[dict[str, Any] | None, tuple[Problem, ...]]:
    """The spec of the run that a question asks for, or what is wrong with it."""
    raws, missing = _templates(question, templates)
    if missing:
        return None, missing
    args, wrong = _filled(question, versions)
    if wrong:
        return None, wrong
    known = _metric_names(raws)
    meant = _Asked(
        args,
        _meaning(rules.dry_run, lambda rule: not select_dry_run([rule], known)[1]),
        _meaning(rules.measurement_retention, lambda rule: not select_retention([rule], known)[1]),
    )
    return compose(raws, meant, source, question.path)


def _templates(question: Question, templates: Templates) -> tuple[list[Mapping[str, Any]], tuple[Problem, ...]]:
    raws, problems = unfold([question.ref], templates, question.path)
    here = f"{question.path}[0].templateName"
    told = (Problem(question.path + ".templateName", p.message) if p.path == here else p for p in problems)
    return raws, tuple(told)


def _filled(
    question: Question, versions: Mapping[str, Version]
) -> tuple[list[Argument | RolloutArgument], tuple[Problem, ...]]:
    """The arguments with what they ask of versions filled in."""
    filled: list[Argument | RolloutArgument] = []
    problems: list[Problem] = []
    for index, arg in enumerate(question.args):
        unknown = [found[1] for found in _PLACEHOLDER.finditer(arg.value or "") if found[1] not in versions]
        if unknown:
            told = f"asks for template {unknown[0]}; there are {', '.join(versions) or 'none'}"
            problems.append(Problem(f"{question.path}.args[{index}].value", told))
        elif arg.value is None:
            filled.append(arg)
        else:
            value = _PLACEHOLDER.sub(lambda found: _answer(versions[found[1]], found[2]), arg.value)
            filled.append(Argument(name=arg.name, value=value))
    return filled, tuple(problems)


def _answer(version: Version, what: str) -> str:
    return version.hash if what == "podTemplateHash" else version.set_name


def _meaning(rules: Sequence[tuple[str, R]], means: Any) -> list[R]:
    """The rules that mean a metric of this one analysis; each was found to mean one of some."""
    return [rule for path, rule in rules if means((path, rule))]


def _metric_names(raws: Sequence[Mapping[str, Any]]) -> list[str]:
    found = [metric for raw in raws for metric in (raw.get("spec") or {}).get("metrics") or ()]
    return [str(metric["name"]) for metric in found if isinstance(metric, Mapping) and "name" in metric]


def _without_end(question: Question, spec: Mapping[str, Any]) -> list[Problem]:
    if question.endless:
        return []
    metrics, _ = read_run({"spec": spec})
    told = "so it never ends, and the Experiment waits for it; give it one, or leave requiredForCompletion out"
    return [
        Problem(f"{question.path}.templateName", f"metric {metric.name} has an interval and no count, {told}")
        for metric in metrics
        if metric.count is None and not metric.consecutive_success_limit
    ]
