"""ReplicaSets that get pods, pods that become ready or don't: kube-controller-manager and kubelet in virtual time.

The ReplicaSet controller follows the real one where a rollout can see it: how status counts, which pods go first, and
that a status is first written with the old counts and the new observedGeneration. Pods are records, not API objects.
Deployments and Jobs are not simulated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from .clocks import ManualClock
from .cluster import FakeCluster, Written
from .garbage import collect_garbage
from .kinds import Obj
from .selectors import map_selector

REPLICASET_CONTROLLER: Final = "replicaset-controller"
_COUNTS: Final = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
_EPSILON: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the pods of an image do.

    ready_after: seconds from creation to ready; None for never (a failing probe, an image that can't be pulled).
    crash_after: seconds from ready until it is not any more; None for never.
    back_after: seconds from that crash until it is ready again, then the same once more; None for never.
    """

    ready_after: float | None = 1.0
    crash_after: float | None = None
    back_after: float | None = None


@dataclass(slots=True)
class Pod:
    """One pod. Times are seconds since the epoch.

    change_at: when its readiness next changes by itself. gone_at: when it has ended, once it was told to.
    """

    name: str
    namespace: str
    owner_uid: str
    labels: Mapping[str, str]
    behaviour: Behaviour
    created_at: float
    change_at: float | None
    ready_since: float | None = None
    gone_at: float | None = None

    @property
    def terminating(self) -> bool:
        return self.gone_at is not None

    def end(self, at: float) -> None:
        """Leave the endpoints now and be gone at this time."""
        self.ready_since, self.change_at, self.gone_at = None, None, at

    @property
    def ready(self) -> bool:
        return self.ready_since is not None

    def step(self) -> None:
        """Do what was due at `change_at`."""
        at = self.change_at
        assert at is not None
        self.ready_since, wait = (None, self.behaviour.back_after) if self.ready else (at, self.behaviour.crash_after)
        self.change_at = None if wait is None else at + wait


