"""`maxTrafficWeight` on Istio: weights that go below one percent, and need not add up to 100."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.objects import CANARY, spoilt
from tests.crash import stories
from tests.crash.test_every_write import settled
from tests.crash.theatre import Theatre
from tests.routers.samples import BY_HOST, VS, apply, bind, http, strategy, to, virtual_service
from tidegate.api.parsing import parse_rollout
from tidegate.api.rollout import CanaryStrategy
from tidegate.core.rollout.replicas import carries, needed
from tidegate.core.traffic import Observed

AT = "spec.strategy.canary.trafficRouting.maxTrafficWeight"
STEPS = "spec.strategy.canary.steps"


def out_of(whole: int, asked: CanaryStrategy | None = None) -> CanaryStrategy:
    asked = asked or strategy()
    assert asked.traffic_routing is not None
    return replace(asked, traffic_routing=replace(asked.traffic_routing, max_traffic_weight=whole))


def test_argo_stable_gets_the_rest_of_the_whole_and_not_of_100() -> None:
    """Argo Rollouts computes stable as `100 - desired`, whatever the whole is (istio.go:225)."""
    read = virtual_service(http(*BY_HOST, to("legacy", 5)))
    asked = out_of(1000)

    after = apply(read, *bind(asked, {VS: read}).split(1))

    assert [one["weight"] for one in after["spec"]["http"][0]["route"]] == [994, 1, 5]
    assert bind(asked, {VS: after}).observe() == Observed(1, 994)
    assert bind(asked, {VS: after}).split(1) == ()


@given(st.sampled_from([100, 1000, 10_000]), st.data())
def test_every_weight_up_to_the_whole_reads_back_as_it_was_set(whole: int, data: st.DataObject) -> None:
    read = virtual_service(http(*BY_HOST))
    weight = data.draw(st.integers(0, whole))

    after = apply(read, *bind(out_of(whole), {VS: read}).split(weight))

    assert bind(out_of(whole), {VS: after}).observe() == Observed(weight, whole - weight)


def test_a_route_at_rest_is_not_counted_up_to_the_whole() -> None:
    """Git says 100 and 0; writing 1000 and 0 would change nothing for users, and Argo CD would write it back."""
    read = virtual_service(http(*BY_HOST))

    assert bind(out_of(1000), {VS: read}).split(0) == ()
    assert bind(out_of(1000), {VS: read}).observe() == Observed(0, 1000)


@given(st.integers(1, 50), st.sampled_from([100, 1000]), st.data())
def test_pods_for_a_weight_can_carry_it(replicas: int, whole: int, data: st.DataObject) -> None:
    weight = data.draw(st.integers(0, whole))

    pods = needed(replicas, weight, whole)

    assert carries(pods, replicas, whole) >= weight
    assert pods == 0 or carries(pods - 1, replicas, whole) < weight


@pytest.mark.looptime
@pytest.mark.parametrize("end", ["promoted", "aborted"])
async def test_a_thousandth_goes_to_the_canary(end: str) -> None:
    steps = [{"setWeight": 1}, {"pause": {"duration": 1}}, {"setWeight": 500}, {"pause": {}}]
    canary: dict[str, Any] = {
        "canaryService": "app-canary",
        "stableService": "app-stable",
        "trafficRouting": {"istio": {"virtualService": {"name": "app"}}, "maxTrafficWeight": 1000},
        "scaleDownDelaySeconds": 1,
        "steps": steps,
    }
    objects = [stories.service("app-canary"), stories.service("app-stable"), stories.virtual_service()]
    objects[2]["spec"]["http"][1].pop("name")
    theatre = Theatre(
        stories.rollout({"canary": canary}),
        objects,
        services=("app-canary", "app-stable"),
        virtual_services=("app",),
    )
    shown: list[list[int]] = []

    def look(written: Any) -> None:
        if written.kind == "VirtualService":
            shown.append([one["weight"] for one in written.after["spec"]["http"][1]["route"]])

    async with theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        theatre.cluster.observers.append(look)
        theatre.set_image("app:v2")
        await theatre.play(lambda: theatre.is_at("Paused") and theatre.status["currentStepIndex"] == 3)
        weights = theatre.status["canary"]["weights"]
        assert (weights["canary"]["weight"], weights["stable"]["weight"]) == (500, 500)
        new = theatre.status["currentPodHash"]
        pods = theatre.cluster.peek("ReplicaSet", f"app-{new}")
        assert pods is not None and pods["spec"]["replicas"] == 2
        if end == "promoted":
            theatre.ask(pauseConditions=None)
            await theatre.play(settled(theatre, "Healthy"))
            assert shown == [[999, 1], [500, 500], [0, 1000], [1000, 0]]
        else:
            theatre.ask(abort=True)
            await theatre.play(settled(theatre, "Degraded"))
            assert shown == [[999, 1], [500, 500], [1000, 0]]
        assert theatre.violations == []


def fine(whole: int, *steps: dict[str, Any]) -> Any:
    return spoilt(CANARY, (AT, whole), (STEPS, [*steps]), ("spec.strategy.canary.analysis.startingStep", 0))


def test_a_step_may_go_up_to_the_whole() -> None:
    assert parse_rollout(fine(1000, {"setWeight": 1000}))[1] == ()


@pytest.mark.parametrize(
    ("whole", "weight", "path", "message"),
    [
        (1000, 1001, f"{STEPS}[0].setWeight", "is 1001, must be from 0 to 1000 (trafficRouting.maxTrafficWeight)"),
        (50, 51, f"{STEPS}[0].setWeight", "is 51, must be from 0 to 50 (trafficRouting.maxTrafficWeight)"),
        (100, 101, f"{STEPS}[0].setWeight", "is 101, must be from 0 to 100"),
        (0, 0, AT, "is 0, must be from 1 to 1000000"),
        (1000001, 5, AT, "is 1000001, must be from 1 to 1000000"),
    ],
)
def test_a_weight_beyond_the_whole_is_refused(whole: int, weight: int, path: str, message: str) -> None:
    spec, problems = parse_rollout(fine(whole, {"setWeight": weight}))

    assert spec is None
    assert [(problem.path, problem.message) for problem in problems] == [(path, message)]
