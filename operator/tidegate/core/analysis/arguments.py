"""Arguments of an analysis: from a Rollout's wishes to plain values, and from placeholders to text.

Values are settled when a run is created, so that a later change of the Rollout can't change what is being
measured. Placeholders (`{{args.name}}`) stay in the stored metrics and are filled in when a measurement is
taken. An entry of a Secret is never a value here: its placeholders stay until the question goes out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate.api.analysis import Argument, SecretKeyRef, ValueFrom
from tidegate.api.parts import RolloutArgument
from tidegate.api.problems import Problem
from tidegate.core.analysis.fields import FieldError, field_text, split_path

_PLACEHOLDER: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


class UnresolvedError(ValueError):
    """A placeholder that no argument answers."""


@dataclass(frozen=True, slots=True)
class Source:
    """The Rollout that an analysis is for: what `valueFrom` of its arguments can stand for.

    stable, latest: pod template hashes. rollout: the raw object.
    arms: by what the canary and stable are known, for metrics that compare.
    foreseen: whether this only tries out what a run would be. Fields that may still change before there is
        one, all but the spec's, then read as any text.
    """

    stable: str
    latest: str
    rollout: Mapping[str, Any] = field(default_factory=dict)
    foreseen: bool = False
    arms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def text(self, path: str) -> str:
        """The text of one field of the Rollout. Raises FieldError, whose text names the path."""
        try:
            if self.foreseen and split_path(path)[0] != "spec":
                return "0"
            return field_text(self.rollout, path)
        except FieldError as error:
            raise FieldError(f"{path!r} {error}") from None


@dataclass(frozen=True, slots=True)
class Arguments:
    """Settled arguments by name: plain values, and entries of Secrets that are read for each measurement."""

    values: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, SecretKeyRef] = field(default_factory=dict)

    def write(self) -> list[dict[str, Any]]:
        """As `spec.args` of a run."""
        plain: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in self.values.items()]
        return plain + [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": ref.name, "key": ref.key}}}
            for name, ref in self.secrets.items()
        ]


def fill(value: Any, args: Mapping[str, str], later: Collection[str] = ()) -> Any:
    """`value` with every `{{args.name}}` in its strings replaced, but for the names in `later`.

    A placeholder of another sort is named there as a whole, such as arm.service.

    Raises UnresolvedError.
    """
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: _answer(found, args, later), value) if "{{" in value else value
    if isinstance(value, Mapping):
        return {key: fill(item, args, later) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, args, later) for item in value]
    return value


def mentioned(value: Any) -> Iterator[str]:
    """The names of the arguments that `value` has placeholders for."""
    if isinstance(value, str):
        for found in _PLACEHOLDER.finditer(value) if "{{" in value else ():
            yield found[1].strip().removeprefix("args.")
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from mentioned(item)


def _answer(found: re.Match[str], args: Mapping[str, str], later: Collection[str]) -> str:
    name = found[1].strip()
    if name in later:
        return found[0]
    if not name.startswith("args."):
        raise UnresolvedError(f"{found[0]} can't be resolved: a placeholder is written {{{{args.name}}}}")
    name = name.removeprefix("args.")
    if name in later:
        return found[0]
    try:
        return args[name]
    except KeyError:
        raise UnresolvedError(f"{found[0]} can't be resolved: no argument has that name") from None


def read_arguments(args: Iterable[Argument], path: str) -> tuple[Arguments, tuple[Problem, ...]]:
    """A run's arguments by name. An argument without a value is a problem that names it."""
    values: dict[str, str] = {}
    secrets: dict[str, SecretKeyRef] = {}
    problems: list[Problem] = []
    for index, arg in enumerate(args):
        if arg.secret is not None:
            secrets[arg.name] = arg.secret
        elif arg.value is not None:
            values[arg.name] = arg.value
        else:
            problems.append(Problem(f"{path}[{index}].value", f"argument {arg.name} has no value"))
    return Arguments(values, secrets), tuple(problems)


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
            default, before = _default(arg), _default(known) if known is not None else None
            if default is not None and before is not None and default != before:
                field = "value" if arg.secret is None else "valueFrom"
                clash = f"argument {arg.name} is {_shown(default)} here and {_shown(before)} in {other}"
                problems.append(
                    Problem(
                        f"{template}: spec.args[{index}].{field}",
                        f"{clash}; one value has to go for both to be used",
                    )
                )
            if before is None:
                merged[arg.name] = (template, arg)
    return [arg for _, arg in merged.values()], problems


def _default(arg: Argument) -> str | SecretKeyRef | None:
    return arg.secret if arg.secret is not None else arg.value


def _shown(default: str | SecretKeyRef) -> str:
    return repr(default) if isinstance(default, str) else f"{default.key} of Secret {default.name}"


def settle_arguments(
    declared: Sequence[Argument], given: Sequence[Argument | RolloutArgument], source: Source, path: str
) -> tuple[Arguments, list[Problem]]:
    """A new run's arguments: the Rollout's value where it gives one, else the template's default.

    declared: what the templates declare, names unique. given: what the Rollout, or an Experiment, gives; what no
    template declares is left out. path: where that gives arguments, for problems.
    """
    offers = {arg.name: (index, arg) for index, arg in enumerate(given)}
    settled: list[Argument] = []
    problems: list[Problem] = []
    for arg in declared:
        index, offer = offers.get(arg.name, (0, None))
        if isinstance(offer, Argument) and offer.secret is not None:
            settled.append(offer)
            continue
        try:
            value = offered(offer, source) if offer is not None else None
        except FieldError as error:
            problems.append(Problem(f"{path}[{index}].valueFrom.fieldRef.fieldPath", str(error)))
            continue
        default = arg.value if value is None else value
        if value is None and arg.secret is not None:
            settled.append(Argument(name=arg.name, value_from=ValueFrom(secret_key_ref=arg.secret)))
        elif default is None:
            problems.append(Problem(path, f"argument {arg.name} has no value: give one here or in the template"))
        else:
            settled.append(Argument(name=arg.name, value=default))
    return read_arguments(settled, path)[0], problems


def offered(offer: Argument | RolloutArgument, source: Source) -> str | None:
    """The value that an argument gives; None where it leaves that to the template. Raises FieldError."""
    if offer.value is not None:
        return offer.value
    if isinstance(offer, Argument) or offer.value_from is None:
        return None
    if offer.value_from.field_ref is not None:
        return source.text(offer.value_from.field_ref.field_path)
    which = offer.value_from.pod_template_hash_value
    return {"Stable": source.stable, "Latest": source.latest}[which] if which is not None else None
