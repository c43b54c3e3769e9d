"""`python -m lab measure`: the lab's own figures, as they stand in docs/lab.md."""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path

from lab import manifests as m
from lab.cluster import Lab, wait_for
from lab.traffic import Traffic

NAMESPACE = "measured"
HOST = "measured.example.com"
CANARY = f"outbound|80||canary.{NAMESPACE}.svc.cluster.local"


def run() -> int:
    """Measure and print, in about a minute."""
    with Lab.start() as lab:
        lab.client.create(m.namespace(NAMESPACE))
        steps = ", ".join(f"{what} {seconds:.1f}" for what, seconds in lab.timings.items())
        print(f"seconds from nothing until each part was ready: {steps}")
        print(f"first 200 through the gateway after creating the objects: {_first_answer(lab):.2f} s")
        print(f"weight in the VirtualService -> Envoy, debounce 100 ms: {_flips(lab)}")
        print(f"50 pods from nothing to ready: {_scale(lab, 50):.1f} s; {_shared_memory('lab.podserver'):.1f} MB a pod")
        resident = ", ".join(f"{name} {_resident(process.pid):.0f}" for name, process in lab.processes.items())
        print(f"MB resident: {resident}")
    with Lab.start(prometheus=False, gateway_debounce="0s") as lab:
        lab.client.create(m.namespace(NAMESPACE))
        _first_answer(lab)
        print(f"weight in the VirtualService -> Envoy, debounce 0: {_flips(lab)}")
    return 0


def _first_answer(lab: Lab) -> float:
    began = time.monotonic()
    for track in ("stable", "canary"):
        labels = {"app": "app", "track": track}
        lab.client.create(m.service(track, NAMESPACE, labels))
        lab.client.create(m.deployment(track, NAMESPACE, m.pod_template(labels, m.app_container(track))))
    route = {"name": "primary", "route": [m.destination("stable", 100), m.destination("canary", 0)]}
    lab.client.create(m.virtual_service("app", NAMESPACE, HOST, route))
    with Traffic(HOST, rate=100, workers=1) as traffic:
        wait_for(lambda: traffic.total > traffic.failed and traffic.by_version["stable"], "a 200", interval=0.01)
    return time.monotonic() - began


def _flips(lab: Lab) -> str:
    """Milliseconds from sending a PATCH until Envoy's route table shows it, for 20 of them."""
    taken = []
    for number in range(20):
        canary = 0 if number % 2 else 100
        weights = enumerate((100 - canary, canary))
        patch = [{"op": "replace", "path": f"/spec/http/0/route/{i}/weight", "value": w} for i, w in weights]
        began = time.perf_counter()
        lab.client.patch("VirtualService", "app", NAMESPACE, patch, api_version="networking.istio.io/v1")
        wait_for(lambda wanted=canary: lab.weights(HOST).get(CANARY, 0) == wanted, "the flip", 10, 0.002)  # type: ignore[misc]
        taken.append((time.perf_counter() - began) * 1000)
        time.sleep(0.2)
    return f"median {statistics.median(taken):.0f} ms, {min(taken):.0f} to {max(taken):.0f} (n=20)"


def _scale(lab: Lab, replicas: int) -> float:
    began = time.monotonic()
    template = m.pod_template({"app": "many"}, m.app_container("v1"))
    lab.client.create(m.deployment("many", NAMESPACE, template, replicas=replicas))

    def ready() -> int:
        found = lab.client.get("Deployment", "many", NAMESPACE, api_version="apps/v1")
        return int(found.get("status", {}).get("readyReplicas", 0))

    wait_for(lambda: ready() == replicas, f"{replicas} pods", 60)
    return time.monotonic() - began


def _resident(pid: int) -> float:
    return _megabytes(Path("/proc", str(pid), "status"), "VmRSS")


def _shared_memory(command: str) -> float:
    """Mean proportional set size, in MB, of the processes with `command` in their command line."""
    sizes = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if command in (entry / "cmdline").read_text():
                sizes.append(_megabytes(entry / "smaps_rollup", "Pss"))
        except OSError:  # ended meanwhile
            continue
    return statistics.mean(sizes)


def _megabytes(file: Path, name: str) -> float:
    match = re.search(rf"^{name}:\s+(\d+) kB", file.read_text(), re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0
