"""A tool that applies what is in Git, as Argo CD does: server-side, by force, under a name of its own."""

from __future__ import annotations

from typing import Any

import pytest

from lab import manifests as m
from tests.scenarios.story import HASH, Obj, Story, by_host, rollout, split_by_host, wait, weigh

pytestmark = pytest.mark.lab

GIT = "argocd-controller"


def owners(obj: Obj, *path: str) -> set[str]:
    """Who owns a field, or a list or map around it that has one owner only."""
    found = set()
    for entry in obj["metadata"]["managedFields"]:
        part: dict[str, Any] = entry["fieldsV1"]
        for name in path:
            if f"f:{name}" not in part:
                break
            part = part[f"f:{name}"]
            if not part:
                found.add(entry["manager"])
                break
        else:
            found.add(entry["manager"])
    return found


def test_what_git_applies_in_the_middle_of_a_canary_is_put_right_and_ownership_is_as_documented(story: Story) -> None:
    strategy = by_host(weigh(50), wait())
    story.services("app-stable", "app-canary")
    route = m.virtual_service("app", story.namespace, story.host, split_by_host())
    story.lab.client.apply(route, manager=GIT)
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    story.apply(rollout("v2", strategy))
    story.until_phase("Paused", "CanaryPauseStep")
    assert story.weight() == 50

    live = story.get("VirtualService")
    writers = {entry["manager"] for entry in live["metadata"]["managedFields"]}
    assert writers == {GIT, "tidegate"}, "the name is the same in every process"
    assert owners(live, "spec", "http") == {"tidegate"}, "the list of routes has one owner: the last who wrote a weight"
    assert owners(live, "spec", "hosts") == {GIT}
    stable = story.get("Service", "app-stable")
    assert owners(stable, "spec", "selector") == {"tidegate"}, "so has the selector"
    hash_ = stable["spec"]["selector"][HASH]

    began = story.version()
    for obj in (route, m.service("app-stable", story.namespace, {"app": "app"})):
        answer = story.lab.client.apply(obj, manager=GIT)
        story.foreign.add(int(answer["metadata"]["resourceVersion"]))

    story.until(lambda: story.weights(since=began)[-2:] == [0, 50], "the weight coming back")
    story.until(lambda: story.selected("app-stable") == hash_, "the selector coming back")
    assert owners(story.get("VirtualService"), "spec", "http") == {"tidegate"}
    story.until_phase("Paused", "CanaryPauseStep")


def test_actions_of_argo_cd_on_a_real_api_server(story: Story) -> None:
    strategy = by_host(weigh(50), wait(), weigh(60), wait())
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    story.apply(rollout("v1", strategy))
    old = story.until_phase("Healthy")["stableRS"]
    story.apply(rollout("v2", strategy))
    story.until_phase("Paused", "CanaryPauseStep")

    index = story.status()["currentStepIndex"]
    story.ask(pauseConditions=None, currentStepIndex=index + 1)
    story.until_weight(60)
    story.until(lambda: story.status()["currentStepIndex"] == 3, "the next pause")
    story.until_phase("Paused", "CanaryPauseStep")
    story.holds(lambda: story.status()["stableRS"] == old, "the next pause waiting for a person of its own", 2)

    story.ask(abort=True)
    story.until_weight(0)
    story.until_phase("Degraded", "RolloutAborted")
    story.ask(abort=None)
    story.until_phase("Paused", "CanaryPauseStep")
    story.patch("Rollout", "app", {"spec": {"paused": True}})
    story.until_phase("Paused", "manually paused")
    story.patch("Rollout", "app", {"spec": {"paused": None}})
    story.ask(promoteFull=True)
    assert story.until_phase("Healthy")["stableRS"] != old
