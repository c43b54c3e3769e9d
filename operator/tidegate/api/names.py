"""The names that other programs know Rollouts by: labels, annotations, conditions, reasons, pause reasons.

Argo CD, the kubectl plugin, dashboards and alerts match on these words, so none of them is ours to choose.
The source is Argo Rollouts (`pkg/apis/rollouts/v1alpha1`, `utils/annotations`, `utils/conditions`).
"""

from __future__ import annotations

from typing import Final, Literal

GROUP: Final = "argoproj.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

ROLLOUT: Final = "Rollout"
ANALYSIS_RUN: Final = "AnalysisRun"
ANALYSIS_TEMPLATE: Final = "AnalysisTemplate"
CLUSTER_ANALYSIS_TEMPLATE: Final = "ClusterAnalysisTemplate"
TEMPLATE_KINDS: Final = (ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE)
EXPERIMENT: Final = "Experiment"

# Labels
POD_TEMPLATE_HASH: Final = "rollouts-pod-template-hash"
"""On ReplicaSets, their selectors and pods, Service selectors, DestinationRule subsets and AnalysisRuns."""
INSTANCE_ID: Final = "argo-rollouts.argoproj.io/controller-instance-id"
"""Which controller an object belongs to, where several share a cluster."""
RUN_TYPE: Final = "rollout-type"
"""What an AnalysisRun was started for: one of RunType."""
RUN_STEP_INDEX: Final = "step-index"
"""The canary step that an AnalysisRun of type Step was started for."""

RunType = Literal["Step", "Background", "PrePromotion", "PostPromotion"]

# Annotations
REVISION: Final = "rollout.argoproj.io/revision"
"""On the Rollout, its ReplicaSets and AnalysisRuns: the revision's number."""
REVISION_HISTORY: Final = "rollout.argoproj.io/revision-history"
"""On a ReplicaSet that came back: the numbers it had before, comma-separated."""
DESIRED_REPLICAS: Final = "rollout.argoproj.io/desired-replicas"
"""On a ReplicaSet: spec.replicas when it was last scaled; a difference means that the Rollout was scaled."""
EPHEMERAL_METADATA: Final = "rollout.argoproj.io/ephemeral-metadata"
"""On a ReplicaSet: the metadata that was put into its template for its role, as JSON."""
PODS_BEHIND: Final = "tidegate.dev/pods-behind"
"""On a ReplicaSet whose pods have yet to get its ephemeral metadata: what they may still have of earlier roles."""
WORKLOAD_GENERATION: Final = "rollout.argoproj.io/workload-generation"
SCALE_DOWN_DEADLINE: Final = "scale-down-deadline"
"""On a ReplicaSet that waits to be scaled down: when (RFC 3339). The key has no prefix."""
WAS_STABLE: Final = "tidegate.dev/was-stable"
"""On a ReplicaSet with a scale-down deadline: users were well served by it until a moment ago. Our own: the deadline
alone is also on previews that were aborted."""
MANAGED_BY: Final = "argo-rollouts.argoproj.io/managed-by-rollouts"
"""On Services and routes: the Rollout that writes parts of them."""
SCALED_DOWN: Final = "tidegate.dev/scaled-down"
"""The label of a Deployment whose pods a Rollout has replaced, by which those are found whose Rollout is gone."""
SCALED_DOWN_BY: Final = "tidegate.dev/scaled-down-by"
"""On such a Deployment: the Rollout's name."""
REPLICAS_BEFORE: Final = "tidegate.dev/replicas-before"
"""On such a Deployment: the pods that it had and gets back when the Rollout is deleted."""
NOTIFICATION_CONFIG_MAP: Final = "argo-rollouts-notification-configmap"
NOTIFICATION_SECRET: Final = "argo-rollouts-notification-secret"  # noqa: S105 - its name
"""What notifications are set up with, in the operator's namespace."""
NOTIFIED: Final = "notified.notifications.argoproj.io"
"""On a Rollout: the messages that were sent about it."""
CHANGE_TIMES: Final = ("tidegate.dev/commit-time", "tidegate.dev/image-created", "org.opencontainers.image.created")
"""On a Rollout or its pod template: when the change was made that an update brings; the first of them that is there."""
JOB_RUN_UID: Final = "analysisrun.argoproj.io/uid"
JOB_RUN_NAME: Final = "analysisrun.argoproj.io/name"
JOB_METRIC_NAME: Final = "analysisrun.argoproj.io/metric-name"
EXPERIMENT_NAME: Final = "experiment.argoproj.io/name"
"""On the ReplicaSets and Services of an Experiment: its name."""
EXPERIMENT_TEMPLATE: Final = "experiment.argoproj.io/template-name"
"""On the same: which of its templates they are for."""
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

# Which Service of a pair is the stable one (status.canary.stablePingPong)
PING: Final = "ping"
PONG: Final = "pong"

# Phases of a Rollout
Phase = Literal["Healthy", "Progressing", "Paused", "Degraded"]
HEALTHY: Final = "Healthy"
PROGRESSING: Final = "Progressing"
PAUSED: Final = "Paused"
DEGRADED: Final = "Degraded"

