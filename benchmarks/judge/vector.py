"""The judge of counts for many streams at once, and its rivals. tests/judge/test_simulations.py holds the first
against the real one."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from benchmarks.judge.streams import Array, Stream
from tidegate.core.judge import dispersion
from tidegate.core.judge.counts import LOOKS_WORSE, CountsParameters
from tidegate.core.judge.evidence import EFFECTS, LOG_WEIGHTS, needed
from tidegate.core.judge.mann_whitney import Direction, MannWhitneyParameters, Mark, classify

NEVER = 10**9


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The look, from 1, at which each stream was first called worse, and first safe; NEVER if it was not."""

    worse: Array
    safe: Array
    against: Array


def mixed(terms: Array, log_weights: Array) -> Array:
    shifted = terms + log_weights
    top = shifted.max(axis=1)
    return top + np.log(np.exp(shifted - top[:, None]).sum(axis=1))


def judged(
    stream: Stream,
    parameters: CountsParameters,
    *,
    guard: bool = True,
    safe: bool = True,
    mixture: tuple[Array, Array] | None = None,
    trace: bool = False,
) -> Verdicts:
    effects, log_weights = mixture or (np.array(EFFECTS), np.array(LOG_WEIGHTS))
    runs, looks = stream.canary.shape
    origin, far = math.log(parameters.tolerated), math.log(parameters.safe)
    up, up0 = np.expm1(origin + effects), math.expm1(origin)
    down, down0 = np.expm1(far - effects), math.expm1(far)
    against, favour = np.zeros((runs, len(effects))), np.zeros((runs, len(effects)))
    worse_at, safe_at = np.full(runs, NEVER), np.full(runs, NEVER)
    path = np.zeros((runs, looks)) if trace else np.zeros((0, 0))
    scatter = _Scatter(runs)
    total, bad = np.zeros(runs), np.zeros(runs)
    for j in range(looks):
        c, b = stream.canary_bad[:, j], stream.stable_bad[:, j]
        sent = stream.canary[:, j] + stream.stable[:, j]
        share = np.divide(stream.canary[:, j], sent, out=np.zeros(runs), where=sent > 0)
        n = c + b
        against += np.outer(c, effects) - n[:, None] * (np.log1p(np.outer(share, up)) - np.log1p(share * up0)[:, None])
        scatter.see(share, c, b)
        effect = scatter.design_effect() if guard else np.ones(runs)
        evidence = mixed(against / effect[:, None], log_weights)
        worse_at[(evidence >= needed(parameters.false_alarm)) & (worse_at == NEVER)] = j + 1
        if trace:
            path[:, j] = evidence
        if safe:
            favour -= np.outer(c, effects) + n[:, None] * (
                np.log1p(np.outer(share, down)) - np.log1p(share * down0)[:, None]
            )
            total += stream.canary[:, j]
            bad += c
            certain = _favour(parameters, mixed(favour / effect[:, None], log_weights), evidence, bad, total, effect)
            safe_at[(certain >= needed(parameters.false_safe)) & (safe_at == NEVER) & (worse_at == NEVER)] = j + 1
    return Verdicts(worse_at, safe_at, path)


def _favour(
    parameters: CountsParameters, relative: Array, against: Array, bad: Array, total: Array, effect: Array
) -> Array:
    limit = parameters.negligible
    if not limit:
        return relative
    terms = np.stack(
        [
            (-d * bad + (total - bad) * (math.log1p(-limit * math.exp(-d)) - math.log1p(-limit))) / effect
            for d in EFFECTS
        ],
        axis=1,
    )
    absolute = mixed(terms, np.full(len(EFFECTS), -math.log(len(EFFECTS))))
    absolute = np.where(against > LOOKS_WORSE, -np.inf, absolute)
    return np.logaddexp(relative, absolute) - math.log(2)


class _Scatter:
    """dispersion.Scatter, for all streams at once."""

    def __init__(self, runs: int) -> None:
        self.squares, self.variance, self.variance_squares = np.zeros(runs), np.zeros(runs), np.zeros(runs)
        self.looks, self.looks_squares, self.information = np.zeros(runs), np.zeros(runs), np.zeros(runs)
        self.canary, self.stable = np.zeros(runs), np.zeros(runs)

    def see(self, share: Array, c: Array, b: Array) -> None:
        n = c + b
        told = (n > 0) & (share > 0) & (share < 1)
        ratio = (self.canary + 0.5) / (self.stable + 0.5)
        p = share * ratio / (share * ratio + 1 - share)
        own, even = n * p * (1 - p), n * share * (1 - share)
        known = told & (self.information >= 1)
        safe_information = np.maximum(self.information, 1e-9)
        self.squares += np.where(known, (c - n * p) ** 2 / (1 + own / safe_information), 0)
        self.variance += np.where(known, own, 0)
        self.variance_squares += np.where(known, own**2, 0)
        self.looks += np.where(told, even, 0)
        self.looks_squares += np.where(told, even**2, 0)
        fading = np.where(told, dispersion.FADING, 1.0)
        self.information = fading * self.information + np.where(told, own, 0)
        self.canary = fading * self.canary + np.where(told, c * (1 - share), 0)
        self.stable = fading * self.stable + np.where(told, b * share, 0)

    def design_effect(self) -> Array:
        ones = np.ones_like(self.looks)
        usual = 1 + dispersion.USUAL_VARIANCE * np.divide(
            self.looks_squares, self.looks, out=0 * ones, where=self.looks > 0
        )
        degrees = np.divide(self.variance**2, self.variance_squares, out=0 * ones, where=self.variance_squares > 0)
        seen = np.divide(self.squares, self.variance, out=0 * ones, where=self.variance > 0)
        guess = ((degrees + 1) * seen + dispersion.USUAL_DEGREES * usual) / (degrees + dispersion.USUAL_DEGREES)
        return np.where(self.looks > 0, np.maximum(1.0, guess), 1.0)


def static_bound(stream: Stream, success: float = 0.99, failures: int = 5) -> Array:
    """The look at which the canary's success rate has been below the bound in `failures` looks (a look without
    requests is none): what Argo Rollouts' failureLimit and Flagger's threshold do."""
    with np.errstate(invalid="ignore", divide="ignore"):
        below = (stream.canary > 0) & (stream.canary_bad / stream.canary > 1 - success)
    reached = np.cumsum(below, axis=1) >= failures
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, NEVER)


def mann_whitney(stream: Stream, most: int) -> list[bool]:
    """Kayenta's judgement of the error rates of all looks, once at the end, for the first `most` streams."""
    parameters = MannWhitneyParameters(direction=Direction.INCREASE)
    verdicts = []
    for i in range(min(most, len(stream.canary))):
        with np.errstate(invalid="ignore", divide="ignore"):
            canary = (stream.canary_bad[i] / stream.canary[i]).tolist()
            stable = (stream.stable_bad[i] / stream.stable[i]).tolist()
        verdicts.append(classify(canary, stable, parameters).mark is Mark.HIGH)
    return verdicts


def peeking(stream: Stream, error: float = 0.01) -> Array:
    """A one-sided test of two proportions at every look as if it were the only one."""
    c, n = np.cumsum(stream.canary_bad, axis=1), np.cumsum(stream.canary, axis=1)
    b, m = np.cumsum(stream.stable_bad, axis=1), np.cumsum(stream.stable, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = (c + b) / (n + m)
        z = (c / n - b / m) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    significant = np.nan_to_num(1 - ndtr(z), nan=1.0) < error
    return np.where(significant.any(axis=1), significant.argmax(axis=1) + 1, NEVER)
