"""The rules by which measurements become verdicts: of one measurement, of a metric, of a run.

They are Argo Rollouts' own, sentence by sentence, because users have set their limits against them. Each
rule is a line in a chain that reads like the documentation; `tests/analysis` has a row for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from tidegate.api.names import AnalysisPhase
from tidegate.core.analysis.conditions import ConditionError
from tidegate.core.analysis.metrics import Metric
from tidegate.core.analysis.secrecy import conceal
from tidegate.core.analysis.world import Reading

BADNESS: Final[tuple[AnalysisPhase, ...]] = (
    "Successful",
    "Running",
    "Pending",
    "Inconclusive",
    "Error",
    "Failed",
)
ENDED: Final[frozenset[str]] = frozenset({"Successful", "Inconclusive", "Error", "Failed"})
BAD: Final[frozenset[str]] = frozenset({"Inconclusive", "Error", "Failed"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """A phase and, where a limit decided it, which: `failed (1) > failureLimit (0)`."""

    phase: AnalysisPhase
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """How the measurements of one metric have gone so far. `count` leaves errors out."""

    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0
    consecutive_error: int = 0
    consecutive_success: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing was measured yet, not even an error."""
        return self.count == 0 and self.error == 0

    def with_measurement(self, phase: AnalysisPhase) -> Tally:
        """The tally after one more measurement."""
        if phase == "Error":
            return replace(
                self,
                error=self.error + 1,
                consecutive_error=self.consecutive_error + 1,
                consecutive_success=0,
            )
        after = replace(self, count=self.count + 1, consecutive_error=0, consecutive_success=0)
        if phase == "Successful":
            return replace(after, successful=self.successful + 1, consecutive_success=self.consecutive_success + 1)
        if phase == "Failed":
            return replace(after, failed=self.failed + 1)
        return replace(after, inconclusive=self.inconclusive + 1)


def judge_measurement(metric: Metric, reading: Reading) -> Verdict:
    """What one reading says. No answer and no evaluation are errors, never successes."""
    if reading.error:
        return Verdict("Error", reading.error)
    try:
        success = metric.success is not None and metric.success.holds(reading.value)
        failure = metric.failure is not None and metric.failure.holds(reading.value)
    except ConditionError as error:
        told = f"the condition can't be evaluated for {reading.text or 'the result'}: {error}"
        return Verdict("Error", conceal(told, reading.hidden))
    if metric.success is None and metric.failure is None:
        return Verdict("Successful")
    if metric.failure is None:
        return Verdict("Successful" if success else "Failed")
    if metric.success is None:
        return Verdict("Failed" if failure else "Successful")
    if failure:
        return Verdict("Failed")
    return Verdict("Successful" if success else "Inconclusive")


def judge_metric(metric: Metric, tally: Tally, *, terminating: bool) -> Verdict:
    """What a metric's measurements say together; `Running` while there is nothing to say yet.

    terminating: the run is to end, because it was told to or because another metric has gone bad.
    """
    if tally.empty:
        return Verdict("Successful" if terminating else "Pending")
    for rule in _RULES:
        verdict = rule(metric, tally)
        if verdict is not None:
            return verdict
    return Verdict("Successful" if terminating else "Running")


def too_many_consecutive_errors(metric: Metric, tally: Tally) -> Verdict | None:
    """No answer too often."""
    limit = metric.consecutive_error_limit
    return _over("Error", "consecutiveErrors", tally.consecutive_error, "consecutiveErrorLimit", limit)


def _too_many_inconclusive(metric: Metric, tally: Tally) -> Verdict | None:
    return _over("Inconclusive", "inconclusive", tally.inconclusive, "inconclusiveLimit", metric.inconclusive_limit)


def too_many_failures(metric: Metric, tally: Tally) -> Verdict | None:
    """More bad measurements than are borne."""
    if metric.failure_limit is None:
        return None
    return _over("Failed", "failed", tally.failed, "failureLimit", metric.failure_limit)


def _over(phase: AnalysisPhase, what: str, number: int, limit_name: str, limit: int) -> Verdict | None:
    return Verdict(phase, f"{what} ({number}) > {limit_name} ({limit})") if number > limit else None


def _enough_consecutive_successes(metric: Metric, tally: Tally) -> Verdict | None:
    limit = metric.consecutive_success_limit
    return Verdict("Successful") if 0 < limit <= tally.consecutive_success else None


def _count_reached(metric: Metric, tally: Tally) -> Verdict | None:
    """The last measurement is in and no limit was passed: only a wish for a row of successes can be open."""
    if metric.count is None or tally.count < metric.count:
        return None
    limit = metric.consecutive_success_limit
    if not limit:
        return Verdict("Successful")
    in_a_row = f"consecutiveSuccess ({tally.consecutive_success}) < consecutiveSuccessLimit ({limit})"
    reason = f"{in_a_row} when count ({metric.count}) was reached"
    return Verdict("Failed" if metric.failure_limit is None else "Inconclusive", reason)


_RULES: Final[tuple[Callable[[Metric, Tally], Verdict | None], ...]] = (
    # Of several limits passed at once, the one that Argo tests last decides.
    too_many_consecutive_errors,
    _too_many_inconclusive,
    too_many_failures,
    _enough_consecutive_successes,
    _count_reached,
)


def worst(phases: Iterable[AnalysisPhase]) -> AnalysisPhase | None:
    """The worst of several phases, None of none."""
    return max(phases, key=BADNESS.index, default=None)
