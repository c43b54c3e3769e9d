"""The objects that an Experiment creates: a ReplicaSet for each template, and a Service where one is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidegate.api import names
from tidegate.api.experiment import ExperimentTemplate
from tidegate.core.experiment.naming import marks, set_name, version_hash, without_hash
from tidegate.core.experiment.world import ExperimentWorld
from tidegate.core.rollout.world import ReplicaSet

_TCP: Final = "TCP"


def replica_set(world: ExperimentWorld, index: int, collisions: int | None) -> dict[str, Any]:
    """The ReplicaSet of the template at this index of the spec, at its full size."""
    assert world.spec is not None
    given = world.spec.templates[index]
    hash_ = version_hash(world.name, given.name, given.template, collisions)
    mark = {names.POD_TEMPLATE_HASH: hash_}
    template = without_hash(given.template)
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), **mark}
    selector = world.experiment["spec"]["templates"][index]["selector"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": set_name(world.name, given.name, collisions),
            "namespace": world.namespace,
            "labels": mark,
            "annotations": marks(world.name, given.name),
            "ownerReferences": [owner(world)],
        },
        "spec": {
            "replicas": given.desired_replicas,
            "minReadySeconds": given.min_ready_seconds,
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **mark}},
            "template": {**template, "metadata": {**metadata, "labels": labels}},
        },
    }


def service_name(given: ExperimentTemplate, rs: ReplicaSet) -> str:
    """The name of a template's Service."""
    return (given.service.name if given.service else "") or rs.name


def service(world: ExperimentWorld, given: ExperimentTemplate, rs: ReplicaSet) -> dict[str, Any]:
    """The Service for the pods of a template."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service_name(given, rs),
            "namespace": world.namespace,
            "annotations": marks(world.name, given.name),
            "ownerReferences": [owner(world)],
        },
        "spec": {"selector": {names.POD_TEMPLATE_HASH: rs.hash}, "ports": ports(rs.template)},
    }


def owner(world: ExperimentWorld) -> dict[str, Any]:
    """The reference by which the garbage collector and we know what belongs to an Experiment."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.EXPERIMENT,
        "name": world.name,
        "uid": world.experiment["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def ports(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A port of a Service for each that the containers have. Several need names, so those without one get one: not one
    that a service mesh takes for a protocol, such as tcp-80."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for container in (template.get("spec") or {}).get("containers") or ():
        for port in container.get("ports") or ():
            number, protocol = port["containerPort"], port.get("protocol") or _TCP
            named = {"name": port["name"]} if port.get("name") else {}
            entry = {**named, "port": number, "targetPort": number, "protocol": protocol}
            found.setdefault((number, protocol), entry)
    if len(found) == 1:
        return list(found.values())
    return [{"name": f"port-{number}-{protocol.lower()}", **port} for (number, protocol), port in found.items()]
