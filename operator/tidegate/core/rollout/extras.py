"""The users' traffic to an Experiment's versions: beside canary and stable, and no more than their pods can carry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from tidegate.core.rollout import experiments
from tidegate.core.rollout.actions import PointSubsets
from tidegate.core.rollout.lifecycle import step_index
from tidegate.core.rollout.release import Draft
from tidegate.core.rollout.replicas import carries
from tidegate.core.rollout.slots import EXPERIMENT
from tidegate.core.rollout.world import Version
from tidegate.core.traffic import Extra, Traffic

_HEARD_OF: Final = timedelta(seconds=1)
"""How long a version has been available before it gets traffic. Its Service, subset and endpoints are new to every
proxy, and one that hears of the route before it hears of them answers 503."""


def concerned(draft: Draft) -> bool:
    """Whether there may be any such traffic; hardly ever."""
    return bool(draft.world.experiments or EXPERIMENT in draft.canary or _listed(draft.before))


def destinations(draft: Draft, canary: int) -> tuple[Extra, ...]:
    """The further destinations to have beside this weight of the canary; with a weight of 0 those to take out.

    More comes only where the pods can carry it and stable has it to give. Less goes at once where the pods are gone,
    else in proportion to what stable can carry, as on any way back.
    """
    traffic = draft.world.traffic
    if traffic is None or not concerned(draft):
        return ()
    versions = _versions(draft)
    weights = _within(draft, traffic, canary, versions)
    return tuple(
        Extra(name, weight, version.hash, version.port) if (version := versions[name]) else Extra(name, weight)
        for name, weight in sorted(weights.items())
    )


def shown(draft: Draft) -> list[dict[str, Any]]:
    """`status.canary.weights.additional`: what the routes show of such destinations."""
    traffic = draft.world.traffic
    if traffic is None or not concerned(draft):
        return []
    versions = _versions(draft)
    return [
        {"weight": weight, "serviceName": name, **({"podTemplateHash": version.hash} if version else {})}
        for name, weight in sorted(traffic.shares(tuple(versions)).items())
        for version in [versions[name]]
    ]


def point(draft: Draft, extras: tuple[Extra, ...]) -> None:
    """Have the subsets that routes are about to lead to."""
    _point(draft, tuple(extra for extra in extras if extra.weight))


def prepare(draft: Draft) -> None:
    """Have the subsets that routes will lead to when proxies have heard of them."""
    if concerned(draft):
        weights, versions = _wanted(draft, soon=True), _versions(draft)
        found = ((name, weight, versions[name]) for name, weight in weights.items())
        _point(
            draft, tuple(Extra(name, weight, version.hash, version.port) for name, weight, version in found if version)
        )


def clear(draft: Draft) -> None:
    """Take out the subsets that no route leads to any more."""
    traffic = draft.world.traffic
    if traffic is None or not concerned(draft):
        return
    versions = _versions(draft)
    used = {*traffic.shares(tuple(versions)), *_wanted(draft, soon=True)}
    _point(draft, tuple(Extra(name, 0) for name in versions if name not in used))


def _point(draft: Draft, extras: tuple[Extra, ...]) -> None:
    traffic = draft.world.traffic
    selected = traffic.selected() if traffic and extras and not _pointing(draft) else None
    if traffic is not None and selected is not None:
        for request in traffic.point(canary_hash=selected.canary, stable_hash=selected.stable, extras=extras):
            draft.do(PointSubsets(request))


def _pointing(draft: Draft) -> bool:
    """Whether the DestinationRule is being written already: what is new in it waits for the next look."""
    return any(isinstance(action, PointSubsets) for action in draft.actions)


def _within(draft: Draft, traffic: Traffic, canary: int, versions: Mapping[str, Version | None]) -> dict[str, int]:
    """The weights within what there is to give, and what each side can carry."""
    release, now = draft.release, traffic.observe()
    whole, shown, wanted = release.canary.whole, traffic.shares(tuple(versions)), _wanted(draft)
    if _pointing(draft):
        wanted = {name: min(weight, shown.get(name, 0)) for name, weight in wanted.items()}
    ours = now.canary + now.stable + sum(shown.values())
    left, weights = min(ours, whole) - canary, {}
    for name in sorted({*shown, *wanted}):
        weights[name] = max(0, min(wanted.get(name, 0), left))
        left -= weights[name]
    too_much = left - carries(release.stable_available, release.replicas, whole)
    for name, before in shown.items():
        version = versions[name]
        stays = before - weights[name] if version and version.available else 0
        if min(stays, too_much) > 0:
            weights[name] += min(stays, too_much)
            too_much -= min(stays, too_much)
    return weights


def _wanted(draft: Draft, *, soon: bool = False) -> dict[str, int]:
    """The weights that the current step asks for, as far as the pods can carry them; now, or soon."""
    release = draft.release
    steps, index, found = release.canary.steps, step_index(draft), experiments.current(draft)
    step = steps[index].experiment if index < len(steps) else None
    if step is None or found is None or draft.aborted or draft.status.get("promoteFull") or release.promoted:
        return {}
    if not found.ours or found.ended or found.terminating or found.begun is None:
        return {}
    if not soon and not draft.reached(found.begun + _HEARD_OF):
        return {}
    given = {one.name: one.weight for one in step.templates if one.weight}
    return {
        version.service: weight
        for version in found.versions
        if version.ready and version.template in given
        if (weight := min(given[version.template], _carried(draft, version)))
    }


def _carried(draft: Draft, version: Version) -> int:
    return carries(version.available, draft.release.replicas, draft.release.canary.whole) if version.available else 0


def _versions(draft: Draft) -> dict[str, Version | None]:
    """Every version that a route may lead to, by its Service; None for one whose Experiment is gone."""
    found: dict[str, Version | None] = dict.fromkeys(_listed(draft.before))
    name = (draft.before.get("canary") or {}).get(EXPERIMENT)
    if name and not any(each.name == name for each in draft.world.experiments):
        for step in draft.release.canary.steps:
            for one in step.experiment.templates if step.experiment else ():
                found[(one.service.name if one.service else "") or f"{name}-{one.name}"] = None
    for each in draft.world.experiments:
        if each.ours:
            found.update({version.service: version for version in each.versions})
    return found


def _listed(status: Mapping[str, Any]) -> list[str]:
    weights = (status.get("canary") or {}).get("weights") or {}
    return [each["serviceName"] for each in weights.get("additional") or () if each.get("serviceName")]
