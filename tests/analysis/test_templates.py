"""From templates and a Rollout's arguments to the run that is created."""

from __future__ import annotations

from typing import Any

import pytest

from tests.analysis.simulation import metric
from tidegate.api.analysis import DryRun, MeasurementRetention
from tidegate.api.rollout import RolloutAnalysis, RolloutArgument, ValueFromHash
from tidegate.core.analysis.templates import compose, run_body

PATH = "spec.strategy.canary.steps[1].analysis"


def template(name: str, *metrics: dict[str, Any], kind: str = "AnalysisTemplate", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"metrics": list(metrics), **spec},
    }


def composed(*templates: dict[str, Any], **added: Any) -> Any:
    return compose(templates, RolloutAnalysis(**added), stable_hash="6fd5", latest_hash="7c9b", path=PATH)


def test_metrics_of_several_templates_stand_side_by_side_with_their_placeholders() -> None:
    rate = metric("rate", count="{{args.count}}", interval="10s")
    errors = metric("errors")
    given = (RolloutArgument(name="count", value="3"),)

    spec, problems = composed(
        template("rate", rate, args=[{"name": "count"}]),
        template("errors", errors, kind="ClusterAnalysisTemplate"),
        args=given,
    )

    assert problems == ()
    assert spec == {"metrics": [rate, errors], "args": [{"name": "count", "value": "3"}]}


ARGUMENTS = [
    # (sentence, declared by the template, given by the Rollout, value in the run)
    ("the Rollout's value", {"name": "a"}, RolloutArgument(name="a", value="x"), "x"),
    ("the template's default", {"name": "a", "value": "d"}, RolloutArgument(name="b", value="x"), "d"),
    ("the Rollout's over the default", {"name": "a", "value": "d"}, RolloutArgument(name="a", value="x"), "x"),
    ("an empty value is a value", {"name": "a", "value": "d"}, RolloutArgument(name="a", value=""), ""),
    (
        "the stable hash",
        {"name": "a"},
        RolloutArgument(name="a", value_from=ValueFromHash(pod_template_hash_value="Stable")),
        "6fd5",
    ),
    (
        "the latest hash over a default",
        {"name": "a", "value": "d"},
        RolloutArgument(name="a", value_from=ValueFromHash(pod_template_hash_value="Latest")),
        "7c9b",
    ),
]


@pytest.mark.parametrize(
    ("declared", "offered", "value"), [row[1:] for row in ARGUMENTS], ids=[row[0] for row in ARGUMENTS]
)
def test_an_argument_takes_its_value_from(declared: dict[str, Any], offered: RolloutArgument, value: str) -> None:
    spec, problems = composed(template("rate", metric(), args=[declared]), args=(offered,))

    assert problems == ()
    assert spec["args"] == [{"name": "a", "value": value}]


def test_an_argument_that_no_template_declares_is_left_out() -> None:
    spec, _ = composed(template("rate", metric()), args=(RolloutArgument(name="a", value="x"),))

    assert "args" not in spec


def test_one_default_serves_all_templates_that_declare_the_argument() -> None:
    first = template("one", metric("one"), args=[{"name": "a"}])
    second = template("two", metric("two"), args=[{"name": "a", "value": "d"}])

    for templates in ((first, second), (second, first)):
        assert composed(*templates)[0]["args"] == [{"name": "a", "value": "d"}]


WRONG = [
    (
        "an argument without a value",
        [template("rate", metric(), args=[{"name": "service"}])],
        f"{PATH}.args",
        "argument service has no value",
    ),
    (
        "two defaults",
        [
            template("one", metric("one"), args=[{"name": "a", "value": "x"}]),
            template("two", metric("two"), args=[{"name": "a", "value": "y"}]),
        ],
        "AnalysisTemplate two: spec.args[0].value",
        "argument a is 'y' here and 'x' in AnalysisTemplate one",
    ),
    (
        "one metric name in two templates",
        [template("one", metric("rate")), template("two", metric("errors"), metric("rate"))],
        "AnalysisTemplate two: spec.metrics[1].name",
        "metric rate is in AnalysisTemplate one too",
    ),
    (
        "one template twice",
        [template("one", metric("rate")), template("one", metric("rate"))],
        "AnalysisTemplate one: spec.metrics[0].name",
        "metric rate is in AnalysisTemplate one too",
    ),
    (
        "a placeholder that nothing declares",
        [template("rate", metric(count="{{args.count}}", interval="5s"))],
        "AnalysisTemplate rate: spec.metrics[0]",
        "{{args.count}} can't be resolved",
    ),
    (
        "an argument that makes nonsense of a field",
        [template("rate", metric(count="{{args.a}}", interval="5s"), args=[{"name": "a", "value": "many"}])],
        "AnalysisTemplate rate: spec.metrics[0].count",
        "many",
    ),
    (
        "a condition that can't be read",
        [template("rate", metric(successCondition="result >"), kind="ClusterAnalysisTemplate")],
        "ClusterAnalysisTemplate rate: spec.metrics[0].successCondition",
        "is not a condition",
    ),
    (
        "an unknown field",
        [template("rate", metric(succesCondition="true"))],
        "AnalysisTemplate rate: spec.metrics[0].succesCondition",
        "",
    ),
]


