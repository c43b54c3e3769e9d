"""Sending a parcel: the one place from which messages leave the process.

An error says what kind of thing went wrong and nothing of what was sent or answered: addresses, headers and answers may
hold secrets.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from tidegate.observe.notify.services import Note, Parcel, Request
from tidegate.threads import DaemonPool

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

SECONDS: Final = 10.0
"""For one request and its answer."""
NOTE_SECONDS: Final = 20.0
"""For one note: Apprise may connect more than once."""
_THREADS: Final = 4
_MOST_BYTES: Final = 64 * 1024
_AGAIN: Final = frozenset((408, 425, 429))


class SendError(Exception):
    """A message that did not arrive. again: whether another try may help. The text holds no secrets."""

    def __init__(self, text: str, *, again: bool) -> None:
        super().__init__(text)
        self.again = again


class Sender(Protocol):
    """The seam: sends one parcel and returns once it was taken, or raises SendError."""

    async def send(self, parcel: Parcel) -> None: ...

    async def close(self) -> None: ...


class WideSender:
    """Requests by aiohttp on the loop, notes by Apprise in a few threads of its own. Neither is loaded before use."""

    def __init__(self) -> None:
        self._session: ClientSession | None = None
        self._threads: DaemonPool | None = None

    async def send(self, parcel: Parcel) -> None:
        """Send one parcel, within the time that its kind has."""
        try:
            if isinstance(parcel, Request):
                async with asyncio.timeout(SECONDS):
                    await self._request(parcel)
            else:
                async with asyncio.timeout(NOTE_SECONDS):
                    await self._note(parcel)
        except TimeoutError:
            raise SendError("no answer in time", again=True) from None

    async def close(self) -> None:
        """Let go of connections and idle threads."""
        if self._session is not None:
            await self._session.close()
        if self._threads is not None:
            self._threads.close()

    async def _request(self, request: Request) -> None:
        import aiohttp  # noqa: PLC0415 - loaded where the first message is sent

        try:
            async with self._opened().request(
                request.method,
                request.url,
                data=request.body.encode(),
                headers=request.headers,
                ssl=request.verify,
                # A redirect would take the headers, and the secrets in them, to who knows where.
                allow_redirects=False,
                **_proxy(request.url),
            ) as answer:
                await _judge(request, answer)
        except TimeoutError:
            raise
        except aiohttp.InvalidURL:
            raise SendError("the address is none", again=False) from None
        except aiohttp.ClientConnectorCertificateError:
            raise SendError("the receiver's certificate is not trusted", again=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise SendError(f"no connection ({type(error).__name__})", again=True) from None
        except ValueError:
            raise SendError("the address or a header can't be sent", again=False) from None

    async def _note(self, note: Note) -> None:
        if self._threads is None:
            self._threads = DaemonPool(_THREADS, "notify")
        await asyncio.wrap_future(self._threads.submit(lambda: _by_apprise(note)))

    def _opened(self) -> ClientSession:
        import aiohttp  # noqa: PLC0415

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=32, limit_per_host=8),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "tidegate"},
                skip_auto_headers=("Content-Type",),
                timeout=aiohttp.ClientTimeout(total=SECONDS),
            )
        return self._session


async def _judge(request: Request, answer: ClientResponse) -> None:
    if not 200 <= answer.status < 300:
        again = answer.status >= 500 or answer.status in _AGAIN
        raise SendError(f"the receiver answered with HTTP {answer.status}", again=again)
    if request.refusal is not None:
        body = await answer.content.read(_MOST_BYTES)
        if why := request.refusal(body.decode(errors="replace")):
            raise SendError(f"the receiver said no: {why}", again=why in ("ratelimited", "rate_limited"))


def _by_apprise(note: Note) -> None:
    for name in ("apprise", "urllib3", "requests"):
        # They log addresses, and these hold tokens.
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    import apprise  # noqa: PLC0415 - 17 MB, for those who have such a service

    form = apprise.NotifyFormat.HTML if note.html else apprise.NotifyFormat.TEXT
    asset = apprise.AppriseAsset(async_mode=False, secure_logging=True, app_id="Tidegate", app_desc="Tidegate")
    try:
        plugin = apprise.Apprise.instantiate(note.url, asset=asset, suppress_exceptions=True)
    except Exception as error:  # noqa: BLE001 - any plugin may raise anything, with the address in its text
        raise SendError(f"Apprise can't read the address ({type(error).__name__})", again=False) from None
    if plugin is None:
        raise SendError("Apprise can't read the address of the service", again=False)
    try:
        taken = plugin.notify(body=note.body, title=note.title, body_format=form)
    except Exception as error:  # noqa: BLE001
        raise SendError(f"Apprise failed ({type(error).__name__})", again=True) from None
    if not taken:
        raise SendError(f"the receiver did not take it ({plugin.service_name} by Apprise)", again=True)


def _proxy(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return {"proxy": proxy} if proxy and not proxy_bypass(parts.netloc) else {}
