"""Between the controller and Prometheus: passes questions on, counts them, and notes when it hands out a bad answer.

Prometheus itself can't be asked when its answer left it. This stand-in can: the moment is taken just before the
answer's first byte is sent, so the time until the reaction is counted in full. The answers are the real Prometheus's,
which scrapes a gauge that this process serves too.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from benchmarks.objects import GAUGE
from lab.cluster import Lab

PORT = 9190


class Relay:
    """gauges: what Prometheus scrapes, by app; a test turns one to 0 to make its answers bad.

    asked: questions passed on so far. first_bad: by app, when the first 0 was handed out (`time.monotonic()`).
    """

    address = f"http://127.0.0.1:{PORT}"

    def __init__(self, upstream: str) -> None:
        self.gauges: dict[str, float] = {}
        self.asked = 0
        self.first_bad: dict[str, float] = {}
        self._upstream = urlsplit(upstream).netloc
        self._lock = threading.Lock()
        self._local = threading.local()

    def metrics(self) -> bytes:
        """The gauges in the text format."""
        lines = [f'{GAUGE}{{app="{app}"}} {value}' for app, value in self.gauges.items()]
        return "\n".join([f"# TYPE {GAUGE} gauge", *lines, ""]).encode()

    def ask(self, method: str, path: str, body: bytes | None, content_type: str) -> tuple[int, bytes]:
        """Pass a question on to Prometheus."""
        with self._lock:
            self.asked += 1
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPConnection(self._upstream, timeout=10)
        headers = {"Content-Type": content_type} if body else {}
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def note(self, payload: bytes) -> None:
        """Remember the moment if this answer is the first bad one for its app."""
        now = time.monotonic()
        for element in (json.loads(payload).get("data") or {}).get("result") or ():
            app = element["metric"].get("app") if isinstance(element, dict) else None
            if app and float(element["value"][1]) < 0.95:
                self.first_bad.setdefault(app, now)


@contextmanager
def relay(lab: Lab) -> Iterator[Relay]:
    """A relay that serves until the end of the block, with its gauges known to Prometheus."""
    found = Relay(lab.prometheus_url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, found.metrics(), "text/plain; version=0.0.4")
                return
            self._pass_on(None)

        def do_POST(self) -> None:
            self._pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _pass_on(self, body: bytes | None) -> None:
            status, payload = found.ask(self.command, self.path, body, self.headers.get("Content-Type", ""))
            if "/query" in self.path:
                found.note(payload)
            self._answer(status, payload, "application/json")

        def _answer(self, status: int, payload: bytes, content_type: str) -> None:
            head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(payload)}\r\n\r\n"
            self.wfile.write(head.encode() + payload)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lab.add_targets("bench", [f"127.0.0.1:{PORT}"])
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
