"""Forwarded ports: the frames as kubectl sends them, and what a client and a pod have of each other over them."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from lab.kubelet import spdy
from lab.kubelet.forwarding import forward
from lab.kubelet.spdy import DICTIONARY, Data, Frame, Incoming, Opened, Outgoing, Ping, Reset, SpdyError

SENT_BY_KUBECTL = bytes.fromhex(
    "8003000600000004 00000001"
    "800300010000003e 00000001 00000000 0000 78f9e3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb45e01c60616061c0c0c0c0"
    "590489c64c50f2663400000000ffff"
    "0000000101000000"
    "8003000100000018 00000003 00000000 0000 c2aa19540e2512d60b000000ffff"
    "0000000300000004 47455420"
    "0000000301000000"
    "8003000100000018 00000005 00000000 0000 82eac5afca1087d300000000ffff"
)
"""A ping, two streams with their ends, the beginning of a third: v1.37.2's, with the text cut short."""


def streams(kind: str, request: int) -> dict[str, str]:
    return {"port": "8080", "requestid": str(request), "streamtype": kind}


@pytest.mark.parametrize("piece", [1, 7, 4096])
async def test_what_kubectl_sends_is_understood_however_it_is_cut(piece: int) -> None:
    reader = asyncio.StreamReader()
    incoming = Incoming(reader)

    async def feed() -> None:
        for at in range(0, len(SENT_BY_KUBECTL), piece):
            reader.feed_data(SENT_BY_KUBECTL[at : at + piece])
            await asyncio.sleep(0)
        reader.feed_eof()

    feeding = asyncio.create_task(feed())
    assert [await incoming.next() for _ in range(7)] == [
        Ping(1),
        Opened(1, streams("error", 0)),
        Data(1, last=True),
        Opened(3, streams("data", 0)),
        Data(3, b"GET "),
        Data(3, last=True),
        Opened(5, streams("error", 1)),
    ]
    with pytest.raises(asyncio.IncompleteReadError):
        await incoming.next()
    await feeding


def test_answers_are_written_as_the_draft_says() -> None:
    outgoing, headers = Outgoing(), zlib.decompressobj(zdict=DICTIONARY)
    for stream in (1, 3):  # the second block of headers goes on where the first ended
        reply = outgoing.reply(stream)
        assert reply[:4] == bytes.fromhex("80030002")
        assert int.from_bytes(reply[4:8], "big") == len(reply) - 8
        assert int.from_bytes(reply[8:12], "big") == stream
        assert headers.decompress(reply[12:]) == bytes(4)
    assert outgoing.frame(Data(3, b"yes")) == bytes.fromhex("00000003 00000003") + b"yes"
    assert outgoing.frame(Data(3, last=True)) == bytes.fromhex("00000003 01000000")
    assert outgoing.frame(Reset(3, spdy.PROTOCOL_ERROR)) == bytes.fromhex("80030003 00000008 00000003 00000001")
    assert outgoing.frame(Ping(7)) == bytes.fromhex("80030006 00000004 00000007")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("80020006 00000004 00000001", "SPDY version 2"),
        ("80030008 00000004 00000001", "type 8"),
        ("80030001 0000000c 00000001 00000000 0000 ffff", "type 1 that can't be read"),
        ("80030003 00000004 00000001", "type 3 that can't be read"),
    ],
)
async def test_what_is_not_understood_is_refused(sent: str, told: str) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(bytes.fromhex(sent))
    with pytest.raises(SpdyError, match=told):
        await Incoming(reader).next()


