"""Before a rollout: which regression would the judge see, how surely, after how long, and how many users would meet it?

Computed by playing many rollouts with computed draws: the same plan gives the same answer. Each look is judged as
`counts` judges it, with the design effect, without pods. Failures are Poisson; a service that scatters more is seen
later.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from .counts import LOOKS_WORSE, CountsParameters
from .dispersion import Scatter
from .draws import poisson, uniforms, wilson
from .evidence import EFFECTS, log_sum_exp, mixed, needed, rarer_than


@dataclass(frozen=True, slots=True)
class Step:
    """How long the canary gets which share of the traffic."""

    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Plan:
    """requests_per_second: of both arms. error_rate: stable's. interval: seconds between looks."""

    requests_per_second: float
    error_rate: float
    steps: tuple[Step, ...]
    interval: float = 30.0
    parameters: CountsParameters = field(default_factory=CountsParameters)

    def __post_init__(self) -> None:
        if self.requests_per_second <= 0 or self.interval <= 0:
            raise ValueError("requests a second and the interval must be positive")
        if not 0 <= self.error_rate < 1:
            raise ValueError(f"the error rate must lie between 0 and 1, not {self.error_rate}")
        if not self.steps or any(s.seconds <= 0 or not 0 < s.share < 1 for s in self.steps):
            raise ValueError("a plan needs steps of positive length with a share between 0 and 1")

    @property
    def seconds(self) -> float:
        return math.fsum(s.seconds for s in self.steps)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What becomes of a canary that fails `ratio` times as often. undone, called_safe: shares of rollouts, with the
    ends of their 95 % intervals (of the computation, which plays `runs` rollouts). Times in seconds, medians over
    those rollouts; None if there are none. exposed: requests that the canary served until it was undone or the plan
    was over, on average; harmed: failures beyond those that stable would have had.
    """

    ratio: float
    runs: int
    undone: float
    undone_interval: tuple[float, float]
    undone_after: float | None
    called_safe: float
    safe_interval: tuple[float, float]
    safe_after: float | None
    exposed: float
    harmed: float


def outlook(plan: Plan, ratio: float, runs: int = 300, seed: int = 1) -> Outlook:
    draws = uniforms(seed)
    stories = [_played(plan, ratio, draws) for _ in range(runs)]
    undone = [s.undone_after for s in stories if s.undone_after is not None]
    safe = [s.safe_after for s in stories if s.safe_after is not None]
    exposed = math.fsum(s.exposed for s in stories) / runs
    return Outlook(
        ratio=ratio,
        runs=runs,
        undone=len(undone) / runs,
        undone_interval=wilson(len(undone), runs),
        undone_after=median(undone) if undone else None,
        called_safe=len(safe) / runs,
        safe_interval=wilson(len(safe), runs),
        safe_after=median(safe) if safe else None,
        exposed=exposed,
        harmed=exposed * max(0.0, min(1.0, plan.error_rate * ratio) - plan.error_rate),
    )


def smallest_seen(plan: Plan, chance: float = 0.9, runs: int = 300, seed: int = 1) -> float | None:
    """The smallest ratio that is undone with at least this chance, to 5 %; None if not even 50 times as often is."""
    low, high = math.log(plan.parameters.tolerated), math.log(50.0)
    if outlook(plan, math.exp(high), runs, seed).undone < chance:
        return None
    while high - low > 0.05:
        middle = (low + high) / 2
        low, high = (low, middle) if outlook(plan, math.exp(middle), runs, seed).undone >= chance else (middle, high)
    return math.exp(high)


@dataclass(frozen=True, slots=True)
class _Story:
    undone_after: float | None
    safe_after: float | None
    exposed: float


def _played(plan: Plan, ratio: float, draws: Iterator[float]) -> _Story:
    parameters = plan.parameters
    tolerated, safe = math.log(parameters.tolerated), math.log(parameters.safe)
    enough, safe_enough = needed(parameters.false_alarm), needed(parameters.false_safe)
    against, favour = [0.0] * len(EFFECTS), [0.0] * len(EFFECTS)
    scatter = Scatter()
    canary_bad = canary = elapsed = 0.0
    safe_after: float | None = None
    for step in plan.steps:
        up = [_gain(step.share, tolerated + d) - _gain(step.share, tolerated) for d in EFFECTS]
        down = [_gain(step.share, safe - d) - _gain(step.share, safe) for d in EFFECTS]
        for seconds in _looks(step.seconds, plan.interval):
            requests = plan.requests_per_second * seconds
            rate = min(1.0, plan.error_rate * ratio)
            c = poisson(requests * step.share * rate, next(draws))
            b = poisson(requests * (1 - step.share) * plan.error_rate, next(draws))
            elapsed, canary, canary_bad = elapsed + seconds, canary + requests * step.share, canary_bad + c
            scatter = scatter.seen(step.share, c, b)
            for i, d in enumerate(EFFECTS):
                against[i] += c * d - (c + b) * up[i]
                favour[i] -= c * d + (c + b) * down[i]
            effect = scatter.design_effect()
            worse = mixed([t / effect for t in against])
            if worse >= enough:
                return _Story(elapsed, None, canary)
            if safe_after is None:
                certain = _favour(parameters, favour, worse=worse, bad=canary_bad, total=canary, effect=effect)
                safe_after = elapsed if certain >= safe_enough else None
    return _Story(None, safe_after, canary)


def _favour(
    parameters: CountsParameters, terms: Sequence[float], *, worse: float, bad: float, total: float, effect: float
) -> float:
    relative = mixed([t / effect for t in terms])
    if not parameters.negligible:
        return relative
    absolute = -math.inf if worse > LOOKS_WORSE else rarer_than(parameters.negligible, min(bad, total), total, effect)
    return log_sum_exp((relative, absolute)) - math.log(2)


def _gain(share: float, t: float) -> float:
    return math.log1p(share * math.expm1(t))


def _looks(seconds: float, interval: float) -> list[float]:
    """A step's looks; the last one may be shorter."""
    whole = int(seconds / interval)
    rest = seconds - whole * interval
    return [interval] * whole + ([rest] if rest > 1e-9 else [])
