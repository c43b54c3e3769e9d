"""What one process of the operator is started with: flags, or environment variables of the same names."""

from __future__ import annotations

import argparse
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidegate.api.names import INSTANCE_ID

_LEASE: Final = "tidegate-controller-lock"
_INSTANCE: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,38}[a-z0-9])?")
_ARGO_LEASE: Final = "argo-rollouts-controller-lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the operator runs.

    namespace: the one to work in; empty for the whole cluster.
    instance_id: of the Rollouts to look after: those with this label; empty for those without the label.
    lease_namespace: where the lease lies by which one of several replicas leads.
    leader_elect: whether to run for that lease; without it this process must be the only one.
    heed_argo: do nothing while Argo Rollouts' own controller renews its lease.
    argo_lease_name, argo_lease_namespace: of that lease; it is looked for in every namespace where none is named.
    address, port: of /healthz, /readyz and /metrics.
    webhook_certificates: the directory of tls.crt and tls.key with which objects are reviewed before they are stored;
        empty: they are not.
    webhook_port: where the API server asks for that.
    prometheus: the address that metrics ask which name none.
    team_label: the label of a Rollout that names its team, for the figures of releases.
    traces: the OTLP endpoint that each release is told to as a trace; empty for none.
    page_port: of the web page; 0 for none. page_address: where it listens. page_hosts: the names that people call it
        by, beside loopback's, separated by commas. page_token_header: in which a proxy hands on its visitors' tokens.
    page_anonymous: let visitors without a token see what system:anonymous may.
    """

    namespace: str = ""
    instance_id: str = ""
    lease_namespace: str = "default"
    lease_name: str = _LEASE
    leader_elect: bool = True
    heed_argo: bool = True
    argo_lease_name: str = _ARGO_LEASE
    argo_lease_namespace: str = ""
    address: str = "0.0.0.0"  # noqa: S104 - probes come from the node
    port: int = 8080
    webhook_certificates: str = ""
    webhook_port: int = 8443
    prometheus: str = ""
    team_label: str = "team"
    traces: str = ""
    page_port: int = 0
    page_address: str = "0.0.0.0"  # noqa: S104 - a Service leads to it
    page_hosts: str = ""
    page_token_header: str = "authorization"  # noqa: S105 - a name, no secret
    page_anonymous: bool = False
    log_format: str = "json"
    log_level: str = "info"
    identity: str = ""


def _otlp() -> str:
    """The endpoint that OpenTelemetry's own variables name; its library adds the path to the general one."""
    exact = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
    general = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    return exact or (f"{general.rstrip('/')}/v1/traces" if general else "")


def read_settings(arguments: Sequence[str]) -> Settings:
    """Settings from the command line; each flag's default is the variable TIDEGATE_<FLAG>."""
    default = Settings()
    parser = argparse.ArgumentParser(
        prog="tidegate run", description="Run the operator: watch Rollouts and bring their updates to an end."
    )

    def flag(name: str, preset: object, text: str) -> None:
        variable = "TIDEGATE_" + name.upper().replace("-", "_")
        shown = os.environ.get(variable, preset)
        kind = int if isinstance(preset, int) else str
        parser.add_argument(f"--{name}", default=shown, type=kind, help=f"{text} (default: {preset!r}; ${variable})")

    flag("namespace", default.namespace, "the namespace to work in; empty for the whole cluster")
    flag("instance-id", default.instance_id, f"look after objects whose label {INSTANCE_ID} is this, and no others")
    flag("lease-namespace", os.environ.get("POD_NAMESPACE", default.lease_namespace), "where the leader's lease lies")
    flag("lease-name", "", f"the name of the leader's lease; {_LEASE} unless given, and with an instance id -<id>")
    flag("argo-lease-name", "", f"the lease of Argo Rollouts' controller; {_ARGO_LEASE} unless given")
    flag("argo-lease-namespace", default.argo_lease_namespace, "where that lease lies; empty for any namespace")
    flag("address", default.address, "where /healthz, /readyz and /metrics are served")
    flag("port", default.port, "the port of /healthz, /readyz and /metrics; 0 for any free one")
    flag(
        "webhook-certificates",
        default.webhook_certificates,
        "review objects before they are stored, with this directory's tls.crt and tls.key",
    )
    flag("webhook-port", default.webhook_port, "the port of those reviews; 0 for any free one")
    flag("prometheus", default.prometheus, "the Prometheus that metrics ask which name no address")
    flag("team-label", default.team_label, "the label of a Rollout that names its team, for the figures of releases")
    flag("traces", _otlp(), "the OTLP/HTTP endpoint that gets a trace of each release; OTEL_EXPORTER_OTLP_ENDPOINT too")
    flag("page-port", default.page_port, "the port of the web page; 0 for none")
    flag("page-address", default.page_address, "where the web page is served")
    flag("page-hosts", default.page_hosts, "the host names that people call the page by, beside localhost; a,b")
    flag("page-token-header", default.page_token_header, "in which header a proxy hands on the visitor's token")
    flag("log-format", default.log_format, "json or console")
    flag("log-level", default.log_level, "debug, info, warning or error")
    flag("identity", os.environ.get("POD_NAME", ""), "the name of this replica in the lease and in events")
    parser.add_argument(
        "--leader-elect",
        action=argparse.BooleanOptionalAction,
        default=os.environ.get("TIDEGATE_LEADER_ELECT", "true").lower() != "false",
        help="run for the lease, so that one of several replicas works ($TIDEGATE_LEADER_ELECT)",
    )
    parser.add_argument(
        "--heed-argo",
        action=argparse.BooleanOptionalAction,
        default=os.environ.get("TIDEGATE_HEED_ARGO", "true").lower() != "false",
        help="do nothing while Argo Rollouts' own controller renews its lease ($TIDEGATE_HEED_ARGO)",
    )
    parser.add_argument(
        "--page-anonymous",
        action=argparse.BooleanOptionalAction,
        default=os.environ.get("TIDEGATE_PAGE_ANONYMOUS", "false").lower() == "true",
        help="let visitors of the page without a token see what system:anonymous may ($TIDEGATE_PAGE_ANONYMOUS)",
    )
    given = vars(parser.parse_args(arguments))
    for name, allowed in (("log_format", ("json", "console")), ("log_level", ("debug", "info", "warning", "error"))):
        if given[name] not in allowed:
            parser.error(f"--{name.replace('_', '-')} must be one of {', '.join(allowed)}, not {given[name]!r}")
    instance = given["instance_id"]
    if instance and _INSTANCE.fullmatch(instance) is None:
        parser.error(f"--instance-id must be up to 40 small letters, digits and '-', not {instance!r}")
    # Each instance has a leader of its own; without a name of its own for the lease, only one of them would ever work.
    given["lease_name"] = given["lease_name"] or (f"{_LEASE}-{instance}" if instance else _LEASE)
    # Argo Rollouts from 1.10 on has a lease for each instance id; before that, all instances share one.
    given["argo_lease_name"] = given["argo_lease_name"] or (f"{_ARGO_LEASE}-{instance}" if instance else _ARGO_LEASE)
    given["identity"] = given["identity"] or f"{socket.gethostname()}-{os.getpid()}"
    return Settings(**given)
