"""Who looks at the page, and what they may: asked of the API server, never decided here.

Two ways to the page. On a laptop there is one visitor, the kubeconfig's user, known by the secret of the page's
address. In front of an operator there are many, each known by a bearer token of their own, which the API server reviews
(TokenReview) and whose rights it tells (SubjectAccessReview). Whatever a visitor asks for is sent with their own
credentials; the operator's own are used for the reviews alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from tidegate.cluster.client import Client
from tidegate.cluster.resources import resource_of
from tidegate.cluster.transport import Transport
from tidegate.core.plan import Key, Write

REMEMBERED: Final = 15.0
"""Seconds for which an answer of a review is believed. A token that is revoked is refused after that."""
_MOST_REMEMBERED: Final = 4096
_LONGEST_TOKEN: Final = 16_000
ANONYMOUS: Final = "system:anonymous"


class Unknown(Exception):  # noqa: N818 - an answer, not a failure
    """Nobody knows who this is; the text says what to do."""


class NotAllowed(Exception):  # noqa: N818 - an answer, not a failure
    """They are known and may not; the text names the missing right."""


class Right(NamedTuple):
    """One right on a kind. namespace: empty for all of them."""

    verb: str
    kind: str
    namespace: str = ""
    subresource: str = ""

    def attributes(self) -> dict[str, str]:
        """As access reviews have it."""
        resource = resource_of(self.kind)
        given = {
            "verb": self.verb,
            "group": resource.group,
            "resource": resource.plural,
            "namespace": self.namespace,
            "subresource": self.subresource,
        }
        return {name: value for name, value in given.items() if value or name == "group"}

    def __str__(self) -> str:
        resource = resource_of(self.kind)
        name = f"{resource.plural}{'.' if resource.group else ''}{resource.group}"
        sub = f" --subresource={self.subresource}" if self.subresource else ""
        where = f" -n {self.namespace}" if self.namespace else " --all-namespaces"
        return f"{self.verb} {name}{sub}{where}"


class Visitor(Protocol):
    """Somebody who looks at the page."""

    @property
    def name(self) -> str:
        """As the API server knows them."""
        ...

    async def may(self, right: Right) -> bool:
        """Whether they have this right now. Raises ClusterError where that can't be asked."""
        ...

    def acting(self) -> AbstractAsyncContextManager[Client]:
        """A client with their own credentials. Raises NotAllowed for visitors without any."""
        ...


class Door(Protocol):
    """How visitors come in."""

    @property
    def mode(self) -> str:
        """laptop or operator."""
        ...

    async def who(self, secret: str, bearer: str) -> Visitor:
        """The visitor with this cookie, or this bearer token from a proxy. Raises Unknown."""
        ...


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Any
    until: float


@dataclass(slots=True)
class _Memory:
    """Answers of reviews, for a few seconds. Keys of secrets are hashed."""

    answers: dict[Any, _Answer] = field(default_factory=dict)

    def get(self, key: Any) -> Any:
        known = self.answers.get(key)
        return known.value if known is not None and known.until > asyncio.get_running_loop().time() else None

    def put(self, key: Any, value: Any) -> None:
        now = asyncio.get_running_loop().time()
        if len(self.answers) >= _MOST_REMEMBERED:
            self.answers = {key: known for key, known in self.answers.items() if known.until > now}
        if len(self.answers) < _MOST_REMEMBERED:
            self.answers[key] = _Answer(value, now + REMEMBERED)


# -- on a laptop -------------------------------------------------------------------------------------------------------


class Laptop:
    """The kubeconfig's user, for whoever has the page's secret.

    client: with the kubeconfig's credentials. name: of the context. secret: what the page's address carries.
    """

    mode = "laptop"

    def __init__(self, client: Client, name: str, secret: str) -> None:
        self._visitor = _KubeconfigUser(client, name)
        self._secret = secret

    @property
    def visitor(self) -> Visitor:
        return self._visitor

    async def who(self, secret: str, bearer: str) -> Visitor:
        if not hmac.compare_digest(secret.encode(), self._secret.encode()):
            raise Unknown(
                "This page belongs to a `tidegate dashboard` in a terminal: open the address that it printed."
            )
        return self._visitor


