"""What Go's encoding/json would write for a struct of Kubernetes, from the JSON that the API server sent.

Argo Rollouts names ReplicaSets after the bytes of json.Marshal(template). To find them again, Tidegate must write
the same bytes: fields in the order of the Go struct, unknown ones dropped, empty ones dropped or kept as their
tags say, maps sorted, quantities canonical, `<`, `>` and `&` escaped. Which fields there are comes from the
generated table in `fields`; this module turns a struct of that table into a function, once, at its first use.

Two views of a value are built from the same table. `BYTES` is the JSON form. `MEANING` is for comparing: every
zero value is left out, as apimachinery's semantic DeepEqual does not tell nil from empty, and quantities are
numbers, so that two templates mean the same exactly if their dicts are equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

import orjson

from tidegate.api.problems import Problem
from tidegate.core.hashing import quantity
from tidegate.core.times import format_time, parse_time

Encode = Callable[[Any], Any]


class MalformedError(ValueError):
    """A value that Go could not decode into its struct. `problem` has the path inside what was hashed."""

    def __init__(self, message: str, path: str = "") -> None:
        self.problem = Problem(path, message)
        super().__init__(str(self.problem))

    def inside(self, step: str) -> MalformedError:
        inner = self.problem.path
        joint = "." if inner and not inner.startswith("[") else ""
        return MalformedError(self.problem.message, f"{step}{joint}{inner}")


class _Type(NamedTuple):
    """How to write a Go type: `encode` for a value that is not null, `zero` for a null or missing one."""

    encode: Encode
    zero: Any
    is_pointer: bool = False
    is_struct: bool = False


class _Field(NamedTuple):
    name: str
    encode: Encode
    absent: Any  # what stands there without a value, or _NOTHING
    drop_empty: bool


_NOTHING: Final = object()


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One of the two ways to look at a value."""

    leaves: Mapping[str, _Type]
    resources: _Type
    drops_every_zero: bool


def _mismatch(wanted: str, value: object) -> MalformedError:
    return MalformedError(f"is {_brief(value)}, but must be {wanted}")


def _brief(value: object) -> str:
    match value:
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            text = repr(value)
            return text if len(text) <= 40 else text[:40] + "…"


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _mismatch("a string", value)
    return value


def _bool(value: Any) -> bool:
    if value is True or value is False:
        return value
    raise _mismatch("true or false", value)


def _integer(bits: int) -> Encode:
    limit = 1 << (bits - 1)

    def encode(value: Any) -> int:
        if type(value) is int and -limit <= value < limit:
            return value
        raise _mismatch(f"a whole number of {bits} bits", value)

    return encode


_int32 = _integer(32)


def _int_or_string(value: Any) -> int | str:
    return value if isinstance(value, str) else _int32(value)


