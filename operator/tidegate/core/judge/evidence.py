"""E-values, and the mixture over effect sizes that they are averaged with.

An *e-value* is a number that is never negative and is 1 at most on average while the hypothesis that it speaks
against is true. Multiplied up over looks it is a supermartingale, so by Ville's inequality it ever reaches 1/a with
probability a at most, however often one looks (J. Ville, 1939; A. Ramdas et al., Statistical Science 38, 2023). A
weighted mean of e-values is one again. Everything here is in natural logarithms.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

# An effect is a distance on the logarithmic scale of ratios, beyond the ratio that is spoken against. Its prior is
# the gamma distribution of shape 2 and scale 0.35 (mean: twice as often), cut into points evenly spaced in its
# logarithm. A mixture over points is itself exact; there is no error of quadrature in an e-value. Chosen by
# simulation: benchmarks/judge/choices.py.
_SCALE = 0.35
_POINTS = 16


def _mixture() -> tuple[tuple[float, ...], tuple[float, ...]]:
    effects = tuple(math.exp(math.log(0.08) + i * math.log(3.6 / 0.08) / (_POINTS - 1)) for i in range(_POINTS))
    masses = [d * d * math.exp(-d / _SCALE) for d in effects]
    total = math.fsum(masses)
    return effects, tuple(math.log(m / total) for m in masses)


EFFECTS, LOG_WEIGHTS = _mixture()


def log_sum_exp(terms: Iterable[float]) -> float:
    """log of the sum of exponentials; -inf for no terms."""
    values = list(terms)
    top = max(values, default=-math.inf)
    if top == -math.inf:
        return -math.inf
    return top + math.log(math.fsum(math.exp(v - top) for v in values))


def mixed(log_ratios: Sequence[float], log_weights: Sequence[float] = LOG_WEIGHTS) -> float:
    """The log e-value of a weighted mean of likelihood ratios; points that are left out count as zero."""
    return log_sum_exp(w + r for w, r in zip(log_weights, log_ratios, strict=False))


def rarer_than(limit: float, bad: float, total: float, design_effect: float = 1.0) -> float:
    """The log e-value against "at least `limit` of the requests are bad", of one arm alone; an even mixture of binomial
    likelihood ratios at rates below."""
    good = total - bad
    terms = [
        (-d * bad + good * (math.log1p(-limit * math.exp(-d)) - math.log1p(-limit))) / design_effect for d in EFFECTS
    ]
    return log_sum_exp(terms) - math.log(len(terms))


def needed(error: float) -> float:
    """The log e-value that settles a question with this probability of error."""
    return -math.log(error)


def p_value(peak: float) -> float:
    """The always-valid p-value of the highest log e-value so far (Johari et al., Operations Research 70, 2022)."""
    return 1.0 if peak <= 0 else math.exp(-peak)


class Promises(Protocol):
    """What the parameters of every kind promise: see `CountsParameters`."""

    @property
    def false_alarm(self) -> float: ...
    @property
    def false_safe(self) -> float: ...
    @property
    def confidence(self) -> float: ...
    @property
    def tolerated(self) -> float: ...
    @property
    def safe(self) -> float: ...


def check_promises(given: Promises) -> None:
    """Raises ValueError that names what is out of range."""
    for name, value in (("false_alarm", given.false_alarm), ("false_safe", given.false_safe)):
        if not 0 < value < 0.5:
            raise ValueError(f"{name} must lie between 0 and 0.5, not {value}")
    if not 0.5 <= given.confidence < 1:
        raise ValueError(f"confidence must lie between 0.5 and 1, not {given.confidence}")
    if not 1 <= given.tolerated < given.safe <= 20:
        raise ValueError(f"1 <= tolerated < safe <= 20 must hold, not {given.tolerated} and {given.safe}")
