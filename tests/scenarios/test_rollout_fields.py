"""Fields of a Rollout that reach pods and workloads: restarts, metadata of a role, workloadRef."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lab import manifests as m
from tests.scenarios.story import HASH, Story, blue_green, canary, rollout, wait, weigh

pytestmark = pytest.mark.lab

Obj = dict[str, Any]


def pods(story: Story) -> dict[str, Obj]:
    """Live pods of Rollouts by name."""
    found = story.lab.client.list("Pod", story.namespace)
    return {
        pod["metadata"]["name"]: pod
        for pod in found
        if HASH in pod["metadata"].get("labels", {}) and "deletionTimestamp" not in pod["metadata"]
    }


def budget(story: Story, least: int) -> Obj:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "app"},
        "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": "app"}}},
    }


def test_a_restart_replaces_every_pod_and_keeps_the_disruption_budget(story: Story) -> None:
    story.apply(budget(story, 2), rollout("v1", canary(maxUnavailable=2), replicas=3))
    story.until_phase("Healthy")
    story.until(
        lambda: story.kubectl("get", "pdb", "app", "-o", "jsonpath={.status.disruptionsAllowed}") == "1", "the budget"
    )
    before, sets = set(pods(story)), set(story.sets())
    fewest = 3

    def done() -> bool:
        nonlocal fewest
        fewest = min(fewest, story.status().get("availableReplicas", 0))
        return "restartedAt" in story.status()

    story.until(lambda: datetime.now(UTC).microsecond < 100_000, "a second that the pods are older than", 5)
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    story.patch("Rollout", "app", {"spec": {"restartAt": at}})
    story.until_phase("Progressing", "rollout is restarting")
    story.until(done, "the restart being over", timeout=90)
    story.until_phase("Healthy")

    assert story.status()["restartedAt"] == at
    assert len(pods(story)) == 3 and not before & set(pods(story))
    assert fewest >= 2, "the budget asks for two"
    assert set(story.sets()) == sets


def test_pods_bear_the_metadata_of_their_role_without_a_restart(story: Story) -> None:
    story.services("app", "app-preview")
    roles = {
        "previewMetadata": {"labels": {"role": "preview"}, "annotations": {"look": "soon"}},
        "activeMetadata": {"labels": {"role": "active"}},
    }
    strategy = blue_green(autoPromotionEnabled=False, **roles)
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    story.apply(rollout("v2", strategy))
    story.until_phase("Paused")
    story.until(lambda: len(pods(story)) == 4, "both versions")
    seen = {name: pod["metadata"]["labels"]["role"] for name, pod in pods(story).items()}
    assert sorted(seen.values()) == ["active", "active", "preview", "preview"]
    preview = {name for name, role in seen.items() if role == "preview"}

    story.ask(pauseConditions=None)
    story.until_phase("Healthy")

    def changed() -> bool:
        shown = [pods(story)[name]["metadata"] for name in preview]
        return all(meta["labels"]["role"] == "active" and not meta.get("annotations", {}).get("look") for meta in shown)

    story.until(changed, "the pods having changed their role")
    assert preview <= set(pods(story)), "the same pods"


def deployment(version: str, replicas: int = 3) -> Obj:
    template = m.pod_template({"app": "app"}, m.app_container(version))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "app"}}, "template": template},
    }


def test_a_rollout_takes_over_from_a_deployment_and_gives_its_pods_back(story: Story) -> None:
    def size() -> int:
        return int(story.kubectl("get", "deployment", "shop", "-o", "jsonpath={.spec.replicas}"))

    story.apply(deployment("v1"))
    given = rollout("v1", canary(weigh(50), wait()), replicas=3)
    del given["spec"]["template"], given["spec"]["selector"]
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "scaleDown": "progressively"}
    given["spec"]["workloadRef"] = ref
    story.apply(given)
    story.until_phase("Healthy")
    story.until(lambda: size() == 0, "the Deployment having gone down")

    story.kubectl("set", "image", "deployment/shop", "*=ignored")
    story.patch("Rollout", "app", {"metadata": {"labels": {"touched": "yes"}}})
    story.until(lambda: len(story.sets()) == 2, "the new template")
    generation = story.get("Rollout")["metadata"]["annotations"]["rollout.argoproj.io/workload-generation"]
    story.until(lambda: story.status()["workloadObservedGeneration"] == generation, "the generation")

    story.kubectl("delete", "rollout", "app")
    story.until(lambda: size() == 3, "the Deployment having its pods back")


def test_a_rollout_takes_its_template_from_a_pod_template(story: Story) -> None:
    labels = {"app": "app"}
    template = m.pod_template(labels, m.app_container("v1"))
    story.apply({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "shop"}, "template": template})
    given = rollout("v1", canary(), replicas=1)
    del given["spec"]["template"], given["spec"]["selector"]
    given["spec"]["workloadRef"] = {"apiVersion": "v1", "kind": "PodTemplate", "name": "shop"}
    story.apply(given)
    story.until_phase("Healthy")
    first = story.status()["stableRS"]
    changed = m.pod_template(labels, m.app_container("v2"))
    story.apply({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "shop"}, "template": changed})
    story.until(
        lambda: story.status()["stableRS"] != first and story.status()["phase"] == "Healthy", "the new template"
    )
