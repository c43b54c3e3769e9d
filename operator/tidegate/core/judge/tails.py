"""E-values for the share of requests that are slower than a bucket's edge, with the full precision of binomial counts.

In one look let C of N canary requests and B of M stable ones be slower than the edge. The hypothesis "the canary's
share is at most rho times stable's" is the half plane a <= rho b of possible pairs of shares. Take any point (rho
s, s) on its border and any (a, b) beyond it such that, at the border point, the gradient of the Kullback-Leibler
divergence stands at right angles to the border:

    N (a - rho s) rho / (rho s (1 - rho s)) + M (b - s) / (s (1 - s)) = 0.

Then the ratio of the likelihoods of (a, b) and (rho s, s) is an e-value against every point of the half plane
(Turner, Ly and Gruenwald, Generic E-variables for exact sequential k-sample tests that allow for optional stopping,
JSPI 230, 2024). In short: the expected ratio at (a', b') is (affine in a')^N (affine in b')^M, so its logarithm is
concave; at the border point it is 0 and its gradient has no component along the border and points outwards, so it
is at most 0 in the half plane.

`s` is a guess of stable's share from the looks before. A bad guess costs power, never validity, so drift does no
harm; with s -> 0 this is the test of `counts`. The same holds against the other half plane, a >= rho b.
"""

import math

_NO_GUESS = 1e-9


def border(guess: float, rho: float) -> float:
    """A usable guess of stable's share: inside (0, 1) and so that rho times it is too."""
    return min(max(guess, _NO_GUESS), 0.9, 0.9 / rho)


def log_e(
    slow: float, canary: float, stable_slow: float, stable: float, *, guess: float, rho: float, ratio: float
) -> float:
    """Against a <= rho b if ratio > rho, against a >= rho b if ratio < rho; at a pair whose shares have that ratio,
    or as near to it as shares can be."""
    s = border(guess, rho)
    a0 = rho * s
    # b = s - k (a - a0), from the right angle; a = ratio * b.
    k = canary / stable * (1 - s) / (1 - a0)
    step = s * (ratio - rho) / (1 + ratio * k)
    step = min(step, 0.9 * (1 - a0)) if step > 0 else max(step, -0.9 * (1 - s) / k)
    a, b = a0 + step, s - k * step
    return (
        slow * math.log(a / a0)
        + (canary - slow) * math.log1p(-step / (1 - a0))
        + stable_slow * math.log(b / s)
        + (stable - stable_slow) * math.log1p(k * step / (1 - s))
    )
