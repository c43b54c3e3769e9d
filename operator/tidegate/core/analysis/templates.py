"""From analysis templates to the AnalysisRun that measures them.

Several templates make one run: their metrics side by side, their arguments merged, the Rollout's values over
the templates' defaults. Everything that would end the run in Error later is found here, before it is
created, so that a typing error holds a Rollout up and doesn't undo it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tidegate.api import names
from tidegate.api.analysis import AnalysisTemplateSpec, Argument, DryRun, MeasurementRetention
from tidegate.api.common import to_raw
from tidegate.api.parsing import parse_template
from tidegate.api.parts import RolloutArgument
from tidegate.api.problems import Problem
from tidegate.core.analysis.arguments import Arguments, Source, merge_arguments, settle_arguments
from tidegate.core.analysis.compare.comparison import with_arms
from tidegate.core.analysis.metrics import read_metrics, read_run
from tidegate.core.analysis.selection import at, select_dry_run, select_retention


class Asking(Protocol):
    """What an analysis adds to its templates."""

    @property
    def args(self) -> Sequence[Argument | RolloutArgument]: ...

    @property
    def dry_run(self) -> Sequence[DryRun]: ...

    @property
    def measurement_retention(self) -> Sequence[MeasurementRetention]: ...


def compose(
    templates: Sequence[Mapping[str, Any]],
    analysis: Asking,
    source: Source,
    path: str = "spec",
) -> tuple[dict[str, Any] | None, tuple[Problem, ...]]:
    """The spec of an AnalysisRun, or what is wrong.

    templates: raw AnalysisTemplates and ClusterAnalysisTemplates, unfolded (`nesting`).
    analysis: what the Rollout, or the Experiment, adds to them. source: what valueFrom of its arguments stands for.
    path: the analysis in the Rollout, such as `spec.strategy.canary.steps[1].analysis`, for problems.
    """
    problems: list[Problem] = []
    specs: list[tuple[str, AnalysisTemplateSpec]] = []
    for template in templates:
        spec, wrong = parse_template(template)
        problems += [Problem(f"{_called(template)}: {problem.path}", problem.message) for problem in wrong]
        if spec is not None:
            specs.append((_called(template), spec))
    declared, clashes = merge_arguments([(called, spec.args) for called, spec in specs])
    settled, unsettled = settle_arguments(declared, analysis.args, source, f"{path}.args")
    judge, divided = _judge(specs)
    problems += [*clashes, *unsettled, *_same_names(specs), *divided]
    if problems:
        return None, tuple(problems)
    metrics: list[Any] = []
    metric_names: list[str] = []
    for template in templates:
        raw = (template.get("spec") or {}).get("metrics")
        if not raw:
            continue  # it contains other templates
        raw = [with_arms(metric, source.arms) for metric in raw]
        metrics += raw
        read, wrong = read_metrics(raw, settled, f"{_called(template)}: spec.metrics")
        metric_names += [metric.name for metric in read]
        problems += wrong
    if problems:
        return None, tuple(problems)
    rules, wrong = _rules(specs, analysis, metric_names, path)
    composed = _spec(metrics, settled, {**rules, **judge})
    wrong = wrong or (read_run({"spec": composed})[1] if judge else ())
    return (None, wrong) if wrong else (composed, ())


def _judge(specs: Sequence[tuple[str, AnalysisTemplateSpec]]) -> tuple[dict[str, Any], list[Problem]]:
    """How metrics that compare decide together, as the one template says that says it; as a field of the run."""
    said = [(called, spec.judge) for called, spec in specs if spec.judge is not None]
    for called, judge in said[1:]:
        if judge != said[0][1]:
            told = f"differs from that of {said[0][0]}; templates that are used together need one rule"
            return {}, [Problem(f"{called}: spec.judge", told)]
    return ({"judge": to_raw(said[0][1])} if said else {}), []


def _rules(
    specs: Sequence[tuple[str, AnalysisTemplateSpec]], analysis: Asking, metric_names: Sequence[str], path: str
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """What is said of several metrics at once, by the Rollout and then by the templates, as fields of the run."""
    sources: list[tuple[str, Asking]] = [
        (path, analysis),
        *((f"{called}: spec", spec) for called, spec in specs),
    ]
    dry_run = [rule for where, source in sources for rule in at(f"{where}.dryRun", source.dry_run)]
    retention = [
        rule for where, source in sources for rule in at(f"{where}.measurementRetention", source.measurement_retention)
    ]
    wrong = (*select_dry_run(dry_run, metric_names)[1], *select_retention(retention, metric_names)[1])
    fields = {
        "dryRun": [to_raw(rule) for _, rule in dry_run],
        "measurementRetention": [to_raw(rule) for _, rule in retention],
    }
    return {name: rules for name, rules in fields.items() if rules}, wrong


def _spec(metrics: Sequence[Any], settled: Arguments, rules: Mapping[str, Any]) -> dict[str, Any]:
    written = settled.write()
    return {"metrics": list(metrics), **rules, **({"args": written} if written else {})}


def _same_names(specs: Sequence[tuple[str, AnalysisTemplateSpec]]) -> list[Problem]:
    """Metrics of one name in different templates, which would share one result."""
    problems: list[Problem] = []
    seen: dict[str, tuple[int, str]] = {}
    for position, (called, spec) in enumerate(specs):
        for index, metric in enumerate(spec.metrics):
            first, other = seen.setdefault(metric.name, (position, called))
            if first != position:
                message = f"metric {metric.name} is in {other} too; metrics used together need different names"
                problems.append(Problem(f"{called}: spec.metrics[{index}].name", message))
    return problems


def _called(template: Mapping[str, Any]) -> str:
    return f"{template.get('kind') or names.ANALYSIS_TEMPLATE} {template['metadata']['name']}"


def run_body(
    *,
    name: str,
    namespace: str,
    owner: Mapping[str, Any],
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    spec: Mapping[str, Any],
) -> dict[str, Any]:
    """The AnalysisRun to create. `owner` is the raw object that controls it: when that goes, the run goes."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.ANALYSIS_RUN,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(labels),
            "annotations": dict(annotations),
            "ownerReferences": [
                {
                    "apiVersion": owner.get("apiVersion") or names.API_VERSION,
                    "kind": owner.get("kind") or names.ROLLOUT,
                    "name": owner["metadata"]["name"],
                    "uid": owner["metadata"]["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": dict(spec),
    }
