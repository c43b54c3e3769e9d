"""From other controllers to Tidegate: what changes, and manifests that say the same. Pure: objects in, report out."""

from __future__ import annotations

from tidegate.cli.migrate.argo import read_argo
from tidegate.cli.migrate.flagger import convert
from tidegate.cli.migrate.report import Move, Note

__all__ = ["Move", "Note", "convert", "read_argo"]
