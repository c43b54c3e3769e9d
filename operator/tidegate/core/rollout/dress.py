"""What a pod template has been given beyond its own: how it is noted, put in and told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from tidegate.api import names

PARTS: Final = ("labels", "annotations")
ANTI_AFFINITY: Final = "podAntiAffinity"

Metadata = dict[str, dict[str, str]]
"""Labels and annotations; a part without entries is left out."""


def borne(annotations: Mapping[str, str]) -> Metadata:
    """What has been put into the template of the ReplicaSet with these annotations."""
    return read(annotations.get(names.EPHEMERAL_METADATA))


def read(text: str | None) -> Metadata:
    """What an annotation notes. One that can't be read counts as none: what nobody knows to be ours stays."""
    if not text:
        return {}
    try:
        given = orjson.loads(text)
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


def is_rule(term: Any) -> bool:
    """Whether a term of an anti-affinity is one that was put in: it tells revisions apart, which no user's does."""
    term = term.get("podAffinityTerm", term)
    expressions = (term.get("labelSelector") or {}).get("matchExpressions") or ()
    return any(expression.get("key") == names.POD_TEMPLATE_HASH for expression in expressions)


def own_terms(terms: Sequence[Any] | None) -> list[Any]:
    """The terms of an anti-affinity that were not put in."""
    return [term for term in terms or () if not is_rule(term)]


def without_rules(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """A pod template without the anti-affinity that was put in, nor what of it would be left empty."""
    pod = template.get("spec") or {}
    affinity = pod.get("affinity")
    if not affinity:
        return template
    kinds = {kind: own for kind, terms in (affinity.get(ANTI_AFFINITY) or {}).items() if (own := own_terms(terms))}
    rest = {name: value for name, value in affinity.items() if name != ANTI_AFFINITY and value}
    left = {**rest, **({ANTI_AFFINITY: kinds} if kinds else {})}
    others = {name: value for name, value in pod.items() if name != "affinity"}
    return {**template, "spec": {**others, **({"affinity": left} if left else {})}}
