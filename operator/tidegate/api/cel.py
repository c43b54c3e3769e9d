"""What the definitions themselves say beyond types: rules that the API server keeps, with or without an operator.

A rule only says what the checks of `tidegate.api` refuse as well and Argo Rollouts does too, so that none keeps out a
manifest that works. Rules stand on the smallest part that they speak of: from Kubernetes 1.30 on an API server passes
over what an update leaves unchanged, and so an object that broke a rule before the rule was there can still be scaled,
given another image and a status.

A server estimates what a rule may cost before it takes it, and a list without a limit counts for a million entries
there: hence that of steps in `BOUNDS`, and providers of metrics are left to the webhook. It also pays for
each look at a field, on every write of the object, a status too; so a rule begins with what spares it the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.api.rollout import CanaryStep
from tidegate.api.unsupported import known_fields


@dataclass(frozen=True, slots=True)
class Rule:
    """rule: CEL over a part of an object, `self`. field: the one that is wrong then, in it."""

    rule: str
    message: str
    field: str = ""

    def raw(self) -> dict[str, Any]:
        """As a definition has it."""
        shown = {"rule": self.rule, "message": self.message}
        return {**shown, "fieldPath": f".{self.field}"} if self.field else shown


def _differ(one: str, other: str) -> str:
    return f"!has(self.{one}) || !has(self.{other}) || self.{one} == '' || self.{one} != self.{other}"


def _one_kind() -> Rule:
    given = " + ".join(f"(has(self.{kind}) ? 1 : 0)" for kind in sorted(known_fields(CanaryStep)))
    # Fields that nobody knows count as well in the size, but hardly any step has one.
    return Rule(f"size(dyn(self)) <= 1 || {given} <= 1", "has two kinds or more; make each a step of its own")


BOUNDS: Final[Mapping[str, Mapping[str, Mapping[str, int]]]] = {
    "CanaryStep": {"setWeight": {"minimum": 0}},
    # etcd takes no object with so many.
    "CanaryStrategy": {"steps": {"maxItems": 100_000}},
    # Of a number that waits for an argument, and is a text until then, nothing is said.
    "Metric": {"inconclusiveLimit": {"minimum": 0}, "consecutiveErrorLimit": {"minimum": 0}},
}
"""What a schema says of a field without a rule, which is cheaper: by the name of the model and the field."""

RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "RolloutSpec": (
        Rule(
            "(has(self.progressDeadlineSeconds) ? self.progressDeadlineSeconds : 600)"
            " > (has(self.minReadySeconds) ? self.minReadySeconds : 0)",
            "must be more than minReadySeconds; it is 600 where it is left out",
            "progressDeadlineSeconds",
        ),
    ),
    "Strategy": (Rule("!has(self.canary) || !has(self.blueGreen)", "has both canary and blueGreen; keep one of them"),),
    "CanaryStrategy": (
        Rule(
            _differ("stableService", "canaryService"),
            "is the canaryService too; the two versions need a Service each",
            "stableService",
        ),
        Rule(
            "!has(self.scaleDownDelaySeconds) || has(self.trafficRouting)",
            "is only possible with trafficRouting: without it the old pods are replaced one by one",
            "scaleDownDelaySeconds",
        ),
        Rule(
            "!has(self.dynamicStableScale) || !self.dynamicStableScale || has(self.trafficRouting)",
            "is only possible with trafficRouting: without it the stable pods follow the weight anyway",
            "dynamicStableScale",
        ),
        Rule(
            "!has(self.dynamicStableScale) || !self.dynamicStableScale || !has(self.scaleDownDelaySeconds)",
            "is not possible with scaleDownDelaySeconds, which keeps all stable pods up; leave one of them out",
            "dynamicStableScale",
        ),
        Rule(
            "has(self.trafficRouting) || !has(self.steps) || !self.steps.exists(s, has(s.setCanaryScale))",
            "have a setCanaryScale, which is only possible with trafficRouting: without it the number of canary pods "
            "is the weight",
            "steps",
        ),
        Rule(
            "(has(self.trafficRouting) && has(self.trafficRouting.maxTrafficWeight)) || !has(self.steps)"
            " || !self.steps.exists(s, has(s.setWeight) && s.setWeight > 100)",
            "have a setWeight above 100, which needs trafficRouting.maxTrafficWeight",
            "steps",
        ),
    ),
    "CanaryStep": (_one_kind(),),
    "PingPong": (Rule(_differ("pongService", "pingService"), "is the pingService too; name another", "pongService"),),
    "IstioRouting": (
        Rule(
            "!has(self.virtualService) || !has(self.virtualServices) || self.virtualServices.size() == 0",
            "has both virtualService and virtualServices; keep one of them",
        ),
    ),
    "BlueGreenStrategy": (
        Rule(
            _differ("previewService", "activeService"),
            "is the activeService too; the two versions need a Service each",
            "previewService",
        ),
    ),
    # A number that waits for an argument is a text until then.
    "Metric": (
        Rule(
            "!has(self.count) || type(self.count) != int || self.count < 2"
            " || (has(self.interval) && self.interval != '')",
            "is required because count is above 1",
            "interval",
        ),
    ),
}
"""By the name of the model."""
