"""The hashes that name ReplicaSets and remember canary steps, bit for bit those of Argo Rollouts 1.9 and later.

Their bytes are a promise to running clusters: a hash that moves looks like a changed template, and every pod
restarts. Argo Rollouts 1.9 did that to its users by upgrading its Kubernetes libraries (its issue 4696). Here the
Go structs are a table under version control, golden hashes guard it, and a template that only hashes otherwise is
still recognised by what it means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import orjson

from tidegate.core.hashing.defaults import with_defaults
from tidegate.core.hashing.fnv import safe_hash
from tidegate.core.hashing.gojson import BYTES, MEANING, MalformedError, dump, encoder

__all__ = [
    "HASH_LABEL",
    "MalformedError",
    "earlier_step_hash",
    "pod_template_hash",
    "step_hash",
    "templates_equal",
]

HASH_LABEL: Final = "rollouts-pod-template-hash"

# A rollout is looked at dozens of times between two changes of its template; asking again costs a tenth.
_KNOWN_LIMIT: Final = 4096
_known: dict[bytes, str] = {}


def pod_template_hash(template: Mapping[str, Any], collision_count: int | None = None) -> str:
    """The value of the label `rollouts-pod-template-hash`, and the end of the ReplicaSet's name.

    `template` is a pod template as the API server returns it, `collision_count` is status.collisionCount.
    Source: utils/hash/hash.go of Argo Rollouts. Raises MalformedError, a ValueError with the field's path.
    """
    source = _digest(template, collision_count)
    known = _known.get(source)
    if known is None:
        data = dump(encoder("PodTemplateSpec", BYTES)(template))
        if collision_count is not None:
            data += (collision_count & 0xFFFFFFFF).to_bytes(8, "little")
        known = safe_hash(data)
        if len(_known) >= _KNOWN_LIMIT:
            _known.clear()
        _known[source] = known
    return known


def _digest(template: Mapping[str, Any], collision_count: int | None) -> bytes:
    try:
        source = orjson.dumps([template, collision_count], default=dict)
    except TypeError as error:
        raise MalformedError(f"is not JSON: {error}") from None
    return blake2b(source, digest_size=16).digest()


def step_hash(steps: Sequence[Mapping[str, Any]] | None) -> str:
    """The value of status.currentStepHash for spec.strategy.canary.steps; None stands for absent steps.

    Blue-green rollouts have an empty step hash, which is for the caller to know.
    Source: utils/conditions/conditions.go of Argo Rollouts. Raises MalformedError, a ValueError with the path.
    """
    return safe_hash(dump(None if steps is None else encoder("[]CanaryStep", BYTES)(steps)))


def earlier_step_hash(steps: Sequence[Mapping[str, Any]] | None) -> str:
    """The step hash of Argo Rollouts up to 1.8, whose structs differ in two fields.

    An analysis step always has analysisRunMetadata there, and clusterScope is left out where it is false.
    Raises MalformedError, a ValueError with the path.
    """
    return step_hash(None if steps is None else [_earlier(step) for step in steps])


def _earlier(step: Mapping[str, Any]) -> Mapping[str, Any]:
    changed = dict(step)
    analysis, experiment = step.get("analysis"), step.get("experiment")
    if analysis is not None:
        metadata = analysis.get("analysisRunMetadata") or {}
        refs = {"templates": _scopes(analysis["templates"])} if analysis.get("templates") else {}
        changed["analysis"] = {**analysis, **refs, "analysisRunMetadata": metadata}
    if experiment is not None and experiment.get("analyses"):
        changed["experiment"] = {**experiment, "analyses": _scopes(experiment["analyses"])}
    return changed


def _scopes(refs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in ref.items() if name != "clusterScope" or value} for ref in refs]


def templates_equal(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two pod templates mean the same to the API server, whoever has filled in the defaults.

    The hash label is ignored. Labels, annotations and affinity that a controller added to a ReplicaSet are not:
    take them out first. Raises MalformedError, a ValueError with the field's path.
    """
    return _meaning(a) == _meaning(b)


def _meaning(template: Mapping[str, Any]) -> dict[str, Any]:
    meaning: dict[str, Any] = encoder("PodTemplateSpec", MEANING)(template)
    metadata = meaning.get("metadata", {})
    labels = metadata.get("labels", {})
    labels.pop(HASH_LABEL, None)
    if not labels:
        metadata.pop("labels", None)
    if not metadata:
        meaning.pop("metadata", None)
    return with_defaults(meaning)
