"""What has become of an update, in the four words that a pipeline needs: promoted, undone, waiting, under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tidegate.api import names
from tidegate.core.view.phase import shown_phase, step_index, step_words, steps_of, strategy_of, waits_for

Obj = Mapping[str, Any]
Verdict = Literal["healthy", "undone", "person", "running"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an update stands.

    verdict: healthy (the followed version serves everybody, and the routes are at rest), undone (it does not and won't
        by itself), person (nothing but somebody's word takes it on) or running.
    phase, message: as people know them from the status. reason: why, for the end of a log.
    progress: the step, weight and pods, for a line of progress.
    """

    verdict: Verdict
    phase: str
    message: str
    reason: str
    progress: str


def judge(
    rollout: Obj,
    runs: Sequence[Obj] = (),
    *,
    followed: str = "",
    workload_generation: int | None = None,
) -> Outcome:
    """How the update stands. `followed`: the pod template hash that was waited for so far, if it is known."""
    status = rollout.get("status") or {}
    phase, message, unseen = shown_phase(rollout, workload_generation)

    def told(verdict: Verdict, reason: str = "") -> Outcome:
        return Outcome(verdict, phase, message, reason or message, progress(rollout))

    if unseen:
        return told("running")
    current = status.get("currentPodHash") or ""
    if followed and current and current != followed:
        return told(
            "undone", f"another version ({current}) has taken the place of the one that was followed ({followed})"
        )
    if phase == names.DEGRADED:
        return told("undone", _why(message, status, runs))
    if phase == names.HEALTHY and not canary_weight(rollout):  # Until then stable's Service has yet to follow.
        return told("healthy")
    if phase == names.PAUSED and (person := waits_for(rollout)):
        return told("person", person)
    return told("running")


def progress(rollout: Obj) -> str:
    """Where the update is, in one line: step, weight, pods."""
    status = rollout.get("status") or {}
    wanted, available = (rollout.get("spec") or {}).get("replicas", 1), status.get("availableReplicas") or 0
    if status.get("phase") == names.HEALTHY and status.get("currentPodHash") == status.get("stableRS"):
        return f"{available} of {wanted} pods available"
    parts = []
    index, steps = step_index(rollout), steps_of(rollout)
    if index is not None:
        done = index >= len(steps)
        parts.append(
            f"step {len(steps)}/{len(steps)} done"
            if done
            else f"step {index + 1}/{len(steps)} {step_words(steps[index])}"
        )
    weight = canary_weight(rollout)
    if weight is not None:
        parts.append(f"weight {weight}")
    parts.append(f"{status.get('updatedReplicas') or 0} new of {wanted} pods, {available} available")
    return ", ".join(parts)


def canary_weight(rollout: Obj) -> int | None:
    """The canary's weight as the route shows it; None where no router splits."""
    weights = ((rollout.get("status") or {}).get("canary") or {}).get("weights") or {}
    weight = (weights.get("canary") or {}).get("weight")
    return None if weight is None else int(weight)


def _why(message: str, status: Obj, runs: Sequence[Obj]) -> str:
    """Why an update was undone: the status' own words, and what the failed analysis has measured."""
    told = [message]
    for run in runs:
        labels = run["metadata"].get("labels") or {}
        if labels.get(names.POD_TEMPLATE_HASH) == status.get("currentPodHash"):
            told += [f"{run['metadata']['name']}: {words}" for words in failures(run)]
    return "\n".join(dict.fromkeys(filter(None, told)))


def failures(run: Obj) -> list[str]:
    """What has ended a run badly: each such metric with its last value or error."""
    status = run.get("status") or {}
    if status.get("phase") not in (names.RUN_FAILED, names.RUN_ERROR):
        return []
    found = []
    for result in status.get("metricResults") or ():
        if result.get("phase") not in (names.RUN_FAILED, names.RUN_ERROR) or result.get("dryRun"):
            continue
        measured = result.get("measurements") or [{}]
        last = measured[-1].get("message") or measured[-1].get("value") or ""
        words = result.get("message") or result.get("phase", "")
        found.append(f"metric {result.get('name')}: {words}" + (f" (last: {last})" if last else ""))
    return found or ([str(status["message"])] if status.get("message") else [])


def strategy_word(rollout: Obj) -> str:
    """Canary or BlueGreen, as columns show it."""
    return "BlueGreen" if strategy_of(rollout)[0] == "blueGreen" else "Canary"
