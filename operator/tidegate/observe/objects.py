"""What Prometheus learns of Rollouts, Experiments and AnalysisRuns, read from the objects as they are when it asks.

Names and labels are those of Argo Rollouts (`controller/metrics`), so its dashboards and alerts go on working.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from tidegate.api import names
from tidegate.observe.exposition import Family

Obj = Mapping[str, Any]
Objects = Callable[[], Iterable[Obj]]

_NAMED: Final = ("namespace", "name")
_RUN_PHASES: Final = ("Pending", "Error", "Failed", "Successful", "Running", "Inconclusive")
_ROLLOUT_PHASES: Final = ("Completed", "Progressing", "Paused", "Timeout", "Error", "Abort", "InvalidSpec")
_BY_REASON: Final = {
    names.REASON_NEW_REPLICA_SET_AVAILABLE: "Completed",
    names.REASON_PAUSED: "Paused",
    names.REASON_NOT_CREATED: "Error",
    names.REASON_TIMED_OUT: "Timeout",
    names.REASON_ABORTED: "Abort",
}
_ROUTERS: Final = {"alb": "ALB", "ambassador": "Ambassador", "appMesh": "AppMesh", "istio": "Istio", "nginx": "Nginx",
                   "smi": "SMI"}  # fmt: skip
_PROVIDERS: Final = {
    "cloudWatch": "CloudWatch",
    "datadog": "Datadog",
    "graphite": "Graphite",
    "influxdb": "Influxdb",
    "job": "Job",
    "kayenta": "Kayenta",
    "newRelic": "NewRelic",
    "prometheus": "Prometheus",
    "skywalking": "SkyWalking",
    "wavefront": "Wavefront",
    "web": "WebMetric",
}

INFO = Family("rollout_info", "gauge", "One for each Rollout", (*_NAMED, "strategy", "traffic_router", "phase"))
AVAILABLE = Family("rollout_info_replicas_available", "gauge", "Available pods", _NAMED)
UNAVAILABLE = Family("rollout_info_replicas_unavailable", "gauge", "Pods that are not available", _NAMED)
DESIRED = Family("rollout_info_replicas_desired", "gauge", "Pods that there should be", _NAMED)
UPDATED = Family("rollout_info_replicas_updated", "gauge", "Pods of the present template", _NAMED)
PHASE = Family(
    "rollout_phase", "gauge", "1 for the present phase; better use rollout_info", (*_NAMED, "strategy", "phase")
)
RUN_INFO = Family("analysis_run_info", "gauge", "One for each AnalysisRun", (*_NAMED, "phase"))
RUN_PHASE = Family("analysis_run_phase", "gauge", "1 for the present phase; better use analysis_run_info",
                   (*_NAMED, "phase"))  # fmt: skip
EXPERIMENT_INFO = Family("experiment_info", "gauge", "One for each Experiment", (*_NAMED, "phase"))
EXPERIMENT_PHASE = Family("experiment_phase", "gauge", "1 for the present phase; better use experiment_info",
                          (*_NAMED, "phase"))  # fmt: skip
TEMPLATE_INFO = Family("analysis_template_info", "gauge", "One for each analysis template", _NAMED)
TEMPLATE_METRIC_INFO = Family(
    "analysis_template_metric_info", "gauge", "The provider of a template's metric", (*_NAMED, "type", "metric")
)
METRIC_TYPE = Family("analysis_run_metric_type", "gauge", "The provider of a run's metric", (*_NAMED, "metric", "type"))
METRIC_PHASE = Family(
    "analysis_run_metric_phase",
    "gauge",
    "1 for the present phase of a run's metric",
    (*_NAMED, "metric", "type", "dry_run", "phase"),
)


def rollout_families(rollouts: Objects) -> Iterator[tuple[Family, Iterator[str]]]:
    """Everything about Rollouts."""
    counts: tuple[tuple[Family, Callable[[Obj, Obj], float]], ...] = (
        (AVAILABLE, lambda spec, status: _number(status, "availableReplicas")),
        (UNAVAILABLE, lambda spec, status: _number(status, "replicas") - _number(status, "availableReplicas")),
        (DESIRED, lambda spec, status: 1 if spec.get("replicas") is None else _number(spec, "replicas")),
        (UPDATED, lambda spec, status: _number(status, "updatedReplicas")),
    )
    yield INFO, (INFO.line((*_name(obj), *_strategy(obj), rollout_phase(obj)), 1) for obj in rollouts())
    for family, count in counts:
        yield family, _counted(family, count, rollouts)
    yield (
        PHASE,
        (
            PHASE.line((*_name(obj), _strategy(obj)[0], phase), phase == rollout_phase(obj))
            for obj in rollouts()
            for phase in _ROLLOUT_PHASES
        ),
    )


def experiment_families(experiments: Objects) -> Iterator[tuple[Family, Iterator[str]]]:
    """Everything about Experiments."""
    yield from _phase_families(EXPERIMENT_INFO, EXPERIMENT_PHASE, experiments)


def run_families(runs: Objects) -> Iterator[tuple[Family, Iterator[str]]]:
    """Everything about AnalysisRuns."""
    yield from _phase_families(RUN_INFO, RUN_PHASE, runs)
    yield (
        METRIC_TYPE,
        (METRIC_TYPE.line((*_name(run), name, type_), 1) for run in runs() for name, type_ in _metrics(run)),
    )
    yield METRIC_PHASE, (line for run in runs() for line in _metric_phases(run))


def template_families(templates: Objects) -> Iterator[tuple[Family, Iterator[str]]]:
    """Everything about AnalysisTemplates and ClusterAnalysisTemplates; the namespace of the latter is empty."""
    yield TEMPLATE_INFO, (TEMPLATE_INFO.line(_name(template), 1) for template in templates())
    yield (
        TEMPLATE_METRIC_INFO,
        (
            TEMPLATE_METRIC_INFO.line((*_name(template), type_, name), 1)
            for template in templates()
            for name, type_ in _metrics(template)
        ),
    )


def _phase_families(info: Family, phases: Family, objects: Objects) -> Iterator[tuple[Family, Iterator[str]]]:
    """The phases of AnalysisRuns or Experiments, which have the same."""
    yield info, (info.line((*_name(obj), _part(obj, "status").get("phase") or ""), 1) for obj in objects())
    yield (
        phases,
        (
            phases.line((*_name(obj), phase), phase == (_part(obj, "status").get("phase") or "Pending"))
            for obj in objects()
            for phase in _RUN_PHASES
        ),
    )


def rollout_phase(rollout: Obj) -> str:
    """The phase in the words of Argo Rollouts' metrics, which are not those of its status."""
    phase = "Progressing"
    for condition in _part(rollout, "status").get("conditions") or ():
        if condition.get("type") == names.CONDITION_INVALID_SPEC and condition.get("status") != "False":
            return "InvalidSpec"
        if condition.get("type") == names.CONDITION_PROGRESSING:
            phase = _BY_REASON.get(condition.get("reason", ""), phase)
    return phase


