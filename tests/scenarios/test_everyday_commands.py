"""What people and pipelines do with kubectl, and what is left when a Rollout goes."""

from __future__ import annotations

import threading

import pytest

from tests.scenarios.story import Story, by_host, canary, rollout, split_by_host, wait, weigh

pytestmark = pytest.mark.lab


def test_kubectl_waits_for_every_condition(story: Story) -> None:
    story.apply(rollout("v1", canary(weigh(50), wait()), replicas=2))
    for condition in ("Available", "Healthy", "Completed", "Progressing"):
        told = story.kubectl("wait", f"--for=condition={condition}", "rollout/app", "--timeout=20s")
        assert "condition met" in told

    story.apply(rollout("v2", canary(weigh(50), wait()), replicas=2))
    story.kubectl("wait", "--for=condition=Paused", "rollout/app", "--timeout=20s")
    story.kubectl("wait", "--for=condition=Healthy=false", "rollout/app", "--timeout=20s")
    story.kubectl("wait", "--for=condition=Completed=false", "rollout/app", "--timeout=20s")
    story.kubectl("wait", "--for=jsonpath={.status.phase}=Paused", "rollout/app", "--timeout=20s")

    going_on = threading.Timer(1, story.ask, kwargs={"pauseConditions": None})
    going_on.start()
    story.kubectl("wait", "--for=condition=Healthy", "rollout/app", "--timeout=20s")
    story.kubectl("wait", "--for=condition=Paused=false", "rollout/app", "--timeout=20s")
    going_on.join()
    story.chronicle.catch_up(story.namespace)
    assert story.status()["phase"] == "Healthy", "Healthy, Completed and the phase are written together"


def test_kubectl_shows_explains_and_scales(story: Story) -> None:
    story.apply(rollout("v1", canary(weigh(50), wait()), replicas=4))
    story.until_phase("Healthy")
    story.apply(rollout("v2", canary(weigh(50), wait()), replicas=4))
    story.until_phase("Paused")
    story.until(lambda: [story.status()[f] for f in ("HPAReplicas", "availableReplicas")] == [4, 4], "the pods")

    head, row = story.kubectl("get", "rollout").splitlines()
    assert head.split() == ["NAME", "DESIRED", "CURRENT", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row.split()[:5] == ["app", "4", "4", "2", "4"]
    assert "Paused" in story.kubectl("get", "ro", "-o", "wide")

    told = story.kubectl("explain", "rollout.spec.strategy.canary")
    assert "GROUP:      argoproj.io" in told and "KIND:       Rollout" in told
    for field in ("steps", "canaryService", "trafficRouting", "maxSurge", "scaleDownDelaySeconds"):
        assert f"  {field}\t" in told, field
    assert "setWeight" in story.kubectl("explain", "rollout.spec.strategy.canary.steps")

    story.kubectl("scale", "rollout/app", "--replicas=6", "--current-replicas=4")
    story.until(lambda: story.status()["HPAReplicas"] == 6, "the scale being followed")
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{story.namespace}/rollouts/app/scale"
    scale = story.lab.client.request("GET", path)
    assert (scale["spec"], scale["status"]) == ({"replicas": 6}, {"replicas": 6, "selector": "app=app"})
    story.lab.client.request("PUT", path, {**scale, "spec": {"replicas": 2}})
    story.until(
        lambda: sorted(rs["spec"]["replicas"] for rs in story.sets().values()) == [1, 1], "an autoscaler's word"
    )


def test_replicas_that_nobody_set_are_written_for_autoscalers(story: Story) -> None:
    story.apply(rollout("v1", canary(), replicas=None))
    story.until_phase("Healthy")
    assert story.get("Rollout")["spec"]["replicas"] == 1


def test_a_rollout_scaled_to_nothing_is_healthy_and_updates(story: Story) -> None:
    strategy = by_host(weigh(50), wait(1), weigh(100))
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    story.apply(rollout("v1", strategy, replicas=0))
    old = story.until_phase("Healthy")["stableRS"]
    story.apply(rollout("v2", strategy, replicas=0))
    story.until(lambda: story.status().get("stableRS") not in (old, None), "the update of nothing")
    story.kubectl("scale", "rollout/app", "--replicas=1")
    story.until_phase("Healthy")
    story.until(lambda: story.status()["availableReplicas"] == 1, "a pod")
    assert "v2" in {
        rs["spec"]["template"]["spec"]["containers"][0]["image"].partition(":")[2]
        for rs in story.sets().values()
        if rs["spec"]["replicas"]
    }


@pytest.mark.parametrize("cascade", ["background", "orphan"])
def test_nothing_holds_up_a_deletion_in_the_middle_and_routes_stay(story: Story, cascade: str) -> None:
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    strategy = by_host(weigh(50), wait(), weigh(100))
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    story.apply(rollout("v2", strategy))
    story.until_phase("Paused", "CanaryPauseStep")
    assert "finalizers" not in story.get("Rollout")["metadata"]
    before = {
        kind: story.get(kind, name)["spec"] for kind, name in (("VirtualService", "app"), ("Service", "app-canary"))
    }
    hash_ = before["Service"]["selector"]["rollouts-pod-template-hash"]
    with story.users() as users:
        # Orphaning is the garbage collector's work, which looks for new kinds every 30 s.
        story.kubectl("delete", "rollout", "app", f"--cascade={cascade}", "--timeout=40s")
        if cascade == "orphan":
            story.holds(lambda: all(rs["spec"]["replicas"] for rs in _all_sets(story)), "the pods", 2)
        else:
            story.until(lambda: not _all_sets(story), "the garbage collector's work", 120)
    if cascade != "orphan":  # With its pods gone, the Service selects whichever come after them.
        story.until(lambda: story.selected("app-canary") == "", "the Service being let go")
        before["Service"]["selector"].pop("rollouts-pod-template-hash")
    after = {
        kind: story.get(kind, name)["spec"] for kind, name in (("VirtualService", "app"), ("Service", "app-canary"))
    }
    assert after == before
    if cascade == "orphan":
        story.holds(lambda: story.selected("app-canary") == hash_, "what the Service selects", 1)
        story.check_users(users)


def _all_sets(story: Story) -> list[dict[str, dict[str, object]]]:
    return story.lab.client.list("ReplicaSet", story.namespace, api_version="apps/v1")
