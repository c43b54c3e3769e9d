"""Questions over HTTP, for every provider that has no client library of its own.

One session for all of them, opened with the first question. What it lends a provider are limits (on time, on
size, on connections to one host), errors that are fit to be shown, and care with credentials: they follow no
redirect to another host and stand in no message.
"""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import orjson

from tidegate.providers.wording import AnswerError

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_TO_ONE_HOST: Final = 16
_MOST_REDIRECTS: Final = 5
PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever its status."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises AnswerError."""
        try:
            return orjson.loads(self.body)
        except ValueError:
            raise AnswerError("gave an answer that is not JSON") from None

    @property
    def fine(self) -> bool:
        return 200 <= self.status < 300


class Http:
    """The session that all providers share. To be used from one event loop."""

    def __init__(self) -> None:
        self._session: ClientSession | None = None

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, insecure: bool
    ) -> Answer:
        """Ask and follow redirects. Raises AnswerError and whatever the client raises."""
        for _ in range(_MOST_REDIRECTS + 1):
            async with self._opened().request(
                method,
                url,
                headers=headers,
                data=body,
                ssl=False if insecure else _trust(),
                allow_redirects=False,
                **_proxy(url),
            ) as answer:
                target = answer.headers.get("Location")
                if answer.status not in (301, 302, 303, 307, 308) or not target:
                    return Answer(answer.status, await _read(answer))
                onward = urljoin(url, target)
                headers = _allowed(headers, url, onward)
                if answer.status in (301, 302, 303) and method != "GET":
                    method, body = "GET", None
                if body is not None and urlsplit(onward).hostname != urlsplit(url).hostname:
                    # A body may hold a credential just as well as a header.
                    raise AnswerError("redirects what is sent to another host; give that address if it is right")
                url = onward
        raise AnswerError("sends the question round in circles")

    def _opened(self) -> ClientSession:
        if self._session is None:
            import aiohttp  # noqa: PLC0415 - an operator whose analyses ask only Prometheus opens no session

            self._session = aiohttp.ClientSession(
                # Every question looks the name up and connects anew. A connection that is kept leads on to a pod that
                # its Service has left, and a check of the new version would be answered by the old one.
                connector=aiohttp.TCPConnector(
                    limit=128, limit_per_host=_MOST_TO_ONE_HOST, force_close=True, use_dns_cache=False
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "tidegate", "Accept-Encoding": "identity"},
                skip_auto_headers=("Content-Type",),
                timeout=aiohttp.ClientTimeout(total=None),  # each question has its own
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def of_address(url: str) -> dict[str, str]:
    """The header that stands for user and password of an address; none for an address without."""
    try:
        user, found, _ = urlsplit(url).netloc.rpartition("@")
    except ValueError:
        return {}
    if not found:
        return {}
    name, _, password = user.partition(":")
    encoded = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def _allowed(headers: Mapping[str, str], before: str, after: str) -> Mapping[str, str]:
    """The headers that may follow a redirect: to another host none, for any of them may be a credential."""
    old, new = urlsplit(before), urlsplit(after)
    if new.scheme not in PORTS or (old.scheme == "https" and new.scheme == "http"):
        raise AnswerError("redirects to an address that is not https://")
    return headers if old.hostname == new.hostname else {}


async def _read(answer: ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            answer.close()
            raise AnswerError(f"gave an answer of more than {_MOST_BYTES // 2**20} MiB")
    return bytes(body)


def _trust() -> ssl.SSLContext | bool:
    """Which certificates are trusted: the system's, or those of the bundle that the environment names."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or ""
    if bundle not in _CONTEXTS:
        capath, cafile = (bundle, None) if Path(bundle).is_dir() else (None, bundle)
        _CONTEXTS[bundle] = ssl.create_default_context(cafile=cafile, capath=capath) if bundle else True
    return _CONTEXTS[bundle]


_CONTEXTS: Final[dict[str, ssl.SSLContext | bool]] = {}


def _proxy(url: str) -> dict[str, Any]:
    """The proxy that the environment names for an address, as arguments of a request."""
    proxies = getproxies()
    parts = urlsplit(url)
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc):
        return {}
    access = of_address(proxy)
    if not access:
        return {"proxy": proxy}
    split = urlsplit(proxy)
    # The client library turns this header into Proxy-Authorization, for plain requests and for tunnels.
    plain = urlunsplit((split.scheme, split.netloc.rpartition("@")[2], "", "", ""))
    return {"proxy": plain, "proxy_headers": access}
