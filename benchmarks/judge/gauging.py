"""Latency histograms and gauges, played through the real judge."""

import numpy as np

from benchmarks.judge.tables import Table, mean, share
from benchmarks.judge.vector import NEVER
from tidegate.core.judge import distribution, samples
from tidegate.core.judge.finding import Verdict

EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LATENCY = distribution.DistributionParameters()
NAMES = tuple(f"pod-{i}" for i in range(12))
GAUGE = samples.SamplesParameters()


def latency(runs: int, seed: int) -> Table:
    """Log-normal latencies, median 80 ms, 99 % within half a second; 30 s looks at 33 requests a second; 10 % on
    the canary."""
    table = Table(
        "latency",
        "Histograms with 11 edges, 60 looks of 1,000 requests, 10 % on the canary",
        ("world", "called worse", "called safe", "mean look of worse"),
    )
    table.begin()
    worlds = [
        ("equal", _same, 0.0, 0.0),
        ("equal, both drift by a third each look", _same, 0.3, 0.0),
        ("equal, each arm drifts by 5 % by itself (not promised)", _same, 0.0, 0.05),
        ("5 % slower throughout (tolerable)", _slower(1.05), 0.0, 0.0),
        ("20 % slower throughout", _slower(1.2), 0.0, 0.0),
        ("50 % slower throughout", _slower(1.5), 0.0, 0.0),
        ("2 % of requests 10 times as slow", _tail(0.02, 10), 0.0, 0.0),
        ("1 % of requests take 3 s more", _stuck(0.01, 3.0), 0.0, 0.0),
        ("20 % faster", _slower(0.8), 0.0, 0.0),
    ]
    for number, (name, change, drift, own) in enumerate(worlds):
        rng = np.random.default_rng((seed, 1000 + number))
        stories = [_latency_story(rng, change, drift, own) for _ in range(runs)]
        found = np.array([at for verdict, at in stories if verdict is Verdict.WORSE])
        table.row(
            name,
            share([v is Verdict.WORSE for v, _ in stories]),
            share([v is Verdict.SAFE for v, _ in stories]),
            mean(found) if len(found) else None,
        )
    return table


def _same(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    return values


def _slower(factor: float):  # type: ignore[no-untyped-def]
    return lambda rng, values: values * factor


def _tail(part: float, factor: float):  # type: ignore[no-untyped-def]
    return lambda rng, values: np.where(rng.uniform(size=len(values)) < part, values * factor, values)


def _stuck(part: float, seconds: float):  # type: ignore[no-untyped-def]
    return lambda rng, values: values + seconds * (rng.uniform(size=len(values)) < part)


def _latency_story(rng: np.random.Generator, change, drift: float, own: float) -> tuple[Verdict, int]:  # type: ignore[no-untyped-def]
    """The verdict of the run, as a run would take it: worse at once, else what the last look says."""
    state = distribution.DistributionState()
    for _ in range(60):
        shared = rng.normal(0, drift)
        arms = []
        for size, altered in ((100, True), (900, False)):
            values = np.exp(rng.normal(np.log(0.08) + shared + rng.normal(0, own), 0.8, rng.poisson(size)))
            arms.append(_histogram(change(rng, values) if altered else values))
        state = distribution.observe(LATENCY, state, distribution.DistributionLook(EDGES, *arms, 30.0))
        if state.against.crossed:
            return Verdict.WORSE, state.looks
    return distribution.judge(LATENCY, state).verdict, NEVER


def _histogram(values: np.ndarray) -> distribution.Histogram:
    within = np.searchsorted(np.sort(values), EDGES, side="right")
    return distribution.Histogram(float(len(values)), tuple(float(w) for w in within))


def gauges(runs: int, seed: int) -> Table:
    table = Table(
        "gauges",
        "Gauges by pod, 60 looks, 3 canary and 9 stable pods, values scatter by 10 % from look to look (approximate)",
        (
            "pods' scatter",
            "neighbours' correlation",
            "1.1 times (tolerated): worse",
            "1.5 times: worse",
            "1.0 times: safe",
        ),
    )
    table.begin()
    worlds = [(0.0, 0.0), (0.0, 0.8), (0.0, 0.95), (0.05, 0.5), (0.1, 0.8), (0.3, 0.8)]
    for number, (pods, correlation) in enumerate(worlds):
        rng = np.random.default_rng((seed, 1100 + number))
        found = [
            [_gauge_story(rng, ratio, pods, correlation) is wanted for _ in range(runs)]
            for ratio, wanted in ((1.1, Verdict.WORSE), (1.5, Verdict.WORSE), (1.0, Verdict.SAFE))
        ]
        table.row(f"{100 * pods:g} %", correlation, *(share(f) for f in found))
    return table


def _gauge_story(rng: np.random.Generator, ratio: float, scatter: float, correlation: float) -> Verdict:
    level = np.exp(rng.normal(0, scatter, 12)) * np.where(np.arange(12) < 3, ratio, 1.0)
    noise = rng.normal(0, 0.1, 12)
    state = samples.SamplesState()
    for _ in range(60):
        noise = correlation * noise + rng.normal(0, 0.1 * (1 - correlation**2) ** 0.5, 12)
        values = (level * np.exp(noise)).tolist()
        state = samples.observe(
            GAUGE, state, samples.SamplesLook(tuple(values[:3]), tuple(values[3:]), 30.0, None, NAMES[:3], NAMES[3:])
        )
        if state.against.crossed:
            return Verdict.WORSE
    return samples.judge(GAUGE, state).verdict
