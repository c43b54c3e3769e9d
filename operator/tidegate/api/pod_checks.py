"""What must hold for the pods that a Rollout creates: its selector and its template.

The API server takes a Rollout's template as it comes and would refuse the ReplicaSet made from it, long after
the user has looked away. The mistakes that people make most are told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.api.names import POD_TEMPLATE_HASH
from tidegate.api.parts import LabelSelector, PodMetadata
from tidegate.api.problems import Problem

_LABEL_VALUE: Final = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY: Final = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_DNS_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


def check_pods(selector: LabelSelector, template: Mapping[str, Any], at: str = "spec") -> Iterator[Problem]:
    """Every problem of a selector and the common ones of a template; both stand in what has the path `at`.

    Whether the two match is only asked of a selector that is sound, so that one mistake is told once.
    """
    problems = list(check_selector(selector, f"{at}.selector"))
    yield from problems
    yield from _check_metadata(template.get("metadata"), None if problems else selector, at)
    yield from _check_pod(template.get("spec"), f"{at}.template.spec")


def check_pod_metadata(at: str, metadata: PodMetadata | None, selector: LabelSelector) -> Iterator[Problem]:
    """Every problem of labels and annotations that pods bear for a role: their selector's labels are not theirs."""
    if metadata is None:
        return
    fixed = {*(selector.match_labels or {}), *(r.key for r in selector.match_expressions), POD_TEMPLATE_HASH}
    for key, value in (metadata.labels or {}).items():
        yield from check_label(f"{at}.labels[{key}]", key, value)
        if key in fixed:
            yield Problem(
                f"{at}.labels[{key}]", "is a label that selects the Rollout's pods; it can't change with a role"
            )
    for key in metadata.annotations or {}:
        if _LABEL_KEY.fullmatch(key) is None:
            yield Problem(f"{at}.annotations[{key}]", f"{key!r} is not an annotation's key such as example.com/note")


def check_selector(selector: LabelSelector, path: str) -> Iterator[Problem]:
    """Every problem of a selector of pods."""
    if not selector.match_labels and not selector.match_expressions:
        yield Problem(path, "is empty and would take every pod: give it matchLabels")
    for key, value in (selector.match_labels or {}).items():
        yield from check_label(f"{path}.matchLabels[{key}]", key, value)
    for index, requirement in enumerate(selector.match_expressions):
        at = f"{path}.matchExpressions[{index}]"
        yield from check_label(f"{at}.key", requirement.key, "")
        if requirement.operator in {"In", "NotIn"}:
            if not requirement.values:
                yield Problem(f"{at}.values", f"is required with operator {requirement.operator}")
        elif requirement.operator not in {"Exists", "DoesNotExist"}:
            yield Problem(f"{at}.operator", f"is {requirement.operator!r}, must be In, NotIn, Exists or DoesNotExist")
        elif requirement.values:
            yield Problem(f"{at}.values", f"must be left out with operator {requirement.operator}")


def check_key(at: str, key: str) -> Iterator[Problem]:
    """What keeps the API server from taking the key of a label or an annotation."""
    if _LABEL_KEY.fullmatch(key) is None:
        yield Problem(at, f"{key!r} is not a label's key such as app or app.kubernetes.io/name")


def check_label(at: str, key: str, value: str) -> Iterator[Problem]:
    """What keeps the API server from taking a label."""
    yield from check_key(at, key)
    if _LABEL_VALUE.fullmatch(value) is None:
        yield Problem(at, f"{value!r} is not a label's value: up to 63 letters, digits, '-', '_' and '.'")


def _check_pod(pod: Any, at: str) -> Iterator[Problem]:
    if not isinstance(pod, Mapping):
        yield Problem(at, "is required: the pod to run, with its containers")
        return
    policy = pod.get("restartPolicy")
    if policy is not None and policy not in ("", "Always"):
        yield Problem(f"{at}.restartPolicy", f"is {policy!r}, must be Always or left out")
    containers = pod.get("containers")
    if not isinstance(containers, list) or not containers:
        yield Problem(f"{at}.containers", "is required: a list of at least one container")
        return
    yield from _check_containers(containers, f"{at}.containers")


def _check_metadata(metadata: Any, selector: LabelSelector | None, within: str) -> Iterator[Problem]:
    at = f"{within}.template.metadata"
    if metadata is not None and not isinstance(metadata, Mapping):
        yield Problem(at, "must be an object")
        return
    for field in ("labels", "annotations"):
        values = metadata.get(field) if metadata else None
        if values is not None and not _is_string_map(values):
            yield Problem(f"{at}.{field}", "must map names to texts; put numbers and true or false in quotes")
            return
    labels = (metadata.get("labels") if metadata else None) or {}
    for key, value in labels.items():
        yield from check_label(f"{at}.labels[{key}]", key, value)
    if selector is not None and not selector.matches(labels):
        owner = "the Rollout's" if within == "spec" else "the Experiment's"
        yield Problem(f"{at}.labels", f"must match {within}.selector, or the pods would not be {owner}")


def _check_containers(containers: list[Any], path: str) -> Iterator[Problem]:
    names: set[str] = set()
    for index, container in enumerate(containers):
        at = f"{path}[{index}]"
        if not isinstance(container, Mapping):
            yield Problem(at, "must be an object with name and image")
            continue
        for field in ("name", "image"):
            value = container.get(field)
            if not isinstance(value, str) or not value:
                yield Problem(f"{at}.{field}", "is required, as text")
        name = container.get("name")
        if isinstance(name, str) and name:
            if _DNS_LABEL.fullmatch(name) is None:
                yield Problem(f"{at}.name", f"{name!r} is not a name: up to 63 small letters, digits and '-'")
            if name in names:
                yield Problem(f"{at}.name", f"{name!r} is the name of another container too")
            names.add(name)


def _is_string_map(values: Any) -> bool:
    return isinstance(values, Mapping) and all(isinstance(value, str) for value in values.values())
