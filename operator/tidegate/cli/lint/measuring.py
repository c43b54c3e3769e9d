"""Analyses that are allowed and can't be meant: metrics that nothing can fail, or that judge nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from tidegate.api.analysis import Metric
from tidegate.api.common import int_of, is_templated
from tidegate.cli.lint.findings import Finding, Manifest
from tidegate.cli.lint.schema import read_template

_ARGUMENT: Final = re.compile(r"\{\{\s*args\.([^}\s]+)\s*\}\}")


def check_measuring(manifest: Manifest) -> Iterator[Finding]:
    """What can't be meant in an AnalysisTemplate or AnalysisRun."""
    if manifest.kind not in ("AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun"):
        return
    spec = read_template(manifest)
    if spec is None:
        return
    for index, metric in enumerate(spec.metrics):
        at = f"spec.metrics[{index}]"
        for path, rule, said in _metric(metric, at):
            yield manifest.finding("warning", rule, path, said)
    declared = {argument.name for argument in spec.args}
    for name, path in _mentioned(manifest.raw.get("spec")):
        if name not in declared:
            said = f"uses {{{{args.{name}}}}}, which spec.args does not declare"
            yield manifest.finding("error" if manifest.kind == "AnalysisRun" else "warning", "argument", path, said)


def _metric(metric: Metric, at: str) -> Iterator[tuple[str, str, str]]:
    judged = metric.success_condition.strip() or metric.failure_condition.strip()
    provider = metric.provider
    # A Job's end and Kayenta's score are verdicts, and of the web an answer that is none of success is an error.
    by_itself = provider.job or provider.kayenta or provider.web
    if not judged and not by_itself and metric.compare is None:
        yield (
            at,
            "no-condition",
            f"metric {metric.name} has no condition: every answer counts as good, whatever it says",
        )
    if is_templated(metric.count) or is_templated(metric.failure_limit):
        return
    count, failures = int_of(metric.count, 0), int_of(metric.failure_limit, 0)
    if count and failures >= count:
        said = f"tolerates {failures} failures of {count} measurements, so metric {metric.name} can never fail"
        yield f"{at}.failureLimit", "never-fails", said
    elif not metric.interval and failures > 0:
        yield f"{at}.failureLimit", "never-fails", f"metric {metric.name} is measured once, so it can never fail"


def _mentioned(value: Any, path: str = "spec") -> Iterator[tuple[str, str]]:
    """Each argument that a text mentions, and where."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if path != "spec" or key == "metrics":
                yield from _mentioned(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _mentioned(inner, f"{path}[{index}]")
    elif isinstance(value, str):
        for match in _ARGUMENT.finditer(value):
            yield match[1], path
