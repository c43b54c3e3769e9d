"""Manifests with the places that their fields stand at, and what is found in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tidegate.core.plan import Key

Severity = Literal["error", "warning"]

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Rollout": ("argoproj.io",),
    "AnalysisTemplate": ("argoproj.io",),
    "ClusterAnalysisTemplate": ("argoproj.io",),
    "AnalysisRun": ("argoproj.io",),
    "Experiment": ("argoproj.io",),
    "Service": ("",),
    "VirtualService": ("networking.istio.io",),
    "DestinationRule": ("networking.istio.io",),
    "Deployment": ("apps",),
    "ReplicaSet": ("apps",),
    "PodTemplate": ("",),
}
"""The kinds that are looked at, and the API groups that they are of."""


@dataclass(frozen=True, eq=False)
class Manifest:
    """One object of a file. lines: the line of each field by its path, `spec.strategy.canary.steps[0]`."""

    raw: Mapping[str, Any]
    file: str = "-"
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Its kind if that is one that is looked at, else nothing."""
        kind = self.raw.get("kind")
        group = str(self.raw.get("apiVersion") or "").rpartition("/")[0]
        return str(kind) if isinstance(kind, str) and group in GROUPS.get(kind, ()) else ""

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._metadata.get("name") or self._metadata.get("generateName") or "")

    @property
    def namespace(self) -> str:
        """Its namespace; empty where the file leaves that to whoever applies it."""
        return str(self._metadata.get("namespace") or "")

    @property
    def _metadata(self) -> Mapping[str, Any]:
        metadata = self.raw.get("metadata")
        return metadata if isinstance(metadata, Mapping) else {}

    def finding(self, severity: Severity, rule: str, path: str, message: str) -> Finding:
        """Something found at a path, with the line of that or of what is around it."""
        return Finding(
            severity, rule, self.file, self.line(path), str(self.raw.get("kind") or ""), self.name, path, message
        )

    def line(self, path: str) -> int:
        """The line of a field; of the nearest field around it that is there."""
        while path not in self.lines and path:
            cut = max(path.rfind("."), path.rfind("["))
            path = path[:cut] if cut > 0 else ""
        return self.lines.get(path, 0)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and where. line: 0 where it is not known."""

    severity: Severity
    rule: str
    file: str
    line: int
    kind: str
    name: str
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        about = f" {self.kind} {self.name}".rstrip() if self.kind else ""
        path = f" {self.path}" if self.path else ""
        return f"{place}: {self.severity} [{self.rule}]{about}:{path} {self.message}"


@dataclass(frozen=True)
class Manifests:
    """All manifests that are looked at together."""

    all: tuple[Manifest, ...]

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object of this name. A namespace that one side leaves open fits every other."""
        for manifest in self.all:
            if manifest.kind == kind and manifest.name == name:
                theirs = "" if kind == "ClusterAnalysisTemplate" else manifest.namespace
                if not theirs or not namespace or theirs == namespace:
                    return manifest
        return None

    def raw(self, key: Key) -> Mapping[str, Any] | None:
        """The content of the object at an address, if it is there."""
        found = self.find(*key)
        return found.raw if found else None

    def of_kind(self, kind: str) -> list[Manifest]:
        """All objects of a kind."""
        return [manifest for manifest in self.all if manifest.kind == kind]

    @property
    def only_rollouts(self) -> bool:
        """Whether nothing but Rollouts is there, so that what they name is evidently elsewhere."""
        return all(manifest.kind == "Rollout" for manifest in self.all)
