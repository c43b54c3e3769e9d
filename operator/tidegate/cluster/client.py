"""Verbs on kinds: turns a `Write` or a `Key` into one request and its answer into a dict or an error.

Deliberately thin, for typed clients cost three to five times the CPU and drop fields they don't know. Nothing
is retried here that could act twice: a conflict, a server error or a lost connection goes to the caller, who
decides again on fresh state.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Final, NamedTuple

import orjson
from pydantic_core import from_json

from tidegate.cluster.errors import (
    ApiError,
    NotLeading,
    ServerError,
    TooManyRequests,
    TransportError,
    error_from_answer,
    error_from_status,
)
from tidegate.cluster.limits import TokenBucket
from tidegate.cluster.resources import Resource, resource_of
from tidegate.cluster.transport import Response, Transport
from tidegate.core.plan import Key, Write

Obj = dict[str, Any]
OnRequest = Callable[[str, str, int, float], None]

PAGE: Final = 500
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PATCH_TYPES: Final = {"merge": "application/merge-patch+json", "json": "application/json-patch+json"}
# The lease must be renewed and an event may be lost, whatever else is going on.
_NEVER_LIMITED: Final = frozenset({"Lease"})
_NEVER_FENCED: Final = frozenset({"Lease", "Event"})
_BUSY_RETRIES: Final = 3
# More at once only queue up in the server, and each holds a TLS connection of about 100 KB.
_AT_ONCE: Final = 16
_LONGEST_WAIT: Final = 30.0
_READ_ATTEMPTS: Final = 2
_GONE: Final = b'{"type":"DELETED"'
_VERSION: Final = b'"resourceVersion":"'


class Page(NamedTuple):
    """A part of a list. `resource_version` is the whole list's, the same on every page."""

    items: list[Obj]
    resource_version: str


class WatchEvent(NamedTuple):
    """ADDED, MODIFIED, DELETED or BOOKMARK; the object (a bookmark's is empty); and where to go on from."""

    type: str
    object: Obj
    resource_version: str