async def test_what_has_no_meaning_here_is_passed_over() -> None:
    reader = asyncio.StreamReader()
    for kind, payload in ((4, bytes(4)), (9, bytes(8)), (7, bytes(8))):
        reader.feed_data(spdy.control(kind, payload))
    reader.feed_data(Outgoing().frame(Ping(2)))
    assert await Incoming(reader).next() == Ping(2)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Client:
    """The far end: opens streams and collects what comes back on each."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self._headers = zlib.compressobj(zdict=DICTIONARY)
        self._outgoing = Outgoing()
        self._received: dict[int, bytearray] = {}
        self.ended: set[int] = set()
        self.replied: list[int] = []
        self.others: list[Frame] = []

    def open(self, stream: int, kind: str, port: int, request: int = 0) -> None:
        block = spdy.packed({**streams(kind, request), "port": str(port)})
        packed = self._headers.compress(block) + self._headers.flush(zlib.Z_SYNC_FLUSH)
        self.writer.write(spdy.control(1, stream.to_bytes(4, "big") + bytes(6) + packed))

    def open_both(self, stream: int, port: int) -> None:
        """The streams of one connection: errors on `stream`, bytes on the next."""
        self.open(stream, "error", port, stream)
        self.send(Data(stream, last=True))
        self.open(stream + 2, "data", port, stream)

    def send(self, frame: Data | Reset | Ping) -> None:
        self.writer.write(self._outgoing.frame(frame))

    def received(self, stream: int) -> bytes:
        return bytes(self._received.get(stream, b""))

    async def listen(self) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                head = await self._reader.readexactly(8)
                payload = await self._reader.readexactly(int.from_bytes(head[5:], "big"))
                number = int.from_bytes(payload[:4], "big")
                if not head[0] & 0x80:
                    stream = int.from_bytes(head[:4], "big")
                    assert stream not in self.ended
                    self._received.setdefault(stream, bytearray()).extend(payload)
                    if head[4]:
                        self.ended.add(stream)
                elif head[3] == 2:
                    self.replied.append(number)
                else:
                    self.others.append(Ping(number) if head[3] == 6 else Reset(number, payload[7]))


@asynccontextmanager
async def forwarded(pod: Handler) -> AsyncIterator[tuple[Client, int]]:
    """A client of a kubelet that forwards to `pod`, and the pod's port. When the client leaves, so do all."""

    async def kubelet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await forward("127.0.0.1", reader, writer)
        writer.close()

    pods = await asyncio.start_server(pod, "127.0.0.1", 0)
    kubelets = await asyncio.start_server(kubelet, "127.0.0.1", 0)
    client = Client(*await asyncio.open_connection("127.0.0.1", kubelets.sockets[0].getsockname()[1]))
    listening = asyncio.create_task(client.listen())
    async with pods, kubelets, asyncio.timeout(20):
        try:
            yield client, pods.sockets[0].getsockname()[1]
        finally:
            client.writer.close()
            await listening


async def until(holds: Callable[[], object]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


async def big_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers once it has heard everything, with a thousand times of it."""
    writer.write(1000 * await reader.read())
    writer.close()


async def test_a_client_that_half_closes_gets_the_whole_of_a_large_answer() -> None:
    question = bytes(range(256)) * 64
    async with forwarded(big_answer) as (client, port):
        client.open_both(1, port)
        client.send(Data(3, question[:100]))
        client.send(Data(3, question[100:], last=True))
        await until(lambda: client.ended == {1, 3})
        assert client.replied == [1, 3]
        assert client.received(3) == 1000 * question
        assert client.received(1) == b""


async def test_a_pod_that_does_not_read_holds_up_no_other_stream() -> None:
    over = asyncio.Event()

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(1) == b"s":  # and then its buffers fill
            await over.wait()
            writer.close()
        else:
            await big_answer(reader, writer)

    async with forwarded(pod) as (client, port):
        client.open_both(1, port)
        client.send(Data(3, b"s" + bytes(8 << 20)))
        client.open_both(5, port)
        client.send(Data(7, b"ab", last=True))
        client.send(Ping(1))
        await until(lambda: client.ended == {5, 7})
        assert client.received(7) == 1000 * b"b"
        assert client.others == [Ping(1)]
        over.set()


@pytest.mark.parametrize("leaving", ["by reset", "altogether"])
async def test_a_client_that_leaves_ends_the_pods_connection(leaving: str) -> None:
    ended = asyncio.Event()

    async def pod(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while True:
                writer.write(b"tick")
                await writer.drain()
                await asyncio.sleep(0.005)
        writer.close()
        ended.set()

    async with forwarded(pod) as (client, port):
        client.open_both(1, port)
        await until(lambda: client.received(3))
        if leaving == "altogether":
            client.writer.close()
        else:
            client.send(Reset(3, 5))
        await ended.wait()
        if leaving == "by reset":  # kubectl waits for the end of the errors
            await until(lambda: 1 in client.ended)


async def test_a_port_that_nobody_listens_at_is_told_of_and_the_others_go_on() -> None:
    async with forwarded(big_answer) as (client, port):
        client.open_both(1, 1)
        await until(lambda: client.ended == {1, 3})
        assert b"port 1 of the pod" in client.received(1)
        assert client.received(3) == b""
        client.open_both(5, port)
        client.send(Data(7, b"x", last=True))
        await until(lambda: {5, 7} <= client.ended)
        assert client.received(7) == 1000 * b"x"


async def test_bytes_without_a_stream_for_errors_are_refused() -> None:
    async with forwarded(big_answer) as (client, port):
        client.open(1, "data", port)
        client.open(3, "video", port)
        await until(lambda: len(client.others) == 2)
        assert client.others == [Reset(1, spdy.PROTOCOL_ERROR), Reset(3, spdy.PROTOCOL_ERROR)]
