"""Which providers there are. A new one is a module, its test, its documentation and a line here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from tidegate.core.analysis.world import Reading
from tidegate.providers.base import NOBODY, Asker, OnQuery, Provider, Providers
from tidegate.providers.http import Http
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


Make = Callable[[ProviderSettings, Http], Provider]


def _prometheus(settings: ProviderSettings, http: Http) -> Provider:
    return Prometheus(
        default_address=settings.prometheus_address, threads=settings.threads, on_query=settings.on_query, http=http
    )


def _over_http(name: str, cls: str) -> Make:
    """A provider `cls` of the module `name`, which is imported with its first question."""
    return lambda settings, http: _Late(name, cls, http, settings.on_query)


PROVIDERS: Final[Mapping[str, Make]] = {
    "prometheus": _prometheus,
    "web": _over_http("web", "Web"),
    "datadog": _over_http("datadog", "Datadog"),
    "wavefront": _over_http("wavefront", "Wavefront"),
    "newRelic": _over_http("new_relic", "NewRelic"),
    "graphite": _over_http("graphite", "Graphite"),
    "influxdb": _over_http("influxdb", "InfluxDB"),
    "skywalking": _over_http("skywalking", "SkyWalking"),
    "cloudWatch": _over_http("cloud_watch", "CloudWatch"),
    "kayenta": _over_http("kayenta", "Kayenta"),
}


def open_providers(settings: ProviderSettings) -> Providers:
    """Every provider, ready to measure. None of them connects to anything before it is asked."""
    http = Http()
    return Providers({name: make(settings, http) for name, make in PROVIDERS.items()}, http)


class _Late:
    """A provider that most operators never need, and so is not loaded before it is."""

    def __init__(self, name: str, cls: str, http: Http, on_query: OnQuery | None) -> None:
        self._name, self._class, self._http, self._on_query = name, cls, http, on_query
        self._provider: Provider | None = None

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        if self._provider is None:
            self._provider = getattr(import_module(f"tidegate.providers.{self._name}"), self._class)(self._http)
        since = time.monotonic()
        outcome = "error"
        try:
            reading = await self._provider.measure(spec, seconds=seconds, asker=asker)
            outcome = "error" if reading.error else "answered"
        finally:
            if self._on_query is not None:
                self._on_query(self._name, "answered" if outcome == "answered" else "error", time.monotonic() - since)
        return reading

    async def close(self) -> None:
        """The session is closed by whoever opened it."""
