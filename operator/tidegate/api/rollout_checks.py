"""What must hold for a Rollout beyond the types of its fields.

Source of the rules: Argo Rollouts' `pkg/apis/rollouts/validation`, and those of the API server's checks of
pods that would otherwise surface only when a ReplicaSet is created, long after the user has looked away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.api import names
from tidegate.api.common import MAX_INT32, is_duration, is_time, percent_of
from tidegate.api.experiment_checks import check_step
from tidegate.api.managed_route_checks import check_managed_routes
from tidegate.api.parts import LabelSelector, RunMetadata
from tidegate.api.pod_checks import check_key, check_label, check_pod_metadata, check_pods
from tidegate.api.problems import Problem
from tidegate.api.rollout import (
    WORKLOAD_KINDS,
    AntiAffinity,
    BlueGreenStrategy,
    CanaryStep,
    CanaryStrategy,
    IstioDestinationRule,
    IstioRouting,
    IstioVirtualService,
    PingPong,
    RolloutAnalysis,
    RolloutSpec,
    SetCanaryScale,
    WorkloadRef,
)

_CANARY: Final = "spec.strategy.canary"
_BLUE_GREEN: Final = "spec.strategy.blueGreen"
_MAX_PORT: Final = 65535
_MAX_WEIGHT: Final = 1_000_000
_STEP_KINDS: Final = "setWeight, setCanaryScale, pause, analysis, experiment, setHeaderRoute, setMirrorRoute"

_RUN_LABELS: Final = (names.POD_TEMPLATE_HASH, names.RUN_TYPE, names.RUN_STEP_INDEX, names.INSTANCE_ID)

_DNS_NAME: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")


def check_rollout(spec: RolloutSpec) -> Iterator[Problem]:
    """Every problem of a Rollout's spec."""
    yield from check_pods(spec.selector, spec.template)
    deadline, ready = spec.progress_deadline_seconds, spec.min_ready_seconds
    if deadline <= ready:
        yield Problem("spec.progressDeadlineSeconds", f"is {deadline}, must be more than minReadySeconds ({ready})")
    if spec.restart_at is not None and not is_time(spec.restart_at):
        yield Problem("spec.restartAt", f"{spec.restart_at!r} is not a time such as 2026-11-01T10:00:00Z")
    canary, blue_green = spec.strategy.canary, spec.strategy.blue_green
    if canary is not None and blue_green is not None:
        yield Problem("spec.strategy", "has both canary and blueGreen; keep one of them")
    elif canary is not None:
        yield from _check_canary(canary, spec.selector)
        yield from _check_experiments(canary, spec.template)
    elif blue_green is not None:
        yield from check_pod_metadata(f"{_BLUE_GREEN}.previewMetadata", blue_green.preview_metadata, spec.selector)
        yield from check_pod_metadata(f"{_BLUE_GREEN}.activeMetadata", blue_green.active_metadata, spec.selector)
        yield from _check_blue_green(blue_green, spec.revision_history_limit)
    else:
        yield Problem("spec.strategy", "has no strategy: give it canary or blueGreen")


def check_workload(ref: WorkloadRef) -> Iterator[Problem]:
    """Every problem of what a Rollout takes its template from."""
    at = "spec.workloadRef"
    version = WORKLOAD_KINDS.get(ref.kind)
    if version is None:
        yield Problem(f"{at}.kind", f"is {ref.kind!r}, must be one of {', '.join(WORKLOAD_KINDS)}")
    elif ref.api_version not in ("", version):
        yield Problem(f"{at}.apiVersion", f"is {ref.api_version!r}, must be {version} with kind {ref.kind}")
    yield from _check_required_name(f"{at}.name", ref.name, "a workload")
    if ref.scale_down not in ("never", "onsuccess", "progressively"):
        yield Problem(f"{at}.scaleDown", f"is {ref.scale_down!r}, must be never, onsuccess or progressively")
    elif ref.scale_down != "never" and ref.kind != "Deployment":
        yield Problem(f"{at}.scaleDown", f"is {ref.scale_down}, which only a Deployment can be; leave it out")


