"""Users, as a process of their own: requests through the gateway at a steady pace, and a report of every answer.

`python -m lab.demo.load`. A process, so that drawing the screen never delays a request, and raw keep-alive connections
on asyncio, so that 400 requests a second cost a few per cent of one CPU.

The pace is open-loop: a request is due at its time whether or not earlier ones have been answered, and its latency
counts from then. When all connections are busy a request waits for one; when the process itself gets no CPU for more
than a second, the requests of that time are not sent but counted as `skipped`: an avalanche afterwards would measure
this machine and nothing else.

A request is sent once. Connection refused, reset, closed without an answer and no answer within 5 s are failures, like
any 5xx. A connection that the server closes between two requests, or announces to close, is replaced silently, as in
every browser.

Standard input: one JSON object a line, `{"stream": name, "host": Host header, "rate": requests a second}`; a stream's
rate may change, 0 stops it. End of input ends the process.
Standard output: ten times a second a line
    {"t": seconds, "answers": [[stream, version, code, number], …], "latencies": {stream: {milliseconds: number}},
     "failures": [[t, stream, version, code], …], "skipped": number, "waiting": number}
with what happened since the line before. Times are of the monotonic clock, which all processes of a machine share. code
is the HTTP status or a word such as `reset`; milliseconds are rounded up.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

GATEWAY = ("127.0.0.1", 80)
REPORT_INTERVAL = 0.1
TIMEOUT = 5.0
MOST_CONNECTIONS = 256
TICK = 0.004
LATE = 1.0


@dataclass(slots=True)
class Report:
    """What has happened since the last line."""

    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    latencies: dict[str, Counter[int]] = field(default_factory=dict)
    failures: list[tuple[float, str, str, str]] = field(default_factory=list)
    skipped: int = 0

    def count(self, stream: str, version: str, code: str, *, due: float, now: float) -> None:
        """One answer, or the lack of one. Everything that isn't a status below 500 is a failure."""
        self.answers[stream, version, code] += 1
        milliseconds = math.ceil((now - due) * 1000)
        self.latencies.setdefault(stream, Counter())[milliseconds] += 1
        if not code.isdigit() or int(code) >= 500:
            self.failures.append((now, stream, version, code))

    def line(self, now: float, waiting: int) -> bytes:
        """As JSON; the report is empty afterwards."""
        message = {
            "t": now,
            "answers": [[*key, number] for key, number in self.answers.items()],
            "latencies": self.latencies,
            "failures": self.failures,
            "skipped": self.skipped,
            "waiting": waiting,
        }
        encoded = json.dumps(message).encode() + b"\n"
        self.answers, self.latencies, self.failures, self.skipped = Counter(), {}, [], 0
        return encoded


@dataclass(slots=True)
class Stream:
    """Requests to one host. due: when the next one is to be sent."""

    name: str
    request: bytes
    rate: float
    due: float

    def take(self, now: float) -> tuple[list[float], int]:
        """The times of the requests that are due, and how many were due too long ago to be sent."""
        if not self.rate:
            return [], 0
        skipped = max(0, math.ceil((now - LATE - self.due) * self.rate))
        self.due += skipped / self.rate
        times = []
        while self.due <= now:
            times.append(self.due)
            self.due += 1 / self.rate
        return times, skipped


class Users:
    """All streams and the connections that they share."""

    def __init__(self, address: tuple[str, int] = GATEWAY) -> None:
        self.address = address
        self.report = Report()
        self.streams: dict[str, Stream] = {}
        self.waiting: deque[tuple[Stream, float]] = deque()
        self.idle: list[Connection] = []
        self.busy: set[Connection] = set()
        self.opening = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def change(self, name: str, host: str, rate: float) -> None:
        """Begin a stream, or give it another rate from now on."""
        request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self.streams[name] = Stream(name, request, rate, time.monotonic())

    async def send_forever(self) -> None:
        while True:
            now = time.monotonic()
            for stream in self.streams.values():
                times, skipped = stream.take(now)
                self.report.skipped += skipped
                for due in times:
                    self.send(stream, due)
            await asyncio.sleep(TICK)

    def send(self, stream: Stream, due: float) -> None:
        """Send a request on an idle connection, or have it wait for one."""
        while self.idle:
            connection = self.idle.pop()
            if connection.open:
                connection.ask(stream, due)
                return
        self.waiting.append((stream, due))
        if self.opening < len(self.waiting) and len(self.busy) + self.opening < MOST_CONNECTIONS:
            self.opening += 1
            task = asyncio.create_task(self._open())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def release(self, connection: Connection) -> None:
        """A connection has its answer and may be used again."""
        self.busy.discard(connection)
        if self.waiting:
            connection.ask(*self.waiting.popleft())
        else:
            self.idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """A connection is closed. What waits gets another one."""
        self.busy.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if self.waiting:
            self.send(*self.waiting.popleft())

    def answered(self, stream: Stream, version: str, code: str, due: float) -> None:
        self.report.count(stream.name, version, code, due=due, now=time.monotonic())

    def expire(self) -> None:
        """Give up on what has had no answer for too long."""
        old = time.monotonic() - TIMEOUT
        for connection in [c for c in self.busy if c.sent < old]:
            connection.fail("timeout")
        while self.waiting and self.waiting[0][1] < old:
            stream, due = self.waiting.popleft()
            self.answered(stream, "", "timeout", due)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await asyncio.wait_for(
                loop.create_connection(lambda: Connection(self), *self.address), TIMEOUT
            )
        except (OSError, TimeoutError) as error:
            self.opening -= 1
            if self.waiting:
                stream, due = self.waiting.popleft()
                self.answered(stream, "", "refused" if isinstance(error, ConnectionError) else "unreachable", due)
            return
        self.opening -= 1
        self.release(connection)


class Connection(asyncio.Protocol):
    """One keep-alive connection: a request, its answer, the next request. Answers have a Content-Length or none."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._buffer = b""
        self._stream: Stream | None = None
        self._due = 0.0
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @property
    def open(self) -> bool:
        """Whether the server has not closed it, as far as is known."""
        return not self._transport.is_closing()

    def ask(self, stream: Stream, due: float) -> None:
        """Send a request on this idle connection."""
        self._stream, self._due, self.sent = stream, due, time.monotonic()
        self._users.busy.add(self)
        self._transport.write(stream.request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().partition(": ")[::2] for line in rest)
        length = int(headers.get("content-length") or 0)
        if len(body) < length:
            return
        self._buffer = b""
        self._finish(headers.get("x-version", ""), first.split(" ")[1])
        if headers.get("connection") == "close":
            self._transport.close()
        else:
            self._users.release(self)

    def fail(self, why: str) -> None:
        """No answer will come on this connection."""
        self._finish("", why)
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish("", "reset" if exc else "closed")
        self._users.lost(self)

    def _finish(self, version: str, code: str) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            self._users.answered(stream, version, code, self._due)


async def main() -> None:
    """Serve the commands on standard input until it ends."""
    users = Users()
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)

    async def report() -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL)
            users.expire()
            sys.stdout.buffer.write(users.report.line(time.monotonic(), len(users.waiting)))
            sys.stdout.buffer.flush()

    background = [asyncio.create_task(users.send_forever()), asyncio.create_task(report())]
    while line := await commands.readline():
        command: dict[str, Any] = json.loads(line)
        users.change(command["stream"], command["host"], command["rate"])
    for task in background:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
