"""Parts that several resources have: which pods are meant, what they bear, and values for templates."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic.dataclasses import dataclass

from tidegate.api.analysis import ValueFromHash
from tidegate.api.common import SPEC, STATUS, Str, StringMap, Time


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class SelectorRequirement:
    """One expression of a label selector."""

    key: Str
    """The label's key."""
    operator: Str
    """In, NotIn, Exists or DoesNotExist."""
    values: tuple[Str, ...] = ()
    """The values for In and NotIn; none for Exists and DoesNotExist."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a pod with these labels satisfies the expression. A pod without the key satisfies NotIn."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class LabelSelector:
    """Which pods belong to a Rollout: all that match every label and every expression."""

    match_labels: StringMap | None = None
    """Labels that a pod must have, with exactly these values."""
    match_expressions: tuple[SelectorRequirement, ...] = ()
    """Expressions that a pod's labels must satisfy."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a pod with these labels is selected."""
        for key, value in (self.match_labels or {}).items():
            if labels.get(key) != value:
                return False
        return all(requirement.matches(labels) for requirement in self.match_expressions)


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class RolloutArgument:
    """A value that a Rollout hands to the templates it names."""

    name: Str
    """The argument's name, as the template declares it."""
    value: Str | None = None
    """The argument's value."""
    value_from: ValueFromHash | None = None
    """Where the value comes from instead."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class RunMetadata:
    """Labels and annotations for something that the Rollout creates."""

    labels: StringMap | None = None
    """Labels, beside those that it has anyway."""
    annotations: StringMap | None = None
    """Annotations, beside those that it has anyway."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class PodMetadata:
    """Labels and annotations for pods while they have a role. They are patched in; nothing restarts."""

    labels: StringMap | None = None
    """Labels for the pods."""
    annotations: StringMap | None = None
    """Annotations for the pods."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Condition:
    """One fact about an object."""

    type: Str
    """Which fact."""
    status: Str
    """True, False or Unknown."""
    last_update_time: Time
    """When the condition was last written."""
    last_transition_time: Time
    """When the status last changed."""
    reason: Str
    """Why, in one word."""
    message: Str
    """Why, in words for people."""
