"""`antiAffinity`: the new version's pods keep off the nodes of stable's, so that an update is no squeeze there.

The rule is put into the new ReplicaSet's template and is no part of any hash. It stays when the version is promoted: by
then it speaks of pods that are gone, and a template without it would be one write more for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidegate.api import names
from tidegate.api.rollout import AntiAffinity
from tidegate.core.rollout.actions import Avoid
from tidegate.core.rollout.dress import ANTI_AFFINITY, is_rule, own_terms
from tidegate.core.rollout.release import Draft, Release

_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def rules(release: Release) -> dict[str, list[dict[str, Any]]]:
    """The rules for the new version's pods, by the list that they belong into; none without an update."""
    strategy = release.spec.strategy
    given = strategy.blue_green.anti_affinity if strategy.blue_green else release.canary.anti_affinity
    if given is None or release.promoted or release.first:
        return {}
    return _rules(given, release.stable_hash)


def apart(template: Mapping[str, Any], added: Mapping[str, list[dict[str, Any]]]) -> Mapping[str, Any]:
    """A pod template with these rules too."""
    if not added:
        return template
    pod = template.get("spec") or {}
    affinity = pod.get("affinity") or {}
    terms = affinity.get(ANTI_AFFINITY) or {}
    both = {**terms, **{kind: [*(terms.get(kind) or ()), *added[kind]] for kind in added}}
    return {**template, "spec": {**pod, "affinity": {**affinity, ANTI_AFFINITY: both}}}


def follow(draft: Draft) -> None:
    """Bring the rule of a ReplicaSet that is there already up to date: it may be one of an earlier update."""
    release, new = draft.release, draft.release.new
    if new is None or not (added := rules(release)):
        return
    terms = ((new.template.get("spec") or {}).get("affinity") or {}).get(ANTI_AFFINITY) or {}
    changes: dict[str, list[Any] | None] = {}
    for kind in (_PREFERRED, _REQUIRED):
        present = [term for term in terms.get(kind) or () if is_rule(term)]
        if present != added.get(kind, []):
            changes[kind] = [*own_terms(terms.get(kind)), *added.get(kind, [])] or None
    if changes:
        draft.do(Avoid(draft.world.namespace, new, changes))


def _rules(given: AntiAffinity, stable: str) -> dict[str, list[dict[str, Any]]]:
    expression = {"key": names.POD_TEMPLATE_HASH, "operator": "In", "values": [stable]}
    term = {"labelSelector": {"matchExpressions": [expression]}, "topologyKey": "kubernetes.io/hostname"}
    if given.preferred is not None:
        return {_PREFERRED: [{"weight": given.preferred.weight, "podAffinityTerm": term}]}
    return {_REQUIRED: [term]}
