"""The real transport against a small HTTP server on the loopback device: credentials, long lines, broken streams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tidegate.cluster.credentials import Credentials
from tidegate.cluster.errors import Forbidden, TransportError
from tidegate.cluster.http_transport import HttpTransport

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(server: str, **options: Any) -> AsyncIterator[HttpTransport]:
    credentials = options.pop("credentials", None) or Credentials(server=server, token="old")
    transport = HttpTransport(credentials, **options)
    try:
        yield transport
    finally:
        await transport.close()


def streaming(*pieces: bytes, cut: bool = False, hold: bool = False) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        if hold:
            await asyncio.sleep(60)
        if cut and request.transport is not None:
            request.transport.abort()
        return response

    return handler


async def test_a_request_carries_method_path_query_body_and_token() -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        headers = [request.headers.get(name) for name in ("Authorization", "Content-Type", "Accept", "Accept-Encoding")]
        seen.append((request.method, request.raw_path, await request.read(), headers))
        return web.Response(status=409, body=b'{"kind": "Status"}', headers={"Retry-After": "3"})

    async with serving(handler) as server, connected(server) as transport:
        answer = await transport.request(
            "PATCH", "/api/v1/x", query={"labelSelector": "a in (b,c)"}, body=b"{}", content_type="a/b", timeout=5
        )

    assert seen == [
        (
            "PATCH",
            "/api/v1/x?labelSelector=a%20in%20%28b%2Cc%29",
            b"{}",
            ["Bearer old", "a/b", "application/json", "identity"],
        )
    ]
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (409, b'{"kind": "Status"}', "3")


async def test_no_answer_in_time_no_connection_and_a_cut_one_are_the_same_kind_of_error() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with serving(slow) as server, connected(server) as transport:
        with pytest.raises(TransportError, match="GET /x: no answer in time"):
            await transport.request("GET", "/x", query={}, timeout=0.05)
    async with connected("http://127.0.0.1:1") as transport:
        with pytest.raises(TransportError, match="/x"):
            await transport.request("GET", "/x", query={}, timeout=5)
        with pytest.raises(TransportError, match="watch /x"):
            async with transport.stream("/x", query={}):
                pytest.fail("there is nobody")


async def test_lines_of_a_watch_are_whole_whatever_their_length_and_however_they_arrive() -> None:
    long = b"x" * 5_000_000
    pieces = [b"on", b"e\ntwo\nth", b"ree\n\n", long[:3], long[3:], b"\nlast without an end"]
    async with (
        serving(streaming(*pieces)) as server,
        connected(server) as transport,
        transport.stream("/x", query={}) as lines,
    ):
        assert [line async for line in lines] == [b"one", b"two", b"three", long]


async def test_a_watch_that_is_cut_is_an_error_and_one_that_ends_is_not() -> None:
    async with serving(streaming(b"one\n", cut=True)) as server, connected(server) as transport:
        seen = []
        with pytest.raises(TransportError, match="watch /x"):
            async with transport.stream("/x", query={}) as lines:
                async for line in lines:
                    seen.append(line)  # noqa: PERF401 (what came before the error is to be seen)
        assert seen == [b"one"]


async def test_a_watch_that_falls_silent_is_an_error() -> None:
    async with serving(streaming(b"one\n", hold=True)) as server, connected(server, silence=0.1) as transport:
        with pytest.raises(TransportError, match="no answer in time"):
            async with transport.stream("/x", query={}) as lines:
                async for _ in lines:
                    pass


async def test_a_watch_that_is_refused_says_why() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"kind": "Status", "reason": "Forbidden", "message": "no role"}, status=403)

    async with serving(handler) as server, connected(server) as transport:
        with pytest.raises(Forbidden, match=r"watch /x.*no role"):
            async with transport.stream("/x", query={}):
                pytest.fail("it was refused")


async def test_when_credentials_run_out_everyone_waits_for_one_login_and_goes_on() -> None:
    logins = 0

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.headers["Authorization"] == "Bearer new" else 401)

    async with serving(handler) as server:

        async def login() -> Credentials:
            nonlocal logins
            logins += 1
            await asyncio.sleep(0.01)
            return Credentials(server=server, token="new")

        async with connected(server, login=login) as transport:
            shared = transport.share_session()
            answers = await asyncio.gather(*(transport.request("GET", "/x", query={}, timeout=5) for _ in range(5)))
            async with transport.stream("/x", query={}):
                pass
            async with shared.get(f"{server}/x") as answer:
                assert answer.status == 200, "kopf's session has the new token too"

    assert [answer.status for answer in answers] == [200] * 5
    assert logins == 1


async def test_credentials_that_stay_refused_are_asked_for_once_a_request() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=401)

    logins = 0
    async with serving(handler) as server:

        async def login() -> Credentials:
            nonlocal logins
            logins += 1
            return Credentials(server=server, token=f"wrong-{logins}")

        async with connected(server, login=login) as transport:
            assert (await transport.request("GET", "/x", query={}, timeout=5)).status == 401
        async with connected(server) as transport:
            assert (await transport.request("GET", "/x", query={}, timeout=5)).status == 401
    assert logins == 1


async def test_a_token_file_that_was_rotated_is_read_again_when_the_old_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.headers["Authorization"] == "Bearer new" else 401)

    async with serving(handler) as server:
        credentials = Credentials(server=server, token_path=str(file))
        async with connected(server, credentials=credentials) as transport:
            assert (await transport.request("GET", "/x", query={}, timeout=5)).status == 401
            file.write_text("new\n")
            assert (await transport.request("GET", "/x", query={}, timeout=5)).status == 200


async def test_closing_a_shared_session_leaves_ours_alone() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    async with serving(handler) as server, connected(server) as transport:
        shared = transport.share_session()
        await shared.close()
        assert (await transport.request("GET", "/x", query={}, timeout=5)).status == 200


def test_credentials_do_not_show_themselves() -> None:
    credentials = Credentials(server="https://api", token="secret", password="secret", private_key_data="secret")
    assert "secret" not in repr(credentials)
    assert "secret" not in f"{credentials}"
