"""Which DestinationRules bear a Rollout's signature, so that what it no longer names can be let go.

A hash that is left behind in a subset outlives the pods that it selects, and whoever uses the rule next gets a 503. The
signature is an annotation on the rule, so this is known after a restart too, and nothing has to block the deletion of a
Rollout until it has been cleaned up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tidegate.api import names
from tidegate.cluster.store import Change, Store
from tidegate.core.plan import Key, Write
from tidegate.routers.istio.destination_rule import let_go

_RULE: Final = "DestinationRule"


class Signatures:
    """An index of the rules by the Rollout that signed them.

    wake: called with a Rollout that is not there and whose signature has been seen.
    """

    def __init__(self, store: Store, wake: Callable[[Key], None]) -> None:
        self._store = store
        self._wake = wake
        self._signed: dict[Key, set[Key]] = {}
        store.on_change(_RULE, self._changed)

    def leftovers(self, rollout: Key, named: Key | None = None) -> tuple[Write, ...]:
        """The writes that take a Rollout's signature and hashes out of every rule but the one that it names.

        Hashes of other Rollouts stay: a rule may have been shared.
        """
        rules = self._signed.get(rollout, set()) - {named}
        if not rules:
            return ()
        foreign = self._hashes_of_others(rollout)
        return tuple(write for key in sorted(rules) if (raw := self._store.get(key)) for write in let_go(raw, foreign))

    def _hashes_of_others(self, rollout: Key) -> frozenset[str]:
        """In its namespace, for the same template has the same hash everywhere."""
        rollouts = {raw["metadata"]["uid"] for raw in self._neighbours("Rollout", rollout)}
        found = set()
        for raw in self._neighbours("ReplicaSet", rollout):
            metadata = raw["metadata"]
            if any(owner.get("uid") in rollouts for owner in metadata.get("ownerReferences") or ()):
                found.add((metadata.get("labels") or {}).get(names.POD_TEMPLATE_HASH, ""))
        return frozenset(found)

    def _neighbours(self, kind: str, rollout: Key) -> Iterator[Mapping[str, Any]]:
        keys = (key for key in self._store.keys(kind) if key.namespace == rollout.namespace and key != rollout)
        return (raw for key in keys if (raw := self._store.get(key)))

    def _changed(self, change: Change) -> None:
        before, after = _signer(change.key, change.old), _signer(change.key, change.new)
        if before is not None and before != after:
            rules = self._signed.get(before, set())
            rules.discard(change.key)
            if not rules:
                self._signed.pop(before, None)
        if after is not None:
            self._signed.setdefault(after, set()).add(change.key)
            if self._store.get(after) is None:
                self._wake(after)


def _signer(key: Key, rule: Any) -> Key | None:
    name = ((rule or {}).get("metadata", {}).get("annotations") or {}).get(names.MANAGED_BY)
    return Key("Rollout", key.namespace, name) if name else None
