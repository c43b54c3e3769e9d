"""Rollouts and analyses of Argo Rollouts: they apply unchanged, or it is said which field keeps them from it."""

from __future__ import annotations

from collections.abc import Iterable

from tidegate.cli.lint.findings import Manifest, Manifests
from tidegate.cli.lint.schema import check_schema
from tidegate.cli.migrate.report import Move

KINDS = ("Rollout", "AnalysisTemplate", "ClusterAnalysisTemplate", "Experiment")


def read_argo(manifests: Iterable[Manifest]) -> list[Move]:
    """What becomes of each object of Argo Rollouts' kinds."""
    known = Manifests(tuple(manifests))
    return [_move(manifest, known) for manifest in known.all if manifest.kind in KINDS]


def _move(manifest: Manifest, known: Manifests) -> Move:
    kind = str(manifest.raw["kind"])
    move = Move(kind, manifest.namespace, manifest.name, "unchanged")
    for finding in check_schema(manifest, known):
        move.lost(finding.path, finding.message)
    if move.notes:
        move.verdict = "refused"
    return move
