"""The web server that pods of the image `lab.local/app` run: small, quick to start, and as bad as it is told to be.

A hundred pods as a hundred Python interpreters would take seconds of CPU and a gigabyte. So one warm parent (`Nursery`
talks to it) forks each pod's process in a few milliseconds; memory that nobody changes is shared.

Environment of the container, all optional:
    VERSION              what it reports; the image's tag if not given
    ERROR_RATE           share of requests answered with 500, 0 to 1
    LATENCY_MS           time an answer takes
    TAIL_RATE, TAIL_LATENCY_MS   share of requests that take so much longer, and how much
    SEED                 makes the draws of errors and tails the same in every run
    READY_AFTER_S        seconds during which /healthz answers 503
Paths: /healthz; /metrics; POST /control?error_rate=0.2&latency_ms=5&tail_rate=…&tail_latency_ms=…&ready=0 changes the
behaviour of the one pod that gets it; everything else is the application.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import random
import select
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

_PR_SET_PDEATHSIG = 1
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_REASONS = {200: "OK", 400: "Bad Request", 500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass(slots=True)
class Behaviour:
    """How the server answers. Rates are shares from 0 to 1, latencies milliseconds."""

    version: str = "unknown"
    pod: str = ""
    error_rate: float = 0.0
    latency_ms: float = 0.0
    tail_rate: float = 0.0
    tail_latency_ms: float = 0.0
    ready: float = 1.0
    ready_at: float = 0.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Behaviour:
        def number(name: str) -> float:
            return float(environment.get(name) or 0)

        return cls(
            version=environment.get("VERSION", "unknown"),
            pod=environment.get("POD_NAME", ""),
            error_rate=number("ERROR_RATE"),
            latency_ms=number("LATENCY_MS"),
            tail_rate=number("TAIL_RATE"),
            tail_latency_ms=number("TAIL_LATENCY_MS"),
            ready_at=time.monotonic() + number("READY_AFTER_S"),
        )

    def change(self, settings: Mapping[str, str]) -> None:
        """Raises ValueError for a setting that does not exist or is not a number."""
        for name, value in settings.items():
            if name not in ("error_rate", "latency_ms", "tail_rate", "tail_latency_ms", "ready"):
                raise ValueError(f"no setting {name}")
            setattr(self, name, float(value))

    def draw(self) -> tuple[int, float]:
        """Status code and delay in seconds of the next answer."""
        delay = self.latency_ms
        if self.tail_rate and random.random() < self.tail_rate:  # noqa: S311 - not a secret
            delay += self.tail_latency_ms
        failed = self.error_rate and random.random() < self.error_rate  # noqa: S311
        return (500 if failed else 200), delay / 1000


@dataclass(slots=True)
class Counters:
    """What /metrics shows."""

    requests: dict[int, int] = field(default_factory=dict)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    seconds: float = 0.0

    def count(self, code: int, seconds: float) -> None:
        self.requests[code] = self.requests.get(code, 0) + 1
        self.seconds += seconds
        for index, bound in enumerate(_BUCKETS):
            if seconds <= bound:
                self.buckets[index] += 1
                return
        self.buckets[-1] += 1

    def page(self, version: str) -> bytes:
        lines = ["# TYPE http_requests_total counter"]
        for code, number in sorted(self.requests.items()):
            lines.append(f'http_requests_total{{version="{version}",code="{code}"}} {number}')
        name, total = "http_request_duration_seconds", 0
        lines.append(f"# TYPE {name} histogram")
        for bound, number in zip((*_BUCKETS, "+Inf"), self.buckets, strict=True):
            total += number
            lines.append(f'{name}_bucket{{version="{version}",le="{bound}"}} {total}')
        lines.append(f'{name}_sum{{version="{version}"}} {self.seconds:.6f}')
        lines.append(f'{name}_count{{version="{version}"}} {total}')
        return ("\n".join(lines) + "\n").encode()


class Server:
    """State that the connections of one pod share."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.counters = Counters()
        self.busy = 0
        self.idle = asyncio.Event()
        """Set when the last request under way has been answered."""
        self.stopping = asyncio.Event()

    async def serve(self, listener: socket.socket) -> None:
        """Answer until SIGTERM, then finish what has begun."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stopping.set)
        server = await loop.create_server(lambda: Connection(self), sock=listener, backlog=1024)
        await self.stopping.wait()
        server.close()
        if self.busy:
            await self.idle.wait()

    def control(self, query: str) -> tuple[int, bytes]:
        try:
            self.behaviour.change(dict(parse_qsl(query)))
        except ValueError as error:
            return 400, f"{error}\n".encode()
        return 200, b"done\n"

    def healthy(self) -> bool:
        return bool(self.behaviour.ready) and time.monotonic() >= self.behaviour.ready_at


class Connection(asyncio.Protocol):
    """Just enough HTTP/1.1 for Envoy, Prometheus and curl: one request after the other, bodies are dropped."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = b""
        self._skip = 0
        self._answering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        dropped = self._buffer[: self._skip]
        self._skip -= len(dropped)
        self._buffer = self._buffer[len(dropped) :]
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if self._answering or self._skip or not separator:
            return
        self._buffer = rest
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().partition(": ")[::2] for line in lines[1:])
        self._skip = int(headers.get("content-length") or 0)
        method, target, *_ = [*lines[0].split(" "), "", ""]
        # A chunked body is not read, so nothing can follow it on this connection.
        close = headers.get("connection") == "close" or "transfer-encoding" in headers
        self._handle(method, target, close)

    def _handle(self, method: str, target: str, close: bool) -> None:
        path, _, query = target.partition("?")
        server = self._server
        if path == "/metrics":
            self._answer(200, server.counters.page(server.behaviour.version), close)
        elif path == "/healthz":
            self._answer(200 if server.healthy() else 503, b"", close)
        elif path == "/control" and method == "POST":
            self._answer(*server.control(query), close)
        else:
            code, delay = server.behaviour.draw()
            server.busy += 1
            self._answering = True
            began = time.perf_counter()
            if delay:
                asyncio.get_running_loop().call_later(delay, self._finish, code, began, close)
            else:
                self._finish(code, began, close)

    def _finish(self, code: int, began: float, close: bool) -> None:
        server = self._server
        server.busy -= 1
        self._answering = False
        server.counters.count(code, time.perf_counter() - began)
        behaviour = server.behaviour
        self._answer(code, f'{{"version":"{behaviour.version}","pod":"{behaviour.pod}"}}\n'.encode(), close)
        if not server.busy and server.stopping.is_set():
            server.idle.set()

    def _answer(self, code: int, body: bytes, close: bool) -> None:
        close = close or self._server.stopping.is_set()
        self._transport.write(
            f"HTTP/1.1 {code} {_REASONS[code]}\r\ncontent-length: {len(body)}\r\ncontent-type: text/plain\r\n"
            f"x-version: {self._server.behaviour.version}\r\n{'connection: close' + chr(13) + chr(10) if close else ''}"
            "\r\n".encode()
            + body
        )
        if close:
            self._transport.close()
        elif self._buffer:
            self._next()


