"""The page over an API server in memory that knows people, their tokens and their rights; and a browser's requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.fakes.cluster import FakeCluster
from tests.fakes.transport import Decide, FakeTransport
from tidegate.cluster.client import Client
from tidegate.cluster.errors import error_from_answer
from tidegate.cluster.informer import Informer
from tidegate.cluster.store import Store
from tidegate.cluster.transport import Response
from tidegate.dashboard.app import Page, make_app
from tidegate.dashboard.guard import App
from tidegate.dashboard.live import Live
from tidegate.dashboard.rights import Laptop, Tokens
from tidegate.engine.kinds import RULES

OPERATOR = "system:serviceaccount:tidegate-system:tidegate"
_READS = {"GET": "list", "WATCH": "watch"}


@dataclass
class People:
    """Who there is.

    tokens: user by token. roles: by user and namespace ("" for all): view, edit, or narrow, which is to view
    Rollouts and nothing else.
    """

    tokens: dict[str, str] = field(default_factory=dict)
    roles: dict[str, dict[str, str]] = field(default_factory=dict)
    sent: list[tuple[str, str, str]] = field(default_factory=list)

    def may(self, user: str, verb: str, plural: str, namespace: str) -> bool:
        if user == OPERATOR:
            return verb in ("get", "list", "watch")
        roles = self.roles.get(user, {})
        role = roles.get(namespace) or roles.get("")
        looks = verb in ("get", "list", "watch")
        return role == "edit" or (looks and (role == "view" or (role == "narrow" and plural == "rollouts")))


class PersonsTransport(FakeTransport):
    """One person's connection: the API server answers their reviews, and refuses what they may not."""

    def __init__(self, cluster: FakeCluster, people: People, user: str) -> None:
        super().__init__(cluster, actor=user)
        self.people, self.user = people, user
        self.open = True

    async def request(self, method: str, path: str, **more: Any) -> Response:
        self.people.sent.append((self.user, method, path))
        if path.endswith("reviews"):
            return self._review(path.rpartition("/")[2], orjson.loads(more["body"])["spec"])
        refusal = self._refusal(method, path)
        return refusal or await super().request(method, path, **more)

    @asynccontextmanager
    async def stream(self, path: str, *, query: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        refusal = self._refusal("WATCH", path)
        if refusal:
            raise error_from_answer(403, refusal.body, {}, verb="watch", target=path)
        async with super().stream(path, query=query) as lines:
            yield lines

    async def close(self) -> None:
        self.open = False
        await super().close()

    def _review(self, kind: str, spec: dict[str, Any]) -> Response:
        if kind == "tokenreviews":
            assert self.user == OPERATOR
            user = self.people.tokens.get(spec["token"])
            known = {"authenticated": True, "user": {"username": user, "uid": "1", "groups": ["people"]}}
            unknown = {"authenticated": False, "error": "it has expired", "user": {"username": "edith"}}
            return _answer({"status": known if user else unknown})
        subject = self.user if kind == "selfsubjectaccessreviews" else spec["user"]
        assert kind == "selfsubjectaccessreviews" or self.user == OPERATOR
        asked = spec["resourceAttributes"]
        may = self.people.may(subject, asked["verb"], asked["resource"], asked.get("namespace", ""))
        return _answer({"status": {"allowed": may}})

    def _refusal(self, method: str, path: str) -> Response | None:
        at = self.cluster.locate(path)
        namespace = at.namespace if at else ""
        verb = _READS.get(method, "patch")
        if self.people.may(self.user, verb, at.resource.plural if at else "", namespace):
            return None
        said = f'User "{self.user}" cannot {verb} resource in the namespace "{namespace}"'
        return _answer({"kind": "Status", "code": 403, "reason": "Forbidden", "message": said}, 403)


def _woken(reader: object) -> None:
    raise AssertionError(f"the page has left the reader {reader!r} behind in a store that wakes an engine")


def _answer(body: dict[str, Any], status: int = 201) -> Response:
    return Response(status, orjson.dumps(body), {})


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    cookies: list[str]

    @property
    def data(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Browser:
    """One browser, at the page, with its cookies. headers: of every request, such as a proxy's."""

    app: App
    host: str = "localhost:8000"
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.send("GET", path, None, {"sec-fetch-site": "same-origin", **_names(headers)})

    async def post(self, path: str, body: Any = None, method: str = "POST", **headers: str) -> Answer:
        """As the page's own script does it; a header of None is left out."""
        usual = {
            "origin": f"http://{self.host}",
            "sec-fetch-site": "same-origin",
            "content-type": "application/json",
            "x-tidegate-page": "1",
        }
        given = {name: value for name, value in {**usual, **_names(headers)}.items() if value}
        return await self.send(method, path, orjson.dumps(body if body is not None else {}), given)

    async def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        chunks: list[bytes] = []
        begun: dict[str, Any] = {}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                begun.update(message)
            else:
                chunks.append(message.get("body", b""))

        await self.app(self._scope(method, path, body, headers), receive, send)
        return self._taken(begun, b"".join(chunks))

    @asynccontextmanager
    async def events(self, path: str) -> AsyncIterator[asyncio.Queue[tuple[str, Any]]]:
        """The events of a stream, for as long as the block lasts."""
        found: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                found.put_nowait(("status", message["status"]))
            for block in message.get("body", b"").split(b"\n\n"):
                if block.startswith(b"event: "):
                    name, _, data = block.partition(b"\ndata: ")
                    found.put_nowait((name[7:].decode(), orjson.loads(data)))
            if message["type"] == "http.response.body" and not message.get("more_body"):
                found.put_nowait(("end", None))

        scope = self._scope("GET", path, None, {"sec-fetch-site": "same-origin"})
        running = asyncio.create_task(self.app(scope, receive, send))  # type: ignore[arg-type]
        try:
            yield found
        finally:
            gone.set()
            await running

    def _scope(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
        given = {"host": self.host, **self.headers, **headers}
        if body is not None:
            given.setdefault("content-length", str(len(body)))
        if self.cookies:
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        where, _, query = path.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": where,
            "raw_path": where.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }

    def _taken(self, begun: dict[str, Any], body: bytes) -> Answer:
        pairs = [(name.decode().lower(), value.decode()) for name, value in begun["headers"]]
        set_ = [value for name, value in pairs if name == "set-cookie"]
        for text in set_:
            name, _, value = text.partition(";")[0].partition("=")
            if value in ("", '""'):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return Answer(begun["status"], dict(pairs), body, set_)


def _names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass
class House:
    """A page and what is behind it."""

    cluster: FakeCluster
    people: People
    live: Live
    app: App
    transports: list[PersonsTransport]
    faults: list[Decide]
    """Of every connection that a visitor's token opens from now on."""

    def browser(self, **more: Any) -> Browser:
        return Browser(self.app, **more)


@asynccontextmanager
async def house(
    cluster: FakeCluster, people: People, *, laptop: str = "", anonymous: bool = False, hosts: tuple[str, ...] = ()
) -> AsyncIterator[House]:
    """A page beside an operator, or, with the name of its user, on a laptop (its secret is `secret`)."""
    me = PersonsTransport(cluster, people, laptop or OPERATOR)
    transports: list[PersonsTransport] = []
    faults: list[Decide] = []

    def transport_of(token: str) -> PersonsTransport:
        transports.append(PersonsTransport(cluster, people, people.tokens[token]))
        transports[-1].faults += faults
        return transports[-1]

    client, store = Client(me), Store(RULES, on_wake=_woken)
    informers = [Informer(client, store, kind) for kind in ("Rollout", "ReplicaSet", "AnalysisRun", "Experiment")]
    live = Live(store, now=cluster.clock)
    tasks = [asyncio.create_task(informer.run()) for informer in informers]
    for informer in informers:
        await informer.synced.wait()
    door = Laptop(client, laptop, "secret") if laptop else Tokens(client, transport_of, anonymous=anonymous)
    try:
        yield House(cluster, people, live, make_app(Page(live, door, cookie="page"), hosts), transports, faults)
    finally:
        live.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not any(informer.errors for informer in informers), "a listener of the store has failed; see the log"


async def until(events: asyncio.Queue[tuple[str, Any]], name: str) -> Any:
    """The data of the next event of this name."""
    while True:
        found, data = await events.get()
        if found == name:
            return data
        assert found != "end", f"the stream has ended before {name}"
