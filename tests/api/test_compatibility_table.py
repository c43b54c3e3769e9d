"""docs/compatibility.md says what is so: every field, its test, and what is refused.

Wrong worlds this catches: a new field without a test, a row for a field that is gone, a test that was renamed, and a
refused field of which nobody is told.
"""

from __future__ import annotations

import ast
import gc
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import pytest

from tidegate.api.analysis import AnalysisRunSpec, AnalysisTemplateSpec
from tidegate.api.analysis_status import AnalysisRunStatus
from tidegate.api.experiment import ExperimentSpec
from tidegate.api.experiment_status import ExperimentStatus
from tidegate.api.rollout import RolloutSpec
from tidegate.api.rollout_status import RolloutStatus
from tidegate.api.unsupported import known_fields, not_built

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs/compatibility.md").read_text()

KINDS: Final[dict[str, dict[str, type]]] = {
    "Rollout": {"spec": RolloutSpec, "status": RolloutStatus},
    "AnalysisTemplate": {"spec": AnalysisTemplateSpec},
    "ClusterAnalysisTemplate": {"spec": AnalysisTemplateSpec},
    "AnalysisRun": {"spec": AnalysisRunSpec, "status": AnalysisRunStatus},
    "Experiment": {"spec": ExperimentSpec, "status": ExperimentStatus},
}
REFUSED: Final = ", refused"
TEST_ID: Final = re.compile(r"tests/\w+/\w+\.py(?:::\w+)+")


def fields(model: type, at: str) -> Iterator[tuple[str, bool]]:
    """Every path within a model, and whether it holds no other fields."""
    infos = model.__pydantic_fields__  # type: ignore[attr-defined]
    for name, info in infos.items():
        field = info.alias or name
        path = f"{at}.{field}{'[]' if is_list(info.annotation) else ''}"
        within = list(fields(inner, path)) if (inner := known_fields(model)[field]) else []
        yield path, not within
        yield from within


def refused(model: type, at: str) -> Iterator[tuple[str, str]]:
    """Every path within a model that is refused, and the message."""
    for field, why in not_built(model).items():
        yield f"{at}.{field}", why.message
    infos = model.__pydantic_fields__  # type: ignore[attr-defined]
    for name, info in infos.items():
        field = info.alias or name
        if inner := known_fields(model)[field]:
            yield from refused(inner, f"{at}.{field}{'[]' if is_list(info.annotation) else ''}")


def is_list(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(is_list(each) for each in get_args(annotation))


def rows(kind: str, *, of_refused: bool = False) -> Iterator[tuple[str, str]]:
    """The rows of the tables about a kind: a path for each alternative of the first cell, and the other cell."""
    told: list[str] = []
    for line in PAGE.splitlines():
        if line.startswith("#"):
            title = line.lstrip("# ")
            about = title.removesuffix(REFUSED).split(", ")
            told = about if title.endswith(REFUSED) is of_refused else []
        elif kind in told and line.startswith("| `"):
            first, second = (cell.strip() for cell in line.strip("|").split("|"))
            for path in alternatives(first.strip("`")):
                yield path, second


def alternatives(path: str) -> Iterator[str]:
    """`a.{b,c}.d` as `a.b.d` and `a.c.d`."""
    parts = [part.split(",") if number % 2 else [part] for number, part in enumerate(re.split(r"[{}]", path))]
    return ("".join(chosen) for chosen in product(*parts))


def covers(row: str, path: str) -> bool:
    return path.startswith(row[:-1]) or path == row[:-2] if row.endswith(".*") else path == row


@pytest.mark.parametrize("kind", KINDS)
def test_given_a_field_then_it_has_one_row(kind: str) -> None:
    given = [row for row, _ in rows(kind)]
    for part, model in KINDS[kind].items():
        for path, alone in fields(model, part):
            found = [row for row in given if covers(row, path)]
            assert len(found) == 1 or (not found and not alone), f"{kind} {path} has the rows {found}"


@pytest.mark.parametrize("kind", KINDS)
def test_given_a_row_then_its_field_is_there(kind: str) -> None:
    there = {path for part, model in KINDS[kind].items() for path, _ in fields(model, part)}
    assert [row for row, _ in rows(kind) if row.removesuffix(".*") not in there] == []


@pytest.mark.parametrize("kind", KINDS)
def test_given_a_row_then_it_names_a_test(kind: str) -> None:
    assert [row for row, tests in rows(kind) if not TEST_ID.search(tests)] == []


def test_given_a_test_on_the_page_then_it_is_there() -> None:
    named = TEST_ID.findall(PAGE)
    assert len(named) > 100
    assert sorted({test for test in named if not is_defined(test)}) == []


@pytest.mark.parametrize("kind", KINDS)
def test_given_a_field_that_is_refused_then_its_row_has_the_message(kind: str) -> None:
    wanted = Counter(each for part, model in KINDS[kind].items() for each in refused(model, part))
    assert Counter(rows(kind, of_refused=True)) == wanted


def is_defined(test: str) -> bool:
    """Whether a test id names a function of its file, or a method of a class of it."""
    file, *names = test.split("::")
    return (ROOT / file).is_file() and tuple(names) in defined(file)


@cache
def defined(file: str) -> frozenset[tuple[str, ...]]:
    def within(body: list[ast.stmt], at: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
                yield (*at, node.name)
            elif isinstance(node, ast.ClassDef):
                yield from within(node.body, (*at, node.name))

    gc.disable()  # Python 3.11 stumbles over what other tests have left if it is collected meanwhile (gh-106905).
    try:
        return frozenset(within(ast.parse((ROOT / file).read_text()).body, ()))
    finally:
        gc.enable()
