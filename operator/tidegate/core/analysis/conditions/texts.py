"""The builtins on texts, as Go's strings package does them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final

from tidegate.core.analysis.conditions.errors import ConditionError, Meter
from tidegate.core.analysis.conditions.lexer import SPACES
from tidegate.core.analysis.conditions.values import NilTexts, Texts, describe, to_bytes, to_int, to_text

_SPACES: Final = "".join(SPACES)


def text(value: Any, use: str) -> str:
    if type(value) is str:
        return value
    raise ConditionError(f"{use} takes a text, not {describe(value)}")


def length(value: str) -> int:
    """In characters."""
    return len(value)


def join(meter: Meter, values: Any, glue: Any) -> str:
    glue = text(glue, "join")
    meter.visit(len(values))
    meter.grow(sum(len(text(value, "join")) + len(glue) for value in values))
    return str(glue.join(values))


def _trim(_: Meter, value: Any, characters: Any = _SPACES) -> str:
    return text(value, "trim").strip(text(characters, "trim"))


def _trim_prefix(_: Meter, value: Any, prefix: Any = " ") -> str:
    return text(value, "trimPrefix").removeprefix(text(prefix, "trimPrefix"))


def _trim_suffix(_: Meter, value: Any, suffix: Any = " ") -> str:
    return text(value, "trimSuffix").removesuffix(text(suffix, "trimSuffix"))


def _upper(_: Meter, value: Any) -> str:
    return _each(text(value, "upper"), str.upper)


def _lower(_: Meter, value: Any) -> str:
    return _each(text(value, "lower"), str.lower)


def _each(value: str, case: Callable[[str], str]) -> str:
    """Go maps character by character, and keeps one that would become two."""
    if value.isascii():
        return case(value)
    return "".join(mapped if len(mapped := case(char)) == 1 else char for char in value)


def _split(_: Meter, value: Any, separator: Any, limit: Any = -1) -> Texts:
    return _pieces(text(value, "split"), text(separator, "split"), to_int(limit), False)


def _split_after(_: Meter, value: Any, separator: Any, limit: Any = -1) -> Texts:
    return _pieces(text(value, "splitAfter"), text(separator, "splitAfter"), to_int(limit), True)


def _pieces(value: str, separator: str, limit: int, keep: bool) -> Texts:
    """At most `limit` pieces, all if it is negative, a nil list if it is 0. No separator splits every character."""
    if limit == 0:
        return NilTexts()
    if not separator:
        count = len(value) if limit < 0 else min(limit, len(value))
        return Texts([*value[: count - 1], value[count - 1 :]]) if count else Texts()
    pieces = value.split(separator, limit - 1 if limit > 0 else -1)
    if keep:
        pieces[:-1] = [piece + separator for piece in pieces[:-1]]
    return Texts(pieces)


def _replace(meter: Meter, value: Any, old: Any, new: Any, limit: Any = -1) -> str:
    value, old, new, limit = text(value, "replace"), text(old, "replace"), text(new, "replace"), to_int(limit)
    times = value.count(old) if limit < 0 else min(limit, value.count(old))
    meter.grow(times * len(new))
    return str(value.replace(old, new, max(limit, -1)))


def _repeat(meter: Meter, value: Any, count: Any) -> str:
    value, times = text(value, "repeat"), to_int(count)
    if times < 0:
        raise ConditionError("repeat cannot repeat a text fewer than 0 times")
    meter.grow(max(times, len(value) * times))
    return str(value * times)


def _index_of(_: Meter, value: Any, part: Any) -> int:
    return to_bytes(text(value, "indexOf")).find(to_bytes(text(part, "indexOf")))


def _last_index_of(_: Meter, value: Any, part: Any) -> int:
    return to_bytes(text(value, "lastIndexOf")).rfind(to_bytes(text(part, "lastIndexOf")))


def _has_prefix(_: Meter, value: Any, prefix: Any) -> bool:
    return text(value, "hasPrefix").startswith(text(prefix, "hasPrefix"))


def _has_suffix(_: Meter, value: Any, suffix: Any) -> bool:
    return text(value, "hasSuffix").endswith(text(suffix, "hasSuffix"))


def _to_base64(meter: Meter, value: Any) -> str:
    meter.grow(2 * len(text(value, "toBase64")))
    return base64.b64encode(to_bytes(text(value, "toBase64"))).decode()


def _from_base64(_: Meter, value: Any) -> str:
    encoded = text(value, "fromBase64").replace("\n", "").replace("\r", "")
    try:
        return to_text(base64.b64decode(encoded.encode(), validate=True))
    except (binascii.Error, UnicodeEncodeError):
        raise ConditionError("this text is not base64") from None


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "trim": _trim,
    "trimPrefix": _trim_prefix,
    "trimSuffix": _trim_suffix,
    "upper": _upper,
    "lower": _lower,
    "split": _split,
    "splitAfter": _split_after,
    "replace": _replace,
    "repeat": _repeat,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "hasPrefix": _has_prefix,
    "hasSuffix": _has_suffix,
    "toBase64": _to_base64,
    "fromBase64": _from_base64,
}
