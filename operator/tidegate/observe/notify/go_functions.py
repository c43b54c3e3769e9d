"""The functions that templates call: Go's own, and the commonest of the sprig library that Argo's templates have.

Functions take their arguments in Go's order, so in a pipeline the value comes last.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from tidegate.observe.notify.go_syntax import TemplateError

_VERB: Final = re.compile(r"%([-+0 ]*)(\d*)(?:\.(\d+))?([a-zA-Z%])")
_LONGEST: Final = 100_000
_NOTHING: Final = "<no value>"


def shown(value: Any) -> str:
    """A value as Go prints it (`%v`); whole numbers always plainly, where Go may write a million as 1e+06."""
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{shown(value[key])}" for key in sorted(value)) + "]"
    return "[" + " ".join(map(shown, value)) + "]"


def truth(value: Any) -> bool:
    """Whether `if` takes a value for true: all but false, zero, nil and what is empty."""
    return bool(value)


def _number(value: float) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def _same(left: Any, *others: Any) -> bool:
    if not others:
        raise TemplateError("eq takes at least two values")
    return any(isinstance(left, bool) == isinstance(other, bool) and left == other for other in others)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ordered(left: Any, right: Any) -> bool:
        try:
            return compare(left, right)
        except TypeError:
            raise TemplateError("values of different types can't be compared") from None

    return ordered


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, Sequence) and isinstance(key, int | float):
            if not 0 <= key < len(value):
                raise TemplateError(f"index {shown(key)} is out of range")
            value = value[int(key)]
        elif value is not None:
            raise TemplateError("index takes a map or a list")
    return value


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping | Sequence):
        return len(value)
    raise TemplateError("len takes a text, a list or a map")


def _printf(form: Any, *values: Any) -> str:
    rest = list(values)

    def one(found: re.Match[str]) -> str:
        flags, width, places, verb = found.groups()
        if verb == "%":
            return "%"
        if not rest:
            return f"%!{verb}(MISSING)"
        value = rest.pop(0)
        if verb in "vs":
            text = shown(value)
        elif verb == "q":
            text = json.dumps(shown(value), ensure_ascii=False)
        elif verb == "d" and isinstance(value, int | float):
            text = str(int(value))
        elif verb in "feg" and isinstance(value, int | float):
            text = f"{value:.{places or 6}{verb}}"
        elif verb == "t" and isinstance(value, bool):
            text = shown(value)
        else:
            raise TemplateError(f"printf can't print this value with %{verb}")
        size = min(int(width or 0), 1000)
        return text.ljust(size) if "-" in flags else text.rjust(size, "0" if "0" in flags else " ")

    return _VERB.sub(one, str(form))


def _print(*values: Any) -> str:
    """Go puts a space between two values of which neither is a text."""
    told = ""
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            told += " "
        told += shown(value)
    return told


def _text(of: Callable[..., str]) -> Callable[..., str]:
    """A function of texts; anything else is shown as a text first."""

    def applied(*values: Any) -> str:
        made = of(*(value if isinstance(value, int) else shown(value) for value in values))
        if len(made) > _LONGEST:
            raise TemplateError(f"the text grows beyond {_LONGEST} characters")
        return made

    return applied


def _sum(*values: Any) -> int:
    return sum(map(_whole, values))


def _whole(value: Any) -> int:
    """sprig's arithmetic is on whole numbers, and what is none counts as zero."""
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def _divided(left: Any, right: Any) -> int:
    divisor = _whole(right)
    if not divisor:
        raise TemplateError("division by zero")
    return int(_whole(left) / divisor)


def _json(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=None if indent else (",", ":"), default=dict)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "eq": _same,
    "ne": lambda left, right: not _same(left, right),
    "lt": _ordered(lambda left, right: left < right),
    "le": _ordered(lambda left, right: left <= right),
    "gt": _ordered(lambda left, right: left > right),
    "ge": _ordered(lambda left, right: left >= right),
    "not": lambda value: not truth(value),
    "len": _length,
    "index": _index,
    "print": _print,
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
    "printf": _printf,
    "urlquery": lambda *values: quote(_print(*values), safe="").replace("%20", "+"),
    "js": lambda *values: json.dumps(_print(*values), ensure_ascii=False)[1:-1].replace("'", "\\'"),
    "add": _sum,
    "add1": lambda value: _whole(value) + 1,
    "sub": lambda left, right: _whole(left) - _whole(right),
    "mul": lambda *values: math.prod(map(_whole, values)),
    "div": _divided,
    "int": _whole,
    "int64": _whole,
    "toString": shown,
    "default": lambda otherwise, value=None: value if truth(value) else otherwise,
    "coalesce": lambda *values: next((value for value in values if truth(value)), None),
    "ternary": lambda yes, no, value: yes if value else no,
    "empty": lambda value: not truth(value),
    "hasKey": lambda value, key: isinstance(value, Mapping) and key in value,
    "get": lambda value, key: value.get(key, "") if isinstance(value, Mapping) else "",
    "upper": _text(str.upper),
    "lower": _text(str.lower),
    "title": _text(lambda text: re.sub(r"\b\w", lambda found: found[0].upper(), text)),
    "trim": _text(str.strip),
    "trimPrefix": _text(lambda prefix, text: text.removeprefix(prefix)),
    "trimSuffix": _text(lambda suffix, text: text.removesuffix(suffix)),
    "replace": _text(lambda old, new, text: text.replace(old, new)),
    "quote": _text(lambda *texts: " ".join(json.dumps(text, ensure_ascii=False) for text in texts)),
    "squote": _text(lambda *texts: " ".join(f"'{text}'" for text in texts)),
    "trunc": _text(lambda count, text: text[:count] if count >= 0 else text[count:]),
    "contains": lambda part, text: shown(part) in shown(text),
    "hasPrefix": lambda prefix, text: shown(text).startswith(shown(prefix)),
    "hasSuffix": lambda suffix, text: shown(text).endswith(shown(suffix)),
    "join": lambda by, values: shown(by).join(map(shown, values or ())),
    "first": lambda values: values[0] if values else None,
    "last": lambda values: values[-1] if values else None,
    "toJson": _json,
    "toPrettyJson": lambda value: _json(value, 2),
}

SHORT: Final = frozenset(("and", "or"))
"""Functions that stop at the first argument that settles them."""
