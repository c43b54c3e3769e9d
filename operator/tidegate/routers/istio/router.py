"""The Istio router: one Rollout's VirtualServices and its DestinationRule, taken together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.api.problems import Problem
from tidegate.api.rollout import CanaryStrategy, IstioRouting, IstioVirtualService
from tidegate.core.plan import Key, Write
from tidegate.core.traffic import Observed, Selected
from tidegate.routers.istio.choosing import Target
from tidegate.routers.istio.destination_rule import BoundDestinationRule, RuleTarget, bind_destination_rule
from tidegate.routers.istio.hosts import fqdn
from tidegate.routers.istio.routes import End, Ends
from tidegate.routers.istio.virtual_service import BoundVirtualService, bind_virtual_service

_AT: Final = "spec.strategy.canary.trafficRouting.istio"


@dataclass(frozen=True, slots=True)
class IstioTraffic:
    """The routes of one Rollout as its objects showed them. Implements `tidegate.core.traffic.Traffic`."""

    services: tuple[BoundVirtualService, ...]
    rule: BoundDestinationRule | None

    def problems(self) -> tuple[Problem, ...]:
        found = [problem for service in self.services for problem in service.problems]
        return (*(self.rule.problems if self.rule else ()), *found)

    def observe(self) -> Observed:
        seen = [split for service in self.services for split in service.observe()]
        return Observed(
            max((split.canary for split in seen), default=0), min((split.stable for split in seen), default=0)
        )

    def split(self, canary: int) -> tuple[Write, ...]:
        return tuple(write for service in self.services if (write := service.split(canary)))

    def point(self, *, canary_hash: str, stable_hash: str) -> tuple[Write, ...]:
        return self.rule.point(canary_hash=canary_hash, stable_hash=stable_hash) if self.rule else ()

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

    def references(self) -> tuple[Key, ...]:
        keys = dict.fromkeys(target.key for target in self.targets)
        return (*keys, self.rule.key) if self.rule else tuple(keys)

    def bind(self, objects: Mapping[Key, Mapping[str, Any] | None]) -> IstioTraffic:
        rule = bind_destination_rule(self.rule, objects.get(self.rule.key), self.rollout) if self.rule else None
        ends = self._ends(rule)
        services = tuple(bind_virtual_service(target, objects.get(target.key), ends) for target in self.targets)
        return IstioTraffic(services, rule)

    def _ends(self, rule: BoundDestinationRule | None) -> Ends:
        """By subset where there is a DestinationRule, even beside two Services; as Argo Rollouts decides."""
        if rule is None:
            return Ends(
                canary=End(f"Canary Service '{self.canary_service}'", fqdn(self.canary_service, self.namespace)),
                stable=End(f"Stable Service '{self.stable_service}'", fqdn(self.stable_service, self.namespace)),
            )
        host, target = fqdn(rule.host, self.namespace), rule.target
        return Ends(
            canary=End(f"Canary DestinationRule subset '{target.canary}'", host, target.canary),
            stable=End(f"Stable DestinationRule subset '{target.stable}'", host, target.stable),
        )


def istio_router(strategy: CanaryStrategy, namespace: str, rollout: str) -> IstioRouter | None:
    """The router of this strategy; None where it doesn't name Istio."""
    istio = strategy.traffic_routing.istio if strategy.traffic_routing else None
    if istio is None:
        return None
    rule = istio.destination_rule
    return IstioRouter(
        namespace=namespace,
        rollout=rollout,
        targets=_targets(istio, namespace),
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
    )


def _targets(istio: IstioRouting, namespace: str) -> tuple[Target, ...]:
    if istio.virtual_service is not None:
        return (_target(istio.virtual_service, f"{_AT}.virtualService", namespace),)
    return tuple(
        _target(one, f"{_AT}.virtualServices[{number}]", namespace) for number, one in enumerate(istio.virtual_services)
    )


def _target(one: IstioVirtualService, at: str, namespace: str) -> Target:
    return Target(_key(one.name, namespace), at, one.routes, one.tls_routes, one.tcp_routes)


def _key(name: str, namespace: str) -> Key:
    """The VirtualService that a Rollout means by `name` or `name.namespace`, with or without `.svc.cluster.local`."""
    local, _, elsewhere = name.removesuffix(".svc.cluster.local").rpartition(".")
    return Key("VirtualService", elsewhere, local) if local else Key("VirtualService", namespace, elsewhere)
