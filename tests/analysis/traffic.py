"""Two versions whose pods count their requests, and a Prometheus that scrapes them when it pleases.

The answers are worked out from the samples by the window that a measure bears, as the PromQL in its query has it;
`tests/providers/test_prometheus_lab.py` holds that PromQL against the real Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tidegate.core.analysis.compare.windows import ARM, FORGOTTEN, PART
from tidegate.core.analysis.world import Measure, Reading

ARMS = {"canary": {"podTemplateHash": "6f"}, "stable": {"podTemplateHash": "5a"}}


def compared(name: str = "errors", compare: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A metric that compares counts, every 30 seconds."""
    selector = 'requests{hash="{{arm.podTemplateHash}}"}'
    counts = {"total": selector, "bad": 'requests{hash="{{arm.podTemplateHash}}",code="500"}'}
    return {
        "name": name,
        "interval": "30s",
        "provider": {"prometheus": {"address": "http://prometheus"}},
        "compare": {"arms": ARMS, **(compare or {"counts": counts})},
        **fields,
    }


def answer(parts: Iterable[tuple[str, str, str, float]], *, known: bool = True) -> Reading:
    """A reading of (arm, part, pod, value)."""
    found = [({ARM: arm, PART: part, **({"pod": pod} if pod else {})}, value) for arm, part, pod, value in parts]
    if known:
        found.append(({ARM: "stable", PART: "known"}, 1.0))
    return Reading(value=tuple(found))


def counts(canary: tuple[float, float], stable: tuple[float, float]) -> Reading:
    """A reading of counts: bad and total of each arm."""
    arms = {"canary": canary, "stable": stable}
    return answer(
        (arm, part, "p", value)
        for arm, both in arms.items()
        for part, value in zip(("bad", "total"), both, strict=True)
    )


def steadily(canary: tuple[float, float], stable: tuple[float, float]) -> Callable[[Measure, int], Reading]:
    """Counts that grow with the window: bad and total in a second of each arm."""

    def say(measure: Measure, _: int) -> Reading:
        assert measure.window is not None
        seconds = measure.window.seconds
        return counts((canary[0] * seconds, canary[1] * seconds), (stable[0] * seconds, stable[1] * seconds))

    return say


@dataclass
class Series:
    """A pod's counter as it was scraped: times and values."""

    arm: str
    pod: str
    samples: list[tuple[datetime, float]] = field(default_factory=list)

    def last(self, at: datetime) -> float | None:
        seen = [value for when, value in self.samples if at - FORGOTTEN < when <= at]
        return seen[-1] if seen else None

    def increase(self, measure: Measure) -> float | None:
        assert measure.window is not None
        after, before = self.last(measure.window.end), self.last(measure.window.start)
        if after is None:
            return None
        return after if before is None or after < before else after - before


def scraped(series: Iterable[Series]) -> Callable[[Measure, int], Reading]:
    """Answers of a Prometheus that has these series of requests, none of them bad."""
    known = list(series)

    def say(measure: Measure, _: int) -> Reading:
        assert measure.window is not None
        start = measure.window.start
        parts = [(s.arm, "total", s.pod, found) for s in known if (found := s.increase(measure)) is not None]
        there = any(s.last(start) is not None for s in known if s.arm == "stable")
        return answer(parts, known=there)

    return say
