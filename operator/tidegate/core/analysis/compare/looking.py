"""From an answer to a look: sorted by arm and part, taken into the judge's state, told as a measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.api.names import AnalysisPhase
from tidegate.core.analysis.compare.answers import CANARY, PRESENCE, STABLE, AnswerError, Answers, Sample
from tidegate.core.analysis.compare.comparison import KNOWN, Comparison
from tidegate.core.analysis.compare.standing import Standing
from tidegate.core.analysis.compare.windows import ARM, PART, Window
from tidegate.core.analysis.conditions import Condition, ConditionError


@dataclass(frozen=True, slots=True)
class Look:
    """One measurement: what stands afterwards, its phase, why, and its figures as text."""

    standing: Standing
    phase: AnalysisPhase
    reason: str = ""
    text: str = ""


def take(comparison: Comparison, bound: Condition | None, before: Standing, window: Window, value: Any) -> Look:
    """The measurement that an answer about a window is.

    bound: the static bound that may stand beside the comparison. An answer that makes no look is an error, and its
    window is left to the next one.
    """
    try:
        answers = sorted_answers(value)
        if not knew_stable(answers, comparison.name):
            why = "Prometheus did not know stable when this window began, so what it did is not known; the next counts"
            return Look(before.skipping(comparison.name, window, why), "Inconclusive", why)
        seen = comparison.kind.observe(before.state, answers, window)
        standing = before.after(comparison.name, seen, window)
        broken = bound is not None and is_broken(bound, seen.result)
    except ConditionError as error:
        return Look(before, "Error", f"the condition can't be evaluated: {error}")
    except ValueError as error:
        return Look(before, "Error", str(error))
    if broken:
        return Look(standing, "Failed", "the failureCondition holds for this look", seen.text)
    phases: dict[str, AnalysisPhase] = {"worse": "Failed", "safe": "Successful"}
    return Look(standing, phases.get(standing.verdict, "Inconclusive"), _missing(answers, comparison.name), seen.text)


def sorted_answers(value: Any) -> Answers:
    """What a query's series are, by arm and part. Raises AnswerError."""
    if not isinstance(value, tuple):
        raise AnswerError("the query gave no vector")
    found: dict[tuple[str, str], list[Sample]] = {}
    for labels, number in value:
        if not math.isfinite(number):
            raise AnswerError(f"the query gave {number:g} for {labels.get(PART)} of {labels.get(ARM)}")
        kept: Mapping[str, str] = {name: text for name, text in labels.items() if name not in (ARM, PART)}
        found.setdefault((labels.get(ARM, ""), labels.get(PART, "")), []).append((kept, number))
    return found


def knew_stable(answers: Answers, kind: str) -> bool:
    """Whether Prometheus knew stable when the window began. If not, all that stable ever did would seem new."""
    return bool(answers.get((STABLE, KNOWN))) or not _is_there(answers, STABLE, kind)


def _is_there(answers: Answers, arm: str, kind: str) -> bool:
    return any(answers.get((arm, part)) for part in PRESENCE[kind])


def _missing(answers: Answers, kind: str) -> str:
    """Which arm was not there at all."""
    lacking = [arm for arm in (CANARY, STABLE) if not _is_there(answers, arm, kind)]
    return f"no data of {' and '.join(lacking)}" if lacking else ""


def is_broken(bound: Condition, result: Mapping[str, Any]) -> bool:
    """Whether the static bound is passed. It is asked of the canary, so a look without one says nothing."""
    return bool(result[CANARY]) and bound.holds(dict(result))
