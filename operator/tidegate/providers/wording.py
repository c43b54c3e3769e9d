"""How a failure to get an answer is told to people, whichever server was asked and by whichever library.

Failures are told from what happened, never by printing an exception of the HTTP library: those quote URLs,
and a URL may hold a password.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from http.client import RemoteDisconnected
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_LONGEST_TEXT: Final = 500


class AnswerError(Exception):
    """An answer that holds no value. Its text is fit for a status."""


def answered(status: int, words: str = "") -> str:
    """An HTTP status, and what the server said about it; a proxy's page is of no use to a reader."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "an unknown status"
    return shortened(f"answered {status} {phrase}" + (f": {words}" if words else ""))


def shortened(text: str, longest: int = _LONGEST_TEXT) -> str:
    """`text`, cut where it becomes too long for a status."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def public_address(address: str) -> str:
    """An address as it may be shown: without user and password, query and fragment."""
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "its address"
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


def explain(error: BaseException, seconds: float) -> str:
    """Why a question got no answer. The sentence follows `Prometheus at …`; `seconds` is the time it had."""
    causes = list(_causes(error))
    if any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in causes):
        return f"gave no answer within {seconds:g} s"
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"has a TLS certificate that is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"can't be spoken to by TLS: {cause.reason or 'the handshake failed'}"
        if isinstance(cause, socket.gaierror):
            return "has a host name that can't be resolved"
        if isinstance(cause, RemoteDisconnected):
            return "closed the connection without an answer"
        if isinstance(cause, OSError) and cause.errno:
            return f"can't be reached: {os.strerror(cause.errno)}"
    kind = type(error).__name__
    return _KINDS.get(kind, f"could not be asked ({kind})")


_KINDS: Final = {
    "ClientHttpProxyError": "can't be reached: the proxy refused",
    "ClientPayloadError": "broke its answer off",
    "ClientResponseError": "gave an answer that is not HTTP",
    "ServerDisconnectedError": "closed the connection without an answer",
    "ClientOSError": "closed the connection before its answer was complete",
    "ClientConnectionResetError": "closed the connection before its answer was complete",
    "ChunkedEncodingError": "broke its answer off",
    "ContentDecodingError": "gave an answer that can't be decompressed",
    "ConnectionError": "closed the connection before its answer was complete",
    "InvalidProxyURL": "can't be reached: the proxy's address is not a URL",
    "ProtocolError": "broke its answer off",
    "ProxyError": "can't be reached: the proxy refused",
    "InvalidSchema": "has an address that is neither http:// nor https://",
    "InvalidURL": "has an address that is not a URL",
    "MissingSchema": "has an address that is neither http:// nor https://",
    "TooManyRedirects": "sends the question round in circles",
}


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that it wraps, nearest first: HTTP libraries wrap by `args` and `reason` too."""
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
        waiting += [item for item in inner if isinstance(item, BaseException)]
