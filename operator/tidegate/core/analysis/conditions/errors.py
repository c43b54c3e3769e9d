"""The one error of this package, and the meter that keeps an evaluation small.

A condition comes from a user's template and runs inside the operator's event loop, so nothing in it may
take unbounded time or memory: expr bounds memory only, the meter bounds visits too.
"""

from __future__ import annotations

from typing import Final

MEMORY_BUDGET: Final = 1_000_000
"""Elements and characters that one evaluation may create; expr's default budget."""

STEP_BUDGET: Final = 250_000
"""Elements that one evaluation may visit in all its loops together."""

MAX_DEPTH: Final = 150
"""Levels of nesting in an expression or in a value that a walk descends into."""


class ConditionError(Exception):
    """A condition that cannot be compiled, or cannot be evaluated for this result.

    `position` is the offset of the offending character in the condition's text, from 0; None when
    no single place is to blame.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position

    def at(self, position: int) -> ConditionError:
        """This error, placed if it has no place yet."""
        return self if self.position is not None else ConditionError(self.message, position)

    def __str__(self) -> str:
        if self.position is None:
            return self.message
        return f"{self.message} (at character {self.position + 1})"


class Meter:
    """Counts what one evaluation creates and visits."""

    __slots__ = ("memory", "steps")

    def __init__(self) -> None:
        self.memory = MEMORY_BUDGET
        self.steps = STEP_BUDGET

    def grow(self, size: int) -> None:
        """Account for a new list or text of `size` elements."""
        self.memory -= size
        if self.memory <= 0:
            raise ConditionError(
                f"the condition needs more than {MEMORY_BUDGET:,} list elements and characters; "
                "narrow the query or the range instead of computing on so much here"
            )

    def visit(self, count: int) -> None:
        """Account for a walk over `count` elements."""
        self.steps -= count
        if self.steps < 0:
            raise ConditionError(
                f"the condition visits more than {STEP_BUDGET:,} elements; aggregate in the query instead"
            )


def too_deep() -> ConditionError:
    return ConditionError(f"a value is nested deeper than {MAX_DEPTH} levels; select the part to judge in the query")
