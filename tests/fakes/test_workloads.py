"""The simulated ReplicaSet controller beside the real one, and what pods do in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from .clocks import START, ManualClock, loop_clock
from .cluster import FakeCluster, Written
from .kinds import Obj
from .rules import MERGE_PATCH
from .scripts import RS, replicaset
from .workloads import REPLICASET_CONTROLLER, Behaviour, Workloads

PARTS = ("readyReplicas", "availableReplicas")

Seen = tuple[int, int, dict[str, int]]


def counts(replicas: int, ready: int = 0, available: int = 0, *, ending: int = 0, seen: int) -> dict[str, int]:
    """A ReplicaSet's status as the controller writes it."""
    status = {"replicas": replicas, "terminatingReplicas": ending, "observedGeneration": seen}
    if replicas:
        status["fullyLabeledReplicas"] = replicas
    return (
        status | ({"readyReplicas": ready} if ready else {}) | ({"availableReplicas": available} if available else {})
    )


# generation, spec.replicas and status, in the order in which a watch shows them, for: two replicas with
# minReadySeconds 2, then one, then none. Recorded from kube-controller-manager 1.37.
STORY: list[Seen] = [
    (1, 2, {"replicas": 0}),
    (1, 2, counts(0, seen=1)),
    (1, 2, counts(2, seen=1)),
    (1, 2, counts(2, 2, seen=1)),
    (1, 2, counts(2, 2, 2, seen=1)),
    (2, 1, counts(2, 2, 2, seen=1)),
    (2, 1, counts(2, 2, 2, seen=2)),
    (2, 1, counts(1, 1, 1, ending=1, seen=2)),
    (2, 1, counts(1, 1, 1, seen=2)),
    (3, 0, counts(1, 1, 1, seen=2)),
    (3, 0, counts(1, 1, 1, seen=3)),
    (3, 0, counts(0, ending=1, seen=3)),
    (3, 0, counts(0, seen=3)),
]


def state(replicaset: Obj) -> Seen:
    return replicaset["metadata"]["generation"], replicaset["spec"]["replicas"], replicaset["status"]


def web(replicas: int, **spec: Any) -> Obj:
    made = replicaset(replicas=replicas)
    return made | {"spec": made["spec"] | spec}


class Stage:
    """A cluster with workloads and a clock that a test moves; `shop/web:1` becomes ready after a second."""

    def __init__(self, **behaviours: Behaviour) -> None:
        self.cluster = FakeCluster(ManualClock())
        images = {f"shop/web:{tag}": behaviour for tag, behaviour in behaviours.items()}
        self.workloads = Workloads(self.cluster, images, drain=0.5)
        self.seen: list[Seen] = []
        self.cluster.observers.append(self._note)

    def _note(self, written: Written) -> None:
        if written.kind == "ReplicaSet" and written.changed and written.after:
            self.seen.append(state(written.after))

    def scale(self, replicas: int) -> None:
        self.cluster.patch("ReplicaSet", "web", {"spec": {"replicas": replicas}})

    def status(self) -> dict[str, int]:
        found = self.cluster.peek("ReplicaSet", "web")
        assert found is not None
        return dict(found["status"])


def test_given_a_replicaset_when_scaled_up_and_down_then_a_watch_shows_what_the_real_controller_does() -> None:
    stage = Stage()
    stage.cluster.create(web(2, minReadySeconds=2))
    stage.workloads.advance(5)
    stage.scale(1)
    stage.workloads.advance(5)
    stage.scale(0)
    stage.workloads.advance(5)
    assert stage.seen == STORY


@pytest.mark.lab
def test_given_a_real_replicaset_when_scaled_up_and_down_then_it_shows_nothing_that_the_fake_does_not(
    lab: Any, namespace: str
) -> None:
    from lab import manifests
    from lab.client import wait_for

    from .test_faithful import Real

    template = manifests.pod_template({"app": "web", "rollouts-pod-template-hash": "abc"}, manifests.app_container("1"))
    made = web(2, minReadySeconds=2, template=template)
    path = RS.replace("$ns", namespace)
    first = lab.client.request("POST", path, made)

    def reached(generation: int, status: dict[str, int]) -> bool:
        now = state(lab.client.request("GET", f"{path}/web"))
        return now[0] == generation and now[2] == status

    wait_for(lambda: reached(1, counts(2, 2, 2, seen=1)), "two available replicas")
    for generation, replicas in ((2, 1), (3, 0)):
        patch = {"spec": {"replicas": replicas}}
        lab.client.request("PATCH", f"{path}/web", patch, content_type=MERGE_PATCH)
        end = counts(replicas, replicas, replicas, seen=generation)
        wait_for(lambda: reached(generation, end), f"{replicas} replicas")  # noqa: B023

    server = Real(lab.api_url, lab.kubeconfig)
    events = server.events(path, {"resourceVersion": str(int(first["metadata"]["resourceVersion"]) - 1)})
    # Two real processes don't become ready in the same instant, nor is the watch sure to begin before the creation.
    seen = [state(event["object"]) for event in events]
    seen = [each for each in seen if all(each[2].get(n, 0) in (0, each[2]["replicas"]) for n in PARTS)]
    # A loaded controller may leave a state out, but never shows another one or another order.
    story = iter(STORY)
    assert [each for each in seen if each not in story] == []
    assert [STORY[at] for at in (4, 6, 8, 10, 12) if STORY[at] not in seen] == []


