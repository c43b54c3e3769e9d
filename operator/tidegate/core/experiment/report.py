"""The status that a decision about an Experiment leaves behind, and the events by which its changes are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tidegate.api import names
from tidegate.api.idle import idle_services
from tidegate.api.problems import Problem
from tidegate.core.experiment.versions import FINAL
from tidegate.core.experiment.world import Draft
from tidegate.core.plan import Event
from tidegate.core.rollout import conditions
from tidegate.core.rollout.world import ENDED

_WARNINGS: Final = frozenset({names.RUN_FAILED, names.RUN_ERROR, names.RUN_INCONCLUSIVE})


def report(draft: Draft, problems: Sequence[Problem]) -> None:
    """Write the entries and the conditions into the draft's status."""
    status = draft.status
    if status["phase"] in ENDED:
        for entry in draft.templates.values():
            if entry.get("status") not in FINAL:
                entry["status"] = names.TEMPLATE_SUCCESSFUL
    for field, entries in (("templateStatuses", draft.templates), ("analysisRuns", draft.runs)):
        if entries:
            status[field] = list(entries.values())
        else:
            status.pop(field, None)
    status["conditions"] = _conditions(draft, problems)


def tell(draft: Draft) -> Iterator[Event]:
    """What has changed: versions first, then analyses, then the Experiment."""
    before, after = draft.world.status, draft.status
    for field, kind, word in (("templateStatuses", "Template", "status"), ("analysisRuns", "AnalysisRun", "phase")):
        known = {entry.get("name"): entry.get(word, "") for entry in before.get(field) or ()}
        for entry in after.get(field) or ():
            name = entry["name"]
            yield from _transition(kind, f"{kind} '{name}'", known.get(name, ""), entry.get(word, ""), entry)
    if draft.world.spec and "templateStatuses" not in before:
        for idle in idle_services(draft.spec):
            yield Event(names.REASON_NO_EFFECT, str(idle), "Warning")
    yield from _transition("Experiment", "Experiment", before.get("phase", ""), after["phase"], after)


def _transition(kind: str, what: str, was: str, now: str, entry: Mapping[str, Any]) -> Iterator[Event]:
    if not now or now == was:
        return
    why = f": {entry['message']}" if entry.get("message") else ""
    message = f"{what} transitioned from {was or 'nothing'} -> {now}{why}"
    yield Event(f"{kind}{now}", message, "Warning" if now in _WARNINGS else "Normal")


def _conditions(draft: Draft, problems: Sequence[Problem]) -> list[Mapping[str, Any]]:
    status, now = draft.status, draft.world.now
    held = list(draft.world.status.get("conditions") or ())
    if problems:
        told = "; ".join(map(str, problems))
        held = conditions.put(held, names.CONDITION_INVALID_SPEC, True, names.REASON_INVALID_SPEC, told, now=now)
    elif status["phase"] not in ENDED or draft.before is not draft.world.status:
        held = conditions.drop(held, names.CONDITION_INVALID_SPEC)
    phase, name = status["phase"], draft.world.name
    if phase in ENDED:
        truth, reason, told = False, names.REASON_EXPERIMENT_COMPLETED, f'Experiment "{name}" has ended as {phase}.'
    elif phase == names.RUN_RUNNING:
        truth, reason, told = True, names.REASON_NEW_REPLICA_SET_AVAILABLE, f'Experiment "{name}" is running.'
    else:
        truth, reason, told = True, names.REASON_REPLICA_SET_UPDATED, f'Experiment "{name}" is progressing.'
    return conditions.put(held, names.CONDITION_PROGRESSING, truth, reason, told, now=now)
