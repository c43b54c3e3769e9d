"""The outer wall of the page, an ASGI middleware: what comes from elsewhere is refused before anything looks at it.

- The Host must be one that this page is known by: a foreign name that was made to lead here (DNS rebinding) is refused.
- What changes something must come from a page of the same origin (Origin, Sec-Fetch-Site), in JSON, with a header that
  forms can't send. The cookie is SameSite=Strict besides.
- Data is not handed to other sites' pages either (Sec-Fetch-Site, Cross-Origin-Resource-Policy).
- Every answer carries a content policy under which no foreign and no inline script runs, nor anything put into the page
  as text (Trusted Types).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS: Final = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)
_SAFE: Final = frozenset({"GET", "HEAD"})
_LARGEST_BODY: Final = 32_768


class Guard:
    """Wraps the page's app. hosts: the names, without port, that it may be called by; loopback's always may."""

    def __init__(self, app: App, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = LOOPBACK | {host.strip().lower() for host in hosts if host.strip()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        if refusal:
            status, words = refusal
            await PlainTextResponse(words + "\n", status)(scope, receive, _dressed(send))
            return
        await self._app(scope, receive, _dressed(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host_name(host) not in self._hosts:
            return 421, (
                "This page does not answer to that name. Call it by localhost, or name its host: "
                "--page-hosts for `tidegate run`, page.hosts in the chart."
            )
        site = headers.get("sec-fetch-site", "same-origin")
        if scope["method"] in _SAFE:
            # People may follow a link to the page from anywhere; what its scripts fetch is for itself alone.
            if scope["path"].startswith("/api/") and site not in ("same-origin", "none"):
                return 403, "Other sites may not read this."
            return None
        if scope["method"] not in ("POST", "DELETE"):
            return 405, "Nothing here takes that method."
        origin = urlsplit(headers.get("origin", ""))
        if origin.scheme not in ("http", "https") or origin.netloc.lower() != host.lower() or site != "same-origin":
            return 403, "Other sites may not ask for anything here."
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" or headers.get("x-tidegate-page") != "1":
            return 403, "Only the page itself may ask for anything here."
        length = headers.get("content-length", "")
        if not length.isdigit() or int(length) > _LARGEST_BODY:
            return 413, "That is more than the page ever sends."
        return None


def host_name(host: str) -> str:
    """The name in a Host header, without its port, in small letters; empty for nonsense."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return ""
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        return ""
    return parts.hostname or ""


def _dressed(send: Send) -> Send:
    async def dress(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS:
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return dress
