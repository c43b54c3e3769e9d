"""The Job that a metric may be: its fields and what must hold for them.

The API server would refuse a wrong Job only when the first measurement starts. The mistakes that people make most
are told before there is a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.dataclasses import dataclass

from tidegate.api.common import SPEC, Opaque, StringMap, is_templated
from tidegate.api.problems import Problem


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class JobMetadata:
    """Labels and annotations for the Jobs of a metric."""

    labels: StringMap | None = None
    """Labels, beside the one that names the run."""
    annotations: StringMap | None = None
    """Annotations, beside those that name the run and the metric."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class JobMetric:
    """A Kubernetes Job. It is created in the run's namespace for each measurement, and its end is the measurement."""

    metadata: JobMetadata | None = None
    """Labels and annotations for the Job."""
    spec: Opaque
    """The spec of a Job (batch/v1): template, backoffLimit, activeDeadlineSeconds and so on."""


def check_job(job: JobMetric, at: str) -> Iterator[Problem]:
    """Every problem of a Job that would keep it from being created."""
    template = job.spec.get("template")
    pod = template.get("spec") if isinstance(template, Mapping) else None
    if not isinstance(pod, Mapping):
        yield Problem(f"{at}.spec.template.spec", "is required: the pod that the Job runs")
        return
    if not isinstance(pod.get("containers"), list) or not pod["containers"]:
        yield Problem(f"{at}.spec.template.spec.containers", "is required: at least one container")
    policy = pod.get("restartPolicy")
    if policy not in ("Never", "OnFailure") and not is_templated(policy):
        shown = "is required" if policy is None else f"is {policy!r}"
        yield Problem(f"{at}.spec.template.spec.restartPolicy", f"{shown}: a Job's pod needs Never or OnFailure")


def is_job(metric: Any) -> bool:
    """Whether a raw metric, of whatever form, is measured by Jobs."""
    provider = metric.get("provider") if isinstance(metric, Mapping) else None
    return isinstance(provider, Mapping) and provider.get("job") is not None
