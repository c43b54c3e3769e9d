"""Login plugins of kubeconfigs (`exec`): a program that prints credentials.

The protocol is that of client-go: the program gets an ExecCredential in $KUBERNETES_EXEC_INFO and answers with one on
its standard output.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from shutil import which
from typing import Any, Final

import orjson

from tidegate.cluster.credentials import Credentials
from tidegate.cluster.login_errors import LoginError

_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_LIMIT: Final = 120.0
"""Seconds; a plugin may open a browser and wait for a person."""


def run_plugin(plugin: Mapping[str, Any], given: Credentials, cluster: Mapping[str, Any]) -> Credentials:
    """What is given, with what the plugin answers. Raises LoginError with the plugin's own words."""
    command, version = str(plugin.get("command") or ""), str(plugin.get("apiVersion") or "")
    if not command or version not in _VERSIONS:
        raise LoginError(f"the login plugin {command!r} speaks {version!r}; known are {' and '.join(_VERSIONS)}")
    answer = _run(command, plugin, _environment(plugin, version, given, cluster))
    try:
        status = orjson.loads(answer)["status"]
        token, certificate, key = (status.get(name) for name in ("token", "clientCertificateData", "clientKeyData"))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise LoginError(f"the login plugin {command} did not print an ExecCredential with a status") from None
    if not token and not certificate:
        raise LoginError(f"the login plugin {command} printed neither a token nor a client certificate")
    return replace(
        given,
        token=token or given.token,
        certificate_path=None if certificate else given.certificate_path,
        certificate_data=certificate or given.certificate_data,
        private_key_path=None if key else given.private_key_path,
        private_key_data=key or given.private_key_data,
    )


def _run(command: str, plugin: Mapping[str, Any], environment: Mapping[str, str]) -> bytes:
    arguments = [command, *map(str, plugin.get("args") or ())]
    # A plugin that may ask the person gets the terminal; its questions go to standard error either way.
    asks = plugin.get("interactiveMode") != "Never" and sys.stdin is not None and sys.stdin.isatty()
    try:
        ran = subprocess.run(  # noqa: S603 - the kubeconfig names it, as for kubectl
            arguments,
            env=environment,
            stdin=None if asks else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if asks else subprocess.PIPE,
            timeout=_LIMIT,
            check=False,
        )
    except OSError as error:
        # With a folder in PATH that may not be searched, a program that is nowhere counts as forbidden.
        if which(command, os.F_OK) is not None:
            raise LoginError(f"the login plugin {command} can't be run: {error.strerror}") from None
        hint = str(plugin.get("installHint") or "install it, or choose another context with --context").strip()
        raise LoginError(f"the login plugin {command} is not installed: {hint}") from None
    except subprocess.TimeoutExpired:
        raise LoginError(f"the login plugin {command} gave no answer within {_LIMIT:g} s") from None
    if ran.returncode:
        said = (ran.stderr or b"").decode("utf-8", "replace").strip()[-500:]
        raise LoginError(f"the login plugin {command} ended with {ran.returncode}" + (f": {said}" if said else ""))
    return ran.stdout


def _environment(
    plugin: Mapping[str, Any], version: str, given: Credentials, cluster: Mapping[str, Any]
) -> dict[str, str]:
    spec: dict[str, Any] = {"interactive": sys.stdin is not None and sys.stdin.isatty()}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = {
            "server": given.server,
            **({"insecure-skip-tls-verify": True} if given.insecure else {}),
            **({"certificate-authority-data": given.ca_data} if given.ca_data else {}),
        }
        for extension in cluster.get("extensions") or ():
            if extension.get("name") == "client.authentication.k8s.io/exec":
                spec["cluster"]["config"] = extension.get("extension")
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
    named = {str(entry["name"]): str(entry.get("value", "")) for entry in plugin.get("env") or ()}
    return {**os.environ, **named, "KUBERNETES_EXEC_INFO": orjson.dumps(info).decode()}
