"""What holds for all providers, whatever one of them does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from tidegate.api.analysis import MetricProvider
from tidegate.api.unsupported import known_fields
from tidegate.core.analysis.world import Measure, Reading
from tidegate.providers.base import NOBODY, Asker, Providers
from tidegate.providers.registry import PROVIDERS, ProviderSettings, open_providers


class Scripted:
    """A provider that does as it is told."""

    def __init__(self, behaviour: Any) -> None:
        self.behaviour = behaviour
        self.seen: list[tuple[Mapping[str, Any], float]] = []

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        self.seen.append((spec, seconds))
        if isinstance(self.behaviour, Exception):
            raise self.behaviour
        if self.behaviour is None:
            await asyncio.Event().wait()
        return self.behaviour  # type: ignore[no-any-return]

    async def close(self) -> None:
        self.seen.clear()


def measure(provider: str = "scripted", seconds: float = 5) -> Measure:
    return Measure("rate", {provider: {"query": "up"}}, timedelta(seconds=seconds))


async def test_a_provider_gets_its_own_part_of_the_metric_and_its_time() -> None:
    provider = Scripted(Reading(value=1.0, text="1"))

    assert (await Providers({"scripted": provider}).take(measure())).text == "1"
    assert provider.seen == [({"query": "up"}, 5)]


async def test_a_provider_that_never_answers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.providers.base.GRACE_SECONDS", 0.01)

    reading = await Providers({"scripted": Scripted(None)}).take(measure(seconds=0.01))

    assert reading.error == "scripted gave no answer within 0.01 s"


async def test_a_defect_of_a_provider_is_an_error_that_tells_no_secrets_and_is_logged() -> None:
    with capture_logs() as logs:
        reading = await Providers({"scripted": Scripted(RuntimeError("token=hunter2"))}).take(measure())

    assert reading.error == "scripted failed with a defect of its own (RuntimeError)"
    assert [entry["event"] for entry in logs] == ["provider failed"]
    assert "hunter2" not in str(logs)
    assert logs[0]["at"][-1].startswith("test_providers.py:")


async def test_an_unknown_provider_is_an_error() -> None:
    assert "carrier-pigeon is not supported" in (await Providers({}).take(measure("carrier-pigeon"))).error


async def test_every_provider_that_the_api_accepts_is_there_and_no_other() -> None:
    # A Job is not asked: the engine creates it and waits for its end.
    accepted = set(known_fields(MetricProvider)) - {"job"}

    assert set(PROVIDERS) == accepted

    providers = open_providers(ProviderSettings())
    assert set(providers.by_name) == accepted
    await providers.close()


def test_opening_the_providers_imports_no_client_yet() -> None:
    program = (
        "import sys; from tidegate.providers.registry import *; open_providers(ProviderSettings()); "
        "print([name for name in ('prometheus_api_client', 'requests', 'pandas', 'dateparser', 'aiohttp', "
        "'tidegate.providers.web') "
        "if name in sys.modules])"
    )

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"


def test_a_server_that_hangs_does_not_hold_back_an_operator_that_stops() -> None:
    program = """
import asyncio, socket
from tidegate.providers.prometheus import Prometheus

async def main():
    silent = socket.create_server(("127.0.0.1", 0))
    prometheus = Prometheus(default_address=f"http://127.0.0.1:{silent.getsockname()[1]}")
    waiting = asyncio.create_task(prometheus.measure({"query": "up"}, seconds=60))
    await asyncio.to_thread(silent.accept)
    waiting.cancel()
    await prometheus.close()

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
