"""One way to say what is wrong with an object, used from parsing up to the status that a user reads."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an object can't be acted on: the path of the field and what is wrong with it.

    event: the reason of an event of its own that other programs wait for; most problems have none.
    """

    path: str
    message: str
    event: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message
