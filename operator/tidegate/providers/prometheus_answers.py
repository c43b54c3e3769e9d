"""What Prometheus' answers mean: an HTTP answer to a reading, a failure to a sentence.

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
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import orjson

from tidegate.core.analysis.values import show_number, show_vector
from tidegate.core.analysis.world import Reading

_LONGEST_TEXT: Final = 500
_SHOWN_ELEMENTS: Final = 20
"""A status has to stay small: a longer vector is shown by its first elements, and judged by all of them."""


class AnswerError(Exception):
    """An answer that holds no value. Its text is fit for a status."""


def read_answer(status: int, body: bytes) -> Reading:
    """The reading in an answer of /api/v1/query. Raises AnswerError, whose text follows `Prometheus at …`."""
    answer = _json(body)
    if status != HTTPStatus.OK or answer.get("status") != "success":
        raise AnswerError(_complaint(status, answer))
    data = answer.get("data")
    try:
        kind, result = data["resultType"], data["result"]  # type: ignore[index]
        if kind == "vector":
            return _vector(result, answer)
        if kind == "scalar":
            value = float(result[1])
            return Reading(value=value, text=show_number(value), metadata=_warnings(answer))
    except (KeyError, IndexError, TypeError, ValueError):
        raise AnswerError("gave an answer that is not a result of Prometheus' query API") from None
    raise AnswerError(f"gave a {kind}; the query must give an instant vector or a scalar")


def _vector(result: list[Any], answer: dict[str, Any]) -> Reading:
    if any("histogram" in element for element in result):
        raise AnswerError("gave a native histogram; the query must give numbers, such as histogram_quantile(…)")
    # A tuple is how conditions know a vector from a JSON list.
    values = tuple(float(element["value"][1]) for element in result)
    text = show_vector(values[:_SHOWN_ELEMENTS])
    if len(values) > _SHOWN_ELEMENTS:
        text = f"{text[:-1]},… {len(values) - _SHOWN_ELEMENTS} more]"
    return Reading(value=values, text=text, metadata=_warnings(answer))


def _json(body: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _complaint(status: int, answer: dict[str, Any]) -> str:
    """Prometheus' own words where there are any; a proxy's page is of no use to a reader."""
    if status == HTTPStatus.OK and not answer:
        return "gave an answer that is not JSON; is this the address of Prometheus?"
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "an unknown status"
    words = ": ".join(str(answer[key]) for key in ("errorType", "error") if answer.get(key))
    return _shortened(f"answered {status} {phrase}" + (f": {words}" if words else ""))


def _warnings(answer: dict[str, Any]) -> dict[str, str]:
    warnings = answer.get("warnings")
    return {"warnings": _shortened(", ".join(f'"{text}"' for text in warnings))} if warnings else {}


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


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
