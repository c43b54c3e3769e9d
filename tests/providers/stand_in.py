"""A server on loopback that plays a provider's API: it keeps what it was asked, and answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from tidegate.core.analysis.world import Measure, Reading
from tidegate.providers.base import Asker, SecretError
from tidegate.providers.registry import ProviderSettings, open_providers

SecretMap = Mapping[tuple[str, str], Mapping[str, str]]


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class StandIn:
    """Answers by path; `answers` may hold a list for a path, of which each request takes the next."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    address: str = ""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(Asked(request.method, request.path, dict(request.query), request.headers.copy(), body))
        answer = self.answers.get(request.path, self.answers.get("*", (404, {})))
        if isinstance(answer, list):
            answer = answer.pop(0)
        return await self._respond(request, answer)

    async def _respond(self, request: web.Request, answer: Any) -> web.StreamResponse:
        if answer == "hang":
            await self.released.wait()
            return web.Response()
        if answer == "flood":
            flood = web.StreamResponse()
            await flood.prepare(request)
            try:
                while True:
                    await flood.write(b" " * 1_000_000)
            except ConnectionError:
                return flood
        if answer == "break":
            broken = web.StreamResponse(headers={"Content-Length": "1000"})
            await broken.prepare(request)
            await broken.write(b"{")
            assert request.transport is not None
            request.transport.abort()
            return broken
        status, content, *headers = answer if isinstance(answer, tuple) else (200, answer)
        body = content if isinstance(content, bytes) else orjson.dumps(content)
        return web.Response(status=status, body=body, headers=headers[0] if headers else {})


@asynccontextmanager
async def standing_in() -> AsyncIterator[StandIn]:
    stand_in = StandIn()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", stand_in.handle)
    async with TestServer(app) as running:
        stand_in.address = str(running.make_url("")).rstrip("/")
        try:
            yield stand_in
        finally:
            stand_in.released.set()


async def take(
    name: str,
    spec: Mapping[str, Any],
    *,
    seconds: float = 5,
    secrets: SecretMap | None = None,
    hidden: frozenset[str] = frozenset(),
    interval: timedelta | None = None,
    started_at: datetime | None = None,
    resume: Mapping[str, str] | None = None,
    id_: str = "",
) -> Reading:
    """One measurement as the engine takes it, for a run in the namespace `shop` by an operator in `ops`."""

    async def read(namespace: str, secret: str) -> Mapping[str, str]:
        try:
            return (secrets or {})[namespace, secret]
        except KeyError:
            raise SecretError(f"Secret {namespace}/{secret} not found") from None

    providers = open_providers(ProviderSettings())
    asker = Asker("shop", "ops", read, interval, started_at, resume or {}, id_)
    try:
        return await providers.take(Measure("m", {name: spec}, timedelta(seconds=seconds)), asker, hidden)
    finally:
        await providers.close()
