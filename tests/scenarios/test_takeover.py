"""Argo Rollouts has ended, Tidegate starts: real pods, real routes, nothing moves. And never both at once.

The objects are made as Argo Rollouts leaves them, with pod template hashes that Tidegate would not compute, while the
operator is down.
"""

from __future__ import annotations

import datetime
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pytest

from lab import manifests as m
from lab.client import wait_for
from lab.cluster import Lab
from lab.operator import Operator
from tests.scenarios.story import HASH, Story, blue_green, by_host, rollout, split_by_host, wait, weigh

pytestmark = pytest.mark.lab

Obj = dict[str, Any]
V1, V2 = "7b5cc8f64c", "6c9fbd4cdb"
REVISION: Final = "rollout.argoproj.io/revision"
MANAGED_BY: Final = "argo-rollouts.argoproj.io/managed-by-rollouts"
LOCK: Final = "argo-rollouts-controller-lock"


def stamp(seconds: float) -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def leave(story: Story, strategy: Obj, pods: tuple[int, int], status: Mapping[str, Any]) -> None:
    """A Rollout of 2 pods in the middle of its update to revision 2, with so many pods of each."""
    old = rollout("v1", strategy)
    made = story.apply({**rollout("v2", strategy, annotations={REVISION: "2"})})
    owner = {"apiVersion": made["apiVersion"], "kind": "Rollout", "name": "app", "uid": made["metadata"]["uid"]}
    templates = (old["spec"]["template"], made["spec"]["template"])
    for revision, (hash_, template, size) in enumerate(zip((V1, V2), templates, pods, strict=True), 1):
        labels = {"app": "app", HASH: hash_}
        annotations = {REVISION: str(revision), "rollout.argoproj.io/desired-replicas": "2"}
        story.lab.client.create(
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"app-{hash_}",
                    "namespace": story.namespace,
                    "labels": labels,
                    "annotations": annotations,
                    "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
                },
                "spec": {
                    "replicas": size,
                    "selector": {"matchLabels": labels},
                    "template": {**template, "metadata": {"labels": labels}},
                },
            }
        )
    count = sum(pods)
    story.until(lambda: available(story) == count, "Argo's pods")
    story.ask(
        **{
            "blueGreen": {},
            "canary": {},
            "currentPodHash": V2,
            "observedGeneration": str(story.get("Rollout")["metadata"]["generation"]),
            "stableRS": V1,
            "replicas": count,
            "readyReplicas": count,
            "availableReplicas": count,
            "updatedReplicas": pods[1],
            "HPAReplicas": count,
            "selector": "app=app",
            **status,
        }
    )


def point(story: Story, **ends: str) -> None:
    """Services as Argo has pointed them."""
    for end, hash_ in ends.items():
        service = m.service(end.replace("_", "-"), story.namespace, {"app": "app", HASH: hash_})
        story.apply({**service, "metadata": {**service["metadata"], "annotations": {MANAGED_BY: "app"}}})


def available(story: Story) -> int:
    return sum((rs.get("status") or {}).get("availableReplicas", 0) for rs in story.sets().values())


def paused(reason: str, since: float, **more: Any) -> Obj:
    conditions = [{"reason": reason, "startTime": stamp(since)}]
    return {"phase": "Paused", "message": reason, "controllerPause": True, "pauseConditions": conditions, **more}


def standing(story: Story) -> Obj:
    """What must not change."""
    pods = story.lab.client.list("Pod", story.namespace)
    sets = story.lab.client.list("ReplicaSet", story.namespace, api_version="apps/v1")
    status = story.get("Rollout")["status"]
    kept = (
        "phase",
        "message",
        "currentPodHash",
        "stableRS",
        "currentStepIndex",
        "pauseConditions",
        "abort",
        "abortedAt",
    )
    return {
        "pods": {
            pod["metadata"]["uid"]: [container["restartCount"] for container in pod["status"]["containerStatuses"]]
            for pod in pods
        },
        "sets": {rs["metadata"]["uid"]: rs["spec"] for rs in sets},
        "selectors": {
            s["metadata"]["name"]: s["spec"]["selector"] for s in story.lab.client.list("Service", story.namespace)
        },
        "weight": story.weight(),
        "status": {field: status.get(field) for field in kept},
    }


