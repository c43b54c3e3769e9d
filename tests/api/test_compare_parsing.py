"""Metrics that compare: what is refused, and by which path and words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.analysis.traffic import ARMS, compared
from tidegate.api.parsing import parse_run, parse_template
from tidegate.core.analysis.metrics import read_run

SELECTOR = 'requests{hash="{{arm.podTemplateHash}}"}'
COUNTS = {"total": SELECTOR, "bad": SELECTOR}


def problems(*metrics: dict[str, Any], **spec: Any) -> list[str]:
    return [str(problem) for problem in parse_run({"spec": {"metrics": list(metrics), **spec}})[1]]


def kinds(**fields: Any) -> dict[str, Any]:
    return compared(compare=fields)


def effect(direction: str = "increase", **size: Any) -> dict[str, Any]:
    return {"samples": {"gauge": SELECTOR, "mode": "mannWhitney", "direction": direction, "effectSize": size}}


CRITICAL = ".samples.effectSize.criticalIncrease"


@pytest.mark.parametrize(
    "compare",
    [
        {"counts": {"total": "up{a=~'x({{arm.service}})'}", "good": ':x:y{le="0.5",s="{{ arm.subset }}"}', "by": ""}},
        {"counts": {**COUNTS, "tolerated": "{{args.t}}", "safe": 3, "negligible": 0}, "delay": "30s"},
        {"distribution": {"buckets": SELECTOR, "covers": 0.95, "unit": "ms"}},
        {"samples": {"counter": SELECTOR, "per": SELECTOR, "direction": "either"}},
        {"samples": {"gauge": '{__name__="x",pod=~"{{arm.replicaSet}}-.*"}', "mode": "mannWhitney"}},
        effect("either", criticalIncrease=1.2, criticalDecrease="0.8", allowedDecrease=0.9),
        effect(criticalIncrease="{{args.c}}", allowedIncrease=2),
        effect(criticalIncrease=2, allowedIncrease="{{args.a}}"),
    ],
)
def test_given_a_comparison_then_it_is_taken(compare: dict[str, Any]) -> None:
    assert parse_template({"spec": {"metrics": [kinds(**compare)]}})[1] == ()


@pytest.mark.parametrize(
    ("compare", "path", "words"),
    [
        ({}, "", "names no kind: add one of counts, distribution, samples"),
        ({"counts": COUNTS, "distribution": {"buckets": SELECTOR}}, "", "make a metric of each"),
        ({"counts": {"total": SELECTOR}}, ".counts.bad", "is required, or else good"),
        ({"counts": {**COUNTS, "good": SELECTOR}}, ".counts.bad", "stands beside good"),
        ({"counts": {**COUNTS, "total": f"rate({SELECTOR}[1m])"}}, ".counts.total", "is not a selector such as"),
        ({"counts": {**COUNTS, "total": "requests"}}, ".counts.total", "asks the same of both versions"),
        ({"counts": {**COUNTS, "bad": 'x{a="{{arm.hash}}"}'}}, ".counts.bad", "{{arm.hash}} can't be resolved"),
        ({"counts": {**COUNTS, "by": "a-b"}}, ".counts.by", "is not the name of a label"),
        ({"counts": {**COUNTS, "tolerated": 0.5}}, ".counts.tolerated", "is 0.5, must lie between 1 and 20"),
        ({"counts": {**COUNTS, "tolerated": "much"}}, ".counts.tolerated", "is neither a number nor {{args.…}}"),
        ({"counts": {**COUNTS, "tolerated": 3}}, ".counts.safe", "must be more than tolerated (3)"),
        ({"counts": {**COUNTS, "negligible": 1}}, ".counts.negligible", "must lie between 0 and 1"),
        ({"counts": {**COUNTS, "ratio": 2}}, ".counts.ratio", "is not a field of"),
        ({"distribution": {"buckets": ""}}, ".distribution.buckets", "is required"),
        ({"samples": {"gauge": SELECTOR, "counter": SELECTOR}}, ".samples.gauge", "stands beside counter"),
        ({"samples": {}}, ".samples.gauge", "is required, or else counter"),
        ({"samples": {"gauge": SELECTOR, "mode": "median"}}, ".samples.mode", "must be"),
        ({"counts": COUNTS, "delay": "soon"}, ".delay", "is not a duration"),
        (
            {"samples": {"gauge": SELECTOR, "mode": "mannWhitney", "tolerated": 2}},
            ".samples.tolerated",
            "counts nothing in the mode mannWhitney",
        ),
        ({"samples": {"gauge": SELECTOR, "outliers": "remove"}}, ".samples.outliers", "without mode: mannWhitney"),
        ({"samples": {"gauge": SELECTOR, "effectSize": {}}}, ".samples.effectSize", "without mode: mannWhitney"),
        ({"samples": {"gauge": SELECTOR, "nanStrategy": "keep"}}, ".samples.nanStrategy", "must be"),
        (
            {"samples": {"gauge": SELECTOR, "nanStrategy": "remove"}},
            ".samples.nanStrategy",
            "without mode: mannWhitney",
        ),
        (
            {"samples": {"gauge": SELECTOR, "mode": "mannWhitney", "effectSize": {"allowedDecrease": -1}}},
            ".samples.effectSize.allowedDecrease",
            "must not be below 0",
        ),
        (
            {
                "samples": {
                    "gauge": SELECTOR,
                    "mode": "mannWhitney",
                    "effectSize": {"measure": "cles", "allowedIncrease": 1.2},
                }
            },
            ".samples.effectSize.allowedIncrease",
            "must lie between 0 and 1",
        ),
        (effect(criticalIncrease="much"), CRITICAL, "is neither a number nor {{args.…}}"),
        (effect(measure="cles", criticalIncrease=3), CRITICAL, "is 3; it is a chance, must lie between 0 and 1"),
        (
            effect(criticalIncrease=1.2, allowedIncrease=1.5),
            CRITICAL,
            "is 1.2, must not be below allowedIncrease (1.5)",
        ),
        (effect(criticalIncrease=0.9), CRITICAL, "is 0.9, must not be below allowedIncrease (1)"),
        (effect(measure="cles", criticalIncrease=0.4), CRITICAL, "is 0.4, must not be below allowedIncrease (0.5)"),
        (
            effect("either", criticalDecrease=0.9, allowedDecrease=0.8),
            ".samples.effectSize.criticalDecrease",
            "is 0.9, must not be above allowedDecrease (0.8)",
        ),
        (
            effect(criticalDecrease=0.5),
            ".samples.effectSize.criticalDecrease",
            "counts nothing where the direction is increase",
        ),
        (effect("decrease", criticalIncrease=2), CRITICAL, "counts nothing where the direction is decrease"),
    ],
)
def test_given_a_wrong_comparison_then_its_field_is_named(compare: dict[str, Any], path: str, words: str) -> None:
    metric = compared()
    metric["compare"] = compare
    told = problems(metric)
    assert [each for each in told if each.startswith(f"spec.metrics[0].compare{path}: ") and words in each], told


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"interval": ""}, "interval", "is required beside compare"),
        ({"successCondition": "result == 1"}, "successCondition", "a static bound beside it is a failureCondition"),
        ({"consecutiveSuccessLimit": 2}, "consecutiveSuccessLimit", "see spec.judge.advanceWhenSafe"),
        ({"inconclusiveLimit": 2}, "inconclusiveLimit", "see spec.judge.whenUndecided"),
        ({"failureLimit": 2}, "failureLimit", "without a failureCondition"),
        ({"provider": {"web": {"url": "http://x"}}}, "compare", "needs the provider prometheus"),
        ({"provider": {"prometheus": {"query": "up"}}}, "provider.prometheus.query", "leave it out"),
        ({"provider": {"prometheus": {"address": "prometheus"}}}, "provider.prometheus.address", "is not an address"),
    ],
)
def test_given_something_that_does_not_go_with_it_then_it_is_refused(
    fields: dict[str, Any], path: str, words: str
) -> None:
    told = problems({**compared(), **fields})
    assert [each for each in told if each.startswith(f"spec.metrics[0].{path}: ") and words in each], told


@pytest.mark.parametrize(
    ("judge", "path", "words"),
    [
        ({"falseAlarm": 0}, "falseAlarm", "must lie between 0 and 0.5"),
        ({"falseAlarm": "1 %"}, "falseAlarm", "is neither a number"),
        ({"whenUndecided": "hope"}, "whenUndecided", "must be"),
        (
            {"score": {"critical": ["latency"]}},
            "score.critical",
            "'latency' is no metric with compare",
        ),
        ({"score": {"groups": [{"name": "a"}]}}, "score.groups[0].metrics", "is required"),
        (
            {"score": {"groups": [{"name": n, "metrics": ["errors"]} for n in "ab"]}},
            "score.groups[1].metrics",
            "is in the group 'a' too",
        ),
    ],
)
def test_given_wrong_rules_then_their_field_is_named(judge: dict[str, Any], path: str, words: str) -> None:
    told = problems(compared(), judge=judge)
    assert [each for each in told if each.startswith(f"spec.judge.{path}: ") and words in each], told


@pytest.mark.parametrize(
    ("judge", "words"),
    [
        ({"score": {"pass": 50, "marginal": 80}}, "0 <= marginal <= pass <= 100"),
        ({"score": {"groups": [{"name": "a", "metrics": ["errors"], "weight": 120}]}}, "weights"),
        ({"falseAlarm": "{{args.rate}}"}, "is 0.7, must lie between 0 and 0.5"),
    ],
)
def test_given_rules_whose_numbers_do_not_go_together_then_the_run_says_so(judge: dict[str, Any], words: str) -> None:
    args = [{"name": "rate", "value": "0.7"}]
    metrics, told = read_run({"spec": {"metrics": [compared()], "judge": judge, "args": args}})
    assert metrics == () and words in str(told[0])


def test_given_no_metric_with_compare_then_rules_for_such_are_refused() -> None:
    plain = {"name": "m", "provider": {"prometheus": {"address": "http://p", "query": "up"}}}
    assert problems(plain, judge={}) == ["spec.judge: decides nothing: no metric here has compare"]


def test_given_an_arm_that_is_not_known_then_the_remedy_is_told() -> None:
    counts = {"total": 'x{s="{{arm.service}}"}', "bad": 'x{s="{{arm.service}}"}'}
    _, told = read_run({"spec": {"metrics": [kinds(arms=ARMS, counts=counts)]}})
    assert "spec.metrics[0].compare.counts.total: {{arm.service}} is not known of canary" in str(told[0])
    assert "compare.arms" in str(told[0])


def test_given_mann_whitney_without_an_end_then_it_is_refused() -> None:
    samples = {"gauge": SELECTOR, "mode": "mannWhitney"}
    _, told = read_run({"spec": {"metrics": [kinds(samples=samples)]}})
    assert str(told[0]).startswith("spec.metrics[0].compare.samples.mode: judges once at the end")


def test_given_a_critical_effect_of_a_metric_that_is_not_critical_then_the_run_is_refused() -> None:
    metric = kinds(**effect(criticalIncrease=2))
    where = "spec.metrics[0].compare.samples.effectSize.criticalIncrease"
    told = f"{where}: counts nothing: 'errors' is not in spec.judge.score.critical; add it, or leave this out"
    for rules in ({}, {"judge": {"falseAlarm": 0.1}}, {"judge": {"score": {"pass": 90}}}):
        assert problems(metric, **rules) == [told]
    assert problems(metric, judge={"score": {"critical": ["errors"]}}) == []
    assert parse_template({"spec": {"metrics": [metric]}})[1] == (), "the score may be another template's"


def test_given_an_argument_that_turns_the_order_around_then_the_run_says_so() -> None:
    metric = kinds(**effect(criticalIncrease="{{args.c}}", allowedIncrease=2))
    judge = {"score": {"critical": ["errors"]}}
    metrics, told = read_run({"spec": {"metrics": [metric], "judge": judge, "args": [{"name": "c", "value": "1.5"}]}})
    assert metrics == () and "is 1.5, must not be below allowedIncrease (2)" in str(told[0])
