"""The processes of a lab: started with a log, waited for until they answer, and never left behind.

A child gets PR_SET_PDEATHSIG, by which the kernel kills it when the *thread* that started it ends. So one thread, which
lives as long as this process, starts them all; whoever calls.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lab.paths import LabError

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lab-spawner")


def die_with_parent() -> None:
    """For preexec_fn: be killed when the thread that forked this process ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(slots=True)
class Process:
    """A program of the lab that can be stopped, paused and started again.

    ready: answers whether it serves; called again and again while it starts.
    """

    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[], bool] = lambda: True
    environment: Mapping[str, str] | None = None
    cwd: Path | None = None
    _running: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """Its process id inside the namespace. Raises LabError if it was not started."""
        if self._running is None:
            raise LabError(f"{self.name} is not running.")
        return self._running.pid

    def start(self) -> None:
        """Start it without waiting until it serves."""
        if self._running is not None and self._running.poll() is None:
            raise LabError(f"{self.name} is already running.")
        self._running = _spawner.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env=dict(self.environment) if self.environment is not None else None,
                start_new_session=True,  # a terminal's Ctrl-C is for the lab, which stops its children in order
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, which takes no lock
            )

    def wait_ready(self, timeout: float = 60) -> None:
        """Wait until it serves. Raises LabError with the end of its log if it dies or takes more than `timeout` s."""
        deadline = time.monotonic() + timeout
        while not self.ready():
            if self._running is None or (code := self._running.poll()) is not None:
                raise LabError(f"{self.name} ended with code {code} while starting:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} does not answer after {timeout:.0f} s:\n{self.log_tail()}")
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        if self._running is not None and self._running.poll() is None:
            self._running.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGKILL, timeout: float = 10) -> None:
        """Send `number`, wait for the end, and use SIGKILL if that takes more than `timeout` seconds."""
        if self._running is None:
            return
        self.send(number)
        try:
            self._running.wait(timeout)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()

    def log_tail(self, lines: int = 15) -> str:
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join([*text.splitlines()[-lines:], f"(whole log: {self.log})"])
