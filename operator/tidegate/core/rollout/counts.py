"""What the status says of pods, weights and selectors: what is, not what was asked for."""

from __future__ import annotations

from typing import Any, Final

from tidegate.api import names
from tidegate.core.rollout import extras
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.world import ReplicaSet

COUNTS: Final = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "HPAReplicas")


def count(draft: Draft) -> None:
    """Write the numbers of pods, the autoscaler's view, and the observed split."""
    release, status = draft.release, draft.status
    sets = _alive(draft)
    status["observedGeneration"] = str(draft.world.rollout["metadata"].get("generation", 0))
    if draft.world.workload is not None:
        status["workloadObservedGeneration"] = draft.world.workload.generation
    else:
        status.pop("workloadObservedGeneration", None)
    status.update(pods(draft))
    status["selector"] = _selector(draft)
    if release.spec.strategy.blue_green:
        # An autoscaler sees those that users reach: the preview's idle pods would halve what it measures. Until there
        # are any, it sees all.
        active = _count_blue_green(draft, sets)
        status["HPAReplicas"] = active.current if active else status["replicas"]
        if active:
            status["selector"] = _selector(draft, active.hash)
    else:
        status["HPAReplicas"] = status["replicas"]
        _weigh(draft)
    for part in ("canary", "blueGreen"):
        if not status[part] and part not in draft.before:
            del status[part]


def pods(draft: Draft) -> dict[str, int]:
    """The numbers of pods as the cluster shows them."""
    sets, new = _alive(draft), draft.release.new
    return {
        "replicas": sum(rs.current for rs in sets),
        "updatedReplicas": new.current if new else 0,
        "readyReplicas": sum(rs.ready for rs in sets),
        "availableReplicas": sum(rs.available for rs in sets),
    }


def _alive(draft: Draft) -> list[ReplicaSet]:
    return [rs for rs in draft.world.replica_sets if not rs.deleting]


def _count_blue_green(draft: Draft, sets: list[ReplicaSet]) -> ReplicaSet | None:
    strategy = draft.release.blue_green
    for field, name in (
        ("activeSelector", strategy.active_service),
        ("previewSelector", strategy.preview_service),
    ):
        service = draft.world.services.get(name) if name else None
        if service and service.hash:
            draft.blue_green[field] = service.hash
        else:
            draft.blue_green.pop(field, None)
    return next((rs for rs in sets if rs.hash == draft.blue_green.get("activeSelector")), None)


def _weigh(draft: Draft) -> None:
    """Write the split that the routes show, beside the ends that it goes to."""
    traffic, strategy = draft.world.traffic, draft.release.canary
    if traffic is None:
        draft.canary.pop("weights", None)
        return
    seen, selected = traffic.observe(), traffic.selected()

    def end(weight: int, name: str, subset: str) -> dict[str, Any]:
        service = draft.world.services.get(name) if name else None
        hash_ = subset or (service.hash if service else "")
        destination: dict[str, Any] = {"weight": weight}
        if name:
            destination["serviceName"] = name
        if hash_:
            destination["podTemplateHash"] = hash_
        return destination

    canary = end(seen.canary, strategy.canary_service, selected.canary if selected else "")
    stable = end(seen.stable, strategy.stable_service, selected.stable if selected else "")
    pair, turn = strategy.ping_pong, draft.canary.get("stablePingPong")
    if pair is not None and turn and pair.ends(turn)[0] != strategy.stable_service:
        # This very status hands the turn over: what was the canary's end is stable's from here on.
        canary, stable = stable, canary
    draft.canary["weights"] = {"canary": canary, "stable": stable}
    if additional := extras.shown(draft):
        draft.canary["weights"]["additional"] = additional


def _selector(draft: Draft, hash_: str = "") -> str:
    """The label selector in the text form that the scale subresource needs, of one revision's pods or of all."""
    selector = draft.release.spec.selector
    labels = {**(selector.match_labels or {}), **({names.POD_TEMPLATE_HASH: hash_} if hash_ else {})}
    parts = [f"{key}={value}" for key, value in sorted(labels.items())]
    for requirement in selector.match_expressions:
        values = f" ({','.join(requirement.values)})" if requirement.values else ""
        match requirement.operator:
            case "In" | "NotIn":
                parts.append(f"{requirement.key} {requirement.operator.lower()}{values}")
            case "Exists":
                parts.append(requirement.key)
            case _:
                parts.append(f"!{requirement.key}")
    return ",".join(parts)
