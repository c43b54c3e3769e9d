"""kubectl's way to a cluster: kubeconfig files, contexts, and login plugins, read as kubectl reads them.

For the command line. The operator logs in by kopf (`tidegate.shell.login`), which knows one file and no context.
Several files of $KUBECONFIG are one: of entries of the same name the first counts, as for `current-context`; a path
inside a file is relative to that file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tidegate.cluster.credentials import Credentials
from tidegate.cluster.exec_plugin import run_plugin
from tidegate.cluster.login_errors import LoginError

Obj = Mapping[str, Any]

_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_KINDS: Final = ("clusters", "contexts", "users")
_SINGULAR: Final = {"clusters": "cluster", "contexts": "context", "users": "user"}
_PATHS: Final = {
    "clusters": ("certificate-authority",),
    "users": ("client-certificate", "client-key", "tokenFile"),
}


@dataclass(frozen=True, slots=True)
class Login:
    """Where to go: credentials, the namespace to work in, and the names to tell a person."""

    credentials: Credentials
    namespace: str
    context: str
    said: str
    """Where this was found, in words."""


@dataclass(slots=True)
class Kubeconfig:
    """Several files as one. Entries are by name, with their paths made absolute."""

    files: tuple[Path, ...] = ()
    current: str = ""
    entries: dict[str, dict[str, Obj]] = field(default_factory=lambda: {kind: {} for kind in _KINDS})

    @property
    def said(self) -> str:
        """The files' names."""
        return ", ".join(map(str, self.files))


def log_in(*, kubeconfig: str = "", context: str = "", environ: Mapping[str, str] = os.environ) -> Login:
    """Find the cluster as kubectl does: --kubeconfig, $KUBECONFIG, ~/.kube/config, or the pod's own account.

    Raises LoginError, which says what to do.
    """
    files = _files(kubeconfig, environ)
    if not files and not context and (_SERVICE_ACCOUNT / "token").exists():
        return _in_cluster(environ)
    if not files:
        raise LoginError(
            "there is no kubeconfig: neither --kubeconfig nor $KUBECONFIG names a file that exists, and there is no "
            "~/.kube/config. Get one from whoever runs the cluster, or name it with --kubeconfig"
        )
    return choose(read_files(files), context)


def read_files(files: Iterable[Path]) -> Kubeconfig:
    """Several files as one; the first to name something counts. Raises LoginError for one that can't be read."""
    merged = Kubeconfig(files=tuple(files))
    for path in merged.files:
        raw = _parsed(path)
        merged.current = merged.current or str(raw.get("current-context") or "")
        for kind in _KINDS:
            for entry in raw.get(kind) or ():
                name, body = str(entry.get("name", "")), entry.get(_SINGULAR[kind]) or {}
                merged.entries[kind].setdefault(name, _absolute(kind, body, path))
    return merged


def choose(config: Kubeconfig, context: str = "") -> Login:
    """The credentials of a context; of the current one where none is named. Raises LoginError."""
    name = context or config.current
    known = ", ".join(sorted(config.entries["contexts"])) or "none"
    if not name:
        raise LoginError(
            f"no context is chosen in {config.said}: name one with --context or `kubectl config use-context`; "
            f"there are {known}"
        )
    found = config.entries["contexts"].get(name)
    if found is None:
        raise LoginError(f"there is no context {name!r} in {config.said}; there are {known}")
    cluster = _entry(config, "clusters", str(found.get("cluster") or ""), name)
    user = _entry(config, "users", str(found["user"]), name) if found.get("user") else {}
    return Login(_credentials(cluster, user, name), str(found.get("namespace") or "default"), name, config.said)


def context_names(kubeconfig: str = "", environ: Mapping[str, str] = os.environ) -> list[str]:
    """The contexts that there are, for shell completion; none where nothing can be read."""
    try:
        return sorted(read_files(_files(kubeconfig, environ)).entries["contexts"])
    except LoginError:
        return []


