"""What each kind of comparison asks of both arms, and what the judge makes of the answers.

A kind is a module of the judge with its parameters; adding one is a class here and a line in `KINDS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from tidegate.api.common import number_of
from tidegate.api.compare import Compare
from tidegate.core.analysis.compare.windows import Window, increases, summed
from tidegate.core.judge import Finding, counts
from tidegate.core.judge.dispersion import PodCount
from tidegate.core.times import format_time

CANARY: Final = "canary"
STABLE: Final = "stable"


class AnswerError(ValueError):
    """Answers that make no look. The text says what is wrong with them."""


Sample = tuple[Mapping[str, str], float]
"""One element of an answer: its labels and its value."""
Answers = Mapping[tuple[str, str], Sequence[Sample]]
"""What was answered, by arm and part."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look, and where all looks so far have led.

    state: what the status keeps for the next look. result: the look's figures by arm, as conditions see them; none of
    an arm that was not there.
    text: the same as one line. enough: whether the traffic so far would have allowed a verdict, had there been one.
    """

    state: Mapping[str, Any]
    finding: Finding
    result: Mapping[str, Any]
    text: str
    enough: bool


class Kind(Protocol):
    """A way to compare two arms."""

    def questions(self, selectors: Mapping[str, str], window: Window) -> dict[str, str]:
        """PromQL for one arm, by part. selectors: the fields of the spec, with the arm filled in."""
        ...

    def observe(self, state: Mapping[str, Any] | None, answers: Answers, window: Window) -> Seen:
        """Take one look. Raises AnswerError."""
        ...

    def with_budget(self, false_alarm: float) -> Kind:
        """The same with this metric's share of the false-alarm budget."""
        ...


@dataclass(frozen=True, slots=True)
class Counts:
    """Shares of bad requests. `by`: the label of pods; empty for none."""

    parameters: counts.CountsParameters
    by: str = "pod"

    def questions(self, selectors: Mapping[str, str], window: Window) -> dict[str, str]:
        return {part: summed(self.by, increases(selector, window)) for part, selector in selectors.items()}

    def observe(self, state: Mapping[str, Any] | None, answers: Answers, window: Window) -> Seen:
        before = counts.CountsState.from_json(dict(state)) if state else counts.CountsState()
        canary, stable = self._pods(answers, CANARY), self._pods(answers, STABLE)
        look = counts.CountsLook(
            canary=_tally(canary),
            stable=_tally(stable),
            seconds=window.seconds,
            at=format_time(window.end),
            canary_pods=_named(canary),
            stable_pods=_named(stable),
        )
        after = counts.observe(self.parameters, before, look)
        arms = {CANARY: look.canary, STABLE: look.stable}
        return Seen(
            state=after.to_json(),
            finding=counts.judge(self.parameters, after),
            result={arm: _figures(tally) for arm, tally in arms.items()},
            text=", ".join(f"{arm} {t.bad:.0f}/{t.total:.0f}" for arm, t in arms.items()),
            enough=self._enough(after),
        )

    def with_budget(self, false_alarm: float) -> Counts:
        return replace(self, parameters=replace(self.parameters, false_alarm=false_alarm))

    def _pods(self, answers: Answers, arm: str) -> tuple[PodCount, ...]:
        totals = _by_label(answers.get((arm, "total"), ()), self.by)
        part = "good" if any((each, "good") in answers for each in (CANARY, STABLE)) else "bad"
        given = _by_label(answers.get((arm, part), ()), self.by)
        strange = sorted(given.keys() - totals.keys())
        if strange:
            told = f"{part} has {self.by} {strange[0]!r} of {arm} that total has not"
            raise AnswerError(f"{told}: both must be of the same requests")
        pods = []
        for name, total in totals.items():
            bad = given.get(name, 0.0) if part == "bad" else total - given.get(name, 0.0)
            if not 0 <= bad <= total:
                told = f"{part} of {arm} is {given.get(name, 0):g} where total is {total:g}"
                raise AnswerError(f"{told}: it must be a part of it")
            pods.append(PodCount(name, bad, total))
        return tuple(pods)

    def _enough(self, state: counts.CountsState) -> bool:
        """Whether a canary that fails exactly as often as stable would have been found safe with this traffic."""
        total = state.canary.total + state.stable.total
        if not state.canary.total or not state.stable.total:
            return False
        rate = (state.canary.bad + state.stable.bad) / total
        alike = counts.CountsLook(
            canary=counts.Tally(rate * state.canary.total, state.canary.total),
            stable=counts.Tally(rate * state.stable.total, state.stable.total),
        )
        imagined = counts.observe(self.parameters, counts.CountsState(), alike)
        return imagined.favour.crossed is not None


def _figures(tally: counts.Tally) -> dict[str, float]:
    return {"bad": tally.bad, "total": tally.total, "rate": tally.rate} if tally.total else {}


def _tally(pods: Sequence[PodCount]) -> counts.Tally:
    return counts.Tally(math.fsum(pod.bad for pod in pods), math.fsum(pod.total for pod in pods))


def _named(pods: Sequence[PodCount]) -> tuple[PodCount, ...]:
    """Pods by name; none where the answer does not tell pods apart."""
    return tuple(pod for pod in pods if pod.name) if len(pods) > 1 or all(pod.name for pod in pods) else ()


def _by_label(samples: Sequence[Sample], label: str) -> dict[str, float]:
    return {labels.get(label, ""): value for labels, value in samples}


def _counts(compare: Compare) -> tuple[Kind, dict[str, str]]:
    spec = compare.counts
    assert spec is not None
    default = counts.CountsParameters()
    parameters = counts.CountsParameters(
        tolerated=number_of(spec.tolerated, default.tolerated),
        safe=number_of(spec.safe, default.safe),
        negligible=number_of(spec.negligible, default.negligible),
    )
    selectors = {"total": spec.total, "bad": spec.bad, "good": spec.good}
    return Counts(parameters, spec.by), {part: text for part, text in selectors.items() if text}


KINDS: Final[Mapping[str, Callable[[Compare], tuple[Kind, dict[str, str]]]]] = {
    # The kind and its selectors by part. Raises ValueError for parameters that don't go together.
    "counts": _counts,
}
FIRST: Final[Mapping[str, str]] = {"counts": "total"}
"""The part by which an arm is known to be there at all."""
