"""A run's metrics as the core works with them: arguments filled in, text read, conditions compiled.

Reading happens on every decision, straight from the raw object, so a run that was edited by hand meets the
same checks as a fresh one. Conditions are compiled once per text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from tidegate.api import analysis as api
from tidegate.api.analysis import SecretKeyRef
from tidegate.api.common import int_of, is_templated
from tidegate.api.compare_checks import ARM_PLACEHOLDERS
from tidegate.api.jobs import is_job
from tidegate.api.parsing import parse_metrics, parse_run
from tidegate.api.problems import Problem
from tidegate.core.analysis.arguments import Arguments, UnresolvedError, fill, mentioned, read_arguments
from tidegate.core.analysis.compare.comparison import Comparison, read_comparison, read_rules
from tidegate.core.analysis.conditions import Condition, ConditionError, compile_condition
from tidegate.core.analysis.jsonpath import JsonPathError, parse_json_path
from tidegate.core.analysis.moments import MomentError, moment
from tidegate.core.analysis.selection import at, select_dry_run, select_retention
from tidegate.core.times import parse_duration

HISTORY: Final = 10
CONSECUTIVE_ERROR_LIMIT: Final = 4
TIMEOUT: Final = timedelta(seconds=30)
SHORT_TIMEOUT: Final = timedelta(seconds=10)
_ANY_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
SHORTEST_INTERVAL: Final = timedelta(seconds=1)
"""Times in a status have whole seconds, so a shorter interval would be due again at once, for ever."""

_compiled = lru_cache(maxsize=4096)(compile_condition)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a run.

    provider: the raw provider mapping, one key, arguments filled in but for those in `secrets`.
    count: after how many measurements it is judged; None while it runs until it is stopped.
    interval: from the end of one measurement to the start of the next; None where there is only one.
    failure_limit: so many failures are borne, one more is a verdict. None when failures don't count (-1 in
    the spec).
    consecutive_success_limit: so many successes in a row are a verdict; 0 when that doesn't count.
    dry_run: the metric is only watched; the run's end is decided by the others.
    retention: how many measurements the status keeps.
    comparison: what is compared, in place of `success`; `failure` is a static bound beside it then.
    """

    name: str
    provider: Mapping[str, Any]
    count: int | None = 1
    interval: timedelta | None = None
    initial_delay: timedelta = timedelta(0)
    success: Condition | None = None
    failure: Condition | None = None
    failure_limit: int | None = 0
    inconclusive_limit: int = 0
    consecutive_error_limit: int = CONSECUTIVE_ERROR_LIMIT
    consecutive_success_limit: int = 0
    timeout: timedelta = TIMEOUT
    secrets: Mapping[str, SecretKeyRef] = field(default_factory=dict)
    dry_run: bool = False
    retention: int = HISTORY
    comparison: Comparison | None = None

    @property
    def is_job(self) -> bool:
        """Whether a Job measures it, whose end is the measurement: no condition, no value."""
        return "job" in self.provider


Understood = tuple[tuple[Metric, ...], tuple[Problem, ...]]
"""Metrics, or the problems that keep them from being measured."""


def read_run(run: Mapping[str, Any]) -> Understood:
    """The metrics of a raw AnalysisRun, or the problems that keep it from being carried out."""
    spec, problems = parse_run(run)
    if spec is None:
        return (), problems
    args, problems = read_arguments(spec.args, "spec.args")
    if problems:
        return (), problems
    metrics, problems = read_metrics(run["spec"]["metrics"], args, "spec.metrics")
    if problems:
        return (), problems
    metrics, problems = _with_rules(metrics, spec)
    if problems or not any(metric.comparison for metric in metrics):
        return metrics, problems
    return _judged_together(metrics, spec, args)


def _with_rules(
    metrics: tuple[Metric, ...], spec: api.AnalysisRunSpec
) -> tuple[tuple[Metric, ...], tuple[Problem, ...]]:
    """Metrics with what the run says of several of them at once."""
    if not spec.dry_run and not spec.measurement_retention:
        return metrics, ()
    names = [metric.name for metric in metrics]
    dry, wrong = select_dry_run(at("spec.dryRun", spec.dry_run), names)
    limits, wrong_too = select_retention(at("spec.measurementRetention", spec.measurement_retention), names)
    if wrong or wrong_too:
        return (), (*wrong, *wrong_too)
    chosen = (
        replace(metric, dry_run=metric.name in dry, retention=limits.get(metric.name, HISTORY)) for metric in metrics
    )
    return tuple(chosen), ()


def _judged_together(
    metrics: tuple[Metric, ...], spec: api.AnalysisRunSpec, args: Arguments
) -> tuple[tuple[Metric, ...], tuple[Problem, ...]]:
    """Metrics that compare with the rules of the run and their share of its false-alarm budget."""
    rules, problems = read_rules(spec.judge, args, "spec.judge")
    if problems:
        return (), problems
    sharing = sum(metric.comparison is not None and not metric.dry_run for metric in metrics)
    return tuple(
        replace(metric, comparison=metric.comparison.under(rules, sharing)) if metric.comparison else metric
        for metric in metrics
    ), ()


