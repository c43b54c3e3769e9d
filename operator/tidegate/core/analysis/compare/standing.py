"""What the status keeps of a comparison: where the last window ended, the judge's state, and a record for people.

The state is all that the next look needs, so that a process that takes over goes on exactly. It goes when the metric
has ended; the record stays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from tidegate.core.analysis.compare.answers import Seen
from tidegate.core.analysis.compare.windows import Window
from tidegate.core.judge import Finding, Verdict
from tidegate.core.times import format_time, parse_time

TRAIL: Final = 40
"""Points of the evidence's way that are kept for a chart; from then on every second one, and so on."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A metric's entry `compare` in the status.

    since, up_to: the last look's window; None before the first look. enough: whether there has been enough traffic
    for a verdict. trail: [look, evidence against, evidence for] as shares of what is needed.
    """

    kind: str = ""
    verdict: str = ""
    message: str = ""
    since: datetime | None = None
    up_to: datetime | None = None
    enough: bool = False
    record: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)

    @property
    def worse(self) -> bool:
        return self.verdict == Verdict.WORSE

    @property
    def safe(self) -> bool:
        return self.verdict == Verdict.SAFE

    @property
    def mild(self) -> bool:
        """Worse, but by less than what a critical metric fails the whole run by."""
        return self.worse and bool(self.record.get("mild"))

    def after(self, kind: str, seen: Seen, window: Window) -> Standing:
        """The standing after one more look."""
        finding = seen.finding
        trail = _longer(self.record.get("trail") or (), finding)
        return Standing(
            kind=kind,
            verdict=finding.verdict.value,
            message=finding.sentence,
            since=window.start,
            up_to=window.end,
            enough=seen.enough,
            record={**_record(finding), "trail": trail},
            state=_plain(seen.state),
        )

    def skipping(self, kind: str, window: Window, why: str) -> Standing:
        """The standing after a window that is no look."""
        return replace(self, kind=kind, since=window.start, up_to=window.end, message=self.message or why)

    def ended(self) -> Standing:
        return replace(self, state={})

    @classmethod
    def read(cls, raw: Mapping[str, Any] | None) -> Standing:
        raw = raw or {}
        return cls(
            kind=str(raw.get("kind") or ""),
            verdict=str(raw.get("verdict") or ""),
            message=str(raw.get("message") or ""),
            since=parse_time(raw["since"]) if raw.get("since") else None,
            up_to=parse_time(raw["upTo"]) if raw.get("upTo") else None,
            enough=bool(raw.get("enough")),
            record=raw.get("record") or {},
            state=raw.get("state") or {},
        )

    def write(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            **({"verdict": self.verdict} if self.verdict else {}),
            **({"message": self.message} if self.message else {}),
            **({"since": format_time(self.since)} if self.since else {}),
            **({"upTo": format_time(self.up_to)} if self.up_to else {}),
            **({"enough": True} if self.enough else {}),
            **({"record": dict(self.record)} if self.record else {}),
            **({"state": dict(self.state)} if self.state else {}),
        }


def _record(finding: Finding) -> dict[str, Any]:
    """A finding for people: four digits are more than anybody needs."""
    told = {name: value for name, value in finding.to_json().items() if name not in ("verdict", "sentence", "mild")}
    record: dict[str, Any] = _rounded(told)
    return {**record, **({"mild": True} if finding.mild else {})}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: kept for name, item in value.items() if (kept := _rounded(item)) not in (None, [], {})}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """JSON as the API server keeps it: no nulls in objects, no tuples."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _longer(trail: Sequence[Any], finding: Finding) -> list[list[float]]:
    """The trail with one more point. A full one loses every second point, and then takes every second look only."""
    points = [list(point) for point in trail]
    against, favour = finding.against, finding.favour
    point = [finding.looks, _share(against.log_e, against.needed), _share(favour.log_e, favour.needed)]
    stride = points[1][0] - points[0][0] if len(points) > 1 else 1
    if len(points) > 1 and points[-1][0] - points[-2][0] < stride:
        points[-1] = point
    else:
        points.append(point)
    return points[::2] if len(points) > TRAIL else points


def _share(log_e: float, needed: float) -> float:
    return round(max(-9.99, min(log_e / needed, 9.99)), 2)
