"""One running lab: a context manager that starts the cluster, and the handle to use and to disturb it."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from lab import build, components, gateway, manifests, netns, toolchain
from lab.client import ApiError, Client, Object, wait_for
from lab.components import Components
from lab.paths import LabError
from lab.processes import Process

GATEWAY_URL = "http://127.0.0.1"


class Lab:
    """A running cluster.

    workdir: logs (`NAME.log`, `pods/NAMESPACE_POD.log`), configurations and data.
    kubeconfig: the administrator's. client: for requests as the administrator.
    processes: the running programs by name (etcd, kube-apiserver, kube-controller-manager, kubelet, istiod, envoy,
        prometheus), as far as they were asked for.
    timings: seconds from the start until each part was ready.
    """

    api_url = components.API_URL
    gateway_url = GATEWAY_URL
    prometheus_url = components.PROMETHEUS_URL
    envoy_admin_url = components.ENVOY_ADMIN_URL

    def __init__(self, workdir: Path, programs: Mapping[str, Path]) -> None:
        self.workdir = workdir
        self.processes: dict[str, Process] = {}
        self.timings: dict[str, float] = {}
        self._programs = programs
        self._token = secrets.token_hex(16)
        self._began = time.monotonic()
        self.components = Components(workdir, programs, self._token)
        self.kubeconfig = self.components.kubeconfig
        self.client = Client(self.api_url, self._token)

    @classmethod
    @contextmanager
    def start(
        cls,
        workdir: Path | None = None,
        *,
        instant_pods: bool = False,
        istio: bool = True,
        envoy: bool = True,
        prometheus: bool = True,
        webhook: bool = True,
        gateway_debounce: str = "100ms",
        scrape_interval: str = "1s",
        drain: float = 2.0,
        endpoint_delay: str = "0s",
        audited: Sequence[str] = (),
    ) -> Iterator[Lab]:
        """Start a lab and stop it at the end of the `with` block.

        workdir: kept; None makes a temporary one, which is removed unless the block ends with an exception.
        instant_pods: pods become ready at once and no process is started, for measurements at scale.
        webhook: istiod's validation of VirtualServices and their kin.
        gateway_debounce: how long istiod waits for more changes before it tells Envoy.
        drain: seconds between a pod's deletion and its SIGTERM, in which the gateway lets go of it.
        endpoint_delay: how long a pod that is ready, or is not any more, stands in no EndpointSlice as such.
        audited: users whose requests the API server writes to `components.audit_log`.

        Raises LabError if this is not a lab namespace, something is missing, or a program does not start.
        """
        netns.require_inside()
        programs = build.ensure()
        keep = workdir is not None
        folder = workdir.absolute() if workdir else Path(tempfile.mkdtemp(prefix="tidegate-lab-"))
        folder.mkdir(parents=True, exist_ok=True)
        lab = cls(folder, programs)
        try:
            lab._start_control_plane(
                instant_pods=instant_pods, drain=drain, endpoint_delay=endpoint_delay, audited=audited
            )
            lab._start_traffic(
                istio=istio,
                envoy=envoy,
                webhook=webhook,
                debounce=gateway_debounce,
                scrape_interval=scrape_interval if prometheus else None,
            )
            yield lab
        except Exception:  # not Ctrl-C, after which nobody looks
            keep = True
            raise
        finally:
            lab._stop()
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)

    # -- using it ----------------------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, input: str | None = None, kubeconfig: Path | None = None) -> str:
        """Run kubectl and return what it printed. Raises LabError with its error output."""
        return self._run([str(toolchain.kubectl()), *arguments], input, kubeconfig or self.kubeconfig)

    def helm(self, *arguments: str) -> str:
        """Run helm and return what it printed. Raises LabError with its error output."""
        return self._run([str(self.program("helm")), *arguments], None, self.kubeconfig)

    def apply(self, objects: str | Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> list[Object]:
        """Server-side apply of YAML text, of one object or of several, in their order."""
        if isinstance(objects, str):
            objects = [document for document in yaml.safe_load_all(objects) if document]
        elif isinstance(objects, Mapping):
            objects = [objects]
        return [self.client.apply(obj) for obj in objects]

    def kubeconfig_for(self, namespace: str, service_account: str, *, hours: int = 24) -> Path:
        """A kubeconfig with a token of this service account, so that a process runs under its roles and no more."""
        path = self.client.path("ServiceAccount", service_account, namespace)
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": hours * 3600},
        }
        token = self.client.request("POST", f"{path}/token", request)["status"]["token"]
        target = self.workdir / f"{namespace}-{service_account}.kubeconfig"
        self._write_kubeconfig(target, token, namespace)
        return target

    def add_targets(self, name: str, addresses: Iterable[str], labels: Mapping[str, str] | None = None) -> None:
        """Let Prometheus scrape `addresses` (host:port) at /metrics; calling again with this name replaces them."""
        target = self.workdir / "targets" / f"{name}.json"
        scratch = target.with_suffix(".new")
        scratch.write_text(json.dumps([{"targets": list(addresses), "labels": dict(labels or {})}]))
        scratch.rename(target)

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The result vector of an instant query."""
        url = f"{self.prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': promql})}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def weights(self, host: str, route: str = "") -> dict[str, int]:
        """How Envoy splits requests for `host` now: see `lab.gateway.weights`."""
        return gateway.weights(self.envoy_admin_url, host, route)

    def envoy_clusters(self) -> dict[str, dict[str, bool]]:
        """Endpoints that Envoy knows: cluster name -> address -> whether it is healthy."""
        return gateway.clusters(self.envoy_admin_url)

    def program(self, name: str) -> Path:
        """A built program that is not part of the cluster, such as helm."""
        return self._programs[name] / name

    # -- disturbing it -----------------------------------------------------------------------------------------------

    def pause(self, name: str) -> None:
        """Freeze a program (SIGSTOP): connections stay open, nothing answers."""
        self._process(name).send(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._process(name).send(signal.SIGCONT)

    def kill(self, name: str) -> None:
        """kill -9: connections break at once, new ones are refused."""
        self._process(name).stop(signal.SIGKILL)

    def restart(self, name: str) -> None:
        """Start a program again (after ending it, if it runs) and wait until it serves. Its data is kept."""
        process = self._process(name)
        process.stop(signal.SIGTERM)
        process.start()
        process.wait_ready()

    # -- starting and stopping ---------------------------------------------------------------------------------------

    def _start_control_plane(
        self, *, instant_pods: bool, drain: float, endpoint_delay: str, audited: Sequence[str]
    ) -> None:
        parts = self.components
        self._launch(parts.etcd())
        self._launch(parts.api_server(audited))
        self._ready("etcd")
        self._ready("kube-apiserver")
        authority = str(parts.certificates / "apiserver.crt")
        self.client = Client(self.api_url, self._token, authority)
        self._write_kubeconfig(self.kubeconfig, self._token, "default")
        self._launch(parts.kubelet(instant=instant_pods, drain=drain))
        self._launch(parts.controller_manager(endpoint_delay))

    def _start_traffic(
        self, *, istio: bool, envoy: bool, webhook: bool, debounce: str, scrape_interval: str | None
    ) -> None:
        parts = self.components
        if istio:
            self.client.create(manifests.namespace("istio-system"))
            self._create_istio_crds()
            self._launch(parts.istiod(debounce))
        if scrape_interval:
            self._launch(parts.prometheus(scrape_interval))
        self._ready("kubelet")
        if istio:
            self._ready("istiod")
            if webhook:
                self.client.apply(manifests.istio_webhook())
        if envoy:
            self._launch(parts.envoy())
            self._ready("envoy")
        if istio and envoy:
            self.client.apply(manifests.gateway())
            wait_for(_gateway_listens, "the gateway listening on port 80", timeout=60)
            self._mark("gateway")
        if scrape_interval:
            self._ready("prometheus")
        self._ready("kube-controller-manager")
        wait_for(
            lambda: self.client.get("ServiceAccount", "default", "default"),
            "the service account of the namespace default, which the controller manager makes",
        )
        self._mark("all")

    def _create_istio_crds(self) -> None:
        definitions = json.loads((self._programs["istiod"] / "istio-crds.json").read_text())
        with ThreadPoolExecutor(4) as pool:
            created = list(pool.map(self.client.create, definitions))

        def served() -> bool:
            """Asked through discovery: the definitions themselves are a megabyte."""
            for spec in (definition["spec"] for definition in created):
                for version in spec["versions"]:
                    self.client.path(spec["names"]["kind"], api_version=f"{spec['group']}/{version['name']}")
            return True

        wait_for(served, "the API server serving the kinds of Istio")
        self._mark("crds")

    def _launch(self, process: Process) -> None:
        self.processes[process.name] = process
        process.start()

    def _ready(self, name: str) -> None:
        self.processes[name].wait_ready()
        self._mark(name)

    def _mark(self, what: str) -> None:
        self.timings[what] = round(time.monotonic() - self._began, 2)

    def _stop(self) -> None:
        """End everything, the API server's clients first so that their logs don't fill with its absence."""
        order = list(reversed(self.processes.values()))
        for process in order:
            process.send(signal.SIGCONT)
            process.send(signal.SIGKILL)
        for process in order:
            process.stop()
        self.client.close()

    def _process(self, name: str) -> Process:
        if name not in self.processes:
            raise LabError(f"This lab runs no {name}; it runs {', '.join(self.processes)}.")
        return self.processes[name]

    def _run(self, command: list[str], text: str | None, kubeconfig: Path) -> str:
        helm_home = str(self.workdir / "helm")
        environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "HELM_CACHE_HOME": helm_home,
            "HELM_CONFIG_HOME": helm_home,
            "HELM_DATA_HOME": helm_home,
            "KUBECACHEDIR": str(self.workdir / "kubectl-cache"),
        }
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            shown = " ".join([Path(command[0]).name, *command[1:]])
            raise LabError(f"`{shown}` failed with code {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def _write_kubeconfig(self, path: Path, token: str, namespace: str) -> None:
        authority = (self.components.certificates / "apiserver.crt").read_bytes()
        cluster = {"server": self.api_url, "certificate-authority-data": base64.b64encode(authority).decode()}
        context = {"cluster": "lab", "user": "lab", "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "lab", "user": {"token": token}}],
            "contexts": [{"name": "lab", "context": context}],
            "current-context": "lab",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=1))


def _gateway_listens() -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", 80)) == 0


__all__ = ["ApiError", "Lab", "LabError", "wait_for"]
