"""Where users' requests end up now: through Services, subsets and VirtualServices down to ready pods.

The invariants about traffic are checked here, on what routes and endpoints say, and never on what a Rollout's status
claims.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .cluster import FakeCluster, Written
from .kinds import Obj
from .selectors import map_selector
from .workloads import Pod, Workloads

HASH_LABEL: Final = "rollouts-pod-template-hash"
_DOMAIN: Final = ".svc.cluster.local"
_LISTS: Final = ("http", "tls", "tcp")


@dataclass(frozen=True, slots=True)
class Flow:
    """A part of the traffic. percent: of its route's. endpoints: ready pods that it reaches, by template hash."""

    to: str
    percent: float
    endpoints: Mapping[str, int]

    @property
    def lost(self) -> float:
        """The percent that meets no pod: what users get is a 503."""
        return 0.0 if any(self.endpoints.values()) else self.percent


@dataclass(frozen=True, slots=True)
class Split:
    """Where all traffic of one route or Service goes."""

    name: str
    flows: tuple[Flow, ...]

    @property
    def lost(self) -> float:
        return sum(flow.lost for flow in self.flows)

    def percent(self, template_hash: str) -> float:
        """The share that reaches pods of this hash."""
        return sum(
            flow.percent * flow.endpoints.get(template_hash, 0) / sum(flow.endpoints.values())
            for flow in self.flows
            if flow.endpoints
        )

    def overloaded(self, replicas: int) -> list[str]:
        """The hashes that get a larger share than their ready pods are of `replicas`, each with the figures."""
        pods: Counter[str] = Counter()
        for flow in self.flows:
            for name, count in flow.endpoints.items():
                pods[name] = max(pods[name], count)
        return [
            f"{self.name}: {name} gets {self.percent(name):g} % with {count} of {replicas} pods"
            for name, count in pods.items()
            if self.percent(name) > 100.0 * count / replicas + 1e-6
        ]


@dataclass(frozen=True, slots=True)
class Pointer:
    """Something that names the pods of a template hash. percent: the traffic it carries; 0 for a bare Service."""

    template_hash: str
    what: str
    percent: float


