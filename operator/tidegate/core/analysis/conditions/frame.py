"""The state of one evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidegate.core.analysis.conditions.errors import Meter


class Frame(Meter):
    """The result, the variables, and of the innermost loop the element, its index and what reduce has so far."""

    __slots__ = ("acc", "index", "item", "result", "variables")

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result
        self.variables: dict[str, Any] = {}
        self.item: Any = None
        self.index = 0
        self.acc: Any = None


Closure = Callable[[Frame], Any]
