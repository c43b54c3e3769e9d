"""What users got: the load generator's reports added up, and the process that sends them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from lab.processes import die_with_parent

KEPT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Count:
    """Requests of users, and how many of them failed: answered with a 5xx or not at all."""

    requests: int = 0
    failed: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.requests + other.requests, self.failed + other.failed)

    def __sub__(self, other: Count) -> Count:
        return Count(self.requests - other.requests, self.failed - other.failed)

    @property
    def success(self) -> float:
        """Share of the requests that did not fail, from 0 to 1; 1 for none."""
        return 1 - self.failed / self.requests if self.requests else 1.0


@dataclass(frozen=True, slots=True)
class Failure:
    """When (monotonic seconds) and how a request failed. version: empty if no pod answered."""

    at: float
    stream: str
    version: str
    code: str


@dataclass(slots=True)
class _Second:
    counts: dict[tuple[str, str], Count] = field(default_factory=dict)
    latencies: Counter[int] = field(default_factory=Counter)


class Tally:
    """Adds up reports (the lines of `lab.demo.load`). Safe to use from several threads."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.codes: Counter[str] = Counter()
        """All answers by status code, or by the word for what happened in place of an answer."""
        self.skipped = 0
        """Requests that were due while the generator got no CPU, and were not sent."""
        self._totals: dict[str, Count] = {}
        self._seconds: dict[int, _Second] = {}
        self._lock = threading.Lock()

    def add(self, report: Mapping[str, Any]) -> None:
        """Add one report. Its answers count for the second in which it was made."""
        with self._lock:
            second = self._seconds.setdefault(int(report["t"]), _Second())
            failed = Counter((stream, version, code) for _, stream, version, code in report["failures"])
            for stream, version, code, number in report["answers"]:
                count = Count(number, failed[stream, version, code])
                self._totals[stream] = self._totals.get(stream, Count()) + count
                second.counts[stream, version] = second.counts.get((stream, version), Count()) + count
                self.codes[code] += number
            for latencies in report["latencies"].values():
                second.latencies.update({int(milliseconds): number for milliseconds, number in latencies.items()})
            self.failures += [Failure(*failure) for failure in report["failures"]]
            self.skipped += report["skipped"]
            for old in [second for second in self._seconds if second < report["t"] - KEPT_SECONDS]:
                del self._seconds[old]

    def total(self, stream: str = "") -> Count:
        """Everything so far, of one stream or of all."""
        with self._lock:
            return self._totals.get(stream, Count()) if stream else sum(self._totals.values(), Count())

    def recent(self, now: float, seconds: int) -> dict[tuple[str, str], Count]:
        """By stream and version, in the last whole `seconds` (at most KEPT_SECONDS) before the second of `now`."""
        found: dict[tuple[str, str], Count] = {}
        with self._lock:
            for second in range(int(now) - seconds, int(now)):
                for key, count in self._seconds.get(second, _Second()).counts.items():
                    found[key] = found.get(key, Count()) + count
        return dict(sorted(found.items()))

    def latency(self, now: float, seconds: int, share: float) -> int | None:
        """The latency in milliseconds that `share` of the recent requests kept to; None without requests."""
        merged: Counter[int] = Counter()
        with self._lock:
            for second in range(int(now) - seconds, int(now)):
                merged += self._seconds.get(second, _Second()).latencies
        left = share * merged.total()
        for milliseconds, number in sorted(merged.items()):
            left -= number
            if left <= 0:
                return milliseconds
        return None

    def failures_since(self, since: float, stream: str) -> list[Failure]:
        """Failures of a stream from `since` (monotonic seconds) on, earliest first."""
        with self._lock:
            found = [failure for failure in self.failures if failure.stream == stream and failure.at >= since]
        return sorted(found, key=lambda failure: failure.at)


class Users:
    """The load generator's process, from the beginning to the end of a `with` block."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lab.demo.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is for the demo
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, which takes no lock
        )
        self._reader = threading.Thread(target=self._read, daemon=True)

    def send(self, stream: str, host: str, rate: float) -> None:
        """Send `rate` requests a second to `host` from now on; 0 for none."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"stream": stream, "host": host, "rate": rate}).encode() + b"\n")
        self._process.stdin.flush()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.tally.add(json.loads(line))

    def __enter__(self) -> Users:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
