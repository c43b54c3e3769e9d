"""The two streams of server-sent events: the list of Rollouts, and one Rollout in full.

A stream asks about its visitor's rights again while it runs: a token that is revoked, or a role that is taken away,
ends it within half a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import orjson

from tidegate.api import names
from tidegate.cluster.client import Client
from tidegate.cluster.errors import ClusterError, Forbidden
from tidegate.core.plan import Key
from tidegate.dashboard.actions import ACTIONS
from tidegate.dashboard.live import Live
from tidegate.dashboard.rights import NotAllowed, Right, Unknown, Visitor
from tidegate.dashboard.views import Scene, in_experiment, row, whole

Obj = dict[str, Any]
Reenter = Callable[[], Awaitable[Visitor]]

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a stream shows that it is alive, and rights are asked about again."""
BESIDE: Final = 5.0
"""Seconds after which pods and events, which nothing watches, are read again."""
_MOST_NAMESPACES: Final = 300
_ALIVE: Final = b": alive\n\n"


def event(name: str, data: object) -> bytes:
    """One server-sent event."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


async def told(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A stream whose refusals and troubles are its last event."""
    try:
        async for piece in stream:
            yield piece
    except (Unknown, NotAllowed) as said:
        yield event("refused", {"said": str(said), "signIn": isinstance(said, Unknown)})
    except ClusterError as error:
        yield event("trouble", {"said": f"The cluster can't be asked at the moment: {error}"})


async def check(visitor: Visitor, right: Right) -> None:
    """Raises NotAllowed, with the right that is missing and how to look it up."""
    if not await visitor.may(right):
        raise NotAllowed(f"{visitor.name} may not do this: `kubectl auth can-i {right}` says no.")


async def readable(live: Live, visitor: Visitor, namespace: str) -> frozenset[str] | None:
    """The namespaces whose Rollouts the visitor may see; None for all. Raises NotAllowed for one that they named."""
    if namespace:
        await check(visitor, Right("list", names.ROLLOUT, namespace))
        return frozenset({namespace})
    if not live.namespace and await visitor.may(Right("list", names.ROLLOUT)):
        return None
    known = sorted({rollout["metadata"].get("namespace", "") for rollout in live.rollouts()})[:_MOST_NAMESPACES]
    answers = await asyncio.gather(*(visitor.may(Right("list", names.ROLLOUT, found)) for found in known))
    return frozenset(found for found, may in zip(known, answers, strict=True) if may)


async def list_stream(live: Live, reenter: Reenter, namespace: str) -> AsyncIterator[bytes]:
    """All rows, then each that changes."""
    with live.listening() as ear:
        before: object = ()
        changed: list[Key] | None = []
        while not live.closed:
            allowed = await readable(live, await reenter(), namespace)
            if before != (now := (allowed, live.ready, live.lost)):
                before = now
                rows = [
                    row(rollout) for rollout in live.rollouts() if _within(rollout["metadata"]["namespace"], allowed)
                ]
                yield event("all", {"rows": rows, "ready": live.ready, "lost": live.lost})
            elif changed is None:
                yield _ALIVE
            for key in changed or ():
                if _within(key.namespace, allowed):
                    rollout = live.rollout(key.namespace, key.name)
                    gone = {"namespace": key.namespace, "name": key.name}
                    yield event("row", row(rollout)) if rollout else event("gone", gone)
            changed = await ear.hear(HEARTBEAT if live.ready else 0.5)


def _within(namespace: str, allowed: frozenset[str] | None) -> bool:
    return allowed is None or namespace in allowed


