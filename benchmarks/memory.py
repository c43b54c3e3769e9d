"""`python -m benchmarks.memory`, inside a lab's network: what settled Rollouts cost in memory.

Each Rollout has its two Services, its VirtualService, its present ReplicaSet with two pods, and a past of two old
ReplicaSets and two ended AnalysisRuns. Measured are the process that brought them up, one that was started afterwards
and has only read them (an upgrade, a standby), and that one after Prometheus has asked it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from benchmarks import objects
from benchmarks.objects import NAMESPACE
from benchmarks.stories import healthy
from lab import manifests
from lab import operator as tidegate
from lab.client import wait_for
from lab.cluster import Lab, LabError

Object = dict[str, Any]

_ARGO: Final = "argoproj.io/v1alpha1"
_PATIENCE: Final = 900.0
_WANTED_MB: Final = 250.0
_SENDERS: Final = 8
_PAST: Final = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1000)
    arguments = parser.parse_args()
    names = [f"app-{number:04}" for number in range(arguments.rollouts)]
    try:
        with Lab.start(instant_pods=True, envoy=False, webhook=False) as lab:
            lab.kill("istiod")
            peak = _measure(lab, names)
    except (LabError, TimeoutError) as error:
        print(f"memory: {error}", file=sys.stderr)
        return 1
    return 0 if peak <= _WANTED_MB else 1


def _measure(lab: Lab, names: list[str]) -> float:
    kubeconfig = tidegate.install(lab)
    lab.client.create(manifests.namespace(NAMESPACE))
    lab.apply(objects.templates("http://127.0.0.1:9"))
    _each(names, lambda name: [lab.client.create(obj) for obj in objects.surroundings(name)])
    with tidegate.operator(lab, kubeconfig) as first:
        _say("empty", first)
        _each(names, lambda name: lab.client.create(objects.storm_rollout(name, "v1")))
        born = _settled(lab)
        _each(born, lambda rollout: _give_a_past(lab, rollout))
        time.sleep(10)
        _say(f"{len(names)} Rollouts brought up", first)
        peaks = [first.memory_mb()]
    with tidegate.operator(lab, kubeconfig, name="second") as second:
        wait_for(lambda: "tidegate_leading 1.0" in second.metrics(), "the second process leading", timeout=60)
        time.sleep(10)
        _say(f"{len(names)} Rollouts read and looked at", second)
        began = time.monotonic()
        page = second.metrics()
        took = time.monotonic() - began
        _say(f"after a scrape of {len(page) / 1e6:.1f} MB in {took:.2f} s", second)
        peaks.append(second.memory_mb())
    print(f"memory: {max(peaks):.0f} MB at most, wanted {_WANTED_MB:.0f} MB")
    return max(peaks)


def _settled(lab: Lab) -> list[Object]:
    """All Rollouts, once they are Healthy. Looked for now and then: a watch of this many would end the slow reader."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        rollouts: list[Object] = lab.client.list("Rollout", NAMESPACE, api_version=_ARGO)
        if all(map(healthy, rollouts)):
            return rollouts
        time.sleep(5)
    raise TimeoutError(f"{sum(not healthy(r) for r in rollouts)} Rollouts not Healthy after {_PATIENCE:.0f} s")


def _give_a_past(lab: Lab, rollout: Object) -> None:
    """Old ReplicaSets without pods, and ended runs, as earlier updates leave them."""
    meta, template = rollout["metadata"], rollout["spec"]["template"]
    owner = {"apiVersion": _ARGO, "kind": "Rollout", "name": meta["name"], "uid": meta["uid"], "controller": True}
    for number in range(_PAST):
        hash_ = f"5d9c8b7f{number}"
        labels = {**template["metadata"]["labels"], "rollouts-pod-template-hash": hash_}
        named = {"name": f"{meta['name']}-{hash_}", "namespace": NAMESPACE, "labels": labels}
        owned = {**named, "ownerReferences": [owner]}
        annotations = {"rollout.argoproj.io/revision": "0", "rollout.argoproj.io/desired-replicas": "2"}
        body = {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {**template, "metadata": {"labels": labels}},
        }
        replica_set = {"metadata": {**owned, "annotations": annotations}, "spec": body}
        lab.client.create({"apiVersion": "apps/v1", "kind": "ReplicaSet", **replica_set})
        lab.client.create({"apiVersion": _ARGO, "kind": "AnalysisRun", "metadata": owned, **_ended_run(meta["name"])})


def _ended_run(app: str) -> Object:
    when = "2026-01-01T00:00:00Z"
    measurement = {"phase": "Successful", "startedAt": when, "finishedAt": when, "value": "[1]"}
    metric = objects.templates("http://127.0.0.1:9")[0]["spec"]["metrics"][0]
    query = {"ResolvedPrometheusQuery": f'vector(1) or up{{app="{app}"}}'}
    result = {
        "name": metric["name"],
        "phase": "Successful",
        "count": 2,
        "successful": 2,
        "consecutiveSuccess": 2,
        "measurements": [measurement] * 2,
        "metadata": query,
    }
    status = {
        "phase": "Successful",
        "startedAt": when,
        "completedAt": when,
        "metricResults": [result],
        "runSummary": {"count": 1, "successful": 1},
    }
    return {"spec": {"args": [{"name": "app", "value": app}], "metrics": [metric]}, "status": status}


def _say(what: str, replica: tidegate.Operator) -> None:
    status = Path(f"/proc/{replica.pid}/status").read_text()
    now = int(status.split("VmRSS:")[1].split()[0]) / 1024
    print(f"memory: {what}: {now:.0f} MB now, {replica.memory_mb():.0f} MB at most", flush=True)


def _each(items: Iterable[Any], send: Callable[[Any], object]) -> None:
    with ThreadPoolExecutor(_SENDERS) as pool:
        list(pool.map(send, items))


if __name__ == "__main__":
    sys.exit(main())
