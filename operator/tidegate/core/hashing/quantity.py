"""resource.Quantity: amounts such as `500m`, `1Gi` or `1e3`, written and compared as Kubernetes does.

A quantity that is already canonical keeps its text, any other is rewritten (`1000m` is `1`, `1024Mi` is `1Gi`,
`0.5` is `500m`), and the hash of a template is taken over that text. So the rules of
k8s.io/apimachinery/pkg/api/resource are followed to the letter, also where they are odd: `1.234` is kept, `1.23`
becomes `1230m`. Amounts are held as digits and a power of ten, never expanded, so `1e999999999` costs nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

_Format = Literal["decimal", "exponent", "binary"]

_SHAPE: Final = re.compile(r"([+-]?)0*(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[+-]?\d*)", re.ASCII)
_EXPONENT: Final = re.compile(r"[eE][+-]?\d{1,9}", re.ASCII)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX: Final = {power: suffix for suffix, power in _DECIMAL.items()}
_BINARY_SUFFIX: Final = {power: suffix for suffix, power in _BINARY.items()}

_LARGEST: Final = 2**63 - 1
_LONGEST: Final = 1000  # digits; beyond this a text is an attack, not an amount
_NANO: Final = -9
_MILLI: Final = -3


class Amount(NamedTuple):
    """`digits` times ten to the `power`, without trailing zeros, so that equal amounts are equal tuples."""

    digits: int
    power: int

    def __bool__(self) -> bool:
        return self.digits != 0


ZERO: Final = Amount(0, 0)


def _amount(digits: int, power: int) -> Amount:
    if not digits:
        return ZERO
    text = str(digits)
    zeros = len(text) - len(text.rstrip("0"))
    return Amount(digits // 10**zeros, power + zeros)


def _rounded_up(amount: Amount, power: int) -> Amount:
    """Away from zero to a multiple of ten to the `power`: who asks for little gets a little, not nothing."""
    missing = power - amount.power
    if missing <= 0:
        return amount
    sign = -1 if amount.digits < 0 else 1
    if missing > len(str(abs(amount.digits))):
        return _amount(sign, power)
    return _amount(sign * -(-abs(amount.digits) // 10**missing), power)


class _Quantity(NamedTuple):
    amount: Amount
    format: _Format
    kept: str = ""  # the user's own text where it counts as canonical


def _read(text: str) -> _Quantity:
    shape = _SHAPE.fullmatch(text)
    if not text or not shape or len(text) > _LONGEST:
        raise ValueError(f"{text[:40]!r} is not a quantity such as 500m, 2 or 1Gi")
    sign, whole, fraction, suffix = shape.groups(default="")
    digits = (whole or "0") + fraction
    value = -int(digits) if sign == "-" else int(digits)
    if suffix in _BINARY:
        return _read_binary(text, value, digits, len(fraction), _BINARY[suffix])
    if suffix in _DECIMAL:
        return _read_decimal(text, value, digits, _DECIMAL[suffix] - len(fraction), "decimal")
    if _EXPONENT.fullmatch(suffix):
        return _read_decimal(text, value, digits, int(suffix[1:]) - len(fraction), "exponent")
    raise ValueError(f"{text[:40]!r} ends in {suffix!r}, which is not a unit such as m, k, M, G, Ki, Mi, Gi or e3")


def _read_decimal(text: str, value: int, digits: str, power: int, style: _Format) -> _Quantity:
    if len(digits) <= 18 and power >= _NANO:
        canonical = power % 3 == 0 and not digits.endswith("000") and not digits.startswith("0")
        return _Quantity(_amount(value, power), style, text if canonical else "")
    return _Quantity(_rounded_up(_amount(value, power), _NANO), style)


def _read_binary(text: str, value: int, digits: str, places: int, exponent: int) -> _Quantity:
    if places == 0 and len(digits) + exponent * 3 // 10 <= 14:
        return _Quantity(_amount(value << exponent, 0), "binary", text if value & 7 else "")
    amount = _rounded_up(_amount(value << exponent, -places), _NANO)
    if amount.power >= 0 or abs(amount.digits) > 10**-amount.power:
        sign = -1 if value < 0 else 1
        if abs(amount.digits) * 10 ** max(amount.power, 0) > _LARGEST * 10 ** max(-amount.power, 0):
            amount = _amount(sign * _LARGEST, 0)
        return _Quantity(amount, "binary")
    return _Quantity(amount, "decimal")


@lru_cache(maxsize=512)
def canonical(text: str) -> str:
    """The text that a quantity has in Kubernetes' JSON. Raises ValueError for a text that is no quantity."""
    amount, style, kept = _read(text.strip(" "))
    if not amount:
        return "0"
    if kept:
        return kept
    if style == "binary" and amount.power >= 0:
        whole = amount.digits * 10**amount.power
        if abs(whole) >= 1024:
            return _binary(whole)
    digits = amount.digits * 10 ** (amount.power % 3)
    power = amount.power - amount.power % 3
    if style == "exponent":
        return f"{digits}e{power}" if power else str(digits)
    return f"{digits}{_DECIMAL_SUFFIX.get(power, '')}"  # 1000E is 1 in Kubernetes too


def _binary(whole: int) -> str:
    power = 0
    while abs(whole) >= 1024 and whole % 1024 == 0:
        whole //= 1024
        power += 10
    return f"{whole}{_BINARY_SUFFIX.get(power, '')}"


@lru_cache(maxsize=512)
def amount(text: str) -> Amount:
    """What a quantity amounts to once it is stored, for comparing `1Gi` with `1073741824`. Raises ValueError."""
    return _read(canonical(text)).amount


@lru_cache(maxsize=512)
def resource_amount(text: str) -> Amount:
    """The same in a list of resources, where the API server rounds up to a thousandth. Raises ValueError."""
    return _rounded_up(amount(text), _MILLI)
