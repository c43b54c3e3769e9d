"""The command lines of the lab's programs. Most settings were found by failure; `docs/lab.md` says which and why."""

from __future__ import annotations

import base64
import json
import os
import secrets
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab import gateway, toolchain
from lab.paths import REPOSITORY
from lab.processes import Process

API_URL = "https://127.0.0.1:6443"
PROMETHEUS_URL = "http://127.0.0.1:9090"
ENVOY_ADMIN_URL = f"http://127.0.0.1:{gateway.ADMIN_PORT}"
ISTIOD_URL = "http://127.0.0.1:15008"
_ETCD_URL = "http://127.0.0.1:2379"


class Components:
    """Makes the processes of one lab, with their files in `workdir`.

    programs: directory of each built program; token: the administrator's.
    """

    def __init__(self, workdir: Path, programs: Mapping[str, Path], token: str) -> None:
        self.workdir = workdir
        self.token = token
        self.programs = programs
        self.kubeconfig = workdir / "admin.kubeconfig"
        self.certificates = workdir / "certificates"
        self._unverified = ssl.create_default_context()
        self._unverified.check_hostname = False
        self._unverified.verify_mode = ssl.CERT_NONE

    def etcd(self) -> Process:
        peer = "http://127.0.0.1:2380"
        return self._process(
            "etcd",
            [
                f"--data-dir={self.workdir / 'etcd'}",
                f"--listen-client-urls={_ETCD_URL}",
                f"--advertise-client-urls={_ETCD_URL}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",
                "--log-level=warn",
            ],
            ready=lambda: self._answers(f"{_ETCD_URL}/health"),
        )

    def api_server(self, audited: Sequence[str] = ()) -> Process:
        """audited: users whose requests the audit log names, one JSON object a line."""
        self.certificates.mkdir(exist_ok=True)
        key = _private(self.certificates / "service-accounts.key", _new_signing_key())
        tokens = _private(self.certificates / "tokens.csv", f'{self.token},admin,admin,"system:masters"\n')
        return self._process(
            "kube-apiserver",
            [
                f"--etcd-servers={_ETCD_URL}",
                f"--cert-dir={self.certificates}",
                "--secure-port=6443",
                "--bind-address=127.0.0.1",
                "--advertise-address=10.0.0.1",
                "--service-cluster-ip-range=10.96.0.0/16",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                f"--token-auth-file={tokens}",
                "--authorization-mode=RBAC",
                "--disable-admission-plugins=ServiceAccount",
                "--endpoint-reconciler-type=none",
                "--enable-aggregator-routing=true",  # to a Service's pods: nothing leads from its cluster IP to them
                "--kubelet-preferred-address-types=InternalIP",  # the node's name is known to nobody
                "--max-requests-inflight=2000",
                "--max-mutating-requests-inflight=1000",
                *self._audit(audited),
            ],
            ready=lambda: self._answers(f"{API_URL}/readyz"),
        )

    def controller_manager(self, endpoint_delay: str) -> Process:
        return self._process(
            "kube-controller-manager",
            [
                f"--kubeconfig={self.kubeconfig}",
                "--leader-elect=false",
                "--controllers=*,-node-lifecycle-controller,-node-ipam-controller,-persistentvolume-binder-controller",
                "--kube-api-qps=500",
                "--kube-api-burst=1000",
                "--concurrent-deployment-syncs=10",
                f"--endpointslice-updates-batch-period={endpoint_delay}",
                # An autoscaler looks every second, and at pods that are as young.
                "--horizontal-pod-autoscaler-sync-period=1s",
                "--horizontal-pod-autoscaler-initial-readiness-delay=1s",
                "--horizontal-pod-autoscaler-cpu-initialization-period=1s",
                "--bind-address=127.0.0.1",
                f"--cert-dir={self.certificates}",
            ],
        )

    def kubelet(self, *, instant: bool, drain: float) -> Process:
        options = ["--instant"] if instant else []
        watching = self.workdir / "kubelet.pid"
        kubelet = Process(
            "kubelet",
            [
                sys.executable,
                "-m",
                "lab.kubelet",
                f"--server={API_URL}",
                f"--ca={self.certificates / 'apiserver.crt'}",
                f"--certificate={self.certificates / 'apiserver.crt'}",
                f"--key={self.certificates / 'apiserver.key'}",
                f"--workdir={self.workdir}",
                f"--drain={drain}",
                *options,
            ],
            self.workdir / "kubelet.log",
            environment={**os.environ, "LAB_TOKEN": self.token, "PYTHONPATH": str(REPOSITORY)},
        )
        kubelet.ready = lambda: watching.exists() and watching.read_text() == str(kubelet.pid)
        return kubelet

    def istiod(self, debounce: str) -> Process:
        home = self.workdir / "istiod"
        home.mkdir(exist_ok=True)
        mesh = home / "mesh.yaml"
        mesh.write_text(json.dumps(_MESH))
        return self._process(
            "istiod",
            [
                "discovery",
                f"--kubeconfig={self.kubeconfig}",
                "--registries=Kubernetes",
                "--namespace=istio-system",
                f"--meshConfig={mesh}",
                "--httpAddr=127.0.0.1:15008",
                "--httpsAddr=127.0.0.1:15017",
                f"--grpcAddr=127.0.0.1:{gateway.XDS_PORT}",
                "--secureGRPCAddr=127.0.0.1:15012",
                "--monitoringAddr=127.0.0.1:15014",
                "--ctrlz_port=0",
                "--ctrlz_address=127.0.0.1",
            ],
            ready=lambda: self._answers(f"{ISTIOD_URL}/ready"),
            environment={**os.environ, **_ISTIOD_ENVIRONMENT, "PILOT_DEBOUNCE_AFTER": debounce},
            cwd=home,  # it looks for certificates below its working directory
        )

    def envoy(self) -> Process:
        config = self.workdir / "envoy.yaml"
        config.write_text(json.dumps(gateway.bootstrap()))
        # Without --disable-hot-restart Envoy changes its own parent-death signal and ends with the thread that
        # started it.
        command = [str(toolchain.envoy()), "-c", str(config), "--concurrency", "1", "--disable-hot-restart"]
        return Process(
            "envoy",
            [*command, "--log-level", "warning"],
            self.workdir / "envoy.log",
            ready=lambda: self._answers(f"{ENVOY_ADMIN_URL}/server_info"),
        )

    def prometheus(self, scrape_interval: str) -> Process:
        targets = self.workdir / "targets"
        targets.mkdir(exist_ok=True)
        config = self.workdir / "prometheus.yaml"
        config.write_text(json.dumps(_prometheus_config(scrape_interval, targets)))
        return self._process(
            "prometheus",
            [
                f"--config.file={config}",
                f"--storage.tsdb.path={self.workdir / 'prometheus'}",
                "--storage.tsdb.no-lockfile",
                f"--web.listen-address={PROMETHEUS_URL.removeprefix('http://')}",
                "--web.enable-lifecycle",
                "--log.level=warn",
            ],
            ready=lambda: self._answers(f"{PROMETHEUS_URL}/-/ready"),
        )

    def _audit(self, users: Sequence[str]) -> list[str]:
        if not users:
            return []
        policy = self.workdir / "audit-policy.json"
        rules = [{"level": "Metadata", "users": list(users)}, {"level": "None"}]
        kind = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
        policy.write_text(json.dumps({**kind, "omitStages": ["RequestReceived", "ResponseStarted"], "rules": rules}))
        return [f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log}"]

    @property
    def audit_log(self) -> Path:
        """Where the API server writes what audited users ask for."""
        return self.workdir / "audit.log"

    def _process(self, name: str, arguments: list[str], **settings: Any) -> Process:
        binary = self.programs[name] / name
        return Process(name, [str(binary), *arguments], self.workdir / f"{name}.log", **settings)

    def _answers(self, url: str) -> bool:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=2, context=self._unverified):
                return True
        except (OSError, urllib.error.HTTPError):
            return False


