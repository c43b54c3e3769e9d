"""What must hold for an analysis beyond the types of its fields.

Source of the rules: Argo Rollouts' `utils/analysis` ValidateMetrics. A field that still waits for an argument
is left out; `tidegate.api.parsing.parse_metrics` judges it once it is filled in. Conditions are judged by
their language.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidegate.api.analysis import AnalysisRunSpec, AnalysisTemplateSpec, Argument, Metric
from tidegate.api.common import int_of, is_duration, is_templated
from tidegate.api.compare_checks import check_compare, check_critical, check_judge
from tidegate.api.problems import Problem
from tidegate.api.provider_checks import check_provider


def check_template(spec: AnalysisTemplateSpec | AnalysisRunSpec) -> Iterator[Problem]:
    """Every problem of a template's or a run's spec."""
    nested = spec.templates if isinstance(spec, AnalysisTemplateSpec) else ()
    if spec.metrics or not nested:
        yield from check_metrics(spec.metrics, "spec.metrics")
    for index, ref in enumerate(nested):
        if not ref.template_name:
            yield Problem(f"spec.templates[{index}].templateName", "is required: the name of a template")
    yield from _check_arguments(spec.args, "spec.args")
    # A template may be used together with others, whose metrics its rules are for too.
    if isinstance(spec, AnalysisRunSpec):
        compared = [metric.name for metric in spec.metrics if metric.compare is not None]
        yield from check_judge(spec.judge, compared, "spec.judge")
        yield from check_critical(spec.metrics, spec.judge)
    else:
        yield from check_judge(spec.judge, None, "spec.judge")


def check_metrics(metrics: Sequence[Metric], path: str) -> Iterator[Problem]:
    """Every problem of a list of metrics that stands at `path`."""
    if not metrics:
        yield Problem(path, "is required: an analysis needs at least one metric")
    seen: dict[str, int] = {}
    for index, metric in enumerate(metrics):
        at = f"{path}[{index}]"
        if not metric.name:
            yield Problem(f"{at}.name", "is required")
        elif metric.name in seen:
            first = f"{path}[{seen[metric.name]}]"
            yield Problem(f"{at}.name", f"{metric.name!r} is the name of {first} too; give each its own")
        seen.setdefault(metric.name, index)
        yield from _check_limits(metric, at)
        yield from _check_times(metric, at)
        if metric.compare is not None:
            yield from check_compare(metric, at)
        else:
            yield from check_provider(metric.provider, f"{at}.provider")
        yield from _check_conditions(metric, at)
        yield from _check_kayenta_start(metric, at)


def _check_arguments(args: Sequence[Argument], path: str) -> Iterator[Problem]:
    for index, arg in enumerate(args):
        if not arg.name:
            yield Problem(f"{path}[{index}].name", "is required")
        if arg.secret is not None:
            at = f"{path}[{index}].valueFrom.secretKeyRef"
            if arg.value is not None:
                yield Problem(at, "stands beside value; keep one of the two")
            for field, value in (("name", arg.secret.name), ("key", arg.secret.key)):
                if not value:
                    yield Problem(f"{at}.{field}", "is required")


def _check_limits(metric: Metric, at: str) -> Iterator[Problem]:
    numbers: dict[str, int] = {}
    for field, value, default, least in (
        ("count", metric.count, 0, 0),
        ("failureLimit", metric.failure_limit, 0, -1),
        ("inconclusiveLimit", metric.inconclusive_limit, 0, 0),
        ("consecutiveErrorLimit", metric.consecutive_error_limit, 4, 0),
        ("consecutiveSuccessLimit", metric.consecutive_success_limit, 0, 0),
    ):
        if is_templated(value):
            continue
        try:
            numbers[field] = int_of(value, default)
        except ValueError:
            yield Problem(f"{at}.{field}", f"{value!r} is neither an integer nor {{{{args.…}}}}")
            continue
        if numbers[field] < least:
            allowed = "0 or more" if least == 0 else "0 or more, or -1 to tolerate any number"
            yield Problem(f"{at}.{field}", f"is {numbers[field]}, must be {allowed}")
            del numbers[field]
    yield from _check_limits_together(metric, numbers, at)


def _check_limits_together(metric: Metric, numbers: dict[str, int], at: str) -> Iterator[Problem]:
    count = numbers.get("count", 0)
    failures, successes = numbers.get("failureLimit"), numbers.get("consecutiveSuccessLimit")
    if failures == -1 and successes == 0:
        yield Problem(
            f"{at}.failureLimit",
            "is -1, which tolerates any number of failures, so consecutiveSuccessLimit must be 1 or more",
        )
    if count > 1 and not metric.interval:
        yield Problem(f"{at}.interval", f"is required because count is {count}")
    if count > 0 and failures is not None and successes is not None and count < max(failures, 0) + successes:
        yield Problem(
            f"{at}.count",
            f"is {count}, must be at least failureLimit + consecutiveSuccessLimit "
            f"({max(failures, 0)} + {successes}), otherwise they are never reached",
        )
    inconclusive = numbers.get("inconclusiveLimit", 0)
    if 0 < count < inconclusive:
        yield Problem(f"{at}.count", f"is {count}, must be at least inconclusiveLimit ({inconclusive})")


def _check_times(metric: Metric, at: str) -> Iterator[Problem]:
    for field, value in (("interval", metric.interval), ("initialDelay", metric.initial_delay)):
        if not value or is_templated(value):
            continue
        if not is_duration(value):
            yield Problem(f"{at}.{field}", f"{value!r} is not a duration such as 30s, 5m or 1h30m")
        elif value.startswith("-"):
            yield Problem(f"{at}.{field}", f"is {value}, must not be negative")


def _check_conditions(metric: Metric, at: str) -> Iterator[Problem]:
    """Providers that judge by themselves leave nothing for a condition to look at."""
    if metric.provider.job is not None:
        instead = "a Job that completes is good; leave it out"
    elif metric.provider.kayenta is not None:
        instead = "threshold says which scores are good; leave it out"
    else:
        return
    for field, value in (
        ("successCondition", metric.success_condition),
        ("failureCondition", metric.failure_condition),
    ):
        if value.strip():
            yield Problem(f"{at}.{field}", f"has no result to look at: {instead}")


def _check_kayenta_start(metric: Metric, at: str) -> Iterator[Problem]:
    kayenta = metric.provider.kayenta
    if kayenta is None or kayenta.lookback or metric.interval:
        return
    for index, scope in enumerate(kayenta.scopes):
        for side, detail in (("controlScope", scope.control_scope), ("experimentScope", scope.experiment_scope)):
            if not detail.start:
                told = "is required because the metric has neither an interval to look back nor lookback: true"
                yield Problem(f"{at}.provider.kayenta.scopes[{index}].{side}.start", told)
