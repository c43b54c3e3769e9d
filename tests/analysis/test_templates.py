"""From templates and a Rollout's arguments to the run that is created."""

from __future__ import annotations

from typing import Any

import pytest

from tests.analysis.simulation import metric
from tidegate.api.analysis import DryRun, FieldRef, MeasurementRetention, ValueFromHash
from tidegate.api.parts import RolloutArgument
from tidegate.api.rollout import RolloutAnalysis
from tidegate.core.analysis.arguments import Source
from tidegate.core.analysis.metrics import read_run
from tidegate.core.analysis.templates import compose, run_body

PATH = "spec.strategy.canary.steps[1].analysis"
ROLLOUT: dict[str, Any] = {
    "metadata": {
        "name": "web",
        "labels": {"app.kubernetes.io/name": "shop", "tier": "front"},
        "annotations": {"team": 'a "b"'},
        "generation": 4,
    },
    "spec": {
        "replicas": 3,
        "paused": True,
        "strategy": {"canary": {"steps": [{"setWeight": 10}, {"pause": {"duration": 2.5}}]}},
    },
    "status": {"stableRS": "6fd5"},
}
SOURCE = Source("6fd5", "7c9b", ROLLOUT)


def template(name: str, *metrics: dict[str, Any], kind: str = "AnalysisTemplate", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"metrics": list(metrics), **spec},
    }


def composed(*templates: dict[str, Any], **added: Any) -> Any:
    return compose(templates, RolloutAnalysis(**added), SOURCE, PATH)


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


def field(path: str) -> RolloutArgument:
    return RolloutArgument(name="a", value_from=ValueFromHash(field_ref=FieldRef(field_path=path)))


FIELDS = [
    ("metadata.name", "web"),
    ("metadata.generation", "4"),
    ("metadata.labels['app.kubernetes.io/name']", "shop"),
    ('metadata.labels["tier"]', "front"),
    ("metadata.labels.tier", "front"),
    ("metadata.labels['none']", ""),
    ("metadata.annotations['team']", 'a "b"'),
    ("metadata.annotations", 'team="a \\"b\\""'),
    ("metadata.labels", 'app.kubernetes.io/name="shop"\ntier="front"'),
    ("spec.replicas", "3"),
    ("spec.paused", "true"),
    ("spec.strategy.canary.steps[0].setWeight", "10"),
    ("spec.strategy.canary.steps.1.pause.duration", "2.5"),
    ("status.stableRS", "6fd5"),
]


@pytest.mark.parametrize(("path", "value"), FIELDS)
def test_an_argument_takes_a_field_of_the_rollout(path: str, value: str) -> None:
    spec, problems = composed(template("rate", metric(), args=[{"name": "a", "value": "d"}]), args=(field(path),))

    assert problems == ()
    assert spec["args"] == [{"name": "a", "value": value}]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("spec.nothing", "leads to nothing in the Rollout"),
        ("spec.nothing.at.all", "leads to nothing in the Rollout"),
        ("spec.strategy.canary.steps[7].setWeight", "leads to nothing in the Rollout"),
        ("spec.strategy", "leads to an object or a list"),
        ("spec.strategy.canary.steps.first", "asks for 'first' of a list"),
        ("metadata.name.first", "asks for 'first' of a plain value"),
        ("metadata.labels['tier", "is not a path such as"),
        ("", "is empty"),
    ],
)
def test_a_path_that_leads_to_no_value_is_told_with_its_place(path: str, told: str) -> None:
    _, problems = composed(template("rate", metric(), args=[{"name": "a"}]), args=(field(path),))

    assert [problem.path for problem in problems] == [f"{PATH}.args[0].valueFrom.fieldRef.fieldPath"]
    assert problems[0].message.startswith(f"{path!r} {told}")


def test_of_what_may_still_change_only_the_path_is_judged_beforehand() -> None:
    foreseen = Source("0", "0", {"metadata": {}, "spec": {}}, foreseen=True)
    wanted = template("rate", metric(), args=[{"name": "a"}])

    for path, fine in (
        ("status.stableRS", True),
        ("metadata.labels['x']", True),
        ("spec.x", False),
        ("metadata.[", False),
    ):
        assert (compose([wanted], RolloutAnalysis(args=(field(path),)), foreseen, PATH)[1] == ()) is fine, path


