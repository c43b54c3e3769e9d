"""Asks the Go oracle: what would Argo Rollouts and the API server make of this object?"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from tests.oracles import built


class Answer(NamedTuple):
    """`mistaken` is set where Go could not read the object; the other fields depend on the question."""

    bytes: str = ""
    hash: str = ""
    stored: Any = None
    equal: bool = False
    mistaken: str = ""


class Oracle:
    """One running oracle process, a line for a question and a line for its answer."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([built("hashes")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self) -> None:
        self._process.communicate()

    def template(self, template: Any, collisions: int | None = None) -> Answer:
        return self._ask({"template": template, "collisions": collisions})

    def steps(self, steps: Any) -> Answer:
        return self._ask({"steps": steps})

    def equal(self, a: Any, b: Any) -> Answer:
        return self._ask({"equal": [a, b]})

    def _ask(self, question: Any) -> Answer:
        return next(self.all([question]))

    def all(self, questions: Iterable[Any]) -> Iterator[Answer]:
        """Answers to many questions, written from a second thread so that neither pipe blocks the other."""
        lines = [orjson.dumps(question) + b"\n" for question in questions]
        assert self._process.stdin and self._process.stdout
        to, back = self._process.stdin, self._process.stdout

        def write() -> None:
            to.writelines(lines)
            to.flush()

        writer = threading.Thread(target=write)
        writer.start()
        answers = [Answer(**orjson.loads(back.readline())) for _ in lines]
        writer.join()
        return iter(answers)
