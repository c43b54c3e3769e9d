"""Carrying out writes: what the server's answer means for what we know, and for who has to look again."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from tidegate.api import names
from tidegate.cluster.errors import AlreadyExists, Conflict, Invalid, NotFound
from tidegate.cluster.store import Store
from tidegate.core.plan import Key, Write
from tidegate.core.rollout.world import Pod

_OF_SERVICE: Final = "kubernetes.io/service-name"


class WriteClient(Protocol):
    """The verbs that carrying out a plan needs."""

    async def get(self, key: Key) -> dict[str, Any]: ...

    async def send(self, write: Write) -> dict[str, Any]: ...

    async def list(self, kind: str, namespace: str, label_selector: str) -> tuple[list[dict[str, Any]], str]: ...


class Writer:
    """Sends writes and keeps the store as new as their answers.

    A reconcile goes on deciding with what its own writes brought, so these do not wake it; everybody else who has
    read the object is woken.
    """

    def __init__(self, client: WriteClient, store: Store) -> None:
        self._client = client
        self._store = store
        self.author: Hashable = None
        """The reader whose write is being taken in right now; the store's wake-ups leave it out."""

    async def send(self, write: Write, author: Hashable) -> None:
        """Carry out one write for `author`.

        A write to an object that is gone counts as done: whoever decided on it decides again. Raises Conflict, with
        the store brought up to date first, when the object had moved on; AlreadyExists when a name is taken; and
        whatever else the client raises, such as TooManyRequests when a disruption budget refuses an eviction.
        """
        if write.subresource == "eviction":
            with suppress(NotFound, Conflict):  # Gone, or another pod of this name: not the one that was to go.
                await self._client.send(write)
            return
        try:
            answer = await self._client.send(write)
        except NotFound:
            if write.verb == "create":
                raise
            await self.refresh(write.key, author)
            return
        except Conflict:
            await self.refresh(write.key, author)
            raise
        except Invalid as error:
            # A JSON patch whose `test` fails and a patch for another uid are answered 422: the object is not, or not
            # in the state, that we looked at.
            if write.patch != "json" and "metadata.uid" not in error.message:
                raise
            await self.refresh(write.key, author)
            raise Conflict(error.status, error.reason, error.message, verb=error.verb, target=error.target) from error
        except AlreadyExists:
            await self.refresh(write.key, author)
            raise
        if write.verb == "delete":
            self._drop(write.key, author)
        else:
            self._absorb(answer, author)

    async def exists(self, key: Key) -> bool:
        """Whether the server has this object, whoever's it is. The store learns nothing."""
        try:
            await self._client.get(key)
        except NotFound:
            return False
        return True

    async def pods(self, namespace: str, hashes: frozenset[str]) -> tuple[Pod, ...]:
        """The pods of ReplicaSets by their hashes, as they are now."""
        selector = f"{names.POD_TEMPLATE_HASH} in ({','.join(sorted(hashes))})"
        raws, _ = await self._client.list("Pod", namespace, selector)
        return tuple(map(Pod.read, raws))

    async def endpoints(self, service: Key) -> frozenset[str] | None:
        """The names of the pods that are ready endpoints of a Service now; None where it has no EndpointSlices."""
        slices, _ = await self._client.list("EndpointSlice", service.namespace, f"{_OF_SERVICE}={service.name}")
        found = (endpoint for each in slices for endpoint in each.get("endpoints") or ())
        ready = (e for e in found if (e.get("conditions") or {}).get("ready") is not False)
        targets = (e.get("targetRef") or {} for e in ready)
        return frozenset(t.get("name") or "" for t in targets if t.get("kind") == "Pod") if slices else None

    async def refresh(self, key: Key, author: Hashable) -> None:
        """Read one object from the server into the store."""
        try:
            self._absorb(await self._client.get(key), author)
        except NotFound:
            self._drop(key, author)

    def _absorb(self, obj: dict[str, Any], author: Hashable) -> None:
        self.author = author
        try:
            self._store.absorb(obj)
        finally:
            self.author = None

    def _drop(self, key: Key, author: Hashable) -> None:
        self.author = author
        try:
            self._store.drop(key)
        finally:
            self.author = None


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) that turns `before` into `after`; lists are replaced whole."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            if inner := merge_patch(old, value):
                patch[name] = inner
        elif old != value:
            patch[name] = value
    return patch


def status_write(obj: Mapping[str, Any], status: Mapping[str, Any]) -> Write:
    """The one write of an object's status, refused by the server if the object has changed since it was read.

    Of our kinds, Rollout alone has a status subresource: AnalysisRun and Experiment have none in Argo Rollouts'
    definitions, which may be the ones that are installed.
    """
    meta = obj["metadata"]
    return Write(
        "patch",
        Key(obj["kind"], meta.get("namespace", ""), meta["name"]),
        {
            "metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},
            "status": merge_patch(obj.get("status") or {}, status),
        },
        subresource="status" if obj["kind"] == names.ROLLOUT else "",
    )