def read_metrics(
    raw: Sequence[Mapping[str, Any]], args: Arguments, path: str
) -> tuple[tuple[Metric, ...], tuple[Problem, ...]]:
    """Raw metrics with `args` filled in, or the problems. `path` is where the list stands in its object."""
    filled: list[Mapping[str, Any]] = []
    problems: list[Problem] = []
    for index, metric in enumerate(raw):
        at = f"{path}[{index}]"
        later = {*args.secrets, *(ARM_PLACEHOLDERS if "compare" in metric else ())}
        try:
            filled.append(fill(metric, args.values, later))
        except UnresolvedError as error:
            problems.append(Problem(at, str(error)))
        problems += _secrets_out_of_place(metric, args, at)
    if problems:
        return (), tuple(problems)
    models, wrong = parse_metrics(filled, path)
    if wrong:
        return (), wrong
    metrics = [
        _metric(model, item["provider"], args, f"{path}[{index}]", problems)
        for index, (model, item) in enumerate(zip(models, filled, strict=True))
    ]
    return ((), tuple(problems)) if problems else (tuple(metrics), ())


def _secrets_out_of_place(metric: Mapping[str, Any], args: Arguments, path: str) -> list[Problem]:
    """Entries of Secrets outside of the provider, where messages would quote them, or in a Job, where everybody who may
    read Jobs would see them."""
    return [
        Problem(f"{path}.{where}", f"uses argument {arg}, which comes from a Secret; {instead}")
        for where, value, instead in _shown_parts(metric)
        for arg in dict.fromkeys(mentioned(value))
        if arg in args.secrets
    ]


def _shown_parts(metric: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """What people get to see of a metric: where, the value, and what to do with a Secret there."""
    for name, value in metric.items():
        if name != "provider":
            yield name, value, "such a one may only be used in provider"
    if is_job(metric):
        instead = "let the Job's container take the Secret by itself, by env[].valueFrom.secretKeyRef"
        yield "provider.job", metric["provider"]["job"], instead


def _metric(
    model: api.Metric, provider: Mapping[str, Any], args: Arguments, path: str, problems: list[Problem]
) -> Metric:
    """A checked metric as the core knows it. Conditions are the last thing that can be wrong with it."""
    failure_limit = int_of(model.failure_limit, 0)
    _check_late(model.provider, f"{path}.provider", problems)
    success, failure = _conditions(model)
    return Metric(
        name=model.name,
        provider={name: settings for name, settings in provider.items() if settings is not None},
        count=model.effective_count,
        interval=max(parse_duration(model.interval), SHORTEST_INTERVAL) if model.interval else None,
        initial_delay=parse_duration(model.initial_delay) if model.initial_delay else timedelta(0),
        success=_condition(success, f"{path}.successCondition", problems),
        failure=_condition(failure, f"{path}.failureCondition", problems),
        failure_limit=None if failure_limit < 0 else failure_limit,
        inconclusive_limit=int_of(model.inconclusive_limit, 0),
        consecutive_error_limit=int_of(model.consecutive_error_limit, CONSECUTIVE_ERROR_LIMIT),
        consecutive_success_limit=int_of(model.consecutive_success_limit, 0),
        timeout=_timeout(model.provider),
        secrets={name: args.secrets[name] for name in mentioned(provider) if name in args.secrets},
        comparison=read_comparison(model, f"{path}.compare", problems),
    )


def _conditions(model: api.Metric) -> tuple[str, str]:
    """When a measurement is good and when it is bad, as conditions over its result."""
    if model.provider.kayenta is None:
        return model.success_condition, model.failure_condition
    threshold = model.provider.kayenta.threshold
    return f"result >= {threshold.pass_score}", f"result < {threshold.marginal}"


def _timeout(provider: api.MetricProvider) -> timedelta:
    """How long a measurement may take."""
    if provider.prometheus is not None and provider.prometheus.timeout:
        return timedelta(seconds=provider.prometheus.timeout)
    if provider.web is not None:
        return timedelta(seconds=provider.web.timeout_seconds) if provider.web.timeout_seconds else SHORT_TIMEOUT
    if provider.datadog is not None:
        return parse_duration(provider.datadog.request_timeout) if provider.datadog.request_timeout else SHORT_TIMEOUT
    if provider.new_relic is not None and provider.new_relic.timeout:
        return max(TIMEOUT, timedelta(seconds=provider.new_relic.timeout) + SHORT_TIMEOUT)
    return SHORT_TIMEOUT if provider.graphite is not None else TIMEOUT


def _check_late(provider: api.MetricProvider, path: str, problems: list[Problem]) -> None:
    """Texts in languages of their own, which can only be read here."""
    if provider.web is not None and not is_templated(provider.web.json_path):
        try:
            parse_json_path(provider.web.json_path)
        except JsonPathError as error:
            problems.append(Problem(f"{path}.web.jsonPath", str(error)))
    if provider.prometheus is not None and provider.prometheus.range_query is not None:
        asked = provider.prometheus.range_query
        for field, text in (("start", asked.start), ("end", asked.end)):
            try:
                _ = is_templated(text) or moment(text, _ANY_TIME)
            except MomentError as error:
                problems.append(Problem(f"{path}.prometheus.rangeQuery.{field}", str(error)))


def _condition(text: str, path: str, problems: list[Problem]) -> Condition | None:
    if not text.strip():
        return None
    try:
        return _compiled(text)
    except ConditionError as error:
        problems.append(Problem(path, f"{text!r} is not a condition: {error}"))
        return None
