"""The load generator counts what users got: nothing twice, nothing hidden."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.demo import load
from lab.demo.load import LATE, Report, Stream, Users

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def say(code: int, version: str = "v1", *, headers: str = "", pieces: int = 1) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        text = f"HTTP/1.1 {code} X\r\ncontent-length: 5\r\nx-version: {version}\r\n{headers}\r\nhello".encode()
        size = -(-len(text) // pieces)
        for start in range(0, len(text), size):
            writer.write(text[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)
        if "close" in headers:
            writer.close()

    return answer


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    no_linger = struct.pack("ii", 1, 0)  # a closed connection is then reset, not ended
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
    writer.transport.abort()


async def silence(writer: asyncio.StreamWriter) -> None:
    """No answer, and the connection stays open."""


@asynccontextmanager
async def serving(*answers: Answer) -> AsyncIterator[tuple[Users, list[int]]]:
    """Users of a server that gives these answers in turn; and for each request the number of its connection."""
    script, connections = iter(answers), []
    ends: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(writer)
        mine = len(ends)
        try:
            while not writer.is_closing():
                await reader.readuntil(b"\r\n\r\n")
                connections.append(mine)
                await next(script)(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the users have closed it

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    users = Users(server.sockets[0].getsockname()[:2])
    users.change("web", "web.example.com", 0)
    try:
        yield users, connections
    finally:
        server.close()
        for connection in [*users.idle, *users.busy]:
            connection.fail("end of test")
        for writer in ends:
            writer.transport.abort()
        await asyncio.sleep(0.01)  # what was closed is taken leave of in the loop's next rounds


async def ask(users: Users, number: int) -> None:
    """So many requests, each after the answer to the one before."""
    for _ in range(number):
        before = users.report.answers.total()
        users.send(users.streams["web"], asyncio.get_running_loop().time())
        async with asyncio.timeout(10):
            while users.report.answers.total() == before:
                users.expire()
                await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("answers", "counted", "failed"),
    [
        ([say(200)], {("web", "v1", "200"): 1}, []),
        ([say(200), say(200, "v2")], {("web", "v1", "200"): 1, ("web", "v2", "200"): 1}, []),
        ([say(200, pieces=7)], {("web", "v1", "200"): 1}, []),
        ([say(404)], {("web", "v1", "404"): 1}, []),
        ([say(500, "v2")], {("web", "v2", "500"): 1}, [("web", "v2", "500")]),
        ([say(503, ""), say(200)], {("web", "", "503"): 1, ("web", "v1", "200"): 1}, [("web", "", "503")]),
        ([hang_up, say(200)], {("web", "", "closed"): 1, ("web", "v1", "200"): 1}, [("web", "", "closed")]),
        ([reset, say(200)], {("web", "", "reset"): 1, ("web", "v1", "200"): 1}, [("web", "", "reset")]),
        ([silence, say(200)], {("web", "", "timeout"): 1, ("web", "v1", "200"): 1}, [("web", "", "timeout")]),
    ],
)
async def test_given_an_answer_then_it_is_counted_once_under_its_version_and_code(
    monkeypatch: pytest.MonkeyPatch, answers: list[Answer], counted: dict[Any, int], failed: list[Any]
) -> None:
    if silence in answers:
        monkeypatch.setattr(load, "TIMEOUT", 0.1)
    async with serving(*answers) as (users, _):
        await ask(users, len(answers))
        assert users.report.answers == counted
        assert [failure[1:] for failure in users.report.failures] == failed


async def test_given_a_kept_connection_then_the_next_request_uses_it() -> None:
    async with serving(*[say(200)] * 3) as (users, connections):
        await ask(users, 3)
        assert connections == [1, 1, 1]


async def test_given_a_connection_that_the_server_closes_after_its_answer_then_nobody_fails() -> None:
    async with serving(say(200, headers="connection: close\r\n"), say(200)) as (users, connections):
        await ask(users, 2)
        assert users.report.answers == {("web", "v1", "200"): 2}
        assert connections == [1, 2]


async def test_given_no_server_then_the_request_failed() -> None:
    async with serving() as (users, _):
        pass
    await ask(users, 1)
    assert users.report.answers == {("web", "", "refused"): 1}
    assert len(users.report.failures) == 1


async def test_given_more_requests_than_connections_then_all_are_answered_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "MOST_CONNECTIONS", 2)
    async with serving(*[say(200)] * 20) as (users, connections):
        for _ in range(20):
            users.send(users.streams["web"], asyncio.get_running_loop().time())
        async with asyncio.timeout(10):
            while users.report.answers.total() < 20:
                await asyncio.sleep(0.001)
        assert set(connections) <= {1, 2}
        assert not users.report.failures


@given(
    rate=st.floats(1, 2000),
    gaps=st.lists(st.floats(0, 4), min_size=1, max_size=30),
)
def test_given_any_delays_then_every_request_is_either_sent_in_time_or_skipped(rate: float, gaps: list[float]) -> None:
    """The pace does not depend on how often the generator gets to run."""
    stream, now, sent, skipped = Stream("web", b"", rate, 1000.0), 1000.0, 0, 0
    for gap in gaps:
        now += gap
        times, missed = stream.take(now)
        sent, skipped = sent + len(times), skipped + missed
        assert all(now - LATE - 1e-6 <= due <= now for due in times)
        assert times == sorted(times)
    assert sent + skipped == pytest.approx((now - 1000) * rate + 1, abs=1.01)
    if max(gaps) < LATE / 2:
        assert skipped == 0


def test_given_a_stream_of_rate_0_then_nothing_is_due() -> None:
    assert Stream("web", b"", 0, 0.0).take(1e6) == ([], 0)


def test_given_a_report_that_was_read_then_the_next_one_starts_from_nothing() -> None:
    report = Report()
    report.count("web", "v1", "200", due=1.0, now=1.0201)
    report.count("web", "v1", "500", due=1.0, now=1.5)
    first, second = json.loads(report.line(2.0, 7)), json.loads(report.line(3.0, 0))
    assert first == {
        "t": 2.0,
        "answers": [["web", "v1", "200", 1], ["web", "v1", "500", 1]],
        "latencies": {"web": {"21": 1, "500": 1}},
        "failures": [[1.5, "web", "v1", "500"]],
        "skipped": 0,
        "waiting": 7,
    }
    assert not any(second[key] for key in ("answers", "latencies", "failures", "skipped", "waiting"))
