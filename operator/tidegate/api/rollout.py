"""A Rollout's spec, as far as this version of Tidegate acts on it.

Every attribute's docstring is what `kubectl explain` shows. A field of the contract that has no attribute
here is refused by name (`tidegate.api.unsupported`), never passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tidegate.api import names
from tidegate.api.analysis import DryRun, MeasurementRetention, TemplateRef
from tidegate.api.common import SPEC, Bool, Int, IntOrString, Natural, Opaque, Str, Time
from tidegate.api.experiment import ExperimentStep
from tidegate.api.parts import LabelSelector, PodMetadata, RolloutArgument, RunMetadata

DEFAULT_SCALE_DOWN_DELAY: Final = 30
"""Seconds that routes and kube-proxies get to forget pods before these are stopped."""

WORKLOAD_KINDS: Final = {"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "PodTemplate": "v1"}
"""What a Rollout may take its template from, and the API version of each."""

StepKind = Literal["setWeight", "setCanaryScale", "pause", "analysis", "experiment", "setHeaderRoute", "setMirrorRoute"]


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class RolloutAnalysis:
    """Templates that together make one AnalysisRun, and the arguments for them."""

    templates: tuple[TemplateRef, ...] = ()
    """The templates whose metrics the run measures. At least one."""
    args: tuple[RolloutArgument, ...] = ()
    """Arguments for the templates. They override the values that the templates give."""
    dry_run: tuple[DryRun, ...] = ()
    """Metrics that are only watched, beside those that the templates name."""
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    """How many measurements to keep, where that is not 10, beside what the templates say. Where both mean a metric,
    the template counts."""
    analysis_run_metadata: RunMetadata | None = None
    """Labels and annotations for the AnalysisRun."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class BackgroundAnalysis(RolloutAnalysis):
    """An analysis that runs beside the steps until the update ends. When it fails, the update is aborted."""

    starting_step: Natural = 0
    """The index of the step with which the analysis starts. Default: 0, the first step."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Pause:
    """Hold at this step, for a time or until the Rollout is promoted."""

    duration: IntOrString | None = None
    """How long: seconds as a number, or text such as 30s, 5m or 1h. Without it, until somebody promotes."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class SetCanaryScale:
    """How many pods the canary has from this step on, whatever its share of the traffic. Exactly one field is
    set."""

    replicas: Natural | None = None
    """A number of pods."""
    weight: Int | None = None
    """A percentage of spec.replicas, from 0 to 100."""
    match_traffic_weight: Bool = False
    """As many as the canary's share of the traffic asks for, as without any setCanaryScale."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class StringMatch:
    """How a text must look. Exactly one field is set."""

    exact: Str = ""
    """The text itself."""
    prefix: Str = ""
    """What the text begins with."""
    regex: Str = ""
    """A regular expression (RE2) that the whole text matches."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class HeaderMatch:
    """One header of a request."""

    header_name: Str
    """The header's name."""
    header_value: StringMatch
    """What its value must look like."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class SetHeaderRoute:
    """Lead requests with certain headers to the canary."""

    name: Str
    """The route's name. It must be listed in trafficRouting.managedRoutes."""
    match: tuple[HeaderMatch, ...] = ()
    """A request that matches any of these goes to the canary. Without them, the route is removed."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class RouteMatch:
    """Requests that look like this in all that is given."""

    method: StringMatch | None = None
    """The HTTP method."""
    path: StringMatch | None = None
    """The path."""
    headers: dict[Str, StringMatch] | None = None
    """Headers by name."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class SetMirrorRoute:
    """Send a copy of certain requests to the canary. Its answers to the copies are thrown away."""

    name: Str
    """The route's name. It must be listed in trafficRouting.managedRoutes."""
    match: tuple[RouteMatch, ...] = ()
    """A request that matches any of these is copied. Without them, the route is removed."""
    percentage: Int | None = None
    """How many of these requests are copied, in percent. Default: 100."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ManagedRoute:
    """A route that steps may add and remove."""

    name: Str
    """The route's name."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class CanaryStep:
    """One step of a canary update. Exactly one field is set."""

    set_weight: Int | None = None
    """The canary's part of the traffic in percent, from 0 to 100, or to trafficRouting.maxTrafficWeight."""
    set_canary_scale: SetCanaryScale | None = None
    """How many pods the canary has until the next setCanaryScale. Where its share of the traffic asks for
    more, there are more. Only with trafficRouting."""
    pause: Pause | None = None
    """Hold here, for a time or until the Rollout is promoted."""
    analysis: RolloutAnalysis | None = None
    """Run an analysis and go on only when it was successful."""
    experiment: ExperimentStep | None = None
    """Run an Experiment of the Rollout's versions and go on only when it was successful."""
    set_header_route: SetHeaderRoute | None = None
    """Lead requests with certain headers to the canary, until the update ends. Only with trafficRouting."""
    set_mirror_route: SetMirrorRoute | None = None
    """Send a copy of certain requests to the canary, until the update ends. Only with trafficRouting."""

    @property
    def kind(self) -> StepKind:
        """Which of the fields is set."""
        if self.set_weight is not None:
            return "setWeight"
        if self.set_canary_scale is not None:
            return "setCanaryScale"
        if self.set_header_route is not None:
            return "setHeaderRoute"
        if self.set_mirror_route is not None:
            return "setMirrorRoute"
        if self.experiment is not None:
            return "experiment"
        return "pause" if self.pause is not None else "analysis"


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class IstioTlsRoute:
    """The TLS routes of a VirtualService that match what is given here: a port, hosts, or both."""

    port: Natural = 0
    """The one port that the route matches."""
    sni_hosts: tuple[Str, ...] = ()
    """All hosts that the route matches, in any order."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class IstioTcpRoute:
    """The TCP routes of a VirtualService that match a port."""

    port: Natural
    """The one port that the route matches."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class IstioVirtualService:
    """A VirtualService whose weights the Rollout sets."""

    name: Str
    """The VirtualService's name, or name.namespace when it is in another namespace."""
    routes: tuple[Str, ...] = ()
    """Names of the HTTP routes to set weights on. May be left out when the VirtualService has only one."""
    tls_routes: tuple[IstioTlsRoute, ...] = ()
    """The TLS routes to set weights on. May be left out when the VirtualService has only one."""
    tcp_routes: tuple[IstioTcpRoute, ...] = ()
    """The TCP routes to set weights on. May be left out when the VirtualService has only one."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class IstioDestinationRule:
    """A DestinationRule whose subsets the Rollout points at the canary's and at the stable pods."""

    name: Str
    """The DestinationRule's name. It is in the Rollout's namespace."""
    canary_subset_name: Str
    """The subset that gets the canary's pod template hash."""
    stable_subset_name: Str
    """The subset that gets the stable version's pod template hash."""
    additional_subset_names: tuple[Str, ...] = ()
    """Other subsets that routes lead to. Their weights stay, and stable gets what they leave. Tidegate treats every
    subset that is not its own like this; a name here says that it is meant."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class IstioRouting:
    """Traffic split by Istio. Exactly one of virtualService and virtualServices is set."""

    virtual_service: IstioVirtualService | None = None
    """The VirtualService to set weights on."""
    virtual_services: tuple[IstioVirtualService, ...] = ()
    """Several VirtualServices to set the same weights on."""
    destination_rule: IstioDestinationRule | None = None
    """Split by the subsets of one host instead of by two Services."""

    @property
    def targets(self) -> tuple[IstioVirtualService, ...]:
        """Every VirtualService to set weights on."""
        return (self.virtual_service,) if self.virtual_service else self.virtual_services


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class TrafficRouting:
    """What splits the traffic between canary and stable. Without it, weights are made from numbers of
    pods."""

    istio: IstioRouting | None = None
    """Split the traffic with Istio VirtualServices."""
    max_traffic_weight: Int = 100
    """The weight that stands for all of the traffic. Default: 100. With 1000, a setWeight of 1 is a thousandth."""
    managed_routes: tuple[ManagedRoute, ...] = ()
    """The routes that steps may set, in the order in which they come before the VirtualService's own routes. They are
    Tidegate's: it adds them in an update and removes them when it ends."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class PingPong:
    """Two Services that take turns: the one that stands for the new version stays with it when it is promoted."""

    ping_service: Str
    """One of the two Services."""
    pong_service: Str
    """The other one."""

    def ends(self, stable: str) -> tuple[str, str]:
        """The stable and the canary Service while this one, ping or pong, is the stable one."""
        if stable == names.PING:
            return self.ping_service, self.pong_service
        return self.pong_service, self.ping_service


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class PreferredApart:
    """Keep apart where that is possible."""

    weight: Int
    """How much the scheduler cares, from 1 to 100."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class RequiredApart:
    """Keep apart in any case."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ReplicaProgressThreshold:
    """How many of a step's canary pods must be available for the step to count as reached."""

    type: Literal["Percent", "Pod", "Pods"] = "Percent"
    """Whether the value is a percentage or a number of pods: Percent, or Pod (also Pods). Default: Percent."""
    value: Natural
    """The percentage, from 0 to 100, or the number of pods. At least one pod, and never more than all."""

    def of(self, pods: int) -> int:
        """How many of so many pods are enough."""
        part = -(-pods * self.value // 100) if self.type == "Percent" else self.value
        return min(pods, max(part, 1))


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class AntiAffinity:
    """Keeps the new version's pods off the nodes of the stable version's. Exactly one field is set."""

    preferred: Annotated[PreferredApart | None, Field(alias="preferredDuringSchedulingIgnoredDuringExecution")] = None
    """Where that is possible."""
    required: Annotated[RequiredApart | None, Field(alias="requiredDuringSchedulingIgnoredDuringExecution")] = None
    """In any case: a new pod without such a node waits."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class CanaryStrategy:
    """Bring the new version up beside the old one and move traffic to it in steps."""

    canary_service: Str = ""
    """The Service that Tidegate points at the new version's pods."""
    stable_service: Str = ""
    """The Service that Tidegate points at the old version's pods."""
    ping_pong: PingPong | None = None
    """Two Services that take turns as stable and canary, in place of stableService and canaryService. Only with
    trafficRouting."""
    steps: tuple[CanaryStep, ...] = ()
    """What to do, in order. After the last step the new version is promoted. Without steps: a rolling
    update."""
    traffic_routing: TrafficRouting | None = None
    """What splits the traffic. Without it, a weight is approximated by the numbers of old and new pods."""
    analysis: BackgroundAnalysis | None = None
    """An analysis that runs beside the steps and aborts the update when it fails."""
    anti_affinity: AntiAffinity | None = None
    """Keep the new version's pods off the nodes of the stable version's."""
    canary_metadata: PodMetadata | None = None
    """What the new version's pods bear until it is promoted."""
    stable_metadata: PodMetadata | None = None
    """What the stable version's pods bear."""
    max_surge: IntOrString = "25%"
    """Pods above the wanted number during an update, as a number or a percentage (rounded up). Default: 25%.
    Used without trafficRouting. May not be 0 when maxUnavailable is."""
    max_unavailable: IntOrString = "25%"
    """Pods that may be missing during an update, as a number or a percentage (rounded down). Default: 25%.
    Used without trafficRouting. May not be 0 when maxSurge is."""
    dynamic_stable_scale: Bool = False
    """Whether the old version's pods become fewer as its share of the traffic does. On an abort they come up again and
    get the traffic as they become available, and the canary's pods go as theirs leaves, unless
    abortScaleDownDelaySeconds is given. Default: false, so that an abort is done at once. Only with trafficRouting, and
    not with scaleDownDelaySeconds."""
    min_pods_per_replica_set: Natural = 1
    """The fewest pods of a version that has any, as far as spec.replicas goes. Default: 1. A setCanaryScale with
    replicas may ask for fewer. Only with trafficRouting."""
    replica_progress_threshold: ReplicaProgressThreshold | None = None
    """How many of a step's canary pods must be available for the step to count as reached. Until they all are, the
    canary gets the traffic that those available can carry. Default: all. The promotion always waits for all."""
    scale_down_delay_seconds: Natural | None = None
    """How long the old version's pods stay after the promotion. Default: 30. Only with trafficRouting."""
    scale_down_delay_revision_limit: Natural | None = None
    """How many old versions may wait for their delay at once. Default: no limit."""
    abort_scale_down_delay_seconds: Natural | None = None
    """How long the canary's pods stay after an abort. Default: 30; 0 keeps them until the next update. Only
    with trafficRouting."""

    @property
    def experiments(self) -> bool:
        """Whether any step makes an Experiment."""
        return any(step.experiment is not None for step in self.steps)

    @property
    def whole(self) -> int:
        """The weight that stands for all of the traffic."""
        return self.traffic_routing.max_traffic_weight if self.traffic_routing else 100

    @property
    def scale_down_delay(self) -> int:
        """Seconds that the old pods stay after the promotion; none without a router, which has nothing to
        forget."""
        if self.traffic_routing is None:
            return 0
        return _default_delay(self.scale_down_delay_seconds)

    def in_turn(self, stable: str) -> CanaryStrategy:
        """The strategy with the Services that are stable's and the canary's while this one, ping or pong, is stable's.
        Itself where none take turns."""
        if self.ping_pong is None:
            return self
        stable_service, canary_service = self.ping_pong.ends(stable)
        return replace(self, stable_service=stable_service, canary_service=canary_service)

    @property
    def abort_scale_down_delay(self) -> int | None:
        """Seconds that the canary's pods stay after an abort, or None where they stay for good."""
        if self.traffic_routing is None:
            return 0
        return _default_delay(self.abort_scale_down_delay_seconds) or None


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class BlueGreenStrategy:
    """Bring the new version up in full beside the old one and move all traffic to it at once."""

    active_service: Str
    """The Service that users reach. Tidegate points it at the promoted version."""
    preview_service: Str = ""
    """A Service that Tidegate points at the new version before it is promoted."""
    preview_replica_count: Natural | None = None
    """How many pods the new version has until everything before the switch is behind: it is scaled up in full right
    before that. Default: all of them from the beginning."""
    auto_promotion_enabled: Bool = True
    """Whether the new version is promoted as soon as it is ready. Default: true. When false, until somebody
    promotes."""
    auto_promotion_seconds: Natural = 0
    """Wait this long with the new version ready, then promote. Default: 0. Ignored when autoPromotionEnabled
    is false."""
    pre_promotion_analysis: RolloutAnalysis | None = None
    """An analysis that must be successful before the active Service is switched."""
    post_promotion_analysis: RolloutAnalysis | None = None
    """An analysis after the switch. When it fails, the active Service is switched back."""
    anti_affinity: AntiAffinity | None = None
    """Keep the new version's pods off the nodes of the stable version's."""
    preview_metadata: PodMetadata | None = None
    """What the new version's pods bear until it is promoted."""
    active_metadata: PodMetadata | None = None
    """What the stable version's pods bear."""
    max_unavailable: IntOrString = "25%"
    """Pods that may be missing during a restart by restartAt, as a number or a percentage (rounded down).
    Default: 25%. At least one pod is restarted at a time."""
    scale_down_delay_seconds: Natural | None = None
    """How long the old version's pods stay after the switch. Default: 30."""
    scale_down_delay_revision_limit: Natural | None = None
    """How many old versions may wait for their delay at once. Default: no limit."""
    abort_scale_down_delay_seconds: Natural | None = None
    """How long the new version's pods stay after an abort. Default: 30; 0 keeps them until the next
    update."""

    @property
    def scale_down_delay(self) -> int:
        """Seconds that the old pods stay after the switch."""
        return _default_delay(self.scale_down_delay_seconds)

    @property
    def abort_scale_down_delay(self) -> int | None:
        """Seconds that the new pods stay after an abort, or None where they stay for good."""
        return _default_delay(self.abort_scale_down_delay_seconds) or None


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Strategy:
    """How a new version takes over. Exactly one of canary and blueGreen is set."""

    canary: CanaryStrategy | None = None
    """Move traffic to the new version in steps."""
    blue_green: BlueGreenStrategy | None = None
    """Move all traffic to the new version at once."""

    def services(self) -> Iterator[tuple[str, str]]:
        """The Services that it names: path in the Rollout, and name."""
        named: list[tuple[str, str]] = []
        if self.canary and (pair := self.canary.ping_pong):
            named += [("canary.pingPong.pingService", pair.ping_service)]
            named += [("canary.pingPong.pongService", pair.pong_service)]
        elif self.canary:
            named += [("canary.canaryService", self.canary.canary_service)]
            named += [("canary.stableService", self.canary.stable_service)]
        if self.blue_green:
            named += [("blueGreen.activeService", self.blue_green.active_service)]
            named += [("blueGreen.previewService", self.blue_green.preview_service)]
        return ((f"spec.strategy.{field}", name) for field, name in named if name)


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class RunHistory:
    """How many finished AnalysisRuns, and how many finished Experiments, are kept."""

    successful_run_history_limit: Natural = 5
    """Successful runs to keep. Default: 5."""
    unsuccessful_run_history_limit: Natural = 5
    """Failed, inconclusive and broken runs to keep. Default: 5."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class WorkloadRef:
    """A workload that has the pod template, in the Rollout's namespace."""

    api_version: Str = ""
    """apps/v1 for a Deployment or a ReplicaSet, v1 for a PodTemplate."""
    kind: Str
    """Deployment, ReplicaSet or PodTemplate."""
    name: Str
    """The workload's name."""
    scale_down: Str = "never"
    """What becomes of a Deployment's own pods when the Rollout's first version is up: never (they stay), onsuccess
    (they go once it is healthy) or progressively (they go one by one as its pods come). Default: never. They come
    back when the Rollout is deleted."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class RollbackWindow:
    """How far back a version may be to be gone back to at once."""

    revisions: Natural = 0
    """Going back to a version is taken at once if fewer than so many others lie between it and the stable one, by
    the age of their ReplicaSets. Default: 0, never."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class RolloutSpec:
    """What should run, and how a new version of it takes over from the old one."""

    replicas: Natural | None = None
    """How many pods should run. Default: 1."""
    selector: LabelSelector
    """Which pods belong to the Rollout. Must match the template's labels. Can't be changed."""
    template: Opaque
    """The pods to create. A change of it starts an update."""
    workload_ref: WorkloadRef | None = None
    """Take template and selector from a workload instead: leave both out then. A change of its template starts an
    update."""
    strategy: Strategy
    """How a new version takes over."""
    min_ready_seconds: Natural = 0
    """How long a new pod must be ready before it counts as available. Default: 0."""
    revision_history_limit: Natural = 10
    """Old ReplicaSets to keep for going back. Default: 10."""
    progress_deadline_seconds: Natural = 600
    """How long an update may make no progress before it counts as failed. Default: 600. Must be more than
    minReadySeconds. Time spent paused does not count."""
    progress_deadline_abort: Bool = False
    """Whether to abort an update that has exceeded progressDeadlineSeconds. Default: false."""
    rollback_window: RollbackWindow | None = None
    """Go back without steps, pauses and analyses where the earlier version is still a recent one."""
    restart_at: Time | None = None
    """Replace every pod that was created before this time, a few at once, by evicting it: disruption budgets are
    kept. A time to come is waited for."""
    paused: Bool = False
    """Hold the update where it is. Scaling still works."""
    analysis: RunHistory = RunHistory()
    """How many finished AnalysisRuns, and how many finished Experiments, are kept."""

    @property
    def desired_replicas(self) -> int:
        """How many pods should run."""
        return 1 if self.replicas is None else self.replicas


def _default_delay(given: int | None) -> int:
    return DEFAULT_SCALE_DOWN_DELAY if given is None else given
