"""Is the canary's rate of failures higher than stable's? For counts of bad and of all requests in each look.

With r the tolerated ratio and r' a worse one, the look's likelihood ratio of r' to r, given how many requests
failed in both arms together, is an e-value against "at most r times as often". Proof, which asks nothing of
stable's rate p and lets it differ from look to look: canary and stable requests fail independently with
probabilities of at most r p and of p, so with s the canary's share and g = (s r' + 1 - s) / (s r + 1 - s), the
expected likelihood ratio is a product of factors 1 + p x <= exp(p x) over requests, and the exponents sum to

    N p [ s r (r' / (r g) - 1) + (1 - s) (1 / g - 1) ] = 0.

So weights may change at will, both arms may drift together, and looks may come as often as one likes. What the
proof needs is that the requests of one arm do not fail together for reasons that the other arm does not share;
`dispersion` guards that.
"""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from . import wording
from .curve import EMPTY, REACH, Likelihood, added
from .dispersion import PodCount, Scatter, added_pods, pod_variance, pods_share
from .evidence import EFFECTS, check_promises, log_sum_exp, mixed, needed, rarer_than
from .finding import Evidence, Finding, Peak, Remaining, Verdict, evidence_of, verdict_of
from .forecast import forecast
from .ratio import ratio_of


@dataclass(frozen=True, slots=True)
class CountsParameters:
    """false_alarm: probability to call a canary worse, ever, that is not. tolerated: how many times as often the
    canary may fail. safe: the ratio that is to be excluded before it is called safe, with probability of error
    false_safe. negligible: a canary that surely fails less than this share of its requests is safe as well, unless
    it looks worse than `safe` times stable; 0 turns that off. confidence: of the reported interval's ends. verb:
    what bad requests do. shared_by: metrics of the run that have such a share of its budget each, for sentences.
    """

    false_alarm: float = 0.01
    tolerated: float = 1.1
    safe: float = 2.0
    false_safe: float = 0.05
    negligible: float = 0.001
    confidence: float = 0.95
    verb: str = "fails"
    noun: str = "requests"
    shared_by: int = 1

    def __post_init__(self) -> None:
        check_promises(self)
        if not 0 <= self.negligible < 1:
            raise ValueError(f"negligible must lie between 0 and 1, not {self.negligible}")


@dataclass(frozen=True, slots=True)
class Tally:
    """Bad and all requests of one arm."""

    bad: float = 0.0
    total: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.bad <= self.total < math.inf):
            raise ValueError(f"bad and total must be numbers with 0 <= bad <= total, not {self.bad} and {self.total}")

    @property
    def rate(self) -> float:
        return self.bad / self.total if self.total else 0.0

    def times(self, factor: float) -> "Tally":
        return Tally(self.bad * factor, self.total * factor)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.bad + other.bad, self.total + other.total)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Tally":
        return cls(float(value["bad"]), float(value["total"]))


@dataclass(frozen=True, slots=True)
class CountsLook:
    """What both arms did in one interval: each request in one look only.

    seconds: length of the interval, for forecasts; 0 if unknown. at: the time, kept as it is given. The pods'
    counts, if the query splits by pod, guard against one sick pod that stands for a whole version; they need not
    sum to the arm's.
    """

    canary: Tally
    stable: Tally
    seconds: float = 0.0
    at: str | None = None
    canary_pods: tuple[PodCount, ...] = ()
    stable_pods: tuple[PodCount, ...] = ()

    @property
    def share(self) -> float:
        total = self.canary.total + self.stable.total
        return self.canary.total / total if total else 0.0


@dataclass(frozen=True, slots=True)
class CountsState:
    """All that is known of the looks so far, in a size that does not grow with them (about 2 kB of JSON, and 50
    bytes a pod for at most 48 pods)."""

    looks: int = 0
    canary: Tally = field(default_factory=Tally)
    stable: Tally = field(default_factory=Tally)
    canary_per_second: float = 0.0
    stable_per_second: float = 0.0
    curve: tuple[float, ...] = EMPTY
    scatter: Scatter = field(default_factory=Scatter)
    canary_pods: tuple[PodCount, ...] = ()
    stable_pods: tuple[PodCount, ...] = ()
    against: Peak = field(default_factory=Peak)
    favour: Peak = field(default_factory=Peak)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "CountsState":
        return cls(
            looks=int(value["looks"]),
            canary=Tally.from_json(value["canary"]),
            stable=Tally.from_json(value["stable"]),
            canary_per_second=float(value["canary_per_second"]),
            stable_per_second=float(value["stable_per_second"]),
            curve=tuple(float(v) for v in value["curve"]),
            scatter=Scatter.from_json(value["scatter"]),
            canary_pods=tuple(PodCount.from_json(p) for p in value["canary_pods"]),
            stable_pods=tuple(PodCount.from_json(p) for p in value["stable_pods"]),
            against=Peak.from_json(value["against"]),
            favour=Peak.from_json(value["favour"]),
        )