class Client:
    """The API server as a few coroutines. Errors are `ApiError` and `TransportError`; see
    `tidegate.cluster.errors`.

    transport: how requests travel.
    request_timeout: seconds for one request and its whole answer.
    limiter: paces everything but leases; the default allows 200 requests a second after a burst of 400.
    on_request: told verb, kind, HTTP status (0: no answer) and seconds of every request sent.
    write_budget: seconds for which this process may still write. At 0 a write raises `NotLeading` unsent, and
    no
        write is waited for longer. Leases and events are exempt. Without it writes are always allowed.
    manager: the name by which the server notes who owns the fields that are written.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        request_timeout: float = 10.0,
        limiter: TokenBucket | None = None,
        on_request: OnRequest | None = None,
        write_budget: Callable[[], float] | None = None,
        manager: str = "tidegate",
    ) -> None:
        self._transport = transport
        self._request_timeout = request_timeout
        self._limiter = limiter or TokenBucket(rate=200.0, burst=400)
        self._on_request = on_request
        self._write_budget = write_budget
        self._manager = {"fieldManager": manager}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def send(self, write: Write, *, within: float | None = None) -> Obj:
        """Carry out one write within `within` seconds (default: the client's) and return what the server
        answered.

        That is the object as it is now, or for a delete that took effect at once a `Status`.
        """
        resource = resource_of(write.key.kind)
        _, namespace, name = write.key
        if write.verb == "create":
            at = (
                resource.path(namespace, name, write.subresource)
                if write.subresource
                else resource.collection(namespace)
            )
            method, path, content_type = "POST", at, "application/json"
            body: Any = write.body if write.subresource else _typed(resource, write.body)
            query: Mapping[str, str] = self._manager
        elif write.verb == "patch":
            method, path = "PATCH", resource.path(namespace, name, write.subresource)
            content_type, body, query = _PATCH_TYPES[write.patch], write.body, self._manager
        else:
            method, path, content_type = "DELETE", resource.path(namespace, name), "application/json"
            body, query = _delete_options(write.uid), {}
        answer = await self._request(
            write.verb,
            write.key.kind,
            str(write.key),
            (method, path),
            query,
            body=orjson.dumps(body, default=_plain),
            content_type=content_type,
            within=within,
            # A disruption budget's refusal is an answer; to ask again at once would only hold up the caller.
            patient=write.subresource != "eviction",
        )
        return _parsed(answer, write.verb, str(write.key))

    async def get(self, key: Key, *, within: float | None = None) -> Obj:
        """Read one object from the server. Raises NotFound."""
        path = resource_of(key.kind).path(key.namespace, key.name)
        answer = await self._read("get", key.kind, str(key), path, {}, within=within)
        return _parsed(answer, "get", str(key))

    async def pages(
        self,
        kind: str,
        namespace: str = "",
        label_selector: str = "",
        *,
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[Page]:
        """List in pages of 500, all of one moment. Raises Expired if that has passed before the last page."""
        resource = resource_of(kind)
        target = f"{resource.plural} in {namespace}" if namespace else resource.plural
        query = {"limit": str(PAGE), **_selectors(label_selector, field_selector)}
        accept = _METADATA_LIST if metadata_only else None
        while True:
            path = resource.collection(namespace)
            answer = await self._read("list", kind, target, path, query, accept=accept)
            listed = _parsed(answer, "list", target)
            items = listed.get("items") or []
            for item in items:  # Lists of built-in kinds leave both out of their items.
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", kind)
            metadata = listed.get("metadata") or {}
            version = str(metadata.get("resourceVersion") or "")
            if not version.isdigit():
                raise _nonsense(answer, "list", target)
            yield Page(items, version)
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    async def list(
        self, kind: str, namespace: str = "", label_selector: str = "", *, metadata_only: bool = False
    ) -> tuple[list[Obj], str]:
        """All objects of a kind, and the resource version to watch from."""
        items: list[Obj] = []
        version = ""
        async for page in self.pages(kind, namespace, label_selector, metadata_only=metadata_only):
            items += page.items
            version = page.resource_version
        return items, version

    def watch(
        self,
        kind: str,
        namespace: str = "",
        label_selector: str = "",
        *,
        field_selector: str = "",
        resource_version: str,
        known: Callable[[str], bool] = lambda _: False,
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent]]:
        """Everything that happens to a kind after `resource_version`, until the server ends the stream.

        known: whether what became of an object is known by its resource version, as after a write of ours. Then it is
        told as a bookmark, for half of what a busy watch brings is of that kind, and need not be read.

        Iterating raises Expired when the version is too old, other ApiErrors as the server reports them, and
        TransportError for a broken connection or a line that is no event.
        """
        resource = resource_of(kind)
        query = {"watch": "1", "resourceVersion": resource_version, "allowWatchBookmarks": "true"}
        query |= _selectors(label_selector, field_selector)
        return self._watch(resource, resource.collection(namespace), query, known)

    @asynccontextmanager
    async def _watch(
        self, resource: Resource, path: str, query: Mapping[str, str], known: Callable[[str], bool]
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        started = time.monotonic()
        status = 0
        try:
            async with self._transport.stream(path, query=query) as lines:
                status = 200
                self._report("watch", resource.kind, status, started)
                yield _events(lines, resource, known)
        except (ApiError, TransportError) as error:
            if not status:
                self._report("watch", resource.kind, getattr(error, "status", 0), started)
            raise

    async def _read(
        self,
        verb: str,
        kind: str,
        target: str,
        path: str,
        query: Mapping[str, str],
        *,
        accept: str | None = None,
        within: float | None = None,
    ) -> Response:
        """A request that changes nothing, sent again once if the connection broke."""
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                return await self._request(verb, kind, target, ("GET", path), query, accept=accept, within=within)
            except TransportError:
                if attempt == _READ_ATTEMPTS:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _request(
        self,
        verb: str,
        kind: str,
        target: str,
        request: tuple[str, str],
        query: Mapping[str, str],
        *,
        body: bytes | None = None,
        content_type: str | None = None,
        accept: str | None = None,
        within: float | None = None,
        patient: bool = True,
    ) -> Response:
        method, path = request
        exempt = kind in _NEVER_LIMITED
        for busy in range(_BUSY_RETRIES + 1):
            async with nullcontext() if exempt else self._places:
                if not exempt:
                    await self._limiter.take()
                limit = within or self._request_timeout
                if body is not None:
                    limit = self._allowed(kind, limit, verb, target)
                started = time.monotonic()
                try:
                    answer = await self._transport.request(
                        method,
                        path,
                        query=query,
                        body=body,
                        content_type=content_type,
                        accept=accept,
                        timeout=limit,
                    )
                except TransportError as error:
                    self._report(verb, kind, 0, started)
                    raise TransportError(f"{verb} {target}: {error}") from error
            self._report(verb, kind, answer.status, started)
            if 200 <= answer.status < 300:
                return answer
            problem = error_from_answer(answer.status, answer.body, answer.headers, verb=verb, target=target)
            if not isinstance(problem, TooManyRequests) or busy == _BUSY_RETRIES or exempt or not patient:
                raise problem
            await asyncio.sleep(min(_LONGEST_WAIT, problem.retry_after or 1.0))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _allowed(self, kind: str, limit: float, verb: str, target: str) -> float:
        """The seconds this write may take. Checked last, because waiting for a place takes time."""
        if self._write_budget is None or kind in _NEVER_FENCED:
            return limit
        left = self._write_budget()
        if left <= 0:
            raise NotLeading(f"{verb} {target}: not sent, as this replica may not, or no longer, act")
        return min(limit, left)

    def _report(self, verb: str, kind: str, status: int, started: float) -> None:
        if self._on_request is not None:
            self._on_request(verb, kind, status, time.monotonic() - started)


async def _events(
    lines: AsyncIterator[bytes], resource: Resource, known: Callable[[str], bool]
) -> AsyncIterator[WatchEvent]:
    async for line in lines:
        version = _version_in(line)
        if version and known(version):
            yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": version}}, version)
            continue
        try:
            event = decode(line)
            type_, obj = event["type"], event["object"]
            version = "" if type_ == "ERROR" else str(obj["metadata"]["resourceVersion"])
        except (ValueError, KeyError, TypeError) as error:
            raise TransportError(f"watch {resource.plural}: a line that is no event: {line[:200]!r}") from error
        if type_ == "ERROR":
            raise error_from_status(obj, verb="watch", target=resource.plural)
        yield WatchEvent(type_, obj, version)


def _version_in(line: bytes) -> str:
    """The resource version in an event of an object that is there; empty where only reading it all can tell.

    It is the first in the line, for metadata come first. A label of that name before it can hide an event of its own
    object, and nothing else.
    """
    at = line.find(_VERSION)
    if at < 0 or line.startswith(_GONE):
        return ""
    at += len(_VERSION)
    return line[at : line.find(b'"', at)].decode(errors="replace")


def decode(text: bytes) -> Any:
    """Parse JSON. Raises ValueError.

    Strings are shared between objects, which keeps a stored ReplicaSet a third smaller than orjson does, for
    the same CPU (8.2 to 12.2 KB and 34 to 31 µs for 2.3 KB of JSON).
    """
    return from_json(text, cache_strings="all")


def _parsed(answer: Response, verb: str, target: str) -> Obj:
    try:
        parsed = decode(answer.body)
    except ValueError as error:
        raise _nonsense(answer, verb, target) from error
    if not isinstance(parsed, dict):
        raise _nonsense(answer, verb, target)
    return parsed


def _nonsense(answer: Response, verb: str, target: str) -> ServerError:
    said = f"success, with a body that makes no sense: {answer.body[:200]!r}"
    return ServerError(answer.status, "BadAnswer", said, verb=verb, target=target)


def _selectors(label: str, field: str) -> dict[str, str]:
    given = {"labelSelector": label, "fieldSelector": field}
    return {name: selector for name, selector in given.items() if selector}


def _typed(resource: Resource, body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None) -> Obj:
    assert isinstance(body, Mapping), f"creating a {resource.kind} needs its body"
    return {"apiVersion": resource.api_version, "kind": resource.kind, **body}


def _delete_options(uid: str) -> Obj:
    options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    if uid:
        options["preconditions"] = {"uid": uid}
    return options


def _plain(value: object) -> object:
    """Let read-only mappings and sequences of a frozen plan be encoded."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} can't be written as JSON")
