"""The AnalysisRuns of an Experiment: named in the status before they are created, followed, and ended.

A name without a run is a run that a crash has prevented, and is created then. A run of an earlier attempt never counts
for this one, whose status does not name it.
"""

from __future__ import annotations

from typing import Final

from tidegate.api import names
from tidegate.api.experiment import ExperimentAnalysis, ExperimentTemplate
from tidegate.api.parts import RunMetadata
from tidegate.core.analysis.arguments import Source
from tidegate.core.analysis.templates import run_body
from tidegate.core.experiment import asking, bodies
from tidegate.core.experiment.actions import Create, EndRun
from tidegate.core.experiment.asking import FORESEEN, Version
from tidegate.core.experiment.world import Draft, Entry, ExperimentWorld
from tidegate.core.plan import Key
from tidegate.core.rollout.attempts import free_name
from tidegate.core.rollout.world import ENDED, Run

NO_ROLLOUT: Final = Source("", "")
"""An Experiment's arguments are plain values: what they are of a Rollout was filled in when it was made."""


def follow(draft: Draft, index: int) -> None:
    """Have an analysis run once all versions were up, and note how it is doing. Before, there is nothing to note: Argo
    Rollouts' definition, which may be the one that is installed, refuses an entry without a run and its phase."""
    given = draft.spec.analyses[index]
    entry = draft.runs.get(given.name, {"name": given.name})
    if not draft.status.get("availableAt") or entry.get("phase") in ENDED:
        return
    name = entry.get("analysisRun")
    if not name:
        if not draft.spec.terminate:
            _name(draft, given, entry)
            draft.runs[given.name] = entry
        return
    run = _find(draft.world, name)
    if run is None:
        _start(draft, index, entry)
    elif not run.ours:
        _name(draft, given, entry)
    else:
        if draft.spec.terminate:
            _end(draft, run)
        _note(entry, run.phase or names.RUN_PENDING, run.message)


def end_all(draft: Draft) -> None:
    """End every run that has not ended; note the ends of those that were under way."""
    for run in draft.world.runs:
        if run.ours:
            _end(draft, run)
    for entry in draft.runs.values():
        named = _find(draft.world, entry.get("analysisRun", ""))
        if named is not None and named.ours and named.ended and entry.get("phase") not in ENDED:
            _note(entry, named.phase, named.message)


def versions(world: ExperimentWorld) -> dict[str, Version]:
    """What arguments may ask of the versions; of those that are not there yet any text will do."""
    assert world.spec is not None
    return {given.name: _version(world, given) for given in world.spec.templates}


def _version(world: ExperimentWorld, given: ExperimentTemplate) -> Version:
    rs = world.set_of(given.name)
    if rs is None:
        return Version(service=FORESEEN if given.has_service else "", by_subset=given.by_subset)
    service = bodies.service_name(given, rs) if given.has_service else ""
    return Version(rs.hash, rs.name, service, world.namespace, given.by_subset)


def _name(draft: Draft, given: ExperimentAnalysis, entry: Entry) -> None:
    taken = {run.name for run in draft.world.runs}
    taken |= {key.name for key in draft.world.taken if key.kind == names.ANALYSIS_RUN}
    entry["analysisRun"] = free_name(f"{draft.world.name}-{given.name}", ".", taken)
    _note(entry, names.RUN_PENDING, "")


def _start(draft: Draft, index: int, entry: Entry) -> None:
    """Create the run that the status names."""
    world, given = draft.world, draft.spec.analyses[index]
    if draft.spec.terminate:
        # It was never made, or somebody has deleted it. Nobody who can do without it waits for it.
        phase = names.RUN_INCONCLUSIVE if given.required_for_completion else names.RUN_SUCCESSFUL
        _note(entry, phase, f"terminated, and AnalysisRun {entry['analysisRun']} is not there: nothing is known of it")
        return
    key = Key(names.ANALYSIS_RUN, world.namespace, entry["analysisRun"])
    if key in world.taken:
        _name(draft, given, entry)
        return
    if key in world.refused:
        _note(entry, names.RUN_ERROR, f"AnalysisRun {key.name} was not created: {world.refused[key]}")
        return
    question = asking.questions(draft.spec)[index]
    spec, problems = asking.composed(question, asking.rules(draft.spec), world.templates, versions(world), NO_ROLLOUT)
    if spec is None:
        _note(entry, names.RUN_ERROR, "; ".join(map(str, problems)))
        return
    metadata = draft.spec.analysis_run_metadata or RunMetadata()
    labels = dict(metadata.labels or {})
    if instance := (world.experiment["metadata"].get("labels") or {}).get(names.INSTANCE_ID):
        labels[names.INSTANCE_ID] = instance  # Or the run would be another controller's.
    body = run_body(
        name=key.name,
        namespace=world.namespace,
        owner={**world.experiment, "kind": names.EXPERIMENT},
        labels=labels,
        annotations=metadata.annotations or {},
        spec=spec,
    )
    draft.do(Create(body, None))


def _end(draft: Draft, run: Run) -> None:
    if not run.ended and not run.terminating:
        draft.do(EndRun(draft.world.namespace, run))


def _note(entry: Entry, phase: str, message: str) -> None:
    entry["phase"] = phase
    if message:
        entry["message"] = message
    else:
        entry.pop("message", None)


def _find(world: ExperimentWorld, name: str) -> Run | None:
    return next((run for run in world.runs if run.name == name), None)
