"""How many times as often: the most likely ratio, and ends that hold at every look."""

import math
from collections.abc import Sequence

from .curve import REACH, Likelihood
from .evidence import EFFECTS, mixed, needed
from .finding import Estimate


def ratio_of(
    curve: Sequence[float],
    canary_failed: float,
    stable_failed: float,
    *,
    design_effect: float,
    confidence: float,
    picked_from: int = 1,
) -> Estimate:
    """The ends are the ratios that the mixture over effects would speak against at every look with this confidence,
    each by itself; so "at least" agrees with the verdict. `picked_from`: the lower end is of the worst of so many
    ratios, and widened for that."""
    if not canary_failed + stable_failed:
        return Estimate(None, None, None, confidence)
    likelihood = Likelihood(curve, canary_failed, design_effect)
    best = likelihood.highest()
    value = None if not stable_failed else (0.0 if not canary_failed else math.exp(best))
    enough = needed(1 - confidence)
    lower = _end(likelihood, best, 1, enough + math.log(picked_from))
    upper = _end(likelihood, best, -1, enough)
    return Estimate(value, lower, upper, confidence)


def _end(likelihood: Likelihood, best: float, side: int, enough: float) -> float | None:
    """The ratio farthest from the estimate on one side that the evidence does not exclude. The evidence falls
    towards the estimate, since the log likelihood is concave."""

    def spare(t: float) -> float:
        here = likelihood(t)
        return mixed([likelihood(max(-REACH, min(t + side * d, REACH))) - here for d in EFFECTS]) - enough

    outer, inner = -side * REACH, best
    if spare(outer) < 0:
        return None
    for _ in range(16):
        middle = (outer + inner) / 2
        outer, inner = (middle, inner) if spare(middle) >= 0 else (outer, middle)
    return math.exp(outer)
