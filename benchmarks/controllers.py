"""The controller that is measured: Tidegate under its chart's roles, or any other that a command line starts."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.objects import NAMESPACE
from lab import operator as tidegate
from lab.cluster import Lab
from lab.processes import Process

OUR_USER = f"system:serviceaccount:{tidegate.NAMESPACE}:{tidegate.SERVICE_ACCOUNT}"
THEIR_ACCOUNT = "controller"
THEIR_USER = f"system:serviceaccount:{NAMESPACE}:{THEIR_ACCOUNT}"


class ProcessTree:
    """A process and its descendants, as /proc tells of them."""

    def __init__(self, root: int) -> None:
        self._root = root

    def cpu_seconds(self) -> float:
        """CPU time used so far, that of children which have ended included."""
        ticks = sum(sum(map(int, _stat(pid)[11:15])) for pid in self._pids())
        return ticks / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> float:
        """The most memory that each has held (VmHWM), summed."""
        texts = (Path(f"/proc/{pid}/status").read_text() for pid in self._pids())
        return sum(int(text.split("VmHWM:")[1].split()[0]) for text in texts if "VmHWM:" in text) / 1024

    def _pids(self) -> list[int]:
        parents = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    parents[int(folder.name)] = int(_stat(int(folder.name))[1])
                except OSError:
                    continue
        found = [self._root]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from `state` on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@contextmanager
def ours(lab: Lab, kubeconfig: Path) -> Iterator[ProcessTree]:
    """Tidegate, leader election included."""
    with tidegate.operator(lab, kubeconfig) as replica:
        yield ProcessTree(replica.pid)


@contextmanager
def theirs(lab: Lab, command: str) -> Iterator[ProcessTree]:
    """Another controller of the same API. KUBECONFIG leads it to the cluster as an administrator of its own name."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    lab.client.apply({**account, "metadata": {"name": THEIR_ACCOUNT, "namespace": NAMESPACE}})
    lab.client.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "bench-controller"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": THEIR_ACCOUNT, "namespace": NAMESPACE}],
        }
    )
    kubeconfig = lab.kubeconfig_for(NAMESPACE, THEIR_ACCOUNT)
    process = Process(
        "controller",
        shlex.split(command),
        lab.workdir / "controller.log",
        environment={**os.environ, "KUBECONFIG": str(kubeconfig)},
    )
    process.start()
    try:
        yield ProcessTree(process.pid)
    finally:
        process.stop(signal.SIGTERM)
