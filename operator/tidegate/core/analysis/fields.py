"""Fields of a Rollout as text, for arguments of an analysis (`valueFrom.fieldRef.fieldPath`).

Paths are those of Argo Rollouts: dots between names, list positions as `steps[0]` or `steps.0`, and keys with
dots in quotes, as in `metadata.labels['app.kubernetes.io/name']`. A label or annotation that is not there
reads as empty, as in the downward API of pods; any other field that is not there is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tidegate.core.analysis.values import show_number

_PART: Final = re.compile(r"\.?(?:([^.\[\]'\"]+)|\['([^']*)'\]|\[\"([^\"]*)\"\]|\[(\d+)\])")
_MAPS: Final = ("labels", "annotations")


class FieldError(ValueError):
    """A path that is none, or that leads nowhere. The text follows the path's."""


def field_text(rollout: Mapping[str, Any], path: str) -> str:
    """The text of one field of a raw Rollout. Raises FieldError."""
    parts = split_path(path)
    if parts[:1] == ["metadata"] and len(parts) in (2, 3) and parts[1] in _MAPS:
        return _of_metadata(rollout["metadata"].get(parts[1]) or {}, parts[2:])
    value: Any = rollout
    for part in parts:
        value = _inner(value, part)
    if value is None:
        raise FieldError("leads to nothing in the Rollout")
    return _text(value)


def split_path(path: str) -> list[str]:
    """The names and positions that a path consists of. Raises FieldError."""
    parts: list[str] = []
    at = 0
    while at < len(path):
        found = _PART.match(path, at)
        if found is None:
            raise FieldError("is not a path such as metadata.labels['app'] or spec.replicas")
        parts.append(next(part for part in found.groups() if part is not None))
        at = found.end()
    if not parts:
        raise FieldError("is empty")
    return parts


def _of_metadata(values: Mapping[str, str], key: list[str]) -> str:
    """One label or annotation; or all of them, each on a line, as the downward API writes them."""
    if key:
        return str(values.get(key[0], ""))
    return "\n".join(f'{name}="{_escaped(values[name])}"' for name in sorted(values))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")


def _inner(value: Any, part: str) -> Any:
    if isinstance(value, list):
        if not part.isdigit():
            raise FieldError(f"asks for {part!r} of a list; give a position such as [0]")
        return value[int(part)] if int(part) < len(value) else None
    if isinstance(value, Mapping):
        return value.get(part)
    if value is None:
        return None
    raise FieldError(f"asks for {part!r} of a plain value")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return show_number(value)
    if isinstance(value, str | int):
        return str(value)
    raise FieldError("leads to an object or a list; it must lead to a plain value")
