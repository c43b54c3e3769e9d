"""What the store keeps of each kind, and which changes of it matter to anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Obj = dict[str, Any]

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def differs(old: Obj, new: Obj) -> bool:
    """Whether anything but the resource version has changed."""
    if old.keys() != new.keys():
        return True
    for name, value in new.items():
        if name != "metadata" and old[name] != value:
            return True
    return _steady(old["metadata"]) != _steady(new["metadata"])


def _steady(metadata: Mapping[str, Any]) -> Obj:
    return {name: value for name, value in metadata.items() if name != "resourceVersion"}


@dataclass(frozen=True, slots=True)
class KindRules:
    """How one kind is kept.

    project: what to keep of an object, to save memory. It must keep name, namespace, uid, resourceVersion and
        ownerReferences in `metadata`. It may change its argument, which nobody else has seen.
    significant: whether readers should look again, given the object before and after. It must compare the
        parts that matter for equality; with a threshold, a change made in two small halves would be missed.
    """

    project: Callable[[Obj], Obj] | None = None
    significant: Callable[[Obj, Obj], bool] = differs


def strip(metadata: Obj) -> None:
    """Drop the two fields that can outweigh the rest of an object and say nothing to us."""
    metadata.pop("managedFields", None)
    annotations = metadata.get("annotations")
    if annotations and _LAST_APPLIED in annotations:
        del annotations[_LAST_APPLIED]
        if not annotations:
            del metadata["annotations"]
