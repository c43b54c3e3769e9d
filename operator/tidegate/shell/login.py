"""Credentials, by kopf's login functions: a service account in a pod, a kubeconfig elsewhere."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from tidegate.cluster.credentials import Credentials
from tidegate.cluster.kubeconfig import place_of, server_of_pod
from tidegate.shell.light_kopf import kopf

_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

_log = logging.getLogger(__name__)


class NoCredentials(Exception):  # noqa: N818 - told to the user as it is
    """There is neither a service account nor a usable kubeconfig."""


def credentials() -> Credentials:
    """How to reach the API server. Raises NoCredentials."""
    settings = kopf.OperatorSettings()
    if _TOKEN.exists():
        found = _read(kopf.login_with_service_account(settings=settings), token_path=str(_TOKEN))
        # kopf names kubernetes.default.svc, which it takes the cluster's DNS to find.
        return replace(found, server=server_of_pod(os.environ) or found.server)
    path = _kubeconfig()
    if path is None:
        raise NoCredentials("no service account token, no $KUBECONFIG and no ~/.kube/config: nowhere to log in")
    if _needs_plugin(path):
        # Only here is the client library worth its memory: it runs login plugins.
        return _read(kopf.login_via_client(logger=_log, settings=settings))
    return _read(kopf.login_with_kubeconfig(settings=settings))


def _kubeconfig() -> Path | None:
    given = os.environ.get("KUBECONFIG", "")
    paths = [Path(part).expanduser() for part in (given.split(os.pathsep) if given else ["~/.kube/config"])]
    return next((path for path in paths if path.is_file()), None)


def _needs_plugin(path: Path) -> bool:
    try:
        config = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise NoCredentials(f"the kubeconfig {path} is not YAML{place_of(error)}") from None
    users = config.get("users") or []
    return any({"exec", "auth-provider"} & (entry.get("user") or {}).keys() for entry in users)


def _read(info: Any, token_path: str | None = None) -> Credentials:
    if info is None:
        raise NoCredentials("the kubeconfig names no cluster to log in to")
    return Credentials(
        server=str(info.server).rstrip("/"),
        ca_path=_text(info.ca_path),
        ca_data=_text(info.ca_data),
        insecure=bool(info.insecure),
        token=info.token,
        token_path=token_path,
        username=info.username,
        password=info.password,
        certificate_path=_text(info.certificate_path),
        certificate_data=_text(info.certificate_data),
        private_key_path=_text(info.private_key_path),
        private_key_data=_text(info.private_key_data),
        proxy_url=info.proxy_url,
    )


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode() if isinstance(value, bytes) else str(value)
