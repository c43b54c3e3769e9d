"""What a pod template has been given beyond its own: how it is noted, put in and told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from tidegate.api import names

PARTS: Final = ("labels", "annotations")

Metadata = dict[str, dict[str, str]]
"""Labels and annotations; a part without entries is left out."""


def borne(annotations: Mapping[str, str]) -> Metadata:
    """What has been put into the template of the ReplicaSet with these annotations."""
    return read(annotations.get(names.EPHEMERAL_METADATA))


def read(text: str | None) -> Metadata:
    """What an annotation notes. One that can't be read counts as none: what nobody knows to be ours stays."""
    try:
        given = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(given, dict):
        return {}
    return {part: dict(given[part]) for part in PARTS if isinstance(given.get(part), dict) and given[part]}


def written(metadata: Metadata) -> str | None:
    """The annotation's text; None for none."""
    return orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS).decode() if metadata else None


def dressed(template: Mapping[str, Any], metadata: Metadata) -> Mapping[str, Any]:
    """A pod template with this metadata too."""
    if not metadata:
        return template
    before = template.get("metadata") or {}
    return {**template, "metadata": {**before, **{p: {**(before.get(p) or {}), **metadata[p]} for p in metadata}}}
