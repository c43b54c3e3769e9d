"""Fields that are allowed and do nothing beside the other fields of their Rollout.

To refuse them would stop Rollouts that run elsewhere, and to pass them over would mislead, so they are told: by
`tidegate lint`, by the webhook's warnings, and by an event when an update begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tidegate.api.experiment import has_port
from tidegate.api.problems import Problem
from tidegate.api.rollout import CanaryStrategy, RolloutSpec

_AS_BORN: Final = CanaryStrategy()
_WITH_ROUTER_ONLY: Final = {
    "min_pods_per_replica_set": "minPodsPerReplicaSet",
    "scale_down_delay_revision_limit": "scaleDownDelayRevisionLimit",
    "abort_scale_down_delay_seconds": "abortScaleDownDelaySeconds",
}


NO_PORT: Final = "has no effect: no container of the template has a port, so there is nothing to make a Service for"


def idle_fields(spec: RolloutSpec) -> Iterator[Problem]:
    """The path of each field that has another value than its default and does nothing, and why."""
    canary, blue_green = spec.strategy.canary, spec.strategy.blue_green
    if canary and canary.traffic_routing is None:
        for name, field in _WITH_ROUTER_ONLY.items():
            if getattr(canary, name) != getattr(_AS_BORN, name):
                why = "has no effect without trafficRouting: the numbers of pods are the weights"
                yield Problem(f"spec.strategy.canary.{field}", why)
    for index, step in enumerate(canary.steps if canary else ()):
        for number, tried in enumerate(step.experiment.templates if step.experiment else ()):
            if tried.service is not None and not has_port(spec.template):
                at = f"spec.strategy.canary.steps[{index}].experiment.templates[{number}]"
                yield Problem(f"{at}.service", NO_PORT)
    last = max(len(canary.steps) - 1, 0) if canary else 0
    if canary and canary.analysis and canary.analysis.starting_step > last:
        why = (
            f"has no effect, for the last step has index {last}: the update may be promoted before the analysis begins"
        )
        yield Problem("spec.strategy.canary.analysis.startingStep", why)
    if canary and canary.traffic_routing and canary.max_surge != _AS_BORN.max_surge:
        why = "has no effect beside trafficRouting: stable keeps its pods, and the canary has those of its weight"
        yield Problem("spec.strategy.canary.maxSurge", why)
    if blue_green and blue_green.auto_promotion_seconds and not blue_green.auto_promotion_enabled:
        why = "has no effect, because autoPromotionEnabled is false: a person promotes"
        yield Problem("spec.strategy.blueGreen.autoPromotionSeconds", why)
