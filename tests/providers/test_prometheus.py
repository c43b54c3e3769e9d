"""Prometheus as a provider, against a server that speaks its documented API and misbehaves on request."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.providers.stand_in import standing_in
from tidegate.core.analysis.metrics import read_run
from tidegate.core.analysis.world import Reading
from tidegate.providers.prometheus import Prometheus

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def vector(*values: str, **more: Any) -> dict[str, Any]:
    result = [{"metric": {"version": str(n)}, "value": [1700000000.123, v]} for n, v in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}, **more}


def of_type(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


@dataclass
class StandIn:
    """GET /api/v1/query, answered by `handler`."""

    handler: Handler
    asked: list[web.Request] = field(default_factory=list)
    address: str = ""

    async def query(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self.handler(request)

    def answer(self, body: Any, status: int = 200) -> None:
        async def handler(_: web.Request) -> web.StreamResponse:
            return web.json_response(body, status=status)

        self.handler = handler

    def answer_raw(self, body: bytes, status: int = 200, **headers: str) -> None:
        async def handler(_: web.Request) -> web.StreamResponse:
            return web.Response(body=body, status=status, headers=headers)

        self.handler = handler


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async def unset(_: web.Request) -> web.StreamResponse:
        raise AssertionError("the test has set no answer")

    stand_in = StandIn(unset)
    app = web.Application()
    app.router.add_get("/api/v1/query", stand_in.query)
    app.router.add_get("/api/v1/query_range", stand_in.query)
    app.router.add_get("/prom/api/v1/query", stand_in.query)
    async with TestServer(app) as running:
        stand_in.address = str(running.make_url("")).rstrip("/")
        yield stand_in


@pytest.fixture
async def prometheus() -> AsyncIterator[Prometheus]:
    provider = Prometheus(threads=4)
    yield provider
    await provider.close()


async def measure(provider: Prometheus, address: str, query: str = "up", seconds: float = 5, **spec: Any) -> Reading:
    return await provider.measure({"address": address, "query": query, **spec}, seconds=seconds)


VALUES = [
    (vector("0.95"), (0.95,), "[0.95]"),
    (vector("1", "2.5"), (1.0, 2.5), "[1,2.5]"),
    (vector(), (), "[]"),
    (vector("NaN"), (math.nan,), "[NaN]"),
    (vector("+Inf", "-Inf"), (math.inf, -math.inf), "[+Inf,-Inf]"),
    (of_type("matrix", [{"values": [[1, "2"], [2, "3"]]}, {"values": [[1, "4"]]}]), (2.0, 3.0, 4.0), "[2,3,4]"),
    (of_type("scalar", [1700000000, "42"]), 42.0, "42"),
    (of_type("scalar", [1700000000, "NaN"]), math.nan, "NaN"),
]


@pytest.mark.parametrize(("body", "value", "text"), VALUES, ids=[row[2] for row in VALUES])
async def test_an_answer_is_read(
    server: StandIn, prometheus: Prometheus, body: dict[str, Any], value: Any, text: str
) -> None:
    server.answer(body)

    reading = await measure(prometheus, server.address, 'sum(up{job="a"})')

    assert reading.error == ""
    assert str(reading.value) == str(value)
    assert reading.text == text
    assert reading.asked == {"ResolvedPrometheusQuery": 'sum(up{job="a"})'}
    assert server.asked[0].query["query"] == 'sum(up{job="a"})'


async def test_warnings_are_kept_beside_the_value(server: StandIn, prometheus: Prometheus) -> None:
    server.answer(vector("1", warnings=["partial data", "slow store"]))

    reading = await measure(prometheus, server.address)

    assert reading.metadata == {"warnings": '"partial data", "slow store"'}


async def test_an_address_may_have_a_path_and_a_slash_at_its_end(server: StandIn, prometheus: Prometheus) -> None:
    server.answer(vector("1"))

    assert (await measure(prometheus, f"{server.address}/prom/")).text == "[1]"
    assert server.asked[0].path == "/prom/api/v1/query"


USELESS = [
    (of_type("matrix", [{"metric": {}, "histograms": []}]), 200, "gave a native histogram"),
    (of_type("string", [1700000000, "5"]), 200, "gave a string"),
    (of_type("vector", [{"metric": {}, "histogram": [1, {}]}]), 200, "gave a native histogram"),
    (of_type("vector", [{"metric": {}, "value": [1, "lots"]}]), 200, "gave an answer that is not a result"),
    (of_type("vector", "none"), 200, "gave an answer that is not a result"),
    ({"status": "success"}, 200, "gave an answer that is not a result"),
    ({"status": "success", "data": None}, 200, "gave an answer that is not a result"),
    ([], 200, "gave an answer that is not JSON"),
    (
        {"status": "error", "errorType": "bad_data", "error": "1:5: parse error"},
        400,
        "answered 400 Bad Request: bad_data: 1:5: parse error",
    ),
    (
        {"status": "error", "errorType": "timeout", "error": "query timed out"},
        503,
        "answered 503 Service Unavailable: timeout: query timed out",
    ),
    ({"message": "who are you?"}, 401, "answered 401 Unauthorized"),
]


@pytest.mark.parametrize(("body", "status", "expected"), USELESS)
async def test_an_answer_without_a_value_is_an_error_that_says_why(
    server: StandIn, prometheus: Prometheus, body: Any, status: int, expected: str
) -> None:
    server.answer(body, status)

    reading = await measure(prometheus, server.address)

    assert (reading.value, reading.text) == (None, "")
    assert reading.error.startswith(f"Prometheus at {server.address} {expected}")


async def test_a_page_of_html_is_an_error_and_is_not_quoted(server: StandIn, prometheus: Prometheus) -> None:
    server.answer_raw(b"<html>secret</html>", 502)
    assert (await measure(prometheus, server.address)).error == (
        f"Prometheus at {server.address} answered 502 Bad Gateway"
    )

    server.answer_raw(b"<html>login</html>")
    assert "is not JSON" in (await measure(prometheus, server.address)).error


async def test_an_endless_complaint_is_cut(server: StandIn, prometheus: Prometheus) -> None:
    server.answer({"status": "error", "errorType": "bad_data", "error": "x" * 100_000}, 400)

    assert len((await measure(prometheus, server.address)).error) < 600


async def test_of_a_long_vector_all_is_judged_and_a_little_is_shown(server: StandIn, prometheus: Prometheus) -> None:
    server.answer(vector(*["1"] * 5000))

    reading = await measure(prometheus, server.address)

    assert len(reading.value) == 5000
    assert reading.text == "[" + "1," * 20 + "… 4980 more]"


async def test_an_answer_that_does_not_end_is_cut_off(server: StandIn, prometheus: Prometheus) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 1_000_000)
        except ConnectionError:
            return response

    server.handler = flood

    assert "more than 8 MiB" in (await measure(prometheus, server.address)).error


async def test_a_server_that_says_nothing_is_an_error_when_the_time_is_over(
    server: StandIn, prometheus: Prometheus
) -> None:
    done = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await done.wait()
        return web.json_response(vector("1"))

    server.handler = hang
    since = time.monotonic()

    reading = await measure(prometheus, server.address, seconds=0.2)
    done.set()

    assert reading.error == f"Prometheus at {server.address} gave no answer within 0.2 s"
    assert time.monotonic() - since < 1


async def test_a_server_that_dribbles_is_cut_off_and_its_thread_comes_back(server: StandIn) -> None:
    provider = Prometheus(threads=1)

    async def dribble(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(100):
                await response.write(b" ")
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        return response

    server.handler = dribble
    assert "no answer within 0.2 s" in (await measure(provider, server.address, seconds=0.2)).error

    server.answer(vector("1"))
    assert (await measure(provider, server.address, seconds=2)).text == "[1]"
    await provider.close()


async def test_a_server_that_hangs_holds_up_no_other(server: StandIn) -> None:
    provider = Prometheus(threads=2)
    silent = socket.create_server(("127.0.0.1", 0))
    nowhere = f"http://127.0.0.1:{silent.getsockname()[1]}"
    server.answer(vector("1"))

    stuck = [asyncio.create_task(measure(provider, nowhere, f"q{n}", 0.5)) for n in range(6)]
    await asyncio.sleep(0)
    reading = await measure(provider, server.address, seconds=0.4)

    assert reading.text == "[1]"
    for late in await asyncio.gather(*stuck):
        assert "no answer within 0.5 s" in late.error
    silent.close()
    await provider.close()


async def test_nobody_at_the_address_is_an_error(prometheus: Prometheus) -> None:
    free = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{free.getsockname()[1]}"
    free.close()

    assert (await measure(prometheus, address)).error == (
        f"Prometheus at {address} can't be reached: Connection refused"
    )


async def test_a_connection_that_breaks_off_is_an_error(prometheus: Prometheus) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        await writer.drain()
        writer.close()

    for behaviour in (hang_up, break_off):
        listening = await asyncio.start_server(behaviour, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        error = (await measure(prometheus, address)).error
        listening.close()
        assert error.startswith(f"Prometheus at {address} ")
        assert "could not be asked" not in error


@pytest.mark.parametrize(
    "address",
    [
        "http://user:hunter2@127.0.0.1:1",
        "https://user:hunter2@127.0.0.1:1",
        "ftp://user:hunter2@host",
        "http://user:hunter2@host:port",
        "http://user:hunter2@[::1",
        "//user:hunter2@host",
        "http://user:hunter2@no-such-host.invalid",
    ],
)
async def test_an_error_never_holds_credentials(prometheus: Prometheus, address: str) -> None:
    reading = await measure(prometheus, address)

    assert reading.error
    assert "hunter2" not in str(reading)
    assert "user" not in reading.error


async def test_credentials_of_the_address_are_sent(server: StandIn, prometheus: Prometheus) -> None:
    server.answer(vector("1"))

    await measure(prometheus, server.address.replace("//", "//user:hunter2@"))

    assert server.asked[0].headers["Authorization"] == "Basic dXNlcjpodW50ZXIy"


async def test_without_an_address_the_default_is_asked(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer(vector("1"))
    monkeypatch.setenv("ARGO_ROLLOUTS_PROMETHEUS_ADDRESS", server.address)

    by_variable = Prometheus()
    by_setting = Prometheus(default_address=f"{server.address}/prom")

    assert (await by_variable.measure({"query": "up"}, seconds=5)).text == "[1]"
    assert (await by_setting.measure({"query": "up"}, seconds=5)).text == "[1]"
    assert [request.path for request in server.asked] == ["/api/v1/query", "/prom/api/v1/query"]
    await by_variable.close()
    await by_setting.close()


async def test_without_any_address_the_error_says_where_to_give_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARGO_ROLLOUTS_PROMETHEUS_ADDRESS", raising=False)

    reading = await Prometheus().measure({"query": "up"}, seconds=5)

    assert "provider.prometheus.address" in reading.error
    assert "ARGO_ROLLOUTS_PROMETHEUS_ADDRESS" in reading.error


class TestQuestionsOfOneMoment:
    async def test_the_same_question_is_asked_once(self, server: StandIn, prometheus: Prometheus) -> None:
        server.answer(vector("1"))

        readings = await asyncio.gather(*(measure(prometheus, server.address, "same") for _ in range(100)))

        assert {reading.text for reading in readings} == {"[1]"}
        assert len(server.asked) == 1

    async def test_a_later_question_is_asked_anew(self, server: StandIn, prometheus: Prometheus) -> None:
        for value in ("1", "0"):
            server.answer(vector(value))
            assert (await measure(prometheus, server.address)).text == f"[{value}]"

        assert len(server.asked) == 2

    async def test_different_questions_share_connections_up_to_the_bound(
        self, server: StandIn, prometheus: Prometheus
    ) -> None:
        at_once = most = 0

        async def handler(_: web.Request) -> web.StreamResponse:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.002)
            at_once -= 1
            return web.json_response(vector("1"))

        server.handler = handler
        await asyncio.gather(*(measure(prometheus, server.address, f"q{n}") for n in range(40)))

        peers = {request.transport and request.transport.get_extra_info("peername") for request in server.asked}
        assert len(server.asked) == 40
        assert most == 4
        assert len(peers - {None}) <= 4

    async def test_who_stops_waiting_takes_the_answer_from_nobody(
        self, server: StandIn, prometheus: Prometheus
    ) -> None:
        go_on = asyncio.Event()

        async def handler(_: web.Request) -> web.StreamResponse:
            await go_on.wait()
            return web.json_response(vector("1"))

        server.handler = handler
        first = asyncio.create_task(measure(prometheus, server.address))
        second = asyncio.create_task(measure(prometheus, server.address))
        while not server.asked:
            await asyncio.sleep(0.001)

        first.cancel()
        await asyncio.sleep(0)
        go_on.set()

        assert (await second).text == "[1]"
        assert first.cancelled()
        assert len(server.asked) == 1

    async def test_a_question_that_timed_out_is_asked_again(self, server: StandIn, prometheus: Prometheus) -> None:
        hold = asyncio.Event()

        async def hang(_: web.Request) -> web.StreamResponse:
            await hold.wait()
            return web.json_response(vector("1"))

        server.handler = hang
        assert (await measure(prometheus, server.address, seconds=0.1)).error
        server.answer(vector("1"))
        assert (await measure(prometheus, server.address, seconds=0.1)).text == "[1]"
        hold.set()


async def test_of_many_servers_those_asked_last_keep_their_connection(server: StandIn) -> None:
    server.answer(vector("1"))
    provider = Prometheus(threads=1)

    for n in range(40):
        address = server.address.replace("//", f"//user{n}:p@")
        assert (await measure(provider, address)).text == "[1]"

    assert len(provider._connections) == 32
    assert (await measure(provider, server.address.replace("//", "//user0:p@"))).text == "[1]"
    await provider.close()


async def test_each_question_that_goes_out_is_counted(server: StandIn) -> None:
    counted: list[tuple[str, str]] = []
    provider = Prometheus(on_query=lambda name, outcome, seconds: counted.append((name, outcome)))

    server.answer(vector("1"))
    await asyncio.gather(*(measure(provider, server.address) for _ in range(5)))
    server.answer({}, 500)
    await measure(provider, server.address)

    assert counted == [("prometheus", "answered"), ("prometheus", "error")]
    await provider.close()


class TestAccess:
    async def test_given_headers_then_they_are_sent_with_each_question_of_its_own(
        self, server: StandIn, prometheus: Prometheus
    ) -> None:
        """Flagger adds its credentials to the headers of a shared object, which grow with each query (defect 7)."""
        server.answer(vector("1"))

        for tenant in ("a", "b", ""):
            headers = [{"key": "X-Scope-OrgID", "value": tenant}] if tenant else []
            assert (await measure(prometheus, server.address, headers=headers)).text == "[1]"

        assert [request.headers.getall("X-Scope-OrgID", []) for request in server.asked] == [["a"], ["b"], []]

    async def test_given_two_tenants_at_one_moment_then_each_gets_its_own_answer(
        self, server: StandIn, prometheus: Prometheus
    ) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            return web.json_response(vector({"a": "1", "b": "2"}[request.headers["X-Tenant"]]))

        server.handler = handler
        tenants = ["a", "b"] * 10

        readings = await asyncio.gather(
            *(measure(prometheus, server.address, headers=[{"key": "X-Tenant", "value": name}]) for name in tenants)
        )

        assert [reading.text for reading in readings] == ["[1]", "[2]"] * 10

    async def test_given_a_name_and_a_password_then_they_are_sent_and_hidden(
        self, server: StandIn, prometheus: Prometheus
    ) -> None:
        server.answer({"status": "error", "error": "hunter2 is wrong"}, 401)
        access = {"basicAuth": {"username": "user", "password": "hunter2"}, "oauth2": {}}

        reading = await measure(prometheus, server.address, authentication=access)

        assert server.asked[0].headers["Authorization"] == "Basic dXNlcjpodW50ZXIy"
        assert reading.hidden >= {"hunter2", "dXNlcjpodW50ZXIy"}

    async def test_given_a_client_then_a_token_is_got_for_each_measurement(
        self, server: StandIn, prometheus: Prometheus
    ) -> None:
        server.answer(vector("1"))
        async with standing_in() as login:
            login.answers["/token"] = [{"access_token": "one"}, {"access_token": "two"}, (503, {})]
            oauth2 = {
                "tokenUrl": f"{login.address}/token",
                "clientId": "id",
                "clientSecret": "hunter2",
                "scopes": ["a"],
            }
            readings = [await measure(prometheus, server.address, authentication={"oauth2": oauth2}) for _ in range(3)]

        assert login.asked[0].headers["Authorization"] == "Basic aWQ6aHVudGVyMg=="
        assert b"scope=a" in login.asked[0].body
        assert [request.headers["Authorization"] for request in server.asked] == ["Bearer one", "Bearer two"]
        assert [reading.text for reading in readings] == ["[1]", "[1]", ""]
        assert readings[2].error == f"the OAuth2 server at {login.address}/token answered 503 Service Unavailable"

    async def test_given_a_header_with_a_line_break_then_it_is_an_error(
        self, server: StandIn, prometheus: Prometheus
    ) -> None:
        reading = await measure(prometheus, server.address, headers=[{"key": "X-A", "value": "hunter2\r\nX-B: 1"}])

        assert "holds a line break" in reading.error
        assert "hunter2" not in reading.error


class TestRanges:
    @pytest.fixture
    async def fixed(self) -> AsyncIterator[Prometheus]:
        provider = Prometheus(now=lambda: datetime(2026, 5, 1, 12, tzinfo=UTC))
        yield provider
        await provider.close()

    @pytest.mark.parametrize(
        ("span", "asked"),
        [
            (
                {"start": 'now() - duration("5m")', "end": "now()", "step": "1m"},
                {"start": "1777636500", "end": "1777636800", "step": "60"},
            ),
            (
                {"start": 'date("2026-05-01")', "end": 'date("2026-05-01") + duration("1h")', "step": "500ms"},
                {"start": "1777593600", "end": "1777597200", "step": "0.5"},
            ),
        ],
    )
    async def test_given_a_range_then_all_values_of_it_are_the_result(
        self, server: StandIn, fixed: Prometheus, span: dict[str, str], asked: dict[str, str]
    ) -> None:
        server.answer(of_type("matrix", [{"values": [[1, "1"], [2, "2"]]}, {"values": [[1, "3"]]}]))

        reading = await measure(fixed, server.address, rangeQuery=span)

        assert (reading.value, reading.text) == ((1.0, 2.0, 3.0), "[1,2,3]")
        (request,) = server.asked
        assert request.path == "/api/v1/query_range"
        assert dict(request.query) == {"query": "up", **asked}

    @pytest.mark.parametrize(
        ("field", "value", "told"),
        [
            ("start", "yesterday", "is not a time such as now()"),
            ("start", 'duration("5m")', "is a duration and not a time"),
            ("start", 'now() - date("2026-01-01")', "is a duration and not a time"),
            ("end", "", "is required"),
            ("end", 'now() - duration("five")', "is not a duration such as 5m"),
            ("end", 'date("x")', "is not a date"),
            ("end", "(now()", "a bracket is not closed"),
            ("end", "now() now()", "nothing may follow"),
            ("step", "often", "is not a duration"),
            ("step", "0s", "must be more than nothing"),
            ("step", "", "is required"),
        ],
    )
    def test_given_a_mistake_then_its_place_is_told_before_a_run_begins(
        self, field: str, value: str, told: str
    ) -> None:
        span = {"start": "now()", "end": "now()", "step": "1m", field: value}
        metric = {"name": "m", "provider": {"prometheus": {"query": "up", "rangeQuery": span}}}

        _, problems = read_run({"spec": {"metrics": [metric]}})

        assert [problem.path for problem in problems] == [f"spec.metrics[0].provider.prometheus.rangeQuery.{field}"]
        assert told in problems[0].message
