"""Which providers there are. A new one is a module, its test, its documentation and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tidegate.providers.base import OnQuery, Provider, Providers
from tidegate.providers.prometheus import Prometheus


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What the operator was started with, as far as providers care.

    prometheus_address: where a metric asks that names no address; empty for none.
    threads: how many questions to one server may be out at once.
    on_query: told of every question that went out.
    """

    prometheus_address: str = ""
    threads: int = 8
    on_query: OnQuery | None = None


PROVIDERS: Final[Mapping[str, Callable[[ProviderSettings], Provider]]] = {
    "prometheus": lambda settings: Prometheus(
        default_address=settings.prometheus_address, threads=settings.threads, on_query=settings.on_query
    ),
}


def open_providers(settings: ProviderSettings) -> Providers:
    """Every provider, ready to measure. None of them connects to anything before it is asked."""
    return Providers({name: make(settings) for name, make in PROVIDERS.items()})
