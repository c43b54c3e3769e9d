"""The command line as processes of its own, begun from one that has its modules loaded already.

A story makes a dozen calls, and several stories play at once: to start Python anew for each would take most of the
machine. Everything else is a call's own: arguments, environment, standard streams, exit code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.paths import REPOSITORY

_SERVER = """
import json, os, signal, sys
import aiohttp, tidegate.cli.changing, tidegate.cli.differing, tidegate.cli.looking, tidegate.cli.migrating
import tidegate.cluster.http_transport
from tidegate.cli.main import main

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    call = json.loads(line)
    if os.fork():
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.update(call["environ"])
    for number, name, mode in ((0, "in", os.O_RDONLY), (1, "out", os.O_WRONLY), (2, "err", os.O_WRONLY)):
        os.dup2(os.open(os.path.join(call["folder"], name), mode), number)
    sys.stdin = open(0, closefd=False)
    sys.argv = ["tidegate", *call["arguments"]]
    code = 70
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        import traceback
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    with open(os.path.join(call["folder"], "code.new"), "w") as file:
        file.write(str(code))
    os.rename(os.path.join(call["folder"], "code.new"), os.path.join(call["folder"], "code"))
    os._exit(0)
"""


@dataclass(frozen=True)
class Ran:
    """What a call has printed, and its exit code."""

    code: int
    out: str
    err: str


class Terminal:
    """Where calls are made from; several threads may do so at once."""

    def __init__(self, server: subprocess.Popen[str], folder: Path) -> None:
        self._server, self._folder, self._lock = server, folder, threading.Lock()

    def run(self, *arguments: str, environ: Mapping[str, str], stdin: str = "", timeout: float = 150) -> Ran:
        """Make one call and wait for its end."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        for name, text in (("in", stdin), ("out", ""), ("err", "")):
            (folder / name).write_text(text)
        call = {"arguments": arguments, "environ": dict(environ), "folder": str(folder)}
        with self._lock:
            assert self._server.stdin is not None
            self._server.stdin.write(json.dumps(call) + "\n")
            self._server.stdin.flush()
        ended, until = folder / "code", time.monotonic() + timeout
        while not ended.exists():
            told = f"{(folder / 'out').read_text()}{(folder / 'err').read_text()}"
            assert time.monotonic() < until, (
                f"tidegate {' '.join(arguments)} has not ended within {timeout:g} s\n{told}"
            )
            time.sleep(0.02)
        return Ran(int(ended.read_text()), (folder / "out").read_text(), (folder / "err").read_text())


@contextmanager
def terminal() -> Iterator[Terminal]:
    """A terminal for the `with` block."""
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY / "operator")}
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, env=environ, text=True)
        try:
            yield Terminal(server, Path(folder))
        finally:
            assert server.stdin is not None
            server.stdin.close()
            server.wait(30)
