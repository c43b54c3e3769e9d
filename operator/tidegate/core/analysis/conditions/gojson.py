"""Values as Go writes them: `string(x)` (fmt's %v) and `toJSON(x)` (encoding/json, indented by two)."""

from __future__ import annotations

import math
from typing import Any, Final

import orjson

from tidegate.core.analysis.conditions.errors import MAX_DEPTH, ConditionError, Meter, too_deep
from tidegate.core.analysis.conditions.values import LISTS, MAPS, admit, describe, is_nil

_JSON_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def parse(text: str) -> Any:
    """Go's json.Unmarshal into any: every number is a float."""
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ConditionError("this text is not JSON") from None
    value, _ = admit(parsed)
    _refuse_infinity(value)
    return value


def _refuse_infinity(value: Any) -> None:
    pending = [value]
    while pending:
        one = pending.pop()
        if type(one) is list:
            pending.extend(one)
        elif type(one) is dict:
            pending.extend(one.values())
        elif type(one) is float and math.isinf(one):
            raise ConditionError("this JSON holds a number that is too large")


def show(meter: Meter, value: Any, depth: int = 0) -> str:
    """Go's fmt.Sprintf("%v")."""
    if value is None:
        return "<nil>"
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is float:
        return _show_float(value)
    if type(value) is int:
        return str(value)
    if depth > MAX_DEPTH:
        raise too_deep()
    meter.visit(len(value))
    if type(value) in LISTS:
        shown = "[" + " ".join(show(meter, one, depth + 1) for one in value) + "]"
    else:
        entries = sorted(value.items(), key=_key_order)
        inner = " ".join(f"{show(meter, key, depth + 1)}:{show(meter, one, depth + 1)}" for key, one in entries)
        shown = f"map[{inner}]"
    meter.grow(len(shown))
    return shown


def _key_order(entry: tuple[Any, Any]) -> tuple[int, Any]:
    """Go's order of map keys: by kind, then by value."""
    key = entry[0]
    kinds = (type(None), bool, int, float, str)
    return kinds.index(type(key)), key if key is not None else 0


def _show_float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return _shortest(value, -4, 6)


def _shortest(value: float, lowest: int, highest: int) -> str:
    """The shortest digits that read back as the value; with an exponent below `lowest` and from `highest` on."""
    mantissa, _, exponent_text = f"{value!r}e0".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    exponent = int(exponent_text.removesuffix("e0") or "0")
    digits = (whole + fraction).lstrip("0")
    if not digits.rstrip("0"):
        return sign + "0"
    point = len(whole) + exponent - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    scale = point - 1
    if scale < lowest or scale >= highest:
        head = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        return f"{sign}{head}e{'-' if scale < 0 else '+'}{abs(scale):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return sign + digits + "0" * (point - len(digits))
    return f"{sign}{digits[:point]}.{digits[point:]}"


def write(meter: Meter, value: Any, depth: int = 0) -> str:
    """Go's json.MarshalIndent(value, "", "  ")."""
    if is_nil(value):
        return "null"
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is str:
        return _write_text(value)
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return _write_float(value)
    if depth > MAX_DEPTH:
        raise too_deep()
    meter.visit(len(value))
    if type(value) in LISTS:
        parts = [write(meter, one, depth + 1) for one in value]
        return _enclose(meter, "[", parts, "]", depth)
    if type(value) in MAPS and type(value) is not dict:
        raise ConditionError(f"toJSON cannot write {describe(value)} whose keys may be no texts")
    parts = [f"{_write_text(key)}: {write(meter, value[key], depth + 1)}" for key in sorted(value)]
    return _enclose(meter, "{", parts, "}", depth)


def _enclose(meter: Meter, opening: str, parts: list[str], closing: str, depth: int) -> str:
    if not parts:
        return opening + closing
    indent = "\n" + "  " * depth
    inner = f",{indent}  ".join(parts)
    meter.grow(len(inner))
    return f"{opening}{indent}  {inner}{indent}{closing}"


def _write_float(value: float) -> str:
    if not math.isfinite(value):
        raise ConditionError("JSON has no NaN and no infinity")
    written = _shortest(value, -6, 21)
    if "e" in written:
        # encoding/json writes e-9, not e-09
        head, _, scale = written.partition("e")
        written = f"{head}e{scale[0]}{scale[1:].lstrip('0') if scale[0] == '-' else scale[1:]}"
    return written


def _write_text(text: str) -> str:
    return '"' + "".join(_write_char(char) for char in text) + '"'


def _write_char(char: str) -> str:
    if char in _JSON_ESCAPES:
        return _JSON_ESCAPES[char]
    if char < " " or char in "<>&\u2028\u2029":
        return f"\\u{ord(char):04x}"
    return "\ufffd" if "\ud800" <= char <= "\udfff" else char
