"""Powers as Go computes them.

Go's math.Pow multiplies by squaring and may differ from C's pow in the last bit, which == would show. Algorithm:
src/math/pow.go, after the FreeBSD and Cephes libraries.
"""

from __future__ import annotations

import math
from typing import Final

_HUGE: Final = 2.0**63


def power_of(base: float, exponent: float) -> float:
    special = _special(base, exponent)
    if special is not None:
        return special
    fraction, whole = math.modf(abs(exponent))
    if fraction and base < 0:
        return math.nan
    if whole >= _HUGE:
        if base == -1:
            return 1.0
        return 0.0 if (abs(base) < 1) == (exponent > 0) else math.inf
    product, scale = 1.0, 0
    if fraction:
        if fraction > 0.5:
            fraction -= 1
            whole += 1
        product = math.exp(fraction * math.log(base))
    square, square_scale = math.frexp(base)
    times = int(whole)
    while times:
        if not -(1 << 12) <= square_scale <= 1 << 12:
            scale += square_scale
            break
        if times & 1:
            product *= square
            scale += square_scale
        square *= square
        square_scale <<= 1
        if square < 0.5:
            square += square
            square_scale -= 1
        times >>= 1
    if exponent < 0:
        product, scale = 1 / product, -scale
    try:
        return math.ldexp(product, scale)
    except OverflowError:
        return math.copysign(math.inf, product)


def _special(base: float, exponent: float) -> float | None:
    if exponent == 0 or base == 1:
        return 1.0
    if exponent == 1:
        return base
    if math.isnan(base) or math.isnan(exponent):
        return math.nan
    if base == 0:
        odd = math.copysign(1.0, base) < 0 and _is_odd(exponent)
        if exponent < 0:
            return -math.inf if odd else math.inf
        return base if odd else 0.0
    if math.isinf(exponent):
        if base == -1:
            return 1.0
        return 0.0 if (abs(base) < 1) == (exponent > 0) else math.inf
    if math.isinf(base):
        if base < 0:
            return power_of(-0.0, -exponent)
        return 0.0 if exponent < 0 else math.inf
    if exponent == 0.5:
        return math.sqrt(base) if base >= 0 else math.nan
    if exponent == -0.5:
        return 1 / math.sqrt(base) if base >= 0 else math.nan
    return None


def _is_odd(number: float) -> bool:
    return abs(number) < 2.0**53 and number == math.trunc(number) and int(number) % 2 == 1
