"""Which metrics a rule of `dryRun` or `measurementRetention` means: those that its regular expression finds.

As in Argo Rollouts the expression may match anywhere in a name. `*` alone, which is none, means every metric. A rule
that finds nothing is a typing error, and one that would make a metric decide that was only to be watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol, TypeVar

from tidegate.api.analysis import DryRun, MeasurementRetention
from tidegate.api.problems import Problem
from tidegate.core.analysis.conditions import ConditionError
from tidegate.core.analysis.conditions.errors import Meter
from tidegate.core.analysis.conditions.regex import compile_regex

EVERY: Final = "*"


class _Rule(Protocol):
    @property
    def metric_name(self) -> str: ...


R = TypeVar("R", bound=_Rule)


def at(path: str, rules: Sequence[R]) -> list[tuple[str, R]]:
    """Rules with the path of each, given that of their list."""
    return [(f"{path}[{index}]", rule) for index, rule in enumerate(rules)]


def select_dry_run(
    rules: Iterable[tuple[str, DryRun]], names: Sequence[str]
) -> tuple[frozenset[str], tuple[Problem, ...]]:
    """The names of the metrics that decide nothing. `rules` come with their paths, for problems."""
    chosen: set[str] = set()
    problems: list[Problem] = []
    for path, rule in rules:
        chosen.update(_found(path, rule, names, problems))
    return frozenset(chosen), tuple(problems)


def select_retention(
    rules: Iterable[tuple[str, MeasurementRetention]], names: Sequence[str]
) -> tuple[dict[str, int], tuple[Problem, ...]]:
    """How many measurements to keep, by the name of the metric. Of several rules for one the last counts; a limit of
    0 or less means the default."""
    limits: dict[str, int] = {}
    problems: list[Problem] = []
    for path, rule in rules:
        limits.update(dict.fromkeys(_found(path, rule, names, problems), rule.limit))
    return {name: limit for name, limit in limits.items() if limit > 0}, tuple(problems)


def _found(path: str, rule: _Rule, names: Sequence[str], problems: list[Problem]) -> list[str]:
    field, pattern = f"{path}.metricName", rule.metric_name
    if pattern == EVERY:
        return list(names)
    try:
        regex, meter = compile_regex(pattern), Meter()
        found = [name for name in names if regex.search(name, meter)]
    except ConditionError as error:
        problems.append(Problem(field, f"{pattern!r} is not a regular expression: {error}"))
        return []
    if not found:
        problems.append(Problem(field, f"{pattern!r} matches no metric; there are {', '.join(names) or 'none'}"))
    return found
