"""The demo sees changes of the cluster as they happen, and each once."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

from lab.cluster import Lab
from lab.demo.watching import HASH, Cast, Notice, Stage

CAST = Cast("demo", "web", "web.example.com", "primary", "web-canary", "pay")


def stage() -> tuple[Stage, list[str]]:
    told: list[str] = []

    def tell(notice: Notice) -> None:
        told.append(notice.text)

    return Stage(client=None, envoy="http://envoy", cast=CAST, tell=tell), told  # type: ignore[arg-type]


def virtual_service(weight: int, name: str = "web") -> dict[str, Any]:
    stable = {"destination": {"host": "web-stable"}, "weight": 100 - weight}
    canary = {"destination": {"host": "web-canary"}, "weight": weight}
    testers = {"name": "testers", "route": [{"destination": {"host": "web-canary"}}]}
    return {"metadata": {"name": name}, "spec": {"http": [testers, {"name": "primary", "route": [stable, canary]}]}}


def service(revision: str, name: str = "pay") -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"selector": {"app": "pay", HASH: revision}}}


def test_given_changes_of_the_virtual_service_then_only_the_watched_weight_is_followed() -> None:
    watched, told = stage()
    for weight in (0, 10, 10, 25):
        watched._see_virtual_service("MODIFIED", virtual_service(weight))
    watched._see_virtual_service("MODIFIED", virtual_service(77, "other"))
    assert [weight for _, weight in watched.canary.declared] == [0, 10, 25]
    assert len(told) == 3


def test_given_a_flip_and_a_flip_back_then_the_active_service_is_followed() -> None:
    watched, _ = stage()
    watched._see_service("LISTED", service("old"))
    watched.newest_hash = "new"
    for revision in ("old", "new", "new", "old"):
        watched._see_service("MODIFIED", service(revision))
    watched._see_service("MODIFIED", service("new", "pay-preview"))
    assert [share for _, share in watched.blue_green.declared] == [0, 100, 0]


def test_given_an_event_that_is_seen_again_then_it_is_told_once() -> None:
    watched, told = stage()
    event = {
        "metadata": {"uid": "1"},
        "involvedObject": {"kind": "Rollout"},
        "type": "Warning",
        "reason": "RolloutAborted",
        "message": "why",
    }
    foreign = {**event, "metadata": {"uid": "2"}, "involvedObject": {"kind": "Pod"}}
    for seen in (event, event, foreign):
        watched._see_event("ADDED", seen)
    assert told == ["RolloutAborted: why"]
    assert watched.notices[-1].kind == "warning"


def test_given_a_status_of_an_earlier_spec_then_it_is_not_taken_for_the_present_one() -> None:
    watched, _ = stage()
    rollout = {"metadata": {"name": "web", "generation": 2}, "status": {"observedGeneration": "1", "phase": "Healthy"}}
    watched._see_rollout("MODIFIED", rollout)
    assert watched.status("web") == {}
    watched._see_rollout("MODIFIED", {**rollout, "status": {"observedGeneration": "2", "phase": "Paused"}})
    assert watched.status("web")["phase"] == "Paused"
    watched._see_rollout("DELETED", rollout)
    assert watched.status("web") == {}


def test_given_pods_that_come_and_go_then_those_of_a_revision_are_counted() -> None:
    watched, _ = stage()

    def pod(uid: str, revision: str) -> dict[str, Any]:
        return {"metadata": {"uid": uid, "labels": {HASH: revision}}, "status": {}}

    for uid, revision in (("1", "old"), ("2", "old"), ("3", "new")):
        watched._see_pod("ADDED", pod(uid, revision))
    watched._see_pod("DELETED", pod("1", "old"))
    assert (watched.pods_of("old"), watched.pods_of("new"), watched.pods_of("none")) == (1, 1, 0)


@pytest.mark.lab
def test_given_a_collection_then_a_watch_tells_what_is_there_and_what_changes(lab: Lab, namespace: str) -> None:
    seen: queue.Queue[tuple[str, str, str]] = queue.Queue()

    def follow() -> None:
        for kind, found in lab.client.watch(lab.client.path("ConfigMap", namespace=namespace)):
            if found["metadata"]["name"].startswith("mine"):
                seen.put((kind, found["metadata"]["name"], found.get("data", {}).get("a", "")))
            if kind == "DELETED":
                return

    def config_map(name: str, value: str) -> dict[str, Any]:
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": value}}

    lab.client.create(config_map("mine-1", "x"))
    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    assert seen.get(timeout=10) == ("LISTED", "mine-1", "x")
    lab.client.create(config_map("mine-2", "y"))
    lab.client.apply(config_map("mine-2", "z"))
    lab.client.delete("ConfigMap", "mine-1", namespace)
    assert [seen.get(timeout=10) for _ in range(3)] == [
        ("ADDED", "mine-2", "y"),
        ("MODIFIED", "mine-2", "z"),
        ("DELETED", "mine-1", "x"),
    ]
    thread.join(10)
    assert not thread.is_alive()
