"""Numbers that look drawn, and are computed: forecasts and splits are the same every time they are asked for."""

import math
from collections.abc import Iterator
from statistics import NormalDist

_MASK = (1 << 64) - 1
_NORMAL = NormalDist()


def uniforms(seed: int) -> Iterator[float]:
    """In (0, 1), without end: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    state = seed & _MASK
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        yield (((z ^ (z >> 31)) >> 11) + 0.5) / (1 << 53)


def poisson(mean: float, uniform: float) -> int:
    """The Poisson quantile: exact up to a mean of 40, beyond by Cornish and Fisher's expansion to its second term."""
    if mean > 40:
        z = _NORMAL.inv_cdf(uniform)
        return max(0, math.floor(mean + z * math.sqrt(mean) + (z * z - 1) / 6 + 0.5))
    chance = math.exp(-mean)
    sum_so_far, k = chance, 0
    while sum_so_far < uniform and k < 400:
        k += 1
        chance *= mean / k
        sum_so_far += chance
    return k


def wilson(hits: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a share (JASA 22, 1927)."""
    if not of:
        return 0.0, 1.0
    z = _NORMAL.inv_cdf((1 + confidence) / 2)
    share, spread = hits / of, z * z / of
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, centre - half), min(1.0, centre + half)
