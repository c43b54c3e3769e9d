"""Fields that are allowed and do nothing beside the other fields of their Rollout or Experiment.

To refuse them would stop Rollouts that run elsewhere, and to pass them over would mislead, so they are told: by
`tidegate lint`, by the webhook's warnings, and by an event when an update or an Experiment begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.api.experiment import ExperimentSpec, has_port
from tidegate.api.problems import Problem
from tidegate.api.rollout import CanaryStrategy, RolloutSpec

_AS_BORN: Final = CanaryStrategy()
_WITH_ROUTER_ONLY: Final = (
    ("min_pods_per_replica_set", "minPodsPerReplicaSet"),
    ("scale_down_delay_revision_limit", "scaleDownDelayRevisionLimit"),
    ("abort_scale_down_delay_seconds", "abortScaleDownDelaySeconds"),
)
_NO_PORT: Final = "has no effect: no container of the template has a port, so there is nothing to make a Service for"
_CANARY: Final = "spec.strategy.canary"


def idle_fields(spec: RolloutSpec) -> Iterator[Problem]:
    """The path of each field that has another value than its default and does nothing, and why."""
    canary, blue_green = spec.strategy.canary, spec.strategy.blue_green
    if canary:
        yield from _of_canary(canary, spec.template)
    if blue_green and blue_green.auto_promotion_seconds and not blue_green.auto_promotion_enabled:
        why = "has no effect, because autoPromotionEnabled is false: a person promotes"
        yield Problem("spec.strategy.blueGreen.autoPromotionSeconds", why)


def idle_services(spec: ExperimentSpec) -> Iterator[Problem]:
    """The Services of an Experiment's templates that there will not be, and why."""
    for index, given in enumerate(spec.templates):
        if given.service is not None and not given.has_service:
            yield Problem(f"spec.templates[{index}].service", _NO_PORT)


def _of_canary(canary: CanaryStrategy, template: Mapping[str, Any]) -> Iterator[Problem]:
    routed = canary.traffic_routing is not None
    for name, field in () if routed else _WITH_ROUTER_ONLY:
        if getattr(canary, name) != getattr(_AS_BORN, name):
            yield Problem(
                f"{_CANARY}.{field}", "has no effect without trafficRouting: the numbers of pods are the weights"
            )
    for index, step in enumerate(canary.steps):
        for number, tried in enumerate(step.experiment.templates if step.experiment else ()):
            if tried.service is not None and not has_port(template):
                yield Problem(f"{_CANARY}.steps[{index}].experiment.templates[{number}].service", _NO_PORT)
    last = max(len(canary.steps) - 1, 0)
    if canary.analysis and canary.analysis.starting_step > last:
        why = (
            f"has no effect, for the last step has index {last}: the update may be promoted before the analysis begins"
        )
        yield Problem(f"{_CANARY}.analysis.startingStep", why)
    if routed and canary.max_surge != _AS_BORN.max_surge:
        why = "has no effect beside trafficRouting: stable keeps its pods, and the canary has those of its weight"
        yield Problem(f"{_CANARY}.maxSurge", why)
