"""Do counts scatter more than chance explains? By how much must the evidence be divided?

Two sources, each of which harms in its own way:

*From look to look*: an arm has good and bad moments of its own. The surprise of each look, given the ratio of the looks
before it, is compared with what binomial chance allows; the ratio of the sums is the Fano factor of what
conditioning on both arms' failures leaves over. Drift that both arms share does not enter.

*From pod to pod*: a pod is bad and stays bad (a sick node). Time does not average that away: the variance of the
log of a pod's rate is estimated by the method of moments over the pods' sums (DerSimonian and Laird, 1986), and a
canary of one pod can never be more certain than one pod allows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PODS_KEPT = 24

FADING = 0.8
"""What a look's weight in the ratio of late is worth one look later."""

USUAL_VARIANCE = 0.1
"""Of the log ratio from look to look, beyond chance: each arm has moments that are 22 % better or worse."""

USUAL_DEGREES = 4.0
"""How many looks that is worth."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """Sums over looks; see `seen`. No unit.

    squares, variance, variance_squares: of surprises, and what chance allows them. looks, looks_squares: the
    information on the log ratio that each look holds. The last three fade, so that a canary that turns sick midway
    surprises for a few looks only and is not taken for one that scatters.
    """

    squares: float = 0.0
    variance: float = 0.0
    variance_squares: float = 0.0
    looks: float = 0.0
    looks_squares: float = 0.0
    information: float = 0.0
    canary_excess: float = 0.0
    stable_excess: float = 0.0

    @property
    def ratio(self) -> float:
        """Mantel and Haenszel's estimate of the ratio of late, drawn to 1 by half a failure in each arm."""
        return (self.canary_excess + 0.5) / (self.stable_excess + 0.5)

    def seen(self, share: float, canary_failed: float, stable_failed: float, rest: float = 1.0) -> "Scatter":
        """With one more look in which the canary had this share of all requests. `rest` is the share of requests
        that did not fail, where failures are too frequent for 1 to do: their variance is smaller by it."""
        failed = canary_failed + stable_failed
        if not failed or not 0 < share < 1:
            return self
        ratio = self.ratio
        p = share * ratio / (share * ratio + 1 - share)
        own, even = failed * p * (1 - p), failed * share * (1 - share) * rest
        squares, variance, variance_squares = self.squares, self.variance, self.variance_squares
        if self.information >= 1:
            # The ratio that the look is held against is itself an estimate: it adds its own variance to the surprise's.
            squares += (canary_failed - failed * p) ** 2 / (1 + own / self.information) / rest
            variance += own
            variance_squares += own * own
        return Scatter(
            squares=squares,
            variance=variance,
            variance_squares=variance_squares,
            looks=self.looks + even,
            looks_squares=self.looks_squares + even * even,
            information=FADING * self.information + own,
            canary_excess=FADING * self.canary_excess + canary_failed * (1 - share),
            stable_excess=FADING * self.stable_excess + stable_failed * share,
        )

    def design_effect(self) -> float:
        """The Fano factor, from what was seen and, while that is little, from what is usual.

        One look tells nothing of how looks differ, yet with much traffic it could decide alone; so it is taken for as
        uncertain as looks usually are. Chosen by simulation: benchmarks/judge/choices.py.
        """
        if not self.looks:
            return 1.0
        usual = 1 + USUAL_VARIANCE * self.looks_squares / self.looks
        degrees = self.variance**2 / self.variance_squares if self.variance_squares else 0.0
        seen = self.squares / self.variance if self.variance else 0.0
        return max(1.0, ((degrees + 1) * seen + USUAL_DEGREES * usual) / (degrees + USUAL_DEGREES))

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Scatter":
        return cls(**{k: float(v) for k, v in value.items()})


@dataclass(frozen=True, slots=True)
class PodCount:
    name: str
    bad: float
    total: float

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "PodCount":
        return cls(str(value["name"]), float(value["bad"]), float(value["total"]))


def added_pods(kept: tuple[PodCount, ...], seen: Sequence[PodCount]) -> tuple[PodCount, ...]:
    """Sums by pod. The first PODS_KEPT names are kept: a sample of pods tells their variance as well as all of them."""
    sums = {p.name: (p.bad, p.total) for p in kept}
    for pod in sorted(seen, key=lambda p: p.name):
        if pod.name in sums or len(sums) < PODS_KEPT:
            bad, total = sums.get(pod.name, (0.0, 0.0))
            sums[pod.name] = (bad + pod.bad, total + pod.total)
    return tuple(PodCount(name, bad, total) for name, (bad, total) in sorted(sums.items()))


def pod_variance(*arms: Sequence[PodCount]) -> float:
    """The variance between pods of one arm of the log of their rates, from all arms together; 0 if unknown."""
    excess = weight = 0.0
    for arm in arms:
        pods = [p for p in arm if p.total > 0]
        bad, total = math.fsum(p.bad for p in pods), math.fsum(p.total for p in pods)
        if len(pods) < 2 or not 0 < bad < total:
            continue
        rate = bad / total
        scatter = math.fsum((p.bad - p.total * rate) ** 2 / (p.total * rate * (1 - rate)) for p in pods)
        excess += scatter - (len(pods) - 1)
        weight += rate / (1 - rate) * (total - math.fsum(p.total**2 for p in pods) / total)
    return max(0.0, excess / weight) if weight else 0.0


def pods_share(arm: Sequence[PodCount]) -> float:
    """1 over the number of pods, counted by their traffic; 0 if unknown."""
    total = math.fsum(p.total for p in arm)
    return math.fsum(p.total**2 for p in arm) / total**2 if total else 0.0