@dataclass(slots=True)
class Workloads:
    """Everything that runs in the cluster.

    behaviours: by the image of a template's first container; `default` for all others.
    drain: seconds for which a deleted pod, out of its endpoints, is still there.
    reaction: seconds by which `run` lags behind a change, as real controllers do.
    """

    cluster: FakeCluster
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    default: Behaviour = Behaviour()
    drain: float = 0.5
    reaction: float = 0.005
    pods: list[Pod] = field(default_factory=list)
    _serial: int = 0
    _poked: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.cluster.observers.append(self._observe)

    # -- time

    def settle(self) -> None:
        """Let everything happen that is due now, until nothing more does."""
        while True:
            before = self.cluster.resource_version
            now = self._now() + _EPSILON
            self.pods = [pod for pod in self.pods if pod.gone_at is None or pod.gone_at > now]
            for pod in self.pods:
                while pod.change_at is not None and pod.change_at <= now:
                    pod.step()
            collect_garbage(self.cluster)
            self._forget_orphans()
            for replicaset in self.cluster.peek_all("ReplicaSet"):
                self._sync(replicaset)
            if self.cluster.resource_version == before:
                return

    def next_due(self) -> float | None:
        """Seconds until something happens by itself, or None."""
        now = self._now()
        times = [at for pod in self.pods for at in (pod.change_at, pod.gone_at) if at is not None]
        delays = {r["metadata"]["uid"]: _min_ready(r) for r in self.cluster.peek_all("ReplicaSet")}
        times += [pod.ready_since + delays.get(pod.owner_uid, 0) for pod in self.pods if pod.ready_since is not None]
        return min((at - now for at in times if at > now + _EPSILON), default=None)

    def advance(self, seconds: float) -> None:
        """Move the clock, which must be a ManualClock, stopping wherever something happens on the way."""
        clock = self.cluster.clock
        assert isinstance(clock, ManualClock)
        self.settle()
        left = seconds
        while left > 0:
            due = self.next_due()
            step = left if due is None else min(left, due)
            clock.advance(step)
            left -= step
            self.settle()

    async def run(self) -> NoReturn:
        """Keep the workloads going in the time of the event loop, until cancelled."""
        while True:
            self._poked.clear()
            self.settle()
            try:
                async with asyncio.timeout(self.next_due()):
                    await self._poked.wait()
                    await asyncio.sleep(self.reaction)
            except TimeoutError:
                continue

    # -- what a test looks at, and does

    def endpoints(self, service: str, namespace: str = "default") -> list[Pod]:
        """The ready pods behind a Service; none if it does not exist or selects nothing."""
        found = self.cluster.peek("Service", service, namespace)
        selects = map_selector((found or {}).get("spec", {}).get("selector"))
        return [p for p in self.pods if p.namespace == namespace and p.ready and selects(p.labels)]

    def of(self, replicaset: str, namespace: str = "default") -> list[Pod]:
        """The pods of a ReplicaSet that are not about to end, the oldest first."""
        found = self.cluster.peek("ReplicaSet", replicaset, namespace)
        return [] if found is None else [pod for pod in self._owned(found) if not pod.terminating]

    def kill(self, pod: Pod) -> None:
        """Delete a pod, as a drained node does; its ReplicaSet replaces it."""
        pod.end(self._now() + self.drain)
        self._poked.set()

    # -- the ReplicaSet controller

    def _sync(self, replicaset: Obj) -> None:
        metadata, spec = replicaset["metadata"], replicaset["spec"]
        owned = self._owned(replicaset)
        pods = [pod for pod in owned if not pod.terminating]
        # Counted before pods come or go: the real controller learns of its own pods from the next event.
        status = self._status(replicaset, pods, len(owned) - len(pods))
        if "deletionTimestamp" not in metadata:
            for _ in range(spec["replicas"] - len(pods)):
                self._start_pod(replicaset)
            for pod in sorted(pods, key=_first_to_go)[: max(0, len(pods) - spec["replicas"])]:
                pod.end(self._now() + self.drain)
        if status != replicaset.get("status"):
            patch = {"status": dict.fromkeys(_COUNTS) | status}
            name, namespace = metadata["name"], metadata["namespace"]
            self.cluster.patch("ReplicaSet", name, patch, namespace, "status", actor=REPLICASET_CONTROLLER)

    def _status(self, replicaset: Obj, pods: list[Pod], terminating: int) -> dict[str, Any]:
        now, min_ready = self._now(), _min_ready(replicaset)
        ready = [pod.ready_since for pod in pods if pod.ready_since is not None]
        counts = {
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": len(ready),
            "availableReplicas": sum(1 for since in ready if since + min_ready <= now + _EPSILON),
        }
        seen = {name: count for name, count in counts.items() if count}  # The real status leaves out their zeros.
        return {
            "replicas": len(pods),
            **seen,
            "terminatingReplicas": terminating,
            "observedGeneration": replicaset["metadata"]["generation"],
        }

    def _start_pod(self, replicaset: Obj) -> None:
        template, metadata = replicaset["spec"]["template"], replicaset["metadata"]
        image = template["spec"]["containers"][0].get("image", "")
        behaviour = self.behaviours.get(image, self.default)
        self._serial += 1
        now = self._now()
        ready_at = None if behaviour.ready_after is None else now + behaviour.ready_after
        name = f"{metadata['name']}-{self._serial:05d}"
        labels = template["metadata"]["labels"]
        self.pods.append(Pod(name, metadata["namespace"], metadata["uid"], labels, behaviour, now, ready_at))

    def _owned(self, replicaset: Obj) -> list[Pod]:
        uid = replicaset["metadata"]["uid"]
        return [pod for pod in self.pods if pod.owner_uid == uid]

    def _forget_orphans(self) -> None:
        owners = {replicaset["metadata"]["uid"] for replicaset in self.cluster.peek_all("ReplicaSet")}
        self.pods = [pod for pod in self.pods if pod.owner_uid in owners]

    def _observe(self, written: Written) -> None:
        if written.changed:
            self._poked.set()

    def _now(self) -> float:
        return self.cluster.clock().timestamp()


def _min_ready(replicaset: Obj) -> float:
    return float(replicaset["spec"].get("minReadySeconds") or 0)


def _first_to_go(pod: Pod) -> tuple[bool, float, float]:
    """Not ready before ready, ready for a short time before long, young before old."""
    return pod.ready, -(pod.ready_since or 0.0), -pod.created_at
