"""Numbers as Argo Rollouts shows them in a measurement: Go's shortest decimal form, never an exponent.

`kubectl argo rollouts get` and dashboards show these texts verbatim, so a run that changes operators midway
must not change its handwriting.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal


def show_number(value: float) -> str:
    """The text of Go's `strconv.FormatFloat(value, 'f', -1, 64)`: `0.95`, `1`, `NaN`, `+Inf`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    shortest = repr(float(value))
    if "e" in shortest:
        shortest = format(Decimal(shortest), "f")
    return shortest.removesuffix(".0")


def show_vector(values: Iterable[float]) -> str:
    """Several numbers as one measurement: `[0.95,1]`."""
    return "[" + ",".join(show_number(value) for value in values) + "]"
