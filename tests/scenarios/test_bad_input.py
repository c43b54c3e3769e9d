"""Bad input: it is said which field is wrong, traffic stays, mending it is enough, and nobody else notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab import manifests as m
from lab.client import ApiError
from tests.scenarios.chronicle import Obj
from tests.scenarios.story import (
    Story,
    analysis,
    blue_green,
    by_host,
    by_subset,
    canary,
    canary_weight,
    rollout,
    split_by_host,
    split_by_subset,
    template,
    wait,
    weigh,
)

pytestmark = pytest.mark.lab

CANARY = "spec.strategy.canary"
ISTIO = f"{CANARY}.trafficRouting.istio"


def edited(strategy: Obj, *path: str | int, value: Any) -> Obj:
    """The strategy with one field set."""
    at: Any = strategy["canary"]
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    return strategy


WRONG: dict[str, tuple[Obj, str, str]] = {
    "no-strategy": ({}, "spec.strategy", "no strategy"),
    "weight": (
        # Given like this, only the operator can tell that it is too much.
        edited(by_host(weigh(101)), "trafficRouting", "maxTrafficWeight", value=100),
        f"{CANARY}.steps[0].setWeight",
        "101",
    ),
    "empty-step": (by_host({}), f"{CANARY}.steps[0]", "no kind"),
    "duration": (by_host(weigh(1), wait("soon")), f"{CANARY}.steps[1].pause.duration", "soon"),
    "unsupported-step": (
        by_host({"plugin": {"name": "x"}}),
        f"{CANARY}.steps[0].plugin",
        "not supported",
    ),
    "unsupported-router": (canary(trafficRouting={"smi": {}}), f"{CANARY}.trafficRouting.smi", "not supported"),
    "surge": (canary(maxSurge=0, maxUnavailable=0), f"{CANARY}.maxSurge", "0"),
    "no-canary-service": (by_host(canaryService="absent"), f"{CANARY}.canaryService", "absent"),
    "no-stable-service": (by_host(stableService="absent"), f"{CANARY}.stableService", "absent"),
    "no-virtual-service": (
        by_host(name="absent", canaryService="app-canary", stableService="app-stable"),
        f"{ISTIO}.virtualService.name",
        "absent",
    ),
    "no-route": (by_host(routes=["absent"]), f"{ISTIO}.virtualService.routes[0]", "absent"),
    "no-rule": (by_subset(), f"{ISTIO}.destinationRule.name", "not found"),
    "no-template": (by_host(analysis=analysis("absent")), f"{CANARY}.analysis.templates[0].templateName", "absent"),
    "no-step-template": (
        by_host(weigh(5), {"analysis": analysis("absent")}),
        f"{CANARY}.steps[1].analysis.templates[0].templateName",
        "absent",
    ),
    "no-active-service": (blue_green(activeService="absent"), "spec.strategy.blueGreen.activeService", "absent"),
    "no-preview-service": (blue_green(previewService="absent"), "spec.strategy.blueGreen.previewService", "absent"),
}


def mend(story: Story, case: str) -> None:
    """Make what the case lacks, or put the field right."""
    match case:
        case "no-active-service" | "no-preview-service":
            story.services("absent")
        case "no-canary-service" | "no-stable-service":
            story.services("absent")
            end = 0 if case == "no-stable-service" else 1
            at = f"/spec/http/0/route/{end}/destination/host"
            story.patch("VirtualService", "app", [{"op": "replace", "path": at, "value": "absent"}])
        case "no-template" | "no-step-template":
            story.apply(template("absent", "vector(1)", successCondition="result == 1", count=1))
        case "no-rule":
            subset = {"app": "app"}
            story.apply(m.destination_rule("app", story.namespace, "app", {"stable": subset, "canary": subset}))
            story.route(split_by_subset(), host=f"{case}.example.com")
        case "no-virtual-service":
            story.route(split_by_host(), name="absent", host=f"{case}.example.com")
        case "no-route":
            story.route(split_by_host("absent"), host=f"{case}.example.com")
        case _:
            raise AssertionError(case)


@pytest.mark.parametrize("case", WRONG)
def test_the_wrong_field_is_named(story: Story, case: str) -> None:
    strategy, path, word = WRONG[case]
    story.services("app", "app-preview", "app-stable", "app-canary")
    story.route(split_by_host("web"))
    story.apply(rollout("v1", strategy, replicas=1))
    told = story.until_phase("Degraded", "InvalidSpec")
    condition = story.condition("InvalidSpec")
    assert condition["status"] == "True"
    for message in (told["message"], condition["message"]):
        assert path in message and word in message, message
    assert story.sets() == {} and canary_weight(story.get("VirtualService")) == 0
    story.until_event("InvalidSpec", path, "Warning")

    if case.startswith("no-") and case != "no-strategy":
        mend(story, case)
    else:
        # Not an apply: `strategy` holds both the wrong and the right one then.
        story.patch("Rollout", "app", [{"op": "replace", "path": "/spec/strategy", "value": by_host(routes=["web"])}])
    story.until_phase("Healthy")
    assert story.condition("InvalidSpec") == {}


def test_an_update_under_way_holds_still_while_its_spec_or_its_route_is_wrong(story: Story) -> None:
    story.services("app-stable", "app-canary")
    story.route(split_by_host("web"))
    strategy = by_host(weigh(30), wait(), weigh(100), routes=["web"])
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    story.apply(rollout("v2", strategy))
    story.until_phase("Paused", "CanaryPauseStep")
    hashes = set(story.sets())
    start = story.version()

    def still() -> bool:
        return story.weight() == 30 and set(story.sets()) == hashes and len(story.weights(since=start)) <= 1

    with story.users() as users:
        # A typing error in the steps.
        story.patch("Rollout", "app", [{"op": "replace", "path": "/spec/strategy/canary/steps/2", "value": {}}])
        told = story.until_phase("Degraded", "InvalidSpec")
        assert f"{CANARY}.steps[2]" in told["message"] and told["currentStepIndex"] == 1
        story.holds(still, "everything, while the spec is wrong", 1)
        story.patch("Rollout", "app", [{"op": "replace", "path": "/spec/strategy/canary/steps/2", "value": weigh(100)}])
        resumed = story.until_phase("Paused", "CanaryPauseStep")
        assert resumed["currentStepIndex"] == 1 and story.condition("InvalidSpec") == {}
        assert still()

        # Somebody renames the route, and then a Service vanishes.
        story.patch("VirtualService", "app", [{"op": "replace", "path": "/spec/http/0/name", "value": "www"}])
        told = story.until_phase("Degraded", "InvalidSpec")
        assert f"{ISTIO}.virtualService.routes[0]" in told["message"] and "www" in told["message"]
        story.ask(pauseConditions=None)
        story.holds(lambda: story.weight(route="www") == 30, "the weight, while the route has another name", 1)
        story.patch("VirtualService", "app", [{"op": "replace", "path": "/spec/http/0/name", "value": "web"}])
        story.until_phase("Healthy")
    story.check_users(users)


def test_a_typing_error_in_a_template_holds_the_update_up_and_does_not_undo_it(story: Story) -> None:
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    story.apply(template("judge", "vector(1)", successCondition="result == 1", count=1))
    strategy = by_host(weigh(30), {"analysis": analysis("judge")}, weigh(100))
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    story.apply(template("judge", "vector(1)", successCondition="result ==", count=1))
    start = story.version()
    story.apply(rollout("v2", strategy))
    told = story.until_phase("Degraded", "InvalidSpec")
    assert "AnalysisTemplate judge: spec.metrics[0].successCondition" in told["message"]
    assert not told.get("abort")
    story.holds(lambda: story.weight() in (0, 30) and not story.runs(), "the weight, without an analysis", 1)
    story.apply(template("judge", "vector(1)", successCondition="result == {{args.wanted}}", count=1, args=["wanted"]))
    told = story.until_phase("Degraded", "argument wanted has no value")
    assert f"{CANARY}.steps[1].analysis.args" in told["message"]
    story.apply(template("judge", "vector(1)", successCondition="result == 1", count=1))
    story.until_phase("Healthy")
    story.until_weight(0)
    assert story.weights(since=start) == [30, 100, 0]


def test_what_the_definitions_refuse_never_gets_in(story: Story) -> None:
    wrong: list[Callable[[Obj], object]] = [
        lambda spec: spec.update(replicas="many"),
        lambda spec: spec["strategy"]["canary"].update(steps={"setWeight": 1}),
        lambda spec: spec.update(minReadySeconds="soon"),
        lambda spec: spec["strategy"].update(blue_green()),
        lambda spec: spec["strategy"]["canary"]["steps"][0].update(setWeight=101),
    ]
    for spoil in wrong:
        body = rollout("v1", canary(weigh(10)))
        spoil(body["spec"])
        with pytest.raises(ApiError) as refused:
            story.apply(body)
        assert refused.value.status in (400, 422, 500)


def test_another_rollout_goes_on_undisturbed(story: Story) -> None:
    """With the same Services named by another one, which waits and goes on when these are free."""
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    strategy = by_host(weigh(20), wait(1), weigh(60), wait(1), weigh(100))
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    start = story.version()
    story.apply(rollout("v2", strategy))
    for number in range(6):
        story.apply(rollout("v1", by_host(wait(f"soon {number}"), name="app"), name="thief"))
    thief = story.until_phase("Degraded", "InvalidSpec", name="thief")
    assert "pause.duration" in thief["message"]
    story.apply(rollout("v1", strategy, name="thief"))
    told = story.until_phase("Degraded", "InvalidSpec", name="thief")
    assert f"Rollout {story.namespace}/app claims too" in told["message"]
    story.until_phase("Healthy")
    story.until_weight(0)
    assert story.weights(since=start) == [20, 60, 100, 0]
    story.kubectl("delete", "rollout", "app")
    (hash_,) = {story.until_phase("Healthy", name="thief")["stableRS"]}
    assert {story.selected("app-stable"), story.selected("app-canary")} == {hash_}
