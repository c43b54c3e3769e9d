"""What a traffic router is to the engine: the objects that it needs, and what it makes of them.

A router never fetches. `gather` asks it which objects to read, hands them over, and gives the decision the
`Traffic` that comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tidegate.core.plan import Key
from tidegate.core.traffic import Traffic


class Router(Protocol):
    """One Rollout's traffic router, before its objects are known."""

    def references(self) -> tuple[Key, ...]:
        """The objects that the routes are read from, each once. A change to any of them concerns the Rollout."""
        ...

    def bind(self, objects: Mapping[Key, Mapping[str, Any] | None]) -> Traffic:
        """The routes as these objects show them. A reference that is absent, or None, does not exist."""
        ...
