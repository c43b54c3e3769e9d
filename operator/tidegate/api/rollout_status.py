"""The status of a Rollout: everything that Argo CD, the plugin, dashboards and autoscalers may look for.

Some fields are only ever written for features of other versions or by Argo Rollouts; they are here so that a
cluster that changes operators keeps them and `kubectl explain` knows them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from tidegate.api.common import STATUS, Bool, Int, Natural, Opaque, Str, Time
from tidegate.api.parts import Condition


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class PauseCondition:
    """Why the controller has paused the update, and since when."""

    reason: Str
    """CanaryPauseStep, BlueGreenPause, InconclusiveAnalysisRun or InconclusiveExperiment."""
    start_time: Time
    """When the pause began."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class RunReference:
    """An AnalysisRun of this update and how it is doing."""

    name: Str
    """The AnalysisRun's name."""
    status: Str
    """Its phase."""
    message: Str = ""
    """Its message."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class WeightDestination:
    """What part of the traffic one version gets."""

    weight: Int
    """The percentage of the traffic."""
    service_name: Str = ""
    """The Service that stands for the version."""
    pod_template_hash: Str = ""
    """The version's pod template hash."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class TrafficWeights:
    """How the traffic is split, as read back from the route."""

    canary: WeightDestination
    """The new version's part."""
    stable: WeightDestination
    """The old version's part."""
    additional: tuple[WeightDestination, ...] = ()
    """The parts of an experiment's versions."""
    verified: Bool | None = None
    """Whether the split was seen to take effect, for routers that can tell."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class StepPluginStatus:
    """The state of one plugin step."""

    index: Int
    """The step's index."""
    name: Str
    """The plugin's name."""
    operation: Str
    """Run, Terminate or Abort."""
    phase: Str = ""
    """Running, Successful, Failed or Error."""
    message: Str = ""
    """Why the plugin is in this phase."""
    started_at: Time | None = None
    """When the operation was first called."""
    updated_at: Time | None = None
    """When the operation was last called."""
    finished_at: Time | None = None
    """When the operation ended."""
    backoff: Str = ""
    """How long to wait before the next call."""
    executions: Natural = 0
    """How often the operation was called."""
    disabled: Bool = False
    """Whether the plugin is turned off."""
    status: Opaque | None = None
    """The plugin's own state."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class CanaryStatus:
    """The state of a canary update."""

    weights: TrafficWeights | None = None
    """How the traffic is split, as read back from the route."""
    current_step_analysis_run_status: RunReference | None = None
    """The AnalysisRun of the current step."""
    current_background_analysis_run_status: RunReference | None = None
    """The AnalysisRun that runs beside the steps."""
    current_experiment: Str = ""
    """The Experiment of the current step."""
    stable_ping_pong: Str = ""
    """Which of the two Services is the stable one: ping or pong."""
    paused_step_index: Int | None = None
    """The step at which the controller has paused, where a pause follows that is not to be skipped with it."""
    step_plugin_statuses: tuple[StepPluginStatus, ...] = ()
    """The state of plugin steps."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class BlueGreenStatus:
    """The state of a blue-green update."""

    active_selector: Str = ""
    """The pod template hash that the active Service selects."""
    preview_selector: Str = ""
    """The pod template hash that the preview Service selects."""
    scale_up_preview_check_point: Bool = False
    """Whether the new version is to be scaled up in full before the switch."""
    pre_promotion_analysis_run_status: RunReference | None = None
    """The AnalysisRun before the switch."""
    post_promotion_analysis_run_status: RunReference | None = None
    """The AnalysisRun after the switch."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class UpdateDuration:
    """How long the latest update took or takes."""

    rollout_started_at: Time | None = None
    """When the update started."""
    manual_pause_started_at: Time | None = None
    """When the present wait for a person began."""
    total_manual_pause_duration_seconds: Natural = 0
    """Seconds spent waiting for a person."""
    finished_at: Time | None = None
    """When the update ended."""
    completion_status: Str = ""
    """Promoted, FastPromoted, Aborted, Superseded, RolledBack or FastRolledBack."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class OutcomeTotal:
    """How many updates ended in one way."""

    outcome: Str
    """Promoted, FastPromoted, Aborted, Superseded, RolledBack or FastRolledBack."""
    count: Natural
    """How many did."""
    seconds: Natural
    """How long they took together."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class ReleaseTotals:
    """Sums over all updates of this Rollout; they only ever grow."""

    outcomes: tuple[OutcomeTotal, ...] = ()
    """Updates by how they ended."""
    lead_count: Natural = 0
    """Updates that were promoted and told when their change was made."""
    lead_seconds: Natural = 0
    """Seconds from the change to the promotion, of all these together."""
    recovery_count: Natural = 0
    """Updates that were undone and whose traffic is back."""
    recovery_seconds: Natural = 0
    """Seconds from the first bad measurement, or the abort, to the traffic being back, of all these together."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class ReleaseRecord:
    """One update that is over."""

    revision: Natural
    """Its revision."""
    pod_hash: Str
    """The pod template hash of the version that it brought."""
    outcome: Str
    """Promoted, FastPromoted, Aborted, Superseded, RolledBack or FastRolledBack."""
    started_at: Time
    """When it started."""
    finished_at: Time
    """When it ended."""
    changed_at: Time | None = None
    """When the change was made, by the annotations tidegate.dev/commit-time, tidegate.dev/image-created or
    org.opencontainers.image.created."""
    bad_at: Time | None = None
    """When the first measurement of it failed."""
    restored_at: Time | None = None
    """When all traffic was back on the stable version."""
    reason: Str = ""
    """Why it was promoted or aborted."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Releases:
    """What is kept of past updates. Tidegate's own."""

    totals: ReleaseTotals | None = None
    """Sums over all updates."""
    recent: tuple[ReleaseRecord, ...] = ()
    """The latest updates that are over, oldest first; ten at most."""
    steps: tuple[Time, ...] = ()
    """When each step of the latest update was completed."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class AwsResource:
    """A resource of AWS."""

    name: Str
    """Its name."""
    arn: Str
    """Its ARN."""
    full_name: Str = ""
    """Its full name."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class AlbStatus:
    """A load balancer of AWS and its target groups."""

    load_balancer: AwsResource | None = None
    """The load balancer."""
    canary_target_group: AwsResource | None = None
    """The new version's target group."""
    stable_target_group: AwsResource | None = None
    """The old version's target group."""
    ingress: Str = ""
    """The Ingress that it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class RolloutStatus:
    """How the Rollout is doing."""

    phase: Str = ""
    """Healthy, Progressing, Paused or Degraded. Holds for the generation in observedGeneration."""
    message: Str = ""
    """Why the Rollout is in this phase."""
    observed_generation: Str = ""
    """The generation of the spec that this status is about, as text."""
    conditions: tuple[Condition, ...] = ()
    """Facts about the Rollout, one of each type: InvalidSpec, Available, Progressing, ReplicaFailure, Paused,
    Completed, Healthy and StandingAside."""
    abort: Bool = False
    """Whether the update is undone. Set it to abort, clear it to retry."""
    aborted_at: Time | None = None
    """When the abort began."""
    promote_full: Bool = False
    """Set it to skip all remaining steps, pauses and analyses."""
    pause_conditions: tuple[PauseCondition, ...] = ()
    """Why the controller has paused the update. Clear it to go on."""
    controller_pause: Bool = False
    """Whether the controller has paused the update. With no pauseConditions left, somebody has let it go
    on."""
    current_pod_hash: Str = ""
    """The hash of the present pod template."""
    stable_rs: Annotated[Str, Field(alias="stableRS")] = ""
    """The pod template hash of the version that was last promoted."""
    current_step_hash: Str = ""
    """The hash of the list of steps. When it changes, the update starts over."""
    current_step_index: Int | None = None
    """The index of the present step; the number of steps when all are done."""
    replicas: Natural = 0
    """Pods of all versions."""
    updated_replicas: Natural = 0
    """Pods of the present template."""
    ready_replicas: Natural = 0
    """Pods that are ready."""
    available_replicas: Natural = 0
    """Pods that have been ready for minReadySeconds."""
    hpa_replicas: Annotated[Natural, Field(alias="HPAReplicas")] = 0
    """Pods that count for autoscalers: those that get traffic."""
    selector: Str = ""
    """The pods that autoscalers measure, as a selector."""
    collision_count: Int | None = None
    """How often a pod template's hash was taken already by another template."""
    canary: CanaryStatus | None = None
    """The state of a canary update."""
    blue_green: BlueGreenStatus | None = None
    """The state of a blue-green update."""
    duration: UpdateDuration | None = None
    """How long the latest update took or takes."""
    releases: Releases | None = None
    """What is kept of past updates. Tidegate's own."""
    restarted_at: Time | None = None
    """When the pods were last restarted."""
    workload_observed_generation: Str = ""
    """The generation of the referenced workload that this status is about, as text."""
    alb: AlbStatus | None = None
    """A load balancer of AWS."""
    albs: tuple[AlbStatus, ...] = ()
    """Several load balancers of AWS."""
