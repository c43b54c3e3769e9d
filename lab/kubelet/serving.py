"""The kubelet's own API, as far as `kubectl port-forward` and `kubectl logs` need it.

Only the API server calls it, one request a connection, and it has asked who may already: whoever else gets here is
inside the lab's network anyway.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import parse_headers
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from lab.kubelet.forwarding import PROTOCOL, UPGRADE, forward
from lab.kubelet.status import NODE_ADDRESS, NODE_PORT
from lab.kubelet.worker import Worker

_LOOK: Final = 0.2
"""Seconds between two looks at a log that is followed."""
_LOG_OPTIONS: Final = frozenset({"follow", "tailLines"})

Find = Callable[[str, str], Worker | None]
"""The pod of this namespace and name."""


class RefusedError(Exception):
    """The request can't be answered."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Request:
    path: list[str]
    query: Mapping[str, str]
    headers: Mapping[str, str]


class Server:
    """Answers for the pods that `find` knows."""

    def __init__(self, find: Find) -> None:
        self._find = find

    async def serve(self, certificate: Path, key: Path) -> None:
        """Listen on the node's address as long as the loop runs. The certificate may be any: nobody looks at it."""
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate, key)
        await asyncio.start_server(self.answer, NODE_ADDRESS, NODE_PORT, ssl=tls)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            await self._route(await _request(reader), reader, writer)
        except RefusedError as error:
            writer.write(_head(error.status) + f"{error}\n".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the client has left
        finally:
            writer.close()

    async def _route(self, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match request.path:
            case ["portForward", namespace, name]:
                pod = self._pod(namespace, name)
                if request.headers.get("upgrade") != UPGRADE:
                    raise RefusedError(HTTPStatus.BAD_REQUEST, f"ports are forwarded by {UPGRADE} alone")
                writer.write(_head(HTTPStatus.SWITCHING_PROTOCOLS))
                await forward(pod.address, reader, writer)
            case ["containerLogs", namespace, name, container]:
                await _show_log(self._pod(namespace, name), container, request.query, reader, writer)
            case _:
                raise RefusedError(HTTPStatus.NOT_FOUND, f"the lab's kubelet has no /{'/'.join(request.path)}")

    def _pod(self, namespace: str, name: str) -> Worker:
        if pod := self._find(namespace, name):
            return pod
        raise RefusedError(HTTPStatus.NOT_FOUND, f"no pod {namespace}/{name} runs on the lab's node")


async def _request(reader: asyncio.StreamReader) -> _Request:
    """Its head. A body is never asked for."""
    line, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
    _, target, _ = line.decode("latin-1").split(" ")
    url = urlsplit(target)
    headers = {name.lower(): value for name, value in parse_headers(io.BytesIO(rest)).items()}
    return _Request(url.path.strip("/").split("/"), dict(parse_qsl(url.query)), headers)


def _head(status: HTTPStatus) -> bytes:
    """A head whose body, if there is one, ends with the connection."""
    lines = [f"HTTP/1.1 {status} {status.phrase}"]
    if status is HTTPStatus.SWITCHING_PROTOCOLS:
        lines += ["Connection: Upgrade", f"Upgrade: {UPGRADE}", f"X-Stream-Protocol-Version: {PROTOCOL}"]
    else:
        lines += ["Connection: close", "Content-Type: text/plain"]
    return "\r\n".join([*lines, "", ""]).encode()


async def _show_log(
    pod: Worker,
    container: str,
    query: Mapping[str, str],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """The log's last lines, and then what is added as long as the container runs and the client stays."""
    if unknown := query.keys() - _LOG_OPTIONS:
        known = f"the lab's kubelet knows {' and '.join(sorted(_LOG_OPTIONS))}"
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"{known}, not {', '.join(sorted(unknown))}")
    path = pod.log(container)
    if not path.exists():
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"container {container} has no log: lab.local/app writes none")
    writer.write(_head(HTTPStatus.OK))
    with path.open("rb") as log:
        if (count := query.get("tailLines")) is not None:
            lines = log.readlines()
            writer.writelines(lines[max(0, len(lines) - int(count)) :])
        going_on = True
        while going_on:
            going_on = query.get("follow") == "true" and pod.runs(container) and not reader.at_eof()
            writer.write(log.read())
            await writer.drain()
            await asyncio.sleep(_LOOK if going_on else 0)
