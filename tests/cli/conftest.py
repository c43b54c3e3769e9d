"""The command line against an API server in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from tests.cli.release import Release
from tests.fakes.clocks import ManualClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.transport import FakeTransport, Request
from tidegate.cli import session
from tidegate.cli.main import app
from tidegate.cli.words import Where
from tidegate.cluster.credentials import Credentials
from tidegate.cluster.kubeconfig import Login

LOGIN = Login(Credentials(server="https://fake"), "default", "fake", "nowhere")


@dataclass
class Answer:
    """What a call has printed and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return orjson.loads(self.out)


@dataclass
class Cli:
    """The command line, logged in to `cluster` with the context's namespace `default`.

    later: changes of the cluster by seconds after the first request of the method `since`, for verbs that wait. Not by
        the clock of the test: on a busy machine the change would come before the first look.
    """

    cluster: FakeCluster
    later: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    since: str = "WATCH"
    arrange: Callable[[FakeTransport], object] = lambda transport: None

    def __call__(self, *arguments: str, stdin: str | None = None) -> Answer:
        result = CliRunner().invoke(app, list(arguments), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    def ok(self, *arguments: str, stdin: str | None = None) -> Answer:
        answer = self(*arguments, stdin=stdin)
        assert answer.code == 0, answer
        return answer

    async def transport(self, login: Login, where: Where) -> FakeTransport:
        opened = FakeTransport(self.cluster, actor="cli")
        self.arrange(opened)
        waiting = list(self.later)

        def begin(request: Request) -> None:
            if request.method == self.since:
                while waiting:
                    asyncio.get_running_loop().call_later(*waiting.pop(0))

        opened.faults.insert(0, begin)
        return opened


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster(ManualClock())


@pytest.fixture
def release(cluster: FakeCluster) -> Release:
    """A canary in the middle of its update, waiting for a person at its second step."""
    return Release(cluster)


@pytest.fixture
def cli(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> Cli:
    made = Cli(cluster)
    monkeypatch.setattr(session, "log_in", lambda **_: LOGIN)
    monkeypatch.setattr(session, "open_transport", made.transport)
    return made
