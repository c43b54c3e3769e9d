"""What a source of measurements is: one coroutine, and a promise that it answers.

A provider never raises for what the outside world does: an unreachable server, an error or an answer that
can't be read is a `Reading` with an error, which the run counts as an Error measurement and never as a
success. `Providers` keeps that promise even for a provider that hangs or has a defect.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import CodeType
from typing import Any, Final, Literal, Protocol

import structlog

from tidegate.core.analysis.secrecy import conceal
from tidegate.core.analysis.world import Measure, Reading
from tidegate.providers.http import Http
from tidegate.providers.talk import AskError

GRACE_SECONDS: Final = 1.0
"""How much longer than its timeout a provider may take to say so itself, in its own words."""

_log = structlog.get_logger(__name__)

Outcome = Literal["answered", "error"]
OnQuery = Callable[[str, Outcome, float], None]
"""Told of each question that really went out: the provider's name, how it ended, seconds that it took."""


class SecretError(Exception):
    """A Secret that can't be used. The text is fit for a status."""


ReadSecret = Callable[[str, str], Awaitable[Mapping[str, str]]]
"""The entries of a Secret, given its namespace and name. Raises SecretError."""


async def _no_secrets(namespace: str, name: str) -> Mapping[str, str]:
    raise SecretError(f"Secret {namespace}/{name} can't be read: there is no cluster to read it from")


@dataclass(frozen=True, slots=True)
class Asker:
    """The run that a measurement is taken for, as far as a provider cares.

    namespace: the run's. home: the operator's own.
    interval: of the metric, if it has one. started_at: when the run's first measurement was taken.
    resume: what an earlier reading of this measurement left as its metadata; empty for a new measurement.
    id: of the measurement, for a server that can be asked whether it has begun with it already.
    """

    namespace: str = ""
    home: str = ""
    read_secret: ReadSecret = _no_secrets
    interval: timedelta | None = None
    started_at: datetime | None = None
    resume: Mapping[str, str] = field(default_factory=dict)
    id: str = ""

    async def secret(self, namespace: str, name: str, *keys: str) -> Mapping[str, str]:
        """The entries of a Secret, with text under each of `keys`. Raises SecretError."""
        entries = await self.read_secret(namespace, name)
        for key in keys:
            if not entries.get(key):
                raise SecretError(f"Secret {namespace}/{name} has no text under the key {key}")
        return entries


NOBODY: Final = Asker()


class Provider(Protocol):
    """A source of measurements."""

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker) -> Reading:
        """Ask for one number, or several.

        spec: the provider's own part of a metric (what stands under `provider.<name>`), arguments filled in.
        seconds: after which the answer no longer matters; the reading is an error then.
        asker: on whose behalf.

        A credential that the provider has found by itself belongs into the reading's `hidden`.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and threads, without waiting for questions that are still out."""
        ...


class OverHttp:
    """A provider that asks by the session of all, which is closed by whoever opened it."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Providers:
    """All sources of measurements by the name that a metric gives them."""

    by_name: Mapping[str, Provider]
    http: Http | None = None
    """The session that providers share, closed with them."""

    async def take(self, measure: Measure, asker: Asker = NOBODY, hidden: frozenset[str] = frozenset()) -> Reading:
        """The reading for one measurement. Always answers, at the latest a second after the timeout.

        measure: with every argument filled in. hidden: those of them that nobody may see.
        """
        reading = await self._take(measure, asker)
        hidden |= reading.hidden
        return _concealed(reading, hidden) if hidden else reading

    async def _take(self, measure: Measure, asker: Asker) -> Reading:
        provider = self.by_name.get(measure.provider)
        if provider is None:
            return Reading(error=f"provider {measure.provider} is not supported by this version of Tidegate")
        seconds = measure.timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds + GRACE_SECONDS):
                return await provider.measure(measure.spec[measure.provider] or {}, seconds=seconds, asker=asker)
        except TimeoutError:
            return Reading(error=f"{measure.provider} gave no answer within {seconds:g} s")
        except SecretError as error:
            return Reading(error=str(error))
        except AskError as error:
            return Reading(error=str(error), hidden=error.hidden)
        except Exception as error:  # noqa: BLE001 - a defect of one provider must not stop other runs
            # Where it happened and not what it says: an error of a client may quote what was sent.
            _log.error("provider failed", provider=measure.provider, metric=measure.metric, **_whereabouts(error))
            return Reading(error=f"{measure.provider} failed with a defect of its own ({type(error).__name__})")

    async def close(self) -> None:
        """Close every provider."""
        for provider in self.by_name.values():
            await provider.close()
        if self.http is not None:
            await self.http.close()


def _concealed(reading: Reading, hidden: frozenset[str]) -> Reading:
    return replace(
        reading,
        text=conceal(reading.text, hidden),
        error=conceal(reading.error, hidden),
        metadata={name: conceal(text, hidden) for name, text in reading.metadata.items()},
        asked={name: conceal(text, hidden) for name, text in reading.asked.items()},
        hidden=hidden,
    )


def _whereabouts(error: BaseException) -> dict[str, object]:
    frames = [f"{Path(code.co_filename).name}:{line}" for code, line in _frames(error)]
    return {"error": type(error).__name__, "at": frames[-5:]}


def _frames(error: BaseException) -> Iterator[tuple[CodeType, int]]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield frame.f_code, line
