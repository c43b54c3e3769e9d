"""Streams of counts: what a canary and stable would show, look by look, in many rollouts at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows are rollouts, columns are looks."""

    canary_bad: Array
    canary: Array
    stable_bad: Array
    stable: Array
    seconds: float


@dataclass(frozen=True, slots=True)
class World:
    """requests: a second, of both arms. base: stable's error rate. shares: of the canary, one a look. drift: what
    both arms' rates are multiplied by in each look. own: the shape of a gamma of mean 1 that each arm's rate is
    multiplied by in each look by itself; None for none. pods: their numbers, and the variation coefficient of their
    rates, which stay.
    """

    requests: float
    base: float
    shares: tuple[float, ...]
    ratio: float = 1.0
    seconds: float = 30.0
    drift: Callable[[Generator, int, int], Array] | None = None
    own: float | None = None
    worse_from: int = 0
    traffic: Callable[[Generator, int, int], Array] | None = None

    def stream(self, rng: Generator, runs: int) -> Stream:
        looks = len(self.shares)
        shares = np.array(self.shares)
        sent = np.full((runs, looks), self.requests * self.seconds)
        if self.traffic:
            sent = sent * self.traffic(rng, runs, looks)
        canary = rng.poisson(sent * shares).astype(float)
        stable = rng.poisson(sent * (1 - shares)).astype(float)
        rate = np.full((runs, looks), self.base)
        if self.drift:
            rate = rate * self.drift(rng, runs, looks)
        ratio = np.where(np.arange(looks) >= self.worse_from, self.ratio, 1.0)
        canary_rate, stable_rate = rate * ratio, rate
        if self.own:
            canary_rate = canary_rate * rng.gamma(self.own, 1 / self.own, (runs, looks))
            stable_rate = stable_rate * rng.gamma(self.own, 1 / self.own, (runs, looks))
        return Stream(
            canary_bad=rng.binomial(canary.astype(int), np.minimum(canary_rate, 1)).astype(float),
            canary=canary,
            stable_bad=rng.binomial(stable.astype(int), np.minimum(stable_rate, 1)).astype(float),
            stable=stable,
            seconds=self.seconds,
        )


def growing(looks: int, first: float = 0.05, last: float = 0.5) -> tuple[float, ...]:
    return tuple(float(s) for s in np.linspace(first, last, looks))


def steps(*shares: float, looks_each: int = 20) -> tuple[float, ...]:
    return tuple(s for s in shares for _ in range(looks_each))


def shared_gamma(shape: float) -> Callable[[Generator, int, int], Array]:
    """Both arms have good and bad moments together."""
    return lambda rng, runs, looks: rng.gamma(shape, 1 / shape, (runs, looks))


def day(rng: Generator, runs: int, looks: int) -> Array:
    """From a third to three times the rate and back, from anywhere on."""
    phase = rng.uniform(0, 2 * np.pi, (runs, 1))
    return np.exp(np.log(3.0) * np.sin(phase + np.linspace(0, 2 * np.pi, looks)))


def bursts(rng: Generator, runs: int, looks: int) -> Array:
    """In one look of twenty an incident begins that multiplies the rate by 20 for three looks."""
    begins = rng.uniform(size=(runs, looks)) < 0.05
    burning = begins.copy()
    for later in (1, 2):
        burning[:, later:] |= begins[:, :-later]
    return np.where(burning, 20.0, 1.0)


def uneven_traffic(rng: Generator, runs: int, looks: int) -> Array:
    return rng.gamma(2.0, 0.5, (runs, looks))
