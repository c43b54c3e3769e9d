"""The seam: everything above speaks to a `Transport`, so tests replace a whole API server with thirty lines.

Authentication, TLS and sockets live below it (`http_transport`); verbs, kinds and retries above (`client`).
"""
# ruff: noqa: ASYNC109  (a limit per request is part of the seam; callers know it, aiohttp enforces it)

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, whatever its status. `headers` are case-insensitive when they come from the network."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Transport(Protocol):
    """How requests reach the API server. `path` starts with `/` and carries no query."""

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
        """Send one request and read the whole answer within `timeout` seconds. Raises TransportError."""
        ...

    def stream(self, path: str, *, query: Mapping[str, str]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch and yield its complete lines, without the line end.

        Entering raises ApiError for an answer other than 200 and TransportError when there is none. Iteration
        ends when the server closes the stream, and raises TransportError when the connection breaks or falls
        silent.
        """
        ...

    async def close(self) -> None: ...
