"""Templates that contain templates: unfolded into a flat list before anything else looks at them.

As in Argo Rollouts a template that is reached in two ways counts once. One that contains itself would never end
there; here it is refused, with the way that leads back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from tidegate.api import names
from tidegate.api.analysis import TemplateRef
from tidegate.api.experiment import ExperimentAnalysis
from tidegate.api.problems import Problem
from tidegate.core.plan import Key

DEEPEST: Final = 50
"""Levels of templates in templates. More can only be a mistake, and each costs a level of the program's stack."""


class TemplateName(NamedTuple):
    """Which template: that of this name in the Rollout's namespace, or the cluster-wide one."""

    cluster_scope: bool
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def kind(self) -> str:
        """The kind that it is."""
        return names.CLUSTER_ANALYSIS_TEMPLATE if self.cluster_scope else names.ANALYSIS_TEMPLATE

    def key(self, namespace: str) -> Key:
        """Its address, named by something in this namespace."""
        return Key(self.kind, "" if self.cluster_scope else namespace, self.name)


Templates = Mapping[TemplateName, Mapping[str, Any] | None]
"""Raw templates; None where there is none."""


def named(refs: Iterable[TemplateRef | ExperimentAnalysis]) -> list[TemplateName]:
    """The templates that a spec names."""
    return [TemplateName(ref.cluster_scope, ref.template_name) for ref in refs]


def contained(template: Mapping[str, Any] | None) -> list[TemplateName]:
    """The templates that a raw template contains. What can't be read is left out: parsing it will say why."""
    spec = template.get("spec") if template else None
    refs = spec.get("templates") if isinstance(spec, Mapping) else None
    return [
        TemplateName(ref.get("clusterScope") is True, str(ref.get("templateName")))
        for ref in (refs if isinstance(refs, list) else ())
        if isinstance(ref, Mapping)
    ]


def gather_templates(
    wanted: Iterable[TemplateName], namespace: str, get: Callable[[Key], Mapping[str, Any] | None]
) -> dict[TemplateName, Mapping[str, Any] | None]:
    """These templates and, level by level, those that they contain.

    get: the raw object at an address, if there is one.
    """
    found: dict[TemplateName, Mapping[str, Any] | None] = {}
    level = list(wanted)
    while level:
        found |= {name: get(name.key(namespace)) for name in level}
        inner = dict.fromkeys(inner for name in level for inner in contained(found[name]))
        level = [name for name in inner if name not in found]
    return found


def unfold(
    refs: Iterable[TemplateRef], templates: Templates, path: str
) -> tuple[list[Mapping[str, Any]], tuple[Problem, ...]]:
    """The templates that `refs` name and all that those contain, each once and before what it contains; or problems.

    path: where the list of `refs` stands.
    """
    found: dict[TemplateName, Mapping[str, Any]] = {}
    problems: list[Problem] = []

    def take(name: TemplateName, at: str, within: tuple[TemplateName, ...]) -> None:
        if name in within:
            way = " contains ".join(map(str, (*within[within.index(name) :], name)))
            problems.append(Problem(at, f"makes a circle: {way}; take one of these references out"))
            return
        if name in found:
            return
        raw = templates.get(name)
        if raw is None:
            problems.append(Problem(at, f"{name} not found"))
            return
        if len(within) == DEEPEST:
            problems.append(Problem(at, f"is nested deeper than {DEEPEST} levels; name {name} further up"))
            return
        found[name] = raw
        for index, inner in enumerate(contained(raw)):
            take(inner, f"{name}: spec.templates[{index}].templateName", (*within, name))

    for position, name in enumerate(named(refs)):
        take(name, f"{path}[{position}].templateName", ())
    return list(found.values()), tuple(problems)
