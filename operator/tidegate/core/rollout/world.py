"""What a decision about a Rollout may look at: one frozen picture, gathered elsewhere.

The views keep what decisions read of an object and leave the rest; the objects behind them are shared with the store
and never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tidegate.api import names
from tidegate.api.problems import Problem
from tidegate.api.rollout import RolloutSpec
from tidegate.core.analysis.nesting import Templates
from tidegate.core.plan import Key, Write
from tidegate.core.times import parse_time
from tidegate.core.traffic import Traffic

ENDED = frozenset({"Successful", "Failed", "Error", "Inconclusive"})


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """One revision's pods, as the cluster counts them."""

    name: str
    uid: str
    hash: str
    revision: int
    replicas: int
    current: int
    ready: int
    available: int
    created: str
    deadline: datetime | None
    deleting: bool
    min_ready_seconds: int
    annotations: Mapping[str, str]
    template: Mapping[str, Any]
    failure: str
    observed: bool = True
    """Whether the ReplicaSet controller has seen the present template; only kept where that matters."""

    @property
    def just_stable(self) -> bool:
        """Whether it was stable until a moment ago and is still up for a way back."""
        return bool(self.replicas and self.deadline and names.WAS_STABLE in self.annotations)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> ReplicaSet:
        """Read an apps/v1 ReplicaSet. `available` never counts more pods than are still asked for."""
        meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
        annotations = meta.get("annotations") or {}
        replicas = int(spec.get("replicas", 1))
        deadline = annotations.get(names.SCALE_DOWN_DEADLINE)
        return cls(
            name=meta["name"],
            uid=meta["uid"],
            hash=(meta.get("labels") or {}).get(names.POD_TEMPLATE_HASH, ""),
            revision=_number(annotations.get(names.REVISION)),
            replicas=replicas,
            current=int(status.get("replicas") or 0),
            ready=min(int(status.get("readyReplicas") or 0), replicas),
            available=min(int(status.get("availableReplicas") or 0), replicas),
            created=meta.get("creationTimestamp", ""),
            deadline=_moment(deadline),
            deleting="deletionTimestamp" in meta,
            min_ready_seconds=int(spec.get("minReadySeconds") or 0),
            annotations=annotations,
            template=spec.get("template") or {},
            observed=int(status.get("observedGeneration", meta.get("generation", 0))) >= meta.get("generation", 0),
            failure=next(
                (
                    f"{condition.get('reason', '')}: {condition.get('message', '')}"
                    for condition in status.get("conditions") or ()
                    if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
                ),
                "",
            ),
        )


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of a ReplicaSet.

    owner: the uid of its controller. ready_since: since when it has been ready; None while it is not.
    """

    name: str
    uid: str
    owner: str
    created: datetime
    ready_since: datetime | None
    deleting: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Pod:
        """Read a core/v1 Pod."""
        meta, status = raw["metadata"], raw.get("status") or {}
        ready: Mapping[str, Any] = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), {})
        owners = (o["uid"] for o in meta.get("ownerReferences") or () if o.get("controller"))
        return cls(
            name=meta["name"],
            uid=meta["uid"],
            owner=next(owners, ""),
            created=parse_time(meta["creationTimestamp"]),
            ready_since=_moment(ready.get("lastTransitionTime")) if ready.get("status") == "True" else None,
            deleting="deletionTimestamp" in meta,
            labels=meta.get("labels") or {},
            annotations=meta.get("annotations") or {},
        )

    def available(self, min_ready_seconds: int, now: datetime) -> bool:
        """Whether it has been ready for so long."""
        if self.deleting or self.ready_since is None:
            return False
        return self.ready_since + timedelta(seconds=min_ready_seconds) <= now


@dataclass(frozen=True, slots=True)
class Workload:
    """What a Rollout takes its template from.

    before, by: how many pods it had when a Rollout scaled it down, and that Rollout's name; None and "" otherwise.
    """

    key: Key
    uid: str
    version: str
    generation: str
    replicas: int
    before: int | None
    by: str

    @classmethod
    def read(cls, key: Key, raw: Mapping[str, Any]) -> Workload:
        """Read a Deployment, a ReplicaSet or a PodTemplate."""
        meta = raw["metadata"]
        annotations = meta.get("annotations") or {}
        before = annotations.get(names.REPLICAS_BEFORE, "")
        return cls(
            key=key,
            uid=meta["uid"],
            version=meta["resourceVersion"],
            generation=str(meta.get("generation", meta["resourceVersion"])),
            replicas=int((raw.get("spec") or {}).get("replicas", 1)),
            before=int(before) if before.isdigit() else None,
            by=annotations.get(names.SCALED_DOWN_BY, ""),
        )


@dataclass(frozen=True, slots=True)
class Service:
    """A Service and the pod template hash that its selector asks for (empty when it asks for none)."""

    name: str
    uid: str
    hash: str
    manager: str

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Service:
        """Read a core/v1 Service."""
        meta = raw["metadata"]
        selector = (raw.get("spec") or {}).get("selector") or {}
        return cls(
            name=meta["name"],
            uid=meta["uid"],
            hash=selector.get(names.POD_TEMPLATE_HASH, ""),
            manager=(meta.get("annotations") or {}).get(names.MANAGED_BY, ""),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """An AnalysisRun of this Rollout. `ours` is False for a stranger that merely has the name that we wanted.

    hold: why it has seen too little traffic for a verdict. undecided: why it has none though it has seen enough.
    looks_left: how many looks it plans before that counts, and when_undecided what it means then.
    safe_since: when the window began in which it has last found the canary safe, where that is to shorten pauses.
    """

    name: str
    uid: str
    phase: str
    message: str
    ours: bool
    terminating: bool
    created: str
    hash: str
    first_bad: str = ""
    """When the first measurement that counts failed; empty while none has."""
    hold: str = ""
    undecided: str = ""
    looks_left: int = 0
    when_undecided: str = "pause"
    safe_since: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether its verdict is in."""
        return self.phase in ENDED

    @classmethod
    def read(cls, raw: Mapping[str, Any], owner_uid: str) -> Run:
        """Read an AnalysisRun."""
        meta, status = raw["metadata"], raw.get("status") or {}
        spec, judge = raw.get("spec") or {}, status.get("judge") or {}
        return cls(
            name=meta["name"],
            uid=meta["uid"],
            hold=judge.get("hold") or "",
            undecided=judge.get("undecided") or "",
            looks_left=int(judge.get("looksLeft") or 0),
            when_undecided=(spec.get("judge") or {}).get("whenUndecided") or "pause",
            safe_since=_moment(judge.get("since")) if judge.get("advance") else None,
            phase=status.get("phase") or "",
            message=status.get("message") or "",
            ours=any(owner.get("uid") == owner_uid for owner in meta.get("ownerReferences") or ()),
            terminating=bool(spec.get("terminate")),
            created=meta.get("creationTimestamp", ""),
            hash=(meta.get("labels") or {}).get(names.POD_TEMPLATE_HASH, ""),
            first_bad=_first_bad(status),
        )


