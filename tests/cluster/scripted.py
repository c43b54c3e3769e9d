"""A transport that follows a script: what each request and each watch is answered, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from tidegate.cluster.transport import Response


@dataclass(frozen=True)
class Sent:
    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    content_type: str | None
    accept: str | None
    timeout: float
    at: float


@dataclass
class Script:
    """answers: for requests. streams: for watches, each a list of lines and, last, maybe an error.

    A watch beyond the script stays open and silent; a request beyond it fails the test.
    """

    answers: list[Response | Exception] = field(default_factory=list)
    streams: list[Sequence[bytes | Exception] | Exception] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    watched: list[Mapping[str, str]] = field(default_factory=list)

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
        parsed = orjson.loads(body) if body is not None else None
        at = asyncio.get_running_loop().time()
        self.sent.append(Sent(method, path, dict(query), parsed, content_type, accept, timeout, at))
        assert self.answers, f"unexpected {method} {path}"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @asynccontextmanager
    async def stream(self, path: str, *, query: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        self.watched.append(dict(query))
        script = self.streams.pop(0) if self.streams else None
        if isinstance(script, Exception):
            raise script
        yield self._lines(script)

    async def _lines(self, script: Sequence[bytes | Exception] | None) -> AsyncIterator[bytes]:
        if script is None:
            await asyncio.Event().wait()
        for line in script or ():
            if isinstance(line, Exception):
                raise line
            yield line

    async def close(self) -> None:
        return


def answer(status: int, body: Any, **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return Response(status, raw, {name.replace("_", "-"): value for name, value in headers.items()})


def refusal(status: int, reason: str, message: str = "said the server", **headers: str) -> Response:
    body = {"kind": "Status", "status": "Failure", "code": status, "reason": reason, "message": message}
    return answer(status, body, **headers)


def service(name: str, version: int, *, namespace: str = "web", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
        },
        "spec": spec,
    }


def listing(version: int, *items: dict[str, Any], more: str = "") -> Response:
    metadata = {"resourceVersion": str(version)} | ({"continue": more} if more else {})
    return answer(200, {"kind": "ServiceList", "metadata": metadata, "items": list(items)})


def event(type_: str, obj: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"type": type_, "object": obj})


def bookmark(version: int) -> bytes:
    return event("BOOKMARK", {"kind": "Service", "metadata": {"resourceVersion": str(version)}})


def expired() -> bytes:
    return event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
