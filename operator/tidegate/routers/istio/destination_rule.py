"""A DestinationRule: which pods its canary and stable subsets stand for.

Only the label `rollouts-pod-template-hash` of these two subsets is ours, and an annotation that says so. Other
subsets stay: Argo Rollouts drops them all, even those that the Rollout itself lists as additional.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.api import names
from tidegate.api.problems import Problem
from tidegate.core.plan import Key, Write
from tidegate.core.traffic import Extra, Selected
from tidegate.routers.istio.hosts import service
from tidegate.routers.istio.routes import Json
from tidegate.routers.istio.virtual_service import unchanged_since


@dataclass(frozen=True, slots=True)
class RuleTarget:
    """The DestinationRule that the Rollout names: its key, its two subsets, the field's path."""

    key: Key
    canary: str
    stable: str
    at: str


@dataclass(frozen=True, slots=True)
class Subset:
    """One subset as it was read: its position, its name, its labels (None where it has none)."""

    index: int
    name: str
    labels: Mapping[str, str] | None

    @property
    def hash(self) -> str:
        """The pod template hash that it selects; empty where it selects pods of every version."""
        return (self.labels or {}).get(names.POD_TEMPLATE_HASH, "")

    def select(self, hash_: str) -> Iterator[dict[str, Any]]:
        """The JSON-patch operations that make it select `hash_`; for an empty one, those that remove the label."""
        if self.hash == hash_:
            return
        at = f"/spec/subsets/{self.index}"
        label = f"{at}/labels/{names.POD_TEMPLATE_HASH}"
        yield {"op": "test", "path": f"{at}/name", "value": self.name}
        if not hash_:
            yield {"op": "test", "path": label, "value": self.hash}
            yield {"op": "remove", "path": label}
        elif self.labels is None:
            yield {"op": "add", "path": f"{at}/labels", "value": {names.POD_TEMPLATE_HASH: hash_}}
        else:
            yield {"op": "add", "path": label, "value": hash_}


@dataclass(frozen=True, slots=True)
class BoundDestinationRule:
    """The two subsets as they were found, and what is wrong where one was not.

    manager: the Rollout that the annotation names, maybe another one; empty without it.
    """

    target: RuleTarget
    rollout: str
    host: str = ""
    version: str = ""
    manager: str = ""
    canary: Subset | None = None
    stable: Subset | None = None
    subsets: tuple[Subset, ...] = ()
    problems: tuple[Problem, ...] = ()

    def selected(self) -> Selected:
        canary, stable = (subset.hash if subset else "" for subset in (self.canary, self.stable))
        return Selected(canary, stable, service(self.host, self.target.key.namespace))

    def point(self, *, canary_hash: str, stable_hash: str, extras: Sequence[Extra] = ()) -> tuple[Write, ...]:
        """The patches that make the subsets select these hashes.

        An empty hash removes the label, as Argo Rollouts does. The subset then stands for all pods of the host, so
        it is only right where no such version exists: a label left behind would answer 503 to everybody.
        """
        if self.canary is None or self.stable is None:
            return ()
        operations = [*self.canary.select(canary_hash), *self.stable.select(stable_hash), *self._extend(extras)]
        writes = []
        if operations:
            if extras or any(subset.labels is None for subset in (self.canary, self.stable)):
                # Labels that somebody gives the subset meanwhile would be replaced by ours.
                operations.insert(0, unchanged_since(self.version))
            writes.append(Write("patch", self.target.key, operations, patch="json"))
        # Two Rollouts that share the rule (with subsets of their own) would take turns at the annotation for ever, so
        # another's name is only overwritten along with a hash.
        if not self.manager or (operations and self.manager != self.rollout):
            writes.append(self._sign())
        return tuple(writes)

    def _extend(self, extras: Sequence[Extra]) -> Iterator[dict[str, Any]]:
        """Add, point and remove further subsets; the removals last and from the end, for each moves those behind it."""
        there = {subset.name: subset for subset in self.subsets}
        gone = []
        for extra in sorted(extras, key=lambda extra: extra.name):
            subset = there.get(extra.name)
            if subset is None and extra.weight:
                new = {"name": extra.name, "labels": {names.POD_TEMPLATE_HASH: extra.hash}}
                yield {"op": "add", "path": "/spec/subsets/-", "value": new}
            elif subset is not None and extra.weight:
                yield from subset.select(extra.hash)
            elif subset is not None:
                gone.append(subset.index)
        for index in sorted(gone, reverse=True):
            yield {"op": "remove", "path": f"/spec/subsets/{index}"}

    def _sign(self) -> Write:
        # A merge patch: what was read may lack annotations that the server has, and a JSON patch that adds the whole
        # map would erase them.
        return Write("patch", self.target.key, {"metadata": {"annotations": {names.MANAGED_BY: self.rollout}}})


def let_go(obj: Mapping[str, Any], foreign: Collection[str]) -> Write:
    """The patch that takes our signature out of a rule, and the hashes of its subsets but those in `foreign`.

    For a rule that its Rollout no longer names, or whose Rollout is gone: its subsets are again what their owner wrote.
    """
    metadata = obj["metadata"]
    signature = f"/metadata/annotations/{names.MANAGED_BY.replace('/', '~1')}"
    operations: list[dict[str, Any]] = [unchanged_since(metadata["resourceVersion"])]
    for index, subset in enumerate((obj.get("spec") or {}).get("subsets") or ()):
        hash_ = (subset.get("labels") or {}).get(names.POD_TEMPLATE_HASH)
        if hash_ and hash_ not in foreign:
            operations.append({"op": "remove", "path": f"/spec/subsets/{index}/labels/{names.POD_TEMPLATE_HASH}"})
    operations.append({"op": "remove", "path": signature})
    return Write("patch", Key(obj["kind"], metadata["namespace"], metadata["name"]), operations, patch="json")


def bind_destination_rule(target: RuleTarget, obj: Mapping[str, Any] | None, rollout: str) -> BoundDestinationRule:
    """Find the two subsets in the object as it was read; None where it does not exist."""
    if obj is None:
        said = f"{target.key} not found: the subsets have nobody to define them; create it or correct the name"
        missing = Problem(f"{target.at}.name", said, names.REASON_DESTINATION_RULE_NOT_FOUND)
        return BoundDestinationRule(target, rollout, problems=(missing,))
    spec, metadata = obj.get("spec") or {}, obj["metadata"]
    subsets: Sequence[Json] = spec.get("subsets") or ()
    canary, stable = _find(subsets, target.canary), _find(subsets, target.stable)
    problems = []
    for title, name, found in (("canary", target.canary, canary), ("stable", target.stable, stable)):
        if found is None:
            there = ", ".join(str(subset.get("name")) for subset in subsets) or "none"
            said = f"{title.capitalize()} DestinationRule subset '{name}' not found in {target.key}"
            problems.append(Problem(f"{target.at}.{title}SubsetName", f"{said}; its subsets: {there}"))
    return BoundDestinationRule(
        target,
        rollout,
        host=spec.get("host") or "",
        version=metadata["resourceVersion"],
        manager=(metadata.get("annotations") or {}).get(names.MANAGED_BY, ""),
        canary=canary,
        stable=stable,
        subsets=tuple(Subset(i, str(one.get("name")), one.get("labels")) for i, one in enumerate(subsets)),
        problems=tuple(problems),
    )


def _find(subsets: Sequence[Json], name: str) -> Subset | None:
    found = (Subset(i, name, subset.get("labels")) for i, subset in enumerate(subsets) if subset.get("name") == name)
    return next(found, None)
