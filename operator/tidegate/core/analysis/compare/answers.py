"""What a comparison is told, and what it makes of it: the shapes that all kinds share.

Apart from the kinds, so that an operator whose templates don't compare never loads the judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tidegate.core.analysis.compare.windows import Window
from tidegate.core.judge import Finding

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

    def with_budget(self, false_alarm: float, shared_by: int) -> Kind:
        """The same with this metric's share of the run's false-alarm budget."""
        ...


PRESENCE: Final[Mapping[str, Sequence[str]]] = {
    "counts": ("total",),
    "distribution": ("buckets",),
    "samples": ("gauge", "counter"),
}
"""The parts by which an arm is known to be there at all."""
MOST_SAMPLES: Final = 500
"""So many looks are kept for Mann and Whitney's test; a metric with more is refused."""


def by_label(samples: Sequence[Sample], label: str) -> dict[str, float]:
    """Values by a label; "" where an answer has none."""
    return {labels.get(label, ""): value for labels, value in samples}
