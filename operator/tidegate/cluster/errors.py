"""What the API server said no to, as types.

Callers branch on the class (a conflict is retried on fresh state, an invalid object is shown to its owner),
people read the text: the verb, the object, the server's own words. A credential never appears in either.
"""
# ruff: noqa: N818  (the names are the API's own reasons, not ours to decorate)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

_LONGEST_MESSAGE: Final = 2000
_SERVER_ERRORS: Final = 500
_PASSING: Final = frozenset({401, 409, 429})


class ClusterError(Exception):
    """Base of everything that can go wrong between this process and the cluster."""


class TransportError(ClusterError):
    """No answer: connection refused, reset, timed out. Whether a write took effect is unknown."""


class NotLeading(ClusterError):
    """A write was refused on this side because another replica may lead by now."""


class ApiError(ClusterError):
    """The server answered, and the answer was no.

    status: the HTTP code. reason: the machine-readable reason (`NotFound`, `Conflict`, …), maybe empty.
    message: the server's words. retry_after: seconds the server asks to wait, or None.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        verb: str = "",
        target: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, reason, message)
        self.status = status
        self.reason = reason
        self.message = message
        self.verb = verb
        self.target = target
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        """Whether the answer has nothing to do with what was asked: the same request may succeed later."""
        return self.status >= _SERVER_ERRORS or self.status in _PASSING

    def __str__(self) -> str:
        what = f"{self.verb} {self.target}".strip() or "request"
        return f"{what}: the API server answered {self.status} {self.reason}: {self.message}".rstrip(": ")


class Unauthorized(ApiError):
    """The credentials are not, or no longer, accepted (401)."""


class Forbidden(ApiError):
    """The credentials are fine, the role is missing (403)."""


class NotFound(ApiError):
    """The object, or its whole kind, is not there (404)."""


class Conflict(ApiError):
    """A precondition failed: the object has moved on since it was read (409)."""


class AlreadyExists(ApiError):
    """Something of this name is there already (409)."""


class Expired(ApiError):
    """The resource version or continue token is too old to go on from; list again (410)."""


class Invalid(ApiError):
    """The object or patch breaks its schema or a rule (422); sending it again can't help."""


class TooManyRequests(ApiError):
    """The server asks for patience (429); nothing was done."""


class ServerError(ApiError):
    """The server is in trouble (5xx); whether a write took effect is unknown."""


_BY_REASON: Final[Mapping[str, type[ApiError]]] = {
    "NotFound": NotFound,
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Invalid": Invalid,
    "Forbidden": Forbidden,
    "Unauthorized": Unauthorized,
    "Gone": Expired,
    "Expired": Expired,
    "TooManyRequests": TooManyRequests,
}
_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}


def error_from_answer(status: int, body: bytes, headers: Mapping[str, str], *, verb: str, target: str) -> ApiError:
    """Turn an HTTP answer outside 2xx into its error. A body that is no Status (a proxy's page) is quoted."""
    said = _status_object(body)
    message = str(said.get("message") or "") or body[:_LONGEST_MESSAGE].decode("utf-8", "replace").strip()
    return _build(status, said, message, verb=verb, target=target, retry_after=_retry_after(headers, said))


def error_from_status(said: Mapping[str, Any], *, verb: str, target: str) -> ApiError:
    """Turn a `Status` object, as an ERROR event of a watch carries it, into its error."""
    return _build(int(said.get("code") or 500), said, str(said.get("message") or ""), verb=verb, target=target)


def _build(
    status: int,
    said: Mapping[str, Any],
    message: str,
    *,
    verb: str,
    target: str,
    retry_after: float | None = None,
) -> ApiError:
    reason = str(said.get("reason") or "")
    kind = _BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)
    # A 409 means two opposite things and only the reason tells them apart.
    if status == 409:
        kind = _BY_REASON.get(reason, kind)
    return kind(status, reason, message[:_LONGEST_MESSAGE], verb=verb, target=target, retry_after=retry_after)


def _status_object(body: bytes) -> Mapping[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) and said.get("kind") == "Status" else {}


def _retry_after(headers: Mapping[str, str], said: Mapping[str, Any]) -> float | None:
    """Seconds, from the header or the Status' details. API servers don't use the header's date form."""
    asked = headers.get("Retry-After") or (said.get("details") or {}).get("retryAfterSeconds")
    try:
        return max(0.0, float(asked)) if asked is not None else None
    except ValueError:
        return None
