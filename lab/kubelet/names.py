"""Names of Services, for what runs in the lab: `shop.default.svc` is an address as it is in a cluster.

There is no kube-proxy, so a name leads straight to the addresses of the Service's ready pods. A Service that is asked
for by name therefore has the port of its pods.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
from typing import cast

from lab.kubelet.api import Api, RefusedError

PORT = 53
_NAME = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?")
_ANSWERED, _NO_SUCH_NAME = 0x8580, 0x8583  # an answer of authority, with recursion (RFC 1035, 4.1.1); rcode 0 and 3
_HEAD = struct.Struct("!6H")
_A, _IN = 1, 1


class Names(asyncio.DatagramProtocol):
    """A DNS server for IPv4 addresses of Services and nothing else; answers are not to be kept (TTL 0)."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def serve(cls, api: Api) -> None:
        """Answer on 127.0.0.1 as long as the loop runs."""
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: cls(api), local_addr=("127.0.0.1", PORT))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The loop's own class has the methods of a DatagramTransport without being one.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | None, int]) -> None:
        task = asyncio.create_task(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, asker: tuple[str | None, int]) -> None:
        try:
            identity, _, questions, *_ = _HEAD.unpack_from(data)
            name, end = _name(data)
            kind, _ = struct.unpack_from("!HH", data, end)
        except (struct.error, IndexError, UnicodeDecodeError):
            return
        if questions != 1:
            return
        found = await self._pods(name)
        records = b"".join(
            struct.pack("!HHHIH", 0xC00C, _A, _IN, 0, 4) + socket.inet_aton(address)
            for address in (found or ())
            if kind == _A
        )
        flags = _NO_SUCH_NAME if found is None else _ANSWERED
        head = _HEAD.pack(identity, flags, 1, len(records) // 16, 0, 0)
        self._transport.sendto(head + data[_HEAD.size : end + 4] + records, asker)

    async def _pods(self, name: str) -> list[str] | None:
        """The ready pods of a Service, a few of them and in any order; None if it does not exist."""
        match = _NAME.fullmatch(name.lower().rstrip("."))
        if not match:
            return None
        service, namespace = match.groups()
        try:
            await self._api.request("GET", f"/api/v1/namespaces/{namespace}/services/{service}")
            slices = await self._api.request(
                "GET",
                f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
                f"?labelSelector=kubernetes.io/service-name%3D{service}",
            )
        except RefusedError:
            return None
        ready = [
            address
            for part in slices["items"]
            for end in part.get("endpoints") or ()
            if end.get("conditions", {}).get("ready")
            for address in end["addresses"]
        ]
        return random.sample(ready, min(len(ready), 8))  # as many as fit into a datagram


def _name(data: bytes) -> tuple[str, int]:
    """The name of the first question, and where it ends."""
    labels, at = [], _HEAD.size
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    return ".".join(labels), at + 1
