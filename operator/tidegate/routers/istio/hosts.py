"""Which Service a host in an Istio object stands for.

Argo Rollouts compares hosts up to the first dot, so `api.shop` and `api.billing` are one to it and a route to
another team's Service gets this Rollout's weights. Here a host is always read with its namespace.
"""

from __future__ import annotations

from typing import Final

from tidegate.core.plan import Key

_DOMAIN: Final = "svc.cluster.local"


def fqdn(host: str, namespace: str) -> str:
    """The full name of a host as read in `namespace`, where short names are at home.

    Understood are `name`, `name.namespace`, `name.namespace.svc` and the full name in any cluster domain. Istio
    itself takes `name.namespace` for a name on the internet, but manifests for Argo Rollouts are full of it.
    Anything else (a name on the internet, `*`, `*.some.domain`) comes back as it is.
    """
    parts = host.split(".")
    if host == "*" or not host:
        return host
    if len(parts) == 1:
        return f"{host}.{namespace}.{_DOMAIN}"
    if len(parts) == 2 or parts[2] == "svc":
        return f"{parts[0]}.{parts[1]}.{_DOMAIN}"
    return host


def service(host: str, namespace: str) -> Key | None:
    """The Service that a host stands for as read in `namespace`; None for a name on the internet, or for many."""
    parts = fqdn(host, namespace).split(".")
    return Key("Service", parts[1], parts[0]) if len(parts) > 3 and parts[2] == "svc" else None


def covers(pattern: str, name: str) -> bool:
    """Whether a DestinationRule for `pattern` applies to `name`, both in full; it may begin with a wildcard."""
    return pattern == name or (pattern.startswith("*") and name.endswith(pattern[1:]))