_ISTIOD_ENVIRONMENT = {
    "POD_NAMESPACE": "istio-system",
    "POD_NAME": "istiod-lab",
    "CLUSTER_ID": "Kubernetes",
    "REVISION": "default",
    "ISTIOD_CUSTOM_HOST": "localhost",  # the name in the certificate of its webhook
    "ENABLE_LEADER_ELECTION": "false",
    "INJECT_ENABLED": "false",
    # Filters that only Istio's own proxy has: Envoy would refuse every cluster and listener.
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_DISABLE_MX_ALPN": "true",
    "PILOT_ENABLE_TELEMETRY_LABEL": "false",
    "PILOT_ENDPOINT_TELEMETRY_LABEL": "false",
    "PILOT_ENABLE_AMBIENT": "false",
    "PILOT_ENABLE_GATEWAY_API": "true",
    "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": "false",
}

_MESH = {
    "accessLogFile": "",
    "enableAutoMtls": False,  # else Envoy waits for certificates that only Istio's agent provides
    "enableTracing": False,
    "enablePrometheusMerge": False,
    "ingressControllerMode": "OFF",
    "defaultProviders": {},  # a metrics provider would bring a filter that only Istio's own proxy has
    "extensionProviders": [],
    "trustDomain": "cluster.local",
    "rootNamespace": "istio-system",
    "defaultConfig": {"discoveryAddress": "127.0.0.1:15012"},
}


def _prometheus_config(interval: str, targets: Path) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "scrape_configs": [
            {
                "job_name": "envoy",
                "metrics_path": "/stats/prometheus",
                "params": {"usedonly": [""], "filter": [gateway.SCRAPED_STATS]},
                "static_configs": [{"targets": [f"127.0.0.1:{gateway.ADMIN_PORT}"]}],
            },
            {
                "job_name": "files",
                "file_sd_configs": [{"files": [f"{targets}/*.json"], "refresh_interval": "5s"}],
            },
        ],
    }


def _private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def _new_signing_key() -> str:
    """A fresh P-256 key for service account tokens, as PEM.

    An EC private key is a random number below the order of the curve in a fixed DER frame (RFC 5915, without the
    optional public key), so no library for it is needed.
    """
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    scalar = (secrets.randbelow(order - 1) + 1).to_bytes(32, "big")
    prime256v1 = bytes.fromhex("a00a06082a8648ce3d030107")
    der = bytes.fromhex("30310201010420") + scalar + prime256v1
    return f"-----BEGIN EC PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END EC PRIVATE KEY-----\n"
