"""kopf's part: it watches the kinds that only people change and hands every event to the engine's store.

kopf's own machinery for state (change handlers, indexes, timers, daemons) is not used: it writes annotations and
finalizers, and costs more the more objects there are. Its watch is: with storages that do nothing, an event costs
about half of what it does otherwise; kinds that change often are the engine's own to watch (`engine/kinds.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final

import aiohttp
import structlog

from tidegate.api import names
from tidegate.cluster.errors import ClusterError, NotFound
from tidegate.engine.engine import Engine
from tidegate.engine.kinds import WATCHED_BY_SHELL
from tidegate.shell.light_kopf import kopf

_PLURALS: Final = {
    "AnalysisTemplate": "analysistemplates",
    "ClusterAnalysisTemplate": "clusteranalysistemplates",
}
_SETTLE: Final = 1.0

log = structlog.get_logger(__name__)


class _NoDiffs(kopf.DiffBaseStorage):
    """Remembers nothing: there are no change handlers to compare for."""

    def build(self, *, body: Any, extra_fields: Any = None, **_: Any) -> Any:
        return {}

    def fetch(self, *, body: Any) -> Any:
        return {}

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        """Write nothing on the object."""


class _NoProgress(kopf.ProgressStorage):
    """Remembers nothing: no handler of ours is retried by kopf."""

    def fetch(self, *, key: Any, body: Any) -> Any:
        return None

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        """Write nothing on the object."""

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        """There is nothing to take away."""

    def touch(self, *, body: Any, patch: Any, value: Any) -> None:
        """Write nothing on the object."""

    def clear(self, *, essence: Any) -> Any:
        return essence


def operator_settings() -> Any:
    """kopf tuned for a few kinds with many objects."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = _NoProgress()
    settings.posting.enabled = False
    settings.watching.chunk_size = 500
    # A worker that idles keeps its object's last body.
    settings.queueing.idle_timeout = 0.5
    # An API server that is away for a minute is waited for, not given up on.
    settings.networking.error_backoffs = _Patience()
    # A fixed table of kinds: nothing to discover, and no right to list the cluster's definitions needed.
    settings.scanning.disabled = True
    return settings


class _Patience:
    """Seconds between tries, without end."""

    def __iter__(self) -> Any:
        yield from (0.5, 1, 2, 3)
        while True:
            yield 5


class Prompter:
    """Lists a kind again after kopf did, for kopf tells of what a new list has and not of what it lacks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: dict[str, asyncio.TimerHandle] = {}
        self._running: set[asyncio.Task[None]] = set()

    def listed(self, kind: str) -> None:
        """kopf has listed this kind anew; look for what is gone once its events have been taken in."""
        if kind not in self._asked:
            loop = asyncio.get_running_loop()
            self._asked[kind] = loop.call_later(_SETTLE, self._start, kind)

    def _start(self, kind: str) -> None:
        self._asked.pop(kind, None)
        task = asyncio.get_running_loop().create_task(self._refresh(kind))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _refresh(self, kind: str) -> None:
        try:
            await self._engine.refresh(kind)
        except ClusterError as error:
            log.warning("could not list again, trying again", kind=kind, error=str(error))
            self.listed(kind)


def make_registry(engine: Engine, server: str, session: aiohttp.ClientSession) -> Any:
    """kopf's registry: our login, and one handler per kind that does nothing but pass the event on."""
    registry = kopf.OperatorRegistry()
    prompter = Prompter(engine)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> Any:
        return kopf.AiohttpSession(server=server, default_namespace="default", aiohttp_session=session)

    for kind in WATCHED_BY_SHELL:
        _watch(registry, engine, prompter, kind)
    return registry


def _watch(registry: Any, engine: Engine, prompter: Prompter, kind: str) -> None:
    @kopf.on.event(names.GROUP, names.VERSION, _PLURALS[kind], registry=registry, id=kind.lower())
    async def heard(event: Mapping[str, Any], **_: Any) -> None:
        obj = event["object"]
        if event["type"] is None:
            prompter.listed(kind)
        # The store strips what it keeps, and kopf still holds the object.
        metadata = dict(obj["metadata"])
        if "annotations" in metadata:
            metadata["annotations"] = dict(metadata["annotations"])
        engine.hear(kind, event["type"] or "MODIFIED", {**obj, "metadata": metadata})


async def prime(engine: Engine, kinds: Collection[str] = WATCHED_BY_SHELL) -> None:
    """List the kinds that kopf watches once, so that nothing is decided on half of them."""
    waiting = list(kinds)
    while waiting:
        try:
            await engine.refresh(waiting[0])
            waiting.pop(0)
        except NotFound:
            log.error("the custom resource is not installed in this cluster; install crds/", kind=waiting[0])
            await asyncio.sleep(10)
        except ClusterError as error:
            log.warning("could not list, trying again", kind=waiting[0], error=str(error))
            await asyncio.sleep(1)