def listen(address: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def nursery() -> None:
    """The warm parent: a line of JSON on standard input per pod, answers and exits on standard output.

    In: {"id", "address", "port", "env"}. Out: {"id", "pid"} once the pod listens, or {"id", "error"}; and
    {"pid", "exit"} when one ends.
    """
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    gc.collect()
    gc.freeze()
    pending = b""
    while True:
        readable, _, _ = select.select([0, wake_read], [], [])
        if wake_read in readable:
            os.read(wake_read, 4096)
            _report_exits()
        if 0 in readable:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                _bear(json.loads(line))


def _bear(request: dict[str, Any]) -> None:
    try:
        listener = listen(request["address"], request["port"])
    except OSError as error:
        _say({"id": request["id"], "error": str(error)})
        return
    pid = os.fork()
    if pid == 0:
        _live(listener, request["env"])
    listener.close()
    _say({"id": request["id"], "pid": pid})


def _live(listener: socket.socket, environment: Mapping[str, str]) -> None:
    """The rest of a forked child's life; does not return."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        random.seed(environment.get("SEED"))
        silent = os.open(os.devnull, os.O_RDWR)
        os.dup2(silent, 0)
        os.dup2(2, 1)

        async def main() -> None:
            await Server(Behaviour.from_environment(environment)).serve(listener)

        asyncio.run(main())
        code = 0
    finally:
        os._exit(code)


def _report_exits() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say({"pid": pid, "exit": os.waitstatus_to_exitcode(status)})


def _say(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nursery()
