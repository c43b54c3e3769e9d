"""The operator's transport over the fake cluster, with the ways in which a network and a process fail.

The real client, informers and engine run on it unchanged. Faults are arranged for chosen requests;
`crash_after_writes` ends the operator's process at an exact write.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, NoReturn

import orjson

from tidegate.cluster.errors import TransportError, error_from_answer
from tidegate.cluster.transport import Response

from .cluster import FakeCluster
from .kinds import Obj
from .status import Response as Answer
from .status import failure
from .watching import Watch

CrashPoint = Literal["before", "after", "unseen"]

_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_BOOKMARK_EVERY: Final = 60.0
_METADATA_ONLY: Final = "PartialObjectMetadataList"


class Killed(BaseException):
    """The operator's process ended here. No `except Exception` may stop it, as none stops a SIGKILL."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as a fault sees it. number: counted from 1 over all requests of this transport."""

    number: int
    method: str
    path: str
    kind: str
    subresource: str
    body: bytes | None

    @property
    def is_write(self) -> bool:
        return self.method in _WRITES

    @property
    def counts(self) -> bool:
        """Whether it is a write that a story is made of: leases and events are not."""
        return self.is_write and self.kind not in ("Lease", "Event")


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of a request in place of an answer.

    answer: the server's refusal, or None for a broken connection.
    took_effect: whether the request was carried out before, as when only the answer was lost.
    after: seconds until the caller learns of it.
    """

    answer: Answer | None = None
    took_effect: bool = False
    after: float = 0.0


Decide = Callable[[Request], Fault | None]


class FakeTransport:
    """A `tidegate.cluster.transport.Transport`: one process's connection to the cluster.

    latency: seconds that every request takes, half before it takes effect and half after.
    lag: seconds by which watches run behind, so that decisions meet a cache that is out of date.
    requests: how many were sent, by (method, kind, subresource).
    writes: how many of them were writes, events and leases not counted.
    killed: set when the process has ended; make a new transport to start the next one.
    down: the API server can't be reached.
    """

    def __init__(
        self, cluster: FakeCluster, *, latency: float = 0.0, lag: float = 0.0, actor: str = "operator"
    ) -> None:
        self.cluster = cluster
        self.latency = latency
        self.lag = lag
        self.actor = actor
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.writes = 0
        self.killed = asyncio.Event()
        self.faults: list[Decide] = []
        self._number = 0
        self._crash: tuple[int, CrashPoint] | None = None
        self._streams: set[_Stream] = set()
        self.down = False
        cluster.history.listeners.append(self._wake)

    # -- what a test arranges

    def crash_after_writes(self, count: int, point: CrashPoint = "after") -> None:
        """End the process at its `count`-th write from now on, events and leases not counted.

        before: the write never reaches the server. unseen: it takes effect and its answer never arrives.
        after: the answer arrives, and whatever the process asks for next finds it gone.
        """
        self._crash = (self.writes + count, point)

    def kill(self) -> None:
        """End the process now: every request and stream of it raises Killed."""
        self.killed.set()
        self._wake()

    def fail(self, fault: Fault, *, when: Callable[[Request], bool] = lambda _: True, times: int = 1) -> None:
        """Let the next `times` requests for which `when` holds end in this fault."""
        left = times

        def decide(request: Request) -> Fault | None:
            nonlocal left
            if left <= 0 or not when(request):
                return None
            left -= 1
            return fault

        self.faults.append(decide)

    def take_down(self) -> None:
        """The API server is gone: streams break, connections are refused."""
        self.down = True
        self._wake()

    def bring_up(self) -> None:
        self.down = False

    def break_streams(self) -> None:
        """Cut every open watch, as a restarted load balancer does."""
        for stream in self._streams:
            stream.broken = True
        self._wake()

    def end_streams(self) -> None:
        """End every open watch in good order, as the server does every few minutes."""
        for stream in self._streams:
            stream.ended = True
        self._wake()

    # -- the transport

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: bytes | None = None,
        content_type: str | None = None,
        accept: str | None = None,
        timeout: float,
    ) -> Response:
        self.check_alive()
        request = self._count(method, path, body)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.sleep(self.latency / 2)
                self.check_alive()
                point = self._crash_point(request)
                if point == "before":
                    self._die()
                answer = await self._answer(request, query, content_type, accept)
                if point == "unseen":
                    self._die()
                await asyncio.sleep(self.latency / 2)
        except TimeoutError:
            raise TransportError(f"{method} {path}: no answer within {timeout:g} s") from None
        self.check_alive()
        if point == "after":
            self.kill()
        return answer

    @asynccontextmanager
    async def stream(self, path: str, *, query: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        self.check_alive()
        request = self._count("WATCH", path, None)
        fault = self._fault(request)
        if fault is not None:
            if fault.answer is None:
                raise TransportError(f"watch {path}: connection reset")
            raise _as_error(fault.answer, path)
        opened = self.cluster.watch(path, query)
        if not isinstance(opened, Watch):
            raise _as_error(opened, path)
        stream = _Stream(self, opened, path)
        self._streams.add(stream)
        try:
            yield stream.lines()
        finally:
            self._streams.discard(stream)

    async def close(self) -> None:
        if self._wake in self.cluster.history.listeners:
            self.cluster.history.listeners.remove(self._wake)

    # -- inside

    async def _answer(
        self, request: Request, query: Mapping[str, str], content_type: str | None, accept: str | None
    ) -> Response:
        fault = self._fault(request)
        if fault is None or fault.took_effect:
            body = orjson.loads(request.body) if request.body else None
            answer = self.cluster.request(
                request.method, request.path, query, body, content_type or "application/json", self.actor
            )
        if fault is not None:
            await asyncio.sleep(fault.after)
            if fault.answer is None:
                raise TransportError(f"{request.method} {request.path}: connection reset")
            answer = fault.answer
        body_out = answer.body
        if accept and _METADATA_ONLY in accept and request.method == "GET" and "items" in body_out:
            body_out = _metadata_only(body_out)
        return Response(answer.status, orjson.dumps(body_out), answer.headers)

    def _fault(self, request: Request) -> Fault | None:
        if self.down:
            return Fault()
        return next((fault for decide in self.faults if (fault := decide(request))), None)

    def _crash_point(self, request: Request) -> CrashPoint | None:
        if not request.counts:
            return None
        self.writes += 1
        if self._crash is not None and self.writes == self._crash[0]:
            return self._crash[1]
        return None

    def _count(self, method: str, path: str, body: bytes | None) -> Request:
        at = self.cluster.locate(path)
        kind, subresource = (at.resource.kind, at.subresource) if at else ("", "")
        self._number += 1
        self.requests[method, kind, subresource] += 1
        return Request(self._number, method, path, kind, subresource, body)

    def check_alive(self) -> None:
        """Raise Killed in whatever the process still tries to do after its end."""
        if self.killed.is_set():
            raise Killed

    def _die(self) -> NoReturn:
        self.kill()
        raise Killed

    def _wake(self) -> None:
        for stream in self._streams:
            stream.woken.set()


class _Stream:
    """One open watch on its way to the operator."""

    def __init__(self, transport: FakeTransport, watch: Watch, path: str) -> None:
        self._transport, self._watch, self._path = transport, watch, path
        self.woken = asyncio.Event()
        self.broken = False
        self.ended = False

    async def lines(self) -> AsyncIterator[bytes]:
        quiet = False
        while True:
            self._check()
            for event in self._watch.drain() or (self._watch.bookmark() if quiet else []):
                yield orjson.dumps({"type": event.type, "object": event.object})
                self._check()
            if self.ended or self._watch.expired:
                return
            quiet = not await self._changed()

    async def _changed(self) -> bool:
        """Wait for a change; False if there was none for as long as the server waits for a bookmark."""
        try:
            async with asyncio.timeout(_BOOKMARK_EVERY):
                await self.woken.wait()
        except TimeoutError:
            return False
        self.woken.clear()
        await asyncio.sleep(self._transport.lag)
        return True

    def _check(self) -> None:
        self._transport.check_alive()
        if self.broken or self._transport.down:
            raise TransportError(f"watch {self._path}: connection reset")


def _as_error(answer: Answer, path: str) -> Exception:
    return error_from_answer(answer.status, orjson.dumps(answer.body), answer.headers, verb="watch", target=path)


def _metadata_only(listed: Obj) -> Obj:
    items = [
        {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
        for item in listed["items"]
    ]
    return listed | {"kind": _METADATA_ONLY, "apiVersion": "meta.k8s.io/v1", "items": items}


def refusal(code: int, *, retry_after: int | None = None) -> Answer:
    """A refusal as the API server words it when it is in trouble: 409, 429, 500, 503, 504."""
    reason, message = _REFUSALS[code]
    details = {"retryAfterSeconds": retry_after} if retry_after is not None else None
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    answer = failure(code, reason, message, details)
    return Answer(code, answer.body, headers)


_REFUSALS: Final = {
    409: ("Conflict", "Operation cannot be fulfilled: the object has been modified"),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    500: ("InternalError", 'Internal error occurred: failed calling webhook "rev.validation.istio.io"'),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within requested timeout"),
}
