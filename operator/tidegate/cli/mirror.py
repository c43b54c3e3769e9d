"""The objects of a kind, kept up to date by a watch for as long as somebody looks at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from tidegate.cli.session import Obj, Session
from tidegate.cluster.errors import ClusterError, Expired, Forbidden, NotFound, ServerError, TransportError

_AGAIN: Final = 1.0


class Mirror:
    """One kind in the session's namespace.

    needed: whether it is an error that the kind is not there or may not be read; otherwise it is empty then.
    lost: why the watch is interrupted at the moment; empty while it is not.
    """

    def __init__(
        self, session: Session, kind: str, changed: asyncio.Event, *, label: str = "", name: str = "", needed: bool
    ) -> None:
        self._session, self._kind, self._changed = session, kind, changed
        self._label, self._field = label, f"metadata.name={name}" if name else ""
        self._needed = needed
        self._objects: dict[tuple[str, str], Obj] = {}
        self.lost = ""
        self._failed: ClusterError | None = None

    @property
    def objects(self) -> list[Obj]:
        """What there is now."""
        return list(self._objects.values())

    async def load(self) -> str:
        """List anew; the version to watch from."""
        client, version = self._session.client, ""
        found: dict[tuple[str, str], Obj] = {}
        async for page in client.pages(self._kind, self._session.namespace, self._label, field_selector=self._field):
            found.update({_address(item): item for item in page.items})
            version = page.resource_version
        self._objects = found
        return version

    async def follow(self, version: str) -> None:
        """Keep up, through every interruption."""
        while True:
            try:
                if not version:
                    version = await self.load()
                    self._changed.set()
                version = await self._watch(version)
                self.lost = ""
            except Expired:
                version = ""
            except (TransportError, ServerError) as error:
                self.lost, version = str(error), ""
                self._changed.set()
                await asyncio.sleep(_AGAIN)
            except ClusterError as error:  # Such as credentials that are no longer accepted: waiting does not help.
                self.lost, self._failed = str(error), error
                self._changed.set()
                return

    def check(self) -> None:
        """Raise what has ended this mirror for good, if it is needed."""
        if self._needed and self._failed is not None:
            raise self._failed

    async def begin(self) -> str | None:
        """The first list; None where the kind is missing or forbidden and may be."""
        try:
            return await self.load()
        except (Forbidden, NotFound):
            if self._needed:
                raise
            return None

    async def _watch(self, version: str) -> str:
        stream = self._session.client.watch(
            self._kind, self._session.namespace, self._label, field_selector=self._field, resource_version=version
        )
        async with stream as events:
            async for event in events:
                version = event.resource_version
                self.lost = ""
                if event.type == "BOOKMARK":
                    continue
                if event.type == "DELETED":
                    self._objects.pop(_address(event.object), None)
                else:
                    self._objects[_address(event.object)] = {
                        **event.object,
                        "kind": event.object.get("kind") or self._kind,
                    }
                self._changed.set()
        return version


@asynccontextmanager
async def following(mirrors: Sequence[Mirror]) -> AsyncIterator[None]:
    """Have these mirrors filled, and kept up to date in the block."""
    versions = [await mirror.begin() for mirror in mirrors]
    tasks = [
        asyncio.create_task(mirror.follow(version))
        for mirror, version in zip(mirrors, versions, strict=True)
        if version is not None
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def _address(obj: Obj) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
