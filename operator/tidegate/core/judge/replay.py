"""After the fact: what would the judge have said of recorded looks, and how often does it call a version worse than
itself?"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

from .counts import CountsLook, Tally
from .dispersion import PodCount
from .draws import uniforms, wilson
from .finding import Finding, Verdict

Look = TypeVar("Look")
State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Replay:
    """looks: that were judged, up to the first that found the canary worse. against: the log e-value after each.
    safe_after: the first look, from 1, at which the canary was called safe."""

    finding: Finding
    looks: int
    against: tuple[float, ...]
    safe_after: int | None


def replay(
    state: State,
    looks: Sequence[Look],
    observe: Callable[[State, Look], State],
    judge: Callable[[State], Finding],
) -> Replay:
    """Of any kind of metric, with its parameters bound; ValueError for no looks."""
    if not looks:
        raise ValueError("there is nothing to replay: no looks")
    against: list[float] = []
    safe_after: int | None = None
    for number, look in enumerate(looks, 1):
        state = observe(state, look)
        finding = judge(state)
        against.append(finding.against.log_e)
        if finding.verdict is Verdict.SAFE and safe_after is None:
            safe_after = number
        if finding.verdict is Verdict.WORSE:
            break
    return Replay(finding, len(against), tuple(against), safe_after)


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


def split_counts(
    looks: Sequence[Mapping[str, Tally]], canary: frozenset[str], seconds: float = 0.0
) -> tuple[CountsLook, ...]:
    """Looks by pod, as two arms: these pods against all others."""

    def arm(pods: Mapping[str, Tally]) -> Tally:
        return Tally(math.fsum(t.bad for t in pods.values()), math.fsum(t.total for t in pods.values()))

    def one(look: Mapping[str, Tally]) -> CountsLook:
        ours = {pod: t for pod, t in look.items() if pod in canary}
        others = {pod: t for pod, t in look.items() if pod not in canary}
        return CountsLook(
            arm(ours),
            arm(others),
            seconds,
            None,
            tuple(PodCount(p, t.bad, t.total) for p, t in ours.items()),
            tuple(PodCount(p, t.bad, t.total) for p, t in others.items()),
        )

    return tuple(one(look) for look in looks)
