"""Users: a steady stream of requests through the gateway, and a count of what they got."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Mapping

_REMEMBERED = 50


class Traffic:
    """Requests to `host` at about `rate` a second, from the beginning to the end of a `with` block.

    total, failed: requests answered, and those of them that got a 5xx or no answer. by_version: answers by the version
    that the pod reports. failures: what went wrong, by kind; empty if nothing did. faults: the first of them, each as
    the time (seconds since the epoch), the kind and the beginning of the answer.
    A request is sent at its due time even if earlier ones are slow, as far as the workers suffice.
    """

    def __init__(
        self,
        host: str,
        rate: float,
        *,
        workers: int = 4,
        address: tuple[str, int] = ("127.0.0.1", 80),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._headers = {"Host": host, **(headers or {})}
        self._interval = workers / rate
        self._address = address
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.by_version: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.faults: list[tuple[float, str, str]] = []
        self.total = 0
        offsets = [number / rate for number in range(workers)]
        self._threads = [threading.Thread(target=self._send, args=(offset,), daemon=True) for offset in offsets]

    @property
    def failed(self) -> int:
        return self.failures.total()

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, offset: float) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=10)
        due = time.monotonic() + offset
        while not self._stop.wait(max(due - time.monotonic(), 0)):
            due += self._interval
            body = b""
            try:
                connection.request("GET", "/", headers=self._headers)
                answer = connection.getresponse()
                body = answer.read()
                failure = str(answer.status) if answer.status >= 500 else ""
                version = answer.headers.get("x-version", "")
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                failure, version = type(error).__name__, ""
            with self._lock:
                self.total += 1
                self.by_version[version] += bool(version)
                if failure:
                    self.failures[failure] += 1
                    if len(self.faults) < _REMEMBERED:
                        self.faults.append((time.time(), failure, body[:80].decode(errors="replace")))
        connection.close()
