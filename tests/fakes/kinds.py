"""The kinds that the fake API serves, and what the real server adds to or refuses in each.

Only what the operator can notice: defaults that come back in a response, fields that a create drops,
selectors that can't change. Custom kinds get no defaults, and their unknown fields are kept, which the real
server prunes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from .selectors import object_selector

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """How one kind behaves.

    status: it has a status subresource.
    generation: metadata.generation counts changes outside metadata (and outside status, where that is apart).
    custom: defined by a CRD; its status writes can't touch metadata, its list items have kind and apiVersion.
    unconditional: a PUT without resourceVersion is accepted.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    status: bool = False
    generation: bool = False
    custom: bool = False
    unconditional: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def prefix(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def qualified_plural(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind

    def path(self, name: str = "", namespace: str = "", subresource: str = "") -> str:
        parts = [self.prefix]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


def custom(
    group: str, version: str, kind: str, plural: str, *, namespaced: bool = True, status: bool = True
) -> Resource:
    return Resource(
        group,
        version,
        kind,
        plural,
        namespaced=namespaced,
        status=status,
        generation=True,
        custom=True,
        unconditional=False,
    )


RESOURCES: Final = (
    Resource("", "v1", "Namespace", "namespaces", namespaced=False, status=True),
    Resource("", "v1", "ConfigMap", "configmaps"),
    Resource("", "v1", "Secret", "secrets"),
    Resource("", "v1", "Service", "services", status=True),
    Resource("", "v1", "Pod", "pods", status=True, generation=True),
    Resource("", "v1", "Event", "events"),
    Resource("events.k8s.io", "v1", "Event", "events"),
    Resource("apps", "v1", "ReplicaSet", "replicasets", status=True, generation=True),
    Resource("apps", "v1", "Deployment", "deployments", status=True, generation=True),
    Resource("batch", "v1", "Job", "jobs", status=True, generation=True),
    Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", generation=True),
    Resource("coordination.k8s.io", "v1", "Lease", "leases", unconditional=False),
    custom("argoproj.io", "v1alpha1", "Rollout", "rollouts"),
    custom("argoproj.io", "v1alpha1", "AnalysisRun", "analysisruns", status=False),
    custom("argoproj.io", "v1alpha1", "AnalysisTemplate", "analysistemplates", status=False),
    custom(
        "argoproj.io",
        "v1alpha1",
        "ClusterAnalysisTemplate",
        "clusteranalysistemplates",
        namespaced=False,
        status=False,
    ),
    custom("argoproj.io", "v1alpha1", "Experiment", "experiments", status=False),
    custom("networking.istio.io", "v1", "VirtualService", "virtualservices"),
    custom("networking.istio.io", "v1", "DestinationRule", "destinationrules"),
    custom("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
)

_SUBDOMAIN: Final = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL: Final = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One cause of a 422."""

    reason: str
    field: str
    message: str


def on_create(resource: Resource, obj: Obj, cluster_ip: str) -> None:
    """Give a new object what the server gives it. Members of `obj` are replaced, never changed in place."""
    if resource.status and resource.kind not in ("Namespace", "Pod"):
        obj.pop("status", None)
    if resource.kind == "ReplicaSet":
        obj["status"] = {"replicas": 0}
    if resource.kind == "Service":
        spec = {"clusterIP": cluster_ip} | obj.get("spec", {})
        obj["spec"] = {"clusterIPs": [spec["clusterIP"]]} | spec
        obj["status"] = {"loadBalancer": {}}
    default(resource, obj)


def default(resource: Resource, obj: Obj) -> None:
    """Fill in what the server fills in on every write of a built-in kind."""
    spec: Obj = obj.get("spec") or {}
    if resource.kind == "ReplicaSet":
        obj["spec"] = {"replicas": 1} | spec
        if isinstance(template := spec.get("template"), dict):
            obj["spec"]["template"] = {"metadata": {}} | template | {"spec": _pod_defaults(template.get("spec") or {})}
    if resource.kind == "Service":
        obj["spec"] = {
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
        } | spec
        if "ports" in spec:
            obj["spec"]["ports"] = [
                {"protocol": "TCP", "targetPort": port.get("port")} | port for port in spec.get("ports") or ()
            ]


def _pod_defaults(spec: Obj) -> Obj:
    filled: Obj = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    } | spec
    filled["containers"] = [_container_defaults(each) for each in spec.get("containers") or ()]
    return filled


def _container_defaults(container: Obj) -> Obj:
    tag = container.get("image", "").rpartition("/")[2].partition(":")[2]
    filled: Obj = {
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always" if tag in ("", "latest") else "IfNotPresent",
    } | container
    if "ports" in container:
        filled["ports"] = [{"protocol": "TCP"} | port for port in container["ports"]]
    return filled


def validate(resource: Resource, obj: Obj, old: Obj | None) -> list[FieldError]:
    """What the server refuses with 422. `old` is None for a create."""
    errors = [] if old is not None else _name_errors(resource, obj["metadata"]["name"])
    if resource.kind == "ReplicaSet":
        errors += _replicaset_errors(obj, old)
    if resource.kind == "Job" and old is None:
        errors += _job_errors(obj)
    return errors


def _name_errors(resource: Resource, name: str) -> list[FieldError]:
    pattern, limit = (_LABEL, 63) if resource.kind == "Service" else (_SUBDOMAIN, 253)
    if pattern.match(name) and len(name) <= limit:
        return []
    return [FieldError("FieldValueInvalid", "metadata.name", f'Invalid value: "{name}"')]


def _replicaset_errors(obj: Obj, old: Obj | None) -> list[FieldError]:
    spec = obj.get("spec") or {}
    selector = spec.get("selector")
    errors = []
    if not selector:
        errors.append(FieldError("FieldValueRequired", "spec.selector", "Required value"))
    if spec.get("replicas", 1) < 0:
        errors.append(
            FieldError(
                "FieldValueInvalid",
                "spec.replicas",
                f"Invalid value: {spec['replicas']}: must be greater than or equal to 0",
            )
        )
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if selector and not object_selector(selector)(labels):
        message = "Invalid value: `selector` does not match template `labels`"
        errors.append(FieldError("FieldValueInvalid", "spec.template.metadata.labels", message))
    if old is not None and selector != old["spec"].get("selector"):
        errors.append(FieldError("FieldValueInvalid", "spec.selector", "Invalid value: field is immutable"))
    return errors


def _job_errors(obj: Obj) -> list[FieldError]:
    """A Job's name becomes a label's value; its pod must not be restarted for ever."""
    errors = []
    if len(obj["metadata"]["name"]) > 63:
        errors.append(FieldError("FieldValueInvalid", "metadata.name", "Invalid value: must be no more than 63 bytes"))
    pod = obj["spec"]["template"]["spec"]
    if pod.get("restartPolicy") not in ("OnFailure", "Never"):
        message = 'Required value: valid values: "OnFailure", "Never"'
        errors.append(FieldError("FieldValueRequired", "spec.template.spec.restartPolicy", message))
    return errors
