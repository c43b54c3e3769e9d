"""What every custom resource is built from: the forms of a field and how a model reads JSON.

The models are pydantic dataclasses with slots rather than `BaseModel`s. The operator keeps one per object of
the cluster, and an instance without a `__dict__` and without a set of given fields takes about a fifth of the
memory.

JSON types are read strictly: a weight of "10" is a mistake to name, not a 10. A field is left out by leaving
it out or by null, as everywhere in Kubernetes.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import ConfigDict, Field, Strict, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

MAX_INT32: Final = 2**31 - 1

SPEC: Final = ConfigDict(
    alias_generator=to_camel,
    extra="forbid",
    validate_by_alias=True,
    validate_by_name=True,
    serialize_by_alias=True,
)
"""What a user writes: an unknown field is an error. Python code may build a model by its Python names."""

STATUS: Final = ConfigDict(
    alias_generator=to_camel,
    extra="ignore",
    validate_by_alias=True,
    validate_by_name=True,
    serialize_by_alias=True,
)
"""What controllers write: fields of other versions and of other controllers are passed over."""

_DURATION: Final = re.compile(r"0|[-+]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|ms|s|m|h))+")
_DURATION_PART: Final = re.compile(r"([0-9.]+)([a-zµ]+)")
_UNIT_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MAX_SECONDS: Final = 2**63 / 1e9
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,10}")
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][-+]?[0-9]{1,2})?")
_PERCENT: Final = re.compile(r"([0-9]{1,9})%?")


class _IntOrString:
    """Kubernetes' IntOrString: read as one form, so that a wrong value gives one error and not one for each
    half."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.union_schema(
            [core_schema.int_schema(strict=True, ge=-(2**31), le=MAX_INT32), core_schema.str_schema(strict=True)],
            custom_error_type="int_or_string",
            custom_error_message="must be an integer or a string",
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}


class _NumberOrString:
    """A number that may have a fraction, or text that an argument makes one. A schema has no type for this."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.union_schema(
            [
                core_schema.int_schema(strict=True),
                core_schema.float_schema(strict=True, allow_inf_nan=False),
                core_schema.str_schema(strict=True),
            ],
            custom_error_type="number_or_string",
            custom_error_message="must be a number or a string",
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"x-kubernetes-preserve-unknown-fields": True}


Str = Annotated[str, Strict()]
Bool = Annotated[bool, Strict()]
Int = Annotated[int, Strict(), Field(ge=-(2**31), le=MAX_INT32), WithJsonSchema({"type": "integer", "format": "int32"})]
Natural = Annotated[int, Strict(), Field(ge=0, le=MAX_INT32), WithJsonSchema({"type": "integer", "format": "int32"})]
IntOrString = Annotated[int | str, _IntOrString()]
Number = Annotated[int | float | str, _NumberOrString()]
Time = Annotated[str, Strict(), WithJsonSchema({"type": "string", "format": "date-time"})]
Opaque = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]
StringMap = Annotated[dict[Str, Str], WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}})]


def is_templated(value: object) -> bool:
    """Whether a value still waits for an argument, such as `{{args.count}}`, so that it can't be judged
    yet."""
    return isinstance(value, str) and "{{" in value


def is_duration(text: str) -> bool:
    """Whether text is a duration that Go reads, such as `30s`, `1h30m` or `500ms`, of less than 292 years."""
    if _DURATION.fullmatch(text) is None:
        return False
    return sum(float(n) * _UNIT_SECONDS[unit] for n, unit in _DURATION_PART.findall(text)) < _MAX_SECONDS


def is_time(text: str) -> bool:
    """Whether text is an RFC 3339 time, such as `2026-11-01T10:00:00Z`."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def int_of(value: int | str | None, default: int) -> int:
    """The number that an IntOrString field stands for once its arguments are filled in.

    Raises ValueError for text that is not a whole number.
    """
    if value is None or value == "":
        return default
    if isinstance(value, str) and _INTEGER.fullmatch(value) is None:
        raise ValueError(f"{value!r} is not an integer")
    return int(value)


def number_of(value: float | str | None, default: float) -> float:
    """The number that a field stands for once its arguments are filled in.

    Raises ValueError for text that is not a number.
    """
    if value is None or value == "":
        return default
    if isinstance(value, str) and _NUMBER.fullmatch(value) is None:
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def percent_of(value: int | str) -> int | None:
    """The percentage that an IntOrString gives, or None where it gives a plain number of pods.

    As in Argo Rollouts a string without the sign is a percentage too: "25" means 25%. Raises ValueError for
    other text.
    """
    if isinstance(value, int):
        return None
    match = _PERCENT.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is neither a number of pods nor a percentage such as 25%")
    return int(match[1])


def pods_of(value: int | str, total: int, *, round_up: bool) -> int:
    """The number of pods that an IntOrString stands for, out of `total`.

    Source: GetValueFromIntOrPercent of k8s.io/apimachinery; maxSurge rounds up and maxUnavailable down.
    """
    percent = percent_of(value)
    if percent is None:
        return int(value)
    return -(-percent * total // 100) if round_up else percent * total // 100


def to_raw(model: Any) -> dict[str, Any]:
    """A model as JSON, without the fields that have their default, as Go leaves out what is empty."""
    raw: dict[str, Any] = type(model).__pydantic_serializer__.to_python(
        model, mode="json", by_alias=True, exclude_defaults=True
    )
    return raw
