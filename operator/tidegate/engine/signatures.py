"""Which Services and DestinationRules bear a Rollout's signature, so that what it no longer names can be let go.

A hash that is left behind in a selector or a subset outlives the pods that it selects, and whoever uses the object next
gets a 503: a Deployment that has its pods back, or another Rollout. The signature is an annotation on the object, so
this is known after a restart too, and nothing has to block the deletion of a Rollout until it has been cleaned up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from tidegate.api import names
from tidegate.cluster.store import Change, Store
from tidegate.core.plan import Key, Write
from tidegate.core.rollout.actions import let_go_service
from tidegate.routers.istio.destination_rule import let_go

_SIGNED: Final = ("Service", "DestinationRule")
_NOTHING: Final[frozenset[Key]] = frozenset()


class Signatures:
    """An index of the objects by the Rollout that signed them.

    wake: called with a Rollout that is not there and whose signature has been seen.
    """

    def __init__(self, store: Store, wake: Callable[[Key], None]) -> None:
        self._store = store
        self._wake = wake
        self._signed: dict[Key, set[Key]] = {}
        for kind in _SIGNED:
            store.on_change(kind, self._changed)

    def leftovers(self, rollout: Key, named: Collection[Key] = ()) -> tuple[Write, ...]:
        """The writes that take a Rollout's signature and hashes out of all objects but those that it names.

        Hashes of other Rollouts stay, for a rule may have been shared, and those of pods that somebody has kept when he
        deleted the Rollout (`--cascade=orphan`).
        """
        left = self._signed.get(rollout, _NOTHING).difference(named)
        if not left:
            return ()
        kept = self._hashes_of_others(rollout) | self._hashes_of_nobody(rollout.namespace)
        objects = [raw for key in sorted(left) if (raw := self._store.get(key))]
        return tuple((let_go_service if raw["kind"] == "Service" else let_go)(raw, kept) for raw in objects)

    def orphans(self) -> tuple[Key, ...]:
        """The Rollouts whose signature has been seen and that are not there."""
        return tuple(rollout for rollout in self._signed if self._store.get(rollout) is None)

    def _hashes_of_others(self, rollout: Key) -> frozenset[str]:
        """In its namespace, for the same template has the same hash everywhere."""
        rollouts = {raw["metadata"]["uid"] for raw in self._neighbours("Rollout", rollout)}
        found = set()
        for raw in self._neighbours("ReplicaSet", rollout):
            metadata = raw["metadata"]
            if any(owner.get("uid") in rollouts for owner in metadata.get("ownerReferences") or ()):
                found.add((metadata.get("labels") or {}).get(names.POD_TEMPLATE_HASH, ""))
        return frozenset(found)

    def _hashes_of_nobody(self, namespace: str) -> frozenset[str]:
        """Of pods that run and whose ReplicaSet has no owner."""
        sets = self._store.owned("ReplicaSet", "", namespace)
        return frozenset(raw["metadata"]["labels"][names.POD_TEMPLATE_HASH] for raw in sets if raw["spec"]["replicas"])

    def _neighbours(self, kind: str, rollout: Key) -> Iterator[Mapping[str, Any]]:
        keys = (key for key in self._store.keys(kind) if key.namespace == rollout.namespace and key != rollout)
        return (raw for key in keys if (raw := self._store.get(key)))

    def _changed(self, change: Change) -> None:
        before, after = _signer(change.key, change.old), _signer(change.key, change.new)
        if before is not None and before != after:
            signed = self._signed.get(before, set())
            signed.discard(change.key)
            if not signed:
                self._signed.pop(before, None)
        if after is not None:
            self._signed.setdefault(after, set()).add(change.key)
            if self._store.get(after) is None and self._store.synced("Rollout"):
                self._wake(after)


def signature(obj: Mapping[str, Any] | None) -> str:
    """The Rollout that an object names as its own; empty for none."""
    found: str = ((obj or {}).get("metadata", {}).get("annotations") or {}).get(names.MANAGED_BY, "")
    return found


def _signer(key: Key, obj: Mapping[str, Any] | None) -> Key | None:
    name = signature(obj)
    return Key("Rollout", key.namespace, name) if name else None
