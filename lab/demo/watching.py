"""What the cluster and the gateway show, and when: watches on the API, and Envoy asked again and again.

How soon a change is seen decides what the summary may claim. A write to a VirtualService or Service is seen through a
watch, some milliseconds after it was made. Envoy has no watch: it is asked every `FAST` seconds while it matters, so
its times are too late by up to that and the time of one answer, never too early.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab import gateway
from lab.client import Client, Object

HASH = "rollouts-pod-template-hash"
FAST, SLOW = 0.02, 0.25


@dataclass(slots=True)
class Track:
    """The share of users that a new version gets, in per cent, as it changed.

    declared: as the API server has it, in the VirtualService's weights or the active Service's selector.
    actual: as Envoy has it. Both as pairs of the time (monotonic seconds) and the share from then on.
    """

    declared: list[tuple[float, int]] = field(default_factory=list)
    actual: list[tuple[float, int]] = field(default_factory=list)

    @staticmethod
    def note(series: list[tuple[float, int]], at: float, weight: int) -> bool:
        """Add a change; whether it was one."""
        if series and series[-1][1] == weight:
            return False
        series.append((at, weight))
        return True

    @staticmethod
    def last(series: list[tuple[float, int]]) -> int:
        return series[-1][1] if series else 0

    @staticmethod
    def highest(series: list[tuple[float, int]], start: float, end: float) -> int:
        """The highest share at any time from `start` to `end`."""
        before = [weight for at, weight in series if at <= start][-1:]
        return max([*before, *(weight for at, weight in series if start < at <= end)], default=0)

    @staticmethod
    def zero_after(series: list[tuple[float, int]], since: float) -> float | None:
        """When the share became 0 for good, if it was more than that at any time since `since`."""
        if not series or series[-1][1] != 0 or series[-1][0] < since or len(series) == 1:
            return None
        return series[-1][0]


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of what happened. at: monotonic seconds. kind: `story`, `event`, `warning` or `weight`."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Cast:
    """The names that are watched for. host, route: of the VirtualService whose weights Envoy is asked for."""

    namespace: str
    virtual_service: str
    host: str
    route: str
    canary_service: str
    active_service: str


class Stage:
    """What is to be seen now and was to be seen before. Read it freely; only its own threads write."""

    def __init__(self, client: Client, envoy: str, cast: Cast, tell: Callable[[Notice], None]) -> None:
        self.cast = cast
        self.canary = Track()
        self.blue_green = Track()
        self.rollouts: dict[str, Object] = {}
        self.notices: deque[Notice] = deque(maxlen=200)
        self.newest_hash = ""
        """The pod template hash of the blue-green release on its way; none before there is one."""
        self.asked: float = SLOW
        self._client = client
        self._envoy = envoy
        self._tell = tell
        self._pods: dict[str, str] = {}
        self._living: dict[str, str] = {}
        self._heard: set[str] = set()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to watch, in daemon threads."""
        istio = "networking.istio.io/v1"
        for kind, version, see in (
            ("VirtualService", istio, self._see_virtual_service),
            ("Service", "v1", self._see_service),
            ("Pod", "v1", self._see_pod),
            ("Event", "v1", self._see_event),
            ("Rollout", "argoproj.io/v1alpha1", self._see_rollout),
        ):
            path = self._client.path(kind, namespace=self.cast.namespace, api_version=version)
            threading.Thread(target=self._follow, args=(path, see), daemon=True, name=f"watch {kind}").start()
        threading.Thread(target=self._ask_envoy, daemon=True, name="ask envoy").start()

    def stop(self) -> None:
        """Stop telling what is seen."""
        self._stopped.set()

    def say(self, kind: str, text: str, at: float | None = None) -> None:
        """Add a notice."""
        notice = Notice(time.monotonic() if at is None else at, kind, text)
        self.notices.append(notice)
        self._tell(notice)

    def status(self, rollout: str) -> Mapping[str, Any]:
        """A Rollout's status; empty while it has none or describes an earlier spec."""
        found = self.rollouts.get(rollout, {})
        status: Mapping[str, Any] = found.get("status", {})
        current = status.get("observedGeneration") == str(found.get("metadata", {}).get("generation"))
        return status if current else {}

    def pods_of(self, pod_template_hash: str) -> int:
        """How many pods of this revision exist."""
        return sum(found == pod_template_hash for found in list(self._living.values()))

    # -- the API server ------------------------------------------------------------------------------------------------

    def _follow(self, path: str, see: Callable[[str, Object], None]) -> None:
        for kind, found in self._client.watch(path):
            if self._stopped.is_set():
                return
            see(kind, found)

    def _see_virtual_service(self, _: str, found: Object) -> None:
        if found["metadata"]["name"] != self.cast.virtual_service:
            return
        now = time.monotonic()
        for route in found["spec"]["http"]:
            if route.get("name") == self.cast.route:
                weights = {d["destination"]["host"]: d.get("weight", 100) for d in route["route"]}
                weight = weights.get(self.cast.canary_service, 0)
                if Track.note(self.canary.declared, now, weight):
                    self.say("weight", f"VirtualService {self.cast.virtual_service}: canary {weight} %", now)

    def _see_service(self, _: str, found: Object) -> None:
        if found["metadata"]["name"] != self.cast.active_service:
            return
        now = time.monotonic()
        new = bool(self.newest_hash) and found["spec"]["selector"].get(HASH) == self.newest_hash
        if Track.note(self.blue_green.declared, now, 100 if new else 0):
            to = "the new version" if new else "stable"
            self.say("weight", f"Service {self.cast.active_service}: leads to {to}", now)

    def _see_pod(self, kind: str, found: Object) -> None:
        metadata, address = found["metadata"], found.get("status", {}).get("podIP")
        revision = metadata.get("labels", {}).get(HASH, "")
        if kind == "DELETED":
            self._living.pop(metadata["uid"], None)
            return
        self._living[metadata["uid"]] = revision
        if address:
            self._pods[address] = revision  # kept after the pod's end: Envoy may still know the address

    def _see_event(self, _: str, found: Object) -> None:
        uid = found["metadata"]["uid"]
        about = found.get("involvedObject", {})
        if uid in self._heard or about.get("kind") not in ("Rollout", "AnalysisRun"):
            return
        self._heard.add(uid)
        kind = "warning" if found.get("type") == "Warning" else "event"
        self.say(kind, f"{found.get('reason', '')}: {found.get('message', '')}")

    def _see_rollout(self, kind: str, found: Object) -> None:
        name = found["metadata"]["name"]
        self.rollouts[name] = {} if kind == "DELETED" else found

    # -- Envoy ---------------------------------------------------------------------------------------------------------

    def _ask_envoy(self) -> None:
        while not self._stopped.wait(self.asked):
            try:
                weights = gateway.weights(self._envoy, self.cast.host, self.cast.route)
                endpoints = gateway.clusters(self._envoy) if self.newest_hash else {}
            except OSError:
                continue  # the lab is going down, or Envoy did not answer in time; asked again
            now = time.monotonic()
            if weights:
                share = share_of(weights, f"||{self.cast.canary_service}.")
                if Track.note(self.canary.actual, now, share):
                    self.say("weight", f"Envoy: canary {share} %", now)
            if addresses := endpoints.get(self._active_cluster()):
                new = [self._pods.get(address.rpartition(":")[0]) == self.newest_hash for address in addresses]
                share = round(100 * sum(new) / len(new))
                if Track.note(self.blue_green.actual, now, share):
                    self.say("weight", f"Envoy: {share} % of {self.cast.active_service}'s pods are new", now)

    def _active_cluster(self) -> str:
        return f"outbound|80||{self.cast.active_service}.{self.cast.namespace}.svc.cluster.local"


def share_of(weights: Mapping[str, int], part: str) -> int:
    """The share, in per cent, of the clusters whose name contains `part`."""
    total = sum(weights.values())
    return round(100 * sum(weight for name, weight in weights.items() if part in name) / total) if total else 0
