"""What a source of measurements is: one coroutine, and a promise that it answers.

A provider never raises for what the outside world does: an unreachable server, an error or an answer that
can't be read is a `Reading` with an error, which the run counts as an Error measurement and never as a
success. `Providers` keeps that promise even for a provider that hangs or has a defect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import structlog

from tidegate.core.analysis.world import Measure, Reading

GRACE_SECONDS: Final = 1.0
"""How much longer than its timeout a provider may take to say so itself, in its own words."""

_log = structlog.get_logger(__name__)

Outcome = Literal["answered", "error"]
OnQuery = Callable[[str, Outcome, float], None]
"""Told of each question that really went out: the provider's name, how it ended, seconds that it took."""


class Provider(Protocol):
    """A source of measurements."""

    async def measure(self, spec: Mapping[str, Any], *, seconds: float) -> Reading:
        """Ask for one number, or several.

        spec: the provider's own part of a metric (what stands under `provider.<name>`), arguments filled in.
        seconds: after which the answer no longer matters; the reading is an error then.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and threads, without waiting for questions that are still out."""
        ...


@dataclass(frozen=True, slots=True)
class Providers:
    """All sources of measurements by the name that a metric gives them."""

    by_name: Mapping[str, Provider]

    async def take(self, measure: Measure) -> Reading:
        """The reading for one measurement. Always answers, at the latest a second after the timeout."""
        provider = self.by_name.get(measure.provider)
        if provider is None:
            return Reading(error=f"provider {measure.provider} is not supported by this version of Tidegate")
        seconds = measure.timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds + GRACE_SECONDS):
                return await provider.measure(measure.spec[measure.provider] or {}, seconds=seconds)
        except TimeoutError:
            return Reading(error=f"{measure.provider} gave no answer within {seconds:g} s")
        except Exception as error:  # noqa: BLE001 - a defect of one provider must not stop other runs
            _log.exception("provider failed", provider=measure.provider, metric=measure.metric)
            return Reading(error=f"{measure.provider} failed with a defect of its own ({type(error).__name__})")

    async def close(self) -> None:
        """Close every provider."""
        for provider in self.by_name.values():
            await provider.close()
