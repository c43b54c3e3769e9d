"""The library that Argo Rollouts judges with, as a process that answers one condition a line."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.paths import cache_dir
from lab.toolchain import Go, find_go

SOURCES = Path(__file__).parent / "oracle"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`holds` is None for an error."""

    holds: bool | None
    error: str


class Judge:
    def __init__(self) -> None:
        self._process = subprocess.Popen([_built()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

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


def _go() -> Go:
    """The Go to build with; fails with advice if there is none."""
    return find_go()


def _built() -> Path:
    """The program, from the cache if its sources have not changed."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))).hexdigest()[:16]
    program = cache_dir() / "oracles" / f"conditions-{digest}"
    if not program.exists():
        go = _go()
        program.parent.mkdir(parents=True, exist_ok=True)
        fresh = program.with_suffix(f".{os.getpid()}")
        command = [go.binary, "build", "-trimpath", "-o", fresh, "."]
        done = subprocess.run(command, cwd=SOURCES, env=go.environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"The judge of conditions could not be built from {SOURCES}:\n{done.stderr}")
        fresh.rename(program)
    return program