def _first_bad(status: Mapping[str, Any]) -> str:
    """The end of the earliest failed measurement of a metric that is no dry run."""
    return min(
        (
            measurement["finishedAt"]
            for result in status.get("metricResults") or ()
            if not result.get("dryRun")
            for measurement in result.get("measurements") or ()
            if measurement.get("phase") == names.RUN_FAILED and measurement.get("finishedAt")
        ),
        default="",
    )


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an Experiment.

    service: the name that its Service has or would have. ready: whether that is there and selects the version's pods.
    available: of these pods; 0 where they can't be reached. port: of the Service; of several the first.
    """

    template: str
    service: str
    hash: str
    available: int
    ready: bool
    port: int = 0


@dataclass(frozen=True, slots=True)
class Experiment:
    """An Experiment of this Rollout. `ours` is False for a stranger that merely has the name that we wanted.

    begun: since when all its versions have been available. pods: those that its versions should have now.
    """

    name: str
    uid: str
    phase: str
    message: str
    ours: bool
    terminating: bool
    begun: datetime | None
    created: str
    hash: str
    pods: int
    versions: tuple[Version, ...]

    @property
    def ended(self) -> bool:
        """Whether its verdict is in."""
        return self.phase in ENDED

    @classmethod
    def read(
        cls,
        raw: Mapping[str, Any],
        owner_uid: str,
        sets: Mapping[str, ReplicaSet],
        services: Mapping[str, Service],
    ) -> Experiment:
        """Read an Experiment. sets: its ReplicaSets by template. services: its Services by name."""
        meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
        return cls(
            name=meta["name"],
            uid=meta["uid"],
            phase=status.get("phase") or "",
            message=status.get("message") or "",
            ours=any(owner.get("uid") == owner_uid for owner in meta.get("ownerReferences") or ()),
            terminating=bool(spec.get("terminate")) or "deletionTimestamp" in meta,
            begun=_moment(status.get("availableAt")),
            created=meta.get("creationTimestamp", ""),
            hash=(meta.get("labels") or {}).get(names.POD_TEMPLATE_HASH, ""),
            pods=sum(rs.replicas for rs in sets.values()),
            versions=tuple(
                _version(meta["name"], template, sets, services)
                for template in spec.get("templates") or ()
                if template.get("service") is not None
            ),
        )


def _version(
    experiment: str, template: Mapping[str, Any], sets: Mapping[str, ReplicaSet], services: Mapping[str, Service]
) -> Version:
    name = template["name"]
    rs = sets.get(name)
    service = template["service"].get("name") or (rs.name if rs else f"{experiment}-{name}")
    found = services.get(service)
    ready = rs is not None and not rs.deleting and found is not None and found.hash == rs.hash
    if rs is None:
        return Version(name, service, "", 0, ready=False)
    return Version(name, service, rs.hash, rs.available if ready else 0, ready, _first_port(rs.template))


def _first_port(template: Mapping[str, Any]) -> int:
    containers = (template.get("spec") or {}).get("containers") or ()
    return next((port["containerPort"] for one in containers for port in one.get("ports") or ()), 0)


@dataclass(frozen=True, slots=True)
class World:
    """Everything that one decision about a Rollout reads.

    rollout: the raw object; with a workloadRef, template and selector of the workload are filled in.
    spec: its spec when it can be read, else None and `problems` say why.
    template_hash, step_hash: of the spec, by the contract's algorithm.
    name_taken: whether a ReplicaSet that is not ours has the name that the next one would get.
    services: every Service that the spec names; None where there is none.
    traffic: the routes of a traffic router, bound to the objects; None without one.
    led_since: since when these routes have led users as they do now, as far as this process has seen; None without any.
    runs: the AnalysisRuns that this Rollout owns, and any that bears a name in its status.
    experiments: the Experiments that this Rollout owns, and any that bears a name in its status; read only where its
        steps, or its status, have to do with any.
    templates: every analysis template that the spec names, or one of these contains; None where there is none.
    leftovers: writes that take this Rollout's marks off objects that its spec names no more.
    rivals: what of its objects another Rollout has first, so that this one has to leave all as it is.
    pods: those of the ReplicaSets that `needs.pods_of` has named. They are read for the occasion: to keep all pods
        of a cluster would cost more memory than everything else.
    unheard_of: a version with available pods that are not all among the endpoints yet, of those that
        `needs.endpoints_of` has asked about; empty for none. Read for the occasion too.
    workload: what spec.workloadRef names.
    no_eviction_before: a disruption budget has refused; it is asked again then.
    denied: why the API server has not let the next ReplicaSet be created, though nothing is wrong with its template.
    """

    now: datetime
    rollout: Mapping[str, Any]
    spec: RolloutSpec | None
    problems: tuple[Problem, ...] = ()
    template_hash: str = ""
    step_hash: str = ""
    replica_sets: tuple[ReplicaSet, ...] = ()
    name_taken: bool = False
    services: Mapping[str, Service | None] = field(default_factory=dict)
    traffic: Traffic | None = None
    led_since: datetime | None = None
    runs: tuple[Run, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    templates: Templates = field(default_factory=dict)
    leftovers: tuple[Write, ...] = ()
    rivals: tuple[Problem, ...] = ()
    pods: tuple[Pod, ...] = ()
    unheard_of: str = ""
    workload: Workload | None = None
    no_eviction_before: datetime | None = None
    denied: str = ""

    @property
    def name(self) -> str:
        """The Rollout's name."""
        name: str = self.rollout["metadata"]["name"]
        return name

    @property
    def namespace(self) -> str:
        """The Rollout's namespace."""
        namespace: str = self.rollout["metadata"]["namespace"]
        return namespace

    @property
    def uid(self) -> str:
        """The Rollout's identity."""
        uid: str = self.rollout["metadata"]["uid"]
        return uid

    @property
    def status(self) -> Mapping[str, Any]:
        """The status as it was last written."""
        return self.rollout.get("status") or {}


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def _moment(text: str | None) -> datetime | None:
    """A deadline that can't be read counts as none: the pods stay rather than go."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None
