"""What applying a manifest would change: a new revision or none, the way to it, and what would be refused.

What `apply` makes of a manifest follows kubectl: fields that the manifest has are set, fields that it had when it was
last applied are taken away, fields of others stay; a list is replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

import orjson

from tidegate.api import names
from tidegate.api.parsing import parse_rollout
from tidegate.core.hashing import MalformedError, pod_template_hash, step_hash
from tidegate.core.rollout.adoption import find_new
from tidegate.core.rollout.world import ReplicaSet, World
from tidegate.core.view.phase import step_words, steps_of
from tidegate.core.view.tree import owner_uid

Obj = Mapping[str, Any]

_OPERATED: Final = ("replicas", "paused", "restartAt")
"""Fields that autoscalers and people set by hand; they stay where a manifest does not name them."""


@dataclass(frozen=True, slots=True)
class Change:
    """What applying one Rollout would change.

    kind: created, changed or unchanged. revision: none, new or earlier. hash: the pod template hash then.
    told: what happens, a sentence each. steps: those that the update takes. problems: why it would be refused.
    """

    kind: Literal["created", "changed", "unchanged"]
    revision: Literal["none", "new", "earlier"]
    hash: str
    told: tuple[str, ...]
    steps: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def applied(manifest: Obj, live: Obj) -> dict[str, Any]:
    """The spec that `live` has once `manifest` has been applied to it."""
    wanted, present = manifest.get("spec") or {}, live.get("spec") or {}
    noted = (live["metadata"].get("annotations") or {}).get(names.LAST_APPLIED)
    try:
        before = (orjson.loads(noted).get("spec") or {}) if noted else None
    except (orjson.JSONDecodeError, AttributeError):
        before = None
    if before is None:
        before = {name: value for name, value in present.items() if name not in _OPERATED}
    spec: dict[str, Any] = _merged(before, wanted, present)
    return spec


def _merged(before: Any, wanted: Any, present: Any) -> Any:
    if not isinstance(wanted, Mapping):
        return wanted
    left = dict(present) if isinstance(present, Mapping) else {}
    for name in before if isinstance(before, Mapping) else ():
        if name not in wanted:
            left.pop(name, None)
    for name, value in wanted.items():
        inner = before.get(name) if isinstance(before, Mapping) else None
        if value is None:
            left.pop(name, None)
        else:
            left[name] = _merged(inner, value, left.get(name))
    return left


def change_of(live: Obj | None, spec: Obj, manifest: Obj, replica_sets: Sequence[Obj], now: datetime) -> Change:
    """What it means that a Rollout gets this spec. live: as it is; None where there is none yet.

    A template that comes from a workload is not looked at: it does not change with the Rollout.
    """
    rollout = {**manifest, "spec": spec}
    problems = () if "workloadRef" in spec else tuple(map(str, parse_rollout(rollout)[1]))
    template, collisions = spec.get("template") or {}, ((live or {}).get("status") or {}).get("collisionCount")
    try:
        hash_, steps = pod_template_hash(template, collisions), step_hash(_steps(spec))
    except MalformedError as error:
        return Change("changed", "none", "", (), problems=(*problems, f"spec: {error}"))
    if live is None:
        told = (f"is created with revision 1 (hash {hash_}); a first version comes up at once, without steps",)
        return Change("created", "new", hash_, told, problems=problems)
    if "workloadRef" in spec:
        said = "takes its pod template from a workload: no new revision by this change"
        same = spec == live.get("spec")
        return Change("unchanged" if same else "changed", "none", "", () if same else (said,), problems=problems)
    owned = tuple(ReplicaSet.read(rs) for rs in replica_sets if owner_uid(rs) == live["metadata"]["uid"])
    # Another generation: the status tells of the present spec and must not vouch for the new one.
    metadata = {**live["metadata"], "generation": int(live["metadata"].get("generation") or 0) + 1}
    after = {**rollout, "metadata": metadata, "status": live.get("status") or {}}
    found = _against(live, World(now, after, None, (), hash_, steps, owned))
    return replace(found, problems=problems)


def _against(live: Obj, after: World) -> Change:
    """How a Rollout's next state differs from the present one."""
    spec, status = after.rollout["spec"], after.status
    current, stable = status.get("currentPodHash") or "", status.get("stableRS") or ""
    found = find_new(after, spec.get("template") or {}, [rs for rs in after.replica_sets if not rs.deleting])
    number = max((rs.revision for rs in after.replica_sets), default=0) + 1
    kind: Literal["changed", "unchanged"] = "unchanged" if spec == live.get("spec") else "changed"
    taken = tuple(map(step_words, steps_of(after.rollout)))
    if found is not None and found.hash == current:
        if kind == "unchanged":
            return Change(kind, "none", current, ())
        told = [f"no new revision: the pod template means the same as now (hash {current})"]
        other_steps = after.step_hash != step_hash(_steps(live["spec"]))
        if other_steps and current != stable:
            told.append("the steps differ, so the update that is under way starts over at the first")
            return Change(kind, "none", current, tuple(told), taken)
        if other_steps:
            told.append("the steps differ: they count from the next update on")
        return Change(kind, "none", current, tuple(told))
    if found is not None and found.hash == stable:
        said = f"goes back to the stable revision {found.revision} (hash {found.hash}) at once, without steps"
        return Change(kind, "earlier", found.hash, (said,))
    if found is not None:
        told = [f"goes back to revision {found.revision} (hash {found.hash}), which becomes revision {number}"]
        if spec.get("rollbackWindow"):
            told.append("without steps where spec.rollbackWindow reaches that far")
        return Change(kind, "earlier", found.hash, tuple(told), taken)
    told = [f"starts revision {number} (hash {after.template_hash}; now {current or 'none'})"]
    return Change(kind, "new", after.template_hash, tuple(told), taken)


def _steps(spec: Obj) -> Sequence[Obj] | None:
    steps: Sequence[Obj] | None = ((spec.get("strategy") or {}).get("canary") or {}).get("steps")
    return steps
