"""Before a rollout: a table of regressions, how surely each is seen, how soon, and what it costs the users."""

from __future__ import annotations

from typing import Final

from tidegate.cli.printing import Output, dump, echo
from tidegate.cli.told import Told
from tidegate.core.judge.counts import CountsParameters
from tidegate.core.judge.planning import Outlook, Plan, Step, outlook, smallest_seen
from tidegate.core.judge.wording import duration
from tidegate.core.times import parse_duration

RATIOS: Final = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_CHANCE: Final = 0.9


def plan(
    requests: float,
    error_rate: str,
    steps: str,
    *,
    interval: str,
    limits: tuple[float, float, float],
    output: Output | None,
) -> None:
    """Print the outlook. limits: falseAlarm, tolerated and safe. Raises Told."""
    try:
        false_alarm, tolerated, safe = limits
        parameters = CountsParameters(false_alarm=false_alarm, tolerated=tolerated, safe=safe)
        wanted = Plan(
            requests, share(error_rate), read_steps(steps), parse_duration(interval).total_seconds(), parameters
        )
    except ValueError as error:
        raise Told(str(error)) from None
    looks = [outlook(wanted, ratio) for ratio in RATIOS]
    least = smallest_seen(wanted, _CHANCE)
    if output in (Output.json, Output.yaml):
        told = [{field: getattr(one, field) for field in Outlook.__dataclass_fields__} for one in looks]
        dump({"seconds": wanted.seconds, "smallestSeen": least, "outlook": told}, output)
        return
    echo(f"{'canary fails':<16}{'undone':>14}{'after':>10}{'safe':>8}{'after':>10}{'requests met':>14}{'harmed':>10}")
    for one in looks:
        name = "as often" if one.ratio == 1 else f"{one.ratio:g} times as often"
        low, high = (f"{100 * end:.0f}" for end in one.undone_interval)
        echo(
            f"{name:<20}{f'{low}-{high} %':>10}{_time(one.undone_after):>10}{100 * one.called_safe:>6.0f} %"
            f"{_time(one.safe_after):>10}{one.exposed:>14,.0f}{one.harmed:>10,.1f}"
        )
    seen = f"a canary that fails {least:.1f} times as often" if least else "not even one that fails 50 times as often"
    echo(f"\n{seen} is undone in 9 of 10 rollouts of {duration(wanted.seconds)}.")


def share(text: str) -> float:
    """0.005 or 0.5% as a share. Raises ValueError."""
    try:
        value = float(text.removesuffix("%").strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a share such as 0.5% or 0.005") from None
    return value / 100 if text.endswith("%") else value


def read_steps(text: str) -> tuple[Step, ...]:
    """`5%:10m,25%:10m`. Raises ValueError."""
    steps = []
    for part in text.split(","):
        weight, _, time = part.strip().partition(":")
        if not time:
            raise ValueError(f"{part!r} is not a step such as 5%:10m, weight and time")
        given = share(weight if "%" in weight else f"{weight}%")
        if not 0 < given < 1:
            raise ValueError(f"{part.strip()!r}: at {100 * given:g} % there is nobody to compare with; leave it out")
        steps.append(Step(parse_duration(time).total_seconds(), given))
    return tuple(steps)


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)
