"""One visit to a cluster: logged in, with the reads that the verbs share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn, TypeVar

from tidegate.api import names
from tidegate.cli.told import MovedOn, Told, explain, nearest, unknown_kind
from tidegate.cli.words import Where, fail
from tidegate.cluster.client import Client
from tidegate.cluster.credentials import Credentials
from tidegate.cluster.errors import ClusterError, Forbidden, Invalid, NotFound
from tidegate.cluster.kubeconfig import Login, log_in
from tidegate.cluster.transport import Transport
from tidegate.core.plan import Key, Write
from tidegate.core.view.phase import shown_phase

Obj = dict[str, Any]
T = TypeVar("T")

_OBSERVED_WITHIN: Final = 10.0


async def open_transport(login: Login, where: Where) -> Transport:
    """The way to the API server. Tokens of login plugins last for minutes, and an update may last for hours."""
    from tidegate.cluster.http_transport import HttpTransport  # noqa: PLC0415 - offline verbs need no HTTP library

    async def again() -> Credentials:
        found = await asyncio.to_thread(log_in, kubeconfig=where.kubeconfig, context=login.context)
        return found.credentials

    return HttpTransport(login.credentials, login=again)


class Session:
    """A client and where it is: `namespace` is the one to work in, empty for all."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    # -- reading ---------------------------------------------------------------------------------------------------

    async def get(self, kind: str, name: str) -> Obj:
        """One object of the namespace. Raises Told with the nearest names where there is none."""
        try:
            return await self.client.get(Key(kind, self.namespace, name))
        except NotFound as error:
            if unknown_kind(error):
                raise
            await self._not_found(kind, name)

    async def _not_found(self, kind: str, name: str) -> NoReturn:
        here, _ = await self.client.list(kind, self.namespace, metadata_only=True)
        said = f"there is no {kind} {name} in namespace {self.namespace}"
        if not here or not (known := nearest(name, [obj["metadata"]["name"] for obj in here])).startswith("did"):
            try:
                everywhere, _ = await self.client.list(kind, metadata_only=True)
            except Forbidden:
                everywhere = []
            others = sorted({o["metadata"]["namespace"] for o in everywhere if o["metadata"]["name"] == name})
            known = (
                f"there is one in {' and in '.join(others)} (-n)"
                if others
                else nearest(name, [obj["metadata"]["name"] for obj in here])
            )
        raise Told(f"{said}; {known}")

    async def all(self, kind: str, label_selector: str = "", field_selector: str = "") -> list[Obj]:
        """All objects of a kind in the namespace, or everywhere."""
        found: list[Obj] = []
        async for page in self.client.pages(kind, self.namespace, label_selector, field_selector=field_selector):
            found += page.items
        return found

    async def list_if_allowed(self, kind: str, label_selector: str = "", notes: list[str] | None = None) -> list[Obj]:
        """As `all`; none where that is not allowed (with a note) or the kind is not installed."""
        try:
            return await self.all(kind, label_selector)
        except Forbidden:
            if notes is not None:
                plural = "Canaries" if kind == "Canary" else f"{kind}s"
                notes.append(f"{plural} are not shown: you may not list them in {self.namespace or 'all namespaces'}")
            return []
        except NotFound:
            return []

    async def list_if_allowed_events(self, name: str, notes: list[str]) -> list[Obj]:
        """The events about a Rollout; none where that is not allowed, with a note."""
        chosen = f"involvedObject.kind={names.ROLLOUT},involvedObject.name={name}"
        try:
            return await self.all("Event", field_selector=chosen)
        except Forbidden:
            notes.append(f"outcomes of earlier releases are less known: you may not list events in {self.namespace}")
            return []

    async def workload(self, rollout: Mapping[str, Any]) -> Obj | None:
        """The object that a Rollout takes its template from; None for its own."""
        ref = rollout["spec"].get("workloadRef")
        if not ref:
            return None
        try:
            return await self.client.get(Key(ref["kind"], rollout["metadata"]["namespace"], ref["name"]))
        except NotFound:
            raise Told(
                f"Rollout {rollout['metadata']['name']} takes its template from {ref['kind']} {ref['name']}, "
                "which does not exist"
            ) from None

    async def observed(self, name: str) -> Obj:
        """A Rollout whose present spec the operator has taken note of, so that what is asked now is about it.

        Raises Told where that takes longer than it may.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + _OBSERVED_WITHIN
        while True:
            rollout = await self.get(names.ROLLOUT, name)
            status = rollout.get("status") or {}
            if str(status.get("observedGeneration", "")) == str(rollout["metadata"]["generation"]):
                return rollout
            if loop.time() >= until:
                raise Told(
                    f"no operator has taken note of the present spec of Rollout {name} within {_OBSERVED_WITHIN:g} s "
                    f"(generation {rollout['metadata']['generation']}, observed "
                    f"{status.get('observedGeneration') or 'none'}): is Tidegate running, and is this namespace its?"
                )
            await asyncio.sleep(0.2)

    # -- writing ---------------------------------------------------------------------------------------------------

    async def send(self, writes: Sequence[Write]) -> None:
        """Carry out writes in their order. Raises MovedOn where what they test is no longer so."""
        for write in writes:
            try:
                await self.client.send(write)
            except Invalid as error:
                if await self._moved_on(write):
                    raise MovedOn(await self._now(write.key)) from error
                raise

    async def _moved_on(self, write: Write) -> bool:
        """Whether a test of this patch fails now."""
        present = await self.client.get(write.key)
        body = write.body if write.patch == "json" and isinstance(write.body, Sequence) else ()
        return any(at(present, op["path"]) != op["value"] for op in body if op["op"] == "test")

    async def _now(self, key: Key) -> str:
        present = await self.client.get(key)
        said = f"{key.kind} {key.name} has changed since it was read, so nothing was done."
        if key.kind != names.ROLLOUT:
            return f"{said} Look at it and ask again."
        phase, message, _ = shown_phase(present)
        return f"{said} It is {phase} now{f' ({message})' if message else ''}; `tidegate get {key.name}` shows it."


def at(document: Any, pointer: str) -> Any:
    """What a JSON pointer leads to; None where there is nothing."""
    tokens = (token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])
    for token in tokens:
        if isinstance(document, list):
            document = document[int(token)] if token.isdigit() and int(token) < len(document) else None
        else:
            document = document.get(token) if isinstance(document, Mapping) else None
    return document


@asynccontextmanager
async def session(where: Where, login: Login) -> AsyncIterator[Session]:
    """Open a session; it is closed at the end of the block."""
    transport = await open_transport(login, where)
    try:
        namespace = "" if where.all_namespaces else where.namespace or login.namespace
        yield Session(Client(transport, request_timeout=30.0, manager="tidegate-cli"), namespace)
    finally:
        await transport.close()


def visit(where: Where, work: Callable[[Session], Awaitable[T]]) -> T:
    """Log in, do the work, and turn every error into words and an exit code."""
    context = where.context

    async def go() -> T:
        async with session(where, login) as opened:
            return await work(opened)

    try:
        login = log_in(kubeconfig=where.kubeconfig, context=where.context)
        context = login.context
        return asyncio.run(go())
    except Told as error:
        fail(str(error), error.code)
    except ClusterError as error:
        fail(explain(error, context))
    except ssl_errors() as error:
        fail(f"the credentials or the certificate authority of context {context!r} can't be used: {error}")


def ssl_errors() -> tuple[type[Exception], ...]:
    """What unusable certificates and keys raise before any request is made."""
    import binascii  # noqa: PLC0415
    import ssl  # noqa: PLC0415

    return (ssl.SSLError, binascii.Error, FileNotFoundError, UnicodeDecodeError)