def _check_canary(canary: CanaryStrategy, selector: LabelSelector) -> Iterator[Problem]:
    yield from check_pod_metadata(f"{_CANARY}.canaryMetadata", canary.canary_metadata, selector)
    yield from check_pod_metadata(f"{_CANARY}.stableMetadata", canary.stable_metadata, selector)
    yield from _check_anti_affinity(f"{_CANARY}.antiAffinity", canary.anti_affinity)
    yield from _check_canary_services(canary)
    if canary.traffic_routing is None:
        if canary.scale_down_delay_seconds is not None:
            yield Problem(
                f"{_CANARY}.scaleDownDelaySeconds",
                "is only possible with trafficRouting: without it the old pods are replaced one by one",
            )
    elif canary.traffic_routing.istio is None:
        yield Problem(f"{_CANARY}.trafficRouting", "names no router: add istio, or leave trafficRouting out")
    else:
        yield from _check_istio(canary.traffic_routing.istio, f"{_CANARY}.trafficRouting.istio")
    routing = canary.traffic_routing
    if routing is not None and not 1 <= routing.max_traffic_weight <= _MAX_WEIGHT:
        said = f"is {routing.max_traffic_weight}, must be from 1 to {_MAX_WEIGHT}"
        yield Problem(f"{_CANARY}.trafficRouting.maxTrafficWeight", said)
    yield from _check_surge(canary)
    if canary.dynamic_stable_scale:
        yield from _check_dynamic_scale(canary, f"{_CANARY}.dynamicStableScale")
    threshold = canary.replica_progress_threshold
    if threshold is not None and threshold.type == "Percent" and threshold.value > 100:
        yield Problem(f"{_CANARY}.replicaProgressThreshold.value", f"is {threshold.value}, must be from 0 to 100")
    for index, step in enumerate(canary.steps):
        yield from _check_step(step, f"{_CANARY}.steps[{index}]", canary.whole)
        if step.set_canary_scale is not None and canary.traffic_routing is None:
            yield Problem(
                f"{_CANARY}.steps[{index}].setCanaryScale",
                "is only possible with trafficRouting: without it the number of canary pods is the weight",
            )
    yield from check_managed_routes(canary, _CANARY)
    if canary.analysis is not None:
        yield from _check_analysis(canary.analysis, f"{_CANARY}.analysis")


def _check_experiments(canary: CanaryStrategy, template: Mapping[str, Any]) -> Iterator[Problem]:
    weight, whole = 0, canary.whole
    for index, step in enumerate(canary.steps):
        weight = weight if step.set_weight is None else step.set_weight
        if step.experiment is not None:
            at, routed = f"{_CANARY}.steps[{index}].experiment", canary.traffic_routing is not None
            yield from check_step(step.experiment, at, template=template, routed=routed, left=whole - weight)


def _check_dynamic_scale(canary: CanaryStrategy, at: str) -> Iterator[Problem]:
    if canary.traffic_routing is None:
        yield Problem(at, "is only possible with trafficRouting: without it the stable pods follow the weight anyway")
    elif canary.scale_down_delay_seconds is not None:
        yield Problem(
            at, "is not possible with scaleDownDelaySeconds, which keeps all stable pods up; leave one of them out"
        )


def _check_canary_services(canary: CanaryStrategy) -> Iterator[Problem]:
    yield from _check_name(f"{_CANARY}.canaryService", canary.canary_service, "a Service")
    yield from _check_name(f"{_CANARY}.stableService", canary.stable_service, "a Service")
    if canary.canary_service and canary.canary_service == canary.stable_service:
        yield Problem(
            f"{_CANARY}.stableService",
            f"is {canary.stable_service!r}, the canaryService too; the two versions need a Service each",
        )
    istio = canary.traffic_routing.istio if canary.traffic_routing else None
    if canary.ping_pong is not None:
        yield from _check_ping_pong(canary, canary.ping_pong)
        return
    if istio is None or istio.destination_rule is not None:
        return
    for field, value in (("canaryService", canary.canary_service), ("stableService", canary.stable_service)):
        if not value:
            yield Problem(
                f"{_CANARY}.{field}",
                "is required with trafficRouting.istio, unless it splits by a destinationRule's subsets",
            )


