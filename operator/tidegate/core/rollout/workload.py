"""`workloadRef`: the Deployment that a Rollout takes over from goes down as the Rollout comes up, and can come back.

How many pods it had is noted on the Deployment itself. So it gets them back when the Rollout goes, whoever sees that
first, without a finalizer that could hold up the deletion; with Argo Rollouts it stays at none (its issue 3855). And
one that somebody else has scaled down is never scaled up.
"""

from __future__ import annotations

from tidegate.core.rollout.actions import GiveBack, ScaleWorkload
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.world import World


def follow(draft: Draft) -> None:
    """Scale the Deployment as far as the first revision of the Rollout stands in for it."""
    workload, ref = draft.world.workload, draft.release.spec.workload_ref
    if workload is None or ref is None or ref.scale_down == "never":
        return
    release = draft.release
    if release.revision != 1 and not release.first:
        return
    if not release.replicas or workload.by not in ("", draft.world.name):
        return
    before = workload.before if workload.before is not None else workload.replicas
    wanted = _wanted(draft, before, ref.scale_down)
    if wanted is None or wanted == workload.replicas or (workload.before is None and wanted >= before):
        return
    draft.do(ScaleWorkload(draft.world.namespace, workload, wanted, before, draft.world.name))


def give_back(world: World) -> tuple[GiveBack, ...]:
    """What to do for the Deployment of a Rollout that goes away."""
    workload = world.workload
    if workload is None or workload.before is None or workload.by != world.name:
        return ()
    return (GiveBack(world.namespace, workload),)


def _wanted(draft: Draft, before: int, mode: str) -> int | None:
    """The pods that the Deployment should have; None leaves it."""
    release = draft.release
    if draft.status.get("stableRS") == release.hash:
        # Once is enough: what becomes of the Rollout's pods later is its own affair.
        return 0 if release.available >= release.replicas or draft.before.get("stableRS") == release.hash else None
    if mode == "onsuccess":
        return None
    return before - min(before * release.available // release.replicas, before)