def observe(parameters: CountsParameters, state: CountsState, look: CountsLook) -> CountsState:
    """The state after one more look."""
    rates = (state.canary_per_second, state.stable_per_second)
    if look.seconds > 0:
        rates = (look.canary.total / look.seconds, look.stable.total / look.seconds)
    seen = CountsState(
        looks=state.looks + 1,
        canary=state.canary + look.canary,
        stable=state.stable + look.stable,
        canary_per_second=rates[0],
        stable_per_second=rates[1],
        curve=added(state.curve, look.share, look.canary.bad + look.stable.bad),
        scatter=state.scatter.seen(look.share, look.canary.bad, look.stable.bad),
        canary_pods=added_pods(state.canary_pods, look.canary_pods),
        stable_pods=added_pods(state.stable_pods, look.stable_pods),
        against=state.against,
        favour=state.favour,
    )
    standing = _standing(parameters, seen)
    against, favour = standing.against(), standing.favour()
    return replace(
        seen,
        against=state.against.after(against, needed(parameters.false_alarm), seen.looks, look.at),
        favour=state.favour.after(favour, needed(parameters.false_safe), seen.looks, look.at),
    )


def judge(parameters: CountsParameters, state: CountsState) -> Finding:
    """What the looks so far say. Worse, once found, stays: it is a promise over all looks. Safe holds while it
    holds."""
    standing = _standing(parameters, state)
    against = evidence_of(standing.against(), state.against, parameters.false_alarm)
    favour = evidence_of(standing.favour(), state.favour, parameters.false_safe)
    verdict = verdict_of(against, favour)
    data = state.canary.total > 0 and state.stable.total > 0
    ratio = ratio_of(
        state.curve,
        state.canary.bad,
        state.stable.bad,
        design_effect=standing.design_effect(),
        confidence=parameters.confidence,
    )
    remaining = _remaining(standing, against, favour) if verdict is Verdict.NOT_YET else None
    finding = Finding(
        verdict=verdict,
        against=against,
        favour=favour,
        ratio=ratio,
        remaining=remaining,
        design_effect=standing.design_effect(),
        looks=state.looks,
        data=data,
        arms={
            "canary": {"bad": state.canary.bad, "total": state.canary.total},
            "stable": {"bad": state.stable.bad, "total": state.stable.total},
        },
        sentence="",
        cautions=wording.cautions(standing.from_looks, standing.from_pods()),
    )
    return replace(finding, sentence=_sentence(parameters, state, finding))


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the evidence is computed from: linear in time, so that it can be carried on into the future.

    against_terms, favour_terms: log likelihood ratios at the points of the mixture, not yet divided by the design
    effect.
    """

    parameters: CountsParameters
    canary: Tally
    stable: Tally
    against_terms: tuple[float, ...]
    favour_terms: tuple[float, ...]
    from_looks: float
    pods: float
    against_growth: tuple[float, ...]
    favour_growth: tuple[float, ...]
    canary_growth: Tally
    stable_growth: Tally

    def from_pods(self) -> float:
        """The variance of the log ratio that comes from pods, in units of that which chance explains."""
        bad, stable_bad = self.canary.bad, self.stable.bad
        if not self.pods or not bad or not stable_bad:
            return 0.0
        return self.pods / (1 / bad + 1 / stable_bad)

    def design_effect(self) -> float:
        return self.from_looks + self.from_pods()

    def against(self) -> float:
        effect = self.design_effect()
        return mixed([t / effect for t in self.against_terms])

    def favour(self) -> float:
        effect = self.design_effect()
        relative = mixed([t / effect for t in self.favour_terms])
        if not self.parameters.negligible:
            return relative
        absolute = rarer_than(self.parameters.negligible, self.canary.bad, self.canary.total, effect)
        if self.against() > LOOKS_WORSE:
            absolute = -math.inf
        return log_sum_exp((relative, absolute)) - math.log(2)

    def later(self, seconds: float) -> "_Standing":
        return replace(
            self,
            canary=self.canary + self.canary_growth.times(seconds),
            stable=self.stable + self.stable_growth.times(seconds),
            against_terms=tuple(a + seconds * g for a, g in zip(self.against_terms, self.against_growth, strict=True)),
            favour_terms=tuple(a + seconds * g for a, g in zip(self.favour_terms, self.favour_growth, strict=True)),
        )


LOOKS_WORSE = 1.5
"""Evidence against from which on a low absolute rate no longer speaks for the canary. Saying "safe" less often is
free."""


def _standing(parameters: CountsParameters, state: CountsState) -> _Standing:
    likelihood = Likelihood(state.curve, state.canary.bad)
    tolerated, safe = math.log(parameters.tolerated), math.log(parameters.safe)
    worse = [min(tolerated + d, REACH) for d in EFFECTS]
    better = [safe - d for d in EFFECTS]
    canary_growth, stable_growth, share = _growth(state)
    failing = canary_growth.bad + stable_growth.bad

    def growth(t: float, origin: float) -> float:
        return canary_growth.bad * (t - origin) - failing * (_curvature(share, t) - _curvature(share, origin))

    return _Standing(
        parameters=parameters,
        canary=state.canary,
        stable=state.stable,
        against_terms=tuple(likelihood(t) - likelihood(tolerated) for t in worse),
        favour_terms=tuple(likelihood(t) - likelihood(safe) for t in better),
        from_looks=state.scatter.design_effect(),
        pods=pod_variance(state.canary_pods, state.stable_pods)
        * (pods_share(state.canary_pods) + pods_share(state.stable_pods)),
        against_growth=tuple(growth(t, tolerated) for t in worse),
        favour_growth=tuple(growth(t, safe) for t in better),
        canary_growth=canary_growth,
        stable_growth=stable_growth,
    )


def _curvature(share: float, t: float) -> float:
    return math.log1p(share * math.expm1(t))


def _growth(state: CountsState) -> tuple[Tally, Tally, float]:
    """What a second brings to both arms, if traffic stays as in the last look and the rates as in all; the canary's
    share."""
    canary, stable = state.canary_per_second, state.stable_per_second
    if not canary + stable:
        return Tally(), Tally(), 0.0
    ratio = state.scatter.ratio
    # Half a failure, so that a service without one has a rate to be foretold with.
    rate = (state.canary.bad + state.stable.bad + 0.5) / (state.canary.total * ratio + state.stable.total + 0.5)
    return (
        Tally(canary * min(1.0, rate * ratio), canary),
        Tally(stable * min(1.0, rate), stable),
        canary / (canary + stable),
    )


def _remaining(standing: _Standing, against: Evidence, favour: Evidence) -> Remaining:
    """The verdict that comes first if the future repeats the past, and when."""
    traffic = standing.canary_growth.total + standing.stable_growth.total
    if not standing.canary_growth.total or not standing.stable_growth.total:
        return Remaining(None, min(against.missing, favour.missing), None, None)
    return forecast(
        against,
        favour,
        lambda seconds: standing.later(seconds).against() >= against.needed,
        lambda seconds: standing.later(seconds).favour() >= favour.needed,
        traffic,
    )


def _sentence(parameters: CountsParameters, state: CountsState, finding: Finding) -> str:
    noun, verb = parameters.noun, parameters.verb
    if not finding.data:
        absent = wording.absent(state.canary.total, state.stable.total)
        return f"{absent} had no {noun} so far: nothing to compare."
    said = (
        f"canary {verb} {wording.percent(state.canary.rate)} of {wording.number(state.canary.total)} {noun}, "
        f"stable {wording.percent(state.stable.rate)} of {wording.number(state.stable.total)}"
    )
    budget = wording.budget(parameters.false_alarm, parameters.shared_by)
    return f"{said}: {wording.verdict(finding, parameters.tolerated, parameters.safe, budget)}"
