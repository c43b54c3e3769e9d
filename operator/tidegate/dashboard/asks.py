"""Carrying out a button: with the visitor's credentials, and only if what they had seen is still so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.api import names
from tidegate.cluster.client import Client
from tidegate.cluster.errors import Conflict, Forbidden, Invalid, NotFound
from tidegate.core.asking import NothingToDo, NotPossible
from tidegate.core.plan import Key
from tidegate.core.view.phase import shown_phase
from tidegate.dashboard.actions import Action, Asked, done, refused, seen, unobserved
from tidegate.dashboard.live import Live
from tidegate.dashboard.rights import NotAllowed, Right, Visitor
from tidegate.dashboard.streams import check

Obj = dict[str, Any]


class MovedOn(Exception):  # noqa: N818 - an answer, not a failure
    """What the visitor had seen is no longer so; nothing was done."""


class NotNow(Exception):  # noqa: N818 - an answer, not a failure
    """It makes no sense as things stand; nothing was done."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One press of a button. shown: what the page had shown of the fields that the action rests on. revision: for an
    undo, the one to go back to; 0 for the one before."""

    live: Live
    action: Action
    key: Key
    shown: Mapping[str, Any]
    revision: int = 0


async def carry_out(ask: Ask, visitor: Visitor) -> str:
    """Do it and say what was done. Raises NotAllowed, MovedOn, NotNow, and ClusterError."""
    await check(visitor, Right("patch", names.ROLLOUT, ask.key.namespace, ask.action.subresource))
    async with visitor.acting() as client:
        try:
            return await _carry_out(ask, client)
        except Forbidden as error:
            raise NotAllowed(f"The API server refuses this to {visitor.name}: {error.message}") from error


async def _carry_out(ask: Ask, client: Client) -> str:
    action, key = ask.action, ask.key
    rollout = _with_status(await client.get(key))
    if dict(ask.shown) != seen(action, rollout):
        raise MovedOn(_moved_on(rollout))
    if unobserved(action, rollout):
        raise NotNow(f"{key.name} has a newer spec that its operator has not taken note of yet. Try again in a moment.")
    sets, workload = await _around(client, action, rollout)
    try:
        writes = action.writes(Asked(rollout, sets, ask.live.now(), workload, ask.revision))
    except (NothingToDo, NotPossible) as said:
        raise NotNow(refused(said, rollout)) from None
    for number, write in enumerate(writes):
        try:
            await client.send(write)
        except (Invalid, Conflict) as error:
            present = _with_status(await client.get(key))
            if number == 0 and present["metadata"]["resourceVersion"] != rollout["metadata"]["resourceVersion"]:
                raise MovedOn(_moved_on(present)) from error
            raise
    return done(action, rollout)


async def _around(client: Client, action: Action, rollout: Obj) -> tuple[list[Obj], Obj | None]:
    """What only an undo needs: the revisions, and the workload that the template stands in."""
    if action.name != "undo":
        return [], None
    namespace = rollout["metadata"]["namespace"]
    sets, _ = await client.list("ReplicaSet", namespace, names.POD_TEMPLATE_HASH)
    ref = rollout["spec"].get("workloadRef")
    if not ref:
        return sets, None
    try:
        return sets, await client.get(Key(ref["kind"], namespace, ref["name"]))
    except (KeyError, NotFound):
        template = f"{ref.get('kind')} {ref.get('name')}"
        raise NotNow(f"{rollout['metadata']['name']} takes its template from {template}, which is not there.") from None


def _with_status(rollout: Obj) -> Obj:
    return {**rollout, "status": rollout.get("status") or {}}


def _moved_on(rollout: Obj) -> str:
    phase, message, _ = shown_phase(rollout)
    now = f"{phase} ({message})" if message else phase
    return f"{rollout['metadata']['name']} has moved on since you saw it, so nothing was done. It is {now} now."
