"""The defaults that the API server fills into a pod template, so that a Rollout's can be compared with a ReplicaSet's.

A template inside a Rollout is stored as the user wrote it; the copy inside a ReplicaSet comes back complete. Before
the two are compared, what SetObjectDefaults_PodTemplate of k8s.io/kubernetes does is done to both, which also helps
where one side was completed by an older API server. Only defaults of templates count: that requests follow from
limits, or host ports from container ports, happens to pods alone.

All functions here change the `MEANING` view in place. That view holds no zero values, so "not in" reads "unset".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

_Object = dict[str, Any]

_FILE_MODE: Final = 0o644
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS: Final = ("postStart", "preStop")

# Volume sources with nothing but plain defaults.
_SOURCE_DEFAULTS: Final[dict[str, _Object]] = {
    "hostPath": {"type": ""},
    "secret": {"defaultMode": _FILE_MODE},
    "configMap": {"defaultMode": _FILE_MODE},
    "downwardAPI": {"defaultMode": _FILE_MODE},
    "projected": {"defaultMode": _FILE_MODE},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def with_defaults(template: _Object) -> _Object:
    """Complete the `MEANING` view of a pod template. Returns it."""
    spec = template.setdefault("spec", {})
    # `serviceAccount` is the old name of `serviceAccountName`; the server keeps both, a user writes one.
    alias = spec.pop("serviceAccount", None)
    if alias:
        spec.setdefault("serviceAccountName", alias)
    _fill(
        spec,
        dnsPolicy="ClusterFirst",
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        schedulerName="default-scheduler",
    )
    spec.setdefault("securityContext", {})
    for volume in spec.get("volumes", ()):
        _volume(volume)
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind, ()):
            _container(container)
    return template


def _fill(target: _Object, **values: object) -> None:
    for name, value in values.items():
        target.setdefault(name, value)


def _volume(volume: _Object) -> None:
    if not volume.keys() - {"name"}:
        volume["emptyDir"] = {}
    for source, values in _SOURCE_DEFAULTS.items():
        if source in volume:
            _fill(volume[source], **values)
    _field_refs(volume.get("downwardAPI", {}).get("items", ()))
    for projection in volume.get("projected", {}).get("sources", ()):
        _field_refs(projection.get("downwardAPI", {}).get("items", ()))
        if "serviceAccountToken" in projection:
            _fill(projection["serviceAccountToken"], expirationSeconds=3600)
    if "image" in volume:
        _fill(volume["image"], pullPolicy=_pull_policy(volume["image"].get("reference", "")))
    if "volumeClaimTemplate" in volume.get("ephemeral", {}):
        _fill(volume["ephemeral"]["volumeClaimTemplate"].setdefault("spec", {}), volumeMode="Filesystem")


def _container(container: _Object) -> None:
    _fill(
        container,
        imagePullPolicy=_pull_policy(container.get("image", "")),
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    for port in container.get("ports", ()):
        _fill(port, protocol="TCP")
    sources = [variable["valueFrom"] for variable in container.get("env", ()) if "valueFrom" in variable]
    _field_refs(sources)
    for source in sources:
        if "fileKeyRef" in source:
            _fill(source["fileKeyRef"], optional=False)
    for name in _PROBES:
        if name in container:
            _probe(container[name])
    for name in _HOOKS:
        _http_get(container.get("lifecycle", {}).get(name, {}))


def _probe(probe: _Object) -> None:
    _fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    _http_get(probe)
    if "grpc" in probe:
        _fill(probe["grpc"], service="")


def _http_get(handler: _Object) -> None:
    if "httpGet" in handler:
        _fill(handler["httpGet"], path="/", scheme="HTTP")


def _field_refs(holders: Iterable[_Object]) -> None:
    for holder in holders:
        if "fieldRef" in holder:
            _fill(holder["fieldRef"], apiVersion="v1")


# The grammar of github.com/distribution/reference, from a name as users write it.
_DOMAIN_PART: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_PATH_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*"
_IMAGE: Final = re.compile(
    rf"(?:(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?"
    rf"{_PATH_PART}(?:/{_PATH_PART})*"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?P<digest>@(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}))?",
    re.ASCII,
)
_IMAGE_ID: Final = re.compile(r"[a-f0-9]{64}", re.ASCII)


def _pull_policy(image: str) -> str:
    """Always for the tag `latest`, written or implied; a name that can't be parsed counts as tagged."""
    parts = None if _IMAGE_ID.fullmatch(image) else _IMAGE.fullmatch(image)
    if parts is None:
        return "IfNotPresent"
    tag = parts["tag"] or ("" if parts["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"
