"""Workloads that Rollouts refer to: watched only once one does, and kept as small as can be.

A cluster has far more Deployments than Rollouts with a workloadRef, and which ones matter can change at any time. So
all are kept, each as a packed template of some hundred bytes, and unpacked when a Rollout's spec is read anew.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import orjson

from tidegate.api import names
from tidegate.api.rollout import WORKLOAD_KINDS
from tidegate.cluster.client import Client
from tidegate.cluster.informer import Informer
from tidegate.cluster.rules import KindRules, Obj
from tidegate.cluster.store import Store
from tidegate.core.plan import Key

LOOSE: Final = "LooseReplicaSet"
"""ReplicaSets that are not a Rollout's: a kind of its own in the store, for its watch is another."""

WATCHED_ON_DEMAND: Final[Mapping[str, str]] = {
    "Deployment": "",
    "PodTemplate": "",
    LOOSE: f"!{names.POD_TEMPLATE_HASH}",
}
"""Label selectors by kind."""

_PATIENCE: Final = 10.0
_OURS: Final = (names.SCALED_DOWN_BY, names.REPLICAS_BEFORE)
_KEPT: Final = ("name", "namespace", "uid", "resourceVersion", "generation", "ownerReferences")


def reference(rollout: Mapping[str, Any]) -> Key | None:
    """The workload that a Rollout takes its template from, if it names one that can be looked for."""
    ref = (rollout.get("spec") or {}).get("workloadRef")
    if not isinstance(ref, Mapping):
        return None
    kind, name = ref.get("kind"), ref.get("name")
    if kind not in WORKLOAD_KINDS or not isinstance(name, str) or not name:
        return None
    return Key(LOOSE if kind == "ReplicaSet" else kind, rollout["metadata"]["namespace"], name)


def unpacked(workload: Mapping[str, Any]) -> dict[str, Any] | None:
    """The `template` and the `selector` of a kept workload; None where it belongs to another, which decides on it."""
    packed = workload["spec"].get("packed")
    return None if packed is None else orjson.loads(zlib.decompress(packed))


def kept(obj: Obj) -> Obj:
    """What the store keeps of a workload."""
    metadata = {field: obj["metadata"][field] for field in _KEPT if field in obj["metadata"]}
    annotations = obj["metadata"].get("annotations") or {}
    if ours := {name: annotations[name] for name in _OURS if name in annotations}:
        metadata["annotations"] = ours
    spec = obj.get("spec") or {}
    template = obj.get("template") if obj["kind"] == "PodTemplate" else spec.get("template")
    selector = spec.get("selector") or {"matchLabels": ((template or {}).get("metadata") or {}).get("labels") or {}}
    spec_kept: Obj = {"replicas": spec.get("replicas", 1)}
    if not any(owner.get("controller") for owner in metadata.get("ownerReferences") or ()):
        spec_kept["packed"] = zlib.compress(orjson.dumps({"template": template or {}, "selector": selector}))
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata, "spec": spec_kept}


RULES: Final[Mapping[str, KindRules]] = {kind: KindRules(project=kept) for kind in WATCHED_ON_DEMAND}


class OnDemand:
    """Watches kinds from the first time that somebody needs them."""

    def __init__(self, client: Client, store: Store, namespace: str) -> None:
        self._client = client
        self._store = store
        self._namespace = namespace
        self._watches: dict[str, tuple[Informer, asyncio.Task[None]]] = {}

    async def ensure(self, kind: str) -> None:
        """Return once all of a kind is known. Raises RuntimeError when that does not come to be."""
        if kind not in self._watches:
            informer = Informer(
                self._client, self._store, kind, namespace=self._namespace, label_selector=WATCHED_ON_DEMAND[kind]
            )
            self._watches[kind] = informer, asyncio.create_task(informer.run(), name=f"watch {kind}")
        informer, _ = self._watches[kind]
        if not informer.synced.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await informer.synced.wait()
        if not informer.synced.is_set():
            raise RuntimeError(f"{kind} objects can't be read yet: {informer.problem or 'the list is not complete'}")

    async def close(self) -> None:
        """End every watch."""
        tasks = [task for _, task in self._watches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
