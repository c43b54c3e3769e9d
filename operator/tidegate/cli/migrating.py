"""The verb `migrate`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from tidegate.cli.lint.findings import Manifest
from tidegate.cli.manifests import read
from tidegate.cli.migrate import Move, convert, read_argo
from tidegate.cli.printing import Output, dump, echo, note
from tidegate.cli.session import Session, visit
from tidegate.cli.told import Told
from tidegate.cli.words import Where

_READ = (
    "Rollout",
    "AnalysisTemplate",
    "ClusterAnalysisTemplate",
    "Experiment",
    "Canary",
    "MetricTemplate",
    "Deployment",
)


def migrate(where: Where, files: Sequence[str], output: Output | None, write: Path | None) -> int:
    """Say what changes; the exit code: 1 where something has no equal or is refused. Raises Told."""
    if files:
        manifests, broken = read(files)
        if broken:
            raise Told("\n".join(map(str, broken)))
    else:
        manifests = visit(where, _from_cluster)
    moves = moves_of(manifests)
    if not moves:
        raise Told(
            "there is no Rollout, AnalysisTemplate or Flagger Canary to look at; name files with -f, or -n, or -A"
        )
    if write is not None:
        _write(moves, write)
    _print(moves, output)
    return 1 if any(n.weight == "lost" for move in moves for n in move.notes) else 0


def moves_of(manifests: Sequence[Manifest]) -> list[Move]:
    """What becomes of each object that is Argo Rollouts' or Flagger's."""
    flagger = [m.raw for m in manifests if str(m.raw.get("apiVersion", "")).startswith("flagger.app/")]
    deployments = [m.raw for m in manifests if m.kind == "Deployment"]
    templates = {_address(raw): raw for raw in flagger if raw.get("kind") == "MetricTemplate"}
    canaries = [raw for raw in flagger if raw.get("kind") == "Canary"]
    return [*read_argo(manifests), *(convert(raw, _target(raw, deployments), templates) for raw in canaries)]


async def _from_cluster(session: Session) -> list[Manifest]:
    found: list[Manifest] = []
    missing: list[str] = []
    for kind in _READ:
        for obj in await session.list_if_allowed(kind, "", missing):
            metadata = {
                k: v for k, v in obj["metadata"].items() if k not in ("managedFields", "uid", "resourceVersion")
            }
            found.append(Manifest({**obj, "kind": kind, "metadata": metadata}, "the cluster"))
    for text in missing:
        note(f"note: {text}")
    return found


def _address(raw: Mapping[str, Any]) -> tuple[str, str]:
    return raw["metadata"].get("namespace") or "", raw["metadata"]["name"]


def _target(canary: Mapping[str, Any], deployments: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """A Canary's Deployment, with the number of pods of the copy that serves its users."""
    namespace, _ = _address(canary)
    name = ((canary.get("spec") or {}).get("targetRef") or {}).get("name")
    here = {d["metadata"]["name"]: d for d in deployments if _address(d)[0] in (namespace, "") or not namespace}
    target, primary = here.get(str(name)), here.get(f"{name}-primary")
    if target is None or primary is None:
        return target
    return {**target, "spec": {**target["spec"], "replicas": primary["spec"].get("replicas", 1)}}


def _print(moves: Sequence[Move], output: Output | None) -> None:
    if output is Output.json:
        dump({"items": [asdict(move) for move in moves]}, output)
    elif output is Output.yaml:
        for move in moves:
            if move.manifests:
                echo(_text(move, move.manifests))
            else:
                note("\n".join(_told(move)))
    elif output is Output.name:
        for move in moves:
            echo(f"{move.kind.lower()}/{move.name}")
    else:
        for move in moves:
            echo("\n".join(_told(move)))


def _told(move: Move) -> Iterator[str]:
    where = f" in {move.namespace}" if move.namespace else ""
    words = {
        "unchanged": "applies unchanged",
        "translated": "becomes " + ", ".join(f"{m['kind']} {m['metadata']['name']}" for m in move.manifests),
        "refused": "has to be changed first",
    }[move.verdict]
    yield f"{move.kind} {move.name}{where}: {words}"
    yield from (f"  {remark}" for remark in move.notes)
    yield from (f"  {number}. {step}" for number, step in enumerate(move.steps, 1))


def _text(move: Move, manifests: Iterable[Mapping[str, Any]]) -> str:
    """Manifests as YAML, with everything to know of them as comments before them."""
    about = [
        f"From {move.kind} {move.name}.",
        *map(str, move.notes),
        *(f"{n}. {s}" for n, s in enumerate(move.steps, 1)),
    ]
    head = "\n".join(f"# {line}" for line in about)
    body = "---\n".join(yaml.safe_dump(dict(m), sort_keys=False, width=120) for m in manifests)
    return f"---\n{head}\n{body}"


def _write(moves: Sequence[Move], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for move in moves:
        rest = [m for m in move.manifests if m["kind"] != "VirtualService"]
        routes = [m for m in move.manifests if m["kind"] == "VirtualService"]
        for name, manifests in (
            (move.name, rest),
            (f"{move.name}-route", routes),
            (f"{move.name}-handover", move.handover),
        ):
            if manifests:
                path = folder / (f"{move.namespace}-{name}.yaml" if move.namespace else f"{name}.yaml")
                path.write_text(_text(move, manifests), encoding="utf-8")
                note(f"wrote {path}")
