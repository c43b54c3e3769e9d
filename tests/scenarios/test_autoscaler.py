"""A real HorizontalPodAutoscaler on a Rollout, in the middle of updates.

Argo Rollouts' users report autoscalers that flip-flop because the count or the selector that they read belongs to other
pods than those with the traffic (#4847, #2857, #4369, #4607).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import pytest

from lab.cluster import Lab
from tests.scenarios.chronicle import ARGO, Obj
from tests.scenarios.metrics_server import MetricsServer, metrics_server
from tests.scenarios.story import HASH, Story, blue_green, by_host, rollout, split_by_host, wait, weigh

pytestmark = pytest.mark.lab

_servers: list[MetricsServer] = []


@pytest.fixture(scope="module", autouse=True)
def _metrics(lab: Lab) -> Iterator[None]:
    with metrics_server(lab) as server:
        _servers.append(server)
        yield
        _servers.clear()


def autoscaler() -> Obj:
    """One that wants a pod for each 100 milli-CPU, and is quick about it.

    A pod that has just become ready takes its part of the load and does not count yet, for a second or two. What that
    makes an autoscaler believe, the stabilization window is for; by default it is 5 minutes.
    """
    target = {"type": "AverageValue", "averageValue": "100m"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "app"},
        "spec": {
            "scaleTargetRef": {"apiVersion": ARGO, "kind": "Rollout", "name": "app"},
            "minReplicas": 2,
            "maxReplicas": 10,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 4}},
        },
    }


def seen(story: Story) -> Obj:
    found = story.lab.client.get("HorizontalPodAutoscaler", "app", story.namespace, api_version="autoscaling/v2")
    status: Obj = found.get("status") or {}
    return {**status, "conditions": {c["type"]: (c["status"], c["reason"]) for c in status.get("conditions") or ()}}


def until_scaled(story: Story, load: int, replicas: int) -> None:
    """Users cause so much load; the autoscaler answers with so many replicas, and the pods are there."""
    _servers[0].load[story.namespace] = load
    story.until(lambda: story.rollout()["spec"].get("replicas") == replicas, f"{replicas} replicas", 40)
    story.until(lambda: story.status()["availableReplicas"] >= replicas, "the pods")
    story.until(lambda: seen(story).get("currentReplicas") == replicas, "the autoscaler's own count")


def wishes(story: Story, since: int) -> list[int]:
    """The numbers of replicas that the spec had, one after the other."""
    entries = story.chronicle.entries(story.namespace, "Rollout", "app", since=since)
    return [number for number, _ in groupby(entry.obj["spec"]["replicas"] for entry in entries)]


def check_at_work(story: Story) -> None:
    conditions = seen(story)["conditions"]
    assert conditions["AbleToScale"][0] == "True", conditions
    assert conditions["ScalingActive"] == ("True", "ValidMetricFound"), conditions


def test_a_canarys_autoscaler_counts_both_versions_and_keeps_its_mind(story: Story) -> None:
    strategy = by_host(weigh(50), wait())
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    story.apply(rollout("v1", strategy, replicas=2), autoscaler())
    story.until_phase("Healthy")
    until_scaled(story, load=190, replicas=2)
    since = story.version()

    unsaid = rollout("v2", strategy, replicas=None)
    story.patch("Rollout", "app", {"spec": {"template": unsaid["spec"]["template"]}})
    story.until_phase("Paused")
    story.until(lambda: story.status()["HPAReplicas"] == 3, "two stable pods and one of the canary")
    story.holds(lambda: story.rollout()["spec"]["replicas"] == 2, "what the same load needs, on three pods", 6)
    check_at_work(story)

    until_scaled(story, load=390, replicas=4)
    story.until_phase("Paused")
    story.until(lambda: story.status()["HPAReplicas"] == 6, "both versions following")
    story.ask(pauseConditions=None)
    story.until_phase("Healthy")
    story.until(lambda: story.status()["HPAReplicas"] == 4, "the old version going")

    assert wishes(story, since) == [2, 4]
    assert set(_servers[0].asked[story.namespace]) == {"app=app"}
    until_scaled(story, load=150, replicas=2)


def test_a_blue_greens_autoscaler_looks_at_the_pods_that_users_reach(story: Story) -> None:
    strategy = blue_green(autoPromotionEnabled=False)
    story.services("app", "app-preview")
    server = _servers[0]
    server.service[story.namespace] = "app"
    story.apply(rollout("v1", strategy, replicas=2), autoscaler())
    old = story.until_phase("Healthy")["currentPodHash"]
    until_scaled(story, load=290, replicas=3)
    since = story.version()

    story.patch("Rollout", "app", {"spec": {"template": rollout("v2", strategy)["spec"]["template"]}})
    new = story.until_phase("Paused")["currentPodHash"]
    server.asked[story.namespace].clear()
    story.holds(lambda: story.rollout()["spec"]["replicas"] == 3, "what the users need, beside an idle preview", 6)
    assert set(server.asked[story.namespace]) == {f"app=app,{HASH}={old}"}
    assert seen(story)["currentMetrics"][0]["resource"]["current"]["averageValue"] in ("96m", "97m")
    check_at_work(story)

    until_scaled(story, load=390, replicas=4)
    story.until(lambda: story.replicas(new) == story.replicas(old) == 4, "both versions following")
    story.ask(pauseConditions=None)
    story.until_phase("Healthy")
    server.asked[story.namespace].clear()
    story.until(lambda: server.asked[story.namespace], "the autoscaler's next look")

    assert set(server.asked[story.namespace]) == {f"app=app,{HASH}={new}"}
    assert wishes(story, since) == [3, 4]