def _time(value: Any) -> str | None:
    """metav1.Time: UTC in whole seconds. The zero time is null."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise _mismatch("a time such as 2006-01-02T15:04:05Z", value)
    try:
        moment = parse_time(value)
    except (ValueError, OverflowError):
        raise _mismatch("a time such as 2006-01-02T15:04:05Z", value) from None
    return None if moment == _ZERO_TIME else format_time(moment)


_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_ZERO_TIME: Final = datetime.fromisoformat("0001-01-01T00:00:00Z")


def _raw(value: Any) -> Any:
    """json.RawMessage: the server's own text, which has sorted keys and Go's way with numbers."""
    if isinstance(value, Mapping):
        return {key: _raw(item) for key, item in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_raw(item) for item in value]
    if isinstance(value, float):
        return orjson.Fragment(_float(value))
    return value


def _float(value: float) -> str:
    """The shortest digits, with an exponent only below 1e-6 and from 1e21 on."""
    if value and not 1e-6 <= abs(value) < 1e21:
        return re.sub(r"e([+-])0", r"e\1", repr(value))
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def _quantity(write: Callable[[str], Any]) -> Encode:
    def encode(value: Any) -> Any:
        if isinstance(value, str):
            text = value
        elif type(value) is int:
            text = str(value)
        elif isinstance(value, float):
            text = _float(value)
        else:
            raise _mismatch("a quantity such as 500m, 2 or 1Gi", value)
        try:
            return write(text)
        except ValueError as error:
            raise MalformedError(str(error)) from None

    return encode


_SCALARS: Final = {
    "string": _Type(_string, ""),
    "bool": _Type(_bool, False),
    "int32": _Type(_int32, 0),
    "int64": _Type(_integer(64), 0),
    "intorstring": _Type(_int_or_string, 0, is_struct=True),
    "time": _Type(_time, None, is_struct=True),
    "raw": _Type(_raw, None, is_pointer=True),
}
_PLAIN: Final = _Type(lambda value: value, None, is_pointer=True)
_TEXT: Final = _Type(_quantity(quantity.canonical), "0", is_struct=True)
_AMOUNT: Final = _Type(_quantity(quantity.amount), quantity.ZERO, is_struct=True)
_RESOURCE: Final = _Type(_quantity(quantity.resource_amount), quantity.ZERO, is_struct=True)

BYTES: Final = View({**_SCALARS, "quantity": _TEXT}, _TEXT, drops_every_zero=False)
MEANING: Final = View({**_SCALARS, "quantity": _AMOUNT, "raw": _PLAIN}, _RESOURCE, drops_every_zero=True)


def _list(item: _Type) -> _Type:
    one, zero = item.encode, item.zero

    def encode(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise _mismatch("a list", value)
        out = []
        try:
            for each in value:
                out.append(zero if each is None else one(each))  # noqa: PERF401 - its length is the index below
        except MalformedError as error:
            raise error.inside(f"[{len(out)}]") from None
        return out

    return _Type(encode, None)


def _map(item: _Type) -> _Type:
    one, zero = item.encode, item.zero

    def encode(value: Any) -> dict[str, Any]:
        if type(value) is not dict and not isinstance(value, Mapping):
            raise _mismatch("an object", value)
        out = {}
        key = ""
        try:
            for key in sorted(value):
                each = value[key]
                out[key] = zero if each is None else one(each)
        except MalformedError as error:
            raise error.inside(f"[{key!r}]") from None
        return out

    return _Type(encode, None)


def _struct(fields: list[_Field]) -> _Type:
    def encode(value: Any) -> dict[str, Any]:
        if type(value) is not dict and not isinstance(value, Mapping):
            raise _mismatch("an object", value)
        out = {}
        get = value.get
        name = ""
        try:
            for name, one, absent, drop_empty in fields:
                given = get(name)
                if given is None:
                    if absent is not _NOTHING:
                        out[name] = absent
                    continue
                written = one(given)
                if written or not drop_empty:
                    out[name] = written
        except MalformedError as error:
            raise error.inside(name) from None
        return out

    return _Type(encode, encode({}), is_struct=True)


@cache
def encoder(struct: str, view: View) -> Encode:
    """The function that turns a struct's JSON object into its view: a new dict, in Go's order of fields."""
    return _compile(struct, view, dict(_structs()), dict(view.leaves)).encode


def _structs() -> Iterator[tuple[str, list[str]]]:
    from tidegate.core.hashing.fields import TABLE  # noqa: PLC0415 - needed once, and only where hashes are

    lines: list[str] = []
    for line in TABLE.splitlines():
        if line.startswith(" "):
            lines.append(line)
        else:
            lines = []
            yield line, lines


def _compile(kind: str, view: View, structs: Mapping[str, list[str]], done: dict[str, _Type]) -> _Type:
    if kind == "{}quantity":
        return _map(view.resources)
    match kind[:2]:
        case "[]":
            return _list(_compile(kind[2:], view, structs, done))
        case "{}":
            return _map(_compile(kind[2:], view, structs, done))
    if kind.startswith("*"):
        return _Type(_compile(kind[1:], view, structs, done).encode, None, is_pointer=True)
    if kind not in done:
        done[kind] = _struct([_field(line, view, structs, done) for line in structs[kind]])
    return done[kind]


def _field(line: str, view: View, structs: Mapping[str, list[str]], done: dict[str, _Type]) -> _Field:
    name, kind = line.split()
    omit_empty, omit_zero = kind.endswith("?"), kind.endswith("!")
    of = _compile(kind.rstrip("?!"), view, structs, done)
    if of.is_pointer:
        # encoding/json takes an empty RawMessage, which has no JSON to come from, and a nil pointer for empty
        keeps_null = not omit_empty and not view.drops_every_zero
        reads_back_as_nil = view.drops_every_zero and "*time" in kind
        return _Field(name, of.encode, None if keeps_null else _NOTHING, drop_empty=reads_back_as_nil)
    if view.drops_every_zero or omit_zero:
        return _Field(name, of.encode, _NOTHING, drop_empty=True)
    if omit_empty and not of.is_struct:
        return _Field(name, of.encode, _NOTHING, drop_empty=True)
    return _Field(name, of.encode, of.zero, drop_empty=False)


_ESCAPES: Final = (
    (b"&", b"\\u0026"),
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def dump(view: object) -> bytes:
    """Write a `BYTES` view as encoding/json does: compact, and safe to stand in HTML."""
    data = orjson.dumps(view)
    for plain, escaped in _ESCAPES:
        if plain in data:
            data = data.replace(plain, escaped)
    return data
