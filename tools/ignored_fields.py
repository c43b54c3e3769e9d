"""Shows for every field in docs/compatibility.md that a test fails when the operator ignores it.

    python -m tools.ignored_fields [part of a path ...]

Each field is ignored in a process of its own, which runs the tests that the field's row names; those of the lab are
left out. A field is shown when one of them fails. At first the checks of a spec still see the field, so that what
fails is its use; a row of which the checks are the use has another try without.
"""

from __future__ import annotations

import gc
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tools import ignoring

ignoring.prepare()  # before any test has taken the operator's functions by name

import pytest  # noqa: E402

from tests.api.test_compatibility_table import KINDS, ROOT, TEST_ID, covers, fields, rows  # noqa: E402

CPU_SECONDS: Final = 60
"""After so much work tests that never end, for want of the field, have shown it."""
NEVER_USED: Final = {"status.canary.weights.verified": "never written, and read by nobody"}
_BY_USE: Final = "shown by its use"
_NOT_SHOWN: Final = "not shown"
_NOTHING: Final = ignoring.Ignored(frozenset(KINDS), ("spec", "noSuchField"))
_ALL_LAB: Final = re.compile(r"^pytestmark = pytest\.mark\.lab", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """A field by its path, and the tests that its row names without those of the lab."""

    path: str
    field: ignoring.Ignored
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{'/'.join(sorted(self.field.kinds))} {self.path}"


def table() -> Iterator[Row]:
    """Every field that holds no others, once for all kinds that share its row."""
    found: dict[tuple[str, str], set[str]] = {}
    models: dict[str, type] = {}
    for kind, parts in KINDS.items():
        told = list(rows(kind))
        for part, model in parts.items():
            for path, alone in fields(model, part):
                for row, tests in told:
                    if covers(row, path) and (alone or row == path):
                        found.setdefault((path, tests), set()).add(kind)
                        models[path] = model
    for (path, tests), kinds in found.items():
        named = tuple(test for test in TEST_ID.findall(tests) if not _of_lab(test))
        part, _, within = path.partition(".")
        yield Row(path, ignoring.field(kinds, part, models[path], within), named)


def _of_lab(test: str) -> bool:
    return _ALL_LAB.search((ROOT / test.partition("::")[0]).read_text()) is not None


def ends(tries: Sequence[tuple[ignoring.Ignored, tuple[str, ...]]], at_once: int) -> list[tuple[str, str]]:
    """How each try ends, `passed`, `failed` or what else; and what pytest has printed."""
    running: dict[int, int] = {}
    found: dict[int, tuple[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (field, tests) in enumerate(tries):
            if len(running) >= at_once:
                _wait(running, found, Path(folder))
            running[_begin(field, tests, Path(folder) / str(number))] = number
        while running:
            _wait(running, found, Path(folder))
    return [found[number] for number in range(len(tries))]


def _begin(field: ignoring.Ignored, tests: tuple[str, ...], output: Path) -> int:
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    if field is not _NOTHING:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    into = os.open(output, os.O_CREAT | os.O_WRONLY)
    os.dup2(into, 1)
    os.dup2(into, 2)
    ignoring.begin(field)
    for name in [name for name in sys.modules if name.startswith("tests.")]:
        del sys.modules[name]  # What a module has read of an object when it was imported had the field.
    plain = ["-x", "-q", "--no-header", "--tb=short", "-m", "not lab", "-p", "no:cacheprovider"]
    code = pytest.main([*plain, *tests])
    sys.stdout.flush()
    os._exit(code)


def _wait(running: dict[int, int], found: dict[int, tuple[str, str]], folder: Path) -> None:
    child, status = os.wait()
    number = running.pop(child)
    code = os.waitstatus_to_exitcode(status)
    word = {0: "passed", 1: "failed", -signal.SIGXCPU: "failed"}.get(code, f"ended with {code}")
    found[number] = word, (folder / str(number)).read_text()


def _import_tests(tests: Sequence[str]) -> None:
    """Import all that the tests import, so that not each process has to."""
    null = os.open(os.devnull, os.O_WRONLY)
    kept = os.dup(1)
    os.dup2(null, 1)
    pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *tests])
    sys.stdout.flush()
    os.dup2(kept, 1)
    gc.freeze()


def main(parts: Sequence[str]) -> int:
    """Print the fields that are not shown by their use, and how many are. 1 if one is not shown at all."""
    began = time.monotonic()
    wanted = [row for row in table() if not parts or any(part in str(row) for part in parts)]
    left = [row for row in wanted if row.tests]
    named = sorted({test for row in left for test in row.tests})
    (whole, printed), *_ = ends([(_NOTHING, tuple(named))], 1)
    if whole != "passed":
        sys.stdout.write(f"{printed}\nThe tests must pass while nothing is ignored.\n")
        return 2
    _import_tests(named)
    why = {row: "only tests of the lab are named" for row in wanted if not row.tests}
    for how, after_checks in ((_BY_USE, True), ("shown by what is refused without it", False)):
        tries = [(replace(row.field, after_checks=after_checks), row.tests) for row in left]
        why |= {
            row: how for row, (word, _) in zip(left, ends(tries, os.cpu_count() or 1), strict=True) if word == "failed"
        }
        left = [row for row in left if row not in why]
    why |= {row: NEVER_USED.get(row.path, _NOT_SHOWN) for row in left}
    for row in wanted:
        if why[row] != _BY_USE:
            tests = f" by {' '.join(row.tests)}" if why[row] == _NOT_SHOWN else ""
            sys.stdout.write(f"{row}: {why[row]}{tests}\n")
    told = ", ".join(f"{count} {how}" for how, count in Counter(why.values()).most_common())
    sys.stdout.write(f"{len(wanted)} fields in {time.monotonic() - began:.0f} s: {told}\n")
    return 1 if _NOT_SHOWN in why.values() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
