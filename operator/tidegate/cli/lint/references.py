"""From one object to the other: what Rollouts name is there, fits, and belongs to one of them only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from tidegate.api import names
from tidegate.api.problems import Problem
from tidegate.api.rollout import WORKLOAD_KINDS, RolloutSpec
from tidegate.cli.lint.findings import Finding, Manifest, Manifests
from tidegate.cli.lint.schema import read_rollout
from tidegate.core.analysis.nesting import gather_templates, named
from tidegate.core.plan import Key
from tidegate.core.rollout.analyses import analyses, check_analyses, named_templates
from tidegate.routers.registry import router_for

_FULL_HOST: Final = re.compile(r"[\w-]+\.([\w-]+)\.svc\b")
_CANARY: Final = "spec.strategy.canary"


class Reference(NamedTuple):
    """What a field of a Rollout names."""

    path: str
    key: Key


def check_references(manifest: Manifest, spec: RolloutSpec, known: Manifests) -> Iterator[Finding]:
    """What a Rollout names and is missing or does not fit."""
    yield from _missing(manifest, spec, known)
    yield from _analyses(manifest, spec, known)
    yield from _routes(manifest, spec, known)
    yield from _selectors(manifest, spec, known)


def check_sharing(known: Manifests) -> Iterator[Finding]:
    """Objects that two Rollouts would write to, or that stand in the files twice."""
    claimed: list[tuple[Key, frozenset[str], Manifest]] = []
    for manifest in known.of_kind("Rollout"):
        spec = read_rollout(manifest, known)[0]
        for path, key, routes in _claims(manifest, spec) if spec else ():
            for other, theirs, first in claimed:
                apart = routes and theirs and not routes & theirs
                if other == key and first.name != manifest.name and not apart:
                    said = f"{key.kind} {key.name} is claimed by Rollout {first.name} too; each needs its own"
                    yield manifest.finding("error", "shared", path, said)
            claimed.append((key, routes, manifest))
    seen: dict[tuple[str, str, str], Manifest] = {}
    for manifest in known.all:
        if not manifest.kind or not manifest.name:
            continue
        earlier = seen.setdefault((manifest.kind, manifest.namespace, manifest.name), manifest)
        if earlier is not manifest:
            where = f"{earlier.file}:{earlier.line('metadata.name')}"
            yield manifest.finding("warning", "twice", "metadata.name", f"stands in {where} too; the last one counts")


def _claims(manifest: Manifest, spec: RolloutSpec) -> Iterator[tuple[str, Key, frozenset[str]]]:
    """What a Rollout writes to; of a VirtualService, the routes that it names, none meaning all."""
    routing = spec.strategy.canary.traffic_routing if spec.strategy.canary else None
    routes = {
        target.name: frozenset(target.routes) for target in (routing.istio.targets if routing and routing.istio else ())
    }
    for path, key in references(manifest, spec):
        if key.kind not in WORKLOAD_KINDS:
            yield path, key, routes.get(key.name, frozenset())


def references(manifest: Manifest, spec: RolloutSpec) -> Iterator[Reference]:
    """The Services, routes and workload that a Rollout names; its templates are looked at apart."""
    for path, name in spec.strategy.services():
        yield Reference(path, Key("Service", manifest.namespace, name))
    canary = spec.strategy.canary
    if canary and (router := router_for(canary, namespace=manifest.namespace, rollout=manifest.name)):
        for key in router.references():
            yield Reference(f"{_CANARY}.trafficRouting", key)
    if spec.workload_ref:
        ref = spec.workload_ref
        yield Reference("spec.workloadRef.name", Key(ref.kind, manifest.namespace, ref.name))


def _missing(manifest: Manifest, spec: RolloutSpec, known: Manifests) -> Iterator[Finding]:
    """Whoever lints a Rollout alone knows that the rest is elsewhere; in a folder it is likely to be forgotten."""
    if known.only_rollouts:
        return
    for path, key in references(manifest, spec):
        if known.find(*key) is None:
            said = f"names {key.kind} {key.name}, which is not in these files; it has to be in the cluster"
            yield manifest.finding("warning", "reference", path, said)


def _analyses(manifest: Manifest, spec: RolloutSpec, known: Manifests) -> Iterator[Finding]:
    templates = gather_templates(named_templates(spec), manifest.namespace, known.raw)
    complete = {name for name, raw in templates.items() if raw is not None}
    if len(complete) == len(templates):
        for problem in check_analyses(manifest.raw, spec, templates):
            yield manifest.finding("error", "analysis", problem.path, problem.message)
        return
    if known.only_rollouts:
        return
    for path, analysis in analyses(spec):
        for index, name in enumerate(named(analysis.templates)):
            if name not in complete:
                said = f"names {name}, which is not in these files; it has to be in the cluster"
                yield manifest.finding("warning", "reference", f"{path}.templates[{index}].templateName", said)


def _routes(manifest: Manifest, spec: RolloutSpec, known: Manifests) -> Iterator[Finding]:
    """Whether the routes that are there can be split; they must all be, for they are looked at together.

    Where no file says the namespace, that of any full host name in the routes will do.
    """
    tried = [_problems(manifest, spec, known, namespace) for namespace in _namespaces(manifest, known)]
    if all(tried):
        for problem in tried[0]:
            yield manifest.finding("error", "route", problem.path, problem.message)


def _problems(manifest: Manifest, spec: RolloutSpec, known: Manifests, namespace: str) -> Sequence[Problem]:
    canary = spec.strategy.canary
    # A route leads to both Services that take turns, whichever turn it is.
    router = router_for(canary.in_turn(names.PING), namespace=namespace, rollout=manifest.name) if canary else None
    if router is None:
        return ()
    found = {key: known.find(*key) for key in router.references()}
    if not all(found.values()):
        return ()
    return router.bind({key: _stored(one, key) for key, one in found.items() if one}).problems()


def _namespaces(manifest: Manifest, known: Manifests) -> Sequence[str]:
    if manifest.namespace:
        return [manifest.namespace]
    routes = " ".join(
        str(one.raw.get("spec")) for one in known.all if one.kind in ("VirtualService", "DestinationRule")
    )
    return list(dict.fromkeys(["default", *_FULL_HOST.findall(routes)]))


def _stored(manifest: Manifest, key: Key) -> dict[str, Any]:
    """A manifest with what an API server adds, which routers read along."""
    metadata = {**manifest.raw["metadata"], "namespace": key.namespace, "resourceVersion": "0"}
    return {**manifest.raw, "metadata": metadata}


def _selectors(manifest: Manifest, spec: RolloutSpec, known: Manifests) -> Iterator[Finding]:
    """A Service whose selector fits none of the Rollout's pods would have no endpoints for ever."""
    if spec.workload_ref and known.find(spec.workload_ref.kind, manifest.namespace, spec.workload_ref.name) is None:
        return
    labels = (spec.template.get("metadata") or {}).get("labels") or {}
    for path, key in references(manifest, spec):
        service = known.find(*key) if key.kind == "Service" else None
        if service is None:
            continue
        selector = (service.raw.get("spec") or {}).get("selector") or {}
        strange = {k: v for k, v in selector.items() if labels.get(k) != v and k != "rollouts-pod-template-hash"}
        if not selector:
            yield manifest.finding(
                "error", "selector", path, f"Service {key.name} has no selector: it needs the pods' labels"
            )
        elif strange:
            told = ", ".join(f"{k}={v}" for k, v in strange.items())
            said = f"Service {key.name} selects {told}, which the pods of this Rollout don't have: it would reach none"
            yield manifest.finding("error", "selector", path, said)
