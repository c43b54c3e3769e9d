"""The verb `diff`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import yaml

from tidegate.api import names
from tidegate.cli.lint.findings import Manifest
from tidegate.cli.manifests import read
from tidegate.cli.printing import Output, coloured, dump, echo, note
from tidegate.cli.session import Obj, Session, visit
from tidegate.cli.told import Told
from tidegate.cli.words import Where
from tidegate.cluster.errors import NotFound
from tidegate.core.plan import Key
from tidegate.core.view.change import applied, change_of

_KINDS: Final = (names.ROLLOUT, *names.TEMPLATE_KINDS)


def diff(where: Where, files: Sequence[str], output: Output | None) -> int:
    """Show what applying files would change; the exit code: 1 for any change. Raises Told."""
    manifests, broken = read(files)
    if broken:
        raise Told("\n".join(map(str, broken)))
    chosen = [manifest for manifest in manifests if manifest.kind in _KINDS]
    if not chosen:
        raise Told(f"there is no {', '.join(_KINDS)} in {', '.join(files)}")
    others = len(manifests) - len(chosen)
    return visit(where, lambda session: _diff(session, chosen, others, output))


async def _diff(session: Session, manifests: Sequence[Manifest], others: int, output: Output | None) -> int:
    items = [await _one(session, manifest) for manifest in manifests]
    if output in (Output.json, Output.yaml):
        dump({"items": items}, output)
    else:
        for item in items:
            _print(item, output)
        if others:
            note(f"{others} objects of other kinds are not looked at; `kubectl diff` shows them")
    return 1 if any(item["change"] != "unchanged" for item in items) else 0


async def _one(session: Session, manifest: Manifest) -> dict[str, Any]:
    kind, name = manifest.kind, manifest.name
    namespace = "" if kind == names.CLUSTER_ANALYSIS_TEMPLATE else manifest.namespace or session.namespace
    try:
        live: Obj | None = await session.client.get(Key(kind, namespace, name))
    except NotFound as error:
        if "not found" not in error.message:
            raise
        live = None
    after = applied(manifest.raw, live) if live else manifest.raw.get("spec") or {}
    before = (live or {}).get("spec") or {}
    item = {"kind": kind, "namespace": namespace, "name": name, "diff": _lines(before, after, name)}
    if kind != names.ROLLOUT:
        change = "created" if live is None else "unchanged" if before == after else "changed"
        told = ["runs that have begun keep what they were made of; the next ones are made of this"]
        return {**item, "change": change, "told": told if change == "changed" else []}
    sets = [] if live is None else await _sets(session, namespace)
    found = change_of(live, after, manifest.raw, sets, datetime.now(UTC))
    return {
        **item,
        "change": found.kind,
        "revision": found.revision,
        "hash": found.hash,
        "told": list(found.told),
        "steps": list(found.steps),
        "problems": list(found.problems),
    }


async def _sets(session: Session, namespace: str) -> list[Obj]:
    found, _ = await session.client.list("ReplicaSet", namespace, names.POD_TEMPLATE_HASH)
    return found


def _print(item: Mapping[str, Any], output: Output | None) -> None:
    where = f" in {item['namespace']}" if item["namespace"] else ""
    if output is Output.name:
        if item["change"] != "unchanged":
            echo(f"{item['kind'].lower()}.{names.GROUP}/{item['name']}")
        return
    echo(f"{item['kind']} {item['name']}{where}: {item['change']}")
    for told in item["told"]:
        echo(f"  {told}")
    if item.get("steps"):
        echo(f"  steps: {', '.join(item['steps'])}")
    for problem in item.get("problems", ()):
        echo(f"  would be refused: {problem}")
    for line in item["diff"]:
        echo("  " + _coloured(line))


def _lines(before: Obj, after: Mapping[str, Any], name: str) -> list[str]:
    old, new = (yaml.safe_dump(spec, sort_keys=True).splitlines() if spec else [] for spec in (before, dict(after)))
    return [line.rstrip() for line in difflib.unified_diff(old, new, f"live/{name}", f"file/{name}", lineterm="", n=2)]


def _coloured(line: str) -> str:
    colour = {"+": "32", "-": "31", "@": "36"}.get(line[:1], "")
    return f"\x1b[{colour}m{line}\x1b[0m" if colour and coloured() else line
