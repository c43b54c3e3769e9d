"""Analyses of a rollout: which run judges what, what its verdict means, and when runs go.

A run is named in the status before it is created. So a crash between the two leaves a name without a run, which is
created then, and never a run that nobody knows; and a later attempt can't mistake an earlier attempt's run for its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tidegate.api import names
from tidegate.api.parts import RunMetadata
from tidegate.api.problems import Problem
from tidegate.api.rollout import RolloutAnalysis
from tidegate.core.analysis.arguments import Source
from tidegate.core.analysis.templates import run_body
from tidegate.core.rollout import analyses, pauses, slots
from tidegate.core.rollout.actions import CreateRun, DeleteRun, EndRun
from tidegate.core.rollout.arms import arms
from tidegate.core.rollout.attempts import base_name, belongs, free_name, outdated
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.slots import Slot
from tidegate.core.rollout.world import Run

_JOINT: Final = "."
"""Between the name of a gate's first run and the number of a later one."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A place in a rollout where an analysis is asked.

    slot: where the status keeps the run's name and phase. path: of the analysis in the spec.
    """

    slot: Slot
    path: str
    suffix: str = ""
    step: int | None = None


BACKGROUND: Final = Gate(slots.BACKGROUND, analyses.BACKGROUND)
PRE_PROMOTION: Final = Gate(slots.PRE_PROMOTION, analyses.PRE_PROMOTION, suffix="-pre")
POST_PROMOTION: Final = Gate(slots.POST_PROMOTION, analyses.POST_PROMOTION, suffix="-post")


def step_gate(index: int) -> Gate:
    """The gate of an inline analysis step."""
    path = analyses.step_path(index)
    return Gate(slots.STEP, path, suffix=f"-{index}", step=index)


class RefusedError(Exception):
    """The spec can't be acted on; `problems` say why. Traffic stays where it is."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def ask(draft: Draft, gate: Gate, analysis: RolloutAnalysis) -> bool:
    """Whether a gate's analysis was successful; starts its run if need be.

    An inconclusive run pauses the rollout. Once the pause has been lifted, a new run is asked. What a failed run
    means is not for here: see `failure`.
    """
    part: dict[str, Any] = draft.status[gate.slot.part]
    entry = part.get(gate.slot.name)
    base = base_name(draft, gate.suffix)
    if not entry or not belongs(entry["name"], base, _JOINT):
        part[gate.slot.name] = _pending(draft, base)
        return False
    run = _find(draft, entry["name"])
    if run is None:
        _start(draft, gate, analysis, entry["name"])
        return False
    if not run.ours:
        part[gate.slot.name] = _pending(draft, base)
        return False
    if run.phase == names.RUN_INCONCLUSIVE:
        known = entry.get("status") == run.phase
        if known and not pauses.condition(draft, names.PAUSE_INCONCLUSIVE_ANALYSIS):
            if pauses.resumed(draft):
                draft.status.pop("controllerPause")
            part[gate.slot.name] = _pending(draft, base)
            return False
        _hold(draft, gate)
    part[gate.slot.name] = _entry(run)
    return run.phase == names.RUN_SUCCESSFUL


def doubt(draft: Draft, gate: Gate) -> None:
    """Pause for a gate's run that has ended inconclusive while the gate can't be asked: the rollout is held by hand, or
    pods are missing. Later nobody could tell a verdict that was never paused for from a pause that was lifted."""
    entry = draft.status[gate.slot.part].get(gate.slot.name)
    if not entry or not belongs(entry["name"], base_name(draft, gate.suffix), _JOINT):
        return
    run = _find(draft, entry["name"])
    known = entry.get("status") == names.RUN_INCONCLUSIVE
    if run is not None and run.ours and run.phase == names.RUN_INCONCLUSIVE and not known:
        _hold(draft, gate)


def _hold(draft: Draft, gate: Gate) -> None:
    step = draft.status.get("currentStepIndex") if gate.step is None else gate.step
    pauses.hold(draft, names.PAUSE_INCONCLUSIVE_ANALYSIS, step)


def failure(draft: Draft) -> str:
    """Why a run that this update named has ended it, or nothing.

    Asked before anything else: the moves that undo an update would otherwise hide what it is undone for.
    """
    for slot, entry in slots.entries(draft.status):
        run = _find(draft, entry["name"])
        if run is not None and run.ours and run.phase in (names.RUN_FAILED, names.RUN_ERROR):
            told = f"{slot.words} analysis phase error/failed"
            return f"{told}: {run.message}" if run.message else told
    return ""


def begun(draft: Draft) -> bool:
    """Whether this update has asked its background analysis."""
    return BACKGROUND.slot.name in draft.canary


