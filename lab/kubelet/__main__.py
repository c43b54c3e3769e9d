"""`python -m lab.kubelet`: started by the lab, with the administrator's token in LAB_TOKEN."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import os
import re
from pathlib import Path

from lab.kubelet.api import NODE, Api, Object
from lab.kubelet.names import Names
from lab.kubelet.runtime import Nursery
from lab.kubelet.serving import Server
from lab.kubelet.worker import Node, Worker

SCRAPE = "prometheus.io/scrape"


class Addresses:
    """Pod addresses, handed out in turn through 10.244.1.0 to 10.244.254.255, so that one is not used again soon."""

    def __init__(self) -> None:
        self._first = int(ipaddress.IPv4Address("10.244.1.0"))
        self._count = 254 * 256
        self._next = 0
        self._used: set[str] = set()

    def take(self, pod: Object) -> str:
        """The address of this pod: the one it already has, if the kubelet was restarted, else a fresh one."""
        address: str = pod.get("status", {}).get("podIP", "")
        if address:
            self._used.add(address)
            return address
        while not address or address in self._used:
            address = str(ipaddress.IPv4Address(self._first + self._next))
            self._next = (self._next + 1) % self._count
        self._used.add(address)
        return address

    def give(self, address: str) -> None:
        self._used.discard(address)


class Kubelet:
    """Turns the watch of pods into workers, and tells Prometheus which pods want to be scraped."""

    def __init__(self, api: Api, nursery: Nursery, workdir: Path, *, instant: bool, drain: float) -> None:
        addresses = Addresses()
        self._workers: dict[str, Worker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._workdir = workdir
        self._targets_due = asyncio.Event()
        self._node = Node(api, nursery, workdir, instant, drain, addresses.take, addresses.give, self._targets_due.set)

    async def run(self) -> None:
        api = self._node.api
        await api.register_node()
        targets = asyncio.create_task(self._write_targets())
        async for kind, pod in api.pods():
            if kind == "LISTED":
                self._listed(pod["items"])
                (self._workdir / "kubelet.pid").write_text(str(os.getpid()))  # tells the lab that it watches
            elif kind == "DELETED":
                self._gone(pod["metadata"]["uid"])
            elif kind in ("ADDED", "MODIFIED"):
                self._seen(pod)
        targets.cancel()

    def find(self, namespace: str, name: str) -> Worker | None:
        """The pod of this name, unless it had ended before this kubelet began."""
        wanted = (namespace, name)
        named = ((worker, worker.pod["metadata"]) for worker in self._workers.values())
        return next((worker for worker, m in named if (m["namespace"], m["name"]) == wanted), None)

    def _listed(self, pods: list[Object]) -> None:
        for uid in self._workers.keys() - {pod["metadata"]["uid"] for pod in pods}:
            self._gone(uid)
        for pod in pods:
            self._seen(pod)

    def _seen(self, pod: Object) -> None:
        uid, spec = pod["metadata"]["uid"], pod["spec"]
        if worker := self._workers.get(uid):
            worker.update(pod)
            return
        if spec.get("nodeName", NODE) != NODE or spec.get("schedulingGates"):
            return
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]:
            return  # it ended before this kubelet began; seen again when it is deleted
        worker = self._workers[uid] = Worker(self._node, pod)
        if "deletionTimestamp" in pod["metadata"]:
            worker.update(pod)
        task = asyncio.create_task(worker.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _gone(self, uid: str) -> None:
        if worker := self._workers.pop(uid, None):
            worker.gone()
            self._targets_due.set()

    async def _write_targets(self) -> None:
        """Keep the file from which Prometheus learns the ready pods that ask to be scraped."""
        written: list[Object] = []
        folder = self._workdir / "targets"
        while True:
            await self._targets_due.wait()
            await asyncio.sleep(0.1)
            self._targets_due.clear()
            wanted = [w for w in self._workers.values() if w.ready and _annotation(w.pod, SCRAPE) == "true"]
            found = [_target(worker.pod, worker.address) for worker in wanted]
            if found != written and folder.is_dir():
                scratch = folder / "pods.new"
                scratch.write_text(json.dumps(found))
                scratch.rename(folder / "pods.json")
                written = found


def _target(pod: Object, address: str) -> Object:
    metadata = pod["metadata"]
    labels = {re.sub(r"\W", "_", name): value for name, value in metadata.get("labels", {}).items()}
    port = _annotation(pod, "prometheus.io/port") or "8080"
    return {
        "targets": [f"{address}:{port}"],
        "labels": {**labels, "namespace": metadata["namespace"], "pod": metadata["name"]},
    }


def _annotation(pod: Object, name: str) -> str:
    return str(pod["metadata"].get("annotations", {}).get(name, ""))


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.kubelet")
    parser.add_argument("--server", required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--drain", type=float, required=True)
    parser.add_argument("--instant", action="store_true")
    options = parser.parse_args()
    (options.workdir / "pods").mkdir(exist_ok=True)
    async with (
        Api(options.server, os.environ["LAB_TOKEN"], options.ca) as api,
        Nursery(options.workdir / "pods" / "servers.log") as nursery,
    ):
        kubelet = Kubelet(api, nursery, options.workdir, instant=options.instant, drain=options.drain)
        if not options.instant:
            await Names.serve(api)
            await Server(kubelet.find).serve(options.certificate, options.key)
        await kubelet.run()


if __name__ == "__main__":
    asyncio.run(main())