# Conditions of a Rollout
ConditionType = Literal["InvalidSpec", "Available", "Progressing", "ReplicaFailure", "Paused", "Completed", "Healthy"]
CONDITION_STANDING_ASIDE: Final = "StandingAside"
"""Ours alone: Argo Rollouts' own controller is at work, so Tidegate does nothing for this Rollout."""
CONDITION_INVALID_SPEC: Final = "InvalidSpec"
CONDITION_AVAILABLE: Final = "Available"
CONDITION_PROGRESSING: Final = "Progressing"
CONDITION_REPLICA_FAILURE: Final = "ReplicaFailure"
CONDITION_PAUSED: Final = "Paused"
CONDITION_COMPLETED: Final = "Completed"
CONDITION_HEALTHY: Final = "Healthy"

# Reasons of conditions; many are the reason of an event too
REASON_INVALID_SPEC: Final = "InvalidSpec"
REASON_AVAILABLE: Final = "AvailableReason"
REASON_REPLICA_SET_UPDATED: Final = "ReplicaSetUpdated"
REASON_NOT_CREATED: Final = "ReplicaSetCreateError"
REASON_NEW_REPLICA_SET: Final = "NewReplicaSetCreated"
REASON_NEW_REPLICA_SET_AVAILABLE: Final = "NewReplicaSetAvailable"
REASON_REPLICA_SET_NOT_AVAILABLE: Final = "ReplicaSetNotAvailable"
REASON_UPDATED: Final = "RolloutUpdated"
REASON_COMPLETED: Final = "RolloutCompleted"
REASON_NOT_COMPLETED: Final = "RolloutNotCompleted"
REASON_HEALTHY: Final = "RolloutHealthy"
REASON_ABORTED: Final = "RolloutAborted"
REASON_RETRY: Final = "RolloutRetry"
REASON_PAUSED: Final = "RolloutPaused"
REASON_RESUMED: Final = "RolloutResumed"
REASON_TIMED_OUT: Final = "ProgressDeadlineExceeded"
REASON_EXPERIMENT_FAILED: Final = "ExperimentFailed"
REASON_EXPERIMENT_COMPLETED: Final = "ExperimentCompleted"
REASON_RECONCILIATION_ERROR: Final = "ReconciliationError"
REASON_INVALID_ANNOTATION: Final = "InvalidAnnotation"
REASON_ARGO_AT_WORK: Final = "ArgoRolloutsAtWork"

# Reasons of events alone
REASON_STEP_COMPLETED: Final = "RolloutStepCompleted"
REASON_UNDECIDED: Final = "AnalysisRunUndecided"
REASON_NO_EFFECT: Final = "FieldWithoutEffect"
REASON_SKIP_STEPS: Final = "SkipSteps"
REASON_WEIGHT_UPDATED: Final = "TrafficWeightUpdated"
REASON_SCALING_REPLICA_SET: Final = "ScalingReplicaSet"
REASON_EXPERIMENT_CREATED: Final = "ExperimentCreated"
REASON_SWITCH_SERVICE: Final = "SwitchService"
REASON_UPDATED_DESTINATION_RULE: Final = "UpdatedDestinationRule"
REASON_UPDATED_VIRTUAL_SERVICE: Final = "Updated VirtualService"
REASON_VIRTUAL_SERVICE_NOT_FOUND: Final = "VirtualServiceNotFound"
REASON_DESTINATION_RULE_NOT_FOUND: Final = "DestinationRuleNotFound"

# Why the controller paused a Rollout (status.pauseConditions)
PauseReason = Literal["CanaryPauseStep", "BlueGreenPause", "InconclusiveAnalysisRun", "InconclusiveExperiment"]
PAUSE_CANARY_STEP: Final = "CanaryPauseStep"
PAUSE_BLUE_GREEN: Final = "BlueGreenPause"
PAUSE_INCONCLUSIVE_ANALYSIS: Final = "InconclusiveAnalysisRun"
PAUSE_INCONCLUSIVE_EXPERIMENT: Final = "InconclusiveExperiment"

# Phases of an AnalysisRun, a metric and a measurement
AnalysisPhase = Literal["", "Pending", "Running", "Successful", "Failed", "Error", "Inconclusive"]
RUN_PENDING: Final = "Pending"
RUN_RUNNING: Final = "Running"
RUN_SUCCESSFUL: Final = "Successful"
RUN_FAILED: Final = "Failed"
RUN_ERROR: Final = "Error"
RUN_INCONCLUSIVE: Final = "Inconclusive"

# How an update ended (status.duration.completionStatus)
CompletionStatus = Literal["Promoted", "FastPromoted", "Aborted", "Superseded", "RolledBack", "FastRolledBack"]

# How a version of an Experiment is doing (status.templateStatuses[].status)
TEMPLATE_PROGRESSING: Final = "Progressing"
TEMPLATE_RUNNING: Final = "Running"
TEMPLATE_SUCCESSFUL: Final = "Successful"
TEMPLATE_FAILED: Final = "Failed"
TEMPLATE_ERROR: Final = "Error"
