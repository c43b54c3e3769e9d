"""A whole operator over the cluster in memory, in virtual time: played, stopped at any write, and played on.

The parts are the real ones (client, informers, store, queue, controllers, decisions); only the API server, the pods and
Prometheus are stand-ins.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from tests.fakes.clocks import loop_clock
from tests.fakes.cluster import FakeCluster, Written
from tests.fakes.traffic import Guard, Traffic
from tests.fakes.transport import CrashPoint, FakeTransport, Killed
from tests.fakes.workloads import Behaviour, Workloads
from tidegate.api import names
from tidegate.core.analysis.world import Reading
from tidegate.core.plan import Key
from tidegate.engine.engine import Engine, EngineSettings, Watching
from tidegate.providers.base import NOBODY, Asker, Providers

Obj = dict[str, Any]
SETTLING = 45.0
"""Seconds after the end of a story in which every delayed scale-down comes."""


Rates = Mapping[str, tuple[float, float]]
"""Bad and all requests in a second, by arm."""


class Scripted:
    """A source of measurements whose answers hang on the query alone, so that they survive a crash.

    rates: what metrics that compare are told: so much in each second of their window.
    """

    def __init__(self, answers: Mapping[str, float]) -> None:
        self.answers = answers
        self.asked = 0
        self.rates: Rates = {"canary": (1, 20), "stable": (1, 20)}

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        self.asked += 1
        await asyncio.sleep(0.01)
        if spec.get("series"):
            return self._compared(spec["query"])
        value = self.answers[spec["query"]]
        return Reading(value=(value,), text=f"[{value:g}]")

    def _compared(self, query: str) -> Reading:
        instants = [int(text) for text in re.findall(r"@ (\d+)", query)]
        seconds = max(instants) - min(instants)
        found = [
            ({"tidegate_arm": arm, "tidegate_part": part, "pod": arm}, rate * seconds)
            for arm, rates in self.rates.items()
            for part, rate in zip(("bad", "total"), rates, strict=True)
        ]
        return Reading(value=(*found, ({"tidegate_arm": "stable", "tidegate_part": "known"}, 1.0)))

    async def close(self) -> None:
        """Nothing is open."""


class Theatre:
    """One Rollout called `app` and everything around it."""

    def __init__(
        self, rollout: Obj, objects: list[Obj], *, services: tuple[str, ...], virtual_services: tuple[str, ...] = ()
    ) -> None:
        self.cluster = FakeCluster(loop_clock)
        self.workloads = Workloads(self.cluster, default=Behaviour(ready_after=0.4))
        self.traffic = Traffic(self.cluster, self.workloads)
        self.guard = Guard(self.traffic, self.cluster, services=services, virtual_services=virtual_services)
        self.overloads: list[str] = []
        self._overloaded: set[str] = set()
        if virtual_services:
            self.cluster.observers.append(partial(self._watch_load, rollout["spec"]["replicas"]))
        self.provider = Scripted({"good": 1.0, "bad": 0.0})
        self.rollout = rollout
        for obj in objects:
            self.cluster.create(obj)

    def _watch_load(self, replicas: int, written: Written) -> None:
        """A write to a route may not give a version more than its available pods can carry."""
        now = {text for split in self.traffic.routes("app") for text in split.overloaded(replicas)}
        if written.kind == "VirtualService":
            self.overloads += [f"{written}: {text}" for text in sorted(now - self._overloaded)]
        self._overloaded = now

    @property
    def violations(self) -> list[str]:
        """Writes by which traffic was lost or sent where pods could not carry it."""
        return [f"{written}: {what}" for written, what in self.guard.violations] + self.overloads

    # -- the operator

    async def play(
        self,
        until: Callable[[], bool],
        *,
        crash: tuple[int, CrashPoint] | None = None,
        arrange: Callable[[FakeTransport], None] | None = None,
        identity: str = "operator-0",
        lease: Key | None = None,
        watching: Watching | None = None,
        beside: Callable[[Engine], Coroutine[Any, Any, None]] | None = None,
        **settings: Any,
    ) -> FakeTransport:
        """Run one process of the operator until the story is where it should be, or until it is killed.

        beside: what runs in the same process along with the engine.
        """
        transport = FakeTransport(self.cluster, latency=0.01, lag=0.02)
        if crash:
            transport.crash_after_writes(*crash)
        if arrange:
            arrange(transport)
        engine = Engine(
            transport,
            Providers({"prometheus": self.provider}),
            EngineSettings(identity=identity, lease=lease, shell_watches=False, **settings),
            watching=watching,
            now=loop_clock,
            clock=asyncio.get_running_loop().time,
        )
        self.engine = engine
        companions = [asyncio.create_task(beside(engine))] if beside else []
        tasks = [
            asyncio.create_task(engine.run(asyncio.Event())),
            asyncio.create_task(transport.killed.wait()),
            asyncio.create_task(self._reach(until)),
            *companions,
        ]
        try:
            await asyncio.wait(tasks[1:3], return_when=asyncio.FIRST_COMPLETED)
            if not transport.killed.is_set():
                await tasks[2]
        finally:
            transport.kill()
            for task in tasks:
                task.cancel()
            with suppress(Killed, BaseExceptionGroup, asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)
            await self._end_of_process()
        return transport

    def spare(self, task: asyncio.Task[None] | None) -> None:
        """A task that is not the operator's, and does not end with it."""
        assert task is not None
        self._alive.add(task)

    async def _end_of_process(self) -> None:
        """A killed process has no tasks: those that the engine made go with it."""
        mine = asyncio.current_task()
        kept = {mine, *self._alive}
        others = [task for task in asyncio.all_tasks() if task not in kept]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _reach(self, until: Callable[[], bool]) -> None:
        async with asyncio.timeout(600):
            while not until():
                await asyncio.sleep(0.05)

    async def __aenter__(self) -> Theatre:
        self._alive = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        running = asyncio.create_task(self.workloads.run())
        self._alive.add(running)
        self._running = running
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running

    # -- the user

    def deploy(self) -> None:
        """Apply the Rollout."""
        self.cluster.create(self.rollout)

    def set_image(self, image: str) -> None:
        """A new version."""
        containers = [{**self.rollout["spec"]["template"]["spec"]["containers"][0], "image": image}]
        self.cluster.patch("Rollout", "app", {"spec": {"template": {"spec": {"containers": containers}}}})

    def ask(self, **status: Any) -> None:
        """Patch the status, as the kubectl plugin does."""
        self.cluster.patch("Rollout", "app", {"status": status}, subresource="status")

    def people(self, *acts: tuple[Callable[[Mapping[str, Any]], object], Callable[[], object], float]) -> None:
        """What people do, one after the other: each thing so many seconds after the status has been seen so, whichever
        process of the operator runs then, or none."""
        left = list(acts)
        asked = False

        def look(written: Written) -> None:
            nonlocal asked
            if left and not asked and written.kind == "Rollout" and left[0][0](self.status):
                asked = True
                asyncio.get_running_loop().call_later(left[0][2], act)

        def act() -> None:
            nonlocal asked
            asked = False
            left.pop(0)[1]()

        self.cluster.observers.append(look)

    # -- what is seen

    @property
    def status(self) -> Mapping[str, Any]:
        found = self.cluster.peek("Rollout", "app")
        return (found or {}).get("status") or {}

    def is_at(self, phase: str) -> bool:
        """Whether the Rollout has this phase for its present generation."""
        found = self.cluster.peek("Rollout", "app")
        assert found is not None
        status = found.get("status") or {}
        return (
            status.get("phase") == phase
            and status.get("observedGeneration") == str(found["metadata"]["generation"])
            and (phase != names.HEALTHY or status.get("stableRS") == status.get("currentPodHash"))
        )

    def end(self) -> Obj:
        """Everything that must come out the same, however the story was interrupted."""
        status = self.status
        sets = self.cluster.peek_all("ReplicaSet")
        routes = [self.cluster.peek("VirtualService", "app")]
        kept = ("phase", "message", "stableRS", "currentPodHash", "currentStepIndex", "abort", "pauseConditions")
        return {
            "status": {field: _timeless(status.get(field)) for field in kept},
            "weights": (status.get("canary") or {}).get("weights"),
            "blueGreen": {
                field: (status.get("blueGreen") or {}).get(field) for field in ("activeSelector", "previewSelector")
            },
            "sets": {
                rs["metadata"]["name"]: (
                    rs["spec"]["replicas"],
                    rs["metadata"]["annotations"].get(names.REVISION),
                )
                for rs in sets
            },
            "selectors": {s["metadata"]["name"]: s["spec"]["selector"] for s in self.cluster.peek_all("Service")},
            "routes": [route["spec"]["http"] for route in routes if route],
            "rules": [rule["spec"] for rule in self.cluster.peek_all("DestinationRule")],
            "experiments": sorted(
                (each["metadata"]["name"], each["status"].get("phase")) for each in self.cluster.peek_all("Experiment")
            ),
            "runs": sorted(
                (run["metadata"]["name"], run["status"].get("phase")) for run in self.cluster.peek_all("AnalysisRun")
            ),
        }


def _timeless(value: Any) -> Any:
    """A comparison's sentence without its figures: an interruption makes one window longer."""
    found = isinstance(value, str) and ("false-alarm budget" in value or "of the evidence" in value)
    return re.sub(r"\d[\d.,]*", "#", value) if found else value
