"""Arguments of an analysis: from a Rollout's wishes to plain values, and from placeholders to text.

Values are settled when a run is created, so that a later change of the Rollout can't change what is being
measured. Placeholders (`{{args.name}}`) stay in the stored metrics and are filled in when a measurement is
taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.api.analysis import Argument
from tidegate.api.problems import Problem
from tidegate.api.rollout import RolloutArgument

_PLACEHOLDER: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


class UnresolvedError(ValueError):
    """A placeholder that no argument answers."""


@dataclass(frozen=True, slots=True)
class Hashes:
    """The pod template hashes that `valueFrom.podTemplateHashValue` stands for."""

    stable: str
    latest: str


def fill(value: Any, args: Mapping[str, str]) -> Any:
    """`value` with every `{{args.name}}` in its strings replaced. Raises UnresolvedError."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: _answer(found, args), value) if "{{" in value else value
    if isinstance(value, Mapping):
        return {key: fill(item, args) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, args) for item in value]
    return value


def _answer(found: re.Match[str], args: Mapping[str, str]) -> str:
    name = found[1].strip()
    if not name.startswith("args."):
        raise UnresolvedError(f"{found[0]} can't be resolved: a placeholder is written {{{{args.name}}}}")
    try:
        return args[name.removeprefix("args.")]
    except KeyError:
        raise UnresolvedError(f"{found[0]} can't be resolved: no argument has that name") from None


def read_arguments(args: Iterable[Argument], path: str) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """The values of a run's arguments by name. An argument without a value is a problem that names it."""
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for index, arg in enumerate(args):
        if arg.value is None:
            problems.append(Problem(f"{path}[{index}].value", f"argument {arg.name} has no value"))
        else:
            values[arg.name] = arg.value
    return values, tuple(problems)


def merge_arguments(
    templates: Iterable[tuple[str, Sequence[Argument]]],
) -> tuple[list[Argument], list[Problem]]:
    """The arguments that several templates declare, each once. Two different defaults for one name are a
    problem.

    templates: what to call each template in a problem, and its arguments.
    """
    merged: dict[str, tuple[str, Argument]] = {}
    problems: list[Problem] = []
    for template, args in templates:
        for index, arg in enumerate(args):
            other, known = merged.get(arg.name, ("", None))
            if known is not None and None not in (known.value, arg.value) and known.value != arg.value:
                clash = f"argument {arg.name} is {arg.value!r} here and {known.value!r} in {other}"
                problems.append(
                    Problem(
                        f"{template}: spec.args[{index}].value",
                        f"{clash}; one value has to go for both to be used",
                    )
                )
            if known is None or known.value is None:
                merged[arg.name] = (template, arg)
    return [arg for _, arg in merged.values()], problems


def settle_arguments(
    declared: Sequence[Argument], given: Sequence[RolloutArgument], hashes: Hashes, path: str
) -> tuple[dict[str, str], list[Problem]]:
    """The values of a new run's arguments by name: the Rollout's where it gives one, else the template's
    default.

    declared: what the templates declare, names unique. given: what the Rollout gives; what no template
    declares is left out. path: where the Rollout gives arguments, for problems.
    """
    offers = {arg.name: arg for arg in given}
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for arg in declared:
        offer = offers.get(arg.name)
        value = _offered(offer, hashes) if offer is not None else None
        if value is None:
            value = arg.value
        if value is None:
            problems.append(Problem(path, f"argument {arg.name} has no value: give one here or in the template"))
        else:
            values[arg.name] = value
    return values, problems


def _offered(offer: RolloutArgument, hashes: Hashes) -> str | None:
    if offer.value is not None:
        return offer.value
    which = offer.value_from.pod_template_hash_value if offer.value_from is not None else None
    return {"Stable": hashes.stable, "Latest": hashes.latest}[which] if which is not None else None
