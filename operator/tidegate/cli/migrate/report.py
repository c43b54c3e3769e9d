"""What becomes of one object, and what a person has to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Weight = Literal["lost", "check", "changed"]


@dataclass(frozen=True, slots=True)
class Note:
    """One remark. lost: it has no equal. check: it was translated by a guess. changed: it is said in another way."""

    weight: Weight
    path: str
    text: str

    def __str__(self) -> str:
        words = {"lost": "NO EQUAL", "check": "CHECK", "changed": "changed"}[self.weight]
        return f"{words}: {self.path}: {self.text}" if self.path else f"{words}: {self.text}"


@dataclass(slots=True)
class Move:
    """What becomes of one object.

    verdict: unchanged (applies as it is), translated (into `manifests`), or refused (a person has to change it first).
    steps: what to do, in order. handover: manifests that stand only while both controllers' pods are up.
    """

    kind: str
    namespace: str
    name: str
    verdict: Literal["unchanged", "translated", "refused"]
    notes: list[Note] = field(default_factory=list)
    manifests: list[Mapping[str, Any]] = field(default_factory=list)
    handover: list[Mapping[str, Any]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def lost(self, path: str, text: str) -> None:
        """Remark that something has no equal."""
        self.notes.append(Note("lost", path, text))

    def check(self, path: str, text: str) -> None:
        """Remark that something was translated by a guess."""
        self.notes.append(Note("check", path, text))

    def changed(self, path: str, text: str) -> None:
        """Remark that something is said in another way."""
        self.notes.append(Note("changed", path, text))
