"""What an earlier controller has left: the ReplicaSet of the present template, and whether the steps are the same.

A hash is a name that somebody gave, not a fact about a template: Argo Rollouts up to 1.8 gives another one than 1.9
(its issue 4696, where an upgrade restarted every pod), and a later library may give a third. So nothing is ever called
changed because a hash of ours differs from one that stands there.

Two things are believed more than a hash. One is a status that tells of the spec as it is now: whoever wrote it has seen
this very template and these very steps, and has noted which ReplicaSet was theirs. The other is what templates mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tidegate.api import names
from tidegate.core.hashing import MalformedError, earlier_step_hash, templates_equal
from tidegate.core.rollout import conditions
from tidegate.core.rollout.dress import borne, dressed, without_rules
from tidegate.core.rollout.world import ReplicaSet, World


def of_this_spec(world: World) -> bool:
    """Whether the status tells of the spec as it is now.

    It does not where that spec, or its ReplicaSet by the API server, was refused: what stands beside the refusal
    is of the last spec that was not. A status from before generations were noted, or none, tells of nothing.
    """
    status = world.status
    observed = status.get("observedGeneration")
    if observed is None or str(observed) != str(world.rollout["metadata"].get("generation")):
        return False
    told = status.get("conditions") or ()
    progressing = conditions.find(told, names.CONDITION_PROGRESSING) or {}
    refused = (
        conditions.holds(told, names.CONDITION_INVALID_SPEC) or progressing.get("reason") == names.REASON_NOT_CREATED
    )
    return not refused


def find_new(world: World, template: Mapping[str, Any], alive: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The ReplicaSet of the present template, by whatever hash it bears; None where there is none.

    Where several mean the same, the one that runs is preferred: the one that was last called current, then stable, then
    the oldest. A template from a workloadRef changes without the Rollout's spec, so no status vouches for that.
    """
    status = world.status
    current = _labelled(alive, status.get("currentPodHash"))
    if current is not None and "workloadRef" not in world.rollout["spec"] and of_this_spec(world):
        return current
    named = _labelled(alive, world.template_hash)
    if named is not None:
        return named
    stable = _labelled(alive, status.get("stableRS"))
    preferred = [rs for rs in (current, stable) if rs is not None]
    rest = sorted((rs for rs in alive if rs.hash and rs not in preferred), key=lambda rs: (rs.created, rs.name))
    return next((rs for rs in (*preferred, *rest) if _same(template, rs)), None)


def same_steps(world: World) -> bool:
    """Whether the canary's steps are those that the status stands in the midst of.

    Argo Rollouts up to 1.8 writes analysis steps otherwise than 1.9, so both forms count. An unknown form counts where
    the spec has not been changed since: a real change of the steps is a change of the spec.
    """
    noted = world.status.get("currentStepHash")
    if noted == world.step_hash or of_this_spec(world):
        return True
    steps = (world.rollout["spec"]["strategy"].get("canary") or {}).get("steps")
    return bool(noted) and noted == earlier_step_hash(steps)


def _labelled(alive: Iterable[ReplicaSet], hash_: str | None) -> ReplicaSet | None:
    return next((rs for rs in alive if hash_ and rs.hash == hash_), None)


def _same(template: Mapping[str, Any], rs: ReplicaSet) -> bool:
    """Whether a pod template means the same as a ReplicaSet's; one that can't be read is like no other.

    What was put into the ReplicaSet's makes no difference: metadata of a role is put into the other too, and rules that
    keep revisions apart are taken out of both.
    """
    try:
        mine = without_rules(dressed(template, borne(rs.annotations)))
        return templates_equal(mine, without_rules(rs.template))
    except MalformedError:
        return False
