"""A stand-in for metrics-server: the resource metrics API, for the autoscaler of kube-controller-manager.

It stands at the outermost boundary: the API server forwards to it by an APIService, as it would to the real one. What
users cause is told it as CPU per namespace; the ready pods that they reach share that evenly.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from lab.client import wait_for
from lab.cluster import Lab
from lab.netns import GATEWAY_ADDRESS
from tests.serving import serving

GROUP: Final = "metrics.k8s.io"
VERSION: Final = f"{GROUP}/v1beta1"
_SERVICE: Final = "metrics-server"
_RESOURCES: Final = [{"name": "pods", "kind": "PodMetrics", "namespaced": True, "verbs": ["get", "list"]}]

Obj = dict[str, Any]


@dataclass
class MetricsServer:
    """What is asked and answered.

    load: milli-CPU by namespace. service: whose pods share it, where it is not all that are asked for.
    asked: the selectors of the questions, by namespace.
    """

    lab: Lab
    load: dict[str, int] = field(default_factory=dict)
    service: dict[str, str] = field(default_factory=dict)
    asked: dict[str, list[str]] = field(default_factory=dict)

    def answer(self, path: str) -> Obj:
        parts = urlsplit(path)
        if not parts.path.endswith("/pods"):
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": VERSION, "resources": _RESOURCES}
        namespace = parts.path.split("/")[-2]
        (selector,) = parse_qs(parts.query).get("labelSelector", [""])
        self.asked.setdefault(namespace, []).append(selector)
        pods = [pod for pod in self.lab.client.list("Pod", namespace, selector=selector) if _is_ready(pod)]
        reached = {pod["metadata"]["name"] for pod in pods} & self._reached(namespace)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        share = self.load.get(namespace, 0) // max(len(reached), 1)
        items = []
        for pod in pods:
            usage = {"cpu": f"{share if pod['metadata']['name'] in reached else 0}m", "memory": "1Mi"}
            names = [container["name"] for container in pod["spec"]["containers"]]
            containers = [{"name": name, "usage": usage} for name in names]
            items.append({"metadata": pod["metadata"], "timestamp": now, "window": "1s", "containers": containers})
        return {"kind": "PodMetricsList", "apiVersion": VERSION, "metadata": {}, "items": items}

    def _reached(self, namespace: str) -> set[str]:
        chosen = ""
        if service := self.service.get(namespace):
            labels = self.lab.client.get("Service", service, namespace)["spec"]["selector"]
            chosen = ",".join(f"{name}={value}" for name, value in labels.items())
        return {pod["metadata"]["name"] for pod in self.lab.client.list("Pod", namespace, selector=chosen)}


@contextmanager
def metrics_server(lab: Lab) -> Iterator[MetricsServer]:
    """Serve until the end of the block. Without it the API must not stay registered: no namespace could be deleted."""
    server = MetricsServer(lab)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.dumps(server.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = lab.components.certificates
    own.load_cert_chain(folder / "apiserver.crt", folder / "apiserver.key")
    with serving(Handler, own, address=GATEWAY_ADDRESS) as port:
        lab.apply(_registration(port))
        try:
            wait_for(lambda: lab.client.request("GET", f"/apis/{VERSION}"), "the metrics API")
            yield server
        finally:
            lab.client.delete("APIService", f"v1beta1.{GROUP}", api_version="apiregistration.k8s.io/v1")
            lab.client.delete("EndpointSlice", _SERVICE, "kube-system", api_version="discovery.k8s.io/v1")
            lab.client.delete("Service", _SERVICE, "kube-system")


def _registration(port: int) -> list[Obj]:
    service = {"name": _SERVICE, "namespace": "kube-system", "port": port}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": _SERVICE, "namespace": "kube-system"},
            "spec": {"ports": [{"port": port}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": _SERVICE,
                "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": _SERVICE},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [GATEWAY_ADDRESS]}],
            "ports": [{"name": "", "port": port, "protocol": "TCP"}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"v1beta1.{GROUP}"},
            "spec": {
                "group": GROUP,
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": service,
            },
        },
    ]


def _is_ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return "deletionTimestamp" not in pod["metadata"] and any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions
    )
