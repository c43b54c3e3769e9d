"""What Tidegate stands on goes away for a while: it waits, and goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from lab import manifests as m
from lab.cluster import Lab
from lab.operator import Operator
from tests.scenarios.chronicle import Obj
from tests.scenarios.story import (
    Story,
    analysis,
    blue_green,
    by_host,
    rollout,
    split_by_host,
    template,
    wait,
    weigh,
)

pytestmark = pytest.mark.lab


def begin(story: Story, strategy: Obj) -> str:
    """Version v1 behind Services and a route; its hash."""
    if "canary" in strategy:
        story.services("app-stable", "app-canary")
        story.route(split_by_host())
    else:
        story.services("app", "app-preview")
        story.route({"route": [m.destination("app")]})
    story.apply(rollout("v1", strategy))
    return str(story.until_phase("Healthy")["stableRS"])


def test_a_minute_without_the_api_server(
    alone: Story, open_story: Callable[[str], Story], lab: Lab, tidegate: Operator
) -> None:
    stepping, watched, flip = alone, open_story("outage-watched"), open_story("outage-flip")
    yes = template("yes", "vector(1)", successCondition="result == 1")
    watched.apply(yes)
    # istiod starts anew as well, so for some seconds no proxy is told where users are led now.
    spared = {"scaleDownDelaySeconds": 15}
    strategies = {
        stepping: by_host(weigh(30), wait(3), weigh(100), **spared),
        watched: by_host(weigh(30), wait("10s"), weigh(60), wait(1), weigh(100), analysis=analysis("yes"), **spared),
        flip: blue_green(autoPromotionSeconds=3, **spared),
    }
    old = {story: begin(story, strategy) for story, strategy in strategies.items()}
    start, pid = alone.version(), tidegate.pid
    lines = len(tidegate.log.read_text().splitlines())
    with ExitStack() as stack:
        users = {story: stack.enter_context(story.users(15)) for story in strategies}
        for story, strategy in strategies.items():
            story.apply(rollout("v2", strategy))
        for story in strategies:
            story.until_phase("Paused")
        lab.kill("kube-apiserver")
        gone = time.monotonic()
        while time.monotonic() - gone < 60:
            assert tidegate.pid == pid
            time.sleep(1)
        assert "tidegate_leading 0.0" in tidegate.metrics(), "who can't renew the lease must not lead"
        lab.restart("kube-apiserver")
        # These two come back by themselves as well, but only after up to a minute.
        lab.restart("kube-controller-manager")
        lab.restart("istiod")
        for story in strategies:
            story.until_phase("Healthy", timeout=40)
            story.until(lambda: story.replicas(old[story]) == 0, "the old version going", 40)  # noqa: B023
    for story in strategies:
        story.check_users(users[story])
        story.check_always()
    assert stepping.weights(since=start) == [30, 100, 0] and watched.weights(since=start) == [30, 60, 100, 0]
    (run,) = watched.runs()
    assert run["metadata"]["name"].endswith("-2"), "the analysis of before the outage went on"
    assert tidegate.pid == pid
    said = tidegate.log.read_text().splitlines()[lines:]
    assert len(said) < 400, f"{len(said)} lines about one outage"


def test_etcd_restarts_in_the_middle(alone: Story, lab: Lab) -> None:
    strategy = by_host(weigh(30), wait(1), weigh(60), wait(1), weigh(100))
    begin(alone, strategy)
    start = alone.version()
    with alone.users() as users:
        alone.apply(rollout("v2", strategy))
        alone.until_weight(30)
        lab.kill("etcd")
        time.sleep(2)
        lab.restart("etcd")
        alone.until_phase("Healthy", timeout=60)
        alone.until_weight(0)
    alone.check_users(users)
    assert alone.weights(since=start) == [30, 60, 100, 0]


def test_istios_webhook_refuses_every_route_for_a_while(alone: Story, lab: Lab) -> None:
    strategy = by_host(weigh(30), wait(1), weigh(60), wait(), weigh(100))
    begin(alone, strategy)
    webhook = "istio-validator-istio-system"
    found = lab.client.get("ValidatingWebhookConfiguration", webhook, api_version="admissionregistration.k8s.io/v1")
    assert found["webhooks"][0]["failurePolicy"] == "Fail", "or this test tests nothing"
    start = alone.version()
    with alone.users() as users:
        alone.apply(rollout("v2", strategy))
        alone.until_weight(30)
        lab.kill("istiod")
        alone.holds(lambda: alone.weight() == 30, "the weight while no route can be written", 4)
        status = alone.get("Rollout")["status"]
        assert status["canary"]["weights"]["canary"]["weight"] == 30, "the status tells what is"
        lab.restart("istiod")
        alone.until_weight(60)
        alone.until_phase("Paused", "CanaryPauseStep")

        # An undo that can't reach the routes keeps the pods that they lead to.
        new = alone.status()["currentPodHash"]
        lab.kill("istiod")
        alone.ask(abort=True)
        alone.holds(lambda: alone.weight() == 60 and alone.replicas(new) == 2, "the pods of the canary", 3)
        lab.restart("istiod")
        alone.until_phase("Degraded", "RolloutAborted")
        alone.until_weight(0)
        alone.until(lambda: alone.replicas(new) == 0, "the canary going", 10)
    alone.check_users(users)
    assert alone.weights(since=start) == [30, 60, 0]


def test_prometheus_is_down_for_a_while(alone: Story, open_story: Callable[[str], Story], lab: Lab) -> None:
    patient, strict = alone, open_story("strict")
    condition: Obj = {"successCondition": "result == 1"}
    patient.apply(template("yes", "vector(1)", **condition))
    strict.apply(template("yes", "vector(1)", consecutiveErrorLimit=0, **condition))
    strategy = by_host(weigh(30), wait(14), weigh(100), analysis=analysis("yes"))
    inline = by_host(weigh(30), {"analysis": analysis("yes")}, weigh(100))
    strict.apply(template("yes", "vector(1)", count=30, consecutiveErrorLimit=0, **condition))
    begin(patient, strategy)
    old = begin(strict, inline)
    patient.apply(rollout("v2", strategy))
    strict.apply(rollout("v2", inline))
    for story in (patient, strict):
        story.until(lambda: story.runs() and story.runs()[0].get("status", {}).get("metricResults"), "a measurement")  # noqa: B023
    lab.kill("prometheus")
    try:
        bad = strict.until_phase("Degraded", "RolloutAborted")
        assert strict.weight() == 0 and strict.selected("app-stable") == old
        (run,) = strict.runs()
        assert run["status"]["phase"] == "Error" and "Prometheus" in bad["message"]
        patient.until(lambda: patient.runs()[0]["status"]["metricResults"][0].get("error"), "an Error")
        assert patient.runs()[0]["status"]["phase"] == "Running" and patient.weight() == 30
    finally:
        lab.restart("prometheus")
    patient.until_phase("Healthy", timeout=40)
    (run,) = patient.runs()
    patient.until(lambda: "completedAt" in patient.runs()[0]["status"], "the run being ended")
    result = patient.runs()[0]["status"]["metricResults"][0]
    phases = [measurement["phase"] for measurement in result["measurements"]]
    assert 1 <= result["error"] <= 2 and phases[-1] == "Successful" and "Error" in phases
