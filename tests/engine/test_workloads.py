"""Workloads that Rollouts refer to, with the whole engine: watched on demand, woken by, and given back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crash.theatre import Theatre
from tests.fakes.transport import FakeTransport
from tests.rollout.objects import Obj
from tidegate.api import names
from tidegate.engine.kinds import RULES
from tidegate.engine.workloads import LOOSE, WATCHED_ON_DEMAND, unpacked

pytestmark = pytest.mark.looptime


def deployment(image: str = "v1", replicas: int = 3) -> Obj:
    template = {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "app"}}, "template": template},
    }


def rollout(**ref: Any) -> Obj:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "app", "namespace": "default"},
        "spec": {
            "replicas": 3,
            "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", **ref},
            "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}},
        },
    }


def theatre(**ref: Any) -> Theatre:
    return Theatre(rollout(**ref), [deployment()], services=())


def phase(stage: Theatre) -> str:
    found = stage.cluster.peek("Rollout", "app")
    return ((found or {}).get("status") or {}).get("phase", "")


def size(stage: Theatre) -> int:
    found = stage.cluster.peek("Deployment", "shop")
    assert found is not None
    return int(found["spec"]["replicas"])


def watched(transport: FakeTransport, kind: str) -> int:
    return transport.requests["WATCH", kind, ""]


async def test_a_change_of_the_deployment_wakes_the_rollout() -> None:
    async with theatre() as stage:
        stage.deploy()
        changed = False

        def paused() -> bool:
            nonlocal changed
            if not changed and phase(stage) == "Healthy":
                stage.cluster.patch("Deployment", "shop", deployment("v2"))
                changed = True
            return changed and phase(stage) == "Paused"

        await stage.play(paused)


async def test_deployments_are_only_watched_once_a_rollout_refers_to_one() -> None:
    async with theatre() as stage:
        stage.rollout["spec"] |= {k: deployment()["spec"][k] for k in ("template", "selector")}
        del stage.rollout["spec"]["workloadRef"]
        stage.deploy()
        transport = await stage.play(lambda: phase(stage) == "Healthy")
        assert watched(transport, "Deployment") == 0

    async with theatre() as stage:
        stage.deploy()
        transport = await stage.play(lambda: phase(stage) == "Healthy")
        assert watched(transport, "Deployment") == 1


async def test_a_deleted_rollout_gives_the_deployment_its_pods_back() -> None:
    """Argo Rollouts 3855: the Deployment stays at none after the Rollout is gone."""
    async with theatre(scaleDown="onsuccess") as stage:
        stage.deploy()
        gone = False

        def given_back() -> bool:
            nonlocal gone
            if not gone and phase(stage) == "Healthy" and size(stage) == 0:
                stage.cluster.delete("Rollout", "app")
                gone = True
            return gone and size(stage) == 3

        await stage.play(given_back)
        found = stage.cluster.peek("Deployment", "shop")
        assert found is not None
        assert not found["metadata"].get("labels") and not found["metadata"].get("annotations")


async def test_a_rollout_deleted_while_the_operator_is_away_gives_the_deployment_its_pods_back_too() -> None:
    async with theatre(scaleDown="progressively") as stage:
        stage.deploy()
        await stage.play(lambda: phase(stage) == "Healthy" and size(stage) == 0)
        stage.cluster.delete("Rollout", "app")
        await stage.play(lambda: size(stage) == 3)


async def test_a_rollout_that_is_there_keeps_the_deployment_down_over_a_restart_of_the_operator() -> None:
    async with theatre(scaleDown="onsuccess") as stage:
        stage.deploy()
        await stage.play(lambda: phase(stage) == "Healthy" and size(stage) == 0)
        loops = 0

        def later() -> bool:
            nonlocal loops
            loops += 1
            return loops > 200

        await stage.play(later)
        assert size(stage) == 0


def test_a_kept_workload_is_small_and_whole() -> None:
    raw = deployment()
    raw["metadata"] |= {"uid": "u", "resourceVersion": "1", "generation": 4, "annotations": {"a": "b" * 5000}}
    raw["status"] = {"replicas": 3}
    project = RULES["Deployment"].project
    assert project is not None
    kept = project(raw)

    assert unpacked(kept) == {"template": raw["spec"]["template"], "selector": raw["spec"]["selector"]}
    assert kept["spec"]["replicas"] == 3 and kept["metadata"]["generation"] == 4
    assert len(str(kept)) < 800
    assert RULES["Deployment"].significant(kept, project({**raw, "spec": {**raw["spec"], "replicas": 2}}))
    assert not RULES["Deployment"].significant(kept, project({**raw, "status": {"replicas": 2}}))


def test_replicasets_of_rollouts_are_left_to_their_own_watch() -> None:
    assert WATCHED_ON_DEMAND[LOOSE] == f"!{names.POD_TEMPLATE_HASH}"


@pytest.mark.parametrize("mode", ["onsuccess", "progressively"])
async def test_killed_at_any_write_the_deployment_ends_the_same(mode: str) -> None:
    """What always holds, 6: killed anywhere, same end."""
    writes, number = 99, 0
    while number < writes:
        number += 1
        for point in ("before", "unseen", "after"):
            async with theatre(scaleDown=mode) as stage:
                stage.deploy()
                first = await stage.play(lambda: done(stage), crash=(number, point))
                if not first.killed.is_set() or first.writes < number:
                    writes = first.writes
                await stage.play(lambda: done(stage))
                found = stage.cluster.peek("Deployment", "shop")
                assert found is not None
                assert found["metadata"]["annotations"][names.REPLICAS_BEFORE] == "3", f"killed {point} write {number}"
    assert number > 3


def done(stage: Theatre) -> bool:
    return phase(stage) == "Healthy" and size(stage) == 0