def _check_ping_pong(canary: CanaryStrategy, pair: PingPong) -> Iterator[Problem]:
    at = f"{_CANARY}.pingPong"
    yield from _check_required_name(f"{at}.pingService", pair.ping_service, "a Service")
    yield from _check_required_name(f"{at}.pongService", pair.pong_service, "a Service")
    if pair.ping_service and pair.ping_service == pair.pong_service:
        yield Problem(f"{at}.pongService", f"is {pair.pong_service!r}, the pingService too; name another")
    for field, value in (("canaryService", canary.canary_service), ("stableService", canary.stable_service)):
        if value:
            yield Problem(
                f"{_CANARY}.{field}", "is not possible with pingPong, which names both Services; leave it out"
            )
    istio = canary.traffic_routing.istio if canary.traffic_routing else None
    if canary.traffic_routing is None:
        yield Problem(at, "is only possible with trafficRouting: without it no Service carries a part of the traffic")
    elif istio is not None and istio.destination_rule is not None:
        yield Problem(at, "swaps Services, but a destinationRule splits by subsets; keep one of them")


def _check_istio(istio: IstioRouting, at: str) -> Iterator[Problem]:
    if istio.virtual_service is not None and istio.virtual_services:
        yield Problem(at, "has both virtualService and virtualServices; keep one of them")
    elif istio.virtual_service is not None:
        name = istio.virtual_service.name
        yield from _check_required_name(f"{at}.virtualService.name", name, "a VirtualService")
        yield from _check_routes(istio.virtual_service, f"{at}.virtualService")
    elif istio.virtual_services:
        seen: set[str] = set()
        for index, target in enumerate(istio.virtual_services):
            path = f"{at}.virtualServices[{index}].name"
            yield from _check_required_name(path, target.name, "a VirtualService")
            if target.name in seen:
                yield Problem(path, f"{target.name!r} is listed twice; name all of its routes in one entry")
            seen.add(target.name)
            yield from _check_routes(target, f"{at}.virtualServices[{index}]")
    else:
        yield Problem(at, "names no VirtualService: give it virtualService or virtualServices")
    if istio.destination_rule is not None:
        yield from _check_rule(istio.destination_rule, at)


def _check_rule(rule: IstioDestinationRule, at: str) -> Iterator[Problem]:
    yield from _check_required_name(f"{at}.destinationRule.name", rule.name, "a DestinationRule")
    subsets = (("canarySubsetName", rule.canary_subset_name), ("stableSubsetName", rule.stable_subset_name))
    for field, value in subsets:
        if not value:
            yield Problem(f"{at}.destinationRule.{field}", "is required")
    for index, extra in enumerate(rule.additional_subset_names):
        path = f"{at}.destinationRule.additionalSubsetNames[{index}]"
        ours = [field for field, value in subsets if value == extra]
        if not extra:
            yield Problem(path, "is required: the name of a subset")
        elif ours:
            yield Problem(path, f"is {extra!r}, the {ours[0]} too, whose weight the Rollout sets; leave it out here")
        elif extra in rule.additional_subset_names[:index]:
            yield Problem(path, f"{extra!r} is listed twice")
    if rule.canary_subset_name and rule.canary_subset_name == rule.stable_subset_name:
        yield Problem(
            f"{at}.destinationRule.stableSubsetName",
            f"is {rule.stable_subset_name!r}, the canarySubsetName too; the two versions need a subset each",
        )


