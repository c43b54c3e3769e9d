"""The status of an Experiment."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from tidegate.api.common import STATUS, Int, Natural, Str, Time
from tidegate.api.parts import Condition


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class TemplateStatus:
    """How one version is doing."""

    name: Str
    """The template's name."""
    replicas: Natural = 0
    """Pods that there are."""
    updated_replicas: Natural = 0
    """The same number: a version never changes."""
    ready_replicas: Natural = 0
    """Pods that are ready."""
    available_replicas: Natural = 0
    """Pods that have been ready for minReadySeconds."""
    collision_count: Int | None = None
    """How often the ReplicaSet's name was taken already."""
    status: Str = ""
    """Progressing, Running, Successful, Failed or Error."""
    message: Str = ""
    """Why the version has this status."""
    last_transition_time: Time | None = None
    """When the version last made progress. The deadline counts from here."""
    service_name: Str = ""
    """The version's Service."""
    pod_template_hash: Str = ""
    """The hash by which its pods are selected."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class ExperimentRunStatus:
    """How one analysis is doing."""

    name: Str
    """The analysis' name."""
    analysis_run: Str = ""
    """The AnalysisRun's name."""
    phase: Str = ""
    """Its phase."""
    message: Str = ""
    """Its message."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class ExperimentStatus:
    """How the Experiment is doing."""

    phase: Str = ""
    """Pending, Running, Successful, Failed, Error or Inconclusive."""
    message: Str = ""
    """Why the Experiment is in this phase."""
    template_statuses: tuple[TemplateStatus, ...] = ()
    """How each version is doing."""
    available_at: Time | None = None
    """When all versions were available. The duration counts from here."""
    conditions: tuple[Condition, ...] = ()
    """Facts about the Experiment, one of each type: InvalidSpec and Progressing."""
    analysis_runs: tuple[ExperimentRunStatus, ...] = ()
    """How each analysis is doing."""