def test_a_rollout_of_argos_is_gone_on_with_from_where_it_stands(
    alone: Story, open_story: Callable[[str], Story], tidegate: Operator
) -> None:
    pause, preview, undone = alone, open_story("left-preview"), open_story("left-undone")
    tidegate.stop()
    steps = (weigh(50), wait(35), weigh(100))
    for story in (pause, undone):
        story.route({"route": [m.destination("app-stable", 100), m.destination("app-canary", 0)]})
    point(pause, app_stable=V1, app_canary=V2)
    leave(pause, by_host(*steps), (2, 1), paused("CanaryPauseStep", 0, currentStepIndex=1, currentStepHash="5c8b7f9d6"))
    pause.route({"route": [m.destination("app-stable", 50), m.destination("app-canary", 50)]})
    point(preview, app=V1, app_preview=V2)
    preview.route({"route": [m.destination("app")]})
    selectors = {"activeSelector": V1, "previewSelector": V2}
    leave(preview, blue_green(autoPromotionEnabled=False), (2, 2), paused("BlueGreenPause", -60, blueGreen=selectors))
    point(undone, app_stable=V1, app_canary=V1)
    message = "Rollout aborted update to revision 2"
    condition = {
        "type": "Progressing",
        "status": "False",
        "reason": "RolloutAborted",
        "message": message,
        "lastUpdateTime": stamp(-60),
        "lastTransitionTime": stamp(-60),
    }
    leave(
        undone,
        by_host(*steps),
        (2, 0),
        {
            "abort": True,
            "abortedAt": stamp(-60),
            "phase": "Degraded",
            "message": f"RolloutAborted: {message}",
            "currentStepIndex": 0,
            "currentStepHash": "5c8b7f9d6",
            "conditions": [condition],
        },
    )
    left = {story: standing(story) for story in (pause, preview, undone)}
    restarted = pause.version()

    tidegate.start()

    for story, before in left.items():
        story.until(lambda: story.condition("Available"), "the first status of Tidegate's")  # noqa: B023 - called at once
        story.holds(lambda: True, "a while", 1)
        assert standing(story) == before
        assert story.weights(since=restarted) == [], "no route was written"

    pause.until_phase("Healthy", timeout=60)
    assert pause.status()["stableRS"] == V2
    preview.ask(pauseConditions=None)
    preview.until_phase("Healthy")
    assert preview.selected("app") == V2
    undone.ask(abort=False)
    undone.until_phase("Paused")
    assert undone.weight() == 50
    for story, before in left.items():
        assert {rs["metadata"]["uid"] for rs in story.sets().values()} == set(before["sets"]), "no other ReplicaSet"


@contextmanager
def argo(lab: Lab, namespace: str, duration: int) -> Iterator[None]:
    """Argo Rollouts' controller, as far as its Lease shows; at the end it gives nothing back."""
    ended = threading.Event()
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LOCK, "namespace": namespace}}

    def live() -> None:
        while not ended.is_set():
            now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            spec = {"holderIdentity": "argo-0_1", "leaseDurationSeconds": duration, "renewTime": now}
            lab.client.apply({**body, "spec": spec})
            ended.wait(0.5)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def page(tidegate: Operator) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{tidegate.port}/readyz", timeout=5) as answer:
        text: str = answer.read().decode()
    return text


def test_while_argos_lease_is_renewed_nothing_is_done_and_it_is_said(alone: Story, tidegate: Operator) -> None:
    with argo(alone.lab, alone.namespace, 4):
        wait_for(lambda: "standing aside: Argo Rollouts" in page(tidegate), "the page telling of it")
        alone.services("app-stable", "app-canary")
        alone.route(split_by_host())
        alone.apply(rollout("v1", by_host(weigh(50))))
        told = alone.until(lambda: alone.condition("StandingAside"), "the condition")
        assert (told["status"], told["reason"]) == ("True", "ArgoRolloutsAtWork")
        assert "tidegate_standing_aside 1.0" in tidegate.metrics()
        seen = alone.get("Rollout")["metadata"]["resourceVersion"]
        alone.holds(lambda: not alone.sets(), "no ReplicaSet", 6)
        assert alone.get("Rollout")["metadata"]["resourceVersion"] == seen, "said once"
    alone.until_phase("Healthy")
    assert alone.condition("StandingAside") == {}
    assert "standing aside" not in page(tidegate)
    alone.lab.client.delete("Lease", LOCK, alone.namespace, api_version="coordination.k8s.io/v1")
