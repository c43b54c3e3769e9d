"""After the fact: one version against itself on recorded traffic. How often is it called worse?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from .draws import uniforms, wilson
from .finding import Verdict


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Of one version against itself. interval: 95 %, as if the splits were independent; they share pods, so it is
    too narrow."""

    splits: int
    alarms: int
    share: float
    interval: tuple[float, float]


def false_alarms(verdicts: Sequence[Verdict]) -> FalseAlarms:
    alarms = sum(v is Verdict.WORSE for v in verdicts)
    share = alarms / len(verdicts) if verdicts else 0.0
    return FalseAlarms(len(verdicts), alarms, share, wilson(alarms, len(verdicts)))


def null_splits(pods: Sequence[str], size: int, most: int = 200, seed: int = 1) -> tuple[frozenset[str], ...]:
    """Sets of `size` pods that play the canary: all there are, or `most` computed ones. ValueError unless some pods
    are left to play stable."""
    names = sorted(set(pods))
    if not 0 < size < len(names):
        raise ValueError(f"of {len(names)} pods, {size} can't play the canary")
    if math.comb(len(names), size) <= most:
        return tuple(frozenset(c) for c in combinations(names, size))
    draws, chosen = uniforms(seed), dict[frozenset[str], None]()
    while len(chosen) < most:
        order = sorted(names, key=lambda _: next(draws))
        chosen[frozenset(order[:size])] = None
    return tuple(chosen)
