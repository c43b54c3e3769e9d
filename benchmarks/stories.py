"""The four stories that are timed: floor, storm, idle, react."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from benchmarks import objects
from benchmarks.audit import AuditLog, Request, reads, writes
from benchmarks.controllers import ProcessTree
from benchmarks.objects import NAMESPACE, REPLICAS
from benchmarks.prometheus import Relay
from benchmarks.watching import Watch, watching
from lab.cluster import Lab

Object = dict[str, Any]

_SENDERS = 8
_PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Storm:
    """seconds: until all were Healthy. cpu_ms, writes, reads: per Rollout, from birth to Healthy again.

    requests: everything that was asked meanwhile. update_cpu_ms: the update's part of the CPU.
    """

    rollouts: int
    seconds: float
    cpu_ms: float
    update_cpu_ms: float
    peak_mb: float
    requests: list[Request]

    @property
    def writes(self) -> float:
        return len(writes(self.requests)) / self.rollouts

    @property
    def reads(self) -> float:
        return len(reads(self.requests)) / self.rollouts


@dataclass(frozen=True, slots=True)
class Idle:
    """What a settled cluster cost in `seconds`."""

    seconds: float
    requests: list[Request]
    queries: int
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class React:
    """Milliseconds, one of each per attempt."""

    first_weight: list[float]
    react: list[float]

    @property
    def first_weight_ms(self) -> float:
        return statistics.median(self.first_weight)

    @property
    def react_ms(self) -> float:
        return statistics.median(self.react)


class Floor:
    """What the cluster itself needs for the change: the same pods, in plain Deployments."""

    def __init__(self, lab: Lab, number: int) -> None:
        self._lab = lab
        self._names = [f"plain-{index:03}" for index in range(number)]
        self._version = 1

    def prepare(self) -> None:
        """Bring the Deployments up."""
        with watching(self._lab, "Deployment", NAMESPACE, "apps/v1") as watch:
            done = watch.expect(self._names, lambda obj: _deployed(obj, "v1"))
            _each(self._names, lambda name: self._lab.client.create(objects.deployment(name, "v1")))
            done.wait("available", _PATIENCE)

    def measure(self) -> float:
        """Seconds from the first new image until all Deployments are updated and available."""
        self._version += 1
        version = f"v{self._version}"
        with watching(self._lab, "Deployment", NAMESPACE, "apps/v1") as watch:
            done = watch.expect(self._names, lambda obj: _deployed(obj, version))
            began = time.monotonic()
            _each(self._names, lambda name: set_image(self._lab, "Deployment", "apps/v1", name, version))
            return done.wait("updated", _PATIENCE) - began


def storm(lab: Lab, controller: ProcessTree, log: AuditLog, number: int) -> Storm:
    """Rollouts are born, come up, and all get a new image at once."""
    names = [f"storm-{index:03}" for index in range(number)]
    _each(names, lambda name: [lab.client.create(obj) for obj in objects.surroundings(name)])
    time.sleep(1)
    with watching(lab, "Rollout", NAMESPACE, "argoproj.io/v1alpha1") as watch:
        born_at, cpu_at_birth = time.time(), controller.cpu_seconds()
        up = watch.expect(names, healthy)
        _each(names, lambda name: lab.client.create(objects.storm_rollout(name, "v1")))
        up.wait("Healthy after their birth", _PATIENCE)
        before = {name: watch.objects[name]["status"]["stableRS"] for name in names}
        cpu_before = controller.cpu_seconds()
        again = watch.expect(names, lambda obj: healthy(obj) and obj["status"]["stableRS"] != before[_name(obj)])
        began = time.monotonic()
        _each(names, lambda name: set_image(lab, "Rollout", "argoproj.io/v1alpha1", name, "v2"))
        seconds = again.wait("Healthy after the update", _PATIENCE) - began
        cpu = controller.cpu_seconds()
        return Storm(
            rollouts=number,
            seconds=seconds,
            cpu_ms=(cpu - cpu_at_birth) * 1000 / number,
            update_cpu_ms=(cpu - cpu_before) * 1000 / number,
            peak_mb=controller.peak_mb(),
            requests=log.requests(born_at, time.time()),
        )


def settle(lab: Lab, number: int) -> None:
    """Wait until the old pods of the storm are gone too."""
    names = [f"storm-{index:03}" for index in range(number)]
    with watching(lab, "Rollout", NAMESPACE, "argoproj.io/v1alpha1") as watch:
        watch.expect(names, lambda obj: obj["status"].get("replicas") == REPLICAS).wait("settled", _PATIENCE)
    time.sleep(5)


def idle(controller: ProcessTree, log: AuditLog, relay: Relay, seconds: float) -> Idle:
    """Nothing happens."""
    begin, asked, cpu = time.time(), relay.asked, controller.cpu_seconds()
    time.sleep(seconds)
    used = (controller.cpu_seconds() - cpu) * 1000
    return Idle(seconds, log.requests(begin, time.time()), relay.asked - asked, used)


def react(lab: Lab, relay: Relay, attempts: int, say: Callable[[str], None]) -> React:
    """One Rollout at a time goes to 20 %, is watched there, and gets a bad answer."""
    names = [f"react-{index:02}" for index in range(attempts)]
    relay.gauges |= dict.fromkeys(names, 1.0)
    with (
        watching(lab, "Rollout", NAMESPACE, "argoproj.io/v1alpha1") as rollouts,
        watching(lab, "VirtualService", NAMESPACE, "networking.istio.io/v1") as routes,
    ):
        up = rollouts.expect(names, healthy)
        for name in names:
            lab.apply([*objects.surroundings(name), objects.react_rollout(name, "v1")])
        up.wait("Healthy after their birth", _PATIENCE)
        found = React([], [])
        for name in names:
            _attempt(lab, relay, routes, rollouts, name, found)
            say(f"{name}: first weight {found.first_weight[-1]:.0f} ms, react {found.react[-1]:.0f} ms")
        return found


def _attempt(lab: Lab, relay: Relay, routes: Watch, rollouts: Watch, name: str, found: React) -> None:
    time.sleep(1)  # what the last attempt has left to do is not this one's
    shifted = routes.expect([name], lambda obj: canary_weight(obj) == 20)
    began = time.monotonic()
    set_image(lab, "Rollout", "argoproj.io/v1alpha1", name, "v2")
    found.first_weight.append((shifted.wait("at weight 20", 60) - began) * 1000)
    time.sleep(3)  # at least one good answer
    undone = routes.expect([name], lambda obj: canary_weight(obj) == 0)
    degraded = rollouts.expect([name], lambda obj: obj["status"].get("phase") == "Degraded")
    relay.gauges[name] = 0.0
    back = undone.wait("back at weight 0", 60)
    found.react.append((back - relay.first_bad[name]) * 1000)
    degraded.wait("Degraded", 60)


def set_image(lab: Lab, kind: str, api_version: str, name: str, version: str) -> None:
    """Give a workload a new image by a JSON patch, which leaves the rest of the pod template alone."""
    path = "/spec/template/spec/containers/0/image"
    change = {"op": "replace", "path": path, "value": f"lab.local/app:{version}"}
    lab.client.patch(kind, name, NAMESPACE, [change], api_version=api_version)


def healthy(obj: Object) -> bool:
    """Whether a Rollout says of its present spec that it is Healthy, and its stable version is the current one."""
    status = obj.get("status") or {}
    return (
        status.get("phase") == "Healthy"
        and str(status.get("observedGeneration")) == str(obj["metadata"]["generation"])
        and status.get("stableRS") == status.get("currentPodHash")
        and status.get("availableReplicas", 0) >= REPLICAS
    )


def canary_weight(virtual_service: Object) -> int:
    """The weight of the second destination, which is the canary's."""
    weight: int = virtual_service["spec"]["http"][0]["route"][1].get("weight", 0)
    return weight


def _deployed(obj: Object, version: str) -> bool:
    status, spec = obj.get("status") or {}, obj["spec"]
    return (
        re.search(r"[^:]*$", spec["template"]["spec"]["containers"][0]["image"])[0] == version  # type: ignore[index]
        and status.get("observedGeneration") == obj["metadata"]["generation"]
        and status.get("updatedReplicas") == REPLICAS
        and status.get("availableReplicas") == REPLICAS
        and status.get("replicas") == REPLICAS
    )


def _name(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name


def _each(names: Iterable[str], send: Callable[[str], object]) -> None:
    with ThreadPoolExecutor(_SENDERS) as pool:
        list(pool.map(send, names))
