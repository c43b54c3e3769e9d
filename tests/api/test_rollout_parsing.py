"""A Rollout is read as it stands, or every mistake in it is told with the path of the field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.objects import ANALYSIS, BLUE_GREEN, CANARY, REMOVED, Json, spoilt
from tidegate.api.parsing import parse_rollout
from tidegate.api.parts import LabelSelector, SelectorRequirement

C = "spec.strategy.canary"
B = "spec.strategy.blueGreen"
I = f"{C}.trafficRouting.istio"  # noqa: E741
P = "spec.template.spec"

NO_ROUTER = ((f"{C}.trafficRouting", REMOVED), (f"{C}.scaleDownDelaySeconds", REMOVED))
HOSTS = ((f"{I}.destinationRule", REMOVED),)

MISTAKES: list[tuple[Json, tuple[tuple[str, Any], ...], str, str]] = [
    # object, what is changed in it, the path that is told, what is told
    # -- types
    (CANARY, (("spec.replicas", "4"),), "spec.replicas", "must be an integer, not the text '4'"),
    (CANARY, (("spec.replicas", True),), "spec.replicas", "must be an integer, not true"),
    (CANARY, (("spec.replicas", 1.5),), "spec.replicas", "must be an integer, not the number 1.5"),
    (CANARY, (("spec.replicas", -1),), "spec.replicas", "is -1, must be 0 or more"),
    (CANARY, (("spec.replicas", 2**31),), "spec.replicas", "must be at most 2147483647"),
    (CANARY, (("spec.paused", "yes"),), "spec.paused", "must be true or false, not the text 'yes'"),
    (CANARY, (("spec.template", []),), "spec.template", "must be an object, not a list"),
    (CANARY, (("spec.strategy", "canary"),), "spec.strategy", "must be an object, not the text 'canary'"),
    (CANARY, ((f"{C}.steps", {"setWeight": 1}),), f"{C}.steps", "must be a list, not an object"),
    (CANARY, ((f"{C}.steps[1]", None),), f"{C}.steps[1]", "must be an object, not null"),
    (CANARY, ((f"{C}.steps[0].setWeight", "10"),), f"{C}.steps[0].setWeight", "must be an integer"),
    (CANARY, ((f"{C}.maxSurge", []),), f"{C}.maxSurge", "must be an integer or text, not a list"),
    (CANARY, ((f"{C}.canaryService", 7),), f"{C}.canaryService", "must be text, not the number 7"),
    (CANARY, ((f"{C}.analysis.args[0].value", 5),), f"{C}.analysis.args[0].value", "must be text, not the number"),
    (
        CANARY,
        (("spec.selector.matchLabels", {"app.io/x": 1}),),
        "spec.selector.matchLabels[app.io/x]",
        "must be text",
    ),
    # -- the spec
    (CANARY, (("spec", REMOVED),), "spec", "is required"),
    (CANARY, (("spec.selector", REMOVED),), "spec.selector", "is required"),
    (CANARY, (("spec.template", None),), "spec.template", "is required"),
    (CANARY, (("spec.strategy", REMOVED),), "spec.strategy", "is required"),
    (CANARY, (("spec.strategy", {}),), "spec.strategy", "give it canary or blueGreen"),
    (CANARY, (("spec.strategy.blueGreen", {"activeService": "a"}),), "spec.strategy", "has both canary and blueGreen"),
    (CANARY, (("spec.minReadySeconds", 600),), "spec.progressDeadlineSeconds", "more than minReadySeconds (600)"),
    (CANARY, (("spec.progressDeadlineSeconds", 5),), "spec.progressDeadlineSeconds", "is 5, must be more than"),
    (CANARY, (("spec.revisionHistoryLimit", -3),), "spec.revisionHistoryLimit", "must be 0 or more"),
    (
        CANARY,
        (("spec.analysis.successfulRunHistoryLimit", -1),),
        "spec.analysis.successfulRunHistoryLimit",
        "must be 0 or more",
    ),
    # -- selector and pods
    (CANARY, (("spec.selector", {}),), "spec.selector", "is empty"),
    (CANARY, (("spec.selector.matchLabels", {"a b": "x"}),), "spec.selector.matchLabels[a b]", "not a label's key"),
    (
        CANARY,
        (("spec.selector.matchExpressions", [{"key": "app", "operator": "in", "values": ["shop"]}]),),
        "spec.selector.matchExpressions[0].operator",
        "must be In, NotIn, Exists or DoesNotExist",
    ),
    (
        CANARY,
        (("spec.selector.matchExpressions", [{"key": "app", "operator": "In"}]),),
        "spec.selector.matchExpressions[0].values",
        "is required with operator In",
    ),
    (
        CANARY,
        (("spec.selector.matchExpressions", [{"key": "app", "operator": "Exists", "values": ["x"]}]),),
        "spec.selector.matchExpressions[0].values",
        "must be left out",
    ),
    (CANARY, (("spec.template.metadata.labels", {"app": "x"}),), "spec.template.metadata.labels", "must match"),
    (CANARY, (("spec.template.metadata", REMOVED),), "spec.template.metadata.labels", "must match spec.selector"),
    (CANARY, (("spec.template.metadata.labels", {"app": 1}),), "spec.template.metadata.labels", "in quotes"),
    (CANARY, (("spec.template.metadata.annotations", {"a": True}),), "spec.template.metadata.annotations", "quotes"),
    (CANARY, (("spec.template.metadata", "x"),), "spec.template.metadata", "must be an object"),
    (
        CANARY,
        (("spec.template.metadata.labels.team", "a b"),),
        "spec.template.metadata.labels[team]",
        "not a label's value",
    ),
    (CANARY, ((P, REMOVED),), P, "is required"),
    (CANARY, ((f"{P}.containers", []),), f"{P}.containers", "at least one container"),
    (CANARY, ((f"{P}.containers[0]", "web"),), f"{P}.containers[0]", "must be an object"),
    (CANARY, ((f"{P}.containers[0].image", REMOVED),), f"{P}.containers[0].image", "is required"),
    (CANARY, ((f"{P}.containers[0].name", ""),), f"{P}.containers[0].name", "is required"),
    (CANARY, ((f"{P}.containers[0].name", "Web_1"),), f"{P}.containers[0].name", "is not a name"),
    (
        CANARY,
        ((f"{P}.containers[1]", {"name": "web", "image": "x"}),),
        f"{P}.containers[1].name",
        "the name of another container",
    ),
    (CANARY, ((f"{P}.restartPolicy", "Never"),), f"{P}.restartPolicy", "must be Always"),
    # -- canary
    (CANARY, ((f"{C}.stableService", "shop-canary"),), f"{C}.stableService", "the canaryService too"),
    (CANARY, ((f"{C}.canaryService", "Shop_C"),), f"{C}.canaryService", "can't be the name of a Service"),
    (CANARY, (*HOSTS, (f"{C}.canaryService", REMOVED)), f"{C}.canaryService", "is required with trafficRouting"),
    (CANARY, (*HOSTS, (f"{C}.stableService", "")), f"{C}.stableService", "is required with trafficRouting"),
    (CANARY, ((f"{C}.trafficRouting", {}),), f"{C}.trafficRouting", "names no router"),
    (CANARY, ((f"{C}.trafficRouting", REMOVED),), f"{C}.scaleDownDelaySeconds", "only possible with trafficRouting"),
    (CANARY, ((f"{I}.virtualServices", []),), I, "names no VirtualService"),
    (CANARY, ((f"{I}.virtualService", {"name": "x"}),), I, "has both virtualService and virtualServices"),
    (CANARY, ((f"{I}.virtualServices[0].name", REMOVED),), f"{I}.virtualServices[0].name", "is required"),
    (CANARY, ((f"{I}.virtualServices[1].name", ""),), f"{I}.virtualServices[1].name", "is required"),
    (CANARY, ((f"{I}.virtualServices[1].name", "shop"),), f"{I}.virtualServices[1].name", "is listed twice"),
    (CANARY, ((f"{I}.destinationRule.name", ""),), f"{I}.destinationRule.name", "is required"),
    (CANARY, ((f"{I}.destinationRule.canarySubsetName", ""),), f"{I}.destinationRule.canarySubsetName", "required"),
    (
        CANARY,
        ((f"{I}.destinationRule.stableSubsetName", "canary"),),
        f"{I}.destinationRule.stableSubsetName",
        "the canarySubsetName too",
    ),
    (CANARY, ((f"{C}.maxSurge", 0),), f"{C}.maxSurge", "and so is maxUnavailable"),
    (CANARY, ((f"{C}.maxSurge", "0%"),), f"{C}.maxSurge", "and so is maxUnavailable"),
    (CANARY, ((f"{C}.maxSurge", -1),), f"{C}.maxSurge", "must be 0 or more"),
    (CANARY, ((f"{C}.maxSurge", "a third"),), f"{C}.maxSurge", "a percentage such as 25%"),
    (CANARY, ((f"{C}.maxUnavailable", "101%"),), f"{C}.maxUnavailable", "at most 100%"),
    (CANARY, ((f"{C}.abortScaleDownDelaySeconds", -1),), f"{C}.abortScaleDownDelaySeconds", "must be 0 or more"),
    (CANARY, ((f"{C}.steps[0]", {}),), f"{C}.steps[0]", "has no kind"),
    (CANARY, ((f"{C}.steps[1].pause", None),), f"{C}.steps[1]", "an endless pause is `pause: {}`"),
    (CANARY, ((f"{C}.steps[0].pause", {}),), f"{C}.steps[0]", "has more than one of"),
    (CANARY, ((f"{C}.steps[0].setWeight", 101),), f"{C}.steps[0].setWeight", "is 101, must be from 0 to 100"),
    (CANARY, ((f"{C}.steps[0].setWeight", -1),), f"{C}.steps[0].setWeight", "must be from 0 to 100"),
    (CANARY, ((f"{C}.steps[1].pause.duration", "soon"),), f"{C}.steps[1].pause.duration", "'soon' is neither"),
    (CANARY, ((f"{C}.steps[1].pause.duration", ""),), f"{C}.steps[1].pause.duration", "is neither"),
    (CANARY, ((f"{C}.steps[1].pause.duration", "5 m"),), f"{C}.steps[1].pause.duration", "is neither"),
    (CANARY, ((f"{C}.steps[1].pause.duration", "2147483648"),), f"{C}.steps[1].pause.duration", "is neither"),
    (CANARY, ((f"{C}.steps[1].pause.duration", "٣"),), f"{C}.steps[1].pause.duration", "is neither"),
    (CANARY, ((f"{C}.steps[1].pause.duration", "9999999h"),), f"{C}.steps[1].pause.duration", "is neither"),
    (CANARY, ((f"{C}.steps[1].pause.duration", 2**31),), f"{C}.steps[1].pause.duration", "must be at most"),
    (CANARY, ((f"{C}.steps[1].pause.duration", -5),), f"{C}.steps[1].pause.duration", "must not be negative"),
    (CANARY, ((f"{C}.steps[1].pause.duration", "-5m"),), f"{C}.steps[1].pause.duration", "must not be negative"),
    (CANARY, ((f"{C}.analysis.templates", []),), f"{C}.analysis.templates", "is required"),
    (CANARY, ((f"{C}.steps[2].analysis.templates", []),), f"{C}.steps[2].analysis.templates", "is required"),
    (
        CANARY,
        ((f"{C}.analysis.templates[0].templateName", "No Such"),),
        f"{C}.analysis.templates[0].templateName",
        "can't be the name of a template",
    ),
    (CANARY, ((f"{C}.analysis.args[0].name", ""),), f"{C}.analysis.args[0].name", "is required"),
    (
        CANARY,
        ((f"{C}.analysis.args[1].valueFrom.podTemplateHashValue", "Newest"),),
        f"{C}.analysis.args[1].valueFrom.podTemplateHashValue",
        "must be 'Stable' or 'Latest', not the text 'Newest'",
    ),
    # -- blue-green
    (BLUE_GREEN, ((f"{B}.activeService", REMOVED),), f"{B}.activeService", "is required"),
    (BLUE_GREEN, ((f"{B}.activeService", ""),), f"{B}.activeService", "is required: the name of a Service"),
    (BLUE_GREEN, ((f"{B}.previewService", "shop"),), f"{B}.previewService", "the activeService too"),
    (BLUE_GREEN, ((f"{B}.autoPromotionSeconds", -1),), f"{B}.autoPromotionSeconds", "must be 0 or more"),
    (
        BLUE_GREEN,
        (("spec.revisionHistoryLimit", 1),),
        f"{B}.scaleDownDelayRevisionLimit",
        "at most spec.revisionHistoryLimit (1)",
    ),
    (BLUE_GREEN, ((f"{B}.prePromotionAnalysis", {}),), f"{B}.prePromotionAnalysis.templates", "is required"),
    (BLUE_GREEN, ((f"{B}.postPromotionAnalysis", {}),), f"{B}.postPromotionAnalysis.templates", "is required"),
]


@pytest.mark.parametrize(("valid", "changes", "path", "message"), MISTAKES)
def test_given_one_mistake_then_exactly_its_path_and_remedy_are_told(
    valid: Json, changes: tuple[tuple[str, Any], ...], path: str, message: str
) -> None:
    spec, problems = parse_rollout(spoilt(valid, *changes))
    assert spec is None
    assert [problem.path for problem in problems] == [path]
    assert message in problems[0].message


@pytest.mark.parametrize("valid", [CANARY, BLUE_GREEN])
def test_given_no_mistake_then_there_is_a_spec_and_no_problem(valid: Json) -> None:
    spec, problems = parse_rollout(valid)
    assert problems == ()
    assert spec is not None


def test_given_several_mistakes_then_all_are_told_in_one_go() -> None:
    _, problems = parse_rollout(
        spoilt(CANARY, (f"{C}.steps[0].setWeight", 300), (f"{C}.maxSurge", "x"), ("spec.selector", {}))
    )
    assert {problem.path for problem in problems} == {
        "spec.selector",
        f"{C}.maxSurge",
        f"{C}.steps[0].setWeight",
    }


@pytest.mark.parametrize(
    "changes",
    [
        ((f"{C}.steps[0].setWeight", 0),),
        ((f"{C}.steps[0].setWeight", 100),),
        ((f"{C}.steps[1].pause.duration", 0),),
        ((f"{C}.steps[1].pause.duration", "45"),),
        ((f"{C}.maxSurge", "25"),),
        ((f"{C}.maxSurge", 0), (f"{C}.maxUnavailable", "1%")),
        ((f"{C}.maxSurge", "300%"),),
        ((f"{C}.analysis.startingStep", 5),),
        ((f"{C}.canaryService", REMOVED), (f"{C}.stableService", REMOVED)),
        (*NO_ROUTER, (f"{C}.canaryService", REMOVED), (f"{C}.stableService", REMOVED)),
        ((f"{C}.steps", REMOVED), (f"{C}.analysis", REMOVED)),
        (("spec.replicas", 0),),
        (("spec.replicas", REMOVED),),
        (("spec.selector", {"matchExpressions": [{"key": "app", "operator": "In", "values": ["shop", "x"]}]}),),
    ],
)
def test_given_a_value_at_the_edge_then_it_is_accepted(changes: tuple[tuple[str, Any], ...]) -> None:
    assert parse_rollout(spoilt(CANARY, *changes))[1] == ()


def test_given_a_full_spec_then_every_value_arrives_in_its_field() -> None:
    spec, _ = parse_rollout(spoilt(CANARY, ("spec.progressDeadlineAbort", True), ("spec.paused", True)))
    assert spec is not None
    canary = spec.strategy.canary
    assert canary is not None
    assert canary.traffic_routing is not None
    assert canary.traffic_routing.istio is not None
    assert canary.analysis is not None
    assert (spec.replicas, spec.min_ready_seconds, spec.progress_deadline_abort, spec.paused) == (4, 5, True, True)
    assert (spec.analysis.successful_run_history_limit, spec.analysis.unsuccessful_run_history_limit) == (3, 5)
    assert [step.kind for step in canary.steps] == ["setWeight", "pause", "analysis", "pause", "pause"]
    assert [(target.name, target.routes) for target in canary.traffic_routing.istio.targets] == [
        ("shop", ("primary",)),
        ("shop.other", ()),
    ]
    assert canary.analysis.starting_step == 1
    assert [(ref.template_name, ref.cluster_scope) for ref in canary.analysis.templates] == [
        ("success-rate", False),
        ("errors", True),
    ]
    hash_argument = canary.analysis.args[1].value_from
    assert hash_argument is not None
    assert hash_argument.pod_template_hash_value == "Latest"


def test_given_a_template_then_it_arrives_untouched() -> None:
    odd = {**CANARY["spec"]["template"], "futureField": [{"a": None}]}
    spec, problems = parse_rollout(spoilt(CANARY, ("spec.template", odd), ("spec.revisionHistoryLimit", None)))
    assert problems == ()
    assert spec is not None
    assert spec.template == odd


@pytest.mark.parametrize(
    ("valid", "changes", "delay", "after_abort"),
    [
        # scaleDownDelay, abortScaleDownDelay; None: the pods stay
        (CANARY, (), 60, None),
        (CANARY, ((f"{C}.scaleDownDelaySeconds", REMOVED), (f"{C}.abortScaleDownDelaySeconds", REMOVED)), 30, 30),
        (CANARY, ((f"{C}.scaleDownDelaySeconds", 0), (f"{C}.abortScaleDownDelaySeconds", 7)), 0, 7),
        (CANARY, NO_ROUTER, 0, 0),
        (BLUE_GREEN, (), 60, 5),
        (BLUE_GREEN, ((f"{B}.scaleDownDelaySeconds", REMOVED), (f"{B}.abortScaleDownDelaySeconds", 0)), 30, None),
    ],
)
def test_given_delays_then_defaults_and_never_are_told_apart(
    valid: Json, changes: tuple[tuple[str, Any], ...], delay: int, after_abort: int | None
) -> None:
    spec, problems = parse_rollout(spoilt(valid, *changes))
    assert problems == ()
    assert spec is not None
    strategy = spec.strategy.canary or spec.strategy.blue_green
    assert strategy is not None
    assert (strategy.scale_down_delay, strategy.abort_scale_down_delay) == (delay, after_abort)


def test_given_python_names_in_json_then_they_are_no_fields() -> None:
    _, problems = parse_rollout(spoilt(CANARY, ("spec.min_ready_seconds", 1)))
    assert [str(problem) for problem in problems] == [
        "spec.min_ready_seconds: is not a field of spec; did you mean minReadySeconds?"
    ]


@pytest.mark.parametrize("raw", [{}, {"spec": None}, {"spec": []}, {"spec": 3}, {"spec": {}}, None, [], "x"])
def test_given_something_that_is_no_rollout_then_it_is_told_and_nothing_raises(raw: Any) -> None:
    spec, problems = parse_rollout(raw)
    assert spec is None
    assert all(problem.path.startswith("spec") for problem in problems)
    assert problems


@pytest.mark.parametrize(
    ("operator", "values", "labels", "selected"),
    [
        ("In", ("a",), {"k": "a"}, True),
        ("In", ("a",), {"k": "b"}, False),
        ("In", ("a",), {}, False),
        ("NotIn", ("a",), {"k": "a"}, False),
        ("NotIn", ("a",), {"k": "b"}, True),
        ("NotIn", ("a",), {}, True),
        ("Exists", (), {"k": ""}, True),
        ("Exists", (), {}, False),
        ("DoesNotExist", (), {"k": ""}, False),
        ("DoesNotExist", (), {}, True),
    ],
)
def test_given_an_expression_then_it_selects_as_kubernetes_does(
    operator: str, values: tuple[str, ...], labels: dict[str, str], selected: bool
) -> None:
    requirement = SelectorRequirement(key="k", operator=operator, values=values)
    selector = LabelSelector(match_labels={"app": "x"}, match_expressions=(requirement,))
    assert selector.matches({"app": "x", **labels}) is selected
    assert selector.matches({"app": "y", **labels}) is False


def test_given_shared_analysis_fixture_then_it_is_valid_in_every_place() -> None:
    for place in (f"{B}.prePromotionAnalysis", f"{B}.postPromotionAnalysis"):
        assert parse_rollout(spoilt(BLUE_GREEN, (place, ANALYSIS)))[1] == ()
