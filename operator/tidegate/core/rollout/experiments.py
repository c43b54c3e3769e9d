"""The Experiments of a rollout: which one a step has made, what its verdict means, and when they go.

As with analyses, an Experiment is named in the status before it is created, so a crash between the two leaves a name
without an Experiment, which is created then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tidegate.api import names
from tidegate.api.experiment import ExperimentStep
from tidegate.core.rollout import pauses
from tidegate.core.rollout.actions import CreateExperiment, DeleteExperiment, EndExperiment
from tidegate.core.rollout.attempts import base_name, belongs, free_name, outdated
from tidegate.core.rollout.experiment_bodies import experiment
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.slots import EXPERIMENT
from tidegate.core.rollout.world import Experiment, Service

_JOINT: Final = "-"
"""Between the name of a step's first Experiment and the number of a later one."""


def ask(draft: Draft, step: ExperimentStep, index: int) -> bool:
    """Whether a step's Experiment was successful; makes it if need be.

    One without a verdict either way pauses the rollout. Once the pause has been lifted, a new one is made. What one
    that failed means is not for here: see `failure`.
    """
    base = base_name(draft, f"-{index}")
    found = current(draft)
    resumed = pauses.resumed(draft)
    in_doubt = found is not None and found.phase == names.RUN_INCONCLUSIVE
    if found is not None and in_doubt and belongs(found.name, base, _JOINT) and not resumed:
        pauses.hold(draft, names.PAUSE_INCONCLUSIVE_EXPERIMENT, index)
        return False
    if resumed:
        pauses.release(draft)
    again = found is not None and (not found.ours or in_doubt)
    if again or not belongs(draft.canary.get(EXPERIMENT, ""), base, _JOINT):
        taken = {each.name for each in draft.world.experiments}
        draft.canary[EXPERIMENT] = free_name(base, _JOINT, taken)
        return False
    if found is None:
        _create(draft, step, index)
        return False
    return found.phase == names.RUN_SUCCESSFUL


def current(draft: Draft) -> Experiment | None:
    """The Experiment that the status names."""
    name = draft.canary.get(EXPERIMENT)
    return next((each for each in draft.world.experiments if each.name == name), None) if name else None


def failure(draft: Draft) -> str:
    """Why the Experiment that this update named has ended it, or nothing."""
    found = current(draft)
    if found is None or not found.ours or found.phase not in (names.RUN_FAILED, names.RUN_ERROR):
        return ""
    told = f"Experiment {found.name} has ended as {found.phase}"
    return f"{told}: {found.message}" if found.message else told


def let_go(draft: Draft, index: int) -> None:
    """Name no Experiment that is not of the step at this index: a person may have gone on to the next one."""
    if EXPERIMENT in draft.canary:
        steps = draft.release.canary.steps
        at_step = index < len(steps) and steps[index].experiment is not None
        if not at_step or not belongs(draft.canary[EXPERIMENT], base_name(draft, f"-{index}"), _JOINT):
            del draft.canary[EXPERIMENT]


def holds(status: Mapping[str, Any], name: str, services: Sequence[Service]) -> bool:
    """Whether a Rollout's status says that users may be led to an Experiment's pods: it names the Experiment, from
    before it is created on, or a route still leads to one of its Services."""
    canary = status.get("canary") or {}
    if canary.get(EXPERIMENT) == name:
        return True
    shown = {each.get("serviceName") for each in (canary.get("weights") or {}).get("additional") or ()}
    return any(service.name in shown for service in services)


def follow(draft: Draft) -> None:
    """End Experiments that the status does not name, and delete old ones: beyond the history limits, oldest first, or
    of a revision that is gone. One that still has pods is left to take them down in its time."""
    if not draft.world.experiments:
        return
    wanted = "" if draft.aborted or draft.release.promoted else draft.canary.get(EXPERIMENT)
    mine = [each for each in draft.world.experiments if each.ours and each.name != wanted]
    for each in mine:
        if not each.ended and not each.terminating:
            draft.do(EndExperiment(draft.world.namespace, each))
    for each in outdated(draft, (each for each in mine if each.ended)):
        if not each.pods and not holds(draft.status, each.name, ()):
            draft.do(DeleteExperiment(draft.world.namespace, each))


def _create(draft: Draft, step: ExperimentStep, index: int) -> None:
    """Create the Experiment that the status names, once both versions are there to be copied."""
    release = draft.release
    if release.new is not None and release.stable is not None:
        body = experiment(draft, step, index, draft.canary[EXPERIMENT])
        draft.do(CreateExperiment(draft.world.namespace, body))
