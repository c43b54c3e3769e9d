"""When will there be a verdict, if the future repeats the past?"""

import math
from collections.abc import Callable

from .finding import Evidence, Remaining, Verdict

FOREVER = 30 * 24 * 3600.0
"""Seconds beyond which a forecast is no longer told."""


def forecast(
    against: Evidence,
    favour: Evidence,
    worse_after: Callable[[float], bool],
    safe_after: Callable[[float], bool],
    requests_per_second: float | None,
) -> Remaining:
    """The verdict that comes first. The two functions say whether there would be one after so many more seconds."""
    worse, safe = time_until(worse_after), time_until(safe_after)
    if worse is None and safe is None:
        return Remaining(None, min(against.missing, favour.missing), None, None)
    if safe is None or (worse is not None and worse <= safe):
        verdict, seconds, missing = Verdict.WORSE, worse or 0.0, against.missing
    else:
        verdict, seconds, missing = Verdict.SAFE, safe, favour.missing
    requests = None if requests_per_second is None else requests_per_second * seconds
    return Remaining(verdict, missing, requests, seconds)


def time_until(done: Callable[[float], bool]) -> float | None:
    """Seconds until `done`, to 2 %; None if not within FOREVER."""
    late = 1.0
    while not done(late):
        late *= 4
        if late > FOREVER:
            return None
    early = late / 4
    for _ in range(6):
        middle = math.sqrt(early * late)
        early, late = (early, middle) if done(middle) else (middle, late)
    return late