class _KubeconfigUser:
    def __init__(self, client: Client, name: str) -> None:
        self._client, self._memory = client, _Memory()
        self.name = name

    async def may(self, right: Right) -> bool:
        known = self._memory.get(right)
        if known is None:
            known = await _reviewed(self._client, "SelfSubjectAccessReview", right, {})
            self._memory.put(right, known)
        return bool(known)

    @asynccontextmanager
    async def acting(self) -> AsyncIterator[Client]:
        yield self._client


# -- in front of an operator -------------------------------------------------------------------------------------------


class Tokens:
    """Visitors by bearer token.

    reviewer: the operator's client, for reviews. transport_of: a way to the API server with a visitor's token and no
    other credentials. anonymous: let those without a token see what `system:anonymous` may.
    """

    mode = "operator"

    def __init__(self, reviewer: Client, transport_of: Callable[[str], Transport], *, anonymous: bool = False) -> None:
        self._reviewer, self._transport_of, self._anonymous = reviewer, transport_of, anonymous
        self._memory = _Memory()

    async def who(self, secret: str, bearer: str) -> Visitor:
        token = bearer or secret
        if not token:
            if self._anonymous:
                return _Subject(self._reviewer, self._memory, ANONYMOUS, {"groups": ["system:unauthenticated"]}, None)
            raise Unknown("Sign in with a token of the cluster.")
        if len(token) > _LONGEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
            raise Unknown("That is no token.")
        user = await self._user(token)
        if not user:
            raise Unknown("The API server does not accept this token: it is wrong, or it has expired.")
        subject = {name: user[name] for name in ("uid", "groups", "extra") if user.get(name)}
        return _Subject(self._reviewer, self._memory, str(user["username"]), subject, lambda: self._transport_of(token))

    async def _user(self, token: str) -> Mapping[str, Any]:
        key = ("token", hashlib.sha256(token.encode()).digest())
        known = self._memory.get(key)
        if known is None:
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
            answer = await self._reviewer.send(Write("create", Key("TokenReview", "", ""), body))
            status = answer.get("status") or {}
            user = status.get("user") or {}
            known = user if status.get("authenticated") is True and user.get("username") else {}
            self._memory.put(key, known)
        found: Mapping[str, Any] = known
        return found


class _Subject:
    """A visitor whose rights the operator asks about; what they do is done with their own token."""

    def __init__(
        self,
        reviewer: Client,
        memory: _Memory,
        name: str,
        subject: Mapping[str, Any],
        transport: Callable[[], Transport] | None,
    ) -> None:
        self._reviewer, self._memory, self._transport = reviewer, memory, transport
        self.name = name
        self._subject = dict(subject)

    async def may(self, right: Right) -> bool:
        who = (self.name, self._subject.get("uid", ""), tuple(self._subject.get("groups") or ()))
        key = (who, repr(self._subject.get("extra")), right)
        known = self._memory.get(key)
        if known is None:
            known = await _reviewed(self._reviewer, "SubjectAccessReview", right, {"user": self.name, **self._subject})
            self._memory.put(key, known)
        return bool(known)

    @asynccontextmanager
    async def acting(self) -> AsyncIterator[Client]:
        if self._transport is None:
            raise NotAllowed("Sign in first: without a token one can only look.")
        transport = self._transport()
        try:
            yield Client(transport, manager="tidegate-page")
        finally:
            await transport.close()


async def _reviewed(client: Client, kind: str, right: Right, subject: Mapping[str, Any]) -> bool:
    spec = {**subject, "resourceAttributes": right.attributes()}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    answer = await client.send(Write("create", Key(kind, "", ""), body))
    status = answer.get("status") or {}
    return status.get("allowed") is True and status.get("denied") is not True


async def missing(visitor: Visitor, rights: Sequence[Right]) -> Right | None:
    """The first of these rights that the visitor does not have."""
    for right in rights:
        if not await visitor.may(right):
            return right
    return None
