"""How much pods of one version differ in their means over time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PODS_KEPT = 24


@dataclass(frozen=True, slots=True)
class PodMean:
    """Sum over `looks` looks of how far the log of a pod's value lies above that of stable's mean."""

    name: str
    looks: int
    total: float

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "PodMean":
        return cls(str(value["name"]), int(value["looks"]), float(value["total"]))


def with_pods(
    kept: tuple[PodMean, ...], names: Sequence[str], values: Sequence[float], stable: float
) -> tuple[PodMean, ...]:
    pods = {p.name: p for p in kept}
    for name, value in zip(names, values, strict=False):
        if value > 0 and (name in pods or len(pods) < PODS_KEPT):
            known = pods.get(name, PodMean(name, 0, 0.0))
            pods[name] = PodMean(name, known.looks + 1, known.total + math.log(value / stable))
    return tuple(pods[name] for name in sorted(pods))


def between_means(*arms: Sequence[PodMean]) -> float | None:
    """The variance between the means of one arm's pods, of those that were seen in half of the looks at least; None
    if no arm has two."""
    longest = max((p.looks for arm in arms for p in arm), default=0)
    squares = degrees = 0.0
    for arm in arms:
        means = [p.total / p.looks for p in arm if 2 * p.looks >= longest]
        if len(means) > 1:
            centre = math.fsum(means) / len(means)
            squares += math.fsum((m - centre) ** 2 for m in means)
            degrees += len(means) - 1
    return squares / degrees if degrees else None
