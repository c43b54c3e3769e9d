"""The Experiment that a canary step asks for: the Rollout's own versions as templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.api import names
from tidegate.api.common import to_raw
from tidegate.api.experiment import ExperimentStep, StepTemplate
from tidegate.api.parts import RolloutArgument
from tidegate.api.problems import Problem
from tidegate.core.analysis.arguments import Source, offered
from tidegate.core.analysis.fields import FieldError
from tidegate.core.experiment.asking import compares
from tidegate.core.experiment.naming import without_hash
from tidegate.core.rollout.analyses import experiment_path, has_service, has_subset, step_questions
from tidegate.core.rollout.dress import PARTS, dressed, without_rules
from tidegate.core.rollout.gates import RefusedError
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.revisions import owner


def experiment(draft: Draft, step: ExperimentStep, index: int, name: str) -> dict[str, Any]:
    """The Experiment to create. Raises RefusedError when an argument names a field that the Rollout does not have."""
    world, release = draft.world, draft.release
    given = world.rollout["spec"].get("progressDeadlineSeconds")
    metadata = step.analysis_run_metadata
    asking = [compares(question, world.templates) for question in step_questions(step, experiment_path(index))]
    spec = {
        "duration": step.duration or None,
        "progressDeadlineSeconds": given,
        "scaleDownDelaySeconds": step.scale_down_delay_seconds,
        "templates": [_template(draft, one, compared=any(asking)) for one in step.templates],
        "analyses": _analyses(draft, step, experiment_path(index), asking),
        "dryRun": [to_raw(rule) for rule in step.dry_run] or None,
        "analysisRunMetadata": to_raw(metadata) if metadata else None,
    }
    own = world.rollout["metadata"]
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.EXPERIMENT,
        "metadata": {
            "name": name,
            "namespace": world.namespace,
            "labels": {**(own.get("labels") or {}), names.POD_TEMPLATE_HASH: release.hash},
            "annotations": {names.REVISION: str(release.revision)},
            "ownerReferences": [owner(world.rollout)],
        },
        "spec": {field: value for field, value in spec.items() if value is not None and value != []},
    }


def _template(draft: Draft, one: StepTemplate, *, compared: bool) -> dict[str, Any]:
    """One version: the template of its ReplicaSet with the step's metadata, and what selects its pods.

    compared: whether metrics of the step's analyses compare. An Experiment with none is just what Argo Rollouts would
    make.
    """
    release = draft.release
    rs = release.new if one.spec_ref == "canary" else release.stable
    assert rs is not None
    metadata = one.metadata
    more = {part: given for part in PARTS if metadata and (given := getattr(metadata, part))}
    selector = to_raw(one.selector) if one.selector else dict(draft.world.rollout["spec"]["selector"])
    if "labels" in more:
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), **more["labels"]}
    found: dict[str, Any] = {
        "name": one.name,
        "selector": selector,
        "template": dressed(without_rules(without_hash(rs.template)), more),
    }
    if one.replicas is not None:
        found["replicas"] = one.replicas
    if rs.min_ready_seconds:
        found["minReadySeconds"] = rs.min_ready_seconds
    if has_service(one):
        found["service"] = {"name": one.service.name} if one.service and one.service.name else {}
    if compared and has_subset(release.spec, one):
        found["bySubset"] = True
    return found


def _analyses(draft: Draft, step: ExperimentStep, path: str, asking: Sequence[bool]) -> list[dict[str, Any]]:
    """The analyses. asking: which of them compare."""
    source = Source(draft.release.stable_hash, draft.release.hash, draft.world.rollout)
    found = []
    for question, one, compared in zip(step_questions(step, path), step.analyses, asking, strict=True):
        args = _args(one.args, source, question.path)
        arms = dict(question.arms) if compared else {}  # An Experiment knows no specRef.
        found.append({**to_raw(one), **({"args": args} if args else {}), **({"arms": arms} if arms else {})})
    return found


def _args(args: Sequence[RolloutArgument], source: Source, path: str) -> list[Mapping[str, Any]]:
    """The arguments with what they are of the Rollout. One without a value leaves that to the template."""
    settled: list[Mapping[str, Any]] = []
    for index, arg in enumerate(args):
        try:
            value = offered(arg, source)
        except FieldError as error:
            at = f"{path}.args[{index}].valueFrom.fieldRef.fieldPath"
            raise RefusedError((Problem(at, str(error)),)) from None
        settled.append({"name": arg.name} if value is None else {"name": arg.name, "value": value})
    return settled
