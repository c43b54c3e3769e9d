"""Has the operator ignore one field of its resources, for `tools.ignored_fields`.

What the operator is given of an object passes a few places: parsing, the views that worlds are gathered from, the
decisions, and the providers. Each is replaced here by itself with the field taken away; a decision's new status loses
it too. `prepare` must run before anything else of the operator is imported, since modules take functions by name.
Until `begin` names a field, all of them do what they always do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any, Final, Literal, get_args, get_origin

Change = Callable[[Any], Any]


@dataclass(frozen=True)
class Ignored:
    """One field. kinds: of the objects that have it. path: as on the page, such as `spec.args[].name`.

    instead: what stands in place of a value that must be there; None where it may be left out.
    after_checks: whether checks still see the field, as in a program that knows it and makes no use of it.
    """

    kinds: frozenset[str]
    path: str
    instead: Change | None = None
    after_checks: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.path.replace("[]", "").split("."))


_field: Ignored | None = None
_whole: dict[int, tuple[Any, Any]] = {}
"""By the identity of an object without the field: itself and the object with it."""
_without: dict[int, tuple[Any, Any]] = {}
"""The other way round, so that the same object is always the same without it."""


def begin(field: Ignored) -> None:
    """Ignore this field from now on."""
    global _field  # noqa: PLW0603 - one process ignores one field, and ends
    _field = field


def prepare() -> None:
    """Put the places where the field is taken away into the operator."""
    _parsing(import_module("tidegate.api.parsing"))
    _put("tidegate.core.analysis.nesting", "contained", _with_first)
    _put("tidegate.core.analysis.metrics", "_metric", lambda real: lambda m, p, *a: real(m, _of_provider(p), *a))
    _put("tidegate.core.analysis.templates", "compose", lambda real: lambda t, *a: real([*map(_template, t)], *a))
    _put("tidegate.core.analysis.decide", "decide", _run_decision)
    _put("tidegate.core.rollout.decide", "decide", lambda real: _decision(real, "Rollout", "rollout"))
    _put("tidegate.core.experiment.decide", "decide", lambda real: _decision(real, "Experiment", "experiment"))
    _put("tidegate.engine.gather", "Gatherer.rollout", _gathering)
    _put("tidegate.engine.experiments", "ExperimentGatherer.experiment", _gathering)
    _providers()


def _put(module: str, name: str, make: Callable[[Any], Any]) -> None:
    owner: Any = import_module(module)
    *outer, last = name.split(".")
    for each in outer:
        owner = getattr(owner, each)
    setattr(owner, last, make(getattr(owner, last)))


# -- objects


def lacking(kind: str, raw: Any) -> Any:
    """An object of this kind without the field; the object itself where it has none such."""
    if _field is None or kind not in _field.kinds or not isinstance(raw, Mapping):
        return raw
    known = _without.get(id(raw))
    if known is None:
        made = _cut(raw, _field.names)
        known = _without[id(raw)] = (raw, made)
        if made is not raw:
            _whole[id(made.get("spec"))] = (made.get("spec"), raw)
            _without[id(made)] = (made, made)
    return known[1]


def _template(raw: Any) -> Any:
    kind = raw.get("kind") if isinstance(raw, Mapping) else None
    return lacking(kind or "AnalysisTemplate", raw)


def _cut(value: Any, names: tuple[str, ...]) -> Any:
    """The value without what stands at the path, in every item of the lists on the way."""
    assert _field is not None
    if isinstance(value, list | tuple):
        items = [_cut(item, names) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    if not isinstance(value, Mapping) or names[0] not in value:
        return value
    name, *rest = names
    if not rest and _field.instead is None:
        return {key: inner for key, inner in value.items() if key != name}
    inner = _cut(value[name], tuple(rest)) if rest else _field.instead(value[name])  # type: ignore[misc]
    return value if inner is value[name] else {**value, name: inner}


def _below(prefix: str, value: Any) -> Any:
    """What stands below `prefix` in an object, without the field if that is below it too."""
    names = tuple(prefix.split("."))
    if _field is None or _field.names[: len(names)] != names or len(_field.names) == len(names):
        return value
    return _cut(value, _field.names[len(names) :])


def _of_provider(provider: Any) -> Any:
    return _below("spec.metrics.provider", provider)


# -- the places


def _parsing(parsing: ModuleType) -> None:
    """Specs and metrics are checked as they stand, and handed on without the field; or lose it before."""
    kinds = {
        "RolloutSpec": "Rollout",
        "AnalysisTemplateSpec": "AnalysisTemplate",
        "AnalysisRunSpec": "AnalysisRun",
        "ExperimentSpec": "Experiment",
    }
    parse, parse_metrics, validate = parsing._parse, parsing.parse_metrics, parsing._validate

    def _parse(model: Any, raw: Any, check: Any) -> Any:
        if _field is None or not isinstance(raw, Mapping):
            return parse(model, raw, check)
        kind = kinds[model.__name__]
        found = lacking(kind, raw)
        if not _field.after_checks:
            return parse(model, found, check)
        spec = raw.get("spec")
        whole = _whole[id(spec)][1] if id(spec) in _whole else raw
        read, problems = parse(model, whole, check)
        return (read, problems) if problems or found is whole else validate(model, found["spec"], "spec")

    def _parse_metrics(raw: Any, path: str = "spec.metrics") -> Any:
        found = _below("spec.metrics", raw)
        if found is raw or not _field.after_checks:  # type: ignore[union-attr]
            return parse_metrics(found, path)
        metrics, problems = parse_metrics(raw, path)
        if problems:
            return metrics, problems
        read = [validate(parsing.Metric, item, f"{path}[{index}]") for index, item in enumerate(found)]
        wrong = tuple(problem for _, problems in read for problem in problems)
        return ((), wrong) if wrong else (tuple(metric for metric, _ in read), ())

    def _status(real: Any) -> Any:
        return lambda raw: real(lacking("AnalysisRun", raw))

    parsing._parse, parsing.parse_metrics = _parse, _parse_metrics  # type: ignore[attr-defined]
    parsing.parse_run_status = _status(parsing.parse_run_status)  # type: ignore[attr-defined]


def _with_first(real: Any) -> Any:
    return lambda template: real(_template(template))


def _decision(real: Any, kind: str, name: str) -> Any:
    def decide(world: Any) -> Any:
        if _field is None:
            return real(world)
        templates = {called: _template(raw) for called, raw in world.templates.items()}
        world = replace(world, **{name: lacking(kind, getattr(world, name)), "templates": templates})
        return _told(real(world), kind, world.status)

    return decide


def _run_decision(real: Any) -> Any:
    read_run = import_module("tidegate.core.analysis.metrics").read_run

    def decide(world: Any) -> Any:
        if _field is None:
            return real(world)
        understood = world.understood or read_run(world.run)
        world = replace(world, run=lacking("AnalysisRun", world.run), understood=understood)
        return _told(real(world), "AnalysisRun", world.run.get("status") or {})

    return decide


def _told(plan: Any, kind: str, before: Any) -> Any:
    """A plan whose status says nothing of the field; without a status where nothing else has changed."""
    if plan.status is None:
        return plan
    status = lacking(kind, {"status": plan.status}).get("status") or {}
    return replace(plan, status=None, events=()) if status == before else replace(plan, status=status)


def _gathering(real: Any) -> Any:
    return lambda self, view, *rest: real(self, _View(view) if _field else view, *rest)


class _View:
    """A view in which no object has the field."""

    def __init__(self, view: Any) -> None:
        self._view = view

    def get(self, key: Any) -> Any:
        return lacking(key.kind, self._view.get(key))

    def owned(self, kind: str, *of: str) -> list[Any]:
        return [lacking(kind, raw) for raw in self._view.owned(kind, *of)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)


def _providers() -> None:
    registry = import_module("tidegate.providers.registry")
    for name, make in registry.PROVIDERS.items():
        provider = make(registry.ProviderSettings(), None)
        late = isinstance(provider, registry._Late)
        owner = (
            getattr(import_module(f"tidegate.providers.{provider._name}"), provider._class) if late else type(provider)
        )
        owner.measure = _measuring(owner.measure, name)


def _measuring(real: Any, name: str) -> Any:
    async def measure(self: Any, spec: Any, **how: Any) -> Any:
        return await real(self, _below(f"spec.metrics.provider.{name}", spec), **how)

    return measure


# -- fields that must be there


def another(model: type, path: str) -> Change | None:
    """What stands in for the value of a field of a model that must be there; None for one that may be left out."""
    *outer, last = path.replace("[]", "").split(".")
    for name in outer:
        model = import_module("tidegate.api.unsupported").known_fields(model)[name]
    infos: Any = model.__pydantic_fields__  # type: ignore[attr-defined]
    info = next(info for name, info in infos.items() if (info.alias or name) == last)
    return _other(info.annotation) if info.is_required() else None


def _other(annotation: Any) -> Change:
    if get_origin(annotation) is Literal:
        return lambda value: next((each for each in get_args(annotation) if each != value), value)
    return _other_value


def _other_value(value: Any) -> Any:
    if isinstance(value, str):
        return f"other-{value}"
    if isinstance(value, int | float):
        return value + 1
    return type(value)()


