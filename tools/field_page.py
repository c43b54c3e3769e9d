"""Writes docs/fields.md, every field of every kind, from the definitions that the API server has.

    python -m tools.field_page docs/fields.md

A part that has been listed before, such as the arguments of an analysis, is not listed again but pointed to.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tidegate.api import crds

_HEAD: Final = """\
# Every field

Generated from the models by `make crds`; do not edit. `kubectl explain rollout.spec.strategy.canary` says the same for
the version that is installed. [compatibility.md](compatibility.md) has the tests of each field, and the fields of Argo
Rollouts that are refused. A path is written as in a manifest, with `[]` after a list. An asterisk marks what must
be there.
"""
_FEWEST_TO_REFER: Final = 3


@dataclass(slots=True)
class _Kind:
    """The rows of one kind. listed: the parts that have been listed, of kinds before it too, and where."""

    name: str
    listed: dict[str, tuple[str, str]]
    rows: list[str] = field(default_factory=list)

    def walk(self, node: Mapping[str, Any], path: str) -> None:
        needed = node.get("required") or ()
        for name, child in (node.get("properties") or {}).items():
            below = f"{path}.{name}" if path else name
            if path == "" and name not in ("spec", "status"):
                continue
            self._row(child, below, needed=name in needed)

    def _row(self, node: Mapping[str, Any], path: str, *, needed: bool) -> None:
        of_list = node.get("type") == "array"
        inner = node["items"] if of_list else node
        start = f"{path}[]" if of_list else path
        words = [_cell(node.get("description", ""))]
        known = self._known(inner, start)
        if known:
            words.append(f"Its fields are those of {known}.")
        if "enum" in inner:
            words.append("One of " + ", ".join(f"`{value}`" for value in inner["enum"]) + ".")
        mark = "*" if needed else ""
        self.rows.append(f"| `{path}`{mark} | {_type(node)} | {' '.join(filter(None, words))} |")
        if not known:
            self.walk(inner, start)

    def _known(self, node: Mapping[str, Any], path: str) -> str:
        """Where the same part has been listed before; nothing, and remembered, where it has not."""
        if len(node.get("properties") or ()) < _FEWEST_TO_REFER:
            return ""
        key = json.dumps(node["properties"], sort_keys=True)
        if key not in self.listed:
            self.listed[key] = (self.name, path)
            return ""
        kind, place = self.listed[key]
        return f"`{place}`" if kind == self.name else f"{kind}'s `{place}`"


def _cell(text: str) -> str:
    """A description as the cell of a table: placeholders stay visible, nothing ends the cell."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def _type(node: Mapping[str, Any]) -> str:
    if node.get("x-kubernetes-int-or-string"):
        return "number or text"
    kind = node.get("type", "any")
    if kind == "array":
        return f"list of {_type(node['items'])}"
    if "additionalProperties" in node:
        return "map"
    return {"string": "text", "integer": "number", "number": "number", "boolean": "true or false"}.get(kind, kind)


def _kinds() -> Iterator[str]:
    """Kinds with the same fields, AnalysisTemplate and ClusterAnalysisTemplate, are told together."""
    alike: dict[str, list[str]] = {}
    schemas: dict[str, Mapping[str, Any]] = {}
    for kind in crds.KINDS:
        schema = crds.definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        fields = json.dumps(schema["properties"])
        alike.setdefault(fields, []).append(kind.name)
        schemas.setdefault(fields, schema)
    listed: dict[str, tuple[str, str]] = {}
    for fields, names in alike.items():
        part = _Kind(names[0], listed)
        part.walk(schemas[fields], "")
        head = f"\n## {' and '.join(names)}\n\n{schemas[fields].get('description', '')}\n"
        yield "\n".join([head, "| Field | Type | What it is |", "|---|---|---|", *part.rows, ""])


def render() -> str:
    """The whole page."""
    return _HEAD + "".join(_kinds())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render())