async def whole_stream(live: Live, reenter: Reenter, namespace: str, name: str) -> AsyncIterator[bytes]:
    """One Rollout in full, again whenever something of it has changed."""
    key = Key(names.ROLLOUT, namespace, name)
    async with AsyncExitStack() as stack:
        ear = stack.enter_context(live.listening(key))
        beside = _Beside(await _own_client(stack, await reenter()))
        before = b""
        while not live.closed:
            visitor = await reenter()
            await check(visitor, Right("get", names.ROLLOUT, namespace))
            rollout = live.rollout(namespace, name)
            if rollout is None:
                shown: dict[str, Any] = {"missing": True, "ready": live.ready}
            else:
                ear.uid = rollout["metadata"]["uid"]
                shown = await _shown(live, visitor, beside, rollout)
            shown["lost"] = live.lost
            bare = orjson.dumps({**shown, "now": ""})
            yield event("whole", shown) if bare != before else _ALIVE
            before = bare
            await ear.hear(BESIDE if live.ready else 0.5)


async def _own_client(stack: AsyncExitStack, visitor: Visitor) -> Client | None:
    """A client with the visitor's credentials, for what nothing watches; None for a visitor without any."""
    try:
        return await stack.enter_async_context(visitor.acting())
    except NotAllowed:
        return None


async def _shown(live: Live, visitor: Visitor, beside: _Beside, rollout: Obj) -> dict[str, Any]:
    namespace, notes = rollout["metadata"]["namespace"], list[str]()

    async def owned(kind: str, *kinds: str) -> list[Obj]:
        if await visitor.may(Right("list", kind, namespace)):
            return live.owned(rollout, kind, *kinds)
        notes.append(_left_out(kind, namespace))
        return []

    scene = Scene(
        rollout=rollout,
        replica_sets=await owned("ReplicaSet"),
        runs=await owned(names.ANALYSIS_RUN),
        experiments=await owned("Experiment") if in_experiment(rollout) else (),
        trail=live.trails.of(rollout),
        now=live.now(),
        pods=await beside.pods(rollout, notes),
        events=await beside.events(rollout, notes),
        notes=notes,
    )
    shown = whole(scene)
    for button in shown["actions"]:
        right = Right("patch", names.ROLLOUT, namespace, ACTIONS[button["name"]].subresource)
        button["allowed"] = beside.client is not None and await visitor.may(right)
        if not button["allowed"]:
            button |= {"possible": False, "why": f"You may not: `kubectl auth can-i {right}` says no."}
    return shown


def _left_out(kind: str, namespace: str) -> str:
    return f"{kind}s are not shown: you may not list them in {namespace}."


class _Beside:
    """Pods and events of one Rollout, read with the visitor's own credentials every few seconds.

    client: None for a visitor without credentials, who sees neither.
    """

    def __init__(self, client: Client | None) -> None:
        self.client = client
        self._read: dict[str, tuple[float, list[Obj], str]] = {}

    async def pods(self, rollout: Obj, notes: list[str]) -> list[Obj]:
        labels = ((rollout.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        selector = ",".join([*(f"{name}={value}" for name, value in labels.items()), names.POD_TEMPLATE_HASH])
        return await self._latest("Pod", rollout, notes, labels=selector)

    async def events(self, rollout: Obj, notes: list[str]) -> list[Obj]:
        about = f"involvedObject.kind={names.ROLLOUT},involvedObject.name={rollout['metadata']['name']}"
        return await self._latest("Event", rollout, notes, fields=about)

    async def _latest(
        self, kind: str, rollout: Obj, notes: list[str], *, labels: str = "", fields: str = ""
    ) -> list[Obj]:
        if self.client is None:
            return []
        now, namespace = asyncio.get_running_loop().time(), rollout["metadata"]["namespace"]
        at, found, note = self._read.get(kind, (0.0, [], ""))
        if not at or now - at >= BESIDE / 2:
            try:
                found, note = await _first_page(self.client, kind, namespace, labels, fields), ""
            except Forbidden:
                found, note = [], _left_out(kind, namespace)
            self._read[kind] = (now, found, note)
        if note:
            notes.append(note)
        return found


async def _first_page(client: Client, kind: str, namespace: str, labels: str, fields: str) -> list[Obj]:
    """As many as a page can show."""
    async for page in client.pages(kind, namespace, labels, field_selector=fields):
        return page.items
    return []
