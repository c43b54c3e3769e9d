"""Which fields of an object are ours to write: line 4 of "What always holds"."""

from __future__ import annotations

from typing import Final

import orjson

from tests.rollout.objects import MANAGED, TRIED, Obj
from tidegate.api import names
from tidegate.core.plan import Key

HASH: Final = names.POD_TEMPLATE_HASH
_ENDS: Final = ("canary", "stable", "ping", "pong")
_RS_FIELDS: Final = frozenset({names.REVISION, names.REVISION_HISTORY, names.DESIRED_REPLICAS, "scale-down-deadline"})


def check_only_our_fields(key: Key, before: Obj, after: Obj) -> None:
    """4: raise unless only our own fields differ."""
    if _without_ours(key.kind, before) != _without_ours(key.kind, after):
        raise AssertionError(f"Only our own fields: {key} from {before} to {after}")


def _without_ours(kind: str, obj: Obj) -> Obj:
    obj = orjson.loads(orjson.dumps(obj))
    metadata = obj["metadata"]
    for volatile in ("resourceVersion", "generation"):
        metadata.pop(volatile, None)
    annotations = metadata.get("annotations", {})
    spec = obj.get("spec", {})
    if kind == "Service":
        annotations.pop(names.MANAGED_BY, None)
        spec["selector"].pop(HASH, None)
    elif kind == "DestinationRule":
        annotations.pop(names.MANAGED_BY, None)
        spec["subsets"] = [subset for subset in spec["subsets"] if subset["name"].rpartition("-")[2] not in TRIED]
        for subset in spec["subsets"]:
            if subset["name"] in ("canary", "stable"):
                subset.setdefault("labels", {}).pop(HASH, None)
    elif kind == "VirtualService":
        spec["http"] = [http for http in spec["http"] if http.get("name") not in MANAGED]
        for http in spec["http"]:
            if http.get("name") not in ("testers",):
                http["route"] = [each for each in http["route"] if not _is_tried(each["destination"])]
                for each in http["route"]:
                    destination = each["destination"]
                    host = destination["host"].partition(".")[0]
                    if (destination.get("subset") or host.rpartition("-")[2]) in _ENDS:
                        each.pop("weight", None)
    elif kind == "ReplicaSet":
        for name in _RS_FIELDS:
            annotations.pop(name, None)
        metadata.pop("annotations", None)  # A copy of the Rollout's goes there by the contract.
        annotations = {}
        spec.pop("replicas", None)
        spec.pop("minReadySeconds", None)
        spec["template"]["spec"].pop("affinity", None)
        for part in ("labels", "annotations"):  # Metadata of a role; the tests' are called so.
            given = spec["template"].get("metadata", {}).get(part, {})
            for name in ("role", "for"):
                given.pop(name, None)
            if not given:
                spec["template"].get("metadata", {}).pop(part, None)
    elif kind == "Rollout":
        annotations.pop(names.REVISION, None)
        annotations.pop(names.WORKLOAD_GENERATION, None)
        spec.pop("replicas", None)
    elif kind == "Deployment":
        for name in (names.SCALED_DOWN_BY, names.REPLICAS_BEFORE):
            annotations.pop(name, None)
        metadata.get("labels", {}).pop(names.SCALED_DOWN, None)
        if not metadata.get("labels"):
            metadata.pop("labels", None)
        spec.pop("replicas", None)
    elif kind in ("AnalysisRun", "Experiment"):
        spec.pop("terminate", None)
    if not annotations:
        metadata.pop("annotations", None)
    return obj


def _is_tried(destination: Obj) -> bool:
    name: str = destination.get("subset") or destination["host"].partition(".")[0]
    return name.rpartition("-")[2] in TRIED
