"""A subset is given a version's pods once proxies can know of them; before that it would answer 503 to everybody."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.rollout.objects import canary
from tests.rollout.stage import START, Stage, deployed
from tidegate.core.rollout import needs
from tidegate.core.rollout.world import ReplicaSet

STEPS = ({"setWeight": 20}, {"pause": {"duration": 5}}, {"setWeight": 60}, {"pause": {"duration": 5}})


def update(how: str = "subsets", lag: float = 0.0, **spec: object) -> Stage:
    stage = deployed(canary(*STEPS, how=how), replicas=5, **spec)
    stage.lag, stage.endpoint_lists = lag, 0
    stage.image("v2")
    return stage


@pytest.mark.parametrize("lag", [0.0, 0.5, 7.0])
def test_given_endpoints_that_follow_late_then_the_canary_gets_users_as_soon_as_they_are_there(lag: float) -> None:
    stage = update(lag=lag)
    ready = stage.now + timedelta(seconds=stage.default_boot)

    while not stage.weight():
        stage.play(0.1)

    assert 0 <= (stage.now - ready).total_seconds() - lag <= 0.4
    asked = stage.endpoint_lists
    assert stage.settle().phase() == ("Healthy", "")
    assert stage.endpoint_lists == asked, "a version that is known stays known"


@pytest.mark.parametrize("lag", [0.0, 0.5, 7.0])
def test_given_endpoints_that_follow_late_then_they_are_asked_for_no_more_than_five_times_a_second(lag: float) -> None:
    decisions_at_each_wake = 2  # of the stage; the operator makes one
    assert update(lag=lag).settle().endpoint_lists <= decisions_at_each_wake * (2 + lag / 0.2)


@pytest.mark.parametrize("how", ["hosts", "two", "turns", "pods"])
def test_given_no_subsets_then_nobody_asks_for_endpoints(how: str) -> None:
    assert update(how).settle().endpoint_lists == 0


def test_given_endpoints_that_never_follow_then_users_stay_and_it_is_said_why() -> None:
    stage = update(lag=math.inf, progressDeadlineSeconds=60)

    stage.play(30)
    assert stage.weight() == 0
    assert stage.phase() == (
        "Progressing",
        f"no traffic yet: the endpoints of Service default/app lack pods of hash {stage.status['currentPodHash']}; "
        "does its selector match them?",
    )
    asked = stage.endpoint_lists
    stage.play(20)
    assert stage.endpoint_lists - asked <= 10, "the longer it lasts, the more seldom it is asked"

    stage.play(60)
    assert stage.phase()[0] == "Degraded"
    assert stage.weight() == 0

    stage.lag = 0.0
    assert stage.settle().phase() == ("Healthy", "")


def test_given_pods_that_were_slow_then_their_endpoints_get_their_moment_before_anything_is_said() -> None:
    stage = deployed(canary(*STEPS, how="subsets"), replicas=1)
    stage.boot, stage.lag = {"v2": 50.0}, 2.0
    stage.image("v2")
    stage.settle()
    assert not any("no traffic yet" in status.get("message", "") for status in stage.statuses)


def test_given_an_abort_before_the_endpoints_are_there_then_it_ends_like_any_other() -> None:
    stage = update(lag=math.inf)
    stage.play(5)

    stage.user(abort=True)
    stage.settle()

    assert stage.phase()[0] == "Degraded"
    assert stage.weight() == 0
    assert stage.canary_end() == "canary"


NEW = ReplicaSet.read(
    {
        "metadata": {"name": "shop-5b94c94db7", "uid": "1", "creationTimestamp": START.isoformat()},
        "spec": {"replicas": 3},
        "status": {"availableReplicas": 2},
    }
)
LONG = "a" * 57 + "-5b94c94db7"


@pytest.mark.parametrize(
    ("name", "endpoints", "unheard"),
    [
        pytest.param(NEW.name, ["shop-5b94c94db7-2xk4p", "shop-5b94c94db7-9fghj"], False, id="all available"),
        pytest.param(NEW.name, ["shop-5b94c94db7-2xk4p"], True, id="one of two"),
        pytest.param(NEW.name, ["shop-6d4cf56db6-2xk4p", "shop-6d4cf56db6-9fghj"], True, id="of another version"),
        pytest.param(NEW.name, ["my-shop-5b94c94db7-2xk4p", "x-shop-5b94c94db7-9fghj"], True, id="of another Rollout"),
        pytest.param(NEW.name, [], True, id="none"),
        pytest.param(NEW.name, None, False, id="a Service whose endpoints come from elsewhere"),
        pytest.param(LONG, [LONG[:58] + "2xk4p", LONG[:58] + "9fghj"], False, id="names that the API server cut"),
    ],
)
def test_given_ready_endpoints_then_a_version_is_known_by_its_pods(
    name: str, endpoints: list[str] | None, unheard: bool
) -> None:
    assert needs.unheard_of(replace(NEW, name=name), endpoints) is unheard