def _files(kubeconfig: str, environ: Mapping[str, str]) -> tuple[Path, ...]:
    if kubeconfig:
        path = Path(kubeconfig).expanduser()
        if not path.is_file():
            raise LoginError(f"--kubeconfig names {path}, which is not a file")
        return (path,)
    listed = [part for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part] or ["~/.kube/config"]
    return tuple(path for part in listed if (path := Path(part).expanduser()).is_file())


def _parsed(path: Path) -> Obj:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader, in C if there
    except OSError as error:
        raise LoginError(f"the kubeconfig {path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LoginError(f"the kubeconfig {path} is not YAML{place_of(error)}") from None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise LoginError(f"the kubeconfig {path} is not a kubeconfig: it has no fields")
    return raw


def place_of(error: Exception) -> str:
    """Where an error of YAML stands. Its own words may quote what is there, which may be a token."""
    mark = getattr(error, "problem_mark", None)
    return f", at line {mark.line + 1}, column {mark.column + 1}" if mark else ""


_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _absolute(kind: str, body: Obj, path: Path) -> Obj:
    relative: dict[str, Any] = {key: str(path.parent / body[key]) for key in _PATHS.get(kind, ()) if body.get(key)}
    plugin = body.get("exec")
    if plugin and os.sep in str(plugin.get("command", "")):
        relative["exec"] = {**plugin, "command": str(path.parent / plugin["command"])}
    return {**body, **relative}


def _entry(config: Kubeconfig, kind: str, name: str, context: str) -> Obj:
    found = config.entries[kind].get(name)
    if found is None:
        raise LoginError(f"context {context!r} names the {_SINGULAR[kind]} {name!r}, which is not in {config.said}")
    return found


def _credentials(cluster: Obj, user: Obj, context: str) -> Credentials:
    server = str(cluster.get("server") or "").rstrip("/")
    if not server:
        raise LoginError(f"the cluster of context {context!r} has no server")
    if user.get("auth-provider"):
        raise LoginError(
            f"the user of context {context!r} logs in by auth-provider, which kubectl has given up too (1.26): "
            "use the exec plugin of your provider"
        )
    for owner, body, refused in (("cluster", cluster, ("tls-server-name",)), ("user", user, ("as", "as-uid"))):
        for name in refused:
            if body.get(name):
                raise LoginError(f"the {owner} of context {context!r} has {name}, which tidegate does not support")
    given = Credentials(
        server=server,
        ca_path=None if cluster.get("certificate-authority-data") else cluster.get("certificate-authority"),
        ca_data=cluster.get("certificate-authority-data"),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        token=user.get("token"),
        token_path=user.get("tokenFile"),
        username=user.get("username"),
        password=user.get("password"),
        certificate_path=None if user.get("client-certificate-data") else user.get("client-certificate"),
        certificate_data=user.get("client-certificate-data"),
        private_key_path=None if user.get("client-key-data") else user.get("client-key"),
        private_key_data=user.get("client-key-data"),
        proxy_url=cluster.get("proxy-url"),
    )
    return run_plugin(user["exec"], given, cluster) if user.get("exec") else given


def server_of_pod(environ: Mapping[str, str]) -> str:
    """Where a pod finds the API server: by its address, for a cluster's DNS may be what has failed. Empty if it was
    not told."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}:{port}" if host else ""


def _in_cluster(environ: Mapping[str, str]) -> Login:
    server = server_of_pod(environ)
    if not server:
        raise LoginError("this looks like a pod, but $KUBERNETES_SERVICE_HOST is not set: name a --kubeconfig")
    namespace = (_SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    credentials = Credentials(
        server=server,
        ca_path=str(_SERVICE_ACCOUNT / "ca.crt"),
        token_path=str(_SERVICE_ACCOUNT / "token"),
    )
    return Login(credentials, namespace, "", "the pod's service account")
