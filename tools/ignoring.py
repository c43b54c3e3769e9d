"""Has the operator ignore one field of its resources, for `tools.ignored_fields`.

What the operator is given of an object passes a few places: parsing, the views that worlds are gathered from, the
decisions, the routers, and the providers. Each is replaced here by itself with the field taken away; a decision's new
status loses it too. `prepare` must run before anything else of the operator is imported, since modules take functions
by name. Until `begin` names a field, all of them do what they always do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

Change = Callable[[Any], Any]


@dataclass(frozen=True)
class Ignored:
    """One field. kinds: of the objects that have it. names: on the way to it, `*` for every key of a map.

    instead: what stands in place of a value that must be there; None where it may be left out.
    after_checks: whether checks still see the field, as in a program that knows it and makes no use of it.
    """

    kinds: frozenset[str]
    names: tuple[str, ...]
    instead: Change | None = None
    after_checks: bool = True


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
    _put(
        "tidegate.core.analysis.job_objects", "job_body", lambda real: lambda n, m, job, r: real(n, m, _of_job(job), r)
    )
    _put("tidegate.core.analysis.metrics", "_metric", lambda real: lambda m, p, *a: real(m, _of_provider(p), *a))
    _put("tidegate.core.analysis.templates", "compose", lambda real: lambda t, *a: real([*map(_template, t)], *a))
    _put("tidegate.core.analysis.decide", "decide", _run_decision)
    _put("tidegate.core.rollout.decide", "decide", lambda real: _decision(real, "Rollout", "rollout"))
    _put("tidegate.core.experiment.decide", "decide", lambda real: _decision(real, "Experiment", "experiment"))
    _put("tidegate.routers.registry", "router_for", lambda real: lambda s, **of: real(_model("canary", s), **of))
    _put("tidegate.routers.istio.router", "IstioTraffic.split", _splitting)
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
    if not isinstance(value, Mapping):
        return value
    name, *rest = names
    if name == "*":
        cut = {key: _cut(inner, tuple(rest)) for key, inner in value.items()}
        return value if all(cut[key] is value[key] for key in cut) else cut
    if name not in value:
        return value
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


def _of_job(job: Any) -> Any:
    return _below("spec.metrics.provider.job", job)


def _model(at: str, model: Any) -> Any:
    """A part of a strategy that was read, or made by a test, without the field."""
    raw = import_module("tidegate.api.common").to_raw(model)
    found = _below(f"spec.strategy.{at}", raw)
    return model if found is raw else type(model).__pydantic_validator__.validate_python(found)


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


def _splitting(real: Any) -> Any:
    def split(self: Any, canary: int, routes: Any = None, extras: Any = ()) -> Any:
        return real(self, canary, routes and [*map(_route, routes)], extras)

    return split


def _route(route: Any) -> Any:
    return _model(f"canary.steps.s{type(route).__name__[1:]}", route)


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


# -- fields by their paths


def field(kinds: Iterable[str], part: str, model: type, path: str) -> Ignored:
    """The field of a spec or a status, `part`, by its path within that, as on the page: `args[].name`."""
    known_fields = import_module("tidegate.api.unsupported").known_fields
    names, info = [part], None
    for name in path.replace("[]", "").split("."):
        if info is not None:
            names += ["*"] * _is_map(info.annotation)
        infos: Any = model.__pydantic_fields__  # type: ignore[attr-defined]
        info = next(info for own, info in infos.items() if (info.alias or own) == name)
        names.append(name)
        model = known_fields(model)[name]
    needed = part == "spec" and info is not None and info.is_required()
    return Ignored(frozenset(kinds), tuple(names), _other(info.annotation) if info and needed else None)


def _is_map(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(map(_is_map, get_args(annotation)))


def _other(annotation: Any) -> Change:
    """What stands in for a value that must be there."""
    if get_origin(annotation) is Literal:
        return lambda value: next((each for each in get_args(annotation) if each != value), value)
    return _other_value


def _other_value(value: Any) -> Any:
    if isinstance(value, str):
        return f"{value}-other"
    if isinstance(value, int | float):
        return value + 1
    return type(value)()