class Traffic:
    """The data plane's view of the cluster. It is never behind: that is left to the tests on a real one."""

    def __init__(self, cluster: FakeCluster, workloads: Workloads) -> None:
        self._cluster = cluster
        self._workloads = workloads

    def service(self, name: str, namespace: str = "default") -> Split:
        """All traffic of a Service, spread over its endpoints."""
        pods = self._workloads.endpoints(name, namespace)
        return Split(f"Service {name}", (Flow(name, 100.0, _by_hash(pods)),))

    def virtual_service(self, name: str, route: str = "", namespace: str = "default") -> Split:
        """The traffic of one route of a VirtualService: the named one, or the first. Raises KeyError."""
        for split in self.routes(name, namespace):
            if not route or split.name == f"VirtualService {name} route {route}":
                return split
        raise KeyError(f"VirtualService {name} has no route {route!r}")

    def routes(self, name: str, namespace: str = "default") -> list[Split]:
        """Every route of a VirtualService, in its order; one without a name goes by its list and position."""
        found = self._cluster.peek("VirtualService", name, namespace)
        spec = (found or {}).get("spec") or {}
        return [
            Split(f"VirtualService {name} route {each.get('name') or f'{kind}[{at}]'}", self._flows(each, namespace))
            for kind in _LISTS
            for at, each in enumerate(spec.get(kind) or ())
        ]

    def pointers(self, namespace: str = "default") -> list[Pointer]:
        """What still names pods of which hash: every Service, and every destination that carries traffic."""
        found = [
            Pointer(template_hash, f"Service {service['metadata']['name']}", 0.0)
            for service in self._cluster.peek_all("Service", namespace)
            for template_hash in self._hashes(service["spec"].get("selector"), namespace)
        ]
        for virtual_service in self._cluster.peek_all("VirtualService", namespace):
            for split, destinations in self._named_destinations(virtual_service, namespace):
                for to, percent, selector in destinations:
                    found += [
                        Pointer(h, f"{split}: {to}", percent) for h in self._hashes(selector, namespace) if percent
                    ]
        return found

    def _flows(self, route: Obj, namespace: str) -> tuple[Flow, ...]:
        return tuple(
            Flow(to, percent, _by_hash(self._behind(selector, namespace)))
            for to, percent, selector in self._destinations(route, namespace)
        )

    def _named_destinations(
        self, virtual_service: Obj, namespace: str
    ) -> Iterable[tuple[str, list[tuple[str, float, Mapping[str, str] | None]]]]:
        name = virtual_service["metadata"]["name"]
        for kind in _LISTS:
            for at, route in enumerate(virtual_service["spec"].get(kind) or ()):
                label = f"VirtualService {name} route {route.get('name') or f'{kind}[{at}]'}"
                yield label, self._destinations(route, namespace)

    def _destinations(self, route: Obj, namespace: str) -> list[tuple[str, float, Mapping[str, str] | None]]:
        """Each destination with its percent and the labels that it selects; None if it leads nowhere."""
        entries = route.get("route") or []
        # A single destination gets everything, whatever its weight says.
        weights = [100.0] if len(entries) == 1 else [float(entry.get("weight", 0)) for entry in entries]
        total = sum(weights) or 1.0
        return [
            (_label(entry), 100.0 * weight / total, self._selector(entry["destination"], namespace))
            for entry, weight in zip(entries, weights, strict=True)
        ]

    def _selector(self, destination: Obj, namespace: str) -> Mapping[str, str] | None:
        host = _service_name(destination["host"], namespace)
        service = self._cluster.peek("Service", host, namespace) if host else None
        selector = service["spec"].get("selector") if service else None
        subset = destination.get("subset")
        if not selector or not subset:
            return selector or None
        for rule in self._cluster.peek_all("DestinationRule", namespace):
            if _service_name(rule["spec"]["host"], namespace) == host:
                for each in rule["spec"].get("subsets") or ():
                    if each["name"] == subset:
                        return {**selector, **(each.get("labels") or {})}
        return None

    def _behind(self, selector: Mapping[str, str] | None, namespace: str) -> list[Pod]:
        selects = map_selector(selector)
        return [p for p in self._workloads.pods if p.namespace == namespace and p.ready and selects(p.labels)]

    def _hashes(self, selector: Mapping[str, str] | None, namespace: str) -> list[str]:
        selects = map_selector(selector)
        labels = [
            replicaset["spec"]["template"]["metadata"].get("labels") or {}
            for replicaset in self._cluster.peek_all("ReplicaSet", namespace)
        ]
        return [each[HASH_LABEL] for each in labels if HASH_LABEL in each and selects(each)]


class Guard:
    """An observer that notes every write after which more traffic is lost than before it.

    A Service or route counts from the first moment when nothing of it was lost: before its first pods there is nobody
    to serve. Pods that crash by themselves show up at the next write; a test with such pods looks at who wrote.

    violations: the write and what is lost by it.
    """

    def __init__(
        self,
        traffic: Traffic,
        cluster: FakeCluster,
        *,
        services: tuple[str, ...] = (),
        virtual_services: tuple[str, ...] = (),
        namespace: str = "default",
    ) -> None:
        self.violations: list[tuple[Written, str]] = []
        self._traffic = traffic
        self._services, self._virtual_services, self._namespace = services, virtual_services, namespace
        self._lost: dict[str, float] = {}
        cluster.observers.append(self._observe)

    def splits(self) -> list[Split]:
        """The present view of everything guarded."""
        found = [self._traffic.service(name, self._namespace) for name in self._services]
        for name in self._virtual_services:
            found += self._traffic.routes(name, self._namespace)
        return found

    def _observe(self, written: Written) -> None:
        for split in self.splits():
            before = self._lost.get(split.name)
            if before is None and split.lost:
                continue
            if before is not None and split.lost > before + 1e-6:
                flows = ", ".join(f"{flow.percent:g} % to {flow.to}" for flow in split.flows if flow.lost)
                self.violations.append((written, f"{split.name}: {flows} with no pod"))
            self._lost[split.name] = split.lost


def _by_hash(pods: Iterable[Pod]) -> Counter[str]:
    return Counter(pod.labels.get(HASH_LABEL, "") for pod in pods)


def _label(entry: Mapping[str, Any]) -> str:
    destination = entry["destination"]
    return f"{destination['host']}/{destination['subset']}" if "subset" in destination else str(destination["host"])


def _service_name(host: str, namespace: str) -> str:
    """The Service of this namespace that a host names; empty if none. A name with a dot is taken as complete."""
    if "." not in host:
        return host
    name, _, rest = host.partition(".")
    return name if rest == f"{namespace}{_DOMAIN}" else ""
