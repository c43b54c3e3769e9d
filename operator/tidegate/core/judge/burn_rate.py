"""Is the service as a whole using up its error budget too fast? A guard beside the comparison: a canary may be no
worse than stable and still must not go on while everything burns.

Burn rate is the rate of failures over the rate that the objective allows; 1 uses up the budget in exactly the
objective's period. Two windows must agree, a long one so that it matters and a short one so that it is not over
(Google, The Site Reliability Workbook, chapter 5). 14.4 is 2 % of 30 days' budget in an hour, 6 is 5 % in 6 hours,
3 and 1 are 10 % in a day and in 3 days.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from . import wording
from .counts import Tally

MINUTE, HOUR, DAY = 60, 3600, 86400


class Alarm(StrEnum):
    PAGE = "page"
    TICKET = "ticket"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Rule:
    """Seconds of both windows and the burn rate that both must exceed."""

    long: int
    short: int
    rate: float
    alarm: Alarm


RULES = (
    Rule(HOUR, 5 * MINUTE, 14.4, Alarm.PAGE),
    Rule(6 * HOUR, 30 * MINUTE, 6.0, Alarm.PAGE),
    Rule(DAY, 2 * HOUR, 3.0, Alarm.TICKET),
    Rule(3 * DAY, 6 * HOUR, 1.0, Alarm.TICKET),
)


@dataclass(frozen=True, slots=True)
class Burn:
    alarm: Alarm
    rule: Rule | None
    rates: dict[int, float]
    sentence: str


def burn(objective: float, windows: Mapping[int, Tally], fewest_requests: int = 1000) -> Burn:
    """objective: the share of requests that must succeed, 0.999 for instance. windows: by their seconds, the whole
    service's bad and all requests. A window that is absent or has fewer requests than `fewest_requests` burns
    nothing: at little traffic one failure would be a fire."""
    if not 0 < objective < 1:
        raise ValueError(f"objective must lie between 0 and 1, not {objective}")
    rates = {
        seconds: tally.rate / (1 - objective) for seconds, tally in windows.items() if tally.total >= fewest_requests
    }
    for rule in RULES:
        if min(rates.get(rule.long, 0.0), rates.get(rule.short, 0.0)) > rule.rate:
            said = (
                f"the service uses up its error budget {rates[rule.short]:.1f} times as fast as {100 * objective:g} % "
                f"allows ({rates[rule.long]:.1f} times over {wording.duration(rule.long)}; limit {rule.rate:g})"
            )
            return Burn(rule.alarm, rule, rates, said)
    return Burn(Alarm.NONE, None, rates, f"the service keeps within the error budget of {100 * objective:g} %")
