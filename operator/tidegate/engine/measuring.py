"""Taking measurements: Secrets are read now, filled into the questions, and kept out of what comes back.

A Secret is got by name for each measurement, never listed, watched or kept: the operator then needs no right but
`get`, a rotated credential works at once, and none lies in memory between two questions.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from tidegate.api.analysis import SecretKeyRef
from tidegate.cluster.errors import ApiError, ClusterError, Forbidden, NotFound
from tidegate.core.analysis.arguments import fill
from tidegate.core.analysis.world import Measure, Reading, Taken
from tidegate.core.plan import Key
from tidegate.providers.base import Asker, Providers, SecretError


class GetClient(Protocol):
    """The one verb that reading Secrets needs."""

    async def get(self, key: Key) -> dict[str, Any]: ...


class Measuring:
    """Takes the measurements of runs.

    home: the operator's own namespace. now: the time that measurements show.
    """

    def __init__(self, providers: Providers, client: GetClient, home: str, now: Callable[[], datetime]) -> None:
        self._providers = providers
        self._client = client
        self._home = home
        self._now = now

    async def take(self, namespace: str, measures: Sequence[Measure]) -> tuple[Taken, ...]:
        """Measurements of one run, all at once; a Secret that several of them use is read once."""
        secrets = await self._secrets(namespace, {ref.name for measure in measures for ref in measure.secrets.values()})
        return tuple(await asyncio.gather(*(self._take(namespace, measure, secrets) for measure in measures)))

    async def _secrets(self, namespace: str, names: Iterable[str]) -> dict[str, Mapping[str, str] | SecretError]:
        async def one(name: str) -> tuple[str, Mapping[str, str] | SecretError]:
            try:
                return name, await self.read_secret(namespace, name)
            except SecretError as error:
                return name, error

        return dict(await asyncio.gather(*map(one, names)))

    async def _take(
        self, namespace: str, measure: Measure, secrets: Mapping[str, Mapping[str, str] | SecretError]
    ) -> Taken:
        started = self._now()
        asker = Asker(
            namespace,
            self._home,
            self.read_secret,
            measure.interval,
            measure.run_started_at,
            measure.resume,
            measure.id,
        )
        try:
            values = {name: _entry(secrets[ref.name], namespace, ref) for name, ref in measure.secrets.items()}
        except SecretError as error:
            return Taken(measure.metric, started, self._now(), Reading(error=str(error)), measure.window)
        if values:
            measure = replace(measure, spec=fill(measure.spec, values), secrets={})
        reading = await self._providers.take(measure, asker, frozenset(values.values()))
        return Taken(measure.metric, started, self._now(), reading, measure.window)

    async def read_secret(self, namespace: str, name: str) -> Mapping[str, str]:
        """The entries of a Secret that are text. Raises SecretError."""
        try:
            raw = await self._client.get(Key("Secret", namespace, name))
        except NotFound:
            raise SecretError(f"Secret {namespace}/{name} not found") from None
        except Forbidden:
            raise SecretError(
                f"Secret {namespace}/{name} can't be read: the operator's role does not allow it; add the name to the "
                "chart's value secrets, or bind a role that may get it"
            ) from None
        except ApiError as error:
            raise SecretError(
                f"Secret {namespace}/{name} can't be read: the API server answered {error.status}"
            ) from None
        except ClusterError:
            raise SecretError(f"Secret {namespace}/{name} can't be read: the API server gave no answer") from None
        return dict(_texts(raw.get("data") or {}))


def _texts(data: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for key, encoded in data.items():
        try:
            yield key, base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue


def _entry(secret: Mapping[str, str] | SecretError, namespace: str, ref: SecretKeyRef) -> str:
    if isinstance(secret, SecretError):
        raise secret
    if ref.key not in secret:
        raise SecretError(f"Secret {namespace}/{ref.name} has no text under the key {ref.key}")
    return secret[ref.key]
