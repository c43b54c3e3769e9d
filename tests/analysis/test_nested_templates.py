"""Templates in templates: what they become, and what is refused."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.analysis.simulation import metric
from tests.analysis.test_templates import template
from tidegate.api.analysis import TemplateRef
from tidegate.api.parsing import parse_template
from tidegate.api.parts import RolloutArgument
from tidegate.api.rollout import RolloutAnalysis
from tidegate.core.analysis.arguments import Source
from tidegate.core.analysis.nesting import DEEPEST, TemplateName, contained, unfold
from tidegate.core.rollout.analyses import composed

PATH = "spec.strategy.canary.analysis"


def nested(name: str, *inner: str, cluster: bool = False, **spec: Any) -> dict[str, Any]:
    """A template that contains others; `*name` is a cluster-wide one."""
    refs = [
        {"templateName": each.removeprefix("*"), **({"clusterScope": True} if each[0] == "*" else {})} for each in inner
    ]
    kind = "ClusterAnalysisTemplate" if cluster else "AnalysisTemplate"
    return template(name, kind=kind, **({"templates": refs} if refs else {}), **spec)


def world(*templates: dict[str, Any]) -> dict[TemplateName, Any]:
    return {TemplateName(raw["kind"][0] == "C", raw["metadata"]["name"]): raw for raw in templates}


def ask(*names: str, templates: dict[TemplateName, Any], **added: Any) -> Any:
    analysis = RolloutAnalysis(templates=tuple(TemplateRef(template_name=name) for name in names), **added)
    return composed(PATH, analysis, templates, Source("6fd5", "7c9b"))


def test_metrics_arguments_and_rules_of_all_levels_make_one_run() -> None:
    templates = world(
        nested("all", "rate", "*errors"),
        nested("rate", "deep", metrics=[metric("rate")], args=[{"name": "service"}], dryRun=[{"metricName": "deep"}]),
        nested("deep", metrics=[metric("deep")], measurementRetention=[{"metricName": "rate", "limit": 3}]),
        nested("errors", cluster=True, metrics=[metric("errors")], args=[{"name": "limit", "value": "5"}]),
    )

    spec, problems = ask("all", templates=templates, args=(RolloutArgument(name="service", value="shop"),))

    assert problems == ()
    assert [each["name"] for each in spec["metrics"]] == ["rate", "deep", "errors"]
    assert spec["args"] == [{"name": "service", "value": "shop"}, {"name": "limit", "value": "5"}]
    assert spec["dryRun"] == [{"metricName": "deep"}]
    assert spec["measurementRetention"] == [{"metricName": "rate", "limit": 3}]
    assert "templates" not in spec


def test_a_template_that_is_reached_in_two_ways_counts_once() -> None:
    templates = world(nested("a", "c"), nested("b", "c"), nested("c", metrics=[metric("rate")]))

    spec, problems = ask("a", "b", "c", templates=templates)

    assert problems == ()
    assert [each["name"] for each in spec["metrics"]] == ["rate"]


def test_a_circle_is_refused_with_the_way_that_closes_it() -> None:
    templates = world(
        nested("a", "b"), nested("b", "other", "c"), nested("c", "b"), nested("other", metrics=[metric("rate")])
    )

    spec, problems = ask("a", templates=templates)

    assert spec is None
    (problem,) = problems
    assert problem.path == "AnalysisTemplate c: spec.templates[0].templateName"
    assert "AnalysisTemplate b contains AnalysisTemplate c contains AnalysisTemplate b" in problem.message


def test_a_cluster_wide_template_of_the_same_name_is_another() -> None:
    templates = world(nested("a", "*a"), nested("a", cluster=True, metrics=[metric("rate")]))

    assert ask("a", templates=templates)[1] == ()


def test_one_metric_name_on_two_levels_is_refused() -> None:
    templates = world(nested("a", "b", metrics=[metric("rate")]), nested("b", metrics=[metric("rate")]))

    (problem,) = ask("a", templates=templates)[1]

    assert problem.path == "AnalysisTemplate b: spec.metrics[0].name"
    assert "metric rate is in AnalysisTemplate a too" in problem.message


def test_two_defaults_on_two_levels_are_refused() -> None:
    templates = world(
        nested("a", "b", args=[{"name": "x", "value": "1"}]),
        nested("b", metrics=[metric("rate")], args=[{"name": "x", "value": "2"}]),
    )

    (problem,) = ask("a", templates=templates)[1]

    assert problem.path == "AnalysisTemplate b: spec.args[0].value"


def test_a_template_that_is_missing_on_any_level_is_named_with_the_place_that_asks_for_it() -> None:
    templates: dict[TemplateName, Any] = world(nested("a", "b"), nested("b", "*gone", metrics=[metric("rate")]))

    for missing in (templates, {**templates, TemplateName(True, "gone"): None}):
        (problem,) = ask("a", templates=missing)[1]

        assert problem.path == "AnalysisTemplate b: spec.templates[0].templateName"
        assert problem.message == "ClusterAnalysisTemplate gone not found"


def test_templates_without_end_do_not_cost_the_program_its_stack() -> None:
    templates = world(*(nested(f"t{n}", f"t{n + 1}") for n in range(5000)))

    _, problems = ask("t0", templates=templates)

    assert [problem.path for problem in problems] == [
        f"AnalysisTemplate t{DEEPEST - 1}: spec.templates[0].templateName"
    ]


def test_a_template_without_metrics_needs_templates() -> None:
    assert parse_template(nested("a", "b"))[1] == ()
    assert [problem.path for problem in parse_template(nested("a"))[1]] == ["spec.metrics"]
    assert [problem.path for problem in parse_template(nested("a", "*"))[1]] == ["spec.templates[0].templateName"]


def test_what_cannot_be_read_contains_nothing() -> None:
    for spec in (None, [], {"templates": "b"}, {"templates": ["b", None, 3]}):
        assert contained({"spec": spec}) == []
    assert contained(None) == []


@given(edges=st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7))))
def test_whatever_contains_what_it_comes_to_an_end_with_each_template_once(edges: set[tuple[int, int]]) -> None:
    templates = world(*(nested(str(n), *(str(to) for at, to in sorted(edges) if at == n)) for n in range(8)))

    found, problems = unfold([TemplateRef(template_name="0")], templates, PATH)

    reached, pending = {0}, [0]
    while pending:
        at = pending.pop()
        new = {to for here, to in edges if here == at} - reached
        reached |= new
        pending += new
    assert sorted(raw["metadata"]["name"] for raw in found) == sorted(map(str, reached))
    assert bool(problems) == any(_reaches(edges, n, n) for n in reached)


def _reaches(edges: set[tuple[int, int]], start: int, end: int) -> bool:
    seen: set[int] = set()
    pending = [start]
    while pending:
        at = pending.pop()
        for here, to in edges:
            if here == at and to not in seen:
                seen.add(to)
                pending.append(to)
    return end in seen
