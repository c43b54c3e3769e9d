"""Where the API server is and how to prove who we are, free of any client library's types."""

from __future__ import annotations

import base64
import ssl
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where the API server is and how to prove who we are. `*_data` is PEM, plain or base64.

    token_path is read again every minute (service account tokens are rotated in place) and wins over `token`.
    """

    server: str
    ca_path: str | None = None
    ca_data: str | None = None
    insecure: bool = False
    token: str | None = None
    token_path: str | None = None
    username: str | None = None
    password: str | None = None
    certificate_path: str | None = None
    certificate_data: str | None = None
    private_key_path: str | None = None
    private_key_data: str | None = None
    proxy_url: str | None = None

    def __repr__(self) -> str:
        """Name the server only: credentials end up in logs and tracebacks by way of repr."""
        return f"Credentials(server={self.server!r})"


def authorization(credentials: Credentials) -> str | None:
    token = credentials.token
    if credentials.token_path:
        token = Path(credentials.token_path).read_text(encoding="utf-8").strip()
    if token:
        return f"Bearer {token}"
    if credentials.username and credentials.password:
        pair = f"{credentials.username}:{credentials.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")
    return None


def ssl_context(credentials: Credentials) -> ssl.SSLContext:
    ours = credentials.ca_path or credentials.ca_data
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if ours else ssl.create_default_context()
    load_trust(context, credentials)
    if credentials.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def load_trust(context: ssl.SSLContext, credentials: Credentials) -> None:
    if credentials.ca_path or credentials.ca_data:
        context.load_verify_locations(
            cafile=credentials.ca_path, cadata=_pem(credentials.ca_data) if credentials.ca_data else None
        )
    with ExitStack() as files:
        certificate = credentials.certificate_path or _written(files, credentials.certificate_data)
        key = credentials.private_key_path or _written(files, credentials.private_key_data)
        if certificate:
            context.load_cert_chain(certificate, key)


def _written(files: ExitStack, data: str | None) -> str | None:
    """The ssl module reads client certificates from files only; this one lives for a moment, for us alone."""
    if data is None:
        return None
    file = files.enter_context(tempfile.NamedTemporaryFile(buffering=0))  # noqa: SIM115 (the stack closes it)
    file.write(_pem(data).encode("ascii"))
    return file.name


def _pem(data: str) -> str:
    return data if data.startswith("-----BEGIN ") else base64.b64decode(data).decode("ascii")
