"""One Experiment: the versions that it tries out, and what its analyses say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.api import names

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version. status: as the Experiment's status calls it. weight: its part of the users of the Rollout whose step
    this is; None where nothing says."""

    name: str
    status: str
    message: str
    replicas: int
    available: int
    hash: str
    weight: int | None


@dataclass(frozen=True, slots=True)
class AnalysisView:
    """One analysis. run: its AnalysisRun's name; empty while there is none."""

    name: str
    run: str
    phase: str
    message: str


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """An Experiment. available: since when all versions are; duration: how long it lasts from then on. Both as they
    are written, empty for none."""

    kind: str
    name: str
    namespace: str
    phase: str
    message: str
    created: str
    available: str
    duration: str
    versions: tuple[VersionView, ...]
    analyses: tuple[AnalysisView, ...]


def experiment_view(experiment: Obj, weights: Iterable[Obj] = ()) -> ExperimentView:
    """Everything in the spec's order. weights: `status.canary.weights.additional` of the Rollout whose step it is."""
    metadata, spec, status = experiment["metadata"], experiment.get("spec") or {}, experiment.get("status") or {}
    versions, runs = _by_name(status.get("templateStatuses")), _by_name(status.get("analysisRuns"))
    by_service = {each.get("serviceName"): each for each in weights}
    return ExperimentView(
        kind="Experiment",
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        phase=status.get("phase") or names.RUN_PENDING,
        message=status.get("message") or "",
        created=metadata.get("creationTimestamp", ""),
        available=status.get("availableAt") or "",
        duration=str(spec.get("duration") or ""),
        versions=tuple(
            _version(str(each.get("name")), versions.get(each.get("name"), {}), by_service)
            for each in spec.get("templates") or ()
        ),
        analyses=tuple(
            _analysis(str(each.get("name")), runs.get(each.get("name"), {})) for each in spec.get("analyses") or ()
        ),
    )


def _by_name(entries: Iterable[Obj] | None) -> dict[Any, Obj]:
    return {entry.get("name"): entry for entry in entries or ()}


def _version(name: str, status: Obj, weights: Mapping[Any, Obj]) -> VersionView:
    weight = weights.get(status.get("serviceName") or None, {}).get("weight")
    return VersionView(
        name=name,
        status=status.get("status") or names.RUN_PENDING,
        message=status.get("message") or "",
        replicas=int(status.get("replicas") or 0),
        available=int(status.get("availableReplicas") or 0),
        hash=status.get("podTemplateHash") or "",
        weight=weight,
    )


def _analysis(name: str, status: Obj) -> AnalysisView:
    return AnalysisView(
        name=name,
        run=status.get("analysisRun") or "",
        phase=status.get("phase") or names.RUN_PENDING,
        message=status.get("message") or "",
    )