@pytest.mark.parametrize(
    ("behaviour", "at", "expected"),
    [
        (Behaviour(ready_after=3), 2.9, counts(2, seen=1)),
        (Behaviour(ready_after=3), 3.1, counts(2, 2, 2, seen=1)),
        (Behaviour(ready_after=None), 1000, counts(2, seen=1)),
        (Behaviour(ready_after=1, crash_after=4), 4.9, counts(2, 2, 2, seen=1)),
        (Behaviour(ready_after=1, crash_after=4), 5.1, counts(2, seen=1)),
        (Behaviour(ready_after=1, crash_after=4, back_after=2), 7.1, counts(2, 2, 2, seen=1)),
        (Behaviour(ready_after=1, crash_after=4, back_after=2), 11.1, counts(2, seen=1)),
    ],
)
def test_given_a_behaviour_when_time_passes_then_readiness_follows_it(
    behaviour: Behaviour, at: float, expected: dict[str, int]
) -> None:
    stage = Stage(**{"1": behaviour})
    stage.cluster.create(web(2))
    stage.workloads.advance(at)
    assert stage.status() == expected


def test_given_ready_and_unready_pods_when_scaled_down_then_unready_go_first_and_then_the_youngest() -> None:
    stage = Stage()
    stage.cluster.create(web(1))
    stage.workloads.advance(10)
    stage.scale(2)
    stage.workloads.advance(10)
    oldest, young = stage.workloads.of("web")
    stage.scale(3)
    stage.workloads.advance(0.5)
    assert [pod.ready for pod in stage.workloads.of("web")] == [True, True, False]
    stage.scale(2)
    stage.workloads.settle()
    assert stage.workloads.of("web") == [oldest, young]
    stage.scale(1)
    stage.workloads.settle()
    assert stage.workloads.of("web") == [oldest]
    assert not young.ready, "out of the endpoints before it is gone"


def test_given_a_killed_pod_when_settled_then_another_takes_its_place() -> None:
    stage = Stage()
    stage.cluster.create(web(2))
    stage.workloads.advance(5)
    killed = stage.workloads.of("web")[0]
    stage.workloads.kill(killed)
    stage.workloads.settle()
    assert stage.status() == counts(2, 1, 1, ending=1, seen=1)
    stage.workloads.advance(2)
    assert stage.status() == counts(2, 2, 2, seen=1)
    assert killed not in stage.workloads.of("web")


@pytest.mark.parametrize(
    ("policy", "left"),
    [("Background", []), ("Foreground", []), ("Orphan", [("web", None)])],
)
def test_given_an_owner_when_deleted_then_dependents_follow_by_the_policy(
    policy: str, left: list[tuple[str, Any]]
) -> None:
    stage = Stage()
    owner = stage.cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}, "data": {}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    made = web(1)
    stage.cluster.create(made | {"metadata": made["metadata"] | {"ownerReferences": [reference]}})
    stage.workloads.advance(5)
    stage.cluster.delete("ConfigMap", "owner", policy=policy)
    stage.workloads.advance(5)
    found = stage.cluster.peek_all("ReplicaSet")
    assert [(each["metadata"]["name"], each["metadata"].get("ownerReferences")) for each in found] == left
    assert len(stage.workloads.pods) == len(left)
    assert stage.cluster.peek("ConfigMap", "owner") is None


def test_given_one_of_two_owners_deleted_when_collected_then_only_its_reference_goes() -> None:
    stage = Stage()
    made = web(0)
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}
        for name, uid in (("there", stage.cluster.peek_all("Namespace")[0]["metadata"]["uid"]), ("gone", "no-such-uid"))
    ]
    stage.cluster.create(made | {"metadata": made["metadata"] | {"ownerReferences": references}})
    stage.workloads.settle()
    found = stage.cluster.peek("ReplicaSet", "web")
    assert found is not None
    assert [each["name"] for each in found["metadata"]["ownerReferences"]] == ["there"]


def test_given_a_settled_cluster_when_time_passes_then_nothing_is_written() -> None:
    stage = Stage()
    stage.cluster.create(web(3, minReadySeconds=10))
    stage.workloads.advance(60)
    written = len(stage.cluster.log)
    stage.workloads.advance(3600)
    assert len(stage.cluster.log) == written
    assert stage.workloads.next_due() is None


@pytest.mark.looptime
async def test_given_the_loops_time_when_running_then_it_reacts_after_its_lag_and_at_due_times() -> None:
    cluster = FakeCluster(loop_clock)
    workloads = Workloads(cluster, reaction=0.25, drain=0.5)
    running = asyncio.create_task(workloads.run())
    await asyncio.sleep(1)
    moments: list[tuple[float, dict[str, int]]] = []

    def note(written: Written) -> None:
        if written.actor == REPLICASET_CONTROLLER and written.after:
            moments.append(((loop_clock() - START).total_seconds(), written.after["status"]))

    cluster.observers.append(note)
    cluster.create(web(1))
    await asyncio.sleep(10)
    running.cancel()
    assert moments == [
        (1.25, counts(0, seen=1)),
        (1.25, counts(1, seen=1)),
        (2.25, counts(1, 1, 1, seen=1)),
    ]


def test_given_the_same_story_when_played_twice_then_every_write_is_the_same() -> None:
    def log() -> list[str]:
        stage = Stage(**{"1": Behaviour(1, crash_after=3, back_after=1)})
        stage.cluster.create(web(3))
        stage.workloads.advance(20)
        return [f"{each} {each.after}" for each in stage.cluster.log]

    assert log() == log()
