"""Is the canary slower? For latency histograms, over the whole distribution, at every edge of a bucket at once.

At each edge: is the share of requests slower than it more than `tolerated` times stable's? (`tails` has the e-value
and why it is valid under changing weights and drift.) The mean over edges is an e-value too, whatever the edges
have to do with each other; so a canary that is slower only in its tail is found at the edges of the tail, at the
price of the logarithm of the number of edges. Safe asks for more: at every edge up to the quantile `covers`, let it
be 0.99, it must be excluded that `safe` times as many requests are slower as with stable, or as the 1 % that lie
beyond that quantile by definition.
"""

import math
from bisect import bisect_left
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from . import wording
from .curve import EMPTY, added
from .edge import Edge, from_columns, to_columns
from .evidence import check_promises, log_sum_exp, needed
from .finding import Estimate, Evidence, Finding, Peak, Remaining, Verdict, evidence_of, verdict_of
from .forecast import forecast
from .histogram import DistributionLook, Histogram, look_at_buckets
from .ratio import ratio_of

__all__ = [
    "DistributionLook",
    "DistributionParameters",
    "DistributionState",
    "Histogram",
    "judge",
    "look_at_buckets",
    "observe",
    "too_coarse",
]


@dataclass(frozen=True, slots=True)
class DistributionParameters:
    """tolerated, safe: how many times as many requests may be slower than an edge. covers: the quantile up to which
    a canary that is called safe was compared. unit: of the edges, for sentences. The rest as for counts."""

    false_alarm: float = 0.01
    tolerated: float = 1.25
    safe: float = 2.0
    false_safe: float = 0.05
    covers: float = 0.99
    confidence: float = 0.95
    unit: str = "s"
    noun: str = "requests"
    shared_by: int = 1

    def __post_init__(self) -> None:
        check_promises(self)
        if not 0.5 < self.covers < 1:
            raise ValueError(f"covers must lie between 0.5 and 1, not {self.covers}")


