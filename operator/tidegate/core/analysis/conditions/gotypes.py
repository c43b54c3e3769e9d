"""The static types that expr's checker knows, as far as a result of analysis can have them.

Argo Rollouts compiles a condition anew for each result, with the result's own Go type: `result > 1` is refused
for a text before anything is evaluated. The rules are those of expr's checker/nature package; its quirks are kept
because they decide which conditions are errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Type:
    """`go` is the Go type, `elem` what indexing gives. Lists of one Go type may know more of their elements."""

    go: str
    kind: str
    label: str
    elem: Type | None = None
    key: Type | None = None

    @property
    def is_number(self) -> bool:
        return self.kind in ("int", "int64", "float")

    @property
    def is_integer(self) -> bool:
        return self.kind in ("int", "int64")

    @property
    def is_list(self) -> bool:
        return self.kind == "list"

    @property
    def is_unknown(self) -> bool:
        return self.kind in ("unknown", "any") and self is not NIL

    @property
    def element(self) -> Type:
        return self.elem or UNKNOWN

    def assignable_to(self, other: Type) -> bool:
        if self is NIL:
            return other.kind in ("list", "map", "any")
        if self is UNKNOWN or other is UNKNOWN or other is NIL:
            return False
        return other is ANY or self.go == other.go

    def comparable_to(self, other: Type) -> bool:
        return (
            self.is_unknown
            or other.is_unknown
            or self is NIL
            or other is NIL
            or (self.is_number and other.is_number)
            or (self.is_list and other.is_list)
            or self.assignable_to(other)
        )

    def may_be(self, other: Type, *kinds: str) -> bool:
        """Whether an operator on these kinds is possible when one side or both are known at run time only."""
        if self.is_unknown:
            return other.is_unknown or other.kind in kinds
        return other.is_unknown and self.kind in kinds

    @property
    def plain(self) -> Type:
        """What is left of the type where expr passes only Go's type on."""
        return PLAIN.get(self.go, self)


UNKNOWN: Final = Type("", "unknown", "a value known only at run time")
NIL: Final = Type("nil", "unknown", "nil")
ANY: Final = Type("any", "any", "a value known only at run time")
BOOL: Final = Type("bool", "bool", "true or false")
INT: Final = Type("int", "int", "an integer")
INT64: Final = Type("int64", "int64", "an integer")
FLOAT: Final = Type("float64", "float", "a number")
TEXT: Final = Type("string", "text", "a text")
LIST: Final = Type("[]any", "list", "a list", elem=ANY)
VECTOR: Final = Type("[]float64", "list", "a list of numbers", elem=FLOAT)
TEXTS: Final = Type("[]string", "list", "a list of texts", elem=TEXT)
INTS: Final = Type("[]int", "list", "a list of integers", elem=INT)
MAP: Final = Type("map[string]any", "map", "a map", elem=ANY, key=TEXT)
ANY_MAP: Final = Type("map[any]any", "map", "a map", elem=ANY, key=ANY)
GROUPS: Final = Type("map[any][]any", "map", "a map of lists", elem=LIST, key=ANY)

PLAIN: Final = {LIST.go: LIST, UNKNOWN.go: UNKNOWN}

NUMBERS: Final = ("int", "int64", "float")


def list_of(element: Type) -> Type:
    return Type(LIST.go, "list", "a list", elem=element)


def promote(left: Type, right: Type) -> Type:
    """The type of +, - and * on two numbers."""
    return FLOAT if FLOAT in (left, right) else INT
