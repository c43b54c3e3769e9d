"""What Argo Rollouts' definitions require in a status.

They may be the ones that are installed, and then the API server refuses a status without one of these fields: the
object would stand still.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_CONDITION: Final = {"lastTransitionTime", "lastUpdateTime", "message", "reason", "status", "type"}
_RUN: Final = {"name", "status"}

REQUIRED: Final[Mapping[str, Mapping[str, set[str]]]] = {
    "Rollout": {
        "blueGreen.postPromotionAnalysisRunStatus": _RUN,
        "blueGreen.prePromotionAnalysisRunStatus": _RUN,
        "canary.currentBackgroundAnalysisRunStatus": _RUN,
        "canary.currentStepAnalysisRunStatus": _RUN,
        "canary.weights": {"canary", "stable"},
        "canary.weights.additional[]": {"weight"},
        "canary.weights.canary": {"weight"},
        "canary.weights.stable": {"weight"},
        "conditions[]": _CONDITION,
        "pauseConditions[]": {"reason", "startTime"},
    },
    "AnalysisRun": {
        "": {"phase"},
        "metricResults[]": {"name", "phase"},
        "metricResults[].measurements[]": {"phase"},
    },
    "Experiment": {
        "analysisRuns[]": {"analysisRun", "name", "phase"},
        "conditions[]": _CONDITION,
        "templateStatuses[]": {"availableReplicas", "name", "readyReplicas", "replicas", "updatedReplicas"},
    },
}
"""By kind and path below status, with `[]` after a list. A path that is not there requires nothing."""


def lacks(kind: str, status: Mapping[str, Any]) -> list[str]:
    """The required fields that a status does not have."""
    return [
        f"status.{path}.{name}"
        for path, fields in REQUIRED[kind].items()
        for holder in _at(status, [part for part in path.split(".") if part])
        for name in sorted(fields - holder.keys())
    ]


def _at(holder: Any, path: list[str]) -> Iterator[Mapping[str, Any]]:
    if not path:
        yield holder
        return
    inner = holder.get(path[0].removesuffix("[]"))
    for each in (inner or ()) if path[0].endswith("[]") else (() if inner is None else (inner,)):
        yield from _at(each, path[1:])
