"""The Istio router: one Rollout's VirtualServices and its DestinationRule, taken together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.api.problems import Problem
from tidegate.api.rollout import CanaryStrategy, IstioRouting, IstioVirtualService
from tidegate.core.plan import Key, Write
from tidegate.core.traffic import Extra, ManagedRoute, Observed, Selected
from tidegate.routers.istio import managed
from tidegate.routers.istio.choosing import Target
from tidegate.routers.istio.destination_rule import BoundDestinationRule, RuleTarget, bind_destination_rule
from tidegate.routers.istio.hosts import fqdn
from tidegate.routers.istio.routes import End, Ends, Place
from tidegate.routers.istio.virtual_service import BoundVirtualService, bind_virtual_service

_AT: Final = "spec.strategy.canary.trafficRouting.istio"


@dataclass(frozen=True, slots=True)
class IstioTraffic:
    """The routes of one Rollout as its objects showed them. Implements `tidegate.core.traffic.Traffic`."""

    services: tuple[BoundVirtualService, ...]
    rule: BoundDestinationRule | None
    namespace: str
    seen: Observed

    def problems(self) -> tuple[Problem, ...]:
        found = [problem for service in self.services for problem in service.problems]
        if not found and any(one.target.managed for one in self.services):
            found = list(self._without_http())
        return (*(self.rule.problems if self.rule else ()), *found)

    def _without_http(self) -> Iterator[Problem]:
        if not any(one.primary for one in self.services):
            there = ", ".join(str(one.target.key) for one in self.services)
            yield Problem(managed.AT, f"are HTTP routes, and no HTTP route of {there} is split; leave them out")

    def observe(self) -> Observed:
        return self.seen

    def split(
        self, canary: int, routes: Sequence[ManagedRoute] | None = None, extras: Sequence[Extra] = ()
    ) -> tuple[Write, ...]:
        ordered = sorted(extras, key=lambda extra: extra.name)
        writes = (
            service.split(canary, routes, [self._place(extra, service.target.key.namespace) for extra in ordered])
            for service in self.services
        )
        return tuple(write for write in writes if write)

    def shares(self, names: Sequence[str]) -> Mapping[str, int]:
        shown = {
            name: max(
                (
                    route.weight_of(self._place(Extra(name, 0), service.target.key.namespace).end)
                    for service in self.services
                    for route in (*service.routes, *service.mirrors)
                ),
                default=0,
            )
            for name in names
        }
        return {name: weight for name, weight in shown.items() if weight}

    def managed(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.name for service in self.services for one in service.managed))

    def point(self, *, canary_hash: str, stable_hash: str, extras: Sequence[Extra] = ()) -> tuple[Write, ...]:
        if self.rule is None:
            return ()
        return self.rule.point(canary_hash=canary_hash, stable_hash=stable_hash, extras=extras)

    def _place(self, extra: Extra, namespace: str) -> Place:
        """Where an extra is found in a VirtualService of this namespace: a subset of the rule's host, or a Service."""
        if self.rule is not None:
            host = fqdn(self.rule.host, self.rule.target.key.namespace)
            return Place(End(f"Subset '{extra.name}'", host, extra.name), {"subset": extra.name}, extra.weight)
        full = fqdn(extra.name, self.namespace)
        host = extra.name if namespace == self.namespace else full
        differs = {"host": host, **({"port": {"number": extra.port}} if extra.port else {})}
        return Place(End(f"Service '{extra.name}'", full), differs, extra.weight)

    def selected(self) -> Selected | None:
        return self.rule.selected() if self.rule else None


@dataclass(frozen=True, slots=True)
class IstioRouter:
    """What a Rollout's `trafficRouting.istio` says, with every name resolved in the Rollout's namespace."""

    namespace: str
    rollout: str
    targets: tuple[Target, ...]
    rule: RuleTarget | None
    canary_service: str
    stable_service: str
    whole: int = 100

    def references(self) -> tuple[Key, ...]:
        keys = dict.fromkeys(target.key for target in self.targets)
        return (*keys, self.rule.key) if self.rule else tuple(keys)

    def bind(self, objects: Mapping[Key, Mapping[str, Any] | None]) -> IstioTraffic:
        rule = bind_destination_rule(self.rule, objects.get(self.rule.key), self.rollout) if self.rule else None
        ends = self._ends(rule)
        services = tuple(bind_virtual_service(target, objects.get(target.key), ends) for target in self.targets)
        return IstioTraffic(services, rule, self.namespace, _observed(services))

    def _ends(self, rule: BoundDestinationRule | None) -> Ends:
        """By subset where there is a DestinationRule, even beside two Services; as Argo Rollouts decides."""
        if rule is None:
            return Ends(
                canary=End(f"Canary Service '{self.canary_service}'", fqdn(self.canary_service, self.namespace)),
                stable=End(f"Stable Service '{self.stable_service}'", fqdn(self.stable_service, self.namespace)),
                whole=self.whole,
            )
        host, target = fqdn(rule.host, self.namespace), rule.target
        return Ends(
            canary=End(f"Canary DestinationRule subset '{target.canary}'", host, target.canary),
            stable=End(f"Stable DestinationRule subset '{target.stable}'", host, target.stable),
            whole=self.whole,
        )


def _observed(services: Sequence[BoundVirtualService]) -> Observed:
    seen = [split for service in services for split in service.observe()]
    return Observed(max((split.canary for split in seen), default=0), min((split.stable for split in seen), default=0))


def istio_router(strategy: CanaryStrategy, namespace: str, rollout: str) -> IstioRouter | None:
    """The router of this strategy; None where it doesn't name Istio."""
    routing = strategy.traffic_routing
    istio = routing.istio if routing else None
    if routing is None or istio is None:
        return None
    rule = istio.destination_rule
    return IstioRouter(
        namespace=namespace,
        rollout=rollout,
        targets=_targets(istio, namespace, tuple(route.name for route in routing.managed_routes)),
        rule=RuleTarget(
            Key("DestinationRule", namespace, rule.name),
            rule.canary_subset_name,
            rule.stable_subset_name,
            f"{_AT}.destinationRule",
        )
        if rule
        else None,
        canary_service=strategy.canary_service,
        stable_service=strategy.stable_service,
        whole=routing.max_traffic_weight,
    )


def _targets(istio: IstioRouting, namespace: str, names: tuple[str, ...]) -> tuple[Target, ...]:
    def target(one: IstioVirtualService, at: str) -> Target:
        return Target(_key(one.name, namespace), f"{_AT}.{at}", one.routes, one.tls_routes, one.tcp_routes, names)

    if istio.virtual_service is not None:
        return (target(istio.virtual_service, "virtualService"),)
    return tuple(target(one, f"virtualServices[{number}]") for number, one in enumerate(istio.virtual_services))


def _key(name: str, namespace: str) -> Key:
    """The VirtualService that a Rollout means by `name` or `name.namespace`, with or without `.svc.cluster.local`."""
    local, _, elsewhere = name.removesuffix(".svc.cluster.local").rpartition(".")
    return Key("VirtualService", elsewhere, local) if local else Key("VirtualService", namespace, elsewhere)