@dataclass(frozen=True, slots=True)
class DistributionState:
    """About 350 bytes of JSON an edge; no more with more looks."""

    looks: int = 0
    seconds: float = 0.0
    canary_total: float = 0.0
    stable_total: float = 0.0
    edges: tuple[float, ...] = ()
    at_edges: tuple[Edge, ...] = ()
    against: Peak = field(default_factory=Peak)
    favour: Peak = field(default_factory=Peak)

    def to_json(self) -> dict[str, Any]:
        plain = {name: value for name, value in asdict(replace(self, at_edges=())).items() if name != "at_edges"}
        return {**plain, "at_edges": to_columns(self.at_edges)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "DistributionState":
        return cls(
            looks=int(value["looks"]),
            seconds=float(value["seconds"]),
            canary_total=float(value["canary_total"]),
            stable_total=float(value["stable_total"]),
            edges=tuple(float(e) for e in value["edges"]),
            at_edges=from_columns(value["at_edges"]),
            against=Peak.from_json(value["against"]),
            favour=Peak.from_json(value["favour"]),
        )


def observe(parameters: DistributionParameters, state: DistributionState, look: DistributionLook) -> DistributionState:
    """The state after one more look; ValueError if the buckets have changed."""
    if state.edges and state.edges != look.edges:
        raise ValueError("the histogram's buckets are not those of the looks before")
    at_edges = tuple(
        edge.seen(
            slow,
            look.canary.total,
            stable_slow,
            look.stable.total,
            tolerated=parameters.tolerated,
            safe=parameters.safe,
        )
        for edge, slow, stable_slow in zip(
            state.at_edges or (Edge(),) * len(look.edges), look.canary.slower, look.stable.slower, strict=True
        )
    )
    seen = DistributionState(
        looks=state.looks + 1,
        seconds=state.seconds + look.seconds,
        canary_total=state.canary_total + look.canary.total,
        stable_total=state.stable_total + look.stable.total,
        edges=look.edges,
        at_edges=at_edges,
    )
    against, favour = _against(seen), _favour(parameters, seen)
    return replace(
        seen,
        against=state.against.after(against, needed(parameters.false_alarm), seen.looks, look.at),
        favour=state.favour.after(favour, needed(parameters.false_safe), seen.looks, look.at),
    )


def judge(parameters: DistributionParameters, state: DistributionState) -> Finding:
    """What the looks so far say; the ratio is that of the edge with the most evidence against the canary."""
    against = evidence_of(_against(state), state.against, parameters.false_alarm)
    favour = evidence_of(_favour(parameters, state), state.favour, parameters.false_safe)
    verdict = verdict_of(against, favour)
    told = _told(parameters, state, verdict)
    edge = state.at_edges[told] if state.at_edges else Edge()
    effect = edge.scatter.design_effect()
    finding = Finding(
        verdict=verdict,
        against=against,
        favour=favour,
        ratio=_estimate(parameters, state, edge),
        remaining=_remaining(parameters, state, against, favour) if verdict is Verdict.NOT_YET else None,
        design_effect=effect,
        looks=state.looks,
        data=state.canary_total > 0 and state.stable_total > 0,
        arms={"canary": _quantiles(state, canary=True), "stable": _quantiles(state, canary=False)},
        sentence="",
        cautions=wording.cautions(effect, 0.0) + _coarse(parameters, state),
    )
    return replace(finding, sentence=_sentence(parameters, state, finding, told))


def _against(state: DistributionState, stretched: float = 1.0) -> float:
    if not state.at_edges:
        return 0.0
    return log_sum_exp(e.log_against(stretched) for e in state.at_edges) - math.log(len(state.at_edges))


def _covered(parameters: DistributionParameters, state: DistributionState) -> list[int]:
    """The edges that "safe" is about: from where `safe` times as many is possible at all, to the first one that
    lies beyond the quantile covered; what is slower than later edges is slower than that one."""
    if not state.stable_total:
        return []
    covered = []
    for i, edge in enumerate(state.at_edges):
        share = edge.stable_slow / state.stable_total
        if share <= 1 / parameters.safe:
            covered.append(i)
        if share < 1 - parameters.covers:
            break
    return covered


def _edge_favour(parameters: DistributionParameters, state: DistributionState, i: int, stretched: float = 1.0) -> float:
    limit = parameters.safe * (1 - parameters.covers)
    return state.at_edges[i].log_favour(state.canary_total, limit, stretched)


def _favour(parameters: DistributionParameters, state: DistributionState, stretched: float = 1.0) -> float:
    """As little as at the edge that says least: safe means that each of them is excluded to be worse."""
    return min((_edge_favour(parameters, state, i, stretched) for i in _covered(parameters, state)), default=0.0)


def _told(parameters: DistributionParameters, state: DistributionState, verdict: Verdict) -> int:
    """Which edge the sentence is about: the one that decides."""
    if not state.at_edges:
        return 0
    covered = _covered(parameters, state)
    if verdict is Verdict.SAFE and covered:
        return min(covered, key=lambda i: _edge_favour(parameters, state, i))
    return max(range(len(state.at_edges)), key=lambda i: state.at_edges[i].log_against())


def _estimate(parameters: DistributionParameters, state: DistributionState, edge: Edge) -> Estimate:
    """Mantel and Haenszel's ratio at the edge. Its ends take all looks for one whose share gives that ratio, which
    is exact only if the canary's share of the traffic never changed."""
    slow, stable_slow = edge.canary_slow, edge.stable_slow
    total = state.canary_total + state.stable_total
    if not slow + stable_slow or not state.canary_total or not state.stable_total:
        return Estimate(None, None, None, parameters.confidence)
    share = state.canary_total / total
    if edge.canary_excess and edge.stable_excess:
        share = 1 / (1 + edge.canary_excess / edge.stable_excess * stable_slow / slow)
    return ratio_of(
        added(EMPTY, share, slow + stable_slow),
        slow,
        stable_slow,
        design_effect=edge.scatter.design_effect() * max(0.01, 1 - (slow + stable_slow) / total),
        confidence=parameters.confidence,
        picked_from=len(state.at_edges),
    )


def _remaining(
    parameters: DistributionParameters, state: DistributionState, against: Evidence, favour: Evidence
) -> Remaining:
    if not state.seconds or not state.canary_total or not state.stable_total:
        return Remaining(None, min(against.missing, favour.missing), None, None)

    def stretched(seconds: float) -> float:
        return 1 + seconds / state.seconds

    return forecast(
        against,
        favour,
        lambda s: _against(state, stretched(s)) >= against.needed,
        lambda s: _favour(parameters, state, stretched(s)) >= favour.needed,
        (state.canary_total + state.stable_total) / state.seconds,
    )


def _quantiles(state: DistributionState, *, canary: bool) -> dict[str, float]:
    """As Prometheus' histogram_quantile: straight lines inside buckets, the last finite edge for what lies above it."""
    total = state.canary_total if canary else state.stable_total
    said = {"total": total}
    if not total:
        return said
    within = [total - (e.canary_slow if canary else e.stable_slow) for e in state.at_edges]
    for name, quantile in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        rank = quantile * total
        i = bisect_left(within, rank)
        if i == len(within):
            said[name] = state.edges[-1]
            continue
        start, below = (state.edges[i - 1], within[i - 1]) if i else (min(0.0, state.edges[0]), 0.0)
        inside = within[i] - below
        said[name] = start + (state.edges[i] - start) * ((rank - below) / inside if inside else 1.0)
    return said


def too_coarse(parameters: DistributionParameters, state: DistributionState) -> bool:
    """Whether no canary can ever be called safe by these buckets, as most of stable's requests lie beyond them all."""
    return bool(state.stable_total) and not _covered(parameters, state)


def _coarse(parameters: DistributionParameters, state: DistributionState) -> tuple[str, ...]:
    if not too_coarse(parameters, state):
        return ()
    return (
        f"no bucket's edge lies between stable's quantiles {1 - 1 / parameters.safe:g} and {parameters.covers:g}: "
        "the histogram is too coarse for a canary to be called safe",
    )


def _sentence(parameters: DistributionParameters, state: DistributionState, finding: Finding, told: int) -> str:
    if not finding.data:
        absent = wording.absent(state.canary_total, state.stable_total)
        return f"{absent} had no {parameters.noun} so far: nothing to compare."
    edge = state.at_edges[told]
    canary, stable = edge.canary_slow / state.canary_total, edge.stable_slow / state.stable_total
    said = (
        f"canary is slower than {state.edges[told]:g} {parameters.unit} in {wording.percent(canary)} of "
        f"{wording.number(state.canary_total)} {parameters.noun}, stable in {wording.percent(stable)} of "
        f"{wording.number(state.stable_total)}"
    )
    budget = wording.budget(parameters.false_alarm, parameters.shared_by)
    return f"{said}: {wording.verdict(finding, parameters.tolerated, parameters.safe, budget)}"
