"""One pod's life against an API server of a few lines: what is written, how often, and what the status says."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any, cast

import pytest

from lab.kubelet.__main__ import Addresses
from lab.kubelet.api import Api
from lab.kubelet.runtime import Nursery, expand, pull_error
from lab.kubelet.status import Container, conditions, phase
from lab.kubelet.worker import Node, Worker

Object = dict[str, Any]


class Recorder:
    """Takes the place of the API server: keeps what a kubelet asks of it, in order."""

    def __init__(self) -> None:
        self.writes: list[tuple[str, Any]] = []

    async def bind(self, pod: Object) -> None:
        self.writes.append(("bind", pod["metadata"]["name"]))

    async def patch_status(self, pod: Object, status: Object) -> None:
        self.writes.append(("status", {c["type"]: c["status"] for c in status["conditions"]}["Ready"]))

    async def remove(self, pod: Object) -> None:
        self.writes.append(("remove", pod["metadata"]["uid"]))


def pod(**spec: Any) -> Object:
    containers = [{"name": "app", "image": "lab.local/app:1"}]
    return {"metadata": {"name": "web", "namespace": "a", "uid": "u1"}, "spec": {"containers": containers, **spec}}


def worker(recorder: Recorder, of: Object) -> Worker:
    addresses = Addresses()
    nursery = cast(Nursery, None)  # an instant node starts nothing
    api = cast(Api, recorder)
    take, give = addresses.take, addresses.give
    return Worker(Node(api, nursery, Path("/nonexistent"), True, 0.5, take, give, lambda: None), of)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_instant_pod_costs_two_writes_to_be_ready_and_one_to_go() -> None:
    recorder = Recorder()
    started = worker(recorder, pod())
    task = asyncio.create_task(started.run())
    await settle()
    assert recorder.writes == [("bind", "web"), ("status", "True")]
    started.update(pod())  # its own writes come back from the watch
    await settle()
    deleted = pod()
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    started.update(deleted)
    await asyncio.wait_for(task, 1)
    assert recorder.writes[2:] == [("remove", "u1")]


async def test_an_instant_pod_still_waits_for_its_gates_and_its_image() -> None:
    recorder = Recorder()
    gated = pod(readinessGates=[{"conditionType": "example.com/lb"}])
    started = worker(recorder, gated)
    task = asyncio.create_task(started.run())
    await settle()
    assert recorder.writes[-1] == ("status", "False")
    opened = {**gated, "status": {"conditions": [{"type": "example.com/lb", "status": "True"}]}}
    started.update(opened)
    await settle()
    assert recorder.writes[-1] == ("status", "True")
    started.gone()
    await asyncio.wait_for(task, 1)
    bad = worker(recorder, pod(containers=[{"name": "app", "image": "lab.local/missing:1"}]))
    task = asyncio.create_task(bad.run())
    await settle()
    assert recorder.writes[-1] == ("status", "False")
    bad.gone()
    await asyncio.wait_for(task, 1)


async def test_a_pod_that_vanished_is_not_removed_again() -> None:
    recorder = Recorder()
    started = worker(recorder, pod())
    task = asyncio.create_task(started.run())
    await settle()
    started.gone()
    await asyncio.wait_for(task, 1)
    assert "remove" not in dict(recorder.writes)


WAITING = Container("a", "i")
UP = Container("a", "i", running=True, ready=True, started="t")
UNREADY = Container("a", "i", running=True, started="t")
CRASHED = Container("a", "i", started="t", reason="CrashLoopBackOff", restarts=1)
DONE = Container("a", "i", started="t", exit_code=0)
BROKEN = Container("a", "i", started="t", exit_code=1)


@pytest.mark.parametrize(
    ("containers", "expected", "ready"),
    [
        ([WAITING], "Pending", "False"),
        ([UP], "Running", "True"),
        ([UP, WAITING], "Running", "False"),
        ([UP, UNREADY], "Running", "False"),
        ([CRASHED], "Running", "False"),
        ([UP, DONE], "Running", "False"),
        ([DONE], "Succeeded", "False"),
        ([DONE, BROKEN], "Failed", "False"),
    ],
)
def test_phase_and_readiness_follow_the_containers(containers: list[Container], expected: str, ready: str) -> None:
    found = {c["type"]: c["status"] for c in conditions(pod(), containers)}
    assert (phase(containers), found["Ready"]) == (expected, ready)


def test_addresses_are_not_used_again_soon_and_never_twice_at_once() -> None:
    pool = Addresses()
    first = pool.take({})
    second = pool.take({})
    assert first == "10.244.1.0" != second
    pool.give(first)
    later = [pool.take({}) for _ in range(254 * 256 - 2)]
    assert first not in later
    assert len({*later, second}) == len(later) + 1
    assert later[-1] == "10.244.254.255"  # never the broadcast address of the network
    assert pool.take({}) == first
    assert pool.take({"status": {"podIP": second}}) == second  # after a restart of the kubelet


@pytest.mark.parametrize(
    ("container", "pulls"),
    [
        ({"image": "lab.local/app:v1"}, True),
        ({"image": "lab.local/app:missing"}, False),
        ({"image": "docker.io/library/nginx"}, False),
        ({"image": "docker.io/library/busybox", "command": ["true"]}, True),
        ({"image": "missing", "command": ["true"]}, False),
    ],
)
def test_which_images_the_lab_has(container: Object, pulls: bool) -> None:
    assert (pull_error(container) == "") == pulls


def test_variables_are_expanded_like_kubernetes_does() -> None:
    assert expand("$(A)-$(B)-$$(A)-$A", {"A": "1"}) == "1-$(B)-$(A)-$A"


async def test_a_server_whose_pod_is_deleted_while_it_starts_is_ended_and_others_still_start(tmp_path: Path) -> None:
    """A pod of the suite was once deleted in that moment, and no pod started after it."""
    loopback = {"ports": [{"containerPort": 18080}]}
    async with Nursery(tmp_path / "servers.log") as nursery:
        abandoned = asyncio.create_task(nursery.start({"image": "lab.local/app:1", **loopback}, {}, "127.0.0.7"))
        await asyncio.sleep(0)  # asked for, not answered yet
        abandoned.cancel()
        refused = asyncio.create_task(nursery.start({"image": "lab.local/app:1", **loopback}, {}, "192.0.2.1"))
        await asyncio.sleep(0)
        refused.cancel()
        async with asyncio.timeout(20):
            while True:  # the address is free again as soon as the abandoned server has ended
                try:
                    running = await nursery.start({"image": "lab.local/app:2", **loopback}, {}, "127.0.0.7")
                    break
                except OSError:
                    await asyncio.sleep(0.05)
            running.signal(signal.SIGKILL)
            assert await running.wait() == -signal.SIGKILL
