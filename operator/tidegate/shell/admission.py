"""The admission webhook: the API server asks about each Rollout and template before it stores it.

Not kopf's: that answers "allowed" where no handler of a name is found, computes a difference per request that nobody
needs, and removes the configuration that the chart made when one of two replicas ends.

Errors of ours are answered with 500: the API server then does what the webhook's failurePolicy says, and that is to
let the object in.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
from aiohttp import web

from tidegate.api import names
from tidegate.api.problems import Problem
from tidegate.engine.review import KINDS, Review, Reviewer
from tidegate.shell.health import serve

_LOOK_AGAIN: Final = 10.0
_LARGEST: Final = 8 * 1024 * 1024
"""Bytes. An object may have 3 MB, and a review holds two of it."""
_LONGEST: Final = 240
"""Characters of a warning: API servers cut longer ones off."""

log = structlog.get_logger(__name__)


class NoCertificate(Exception):  # noqa: N818 - told to the user as it is
    """Reviews were asked for and there is nothing to serve them with."""


class Webhook:
    """Serves reviews over TLS.

    certificates: where tls.crt and tls.key lie. They are read again when they have changed, as a renewed Secret does.
    """

    def __init__(self, reviewer: Reviewer, certificates: Path) -> None:
        self._reviewer = reviewer
        self._pair = (certificates / "tls.crt", certificates / "tls.key")
        self._loaded = b""
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._runner: web.AppRunner | None = None

    async def open(self, address: str, port: int) -> int:
        """Begin to serve; the port. Raises NoCertificate."""
        try:
            await asyncio.to_thread(self._load)
        except OSError as error:  # An SSLError is one too.
            told = f"--webhook-certificates: tls.crt and tls.key of {self._pair[0].parent} can't be used: {error}"
            raise NoCertificate(told) from error
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_post("/validate", self._validate)
        self._runner, port = await serve(app, address, port, self._tls)
        log.info("objects are reviewed before they are stored", port=port)
        return port

    async def close(self) -> None:
        """Answer what has been asked, and no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def renew(self) -> None:
        """Take in new certificates until cancelled. Connections that are open keep theirs."""
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            try:
                if await asyncio.to_thread(self._load):
                    log.info("the webhook's certificate has been renewed")
            except OSError as error:
                log.warning("the webhook's new certificate can't be used, keeping the old one", error=str(error))

    def _load(self) -> bool:
        """Whether there was something new to take in."""
        present = b"".join(path.read_bytes() for path in self._pair)
        if present == self._loaded:
            return False
        self._tls.load_cert_chain(*self._pair)
        self._loaded = present
        return True

    async def _validate(self, request: web.Request) -> web.Response:
        try:
            asked = orjson.loads(await request.read())["request"]
            answer = _answer(asked, self._review(asked))
        except Exception as error:
            log.exception("a review failed; the webhook's failurePolicy decides", error=str(error))
            return web.Response(status=500, text=f"Tidegate could not review this object: {error}\n")
        reply = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        return web.Response(body=orjson.dumps(reply), content_type="application/json")

    def _review(self, asked: Mapping[str, Any]) -> Review:
        kind = asked["kind"]
        if kind["group"] != names.GROUP or kind["kind"] not in KINDS:
            raise ValueError(
                f"{kind['group']}/{kind['kind']} is none of {', '.join(KINDS)}: correct the webhook's rules"
            )
        if asked["operation"] not in ("CREATE", "UPDATE"):
            return Review()
        return self._reviewer.review(_placed(asked["object"], asked), _placed(asked.get("oldObject"), asked))


def _placed(obj: dict[str, Any] | None, asked: Mapping[str, Any]) -> Any:
    """The object with the name and namespace that it would be stored under, which it may leave to the request."""
    if obj is None:
        return None
    metadata = {"name": asked.get("name") or "", **obj.get("metadata", {})}
    if namespace := asked.get("namespace"):
        metadata["namespace"] = namespace
    return {**obj, "kind": asked["kind"]["kind"], "metadata": metadata}


def _answer(asked: Mapping[str, Any], review: Review) -> dict[str, Any]:
    answer: dict[str, Any] = {"uid": asked["uid"], "allowed": not review.refusals}
    if review.refusals:
        message = "; ".join(map(str, review.refusals))
        answer["status"] = {"code": 422, "reason": "Invalid", "message": message}
    if review.warnings:
        answer["warnings"] = _shown(review.warnings)
    return answer


def _shown(problems: Sequence[Problem]) -> list[str]:
    texts = [str(problem) for problem in problems]
    return [text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…" for text in texts]
