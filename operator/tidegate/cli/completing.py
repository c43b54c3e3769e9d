"""Names of a cluster's objects for the shell. Whatever goes wrong, there is nothing to complete."""

from __future__ import annotations

import asyncio
from typing import Final

import typer

from tidegate.cli.session import session
from tidegate.cli.words import Where
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.kubeconfig import log_in

_PATIENCE: Final = 3.0


def objects(ctx: typer.Context, kind: str, incomplete: str) -> list[str]:
    """The names of the objects of a kind that begin like this."""
    return [name for name in _ask(ctx, kind, everywhere=False) if name.startswith(incomplete)]


def namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """The namespaces that have Rollouts, of those that may be seen."""
    return sorted({name for name in _ask(ctx, "Rollout", everywhere=True) if name.startswith(incomplete)})


def _ask(ctx: typer.Context, kind: str, *, everywhere: bool) -> list[str]:
    before = ctx.find_root().obj or {}
    given = {name: ctx.params.get(name) or before.get(name) or "" for name in ("namespace", "context", "kubeconfig")}
    where = Where(**given, all_namespaces=everywhere)

    async def go() -> list[str]:
        async with session(where, log_in(kubeconfig=where.kubeconfig, context=where.context)) as opened:
            found, _ = await opened.client.list(kind, opened.namespace, metadata_only=True)
            return [obj["metadata"]["namespace" if everywhere else "name"] for obj in found]

    try:
        return asyncio.run(asyncio.wait_for(go(), _PATIENCE))
    except (ClusterError, OSError, ValueError, TimeoutError):
        return []
