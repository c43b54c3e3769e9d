"""Canaries and rolling updates without a router: the ratio of pods is the weight, within surge and unavailability."""

from __future__ import annotations

import pytest

from lab import manifests as m
from tests.scenarios.chronicle import Obj
from tests.scenarios.story import Story, canary, rollout, wait, weigh

pytestmark = pytest.mark.lab

SLOW = {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 0}


def check_bounds(story: Story, since: int, *, at_least: int, at_most: int) -> None:
    """In every state since, so many pods were available and so many asked for."""
    sets: dict[str, Obj] = {}
    for entry in story.chronicle.entries(story.namespace, "ReplicaSet"):
        sets[entry.name] = entry.obj
        if entry.version <= since:
            continue
        wanted = sum(rs["spec"]["replicas"] for rs in sets.values())
        available = sum(
            min(rs.get("status", {}).get("availableReplicas", 0), rs["spec"]["replicas"]) for rs in sets.values()
        )
        told = {name: (rs["spec"]["replicas"], rs.get("status", {})) for name, rs in sets.items()}
        assert wanted <= at_most and available >= at_least, told


def sizes(story: Story, *hashes: str) -> tuple[int, ...]:
    return tuple(story.replicas(hash_) for hash_ in hashes)


def test_ten_pods_roll_with_one_missing_and_two_extra_at_most(story: Story) -> None:
    story.services("app")
    story.route({"route": [m.destination("app")]})
    strategy = canary(maxSurge=2, maxUnavailable=1)
    slowly: Obj = {"replicas": 10, "probe": SLOW, "env": {"READY_AFTER_S": "0.3"}}
    story.apply(rollout("v1", strategy, **slowly))
    old = story.until_phase("Healthy")["currentPodHash"]

    with story.users() as users:
        start = story.version()
        story.apply(rollout("v2", strategy, **slowly))
        new = story.until_phase("Healthy")["currentPodHash"]
        check_bounds(story, start, at_least=9, at_most=12)
        assert sizes(story, old, new) == (0, 10)

        # The undo: a version that never becomes ready, and back.
        start = story.version()
        story.apply(rollout("v3", strategy, **{**slowly, "env": {"READY_AFTER_S": "1000"}}))
        story.until(lambda: len(story.sets()) == 3 and story.status()["currentPodHash"] != new, "a third revision")
        third = story.status()["currentPodHash"]
        story.until(lambda: story.replicas(third) == 3, "as many new pods as the bounds allow")
        story.holds(lambda: sizes(story, new, third) == (9, 3), "the bounds, while nothing becomes ready", 1)
        story.apply(rollout("v2", strategy, **slowly))
        story.until_phase("Healthy")
        check_bounds(story, start, at_least=9, at_most=12)
        assert sizes(story, new, third) == (10, 0)
    story.check_users(users)
    assert set(users.by_version) == {"v1", "v2"}


def test_the_ratio_of_pods_follows_the_steps(story: Story) -> None:
    strategy = canary(weigh(20), wait(), weigh(60), wait(1), weigh(80), maxSurge=1, maxUnavailable=0)
    story.apply(rollout("v1", strategy, replicas=5))
    old = story.until_phase("Healthy")["currentPodHash"]
    start = story.version()
    story.apply(rollout("v2", strategy, replicas=5))
    story.until_phase("Paused", "CanaryPauseStep")
    new = story.status()["currentPodHash"]
    assert sizes(story, old, new) == (4, 1)
    assert "weights" not in story.status().get("canary", {})

    story.kubectl("scale", "rollout/app", "--replicas=10")
    story.until(lambda: sizes(story, old, new) == (8, 2), "the ratio at the new size")
    scale = story.lab.client.request(
        "GET", f"/apis/argoproj.io/v1alpha1/namespaces/{story.namespace}/rollouts/app/scale"
    )
    assert scale["spec"]["replicas"] == 10 and scale["status"]["selector"] == "app=app"
    story.until(lambda: story.status()["HPAReplicas"] == 10, "the autoscaler's count")
    story.kubectl("scale", "rollout/app", "--replicas=5")
    story.until(lambda: sizes(story, old, new) == (4, 1), "the ratio at the old size")

    before = story.version()
    story.ask(pauseConditions=None)
    story.until(lambda: sizes(story, old, new) == (2, 3), "three of five")
    story.until_phase("Healthy")
    check_bounds(story, before, at_least=5, at_most=6)
    assert sizes(story, old, new) == (0, 5)
    assert story.weights(since=start) == []


def test_an_abort_brings_stable_back_before_the_canary_goes(story: Story) -> None:
    strategy = canary(weigh(50), wait(), maxSurge=1, maxUnavailable=0)
    story.apply(rollout("v1", strategy, replicas=4))
    old = story.until_phase("Healthy")["currentPodHash"]
    story.apply(rollout("v2", strategy, replicas=4))
    story.until_phase("Paused", "CanaryPauseStep")
    new = story.status()["currentPodHash"]
    assert sizes(story, old, new) == (2, 2)

    start = story.version()
    story.ask(abort=True)
    story.until_phase("Degraded", "RolloutAborted")
    story.until(lambda: sizes(story, old, new) == (4, 0), "all pods being stable's")
    check_bounds(story, start, at_least=4, at_most=5)

    story.apply(rollout("v1", strategy, replicas=4))
    back = story.until_phase("Healthy")
    assert back["currentPodHash"] == old and back["currentStepIndex"] == 2


def test_a_selected_services_end_follows_the_ratio_without_a_router(story: Story) -> None:
    """canaryService and stableService are optional here, and each always has a pod to select."""
    story.services("app-stable", "app-canary")
    ends = {"canaryService": "app-canary", "stableService": "app-stable"}
    strategy = canary(weigh(50), wait(1), **ends)
    story.apply(rollout("v1", strategy, replicas=2))
    old = story.until_phase("Healthy")["currentPodHash"]
    story.apply(rollout("v2", strategy, replicas=2))
    story.until_phase("Paused", "CanaryPauseStep")
    new = story.status()["currentPodHash"]
    assert (story.selected("app-stable"), story.selected("app-canary")) == (old, new)
    story.until_phase("Healthy")
    story.until(lambda: sizes(story, old, new) == (0, 2), "the old version being gone")
    assert story.selected("app-stable") == story.selected("app-canary") == new
