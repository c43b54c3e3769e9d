"""Has there been enough traffic for a verdict? Whether one came is another question.

The answer is that of a canary exactly as good as stable: would it have been found safe with the requests that there
were? If not, nothing but more traffic can settle anything, and no end of the planned time is a reason to decide.
"""

from dataclasses import replace

from . import counts, distribution, samples
from .curve import EMPTY, added
from .finding import Peak

_IMAGINED = 6
"""Looks at most that the requests are imagined to have come in. As `Scatter` trusts a few looks less than many, this
asks for a little more traffic than the real looks needed; the work for a state does not grow with its looks."""


def for_counts(parameters: counts.CountsParameters, state: counts.CountsState) -> bool:
    """Whether counts of these two arms could have come to a verdict."""
    total = state.canary.total + state.stable.total
    if not state.canary.total or not state.stable.total:
        return False
    bad = state.canary.bad + state.stable.bad
    alike = replace(
        state,
        canary=counts.Tally(bad / total * state.canary.total, state.canary.total),
        stable=counts.Tally(bad / total * state.stable.total, state.stable.total),
        curve=added(EMPTY, state.canary.total / total, bad),
        favour=Peak(),
    )
    nothing = counts.CountsLook(counts.Tally(), counts.Tally())
    return counts.observe(parameters, alike, nothing).favour.crossed is not None


def for_distribution(parameters: distribution.DistributionParameters, state: distribution.DistributionState) -> bool:
    """Whether histograms of these two arms could have come to a verdict. More requests don't help where the buckets
    are too coarse for that: then there have been enough."""
    if distribution.too_coarse(parameters, state):
        return True
    if not state.canary_total or not state.stable_total:
        return False
    total = state.canary_total + state.stable_total
    parts = min(state.looks, _IMAGINED)
    slow = [(edge.canary_slow + edge.stable_slow) / total for edge in state.at_edges]

    def alike(requests: float) -> distribution.Histogram:
        return distribution.Histogram(requests / parts, tuple(requests / parts * (1 - share) for share in slow))

    look = distribution.DistributionLook(state.edges, alike(state.canary_total), alike(state.stable_total))
    imagined = distribution.DistributionState()
    for _ in range(parts):
        imagined = distribution.observe(parameters, imagined, look)
    return imagined.favour.crossed is not None


def for_samples(state: samples.SamplesState) -> bool:
    """Whether gauges have been seen often enough: here it is looks that are few, and pods, not requests."""
    return state.compared >= samples.FEWEST_LOOKS
