"""The names of what an Experiment creates, and the hash by which a version's pods are told apart.

A version of an Experiment has the very template of another one, or of the Rollout's own. Its hash must differ all the
same: by it the Experiment's Service finds these pods and no others, the Rollout's Services do not find them, and
queries tell them apart. So the hash is that of the template with the names of Experiment and version in it. Argo
Rollouts has two algorithms for the two, which tells an Experiment from its Rollout but not two versions of one template
from each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.api import names
from tidegate.core.hashing import pod_template_hash


def marks(experiment: str, template: str) -> dict[str, str]:
    """The annotations of everything that belongs to a template."""
    return {names.EXPERIMENT_NAME: experiment, names.EXPERIMENT_TEMPLATE: template}


def set_name(experiment: str, template: str, collisions: int | None) -> str:
    """The name of a template's ReplicaSet; another one after each collision."""
    base = f"{experiment}-{template}"
    return f"{base}-{collisions}" if collisions else base


def version_hash(experiment: str, name: str, template: Mapping[str, Any], collisions: int | None) -> str:
    """The value of `rollouts-pod-template-hash` for a version. Raises MalformedError with the path within it."""
    own = without_hash(template)
    metadata = own.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), **marks(experiment, name)}
    return pod_template_hash({**own, "metadata": {**metadata, "annotations": annotations}}, collisions)


def without_hash(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """A pod template without the hash of the ReplicaSet that it was taken from."""
    metadata = template.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if names.POD_TEMPLATE_HASH not in labels:
        return template
    rest = {key: value for key, value in labels.items() if key != names.POD_TEMPLATE_HASH}
    return {**template, "metadata": {**metadata, "labels": rest}}
