"""The phase that a Rollout is in, as clients must read it: a status may be older than the spec, or than a request.

Source of the overlays: Argo Rollouts' `utils/rollout` GetRolloutPhase; those of requests in the status are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tidegate.api import names

Obj = Mapping[str, Any]


class Shown(NamedTuple):
    """A phase, why, and whether the operator has yet to take note of something that was asked."""

    phase: str
    message: str
    unseen: bool = False


def shown_phase(rollout: Obj, workload_generation: int | None = None) -> Shown:
    """What to call the Rollout's state now.

    workload_generation: of the workload that its template comes from, where that is known.
    """
    status = rollout.get("status") or {}
    for words in _unseen(rollout, status, workload_generation):
        return Shown(names.PROGRESSING, words, unseen=True)
    return Shown(status.get("phase") or names.PROGRESSING, status.get("message") or "")


def _unseen(rollout: Obj, status: Obj, workload_generation: int | None) -> Sequence[str]:
    generation = str(rollout["metadata"].get("generation", ""))
    if str(status.get("observedGeneration", "")) != generation:
        return ["waiting for rollout spec update to be observed"]
    seen = str(status.get("workloadObservedGeneration") or "")
    if workload_generation is not None and seen.isdigit() and int(seen) < workload_generation:
        return ["waiting for the workload's update to be observed"]
    if status.get("controllerPause") and not status.get("pauseConditions"):
        return ["waiting for rollout to unpause"]
    if bool(status.get("abort")) != bool(status.get("abortedAt")):
        return ["waiting for the abort to be observed" if status.get("abort") else "waiting for the retry to begin"]
    if status.get("promoteFull") and status.get("phase") == names.PAUSED and not rollout["spec"].get("paused"):
        return ["waiting for the full promotion to begin"]
    return []


def strategy_of(rollout: Obj) -> tuple[str, Obj]:
    """The name of the strategy as the spec has it, canary or blueGreen, and its body."""
    strategy = (rollout.get("spec") or {}).get("strategy") or {}
    name = "blueGreen" if strategy.get("blueGreen") is not None else "canary"
    return name, strategy.get(name) or {}


def steps_of(rollout: Obj) -> Sequence[Obj]:
    """The canary's steps; none for blue-green."""
    name, body = strategy_of(rollout)
    return (body.get("steps") or ()) if name == "canary" else ()


def step_index(rollout: Obj) -> int | None:
    """The index of the present step, the number of steps when all are done; None without steps."""
    count = len(steps_of(rollout))
    if not count:
        return None
    index = (rollout.get("status") or {}).get("currentStepIndex")
    return count if index is None else max(0, min(int(index), count))


def waits_for(rollout: Obj) -> str:
    """What a person has to do for the update to go on; empty while none has to.

    A pause with a duration ends by itself and is no reason to call anybody.
    """
    status = rollout.get("status") or {}
    if (rollout.get("spec") or {}).get("paused"):
        return "somebody has paused it (spec.paused)"
    strategy, body = strategy_of(rollout)
    for pause in status.get("pauseConditions") or ():
        reason = pause.get("reason")
        if reason == names.PAUSE_CANARY_STEP:
            index, steps = step_index(rollout), steps_of(rollout)
            step = steps[index] if index is not None and index < len(steps) else {}
            given = step.get("pause")
            if given is not None and given.get("duration") is None:
                return f"step {(index or 0) + 1} of {len(steps)} pauses until somebody promotes"
        elif reason == names.PAUSE_BLUE_GREEN and strategy == "blueGreen":
            if body.get("autoPromotionEnabled", True) is False:
                return "the new version is ready and waits to be promoted (autoPromotionEnabled: false)"
        elif reason:
            return f"an analysis could not tell whether the new version is good ({reason})"
    return ""


def step_words(step: Obj) -> str:
    """A step in a few words."""
    kind = next(iter(step), "")
    body = step.get(kind)
    match kind:
        case "setWeight":
            return f"setWeight {body}"
        case "pause":
            return f"pause {body['duration']}" if body and body.get("duration") is not None else "pause"
        case "setCanaryScale":
            scale = body or {}
            if scale.get("replicas") is not None:
                return f"setCanaryScale {scale['replicas']} pods"
            return (
                f"setCanaryScale {scale['weight']}%" if scale.get("weight") is not None else "setCanaryScale by weight"
            )
        case "analysis":
            return "analysis " + ", ".join(str(t.get("templateName")) for t in (body or {}).get("templates") or ())
        case "experiment":
            return "experiment " + ", ".join(str(t.get("name")) for t in (body or {}).get("templates") or ())
        case "setHeaderRoute" | "setMirrorRoute":
            return f"{kind} {(body or {}).get('name', '')}".strip()
    return kind
