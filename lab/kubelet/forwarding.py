"""A forwarded port: the streams of one client, each led to a connection to the pod.

For each connection that it takes the client opens two streams with one request's number: one on which it hears of an
error, and one for the bytes. It waits for the end of both.
"""

from __future__ import annotations

import asyncio
from typing import Final

from lab.kubelet import spdy

PROTOCOL: Final = "portforward.k8s.io"
UPGRADE: Final = "SPDY/3.1"
_CHUNK: Final = 1 << 16

_Bytes = asyncio.Queue[bytes | None]
"""What the client has sent and the pod has not taken. None: the client sends no more."""


async def forward(address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve a client whose connection has become SPDY's.

    Raises IncompleteReadError or ConnectionError once it has left, and SpdyError.
    """
    client = _Client(address, writer)
    incoming = spdy.Incoming(reader)
    try:
        while True:
            client.take(await incoming.next())
    finally:
        await client.leave()


class _Client:
    def __init__(self, address: str, writer: asyncio.StreamWriter) -> None:
        self._address = address
        self._writer = writer
        self._outgoing = spdy.Outgoing()
        self._errors: dict[str, int] = {}
        self._bytes: dict[int, _Bytes] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def take(self, frame: spdy.Frame) -> None:
        """Never waits: one pod that does not read must not hold up the others, nor the news that the client left."""
        if isinstance(frame, spdy.Opened):
            self._open(frame.stream, frame.headers)
        elif isinstance(frame, spdy.Ping):
            self._send(frame)
        elif isinstance(frame, spdy.Reset):
            if task := self._tasks.get(frame.stream):
                task.cancel()
        elif waiting := self._bytes.get(frame.stream):
            if frame.data:
                waiting.put_nowait(frame.data)
            if frame.last:
                waiting.put_nowait(None)

    async def leave(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _open(self, stream: int, headers: spdy.Headers) -> None:
        kind, request = headers.get("streamtype"), headers.get("requestid", "")
        if kind == "error":
            self._errors[request] = stream
        elif kind == "data" and request in self._errors:
            self._bytes[stream] = asyncio.Queue()
            carrying = self._carry(stream, self._errors.pop(request), int(headers["port"]))
            task = self._tasks[stream] = asyncio.create_task(carrying)
            task.add_done_callback(lambda _: self._forget(stream))
        else:
            self._send(spdy.Reset(stream, spdy.PROTOCOL_ERROR))
            return
        self._writer.write(self._outgoing.reply(stream))

    def _forget(self, stream: int) -> None:
        del self._tasks[stream], self._bytes[stream]

    async def _carry(self, stream: int, errors: int, port: int) -> None:
        """Lead one stream to the pod until the pod has ended the connection, whether the client has its own end or not:
        what half-closes after its question still gets the whole answer."""
        try:
            reader, pod = await asyncio.open_connection(self._address, port)
            sending = asyncio.create_task(_feed(self._bytes[stream], pod))
            try:
                while chunk := await reader.read(_CHUNK):
                    self._send(spdy.Data(stream, chunk))
                    await self._writer.drain()
            finally:
                sending.cancel()
                pod.transport.abort()  # what the pod has not taken by now would be waited for
        except OSError as error:
            self._send(spdy.Data(errors, f"port {port} of the pod ({self._address}): {error}".encode()))
        finally:
            self._send(spdy.Data(stream, last=True))
            self._send(spdy.Data(errors, last=True))

    def _send(self, frame: spdy.Data | spdy.Reset | spdy.Ping) -> None:
        if not self._writer.is_closing():
            self._writer.write(self._outgoing.frame(frame))


async def _feed(waiting: _Bytes, pod: asyncio.StreamWriter) -> None:
    try:
        while (chunk := await waiting.get()) is not None:
            pod.write(chunk)
            await pod.drain()
        pod.write_eof()
    except OSError:
        return  # told by the one who reads