@pytest.mark.parametrize(("templates", "path", "message"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_would_fail_the_run_is_found_before_there_is_one(
    templates: list[dict[str, Any]], path: str, message: str
) -> None:
    spec, problems = composed(*templates)

    assert spec is None
    assert [problem.path for problem in problems] == [path]
    assert message in problems[0].message


def test_all_problems_are_told_at_once() -> None:
    _, problems = composed(template("one", metric(interval="soon")), template("two", metric("b", count="x")))

    assert len(problems) == 2


def test_what_the_rollout_says_of_metrics_stands_before_what_the_templates_say() -> None:
    one = template(
        "one", metric("rate"), dryRun=[{"metricName": "rate"}], measurementRetention=[{"metricName": "*", "limit": 3}]
    )
    two = template("two", metric("errors"), dryRun=[{"metricName": "^err"}])

    spec, problems = composed(
        one,
        two,
        dry_run=(DryRun(metric_name="errors"),),
        measurement_retention=(MeasurementRetention(metric_name="rate", limit=20),),
    )

    assert problems == ()
    assert spec["dryRun"] == [{"metricName": "errors"}, {"metricName": "rate"}, {"metricName": "^err"}]
    assert spec["measurementRetention"] == [{"metricName": "rate", "limit": 20}, {"metricName": "*", "limit": 3}]


def test_a_rule_of_one_template_may_mean_a_metric_of_another() -> None:
    _, problems = composed(
        template("one", metric("rate"), dryRun=[{"metricName": "err"}]), template("two", metric("errors"))
    )

    assert problems == ()


RULES = [
    ("dryRun", {"metricName": "eror"}, "'eror' matches no metric; there are errors"),
    ("dryRun", {"metricName": "err("}, "'err(' is not a regular expression"),
    ("measurementRetention", {"metricName": "eror", "limit": 3}, "'eror' matches no metric"),
    ("measurementRetention", {"metricName": "**", "limit": 3}, "'**' is not a regular expression"),
]


@pytest.mark.parametrize(("field", "rule", "message"), RULES)
def test_a_rule_that_means_no_metric_is_refused_with_its_path(field: str, rule: dict[str, Any], message: str) -> None:
    """A misspelt dry run would make a metric decide that was only to be watched."""
    good = {**rule, "metricName": "*"}

    spec, problems = composed(template("one", metric("errors"), **{field: [good, rule]}))

    assert spec is None
    assert [problem.path for problem in problems] == [f"AnalysisTemplate one: spec.{field}[1].metricName"]
    assert message in problems[0].message


def test_a_rule_of_the_rollout_that_means_no_metric_is_refused_with_its_path() -> None:
    _, problems = composed(template("one", metric("errors")), dry_run=(DryRun(metric_name="rate"),))

    assert [problem.path for problem in problems] == [f"{PATH}.dryRun[0].metricName"]


def test_a_run_belongs_to_its_owner() -> None:
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web", "uid": "u-7"}}

    body = run_body(
        name="web-7c9b-2",
        namespace="shop",
        owner=owner,
        labels={"rollout-type": "Step"},
        annotations={"rollout.argoproj.io/revision": "2"},
        spec={"metrics": [metric()]},
    )

    assert (body["apiVersion"], body["kind"]) == ("argoproj.io/v1alpha1", "AnalysisRun")
    assert body["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "name": "web",
            "uid": "u-7",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert body["metadata"]["labels"] == {"rollout-type": "Step"}
