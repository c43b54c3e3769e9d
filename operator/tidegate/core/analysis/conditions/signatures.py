"""Which arguments the builtins accept, as expr's checker decides it (builtin/builtin.go, checker/checker.go)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tidegate.core.analysis.conditions.errors import ConditionError
from tidegate.core.analysis.conditions.gotypes import (
    ANY,
    ANY_MAP,
    BOOL,
    FLOAT,
    INT,
    INT64,
    INTS,
    LIST,
    NIL,
    NUMBERS,
    TEXT,
    TEXTS,
    UNKNOWN,
    VECTOR,
    Type,
)

Signature = tuple[tuple[Type, ...], Type]

SIGNATURES: Final[dict[str, tuple[Signature, ...]]] = {
    "type": (((ANY,), TEXT),),
    "string": (((ANY,), TEXT),),
    "trim": (((TEXT,), TEXT), ((TEXT, TEXT), TEXT)),
    "trimPrefix": (((TEXT, TEXT), TEXT), ((TEXT,), TEXT)),
    "trimSuffix": (((TEXT, TEXT), TEXT), ((TEXT,), TEXT)),
    "upper": (((TEXT,), TEXT),),
    "lower": (((TEXT,), TEXT),),
    "split": (((TEXT, TEXT), TEXTS), ((TEXT, TEXT, INT), TEXTS)),
    "splitAfter": (((TEXT, TEXT), TEXTS), ((TEXT, TEXT, INT), TEXTS)),
    "replace": (((TEXT, TEXT, TEXT, INT), TEXT), ((TEXT, TEXT, TEXT), TEXT)),
    "repeat": (((TEXT, INT), TEXT),),
    "join": (((TEXTS, TEXT), TEXT), ((LIST, TEXT), TEXT), ((LIST,), TEXT), ((TEXTS,), TEXT)),
    "indexOf": (((TEXT, TEXT), INT),),
    "lastIndexOf": (((TEXT, TEXT), INT),),
    "hasPrefix": (((TEXT, TEXT), BOOL),),
    "hasSuffix": (((TEXT, TEXT), BOOL),),
    "toJSON": (((ANY,), TEXT),),
    "fromJSON": (((TEXT,), ANY),),
    "toBase64": (((TEXT,), TEXT),),
    "fromBase64": (((TEXT,), TEXT),),
    "sort": tuple(
        signature for one in (LIST, INTS, VECTOR, TEXTS) for signature in (((one, TEXT), LIST), ((one,), LIST))
    ),
    **dict.fromkeys(("bitand", "bitor", "bitxor", "bitnand", "bitshl", "bitshr", "bitushr"), (((INT, INT), INT),)),
    "bitnot": (((INT,), INT),),
}
"""Builtins with overloads: the first one that fits decides the type."""

ENVIRONMENT_SIGNATURES: Final[dict[str, tuple[Signature, ...]]] = {
    "asInt": (((ANY,), INT64),),
    "asFloat": (((ANY,), FLOAT),),
    "isNaN": (((FLOAT,), BOOL),),
    "isInf": (((FLOAT,), BOOL),),
    "isNil": (((ANY,), BOOL),),
    "default": (((ANY, ANY), ANY),),
}


def fits(given: Type, wanted: Type) -> bool:
    """Whether an argument may be passed; an integer is later turned into the kind of number that is wanted."""
    if given is NIL:
        return wanted is ANY
    if wanted.is_number and given.is_integer:
        return True
    return given.is_unknown or given.assignable_to(wanted)


def overload(name: str, signatures: tuple[Signature, ...], given: list[Type], position: int) -> Signature:
    for signature in signatures:
        if len(signature[0]) == len(given) and all(map(fits, given, signature[0])):
            return signature
    forms = " or ".join(f"{name}({', '.join(one.label for one in wanted)})" for wanted, _ in signatures)
    labels = ", ".join(one.label for one in given) or "nothing"
    raise ConditionError(f"{name} was given {labels}; it takes {forms}", position)


def validate(name: str, given: list[Type], position: int) -> Type:
    """The type that a builtin without overloads gives for these arguments."""
    least, most, validator = _VALIDATORS[name]
    if not least <= len(given) <= most:
        count = str(least) if least == most else f"at least {least}"
        raise ConditionError(f"{name} takes {count} argument{'s'[: least != 1]}, not {len(given)}", position)
    answer = validator([one.plain for one in given])
    if isinstance(answer, Type):
        return answer
    raise ConditionError(f"{name} takes {answer}, not {', '.join(one.label for one in given)}", position)


Validator = Callable[[list[Type]], Type | str]


def _accepts(kinds: tuple[str, ...], gives: Type | None, wanted: str) -> Validator:
    """The first argument is of one of these kinds or unknown; the type given is fixed, or the argument's own."""

    def validator(given: list[Type]) -> Type | str:
        if not (given[0].is_unknown or given[0].kind in kinds):
            return wanted
        return _known(given[0]) if gives is None else gives

    return validator


def _known(given: Type) -> Type:
    return ANY if given is UNKNOWN else given


def _element(given: list[Type]) -> Type | str:
    if given[0].is_unknown:
        return ANY
    return given[0].element if given[0].is_list else "a list"


def _take(given: list[Type]) -> Type | str:
    if not (given[0].is_unknown or given[0].is_list) or not (given[1].is_unknown or given[1].is_integer):
        return "a list and a number of elements"
    return _known(given[0])


def _concat(given: list[Type]) -> Type | str:
    return LIST if all(one.is_unknown or one.is_list for one in given) else "lists"


def _aggregate(given: list[Type]) -> Type | str:
    for one in given:
        if one.is_unknown or one.is_list:
            return ANY
        if not one.is_number:
            return "numbers and lists of numbers"
    return given[0]


_MANY: Final = 1_000_000
_ONE_NUMBER: Final = (1, 1, _accepts(NUMBERS, FLOAT, "a number"))
_AGGREGATE: Final = (1, _MANY, _aggregate)
_FROM_MAP: Final = (1, 1, _accepts(("map",), LIST, "a map"))
_FROM_LIST: Final = (1, 1, _accepts(("list",), LIST, "a list"))
_ELEMENT: Final = (1, 1, _element)

_VALIDATORS: Final[dict[str, tuple[int, int, Validator]]] = {
    "len": (1, 1, _accepts(("list", "map", "text"), INT, "a list, a map or a text")),
    "abs": (1, 1, _accepts(NUMBERS, None, "a number")),
    "ceil": _ONE_NUMBER,
    "floor": _ONE_NUMBER,
    "round": _ONE_NUMBER,
    "int": (1, 1, _accepts((*NUMBERS, "text"), INT, "a number or a text")),
    "float": (1, 1, _accepts((*NUMBERS, "text"), FLOAT, "a number or a text")),
    "max": _AGGREGATE,
    "min": _AGGREGATE,
    "mean": _AGGREGATE,
    "median": _AGGREGATE,
    "first": _ELEMENT,
    "last": _ELEMENT,
    "take": (2, 2, _take),
    "keys": _FROM_MAP,
    "values": _FROM_MAP,
    "toPairs": _FROM_MAP,
    "fromPairs": (1, 1, _accepts(("list",), ANY_MAP, "a list of pairs")),
    "reverse": _FROM_LIST,
    "uniq": _FROM_LIST,
    "flatten": _FROM_LIST,
    "concat": (1, _MANY, _concat),
}