def _check_routes(target: IstioVirtualService, at: str) -> Iterator[Problem]:
    for number, tls in enumerate(target.tls_routes):
        if not tls.port and not tls.sni_hosts:
            yield Problem(f"{at}.tlsRoutes[{number}]", "matches nothing: give it a port, sniHosts, or both")
        elif tls.port > _MAX_PORT:
            yield Problem(f"{at}.tlsRoutes[{number}].port", f"is {tls.port}, must be at most {_MAX_PORT}")
    for number, tcp in enumerate(target.tcp_routes):
        if not 0 < tcp.port <= _MAX_PORT:
            yield Problem(f"{at}.tcpRoutes[{number}].port", f"is {tcp.port}, must be from 1 to {_MAX_PORT}")


def _check_surge(canary: CanaryStrategy) -> Iterator[Problem]:
    yield from _check_pods(f"{_CANARY}.maxSurge", canary.max_surge)
    yield from _check_unavailable(f"{_CANARY}.maxUnavailable", canary.max_unavailable)
    if all(str(value).rstrip("%").strip("0") == "" for value in (canary.max_surge, canary.max_unavailable)):
        yield Problem(
            f"{_CANARY}.maxSurge",
            "is 0 and so is maxUnavailable; raise one, or no pod could ever be replaced",
        )


def _check_anti_affinity(at: str, given: AntiAffinity | None) -> Iterator[Problem]:
    if given is None:
        return
    kinds = "preferredDuringSchedulingIgnoredDuringExecution and requiredDuringSchedulingIgnoredDuringExecution"
    if (given.preferred is None) == (given.required is None):
        yield Problem(at, f"must have exactly one of {kinds}")
    if given.preferred is not None and not 1 <= given.preferred.weight <= 100:
        path = f"{at}.preferredDuringSchedulingIgnoredDuringExecution.weight"
        yield Problem(path, f"is {given.preferred.weight}, must be from 1 to 100")


def _check_unavailable(at: str, value: int | str) -> Iterator[Problem]:
    problems = list(_check_pods(at, value))
    yield from problems
    if not problems and (percent_of(value) or 0) > 100:
        yield Problem(at, f"is {value}, must be at most 100%")


def _check_pods(at: str, value: int | str) -> Iterator[Problem]:
    """A number of pods or a percentage of them."""
    try:
        percent = percent_of(value)
    except ValueError as error:
        yield Problem(at, str(error))
        return
    if percent is None and int(value) < 0:
        yield Problem(at, f"is {value}, must be 0 or more")


def _check_step(step: CanaryStep, at: str, whole: int) -> Iterator[Problem]:
    kinds = (
        step.set_weight,
        step.set_canary_scale,
        step.pause,
        step.analysis,
        step.experiment,
        step.set_header_route,
        step.set_mirror_route,
    )
    given = sum(kind is not None for kind in kinds)
    if given == 0:
        yield Problem(at, f"has no kind: give it one of {_STEP_KINDS} (an endless pause is `pause: {{}}`)")
    elif given > 1:
        yield Problem(at, f"has more than one of {_STEP_KINDS}; make each a step of its own")
    if step.set_weight is not None and not 0 <= step.set_weight <= whole:
        most = "100" if whole == 100 else f"{whole} (trafficRouting.maxTrafficWeight)"
        yield Problem(f"{at}.setWeight", f"is {step.set_weight}, must be from 0 to {most}")
    if step.set_canary_scale is not None:
        yield from _check_scale(step.set_canary_scale, f"{at}.setCanaryScale")
    if step.pause is not None and step.pause.duration is not None:
        yield from _check_pause(step.pause.duration, f"{at}.pause.duration")
    if step.analysis is not None:
        yield from _check_analysis(step.analysis, f"{at}.analysis")


