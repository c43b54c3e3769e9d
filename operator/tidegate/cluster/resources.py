"""Which kinds Tidegate touches and where the API server serves them.

A fixed table instead of discovery: no request at start-up, and the chart's role names the same kinds. A new
kind is one line here and one in that role.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tidegate.core.plan import Key


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind. `group` is empty for the core API."""

    kind: str
    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def collection(self, namespace: str = "") -> str:
        """The path of all objects of this kind, or of those in one namespace."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            return f"{root}/namespaces/{namespace}/{self.plural}"
        return f"{root}/{self.plural}"

    def path(self, namespace: str, name: str, subresource: str = "") -> str:
        tail = f"/{subresource}" if subresource else ""
        return f"{self.collection(namespace)}/{name}{tail}"


_ARGO: Final = ("argoproj.io", "v1alpha1")
# v1 is served since Istio 1.22. It has the fields of v1alpha3, the version that manifests and Argo's defaults
# name: the API server converts between them without touching anything else.
_ISTIO: Final = ("networking.istio.io", "v1")
_FLAGGER: Final = ("flagger.app", "v1beta1")

RESOURCES: Final[dict[str, Resource]] = {
    resource.kind: resource
    for resource in (
        Resource("Rollout", *_ARGO, "rollouts"),
        Resource("AnalysisTemplate", *_ARGO, "analysistemplates"),
        Resource("ClusterAnalysisTemplate", *_ARGO, "clusteranalysistemplates", namespaced=False),
        Resource("AnalysisRun", *_ARGO, "analysisruns"),
        Resource("Experiment", *_ARGO, "experiments"),
        Resource("ReplicaSet", "apps", "v1", "replicasets"),
        Resource("LooseReplicaSet", "apps", "v1", "replicasets"),  # Those that are no Rollout's.
        Resource("Deployment", "apps", "v1", "deployments"),
        Resource("PodTemplate", "", "v1", "podtemplates"),
        Resource("Service", "", "v1", "services"),
        Resource("ConfigMap", "", "v1", "configmaps"),
        Resource("Secret", "", "v1", "secrets"),
        Resource("Pod", "", "v1", "pods"),
        Resource("EndpointSlice", "discovery.k8s.io", "v1", "endpointslices"),
        Resource("Event", "", "v1", "events"),
        Resource("Job", "batch", "v1", "jobs"),
        Resource("VirtualService", *_ISTIO, "virtualservices"),
        Resource("DestinationRule", *_ISTIO, "destinationrules"),
        Resource("Lease", "coordination.k8s.io", "v1", "leases"),
        # Only the page asks for these: who somebody is, and what they may.
        Resource("TokenReview", "authentication.k8s.io", "v1", "tokenreviews", namespaced=False),
        Resource("SubjectAccessReview", "authorization.k8s.io", "v1", "subjectaccessreviews", namespaced=False),
        Resource("SelfSubjectAccessReview", "authorization.k8s.io", "v1", "selfsubjectaccessreviews", namespaced=False),
        # Only the command line asks for these.
        Resource("Canary", *_FLAGGER, "canaries"),
        Resource("MetricTemplate", *_FLAGGER, "metrictemplates"),
    )
} | {
    # The store keeps the pods of an analysis' Jobs apart from any others, for each kind in it has one selector.
    "JobPod": Resource("Pod", "", "v1", "pods"),
}


def resource_of(kind: str) -> Resource:
    """The entry of a kind. Raises KeyError naming those that exist."""
    try:
        return RESOURCES[kind]
    except KeyError:
        raise KeyError(f"kind {kind!r} is not in the table of resources; there are {_names(RESOURCES)}") from None


def path_of(key: Key, subresource: str = "") -> str:
    """The path of one object."""
    return resource_of(key.kind).path(key.namespace, key.name, subresource)


def _names(kinds: Iterable[str]) -> str:
    return ", ".join(sorted(kinds))