SECRET = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "prometheus"}}}


def asking(**fields: Any) -> dict[str, Any]:
    """A metric that uses the argument `token` where it may."""
    provider = {"prometheus": {"address": "http://prometheus", "query": 'up{t="{{ args.token }}"}'}}
    return metric("rate", provider=provider, **fields)


def test_an_entry_of_a_secret_stays_a_reference_in_the_run_and_in_its_questions() -> None:
    spec, problems = composed(template("rate", asking(), args=[SECRET]))

    assert problems == ()
    assert spec["args"] == [SECRET]
    (measured,), wrong = read_run({"spec": spec})
    assert wrong == ()
    assert measured.provider["prometheus"]["query"] == 'up{t="{{ args.token }}"}'
    assert {name: (ref.name, ref.key) for name, ref in measured.secrets.items()} == {"token": ("tokens", "prometheus")}


def test_a_metric_that_does_not_use_a_secret_does_not_have_it_read() -> None:
    (_, plain), _ = read_run({"spec": composed(template("rate", asking(), metric("b"), args=[SECRET]))[0]})

    assert plain.secrets == {}


def test_the_rollouts_value_goes_before_the_templates_secret() -> None:
    given = (RolloutArgument(name="token", value="x"),)

    assert composed(template("rate", asking(), args=[SECRET]), args=given)[0]["args"] == [
        {"name": "token", "value": "x"}
    ]


@pytest.mark.parametrize("place", ["successCondition", "failureCondition", "count", "interval"])
def test_an_entry_of_a_secret_is_refused_where_it_would_be_shown(place: str) -> None:
    _, problems = composed(template("rate", asking(**{place: "{{args.token}}"}), args=[SECRET]))

    assert [problem.path for problem in problems] == [f"AnalysisTemplate rate: spec.metrics[0].{place}"]
    assert "argument token, which comes from a Secret" in problems[0].message


def checking(value: str) -> dict[str, Any]:
    """A metric that is a Job, with `value` in its environment."""
    container = {"name": "check", "image": "check:v1", "env": [{"name": "TOKEN", "value": value}]}
    pod = {"containers": [container], "restartPolicy": "Never"}
    return {"name": "smoke", "provider": {"job": {"spec": {"template": {"spec": pod}}}}}


def test_an_entry_of_a_secret_is_refused_in_a_job() -> None:
    """The Job would get the placeholder's text, or show the Secret to everybody who may read Jobs."""
    spec, problems = composed(template("smoke", checking("{{ args.token }}"), args=[SECRET]))

    assert spec is None
    assert [problem.path for problem in problems] == ["AnalysisTemplate smoke: spec.metrics[0].provider.job"]
    assert "argument token, which comes from a Secret" in problems[0].message
    assert "env[].valueFrom.secretKeyRef" in problems[0].message

    body = {"metadata": {"name": "mine"}, "spec": {"metrics": [checking("{{args.token}}")], "args": [SECRET]}}
    assert [problem.path for problem in read_run(body)[1]] == ["spec.metrics[0].provider.job"]


def test_a_job_beside_a_metric_that_uses_a_secret_is_fine() -> None:
    given = (RolloutArgument(name="mode", value="quick"),)
    smoke = checking("{{args.mode}}")

    spec, problems = composed(template("one", asking(), smoke, args=[SECRET, {"name": "mode"}]), args=given)

    assert problems == ()
    assert spec["metrics"][1] == smoke


def test_two_templates_that_want_different_entries_of_secrets_clash() -> None:
    other = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "others", "key": "prometheus"}}}

    _, problems = composed(template("one", asking(), args=[SECRET]), template("two", metric("b"), args=[other]))

    assert [problem.path for problem in problems] == ["AnalysisTemplate two: spec.args[0].valueFrom"]
    assert "prometheus of Secret others here and prometheus of Secret tokens in" in problems[0].message


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