def compares(draft: Draft) -> bool:
    """Whether the background analysis has a metric that compares, as far as its templates say."""
    analysis = draft.release.canary.analysis
    return analysis is not None and analyses.compares(analysis, draft.world.templates)


def background(draft: Draft) -> Run | None:
    """The background run of this update while it is under way."""
    entry = draft.canary.get(BACKGROUND.slot.name)
    run = _find(draft, entry["name"]) if entry else None
    return run if run is not None and run.ours and not run.ended else None


def lacks_traffic(draft: Draft) -> str:
    """Why the background analysis, which compares, could not have come to a verdict yet; nothing if it could, or if it
    compares nothing."""
    entry = draft.canary.get(BACKGROUND.slot.name)
    if not entry:
        return ""
    run = _find(draft, entry["name"])
    if run is not None and (run.phase or not run.ours):
        return "" if run.ended else run.hold
    return f"AnalysisRun {entry['name']} has not looked yet" if compares(draft) else ""


def tell(draft: Draft, gate: Gate, message: str) -> None:
    """Say in the status what a gate's run holds the rollout for."""
    part: dict[str, Any] = draft.status[gate.slot.part]
    part[gate.slot.name] = {**part[gate.slot.name], "message": message}


def follow(draft: Draft) -> None:
    """Keep the phases of the named runs up to date where no gate is asked any more."""
    for slot, entry in tuple(slots.entries(draft.status)):
        run = _find(draft, entry["name"])
        if run is not None and run.ours and run.phase and run.phase != entry.get("status"):
            draft.status[slot.part][slot.name] = _entry(run)


def end_unneeded(draft: Draft) -> None:
    """End runs that the status no longer names, or all of them once the update is over or given up."""
    release = draft.release
    wanted = set() if draft.aborted or release.promoted else slots.named_in(draft.status)
    for run in draft.world.runs:
        if run.ours and not run.ended and not run.terminating and run.name not in wanted:
            draft.do(EndRun(draft.world.namespace, run))


def forget_old(draft: Draft) -> None:
    """Delete ended runs whose revision is gone, and those beyond the history limits, oldest first; never one that the
    status names."""
    kept = slots.named_in(draft.status)
    ended = (run for run in draft.world.runs if run.ours and run.ended and run.name not in kept)
    for run in outdated(draft, ended):
        draft.do(DeleteRun(draft.world.namespace, run))


def composed(draft: Draft, gate: Gate, analysis: RolloutAnalysis) -> dict[str, Any]:
    """The spec of the run that `analysis` asks for. Raises RefusedError when its templates don't allow one."""
    release, world = draft.release, draft.world
    known = arms(release.spec, world.rollout, canary=release.hash, stable=release.stable_hash)
    source = Source(release.stable_hash, release.hash, world.rollout, arms=known)
    spec, problems = analyses.composed(gate.path, analysis, draft.world.templates, source)
    if spec is None:
        raise RefusedError(problems)
    return spec


def _start(draft: Draft, gate: Gate, analysis: RolloutAnalysis, name: str) -> None:
    """Create the run that the status names."""
    release, world = draft.release, draft.world
    selector = world.rollout["spec"]["selector"].get("matchLabels") or {}
    given = analysis.analysis_run_metadata or RunMetadata()
    labels = {
        **selector,
        **(given.labels or {}),
        names.POD_TEMPLATE_HASH: release.hash,
        names.RUN_TYPE: gate.slot.run_type,
    }
    if instance := (world.rollout["metadata"].get("labels") or {}).get(names.INSTANCE_ID):
        labels[names.INSTANCE_ID] = instance  # Or the run would be another controller's.
    if gate.step is not None:
        labels[names.RUN_STEP_INDEX] = str(gate.step)
    body = run_body(
        name=name,
        namespace=world.namespace,
        owner=world.rollout,
        labels=labels,
        annotations={**(given.annotations or {}), names.REVISION: str(release.revision)},
        spec=composed(draft, gate, analysis),
    )
    draft.do(CreateRun(world.namespace, body))


def _pending(draft: Draft, base: str) -> dict[str, str]:
    taken = {run.name for run in draft.world.runs}
    return {"name": free_name(base, _JOINT, taken), "status": names.RUN_PENDING}


def _entry(run: Run) -> dict[str, str]:
    entry = {"name": run.name, "status": run.phase or names.RUN_PENDING}
    return {**entry, "message": run.message} if run.message else entry


def _find(draft: Draft, name: str) -> Run | None:
    return next((run for run in draft.world.runs if run.name == name), None)
