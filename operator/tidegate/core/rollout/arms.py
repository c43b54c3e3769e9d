"""By what the two versions of an update are known, for metrics that compare them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.api.rollout import RolloutSpec


def arms(spec: RolloutSpec, rollout: Mapping[str, Any], *, canary: str, stable: str) -> Mapping[str, Mapping[str, str]]:
    """Names of the canary's and of stable's parts. rollout: the raw object. canary, stable: their pod template hashes.

    A blue-green strategy's Services are none of them: each stands for either version, before or after the flip.
    """
    meta = rollout["metadata"]
    names = {
        arm: {
            "namespace": str(meta.get("namespace") or "default"),
            "podTemplateHash": hash_,
            "replicaSet": f"{meta['name']}-{hash_}",
        }
        for arm, hash_ in (("canary", canary), ("stable", stable))
    }
    strategy = spec.strategy.canary
    if strategy is None:
        return names
    istio = strategy.traffic_routing.istio if strategy.traffic_routing else None
    rule = istio.destination_rule if istio else None
    ends = {
        "canary": {"service": strategy.canary_service, "subset": rule.canary_subset_name if rule else ""},
        "stable": {"service": strategy.stable_service, "subset": rule.stable_subset_name if rule else ""},
    }
    told = {arm: {name: value for name, value in end.items() if value} for arm, end in ends.items()}
    return {arm: {**known, **told[arm]} for arm, known in names.items()}
