"""Experiments: versions that run beside each other for a time, and the analyses that compare them.

An Experiment stands for itself, or a canary step makes one of the Rollout's own versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic.dataclasses import dataclass

from tidegate.api.analysis import Argument, DryRun, MeasurementRetention
from tidegate.api.common import SPEC, Bool, Int, Natural, Opaque, Str
from tidegate.api.parts import LabelSelector, PodMetadata, RolloutArgument, RunMetadata

DEFAULT_SCALE_DOWN_DELAY: Final = 30
"""Seconds that an Experiment's pods stay after its end."""


def has_port(template: Mapping[str, Any]) -> bool:
    """Whether any container of a pod template has a port; what is no template has none."""
    containers = (template.get("spec") or {}).get("containers") or ()
    return any(isinstance(one, Mapping) and one.get("ports") for one in containers)


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class TemplateService:
    """A Service for the pods of one template."""

    name: Str = ""
    """The Service's name. Default: that of the template's ReplicaSet."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ExperimentTemplate:
    """One version to run."""

    name: Str
    """The template's name. No two templates of an Experiment have the same."""
    replicas: Natural | None = None
    """How many pods to run. Default: 1."""
    min_ready_seconds: Natural = 0
    """How long a new pod must be ready before it counts as available. Default: 0."""
    selector: LabelSelector
    """Which pods belong to the template. Must match its labels."""
    template: Opaque
    """The pods to create."""
    service: TemplateService | None = None
    """Have a Service for the pods, with a port for each port of theirs, for as long as they run."""
    by_subset: Bool = False
    """Whether users come by a DestinationRule's subset of the Service's name, for metrics with compare. A canary step
    says so of its templates with a weight. Default: false."""

    @property
    def desired_replicas(self) -> int:
        """How many pods should run."""
        return 1 if self.replicas is None else self.replicas

    @property
    def has_service(self) -> bool:
        """Whether there is to be a Service, and a port that it could have."""
        return self.service is not None and has_port(self.template)


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ExperimentArms:
    """Which two versions the metrics with compare are about."""

    canary: Str = ""
    """The name of the template that is judged."""
    stable: Str = ""
    """The name of the template that it is compared with, such as a fresh baseline."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ExperimentAnalysis:
    """An analysis that runs once all versions are up."""

    name: Str
    """The analysis' name. No two analyses of an Experiment have the same."""
    template_name: Str
    """The AnalysisTemplate whose metrics the run measures."""
    cluster_scope: Bool = False
    """Whether the name is that of a ClusterAnalysisTemplate. Default: an AnalysisTemplate in the Experiment's
    namespace."""
    args: tuple[Argument, ...] = ()
    """Arguments for the template. A value may hold {{templates.NAME.podTemplateHash}} and
    {{templates.NAME.replicaset.name}}."""
    required_for_completion: Bool = False
    """Whether the Experiment ends only when this analysis has. Default: false."""
    arms: ExperimentArms | None = None
    """Which templates are the two arms of metrics with compare."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ExperimentSpec:
    """Which versions run, for how long, and what is measured meanwhile."""

    templates: tuple[ExperimentTemplate, ...]
    """The versions to run. At least one."""
    duration: Str = ""
    """How long to run once all versions are available, such as 30s, 5m or 1h. Without it, until the analyses that are
    required have ended, or until terminate is set."""
    progress_deadline_seconds: Natural = 600
    """How long a version may make no progress towards being available before the Experiment has failed. Default:
    600."""
    terminate: Bool = False
    """End the Experiment now."""
    analyses: tuple[ExperimentAnalysis, ...] = ()
    """The analyses to run once all versions are available. One that fails ends the Experiment."""
    scale_down_delay_seconds: Natural | None = None
    """How long the pods stay after the end. Default: 30."""
    dry_run: tuple[DryRun, ...] = ()
    """Metrics of any of the analyses that are only watched, beside those that the templates name."""
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    """How many measurements of any of the analyses to keep, where that is not 10."""
    analysis_run_metadata: RunMetadata | None = None
    """Labels and annotations for the AnalysisRuns."""

    @property
    def scale_down_delay(self) -> int:
        """Seconds that the pods stay after the end."""
        return DEFAULT_SCALE_DOWN_DELAY if self.scale_down_delay_seconds is None else self.scale_down_delay_seconds


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class StepTemplate:
    """One of the Rollout's versions, to run in an Experiment."""

    name: Str
    """The template's name. No two templates of a step have the same."""
    spec_ref: Literal["canary", "stable"]
    """Which version: canary or stable."""
    replicas: Natural | None = None
    """How many pods to run. Default: 1."""
    metadata: PodMetadata | None = None
    """Labels and annotations for the pods, beside those of the version. The labels select them too."""
    selector: LabelSelector | None = None
    """Which pods belong to the template. Default: the Rollout's selector."""
    weight: Int | None = None
    """The part of the users' traffic that the pods get while they are available; stable gets as much less. It comes to
    no more than they can carry. Only with trafficRouting."""
    service: TemplateService | None = None
    """Have a Service for the pods. With a weight there is one anyway."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class StepAnalysis:
    """An analysis of a step's Experiment."""

    name: Str
    """The analysis' name. No two analyses of a step have the same."""
    template_name: Str
    """The AnalysisTemplate whose metrics the run measures."""
    cluster_scope: Bool = False
    """Whether the name is that of a ClusterAnalysisTemplate. Default: an AnalysisTemplate in the Rollout's
    namespace."""
    args: tuple[RolloutArgument, ...] = ()
    """Arguments for the template. A value may hold {{templates.NAME.podTemplateHash}} and
    {{templates.NAME.replicaset.name}}."""
    required_for_completion: Bool = False
    """Whether the Experiment ends only when this analysis has. Default: false."""
    arms: ExperimentArms | None = None
    """Which templates are the two arms of metrics with compare. Default: the one with specRef canary and the one with
    specRef stable."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ExperimentStep:
    """Run an Experiment of the Rollout's versions, and go on only when it was successful."""

    templates: tuple[StepTemplate, ...]
    """The versions to run. At least one."""
    duration: Str = ""
    """How long to run once all versions are available, such as 30s, 5m or 1h. Without it, until the analyses that are
    required have ended, or until somebody ends the Experiment."""
    analyses: tuple[StepAnalysis, ...] = ()
    """The analyses to run once all versions are available. One that fails aborts the update."""
    dry_run: tuple[DryRun, ...] = ()
    """Metrics of any of the analyses that are only watched, beside those that the templates name."""
    analysis_run_metadata: RunMetadata | None = None
    """Labels and annotations for the AnalysisRuns."""
    scale_down_delay_seconds: Natural | None = None
    """How long the pods stay after the Experiment's end and after their traffic has gone. Default: 30."""
