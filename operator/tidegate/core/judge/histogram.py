"""Histograms as they are counted: cumulative by the buckets' upper edges."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

MOST_EDGES = 16


@dataclass(frozen=True, slots=True)
class Histogram:
    """One arm in one interval: all requests, and how many were no slower than each edge (as Prometheus counts by
    `le`)."""

    total: float
    within: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = (0.0, *self.within, self.total)
        if not (math.isfinite(self.total) and all(a <= b for a, b in pairwise(rising))):
            raise ValueError(f"a histogram's counts must rise from 0 to its total, not {self.within} and {self.total}")

    @property
    def slower(self) -> tuple[float, ...]:
        return tuple(self.total - w for w in self.within)


@dataclass(frozen=True, slots=True)
class DistributionLook:
    """edges: finite upper bounds of the buckets, rising; the same in every look. seconds, at: as for counts."""

    edges: tuple[float, ...]
    canary: Histogram
    stable: Histogram
    seconds: float = 0.0
    at: str | None = None

    def __post_init__(self) -> None:
        if not self.edges or any(a >= b for a, b in pairwise(self.edges)):
            raise ValueError(f"edges must rise, not {self.edges}")
        if not len(self.edges) == len(self.canary.within) == len(self.stable.within):
            raise ValueError("both histograms need one count for each edge")


def look_at_buckets(
    canary: Mapping[float, float],
    stable: Mapping[float, float],
    seconds: float = 0.0,
    at: str | None = None,
    edges: tuple[float, ...] = (),
) -> DistributionLook:
    """A look from counts by `le` (cumulative, with +Inf). Without `edges` (the state's, from the second look on),
    the edges that both arms have, at most MOST_EDGES of them, evenly thinned. ValueError where there are none or
    one is missing."""
    common = sorted(e for e in canary.keys() & stable.keys() if math.isfinite(e))
    if not edges:
        if not common:
            raise ValueError("the two histograms have no bucket in common")
        step = max(1.0, len(common) / MOST_EDGES)
        edges = tuple(common[int(i * step)] for i in range(min(len(common), MOST_EDGES)))
    missing = [e for e in edges if e not in canary or e not in stable]
    if missing:
        raise ValueError(f"a histogram lacks the bucket {missing[0]:g}, which earlier looks had")

    def one(counts: Mapping[float, float]) -> Histogram:
        within = tuple(counts[e] for e in edges)
        return Histogram(counts.get(math.inf, max(counts.values(), default=0.0)), within)

    return DistributionLook(edges, one(canary), one(stable), seconds, at)
