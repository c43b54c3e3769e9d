"""Sentences for people: what was found, what it rests on, what is missing."""

import math

from .finding import Finding, Remaining, Verdict


def number(value: float) -> str:
    """4,210; large forecasts are rounded by their caller."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def percent(share: float) -> str:
    """3.1 %; two digits that count below 10 %."""
    value = 100 * share
    if value == 0:
        return "0 %"
    if value >= 10:
        return f"{value:.1f} %"
    digits = max(1, 1 - math.floor(math.log10(value)))
    text = f"{value:.{digits}f}"
    return f"{text} %"


def about(value: float) -> str:
    """50,000 for 50,409."""
    digits = max(0, math.floor(math.log10(value)) - 1) if value >= 1 else 0
    return f"{round(value, -digits):,.0f}"


def times(ratio: float) -> str:
    if ratio >= 10:
        return f"{ratio:.0f}"
    return f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{math.ceil(seconds)} s"
    if seconds < 6000:
        return f"{math.ceil(seconds / 60)} min"
    if seconds < 100 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def absent(canary: float, stable: float) -> str:
    if canary:
        return "stable"
    return "canary" if stable else "canary and stable"


def budget(false_alarm: float, shared_by: int) -> str:
    """A metric's false-alarm budget; and the run's, where it is a share of that."""
    if shared_by == 1:
        return f"false-alarm budget {100 * false_alarm:.3g} %"
    return f"false-alarm budget {100 * false_alarm:.2g} % of the run's {100 * false_alarm * shared_by:.3g} %"


def verdict(
    finding: Finding,
    tolerated: float,
    safe: float,
    budget: str,
    *,
    amount: str = "as often",
    higher_is_worse: bool = True,
) -> str:
    """What follows the two arms' rates."""
    bad, good = ("lower", "upper") if higher_is_worse else ("upper", "lower")
    limit = f"up to {safe:.3g}" if higher_is_worse else f"down to {safe:.3g}"
    match finding.verdict:
        case Verdict.WORSE:
            return f"{_ratio(finding, bad, amount)}; {budget}"
        case Verdict.SAFE:
            return f"{_ratio(finding, good, amount)}; safe {limit} times"
        case Verdict.NOT_YET:
            open_question = f"not settled between {tolerated:.3g} and {safe:.3g} times"
            left = remaining(finding.remaining, _missing(finding))
            return f"{_ratio(finding, 'both', amount)}; {open_question}{left}"


def _ratio(finding: Finding, ends: str, amount: str) -> str:
    ratio = finding.ratio
    sure = f"{100 * ratio.confidence:g} % sure of"
    bounds = []
    if ends in ("lower", "both") and ratio.lower is not None:
        bounds.append(f"at least {times(ratio.lower)}")
    if ends in ("upper", "both") and ratio.upper is not None:
        bounds.append(f"at most {times(ratio.upper)}")
    if ratio.value is None:
        said = "stable not once" if finding.against.log_e > 0 else "no ratio yet"
    else:
        said = f"{times(ratio.value)} times {amount}"
    return said + (f", {sure} {' and '.join(bounds)}" if bounds else "")


def _missing(finding: Finding) -> str:
    """How far the evidence has come, as a share of what the nearer verdict needs."""
    against, favour = finding.against, finding.favour
    nearer = max((against.log_e / against.needed, "worse"), (favour.log_e / favour.needed, "safe"))
    if finding.remaining is not None and finding.remaining.verdict is not None:
        wanted = finding.remaining.verdict
        one = against if wanted is Verdict.WORSE else favour
        nearer = (one.log_e / one.needed, wanted.value)
    return f'{percent(max(0.0, nearer[0]))} of the evidence for "{nearer[1]}" is in'


def remaining(left: Remaining | None, missing: str) -> str:
    if left is None:
        return ""
    if left.seconds is None:
        return f"; {missing}; at the present rate no verdict is in sight"
    requests = f" and {about(left.requests)} requests" if left.requests is not None else ""
    rest = f"the rest takes about {duration(left.seconds)}{requests} at the present rate"
    return f"; {missing}, {rest}"


def cautions(from_looks: float, from_pods: float) -> tuple[str, ...]:
    said = []
    if from_looks > 1.25:
        said.append(
            f"counts scatter {from_looks:.1f} times as much from look to look as chance explains; "
            "the evidence is divided by that"
        )
    if from_pods > 0.25:
        said.append(
            f"pods of one version differ among themselves; that adds {from_pods:.1f} times what chance explains to the "
            "uncertainty, and only more pods reduce it"
        )
    return tuple(said)
