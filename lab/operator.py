"""Tidegate itself in the lab: installed by its chart, run as a process under the chart's roles and nothing more."""

from __future__ import annotations

import os
import signal
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.cluster import Lab
from lab.paths import REPOSITORY
from lab.processes import Process

NAMESPACE = "tidegate-system"
SERVICE_ACCOUNT = "tidegate"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
_CHART = REPOSITORY / "charts" / "tidegate"


class Operator:
    """One replica. Its log is `NAME.log` in the lab's workdir."""

    def __init__(self, lab: Lab, name: str, port: int, command: Sequence[str], kubeconfig: Path) -> None:
        self.name = name
        self.port = port
        self._process = Process(
            name,
            command,
            lab.workdir / f"{name}.log",
            self._serves,
            {
                **os.environ,
                "KUBECONFIG": str(kubeconfig),
                "PYTHONPATH": str(REPOSITORY / "operator"),
            },
        )

    @property
    def pid(self) -> int:
        """Its process id inside the lab's namespace."""
        return self._process.pid

    @property
    def log(self) -> Path:
        """Where it writes."""
        return self._process.log

    def start(self, *, wait: bool = True) -> None:
        """Start it; `wait` until it is ready (its caches are full)."""
        self._process.start()
        if wait:
            self._process.wait_ready()

    def kill(self) -> None:
        """kill -9: nothing is finished, the lease is not given up."""
        self._process.stop(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as a node does it; SIGKILL after 30 s."""
        self._process.stop(signal.SIGTERM, timeout=30)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP."""
        self._process.send(number)

    def metrics(self) -> str:
        """The text of its /metrics page."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
        return text

    def memory_mb(self) -> float:
        """The most memory that it has held (VmHWM), in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def cpu_seconds(self) -> float:
        """CPU time that it has used, its threads' included."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def install(lab: Lab, *values: str) -> Path:
    """Install the chart without its pods; the kubeconfig of its service account. `values`: as for helm --set."""
    sets = [part for value in ("replicas=0", *values) for part in ("--set", value)]
    lab.helm("upgrade", "--install", "tidegate", str(_CHART), "--namespace", NAMESPACE, "--create-namespace", *sets)
    for crd in ("rollouts", "analysisruns", "analysistemplates", "clusteranalysistemplates", "experiments"):
        lab.kubectl("wait", "--for=condition=Established", f"crd/{crd}.argoproj.io", "--timeout=30s")
    return lab.kubeconfig_for(NAMESPACE, SERVICE_ACCOUNT)


@contextmanager
def operator(
    lab: Lab, kubeconfig: Path, *flags: str, name: str = "operator", port: int = 8090, elect: bool = True
) -> Iterator[Operator]:
    """A running replica that is stopped at the end of the `with` block. `flags` are passed on to `tidegate run`."""
    command = [
        sys.executable,
        "-m",
        "tidegate",
        "run",
        f"--port={port}",
        "--address=127.0.0.1",
        f"--identity={name}",
        f"--lease-namespace={NAMESPACE}",
        f"--prometheus={lab.prometheus_url}",
        "--leader-elect" if elect else "--no-leader-elect",
        *flags,
    ]
    replica = Operator(lab, name, port, command, kubeconfig)
    replica.start()
    try:
        yield replica
    finally:
        replica.send(signal.SIGCONT)
        replica.stop()
