"""The burn-rate guard, against the workbook's table."""

import pytest

from tidegate.core.judge.burn_rate import DAY, HOUR, MINUTE, RULES, Alarm, burn
from tidegate.core.judge.counts import Tally


def windows(**rates: float) -> dict[int, Tally]:
    names = {"m5": 5 * MINUTE, "m30": 30 * MINUTE, "h1": HOUR, "h2": 2 * HOUR, "h6": 6 * HOUR, "d1": DAY, "d3": 3 * DAY}
    return {names[name]: Tally(rate * 1e6, 1e6) for name, rate in rates.items()}


def test_the_rates_spend_what_the_workbook_says() -> None:
    spent = [round(rule.rate * rule.long / (30 * DAY), 4) for rule in RULES]
    assert spent == [0.02, 0.05, 0.1, 0.1]


@pytest.mark.parametrize(
    ("rates", "alarm"),
    [
        ({"h1": 0.015, "m5": 0.02}, Alarm.PAGE),
        ({"h1": 0.015, "m5": 0.001}, Alarm.NONE),
        ({"h1": 0.0144, "m5": 0.0144}, Alarm.NONE),
        ({"h6": 0.007, "m30": 0.007, "h1": 0.007, "m5": 0.007}, Alarm.PAGE),
        ({"d1": 0.004, "h2": 0.004}, Alarm.TICKET),
        ({"d3": 0.002, "h6": 0.002}, Alarm.TICKET),
        ({"h1": 0.5}, Alarm.NONE),
    ],
)
def test_two_windows_must_agree(rates: dict[str, float], alarm: Alarm) -> None:
    assert burn(0.999, windows(**rates)).alarm is alarm


def test_little_traffic_is_no_fire() -> None:
    few = {HOUR: Tally(1, 30), 5 * MINUTE: Tally(1, 3)}
    assert burn(0.999, few).alarm is Alarm.NONE
    assert burn(0.999, few, fewest_requests=1).alarm is Alarm.PAGE


def test_it_says_how_fast() -> None:
    said = burn(0.999, windows(h1=0.02, m5=0.03)).sentence
    assert said.startswith("the service uses up its error budget 30.0 times as fast as 99.9 % allows ")
    assert said.endswith("(20.0 times over 60 min; limit 14.4)")
    with pytest.raises(ValueError, match="objective"):
        burn(1.0, {})
