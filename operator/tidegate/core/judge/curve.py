"""The likelihood of every ratio at once, in a state that does not grow with looks.

In one look, let the canary receive the share s of the requests and let n requests fail in both arms together, c of
them the canary's. If the canary fails r = exp(t) times as often as stable, whatever stable's rate is, then

    log likelihood(t) = c t - n log(s exp(t) + 1 - s) + constant.

Over looks the first terms add up to one number; the second add up to a smooth function of t, which is kept at the
Chebyshev points of |t| <= log 100. The function is analytic up to distance pi from the real line, so the 40 points
give it between them with a relative error below 1e-10 (L. N. Trefethen, Approximation Theory and Approximation
Practice, theorem 8.2). Shares may differ from look to look as they like.
"""

import math
from collections.abc import Sequence
from operator import mul

REACH = math.log(100.0)
POINTS = 40

_ANGLES = tuple(math.pi * (k + 0.5) / POINTS for k in range(POINTS))
_PLACES = tuple(REACH * math.cos(a) for a in _ANGLES)
_RATIOS_LESS_ONE = tuple(math.expm1(t) for t in _PLACES)
_COSINES = tuple(tuple(2.0 / POINTS * math.cos(j * a) for a in _ANGLES) for j in range(POINTS))

EMPTY = (0.0,) * POINTS


def added(heights: Sequence[float], share: float, failed: float) -> tuple[float, ...]:
    """The curve after a look in which `failed` requests failed in both arms and the canary had this share of all
    requests."""
    if not failed:
        return tuple(heights)
    return tuple(h + failed * math.log1p(share * r) for h, r in zip(heights, _RATIOS_LESS_ONE, strict=True))


class Likelihood:
    """log likelihood as a function of t = log ratio, |t| <= REACH; zero at t = 0.

    `design_effect` divides it: overdispersed counts say less than they seem to.
    """

    __slots__ = ("_coefficients", "_failed", "_slopes", "_zero")

    def __init__(self, heights: Sequence[float], canary_failed: float, design_effect: float = 1.0) -> None:
        self._coefficients = [sum(map(mul, row, heights)) / design_effect for row in _COSINES]
        self._coefficients[0] /= 2
        self._failed = canary_failed / design_effect
        self._slopes = _derivative(self._coefficients)
        self._zero = _series(self._coefficients, 0.0)

    def __call__(self, t: float) -> float:
        return self._failed * t - _series(self._coefficients, t / REACH) + self._zero

    def slope(self, t: float) -> float:
        return self._failed - _series(self._slopes, t / REACH) / REACH

    def highest(self) -> float:
        """The most likely t; an end of the reach where one arm has not failed at all."""
        low, high = -REACH, REACH
        if self.slope(low) <= 0:
            return low
        if self.slope(high) >= 0:
            return high
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.slope(middle) > 0 else (low, middle)
        return (low + high) / 2


def _series(coefficients: Sequence[float], x: float) -> float:
    """Clenshaw's recurrence."""
    one = two = 0.0
    double = 2 * x
    for c in reversed(coefficients):
        one, two = c + double * one - two, one
    return one - x * two


def _derivative(coefficients: Sequence[float]) -> list[float]:
    slopes = [0.0] * (len(coefficients) + 1)
    for k in range(len(coefficients) - 1, 0, -1):
        slopes[k - 1] = slopes[k + 1] + 2 * k * coefficients[k] if k + 1 < len(slopes) else 2 * k * coefficients[k]
    slopes[0] /= 2
    return slopes[: len(coefficients) - 1]