def _counted(family: Family, count: Callable[[Obj, Obj], float], rollouts: Objects) -> Iterator[str]:
    for obj in rollouts():
        yield family.line(_name(obj), count(_part(obj, "spec"), _part(obj, "status")))


def _strategy(rollout: Obj) -> tuple[str, str]:
    """The strategy and its traffic router; objects that nobody has checked yet are asked too."""
    strategy = _part(_part(rollout, "spec"), "strategy")
    if "blueGreen" in strategy:
        return "blueGreen", ""
    if "canary" not in strategy:
        return "none", ""
    routing = _part(_part(strategy, "canary"), "trafficRouting")
    return "canary", next((title for field, title in _ROUTERS.items() if field in routing), "")


def _metrics(obj: Obj) -> Iterator[tuple[str, str]]:
    """Names and providers of the metrics of a run or a template."""
    for metric in _part(obj, "spec").get("metrics") or ():
        provider = next(iter(_part(metric, "provider")), "")
        yield str(metric.get("name", "")), _PROVIDERS.get(provider, provider)


def _metric_phases(run: Obj) -> Iterator[str]:
    results = {result.get("name"): result for result in _part(run, "status").get("metricResults") or ()}
    for name, type_ in _metrics(run):
        result = results.get(name) or {}
        dry = "true" if result.get("dryRun") else "false"
        for phase in _RUN_PHASES:
            present = phase == (result.get("phase") or "Pending")
            yield METRIC_PHASE.line((*_name(run), name, type_, dry, phase), present)


def _name(obj: Obj) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _part(obj: Obj, field: str) -> Obj:
    """A part that may be missing, or be something else where the object is spoilt."""
    part = obj.get(field)
    return part if isinstance(part, Mapping) else {}


def _number(part: Obj, field: str) -> float:
    value = part.get(field)
    return value if isinstance(value, int | float) else 0