def _check_scale(scale: SetCanaryScale, at: str) -> Iterator[Problem]:
    given = (scale.replicas is not None) + (scale.weight is not None) + scale.match_traffic_weight
    if given != 1:
        found = "has none" if given == 0 else "has more than one"
        yield Problem(at, f"{found} of replicas, weight, matchTrafficWeight: true; give it exactly one")
    if scale.weight is not None and not 0 <= scale.weight <= 100:
        yield Problem(f"{at}.weight", f"is {scale.weight}, must be from 0 to 100")


def _check_pause(duration: int | str, at: str) -> Iterator[Problem]:
    text = str(duration)
    if text.startswith("-"):
        yield Problem(at, f"is {text}, must not be negative")
    elif not _is_seconds(text) and not is_duration(text):
        yield Problem(at, f"{text!r} is neither a number of seconds nor a duration such as 30s, 5m or 1h")


def _is_seconds(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_INT32


def _check_blue_green(blue_green: BlueGreenStrategy, history_limit: int) -> Iterator[Problem]:
    yield from _check_required_name(f"{_BLUE_GREEN}.activeService", blue_green.active_service, "a Service")
    yield from _check_name(f"{_BLUE_GREEN}.previewService", blue_green.preview_service, "a Service")
    if blue_green.active_service and blue_green.active_service == blue_green.preview_service:
        yield Problem(
            f"{_BLUE_GREEN}.previewService",
            f"is {blue_green.preview_service!r}, the activeService too; the two versions need a Service each",
        )
    yield from _check_anti_affinity(f"{_BLUE_GREEN}.antiAffinity", blue_green.anti_affinity)
    yield from _check_unavailable(f"{_BLUE_GREEN}.maxUnavailable", blue_green.max_unavailable)
    limit = blue_green.scale_down_delay_revision_limit
    if limit is not None and limit > history_limit:
        yield Problem(
            f"{_BLUE_GREEN}.scaleDownDelayRevisionLimit",
            f"is {limit}, must be at most spec.revisionHistoryLimit ({history_limit})",
        )
    if blue_green.pre_promotion_analysis is not None:
        yield from _check_analysis(blue_green.pre_promotion_analysis, f"{_BLUE_GREEN}.prePromotionAnalysis")
    if blue_green.post_promotion_analysis is not None:
        yield from _check_analysis(blue_green.post_promotion_analysis, f"{_BLUE_GREEN}.postPromotionAnalysis")


def _check_analysis(analysis: RolloutAnalysis, at: str) -> Iterator[Problem]:
    if not analysis.templates:
        yield Problem(f"{at}.templates", "is required: name at least one AnalysisTemplate")
    for index, ref in enumerate(analysis.templates):
        path = f"{at}.templates[{index}].templateName"
        yield from _check_required_name(path, ref.template_name, "a template")
    for index, arg in enumerate(analysis.args):
        if not arg.name:
            yield Problem(f"{at}.args[{index}].name", "is required")
    if analysis.analysis_run_metadata is not None:
        yield from _check_run_metadata(analysis.analysis_run_metadata, f"{at}.analysisRunMetadata")


def _check_run_metadata(metadata: RunMetadata, at: str) -> Iterator[Problem]:
    for key, value in (metadata.labels or {}).items():
        path = f"{at}.labels[{key}]"
        yield from check_label(path, key, value)
        if key in _RUN_LABELS:
            yield Problem(path, "is set by Tidegate, for clients to find the run by; choose another key")
    for key in metadata.annotations or {}:
        path = f"{at}.annotations[{key}]"
        yield from check_key(path, key)
        if key == names.REVISION:
            yield Problem(path, "is set by Tidegate; choose another key")


def _check_required_name(at: str, name: str, of: str) -> Iterator[Problem]:
    if not name:
        yield Problem(at, f"is required: the name of {of}")
    else:
        yield from _check_name(at, name, of)


def _check_name(at: str, name: str, of: str) -> Iterator[Problem]:
    if name and (_DNS_NAME.fullmatch(name) is None or len(name) > 253):
        yield Problem(at, f"{name!r} can't be the name of {of}: use small letters, digits, '-' and '.'")
