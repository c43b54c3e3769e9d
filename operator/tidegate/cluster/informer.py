"""Keeps one kind of the store true to the cluster: list once, then follow the watch for good.

There is no periodic re-list. What a watch can miss, it says (410, a broken line), and then the whole kind is
listed anew, with what is gone meanwhile removed: a re-list that only adds leaves deleted objects behind for
ever.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from tidegate.cluster.client import Client, WatchEvent
from tidegate.cluster.errors import ApiError, Expired, Forbidden, NotFound, TransportError
from tidegate.cluster.limits import Backoff
from tidegate.cluster.store import Relist, Store

log = structlog.get_logger("tidegate.cluster.informer")

# A stream that lived this long did its work even if nothing happened, so its end is no failure.
_LONG_ENOUGH: Final = 5.0
# Some troubles come back for as long as the same version is asked for: an object that the stream can't carry,
# a version from before the server was restored from a backup.
_GIVE_UP_RESUMING: Final = 8


class Informer:
    """Feeds one kind, of one namespace or all, into a store; of it, what the selectors pick.

    synced: set once the kind has been listed, or is known not to be served.
    problem: what keeps it from following the cluster now; empty when nothing does.
    errors: objects that the store could not take in.
    """

    def __init__(
        self,
        client: Client,
        store: Store,
        kind: str,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self.synced = asyncio.Event()
        self.problem = ""
        self.errors = 0
        self._client = client
        self._store = store
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._broken = Backoff(base=0.1, cap=5.0)
        self._refused = Backoff(base=5.0, cap=60.0)
        self._missing = Backoff(base=30.0, cap=300.0)
        self._heard_at: float | None = None
        store.expect(kind, namespace)

    @property
    def last_event_age(self) -> float | None:
        """Seconds since the last list, event or bookmark; None before the first."""
        return None if self._heard_at is None else asyncio.get_running_loop().time() - self._heard_at

    async def run(self) -> None:
        """List and follow until cancelled. Never gives up: an outage ends as it began, without a restart."""
        while True:
            try:
                await self._follow(await self._list())
                pause = self._broken.next()
            except NotFound:
                pause = self._kind_is_missing()
            except Forbidden as error:
                pause = self._not_allowed(error)
            except (ApiError, TransportError) as error:
                pause = self._failed(error)
            await asyncio.sleep(pause)

    async def _list(self) -> str:
        """Bring the store up to date as a whole; the version to follow from."""
        listing: Relist | None = None
        version = ""
        async for page in self._client.pages(
            self.kind, self.namespace, self._label_selector, field_selector=self._field_selector
        ):
            version = page.resource_version
            listing = listing or self._store.relist(self.kind, version, self.namespace)
            for item in page.items:
                try:
                    listing.add(item)
                except Exception:  # noqa: BLE001 (one bad object hurts only itself)
                    self._cannot_take_in(item)
        assert listing is not None, "a list has at least one page"
        listing.finish()
        self._healthy()
        self.synced.set()
        return version

    async def _follow(self, version: str) -> None:
        """Follow the watch from `version` through any number of connections, until only a list can help."""
        loop = asyncio.get_running_loop()
        fruitless = 0
        while fruitless < _GIVE_UP_RESUMING:
            opened, before = loop.time(), version
            trouble: ApiError | TransportError | None = None
            try:
                async with self._client.watch(
                    self.kind,
                    self.namespace,
                    self._label_selector,
                    field_selector=self._field_selector,
                    resource_version=version,
                    known=self._known,
                ) as events:
                    async for event in events:
                        self._take_in(event)
                        version = event.resource_version
            except Expired:
                log.info("watch expired, listing again", kind=self.kind, resource_version=version)
                return
            except (NotFound, Forbidden):
                raise
            except (ApiError, TransportError) as error:
                trouble = error
            if version != before or loop.time() - opened >= _LONG_ENOUGH:
                # The stream has worked, so come back at once: what happens meanwhile waits for us.
                self._healthy()
                fruitless = 0
            else:
                fruitless += 1
                await asyncio.sleep(self._failed(trouble) if trouble else self._broken.next())

    def _known(self, version: str) -> bool:
        return self._store.has_absorbed(self.kind, version)

    def _take_in(self, event: WatchEvent) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        try:
            self._store.apply(self.kind, event.type, event.object, scope=self.namespace)
        except Exception:  # noqa: BLE001 (one bad object hurts only itself)
            self._cannot_take_in(event.object)

    def _cannot_take_in(self, obj: object) -> None:
        """One object that breaks a rule or a listener must not stop all others from being followed."""
        self.errors += 1
        metadata = obj.get("metadata") if isinstance(obj, dict) else None
        name = (metadata or {}).get("name", "?")
        namespace = (metadata or {}).get("namespace", "")
        log.exception("object ignored: it could not be taken in", kind=self.kind, namespace=namespace, name=name)

    def _healthy(self) -> None:
        if self.problem:
            log.info("following again", kind=self.kind, namespace=self.namespace)
        self.problem = ""
        self._heard_at = asyncio.get_running_loop().time()
        for backoff in (self._broken, self._refused, self._missing):
            backoff.reset()

    def _failed(self, error: ApiError | TransportError) -> float:
        pause = self._broken.next()
        self._report(f"can't follow {self.kind}: {error}; what is known of it may be out of date until this ends")
        return pause

    def _not_allowed(self, error: Forbidden) -> float:
        where = f"in namespace {self.namespace}" if self.namespace else "in all namespaces"
        self._report(
            f"not allowed to follow {self.kind} {where}: {error}; "
            f"grant list and watch on it to the operator's role, it will be tried again"
        )
        return self._refused.next()

    def _kind_is_missing(self) -> float:
        pause = self._missing.next()
        self._store.empty(self.kind, self.namespace)
        self._heard_at = asyncio.get_running_loop().time()
        self.synced.set()
        log.info("kind is not served by this cluster, looking again later", kind=self.kind, seconds=round(pause))
        return pause

    def _report(self, problem: str) -> None:
        """Say each problem once, not at every attempt."""
        if problem != self.problem:
            log.warning(problem, kind=self.kind, namespace=self.namespace)
        self.problem = problem
