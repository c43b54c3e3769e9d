"""The objects that demos and tests are made of, as plain dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Object = dict[str, Any]

GATEWAY = "istio-system/gateway"
"""What a VirtualService names in `gateways` to get the lab's user traffic."""

APP_IMAGE = "lab.local/app"
"""The built-in web server; its tag is the version that it reports."""

APP_PORT = 8080


def namespace(name: str, labels: Mapping[str, str] | None = None) -> Object:
    return _object("v1", "Namespace", name, "", labels=labels)


def gateway() -> Object:
    """The Gateway for all hosts on port 80, behind `GATEWAY`."""
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    spec = {"selector": {"istio": "ingressgateway"}, "servers": [server]}
    return _object("networking.istio.io/v1", "Gateway", "gateway", "istio-system", spec=spec)


def istio_webhook() -> Object:
    """Istio's validation. istiod fills in the caBundle and turns failurePolicy to Fail once it works."""
    groups = ["security.istio.io", "networking.istio.io", "telemetry.istio.io", "extensions.istio.io"]
    rule = {"operations": ["CREATE", "UPDATE"], "apiGroups": groups, "apiVersions": ["*"], "resources": ["*"]}
    webhook = {
        "name": "rev.validation.istio.io",
        "clientConfig": {"url": "https://localhost:15017/validate"},
        "rules": [rule],
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    found = _object(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "istio-validator-istio-system",
        "",
        labels={"app": "istiod", "istio.io/rev": "default"},
    )
    return {**found, "webhooks": [webhook]}


def service(name: str, namespace: str, selector: Mapping[str, str], *, port: int = 80) -> Object:
    """A Service whose port `http` leads to the app's port."""
    spec = {"selector": dict(selector), "ports": [{"name": "http", "port": port, "targetPort": APP_PORT}]}
    return _object("v1", "Service", name, namespace, spec=spec)


def app_container(version: str, env: Mapping[str, str] | None = None, **more: Any) -> Object:
    """The built-in web server as a container. env: its behaviour, such as ERROR_RATE (see lab/podserver.py)."""
    return {
        "name": "app",
        "image": f"{APP_IMAGE}:{version}",
        "ports": [{"name": "http", "containerPort": APP_PORT}],
        "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
        **more,
    }


def pod_template(labels: Mapping[str, str], *containers: Object, **spec: Any) -> Object:
    return {"metadata": {"labels": dict(labels)}, "spec": {"containers": list(containers), **spec}}


def deployment(name: str, namespace: str, template: Object, *, replicas: int = 1, **spec: Any) -> Object:
    """A Deployment that selects the template's labels."""
    selector = {"matchLabels": template["metadata"]["labels"]}
    body = {"replicas": replicas, "selector": selector, "template": template, **spec}
    return _object("apps/v1", "Deployment", name, namespace, spec=body)


def job(name: str, namespace: str, command: Iterable[str], *, image: str = "lab.local/job:1", **spec: Any) -> Object:
    container = {"name": "main", "image": image, "command": list(command)}
    template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    return _object("batch/v1", "Job", name, namespace, spec={"backoffLimit": 0, "template": template, **spec})


def destination(host: str, weight: int | None = None, *, subset: str = "", port: int = 80) -> Object:
    """One destination of a VirtualService's route."""
    target: Object = {"host": host, "port": {"number": port}}
    if subset:
        target["subset"] = subset
    return {"destination": target} if weight is None else {"destination": target, "weight": weight}


def virtual_service(name: str, namespace: str, host: str, *routes: Object) -> Object:
    """A VirtualService that gives the gateway's requests for `host` to `routes` (entries of `http`)."""
    spec = {"hosts": [host], "gateways": [GATEWAY], "http": list(routes)}
    return _object("networking.istio.io/v1", "VirtualService", name, namespace, spec=spec)


def destination_rule(name: str, namespace: str, host: str, subsets: Mapping[str, Mapping[str, str]]) -> Object:
    """A DestinationRule. subsets: name -> labels of its pods."""
    spec = {
        "host": host,
        "subsets": [{"name": subset, "labels": dict(labels)} for subset, labels in subsets.items()],
    }
    return _object("networking.istio.io/v1", "DestinationRule", name, namespace, spec=spec)


def _object(
    api_version: str,
    kind: str,
    name: str,
    namespace: str,
    *,
    spec: Object | None = None,
    labels: Mapping[str, str] | None = None,
) -> Object:
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(labels)
    found: Object = {"apiVersion": api_version, "kind": kind, "metadata": metadata}
    return found if spec is None else {**found, "spec": spec}
