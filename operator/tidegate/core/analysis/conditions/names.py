"""The names a condition may call, apart from what they mean."""

from __future__ import annotations

from typing import Final

LOOPS: Final[dict[str, tuple[int, int]]] = {
    "all": (2, 2),
    "none": (2, 2),
    "any": (2, 2),
    "one": (2, 2),
    "filter": (2, 2),
    "map": (2, 2),
    "count": (1, 2),
    "sum": (1, 2),
    "find": (2, 2),
    "findIndex": (2, 2),
    "findLast": (2, 2),
    "findLastIndex": (2, 2),
    "groupBy": (2, 2),
    "sortBy": (2, 3),
    "reduce": (2, 3),
}
"""Builtins that take a predicate, with their least and greatest number of arguments."""

BUILTINS: Final = frozenset(
    (
        *LOOPS,
        *("len", "type", "abs", "ceil", "floor", "round", "int", "float", "string"),
        *("trim", "trimPrefix", "trimSuffix", "upper", "lower", "split", "splitAfter", "replace", "repeat"),
        *("join", "indexOf", "lastIndexOf", "hasPrefix", "hasSuffix"),
        *("max", "min", "mean", "median"),
        *("toJSON", "fromJSON", "toBase64", "fromBase64"),
        *("first", "last", "get", "take", "keys", "values", "toPairs", "fromPairs"),
        *("reverse", "uniq", "concat", "flatten", "sort"),
        *("bitand", "bitor", "bitxor", "bitnand", "bitshl", "bitshr", "bitushr", "bitnot"),
    )
)

_NO_CLOCK: Final = "a condition sees the measured result only; select by time in the query"

UNSUPPORTED: Final = dict.fromkeys(("now", "date", "duration", "timezone"), _NO_CLOCK)
"""Builtins of expr that Tidegate refuses, with the reason."""

ENVIRONMENT: Final = frozenset(("result", "asInt", "asFloat", "isNaN", "isInf", "isNil", "default"))
"""What Argo Rollouts adds to the language (utils/evaluate/evaluate.go)."""
