"""Envoy as the ingress gateway: its bootstrap, and what it tells about itself.

A vanilla Envoy takes its routes from istiod, without Istio's own proxy or agent. What the data plane really does is
read from here, not from the VirtualService.
"""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

from lab.netns import GATEWAY_ADDRESS

ADMIN_PORT = 15000
XDS_PORT = 15010

SCRAPED_STATS = r"^cluster.outbound.*\.(upstream_rq_(total|[0-9]xx|[0-9]+|time)|upstream_rq_timeout)$"
"""Which of Envoy's statistics Prometheus asks for: a page of a few lines a cluster in place of thousands."""

LATENCY_BUCKETS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 300, 400, 500, 750, 1000, 2000, 5000, 10000]

_TRY_AGAIN = {"retry_back_off": {"base_interval": "0.25s", "max_interval": "1s"}}
"""How istiod is looked for when it is away. Envoy's own choice grows to 30 s, for which it leads by old routes."""


def bootstrap() -> dict[str, Any]:
    """The bootstrap configuration. The stat tags are those that Istio's own proxy uses, so queries carry over."""
    ads: dict[str, Any] = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    http2 = {"http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "10s"}}}
    return {
        "node": {
            "id": f"router~{GATEWAY_ADDRESS}~gateway.istio-system~istio-system.svc.cluster.local",
            "cluster": "gateway.istio-system",
            "metadata": {
                "NAMESPACE": "istio-system",
                "CLUSTER_ID": "Kubernetes",
                "ISTIO_VERSION": "1.31.0",
                "LABELS": {"istio": "ingressgateway", "app": "gateway"},
                "NAME": "gateway",
                "WORKLOAD_NAME": "gateway",
                "INSTANCE_IPS": GATEWAY_ADDRESS,
                "MESH_ID": "cluster.local",
            },
        },
        "admin": {"address": _socket("127.0.0.1", ADMIN_PORT)},
        "stats_flush_interval": "1s",  # histograms lag behind counters by up to this
        "stats_config": {
            "use_all_default_tags": False,
            "stats_tags": [
                {"tag_name": "cluster_name", "regex": r"^cluster(\.(.+);)"},
                {"tag_name": "response_code", "regex": r"_rq(_(\d{3}))$"},
                {"tag_name": "response_code_class", "regex": r"_rq(_(\dxx))$"},
                {
                    "tag_name": "http_conn_manager_prefix",
                    "regex": r"^http\.(((?:[_.[:digit:]\w]*|[_\[\]aAbBcCdDeEfF[:digit:]\w\:]*));\.)",
                },
            ],
            "histogram_bucket_settings": [
                {"match": {"safe_regex": {"regex": r"^cluster\..*"}}, "buckets": LATENCY_BUCKETS_MS}
            ],
        },
        "dynamic_resources": {
            "lds_config": ads,
            "cds_config": ads,
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc", "retry_policy": _TRY_AGAIN}}],
            },
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds-grpc",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "load_assignment": {
                        "cluster_name": "xds-grpc",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _socket("127.0.0.1", XDS_PORT)}}]}],
                    },
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                            "explicit_http_config": http2,
                        }
                    },
                }
            ]
        },
    }


def weights(admin_url: str, host: str, route: str = "") -> dict[str, int]:
    """How the gateway splits requests for `host` now: cluster name to weight.

    route: the `name` of the entry in the VirtualService's `http`; the last one, which is the catch-all, if empty.
    Empty if Envoy has no such host or route. A route to one destination only shows as weight 100.
    """
    dump = _get_json(f"{admin_url}/config_dump?resource=dynamic_route_configs")
    for config in dump.get("configs", []):
        for virtual_host in config.get("route_config", {}).get("virtual_hosts", []):
            if host not in virtual_host.get("domains", []):
                continue
            routes = [r for r in virtual_host.get("routes", []) if not route or r.get("name") == route]
            if routes:
                return _split(routes[-1].get("route", {}))
    return {}


def clusters(admin_url: str) -> dict[str, dict[str, bool]]:
    """The endpoints that the gateway knows: cluster name -> address -> whether it is healthy."""
    found: dict[str, dict[str, bool]] = {}
    with urllib.request.urlopen(f"{admin_url}/clusters", timeout=10) as answer:
        text = answer.read().decode()
    for cluster, address, flags in re.findall(r"^(outbound\S+?)::([^:]+:\d+)::health_flags::(\S+)$", text, re.M):
        found.setdefault(cluster, {})[address] = flags == "healthy"
    return found


def _split(action: dict[str, Any]) -> dict[str, int]:
    if "cluster" in action:
        return {action["cluster"]: 100}
    return {c["name"]: c.get("weight", 0) for c in action.get("weighted_clusters", {}).get("clusters", [])}


def _get_json(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _socket(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}
