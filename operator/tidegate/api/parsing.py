"""From an object as the API server gives it to a model, or to a list of what is wrong with it.

A bad object never raises here: it gets its problems, each with the path of the field, and every other object
goes on. The usual object takes one pass. Only one that fails is gone through again, without its nulls and
without the fields that ask for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails, SchemaValidator

from tidegate.api.analysis import AnalysisRunSpec, AnalysisTemplateSpec, Metric
from tidegate.api.analysis_checks import check_metrics, check_template
from tidegate.api.analysis_status import AnalysisRunStatus
from tidegate.api.common import MAX_INT32
from tidegate.api.experiment import ExperimentSpec
from tidegate.api.experiment_checks import check_experiment
from tidegate.api.problems import Problem
from tidegate.api.rollout import RolloutSpec, WorkloadRef
from tidegate.api.rollout_checks import check_rollout, check_workload
from tidegate.api.unsupported import known_fields, refusal, without_harmless

T = TypeVar("T")

_WRONG_TYPE: Final = {
    "int_type": "an integer",
    "int_or_string": "an integer or text",
    "number_or_string": "a number or text",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "an object",
    "dataclass_type": "an object",
}


def parse_rollout(raw: Mapping[str, Any]) -> tuple[RolloutSpec | None, tuple[Problem, ...]]:
    """Read the spec of a Rollout. There is a spec exactly if there are no problems.

    With a workloadRef, template and selector have to be filled in; what is wrong with the reference itself is told
    first, for nothing can be filled in then.
    """
    body = raw.get("spec") if isinstance(raw, Mapping) else None
    if isinstance(body, Mapping) and isinstance(body.get("workloadRef"), Mapping):
        ref, problems = _validate(WorkloadRef, body["workloadRef"], "spec.workloadRef")
        if problems := problems or tuple(check_workload(ref) if ref else ()):
            return None, problems
    return _parse(RolloutSpec, raw, check_rollout)


def parse_template(raw: Mapping[str, Any]) -> tuple[AnalysisTemplateSpec | None, tuple[Problem, ...]]:
    """Read the spec of an AnalysisTemplate or ClusterAnalysisTemplate. A spec exactly if there are no
    problems."""
    return _parse(AnalysisTemplateSpec, raw, check_template)


def parse_run(raw: Mapping[str, Any]) -> tuple[AnalysisRunSpec | None, tuple[Problem, ...]]:
    """Read the spec of an AnalysisRun. There is a spec exactly if there are no problems."""
    return _parse(AnalysisRunSpec, raw, check_template)


def parse_experiment(raw: Mapping[str, Any]) -> tuple[ExperimentSpec | None, tuple[Problem, ...]]:
    """Read the spec of an Experiment. There is a spec exactly if there are no problems."""
    return _parse(ExperimentSpec, raw, check_experiment)


def parse_metrics(raw: Sequence[Any], path: str = "spec.metrics") -> tuple[tuple[Metric, ...], tuple[Problem, ...]]:
    """Read metrics whose arguments have been filled in, so that what they held back can be judged.

    Metrics come back exactly if there are no problems. `path` is where the list stands in its object.
    """
    metrics: list[Metric] = []
    problems: list[Problem] = []
    for index, item in enumerate(raw):
        metric, found = _validate(Metric, item, f"{path}[{index}]")
        problems += found
        if metric is not None:
            metrics.append(metric)
    problems = problems or list(check_metrics(metrics, path))
    return (() if problems else tuple(metrics)), tuple(problems)


def parse_run_status(raw: Mapping[str, Any]) -> tuple[AnalysisRunStatus | None, tuple[Problem, ...]]:
    """Read the status of an AnalysisRun. One that was never written is an empty status."""
    status = raw.get("status") if isinstance(raw, Mapping) else None
    return _validate(AnalysisRunStatus, {} if status is None else status, "status")


def _parse(
    model: type[T],
    raw: Mapping[str, Any],
    check: Callable[[T], Iterable[Problem]],
) -> tuple[T | None, tuple[Problem, ...]]:
    body = raw.get("spec") if isinstance(raw, Mapping) else None
    if body is None:
        return None, (Problem("spec", "is required"),)
    spec, problems = _validate(model, body, "spec")
    if spec is not None:
        problems = tuple(check(spec))
    return (None, problems) if problems else (spec, ())


def _validate(model: type[T], raw: Any, path: str) -> tuple[T | None, tuple[Problem, ...]]:
    """The model of a JSON object, or what is wrong with its fields' names and types."""
    validator: SchemaValidator = model.__pydantic_validator__  # type: ignore[attr-defined]
    try:
        return validator.validate_python(raw, by_alias=True, by_name=False), ()
    except ValidationError:
        pass  # perhaps only for something harmless; what remains without that is what to tell
    try:
        return validator.validate_python(without_harmless(model, raw), by_alias=True, by_name=False), ()
    except ValidationError as invalid:
        return None, tuple(_problem(model, path, error) for error in invalid.errors(include_url=False))


def _problem(model: type, root: str, error: ErrorDetails) -> Problem:
    kind, location = error["type"], error["loc"]
    path = root + "".join(map(_path_part, location))
    if kind == "unexpected_keyword_argument":
        *outer, field = location
        parent = root + "".join(map(_path_part, outer))
        return Problem(path, refusal(_model_at(model, outer), str(field), parent))
    if kind == "missing":
        return Problem(path, "is required")
    if kind == "int_or_string" and type(error["input"]) is int:
        return Problem(path, f"is {error['input']}, must be at most {MAX_INT32} and at least {-MAX_INT32 - 1}")
    if kind in _WRONG_TYPE:
        return Problem(path, f"must be {_WRONG_TYPE[kind]}, not {_describe(error['input'])}")
    if kind == "literal_error":
        allowed = error.get("ctx", {}).get("expected", "")
        return Problem(path, f"must be {allowed}, not {_describe(error['input'])}")
    if kind == "greater_than_equal":
        return Problem(path, f"is {error['input']}, must be {error['ctx']['ge']} or more")
    if kind == "less_than_equal":
        return Problem(path, f"is {error['input']}, must be at most {error['ctx']['le']}")
    return Problem(path, f"can't be read: {error['msg']}")


def _model_at(model: type, location: Iterable[int | str]) -> type:
    for part in location:
        if isinstance(part, str):
            model = known_fields(model).get(part) or model
    return model


def _path_part(part: int | str) -> str:
    if isinstance(part, str) and part.isidentifier():
        return f".{part}"
    return f"[{part}]"


def _describe(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 40 else f"the text {value[:40]!r}…"
    return "a list" if isinstance(value, list | tuple) else "an object"
