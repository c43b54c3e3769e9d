"""The analyses of an Experiment: what each hands over to its template, and what is wrong before it is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tidegate.api.analysis import Argument, DryRun, MeasurementRetention, TemplateRef
from tidegate.api.experiment import ExperimentArms, ExperimentSpec
from tidegate.api.parts import RolloutArgument
from tidegate.api.problems import Problem
from tidegate.core.analysis.arguments import Source
from tidegate.core.analysis.compare.answers import CANARY, STABLE
from tidegate.core.analysis.metrics import read_run
from tidegate.core.analysis.nesting import TemplateName, Templates, unfold
from tidegate.core.analysis.selection import R, at, select_dry_run, select_retention
from tidegate.core.analysis.templates import compose

_PLACEHOLDER: Final = re.compile(r"\{\{\s*templates\.(.+?)\.(podTemplateHash|replicaset\.name)\s*\}\}")
FORESEEN: Final = "0"
"""What stands for a name that is not known yet."""


@dataclass(frozen=True, slots=True)
class Version:
    """By what a version is known: the hash of its pods, the name of its ReplicaSet, and that of its Service if it has
    one, which may be that of a subset, too. Arguments may ask for the first two."""

    hash: str = FORESEEN
    set_name: str = FORESEEN
    service: str = ""
    namespace: str = FORESEEN
    by_subset: bool = False

    def as_arm(self) -> dict[str, str]:
        """The version as a comparison knows it."""
        known = {"namespace": self.namespace, "podTemplateHash": self.hash, "replicaSet": self.set_name}
        if not self.service:
            return known
        return {**known, "service": self.service, **({"subset": self.service} if self.by_subset else {})}


@dataclass(frozen=True, slots=True)
class Question:
    """One analysis.

    path: where it stands in its object. endless: whether it may have no end of its own.
    arms: the versions that metrics with compare are about, by arm, as far as they are known. unnamed: what to say of an
        arm that is not.
    """

    path: str
    ref: TemplateRef
    args: Sequence[Argument | RolloutArgument]
    endless: bool
    arms: Mapping[str, str] = field(default_factory=dict)
    unnamed: str = "name the template of this Experiment that is meant"

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
            arms=named_arms(one.arms),
        )
        for index, one in enumerate(spec.analyses)
    ]


def named_arms(arms: ExperimentArms | None) -> dict[str, str]:
    """The versions that an analysis names itself, by arm."""
    given = {CANARY: arms.canary, STABLE: arms.stable} if arms else {}
    return {arm: name for arm, name in given.items() if name}


def compares(question: Question, templates: Templates) -> bool:
    """Whether an analysis has a metric that compares."""
    return any(True for _ in comparing(_templates(question, templates)[0]))


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
    wrong += tuple(_unnamed(question, raws))
    if wrong:
        return None, wrong
    known = _metric_names(raws)
    meant = _Asked(
        args,
        _meaning(rules.dry_run, lambda rule: not select_dry_run([rule], known)[1]),
        _meaning(rules.measurement_retention, lambda rule: not select_retention([rule], known)[1]),
    )
    arms = {arm: versions[name].as_arm() for arm, name in question.arms.items() if name in versions}
    return compose(raws, meant, replace(source, arms=arms), question.path)


def _unnamed(question: Question, raws: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Arms that neither the analysis nor the metric tells the version of."""
    for arm in (CANARY, STABLE):
        if arm in question.arms:
            continue
        asking = [m["name"] for m in comparing(raws) if not ((m["compare"].get("arms") or {}).get(arm))]
        if asking:
            told = f"is required: metric {asking[0]} compares two versions; {question.unnamed}"
            yield Problem(f"{question.path}.arms.{arm}", told)


def comparing(raws: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The metrics with compare of unfolded templates."""
    for metric in _metrics(raws):
        if isinstance(metric.get("compare"), Mapping):
            yield metric


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
    return [str(metric["name"]) for metric in _metrics(raws)]


def _metrics(raws: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    found = [metric for raw in raws for metric in (raw.get("spec") or {}).get("metrics") or ()]
    return [metric for metric in found if isinstance(metric, Mapping) and "name" in metric]


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
