"""Numbers as Argo Rollouts shows them in a measurement: Go's shortest decimal form, never an exponent.

`kubectl argo rollouts get` and dashboards show these texts verbatim, so a run that changes operators midway
must not change its handwriting.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import orjson

_LARGEST_WHOLE: Final = 2.0**53


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


def show_json(value: object) -> str:
    """JSON as Go writes it: keys in order, no spaces, and whole numbers without a fraction."""
    return orjson.dumps(_whole(value), option=orjson.OPT_SORT_KEYS).decode()


def _whole(value: object) -> object:
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WHOLE:
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return value
