"""Templates and runs are read as they stand, or every mistake in them is told with the path of the field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.api.objects import REMOVED, RUN, TEMPLATE, spoilt
from tidegate.api.common import int_of, is_duration, percent_of, pods_of
from tidegate.api.parsing import parse_metrics, parse_run, parse_run_status, parse_template
from tidegate.core.times import parse_duration

M = "spec.metrics[0]"
SECRET = "spec.args[1].valueFrom.secretKeyRef"

MISTAKES: list[tuple[tuple[tuple[str, Any], ...], str, str]] = [
    # what is changed in a valid template, the path that is told, what is told
    ((("spec", REMOVED),), "spec", "is required"),
    ((("spec.metrics", []),), "spec.metrics", "at least one metric"),
    ((("spec.metrics", REMOVED),), "spec.metrics", "at least one metric"),
    ((("spec.metrics", {}),), "spec.metrics", "must be a list, not an object"),
    ((("spec.args[0].name", ""),), "spec.args[0].name", "is required"),
    ((("spec.args[1].value", 5),), "spec.args[1].value", "must be text, not the number 5"),
    (((SECRET, {"name": "a", "key": "b"}), ("spec.args[1].value", "x")), SECRET, "stands beside value"),
    (
        (("spec.args[0].valueFrom.secretKeyRef", {"name": "a"}),),
        "spec.args[0].valueFrom.secretKeyRef.key",
        "is required",
    ),
    (
        (("spec.args[0].valueFrom.secretKeyRef", {"name": "", "key": "b"}),),
        "spec.args[0].valueFrom.secretKeyRef.name",
        "is required",
    ),
    (((f"{M}.name", REMOVED),), f"{M}.name", "is required"),
    (((f"{M}.name", ""),), f"{M}.name", "is required"),
    ((("spec.metrics[1].name", "success-rate"),), "spec.metrics[1].name", "is the name of spec.metrics[0] too"),
    (((f"{M}.interval", "often"),), f"{M}.interval", "'often' is not a duration"),
    (((f"{M}.interval", "30"),), f"{M}.interval", "'30' is not a duration"),
    (((f"{M}.interval", 30),), f"{M}.interval", "must be text, not the number 30"),
    (((f"{M}.interval", "-1s"),), f"{M}.interval", "must not be negative"),
    (((f"{M}.initialDelay", "5 minutes"),), f"{M}.initialDelay", "is not a duration"),
    (((f"{M}.interval", REMOVED),), f"{M}.interval", "is required because count is 10"),
    (((f"{M}.count", "10"), (f"{M}.interval", "")), f"{M}.interval", "is required because count is 10"),
    (((f"{M}.count", -1),), f"{M}.count", "is -1, must be 0 or more"),
    (((f"{M}.count", "ten"),), f"{M}.count", "'ten' is neither an integer nor {{args.…}}"),
    (((f"{M}.count", []),), f"{M}.count", "must be an integer or text"),
    (((f"{M}.count", 2),), f"{M}.count", "must be at least failureLimit + consecutiveSuccessLimit (3 + 0)"),
    (((f"{M}.count", 5), (f"{M}.consecutiveSuccessLimit", 3)), f"{M}.count", "(3 + 3)"),
    (((f"{M}.failureLimit", -1), (f"{M}.consecutiveSuccessLimit", 11)), f"{M}.count", "(0 + 11)"),
    (((f"{M}.failureLimit", -2),), f"{M}.failureLimit", "or -1 to tolerate any number"),
    (((f"{M}.failureLimit", -1),), f"{M}.failureLimit", "consecutiveSuccessLimit must be 1 or more"),
    (((f"{M}.inconclusiveLimit", -1),), f"{M}.inconclusiveLimit", "must be 0 or more"),
    (((f"{M}.inconclusiveLimit", 11),), f"{M}.count", "at least inconclusiveLimit (11)"),
    (((f"{M}.consecutiveErrorLimit", "-1"),), f"{M}.consecutiveErrorLimit", "must be 0 or more"),
    (((f"{M}.consecutiveSuccessLimit", -1),), f"{M}.consecutiveSuccessLimit", "must be 0 or more"),
    (((f"{M}.provider", REMOVED),), f"{M}.provider", "is required"),
    (((f"{M}.provider", {}),), f"{M}.provider", "names no provider"),
    (((f"{M}.provider.prometheus.query", REMOVED),), f"{M}.provider.prometheus.query", "is required"),
    (((f"{M}.provider.prometheus.query", " \n"),), f"{M}.provider.prometheus.query", "is required"),
    (((f"{M}.provider.prometheus.address", "prometheus:9090"),), f"{M}.provider.prometheus.address", "http://"),
    (((f"{M}.provider.prometheus.timeout", -1),), f"{M}.provider.prometheus.timeout", "must be 0 or more"),
    (((f"{M}.provider.prometheus.timeout", "30s"),), f"{M}.provider.prometheus.timeout", "must be an integer"),
]


@pytest.mark.parametrize(("changes", "path", "message"), MISTAKES)
def test_given_one_mistake_then_exactly_its_path_and_remedy_are_told(
    changes: tuple[tuple[str, Any], ...], path: str, message: str
) -> None:
    for valid, parse in ((TEMPLATE, parse_template), (RUN, parse_run)):
        spec, problems = parse(spoilt(valid, *changes))
        assert spec is None
        assert [problem.path for problem in problems] == [path]
        assert message in problems[0].message


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ((f"{M}.count", REMOVED),),
        ((f"{M}.count", 1), (f"{M}.interval", REMOVED), (f"{M}.failureLimit", 0)),
        ((f"{M}.count", 3),),
        ((f"{M}.failureLimit", -1), (f"{M}.consecutiveSuccessLimit", 10)),
        ((f"{M}.provider.prometheus.address", "{{args.address}}"),),
        ((f"{M}.interval", "{{args.interval}}"), (f"{M}.count", "{{ args.count }}")),
        ((f"{M}.failureLimit", "{{args.limit}}"), (f"{M}.count", 1)),
    ],
)
def test_given_a_value_at_the_edge_or_one_that_waits_for_an_argument_then_it_is_accepted(
    changes: tuple[tuple[str, Any], ...],
) -> None:
    assert parse_template(spoilt(TEMPLATE, *changes))[1] == ()


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"count": "many"}, "spec.metrics[1].count", "neither an integer"),
        ({"count": "5"}, "spec.metrics[1].interval", "is required because count is 5"),
        ({"unknown": 1}, "spec.metrics[1].unknown", "is not a field of spec.metrics[1]"),
        ({"name": "success-rate"}, "spec.metrics[1].name", "is the name of spec.metrics[0] too"),
    ],
)
def test_given_arguments_filled_in_then_what_was_held_back_is_judged(
    changes: dict[str, Any], path: str, message: str
) -> None:
    first, second = TEMPLATE["spec"]["metrics"]
    metrics, problems = parse_metrics([{**first, "consecutiveErrorLimit": "4"}, {**second, **changes}])
    assert metrics == ()
    assert [problem.path for problem in problems] == [path]
    assert message in problems[0].message


def test_given_sound_metrics_then_they_come_back_in_order() -> None:
    first, second = TEMPLATE["spec"]["metrics"]
    metrics, problems = parse_metrics([{**first, "consecutiveErrorLimit": "4"}, second])
    assert problems == ()
    assert [metric.name for metric in metrics] == ["success-rate", "errors"]


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ((), 10),
        (((f"{M}.count", "7"),), 7),
        (((f"{M}.count", REMOVED),), None),
        (((f"{M}.count", 0),), None),
        (((f"{M}.count", REMOVED), (f"{M}.interval", REMOVED)), 1),
        (((f"{M}.count", 1), (f"{M}.interval", REMOVED), (f"{M}.failureLimit", 0)), 1),
    ],
)
def test_given_count_and_interval_then_the_number_of_measurements_follows(
    changes: tuple[tuple[str, Any], ...], count: int | None
) -> None:
    spec, problems = parse_template(spoilt(TEMPLATE, *changes))
    assert problems == ()
    assert spec is not None
    assert spec.metrics[0].effective_count == count


def test_given_a_run_status_of_any_controller_then_what_is_known_of_it_is_read() -> None:
    status, problems = parse_run_status(
        {
            "status": {
                "phase": "Running",
                "newerField": {"a": 1},
                "dryRunSummary": {},
                "runSummary": None,
                "metricResults": [
                    {
                        "name": "success-rate",
                        "phase": "Running",
                        "count": 2,
                        "consecutiveError": 1,
                        "metadata": {"ResolvedPrometheusQuery": "up"},
                        "measurements": [{"phase": "Error", "message": "timeout", "startedAt": "2026-11-01T10:00:00Z"}],
                    }
                ],
            }
        }
    )
    assert problems == ()
    assert status is not None
    (result,) = status.metric_results
    assert (result.count, result.consecutive_error, result.measurements[0].message) == (2, 1, "timeout")
    assert parse_run_status({})[0] is not None
    assert parse_run_status({"status": []})[1][0].path == "status"


# -- numbers and durations -----------------------------------------------------------------------------------------


@given(st.from_regex(r"-?[0-9.]{0,3}(h|m|s|ms|us|ns)?([0-9]{0,2}(m|s))?", fullmatch=True))
@example("1h30m")
@example(".5s")
@example("+1m")
@example("-")
def test_given_any_text_then_what_is_a_duration_here_is_one_that_the_core_can_read(text: str) -> None:
    try:
        parse_duration(text)
        readable = not text.isdigit() or text == "0"  # the core reads bare seconds too, which only a pause may have
    except ValueError:
        readable = False
    assert is_duration(text) == readable


@pytest.mark.parametrize(
    ("value", "total", "up", "down"),
    [(3, 10, 3, 3), ("25%", 10, 3, 2), ("25", 10, 3, 2), ("0%", 10, 0, 0), ("100%", 7, 7, 7), ("1%", 1, 1, 0)],
)
def test_given_pods_or_a_percentage_then_it_is_rounded_as_asked(
    value: int | str, total: int, up: int, down: int
) -> None:
    assert (pods_of(value, total, round_up=True), pods_of(value, total, round_up=False)) == (up, down)


@pytest.mark.parametrize(("value", "number"), [(None, 4), ("", 4), (0, 0), (-1, -1), ("-1", -1), ("12", 12)])
def test_given_an_int_or_string_then_its_number_is_read(value: int | str | None, number: int) -> None:
    assert int_of(value, 4) == number


@pytest.mark.parametrize("text", ["x", "1.5", "{{args.n}}", "1 ", "٣"])
def test_given_other_text_then_it_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not an integer"):
        int_of(text, 0)
    with pytest.raises(ValueError, match="neither a number of pods"):
        percent_of(text)
