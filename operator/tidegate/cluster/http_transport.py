"""The transport of a running operator: one aiohttp connection pool, credentials that renew themselves."""
# ruff: noqa: ASYNC109  (a limit per request is part of the seam; callers know it, aiohttp enforces it)

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final
from urllib.parse import quote, urlencode
from weakref import WeakSet

import aiohttp
from yarl import URL

from tidegate import __version__
from tidegate.cluster.credentials import Credentials, authorization, load_trust, ssl_context
from tidegate.cluster.errors import TransportError, error_from_answer
from tidegate.cluster.transport import Response

Login = Callable[[], Awaitable[Credentials]]

_TOKEN_MAX_AGE: Final = 60.0
_SILENCE: Final = 150.0


class HttpTransport:
    """A Transport over one aiohttp connection pool.

    credentials: what to start with.
    login: asked for new credentials when the server answers 401; the request is then repeated once.
    replica: who asks, in the API server's audit log.
    silence: seconds without a byte after which a watch counts as dead. API servers send a bookmark about
        every minute, so a healthy but quiet watch stays below it.
    """

    def __init__(
        self, credentials: Credentials, *, login: Login | None = None, replica: str = "", silence: float = _SILENCE
    ) -> None:
        self._credentials = credentials
        self._login = login
        self._agent = f"tidegate/{__version__}" + (f" ({replica})" if replica else "")
        self._login_lock = asyncio.Lock()
        self._ssl = ssl_context(credentials)
        # No limit: a watch holds its connection for good, and a lease renewal must not queue behind writes.
        self._connector = aiohttp.TCPConnector(limit=0, ssl=self._ssl)
        self._sessions: WeakSet[aiohttp.ClientSession] = WeakSet()
        self._stream_timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=silence)
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._token_read_at = asyncio.get_running_loop().time()
        self._authorization = authorization(credentials)
        self._session = self.share_session()

    @property
    def server(self) -> str:
        """The base URL, as kopf.AiohttpSession wants it."""
        return self._credentials.server

    def share_session(self) -> aiohttp.ClientSession:
        """A session on the same connections and credentials, for kopf.

        kopf closes the session it was given whenever it logs in again, and ours must survive that.
        """
        headers = {
            "Accept": "application/json",
            # Compression between two processes of one cluster costs more than it saves.
            "Accept-Encoding": "identity",
            "User-Agent": self._agent,
        }
        if self._authorization:
            headers["Authorization"] = self._authorization
        session = aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            auto_decompress=True,
            proxy=self._credentials.proxy_url,
        )
        self._sessions.add(session)
        return session

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
        headers = {}
        if content_type:
            headers["Content-Type"] = content_type
        if accept:
            headers["Accept"] = accept
        limit = self._timeout(timeout)
        self._renew_token()
        for attempt in (1, 2):
            used, url = self._authorization, self._url(path, query)
            try:
                async with self._session.request(method, url, data=body, headers=headers, timeout=limit) as answer:
                    response = Response(answer.status, await answer.read(), answer.headers)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise TransportError(f"{method} {path}: {_in_words(error)}") from error
            if response.status != 401 or attempt == 2 or not await self._log_in_again(used):
                break
        return response

    @asynccontextmanager
    async def stream(self, path: str, *, query: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        self._renew_token()
        used = self._authorization
        answer = await self._open(path, query)
        try:
            if answer.status == 401 and await self._log_in_again(used):
                answer.close()
                answer = await self._open(path, query)
            if answer.status != 200:
                text = await _read_refusal(answer, path)
                raise error_from_answer(answer.status, text, answer.headers, verb="watch", target=path)
            yield _lines(answer, path)
        finally:
            # Closed, not released to the pool: an unread watch would go on sending into it.
            answer.close()

    async def _open(self, path: str, query: Mapping[str, str]) -> aiohttp.ClientResponse:
        try:
            return await self._session.get(self._url(path, query), timeout=self._stream_timeout)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TransportError(f"watch {path}: {_in_words(error)}") from error

    async def close(self) -> None:
        """Close every connection, those of shared sessions too."""
        for session in list(self._sessions):
            await session.close()
        await self._connector.close()

    def _url(self, path: str, query: Mapping[str, str]) -> URL:
        return _url(self._credentials.server, path, tuple(query.items()))

    def _timeout(self, seconds: float) -> aiohttp.ClientTimeout:
        known = self._timeouts.get(seconds)
        if known is None:
            known = aiohttp.ClientTimeout(total=seconds)
            if len(self._timeouts) < 16:
                self._timeouts[seconds] = known
        return known

    def _renew_token(self) -> None:
        path = self._credentials.token_path
        now = asyncio.get_running_loop().time()
        if path is None or now - self._token_read_at < _TOKEN_MAX_AGE:
            return
        self._token_read_at = now
        self._authorize(authorization(self._credentials))

    async def _log_in_again(self, used: str | None) -> bool:
        """Get credentials newer than those just refused. False if there are none to get."""
        async with self._login_lock:
            if self._authorization != used:
                return True  # Another request has been here while this one waited.
            if self._credentials.token_path:
                self._token_read_at = asyncio.get_running_loop().time()
                self._authorize(authorization(self._credentials))
                if self._authorization != used:
                    return True
            if self._login is None:
                return False
            self._credentials = await self._login()
            # The context is shared by every pooled connection, so new client certificates go into this one.
            load_trust(self._ssl, self._credentials)
            self._authorize(authorization(self._credentials))
            return True

    def _authorize(self, authorization: str | None) -> None:
        self._authorization = authorization
        for session in self._sessions:
            if authorization is None:
                session.headers.pop("Authorization", None)
            else:
                session.headers["Authorization"] = authorization


@lru_cache(maxsize=512)  # Most requests are about an object that was written to a moment ago.
def _url(server: str, path: str, query: tuple[tuple[str, str], ...]) -> URL:
    text = server.rstrip("/") + path
    return URL(f"{text}?{urlencode(query, quote_via=quote)}" if query else text, encoded=True)


async def _lines(answer: aiohttp.ClientResponse, path: str) -> AsyncIterator[bytes]:
    """Split a stream into lines of any length.

    aiohttp's readline gives up beyond its buffer limit, and one object may be several MiB long.
    """
    pieces: list[bytes] = []
    try:
        async for chunk in answer.content.iter_any():
            start = 0
            while (end := chunk.find(b"\n", start)) >= 0:
                pieces.append(chunk[start:end])
                start = end + 1
                line = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                pieces.clear()
                if line:
                    yield line
            if start < len(chunk):
                pieces.append(chunk[start:])
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise TransportError(f"watch {path}: {_in_words(error)}") from error


async def _read_refusal(answer: aiohttp.ClientResponse, path: str) -> bytes:
    try:
        return await answer.content.read(65536)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise TransportError(f"watch {path}: {answer.status}, then {_in_words(error)}") from error


def _in_words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
