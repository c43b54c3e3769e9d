"""Questions over HTTP, for every provider that has no client library of its own.

One session for all of them, opened with the first question. What it lends a provider are limits (on time, on
size, on connections to one host), errors that are fit to be shown, and care with credentials: they follow no
redirect to another host and stand in no message.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import orjson

from tidegate.core.analysis.secrecy import conceal
from tidegate.providers.wording import AnswerError, answered, explain, public_address, shortened

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_TO_ONE_HOST: Final = 16
_MOST_REDIRECTS: Final = 5
_PORTS: Final = {"http": 80, "https": 443}


class AskError(AnswerError):
    """A question without an answer. The text is a whole sentence, fit for a status.

    hidden: the credentials that were used, for whatever else is said about the measurement.
    """

    def __init__(self, text: str, hidden: frozenset[str] = frozenset()) -> None:
        super().__init__(conceal(text, hidden))
        self.hidden = hidden


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
                connector=aiohttp.TCPConnector(limit=128, limit_per_host=_MOST_TO_ONE_HOST),
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


@dataclass(slots=True)
class Talk:
    """The questions of one measurement, all within one time.

    who: what the server is called in messages. seconds: from now on.
    hidden: grows by what is added while talking, such as an access token.
    """

    http: Http
    who: str
    seconds: float
    insecure: bool = False
    hidden: frozenset[str] = frozenset()
    _until: float = field(init=False)

    def __post_init__(self) -> None:
        self._until = asyncio.get_running_loop().time() + self.seconds

    async def ask(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One question. Raises AskError."""
        try:
            plain, sent = _prepared(url, headers or {})
            async with asyncio.timeout_at(self._until):
                return await self.http.send(method, plain, sent, body, insecure=self.insecure)
        except AnswerError as error:
            raise self.fault(url, str(error)) from None
        except Exception as error:  # noqa: BLE001 - whatever goes wrong while asking is the measurement's error
            raise self.fault(url, explain(error, self.seconds)) from None

    async def ask_json(self, url: str, **more: Any) -> Any:
        """One question whose answer is JSON and of a status of 2xx. Raises AskError."""
        answer = await self.ask(url, **more)
        if not answer.fine:
            raise self.refused(url, answer)
        try:
            return answer.json()
        except AnswerError as error:
            raise self.fault(url, str(error)) from None

    def refused(self, url: str, answer: Answer) -> AskError:
        """An answer of another status than 2xx, with the server's own words where they are JSON."""
        return self.fault(url, answered(answer.status, self.conceal(_words(answer))))

    def fault(self, url: str, what: str) -> AskError:
        """Something wrong with the server at `url`: `what` follows its name."""
        return AskError(shortened(self.conceal(f"{self.who} at {public_address(url)} {what}"), 800), self.hidden)

    def conceal(self, text: str) -> str:
        return conceal(text, self.hidden)

    def hide(self, *secrets: str) -> None:
        self.hidden |= {secret for secret in secrets if secret}

    async def access(self, authentication: Mapping[str, Any]) -> dict[str, str]:
        """The header that says who asks, as `authentication` of a metric wants it; none for nothing."""
        basic, oauth2 = authentication.get("basicAuth") or {}, authentication.get("oauth2") or {}
        if basic.get("username"):
            return {"Authorization": self._basic(str(basic["username"]), str(basic.get("password") or ""))}
        if oauth2.get("tokenUrl"):
            return {"Authorization": f"Bearer {await self._token(oauth2)}"}
        return {}

    async def _token(self, oauth2: Mapping[str, Any]) -> str:
        """An access token by the client credentials grant (RFC 6749, 4.4).

        The client says who it is by header and, where that is refused, by form, as Go's client does.
        """
        url, name, secret = (
            str(oauth2["tokenUrl"]),
            str(oauth2.get("clientId") or ""),
            str(oauth2.get("clientSecret") or ""),
        )
        self.hide(secret)
        form = {"grant_type": "client_credentials"}
        if oauth2.get("scopes"):
            form["scope"] = " ".join(map(str, oauth2["scopes"]))
        content = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        by_header = {"Authorization": self._basic(quote(name, safe=""), quote(secret, safe=""))}
        talk = Talk(
            self.http, "the OAuth2 server", self._until - asyncio.get_running_loop().time(), self.insecure, self.hidden
        )
        talk.seconds = self.seconds
        answer = await talk.ask(url, method="POST", headers=content | by_header, body=urlencode(form).encode())
        if 400 <= answer.status < 500:
            form |= {"client_id": name, "client_secret": secret}
            answer = await talk.ask(url, method="POST", headers=content, body=urlencode(form).encode())
        if not answer.fine:
            raise talk.refused(url, answer)
        try:
            token = answer.json()["access_token"]
        except (AnswerError, TypeError, KeyError):
            token = None
        if not isinstance(token, str) or not token:
            raise talk.fault(url, "gave an answer without an access token")
        self.hide(token)
        return token

    def _basic(self, name: str, password: str) -> str:
        encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
        self.hide(password, encoded)
        return f"Basic {encoded}"


def header_map(headers: Any) -> dict[str, str]:
    """The `headers` of a metric; of one that is named twice the last counts."""
    return {str(header["key"]): str(header.get("value") or "") for header in headers or ()}


def breaks_line(text: str) -> bool:
    """Whether a text can't stand in a header."""
    return any(char in text for char in "\r\n\0")


def broken_header(name: str) -> str:
    return f"the header {name!r} holds a line break, and a Secret may end with one"


def _prepared(url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The address without user and password, and the headers with them. Raises AnswerError."""
    for name, value in headers.items():
        if breaks_line(name + value):
            raise AnswerError(f"can't be asked: {broken_header(name)}")
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise AnswerError("has an address that is not a URL") from None
    if parts.scheme not in _PORTS:
        raise AnswerError("has an address that is neither http:// nor https://")
    if not host:
        raise AnswerError("has an address that is not a URL")
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, parts.query, "")), {**of_address(url), **headers}


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
    if new.scheme not in _PORTS or (old.scheme == "https" and new.scheme == "http"):
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


def _words(answer: Answer) -> str:
    """What a server says about an error, in any of the forms that are usual."""
    try:
        said = answer.json()
    except AnswerError:
        return ""
    if isinstance(said, dict):
        for name in ("error", "errors", "message", "error_description", "errorMessage", "errorType"):
            if found := _text(said.get(name)):
                return found
    return ""


def _text(said: Any) -> str:
    if isinstance(said, dict):
        said = said.get("message")
    if isinstance(said, list):
        return "; ".join(filter(None, map(_text, said[:3])))
    return said if isinstance(said, str) else ""


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
