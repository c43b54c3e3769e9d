"""The operator dies or is away: the same end, and no request lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest

from lab import manifests as m
from lab.operator import Operator
from tests.scenarios.story import (
    Story,
    analysis,
    blue_green,
    by_host,
    by_subset,
    rollout,
    split_by_host,
    split_by_subset,
    template,
    wait,
    weigh,
)

pytestmark = pytest.mark.lab

MOMENTS = (1, 3, 2, 5, 4, 7, 6, 9)
"""After so many changes of the cluster since its last start the operator is killed."""


def test_killed_again_and_again_it_comes_to_the_same_end(
    alone: Story, open_story: Callable[[str], Story], tidegate: Operator
) -> None:
    hosts, subsets, flip, undone = (
        alone,
        open_story("killed-subsets"),
        open_story("killed-flip"),
        open_story("killed-undo"),
    )
    steps = (weigh(20), {"analysis": analysis("yes")}, weigh(60), wait(1), weigh(100))
    yes = template("yes", "vector(1)", successCondition="result == 1", count=2)
    no = template("no", "vector(0)", successCondition="result == 1", count=9, failureLimit=1)
    for story in (hosts, subsets, flip, undone):
        story.apply(yes, no)
    for story in (hosts, undone):
        story.services("app-stable", "app-canary")
        story.route(split_by_host())
    subsets.services("app")
    subsets.apply(
        m.destination_rule("app", subsets.namespace, "app", {"stable": {"app": "app"}, "canary": {"app": "app"}})
    )
    subsets.route(split_by_subset())
    flip.services("app", "app-preview")
    flip.route({"route": [m.destination("app")]})
    strategies = {
        hosts: by_host(*steps),
        subsets: by_subset(*steps),
        flip: blue_green(autoPromotionSeconds=2, prePromotionAnalysis=analysis("yes"), scaleDownDelaySeconds=2),
        undone: by_host(weigh(50), wait(30), analysis=analysis("no", startingStep=1)),
    }
    stories = list(strategies)
    for story, strategy in strategies.items():
        story.apply(rollout("v1", strategy, replicas=3))
    old = {story: story.until_phase("Healthy")["stableRS"] for story in stories}
    start = alone.version()

    with ExitStack() as stack:
        users = {story: stack.enter_context(story.users(15)) for story in stories}
        for story, strategy in strategies.items():
            story.apply(rollout("v2", strategy, replicas=3))
        for moment in MOMENTS:
            since = alone.version()
            alone.chronicle.wait(lambda: changes(stories, since) >= moment, 3)  # noqa: B023 - called at once
            tidegate.kill()
            tidegate.start()
        for story in (hosts, subsets, flip):
            story.until_phase("Healthy", timeout=40)
        undone.until_phase("Degraded", "RolloutAborted")
        hosts.until_weight(0)
        subsets.until_weight(0)
        for story in (hosts, subsets, flip):
            story.until(lambda: story.replicas(old[story]) == 0, "the old version going", 10)  # noqa: B023

    for story in stories:
        story.check_users(users[story])
        story.check_always()
        assert len(story.sets()) == 2
        assert story.get("Rollout")["metadata"]["annotations"]["rollout.argoproj.io/revision"] == "2"
    for story in (hosts, subsets):
        assert story.weights(since=start) == [20, 60, 100, 0]
        assert len(story.runs("Step")) == 1, "one question, however often its asker died"
    assert flip.selected("app") == flip.status()["stableRS"] != old[flip] and len(flip.runs()) == 1
    assert undone.weights(since=start) in ([50, 0], []) and undone.selected("app-stable") == old[undone]
    assert len(undone.runs()) == 1


def changes(stories: list[Story], since: int) -> int:
    return sum(len(story.chronicle.entries(story.namespace, since=since)) for story in stories)


def test_without_the_operator_all_stays_as_it_is_and_it_goes_on_later(alone: Story, tidegate: Operator) -> None:
    alone.services("app-stable", "app-canary")
    alone.route(split_by_host())
    strategy = by_host(weigh(30), wait(1), weigh(100))
    alone.apply(rollout("v1", strategy))
    alone.until_phase("Healthy")
    alone.apply(rollout("v2", strategy))
    alone.until_weight(30)
    tidegate.stop()
    try:
        alone.chronicle.catch_up(alone.namespace)
        sizes = {hash_: rs["spec"]["replicas"] for hash_, rs in alone.sets().items()}
        with alone.users() as users:
            alone.holds(
                lambda: (
                    alone.weight() == 30
                    and {hash_: rs["spec"]["replicas"] for hash_, rs in alone.sets().items()} == sizes
                ),
                "everything while there is no operator",
                2,
            )
        alone.check_users(users)
        assert set(users.by_version) == {"v1", "v2"}
    finally:
        tidegate.start()
    alone.until_phase("Healthy")
    alone.until_weight(0)
