"""What the judge says of one metric: verdict, evidence, ratio, what is missing, and a sentence."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from .evidence import needed, p_value


class Verdict(StrEnum):
    WORSE = "worse"
    SAFE = "safe"
    NOT_YET = "not yet"


@dataclass(frozen=True, slots=True)
class Crossing:
    """The first look (from 1) at which the evidence sufficed, and the time that the look was given, if any."""

    look: int
    at: str | None = None

    @classmethod
    def from_json(cls, value: dict[str, Any] | None) -> "Crossing | None":
        return None if value is None else cls(look=int(value["look"]), at=value.get("at"))


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest log e-value so far and when it first sufficed."""

    log_e: float = 0.0
    crossed: Crossing | None = None

    def after(self, log_e: float, needed: float, look: int, at: str | None) -> "Peak":
        crossed = self.crossed or (Crossing(look, at) if log_e >= needed else None)
        return Peak(max(self.log_e, log_e), crossed)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Peak":
        return cls(float(value["log_e"]), Crossing.from_json(value.get("crossed")))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence on one question, as natural logarithms of e-values.

    log_e: now. peak: the highest so far. needed: what settles the question. p: always valid, from the peak.
    """

    log_e: float
    peak: float
    needed: float
    p: float
    crossed: Crossing | None = None

    @property
    def missing(self) -> float:
        return 0.0 if self.crossed else max(0.0, self.needed - self.log_e)


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many times as much the canary has as stable. `lower` and `upper` hold each by itself, at all looks at
    once, with the probability `confidence`; None stands for no bound. `value` is None where stable has nothing to
    divide by; more than 100 times is told as 100."""

    value: float | None
    lower: float | None
    upper: float | None
    confidence: float


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is missing until a verdict, if the canary goes on as it has so far.

    verdict: the one that would come first; None if none would come in any time worth naming.
    evidence: missing natural-log evidence for it. seconds: at the present rate; None if the rate is not known or zero.
    requests: of both arms together.
    """

    verdict: Verdict | None
    evidence: float
    requests: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Finding:
    """against: evidence that the canary is worse than tolerated. favour: evidence that it is safe.

    design_effect: by how much the evidence was divided since counts scatter more than chance explains; 1 if they do
    not. remaining: None once there is a verdict. cautions: sentences on what limits this finding. data: False while
    one arm has nothing to compare. mild: worse, but by less than what a critical metric fails the whole run by.
    """

    verdict: Verdict
    against: Evidence
    favour: Evidence
    ratio: Estimate
    remaining: Remaining | None
    design_effect: float
    looks: int
    data: bool
    arms: dict[str, dict[str, float]]
    sentence: str
    cautions: tuple[str, ...] = ()
    mild: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def evidence_of(log_e: float, peak: Peak, error: float) -> Evidence:
    return Evidence(log_e=log_e, peak=peak.log_e, needed=needed(error), p=p_value(peak.log_e), crossed=peak.crossed)


def verdict_of(against: Evidence, favour: Evidence) -> Verdict:
    """Worse, once found, stays. Safe holds while it holds."""
    if against.crossed:
        return Verdict.WORSE
    return Verdict.SAFE if favour.log_e >= favour.needed else Verdict.NOT_YET
