"""The life of one pod: bound, started, ready, restarted, drained, ended, removed."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.kubelet import probes, runtime
from lab.kubelet.api import Api, Object, RefusedError
from lab.kubelet.status import Container, pod_status
from lab.kubelet.volumes import Volumes

RESTART_DELAY, RESTART_DELAY_MAX = 1.0, 10.0
"""Seconds before a crashed container is restarted: doubled each time. (The real kubelet: 10 to 300.)"""


@dataclass(frozen=True, slots=True)
class Node:
    """What the pods of this node share.

    instant: pods are ready as soon as they are bound and nothing is started.
    drain: seconds between a pod's deletion and SIGTERM, in which proxies stop sending to it.
    take_address, give_address: the pool of pod addresses. readiness_changed: called when a pod's readiness changed.
    """

    api: Api
    nursery: runtime.Nursery
    workdir: Path
    instant: bool
    drain: float
    take_address: Callable[[Object], str]
    give_address: Callable[[str], None]
    readiness_changed: Callable[[], None]


class Worker:
    """Runs one pod until it is gone from the API server."""

    def __init__(self, node: Node, pod: Object) -> None:
        self.pod = pod
        self.address = ""
        self._node = node
        self._folder = node.workdir / "pods" / pod["metadata"]["uid"]
        self._volumes = Volumes(pod, self._folder / "volumes", self._read, self._failed_mount)
        self._containers = [Container(c["name"], c.get("image", "")) for c in pod["spec"]["containers"]]
        self._running: dict[str, runtime.Running] = {}
        self._started = now()
        self._since: dict[str, tuple[str, str]] = {}
        self._written: Object | None = None
        self._changed = asyncio.Event()
        self._deleted = asyncio.Event()
        self._gone = asyncio.Event()

    @property
    def ready(self) -> bool:
        return self._since.get("Ready", ("False",))[0] == "True" and not self._deleted.is_set()

    def runs(self, container: str) -> bool:
        return container in self._running

    def log(self, container: str) -> Path:
        """The file of what this container's commands have written, one after another."""
        metadata = self.pod["metadata"]
        return self._node.workdir / "pods" / f"{metadata['namespace']}_{metadata['name']}_{container}.log"

    def update(self, pod: Object) -> None:
        """The API server shows the pod like this now: perhaps it is being deleted, or a readiness gate has opened."""
        self.pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self._deleted.set()
        if pod["spec"].get("readinessGates"):
            self._changed.set()

    def gone(self) -> None:
        """The API server has no such pod any more."""
        self._gone.set()
        self._deleted.set()

    async def run(self) -> None:
        """Never raises: a pod that can't be run must not take the others with it."""
        try:
            await self._live()
        except RefusedError as error:
            if error.status not in (404, 409):  # else the pod is gone, or another one has its name
                print(f"{self._name()}: {error}", file=sys.stderr)
        finally:
            self._kill(signal.SIGKILL)
            if self.address:
                self._node.give_address(self.address)
            self._node.readiness_changed()
            shutil.rmtree(self._folder, ignore_errors=True)  # most pods have none

    async def _live(self) -> None:
        if not self.pod["spec"].get("nodeName") and not self._deleted.is_set():
            await self._node.api.bind(self.pod)
        if self._deleted.is_set():
            await self._remove()
            return
        self.address = self._node.take_address(self.pod)
        lives = [asyncio.create_task(self._publish_changes()), asyncio.create_task(self._volumes.keep())]
        for container, spec in zip(self._containers, self.pod["spec"]["containers"], strict=True):
            lives.append(asyncio.create_task(self._live_container(container, spec)))
        try:
            await self._deleted.wait()
            await self._terminate()
        finally:
            for life in lives:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)
        await self._remove()

    # -- containers --------------------------------------------------------------------------------------------------

    async def _live_container(self, container: Container, spec: Object) -> None:
        await self._volumes.ready.wait()
        spec = self._volumes.located(spec)
        if "missing" in container.image or (not self._node.instant and runtime.pull_error(spec)):
            await self._fail_to_pull(container, runtime.pull_error(spec))
            return
        if self._node.instant:
            self._has_started(container, ready=True)
            return
        delay = RESTART_DELAY
        while True:
            code = await self._run_once(container, spec)
            self._has_ended(container, code)
            policy = self.pod["spec"].get("restartPolicy", "Always")
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                return
            await self._back_off(container, delay)
            delay = min(delay * 2, RESTART_DELAY_MAX)

    async def _run_once(self, container: Container, spec: Object) -> int:
        try:
            variables = await runtime.environment(self.pod, spec, self.address, self._lookup)
            process = await self._start(spec, variables)
        except (OSError, LookupError) as error:
            container.message = str(error)
            container.started = container.started or now()
            return 128
        self._running[container.name] = process
        probed = "readinessProbe" in spec
        self._has_started(container, ready=not probed)
        probing = None
        if probed:
            report = self._reporter(container)
            probing = asyncio.create_task(probes.watch(spec, self.address, variables, report))
        try:
            return await process.wait()
        finally:
            if probing:
                probing.cancel()

    async def _start(self, spec: Object, variables: Mapping[str, str]) -> runtime.Running:
        if runtime.is_server(spec):
            return await self._node.nursery.start(spec, variables, self.address)
        self._folder.mkdir(parents=True, exist_ok=True)
        if runtime.is_operator(spec):
            kubeconfig = self._folder / "kubeconfig"
            kubeconfig.touch(mode=0o600)
            kubeconfig.write_text(json.dumps(await self._node.api.account(self.pod)))
            spec, found = runtime.operator(spec, self.address, kubeconfig)
            variables = {**variables, **found}
        return await runtime.Command.start(spec, variables, self.log(spec["name"]), self._folder)

    async def _lookup(self, kind: str, name: str) -> Mapping[str, str]:
        return {key: value.decode(errors="replace") for key, value in (await self._read(kind, name)).items()}

    async def _read(self, kind: str, name: str) -> Mapping[str, bytes]:
        path = f"/api/v1/namespaces/{self.pod['metadata']['namespace']}/{kind}/{name}"
        try:
            found = await self._node.api.request("GET", path)
        except RefusedError as error:
            raise LookupError(f"{kind[:-1]} {name} can't be read: {error}") from error
        encoded, plain = ("data", "") if kind == "secrets" else ("binaryData", "data")
        data = {key: value.encode() for key, value in found.get(plain, {}).items()}
        return data | {key: base64.b64decode(value) for key, value in found.get(encoded, {}).items()}

    async def _failed_mount(self, message: str) -> None:
        self._changed.set()  # who waits for the pod sees that its containers are being created
        try:
            await self._node.api.warn(self.pod, "FailedMount", message, now())
        except RefusedError as error:
            print(f"{self._name()}: event refused: {error}: {message}", file=sys.stderr)

    async def _fail_to_pull(self, container: Container, message: str) -> None:
        container.message = message
        for reason in ("ErrImagePull", "ImagePullBackOff"):
            container.reason = reason
            self._changed.set()
            await asyncio.sleep(1)

    async def _back_off(self, container: Container, delay: float) -> None:
        container.last = container.termination()
        container.exit_code = None
        container.restarts += 1
        container.reason = "CrashLoopBackOff"
        container.message = f"back-off {delay:.0f}s restarting failed container={container.name}"
        self._changed.set()
        await asyncio.sleep(delay)

    def _has_started(self, container: Container, *, ready: bool) -> None:
        container.running, container.ready = True, ready
        container.started, container.finished, container.exit_code = now(), "", None
        container.reason = container.message = ""
        self._changed.set()

    def _has_ended(self, container: Container, code: int) -> None:
        self._running.pop(container.name, None)
        container.running = container.ready = False
        container.finished, container.reason = now(), ""
        container.exit_code = code if code >= 0 else 128 - code
        self._changed.set()

    def _reporter(self, container: Container) -> Callable[[bool], None]:
        def report(ready: bool) -> None:
            container.ready = ready
            self._changed.set()

        return report

    # -- the end -----------------------------------------------------------------------------------------------------

    async def _terminate(self) -> None:
        """Wait until proxies have let go of the pod, ask its processes to end, and make them."""
        if not self._running:
            return
        self._node.readiness_changed()
        grace = float(self.pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        await self._until_gone(min(self._node.drain, grace))
        self._kill(signal.SIGTERM)
        ended = asyncio.gather(*(process.wait() for process in self._running.values()))
        with suppress(TimeoutError):
            await asyncio.wait_for(ended, max(grace - self._node.drain, 0.1) if not self._gone.is_set() else 0.1)
        self._kill(signal.SIGKILL)

    async def _until_gone(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), seconds)

    async def _remove(self) -> None:
        if not self._gone.is_set():
            await self._node.api.remove(self.pod)

    def _kill(self, number: signal.Signals) -> None:
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.signal(number)

    # -- status ------------------------------------------------------------------------------------------------------

    async def _publish_changes(self) -> None:
        """Write the status whenever it has changed. Changes during a write become one more write."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            status = pod_status(self.pod, self._containers, address=self.address, started=self._started)
            if status == self._written:
                continue
            self._written = status
            stamped = {**status, "conditions": self._with_times(status["conditions"])}
            self._node.readiness_changed()
            try:
                await self._node.api.patch_status(self.pod, stamped)
            except RefusedError as error:
                if error.status not in (404, 409):
                    print(f"{self._name()}: status refused: {error}", file=sys.stderr)
                return

    def _with_times(self, conditions: list[dict[str, str]]) -> list[dict[str, Any]]:
        at = now()
        for condition in conditions:
            kind, value = condition["type"], condition["status"]
            if self._since.get(kind, ("",))[0] != value:
                self._since[kind] = (value, at)
        # null removes what an earlier state had said
        blank = {"reason": None, "message": None}
        return [{**blank, **c, "lastTransitionTime": self._since[c["type"]][1]} for c in conditions]

    def _name(self) -> str:
        return f"pod {self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}"


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
