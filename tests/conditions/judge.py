"""The library that Argo Rollouts judges with, as a process that answers one condition a line."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.oracles import built


@dataclass(frozen=True, slots=True)
class Verdict:
    """`holds` is None for an error."""

    holds: bool | None
    error: str


class Judge:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [built("conditions")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, condition: str, result: Any) -> Verdict:
        """Argo Rollouts' answer for a result: a tuple is a vector ([]float64), a float itself, all else JSON."""
        assert self._process.stdin and self._process.stdout
        question: dict[str, Any] = {"condition": condition, "kind": "json", "json": None}
        if isinstance(result, tuple):
            question |= {"kind": "vector", "floats": [repr(number) for number in result]}
        elif isinstance(result, float):
            question |= {"kind": "float", "floats": [repr(result)]}
        else:
            question["json"] = result
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return Verdict(answer["holds"], f"{answer['stage']}: {answer['error']}")

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)
