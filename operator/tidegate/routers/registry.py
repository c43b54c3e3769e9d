"""Which routers there are. A new one is a module, its test, its documentation and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tidegate.api.rollout import CanaryStrategy
from tidegate.routers.base import Router
from tidegate.routers.istio import istio_router

Maker = Callable[[CanaryStrategy, str, str], Router | None]
"""From a strategy, the Rollout's namespace and its name; None where the strategy doesn't ask for this router."""

ROUTERS: Final[tuple[Maker, ...]] = (istio_router,)


def router_for(strategy: CanaryStrategy, *, namespace: str, rollout: str) -> Router | None:
    """The router that a canary strategy asks for; None when it splits traffic by numbers of pods."""
    if strategy.traffic_routing is None:
        return None
    return next((router for make in ROUTERS if (router := make(strategy, namespace, rollout))), None)
