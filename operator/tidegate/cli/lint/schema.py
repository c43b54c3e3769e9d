"""Each object by itself: its fields as the operator reads them, and conditions by their language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.api.analysis import AnalysisRunSpec, AnalysisTemplateSpec
from tidegate.api.common import is_templated
from tidegate.api.parsing import parse_experiment, parse_rollout, parse_run, parse_template
from tidegate.api.problems import Problem
from tidegate.api.rollout import RolloutSpec
from tidegate.cli.lint.findings import Finding, Manifest, Manifests
from tidegate.core.analysis.conditions import ConditionError, compile_condition

_ANY_TEMPLATE: Mapping[str, Any] = {
    "template": {"metadata": {"labels": {"app": "any"}}, "spec": {"containers": [{"name": "any", "image": "any"}]}},
    "selector": {"matchLabels": {"app": "any"}},
}


def check_schema(manifest: Manifest, known: Manifests) -> Iterator[Finding]:
    """What the operator would refuse."""
    if manifest.kind and not manifest.name:
        yield manifest.finding("error", "schema", "metadata.name", "is required")
    for problem in _problems(manifest, known):
        yield manifest.finding("error", "schema", problem.path, problem.message)


def read_rollout(manifest: Manifest, known: Manifests) -> tuple[RolloutSpec | None, tuple[Problem, ...]]:
    """A Rollout's spec. What it takes from a workload is filled in, from the files or with something that fits."""
    spec = manifest.raw.get("spec")
    if not isinstance(spec, Mapping) or not isinstance(spec.get("workloadRef"), Mapping):
        return parse_rollout(manifest.raw)
    if spec.get("template"):
        return None, (Problem("spec.workloadRef", "is given and so is spec.template; keep one of them"),)
    ref = spec["workloadRef"]
    workload = known.find(str(ref.get("kind")), manifest.namespace, str(ref.get("name")))
    given = _given(workload) if workload else _ANY_TEMPLATE
    filled = {**given, **({"selector": spec["selector"]} if spec.get("selector") and workload else {})}
    return parse_rollout({**manifest.raw, "spec": {**spec, **filled}})


def read_template(manifest: Manifest) -> AnalysisTemplateSpec | AnalysisRunSpec | None:
    """The spec of a template or a run; None where it can't be read."""
    return parse_run(manifest.raw)[0] if manifest.kind == "AnalysisRun" else parse_template(manifest.raw)[0]


def _given(workload: Manifest) -> Mapping[str, Any]:
    if workload.kind == "PodTemplate":
        template = workload.raw.get("template") or {}
        return {"template": template, "selector": {"matchLabels": (template.get("metadata") or {}).get("labels") or {}}}
    spec = workload.raw.get("spec") or {}
    return {part: spec[part] for part in ("template", "selector") if part in spec}


def _problems(manifest: Manifest, known: Manifests) -> Iterator[Problem]:
    if manifest.kind == "Rollout":
        yield from read_rollout(manifest, known)[1]
    elif manifest.kind == "Experiment":
        yield from parse_experiment(manifest.raw)[1]
    elif manifest.kind in ("AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun"):
        spec, problems = parse_run(manifest.raw) if manifest.kind == "AnalysisRun" else parse_template(manifest.raw)
        yield from problems
        if spec is not None:
            yield from _conditions(spec)


def _conditions(spec: AnalysisTemplateSpec | AnalysisRunSpec) -> Iterator[Problem]:
    for index, metric in enumerate(spec.metrics):
        for field, text in (
            ("successCondition", metric.success_condition),
            ("failureCondition", metric.failure_condition),
        ):
            if not text.strip() or is_templated(text):
                continue
            try:
                compile_condition(text)
            except ConditionError as error:
                yield Problem(f"spec.metrics[{index}].{field}", f"{text!r} is not a condition: {error}")
