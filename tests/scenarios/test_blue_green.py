"""Blue-green: the new version in full beside the old one, then one flip for everybody, and back if it is bad."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lab import manifests as m
from tests.scenarios.chronicle import Obj
from tests.scenarios.story import HASH, Story, analysis, blue_green, rollout, template

pytestmark = pytest.mark.lab


def begin(story: Story, strategy: Obj, **more: Any) -> str:
    """Version v1, Healthy behind the active Service; its hash."""
    story.services("app", "app-preview")
    story.route({"route": [m.destination("app")]})
    story.apply(rollout("v1", strategy, **more))
    return str(story.until_phase("Healthy")["currentPodHash"])


def check_warm(story: Story, hash_: str, since: int, replicas: int = 2) -> None:
    """All pods of this revision have been there all the time."""
    for entry in story.chronicle.entries(story.namespace, "ReplicaSet", f"app-{hash_}", since=since):
        found = entry.obj["spec"]["replicas"], entry.obj["status"].get("availableReplicas", 0)
        assert found == (replicas, replicas), found


def flips(story: Story, since: int, service: str = "app") -> list[str]:
    """What the Service has selected, one after the other."""
    seen = [
        entry.obj["spec"]["selector"].get(HASH, "")
        for entry in story.chronicle.entries(story.namespace, "Service", service, since=since)
    ]
    return [hash_ for number, hash_ in enumerate(seen) if number == 0 or seen[number - 1] != hash_]


def test_a_person_looks_at_the_preview_and_promotes(story: Story) -> None:
    strategy = blue_green(autoPromotionEnabled=False, scaleDownDelaySeconds=3)
    old = begin(story, strategy)
    assert story.selected("app") == story.selected("app-preview") == old
    with story.users() as users:
        story.apply(rollout("v2", strategy))
        held = story.until_phase("Paused", "BlueGreenPause")
        new = held["currentPodHash"]
        assert held["blueGreen"] == {"activeSelector": old, "previewSelector": new}
        assert held["stableRS"] == old and held["HPAReplicas"] == 2
        assert held["selector"] == f"app=app,{HASH}={old}"
        assert (story.selected("app"), story.selected("app-preview")) == (old, new)
        assert story.replicas(new) == story.replicas(old) == 2
        assert set(users.by_version) == {"v1"}

        story.kubectl("scale", "rollout/app", "--replicas=3")
        story.until(lambda: story.replicas(new) == story.replicas(old) == 3, "both versions being scaled")
        story.until(lambda: story.sets()[new]["status"].get("availableReplicas") == 3, "three pods")
        story.holds(lambda: story.selected("app") == old, "the flip waiting for a person", 1)

        start = story.version()
        promoted = time.monotonic()
        story.ask(pauseConditions=None)
        story.until(lambda: story.selected("app") == new, "the flip")
        done = story.until_phase("Healthy")
        assert done["stableRS"] == new and done["blueGreen"]["activeSelector"] == new
        story.until(lambda: story.replicas(old) == 0, "the old version going", 10)
        assert time.monotonic() - promoted > 2, "the old version was to stay for 3 s"
    check_warm(story, new, start, 3)
    story.check_users(users)
    assert set(users.by_version) == {"v1", "v2"}


def test_time_promotes(story: Story) -> None:
    strategy = blue_green(autoPromotionSeconds=2)
    old = begin(story, strategy)
    start = story.version()
    story.apply(rollout("v2", strategy))
    story.until_phase("Paused", "BlueGreenPause")
    paused = time.monotonic()
    story.until(lambda: story.selected("app") != old, "the flip", 10)
    assert time.monotonic() - paused > 1.5
    new = story.until_phase("Healthy")["stableRS"]
    assert flips(story, start) == [new]


def test_the_analysis_before_the_flip_keeps_users_away_from_a_bad_version(story: Story) -> None:
    story.apply(template("no", "vector(0)", successCondition="result == 1", count=1))
    strategy = blue_green(prePromotionAnalysis=analysis("no"), abortScaleDownDelaySeconds=2)
    old = begin(story, strategy)
    start = story.version()
    with story.users() as users:
        story.apply(rollout("v2", strategy))
        bad = story.until_phase("Degraded", "RolloutAborted")
        new = bad["currentPodHash"]
        assert bad["abort"] is True and bad["abortedAt"] and bad["stableRS"] == old
        assert bad["blueGreen"]["prePromotionAnalysisRunStatus"]["status"] == "Failed"
        assert 'Metric "m" assessed Failed' in bad["message"]
        (run,) = story.runs("PrePromotion")
        assert run["metadata"]["name"] == f"app-{new}-2-pre"
        assert story.replicas(new) == 2, "the preview stays for its delay"
        story.until(lambda: story.replicas(new) == 0, "the preview going", 10)
        story.until(lambda: story.selected("app-preview") == old, "the preview Service having pods again")

        # Retried with a person's word against the analysis.
        story.ask(abort=False)
        story.until(lambda: len(story.runs("PrePromotion")) == 2, "a second analysis")
        story.until_phase("Degraded", "RolloutAborted")
        assert flips(story, start) == []
        check_warm(story, old, start)

        story.ask(abort=False, promoteFull=True)
        done = story.until_phase("Healthy")
    assert done["stableRS"] == new and flips(story, start) == [new]
    story.check_users(users)


def test_the_analysis_after_the_flip_flips_back_to_warm_pods(story: Story) -> None:
    yes = template("yes", "vector(1)", successCondition="result == 1", count=2)
    story.apply(yes, template("no", "vector(0)", successCondition="result == 1", count=9, failureLimit=1))
    judge = analysis("no")
    strategy = blue_green(prePromotionAnalysis=analysis("yes"), postPromotionAnalysis=judge, scaleDownDelaySeconds=30)
    old = begin(story, strategy)
    start = story.version()
    with story.users() as users:
        story.apply(rollout("v2", strategy))
        bad = story.until_phase("Degraded", "RolloutAborted")
        new = bad["currentPodHash"]
        story.until(lambda: story.selected("app") == old, "the flip back")
        assert bad["blueGreen"]["prePromotionAnalysisRunStatus"]["status"] == "Successful"
        assert bad["blueGreen"]["postPromotionAnalysisRunStatus"]["status"] == "Failed"
        assert flips(story, start) == [new, old]
        check_warm(story, old, start)
        story.until(lambda: story.replicas(new) == 0, "the bad version going after its delay", 10)
    story.check_users(users)
    assert set(users.by_version) == {"v1", "v2"}

    judge["templates"] = [{"templateName": "yes"}]
    story.apply(rollout("v3", strategy))
    done = story.until_phase("Healthy")
    assert done["blueGreen"]["postPromotionAnalysisRunStatus"]["status"] == "Successful"
    assert flips(story, start) == [new, old, done["stableRS"]]
    assert story.replicas(old) == 2, "the old version stays for its delay of 30 s"


def test_aborting_pausing_and_changing_ones_mind(story: Story) -> None:
    strategy = blue_green(autoPromotionEnabled=False)
    old = begin(story, strategy)
    start = story.version()
    story.apply(rollout("v2", strategy))
    story.until_phase("Paused", "BlueGreenPause")
    second = story.status()["currentPodHash"]
    story.ask(abort=True)
    story.until_phase("Degraded", "RolloutAborted")
    story.until(lambda: story.replicas(second) == 0, "the preview going", 10)
    story.kubectl("scale", "rollout/app", "--replicas=3")
    story.until(lambda: story.replicas(old) == 3, "scaling while aborted")
    assert story.replicas(second) == 0

    story.ask(abort=False)
    story.until_phase("Paused", "BlueGreenPause")
    assert story.replicas(second) == 3

    story.apply(rollout("v3", strategy, replicas=3))
    story.until(lambda: story.status()["currentPodHash"] not in (old, second), "the third version")
    story.until_phase("Paused", "BlueGreenPause")
    third = story.status()["currentPodHash"]
    story.until(lambda: story.selected("app-preview") == third, "the preview of the third version")
    story.until(lambda: story.replicas(second) == 0, "the second version going", 10)

    story.apply(rollout("v1", strategy, replicas=3))
    back = story.until_phase("Healthy")
    assert back["currentPodHash"] == back["stableRS"] == old
    assert flips(story, start) == []

    story.patch("Rollout", "app", {"spec": {"paused": True}})
    story.until_phase("Paused", "manually paused")
    story.apply(rollout("v4", strategy, replicas=3, paused=True))
    story.holds(lambda: len(story.sets()) == 3, "no new version while a person holds the rollout", 1)
