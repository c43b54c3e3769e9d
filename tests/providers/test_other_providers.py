"""Wavefront, New Relic, Graphite, InfluxDB and SkyWalking, each against a server that speaks its documented API."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.providers.stand_in import StandIn, take
from tidegate.core.analysis.metrics import read_run


def mistakes(provider: str, spec: dict[str, Any]) -> list[str]:
    _, problems = read_run({"spec": {"metrics": [{"name": "m", "provider": {provider: spec}}]}})
    return [problem.path.removeprefix(f"spec.metrics[0].provider.{provider}.") for problem in problems]


class TestWavefront:
    async def ask(self, stand_in: StandIn, answer: Any) -> Any:
        stand_in.answers["*"] = answer
        secrets = {("ops", "wavefront-api-tokens"): {"127.0.0.1": "t0ken", "other": "x"}}
        return await take("wavefront", {"address": stand_in.address, "query": "ts(a) + 1"}, secrets=secrets)

    async def test_given_one_series_then_its_point_nearest_to_now_is_the_result(self, stand_in: StandIn) -> None:
        now = int(time.time())
        points = [[now - 60, 1.0], [now - 2, 0.999], [now + 90, 3.0]]

        reading = await self.ask(stand_in, {"timeseries": [{"label": "a", "data": points}], "warnings": "slow"})

        assert (reading.error, reading.value, reading.text) == ("", 0.999, "1.00")
        assert reading.metadata["timestamps"] == str(now - 2)
        assert -30 < int(reading.metadata["drift"]) <= -2
        assert reading.metadata["warnings"] == "slow"
        (asked,) = stand_in.asked
        assert (asked.method, asked.path) == ("GET", "/api/v2/chart/api")
        assert asked.headers["Authorization"] == "Bearer t0ken"
        assert asked.query["q"] == "ts(a) + 1"
        assert asked.query["s"] == asked.query["e"]
        assert (asked.query["g"], asked.query["p"], asked.query["i"]) == ("s", "1", "true")

    async def test_given_several_series_then_they_are_a_vector(self, stand_in: StandIn) -> None:
        found = [{"data": [[1, 1]]}, {"data": [[2, 0.5]]}]

        reading = await self.ask(stand_in, {"timeseries": found})

        assert (reading.value, reading.text) == ((1.0, 0.5), "[1.00,0.50]")
        assert reading.metadata["timestamps"] == "[1,2]"

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            ({}, "found no series"),
            ({"timeseries": []}, "found no series"),
            ({"timeseries": [{"data": []}]}, "is not a result of Wavefront's chart API"),
            ({"errorType": "QuerySyntaxError", "errorMessage": "line 1 t0ken"}, "query: line 1 *****"),
        ],
    )
    async def test_given_no_values_then_it_is_an_error_and_not_zero(
        self, stand_in: StandIn, answer: Any, told: str
    ) -> None:
        reading = await self.ask(stand_in, answer)

        assert told in reading.error
        assert reading.value is None

    async def test_given_no_token_for_the_server_then_nothing_is_asked(self, stand_in: StandIn) -> None:
        secrets = {("ops", "wavefront-api-tokens"): {"other.wavefront.com": "x"}}

        reading = await take("wavefront", {"address": "my.wavefront.com", "query": "q"}, secrets=secrets)

        assert reading.error == "Secret ops/wavefront-api-tokens has no text under the key my.wavefront.com"

    def test_given_a_mistake_then_its_place_is_told(self) -> None:
        assert mistakes("wavefront", {}) == ["address", "query"]


class TestNewRelic:
    SECRET = {"personal-api-key": "k3y", "account-id": "42"}  # noqa: RUF012

    def results(self, *found: Any) -> dict[str, Any]:
        return {"data": {"actor": {"account": {"nrql": {"results": list(found)}}}}}

    async def ask(self, stand_in: StandIn, answer: Any, secret: dict[str, str] | None = None, **spec: Any) -> Any:
        stand_in.answers["*"] = answer
        entries = {**self.SECRET, "base-url-nerdgraph": f"{stand_in.address}/graphql", **(secret or {})}
        return await take("newRelic", {"query": "FROM T SELECT x", **spec}, secrets={("ops", "newrelic"): entries})

    async def test_given_one_result_then_it_is_a_map(self, stand_in: StandIn) -> None:
        reading = await self.ask(stand_in, self.results({"successRate": 0.99}), timeout=12)

        assert (reading.error, reading.value, reading.text) == ("", {"successRate": 0.99}, '{"successRate":0.99}')
        assert reading.asked == {"ResolvedNewRelicQuery": "FROM T SELECT x"}
        (asked,) = stand_in.asked
        assert (asked.method, asked.path, asked.headers["Api-Key"]) == ("POST", "/graphql", "k3y")
        assert asked.json["variables"] == {"accountId": 42, "query": "FROM T SELECT x", "timeout": 12}
        assert "nrql(query: $query, timeout: $timeout)" in asked.json["query"]

    async def test_given_several_results_then_they_are_a_list(self, stand_in: StandIn) -> None:
        reading = await self.ask(stand_in, self.results({"a": 1}, {"a": 2}))

        assert reading.value == [{"a": 1}, {"a": 2}]
        assert stand_in.asked[0].json["variables"]["timeout"] == 5

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            ({"data": {"actor": {"account": {"nrql": {"results": []}}}}}, "found no results"),
            ({"data": {"actor": {"account": {"nrql": {"results": [{}]}}}}}, "found no results"),
            ({"data": {"actor": {"account": None}}, "errors": [{"message": "NRQL Syntax Error"}]}, "NRQL Syntax Error"),
            ({"data": {"actor": {"account": None}}}, "is not a result of NerdGraph"),
            ((401, {"errors": [{"message": "bad key k3y"}]}), "answered 401 Unauthorized: bad key *****"),
        ],
    )
    async def test_given_no_results_then_it_is_an_error(self, stand_in: StandIn, answer: Any, told: str) -> None:
        reading = await self.ask(stand_in, answer)

        assert told in reading.error
        assert reading.value is None

    @pytest.mark.parametrize(
        ("secret", "told"),
        [
            ({"personal-api-key": ""}, "Secret ops/newrelic has no text under the key personal-api-key"),
            ({"account-id": "x"}, "Secret ops/newrelic has an account-id that is not a number"),
            ({"base-url-nerdgraph": "", "region": "mars"}, "has a region that is none of us, eu, staging"),
        ],
    )
    async def test_given_a_broken_profile_then_nothing_is_asked(
        self, stand_in: StandIn, secret: dict[str, str], told: str
    ) -> None:
        reading = await self.ask(stand_in, self.results({"a": 1}), secret)

        assert told in reading.error
        assert stand_in.asked == []

    async def test_given_another_profile_then_its_secret_is_read(self) -> None:
        assert (await take("newRelic", {"query": "q", "profile": "mine"})).error == "Secret ops/mine not found"

    def test_given_a_time_then_the_measurement_may_take_a_little_longer(self) -> None:
        for timeout, seconds in ((None, 30), (5, 30), (60, 70)):
            metric = {"name": "m", "provider": {"newRelic": {"query": "q", "timeout": timeout}}}
            assert read_run({"spec": {"metrics": [metric]}})[0][0].timeout.total_seconds() == seconds

    def test_given_a_mistake_then_its_place_is_told(self) -> None:
        assert mistakes("newRelic", {}) == mistakes("newRelic", {"query": " "}) == ["query"]


class TestGraphite:
    async def ask(self, stand_in: StandIn, answer: Any, query: str = "target=a") -> Any:
        stand_in.answers["*"] = [answer]
        return await take("graphite", {"address": f"{stand_in.address}/g/", "query": query})

    async def test_given_points_then_those_with_a_value_are_the_result(self, stand_in: StandIn) -> None:
        found = [{"target": "a", "datapoints": [[0.5, 1], [None, 2], ["3", 3]]}, {"target": "b", "datapoints": []}]

        reading = await self.ask(stand_in, found, "target=summarize(\n  a.b, '5min')&from=-5min&format=png")

        assert (reading.error, reading.value, reading.text) == ("", (0.5, 3.0), "[0.500000,3.000000]")
        (asked,) = stand_in.asked
        assert (asked.method, asked.path) == ("GET", "/g/render")
        assert asked.query == {"target": "summarize(a.b,'5min')", "from": "-5min", "format": "json"}

    @pytest.mark.parametrize("answer", [[], [{"target": "a", "datapoints": []}]])
    async def test_given_no_points_then_it_is_an_error(self, stand_in: StandIn, answer: Any) -> None:
        reading = await self.ask(stand_in, answer)

        assert "found no values" in reading.error
        assert reading.value is None

    async def test_given_points_without_values_then_the_result_is_empty(self, stand_in: StandIn) -> None:
        assert (await self.ask(stand_in, [{"datapoints": [[None, 1]]}])).text == "[]"

    def test_given_a_mistake_then_its_place_is_told(self) -> None:
        assert mistakes("graphite", {}) == ["address", "query"]
        assert mistakes("graphite", {"address": "graphite", "query": "target=a"}) == ["address"]


TABLES = (
    "#datatype,string,long,dateTime:RFC3339,double,string\r\n"
    "#group,false,false,false,false,true\r\n"
    "#default,_result,,,1.5,\r\n"
    ",result,table,_time,_value,host\r\n"
    ',,0,2026-05-01T10:00:00Z,0.25,"a, b"\r\n'
    ",,0,2026-05-01T10:01:00Z,,a\r\n"
    "\r\n"
    "#datatype,string,long,boolean\r\n"
    "#group,false,false,false\r\n"
    "#default,_result,,\r\n"
    ",result,table,_value\r\n"
    ",,1,true\r\n"
    "\r\n"
    "#datatype,string,long,long\r\n#default,_result,,\r\n,result,table,_value\r\n,,2,7\r\n,,2,\r\n"
    "\r\n"
    "#datatype,string,long,string\r\n#default,_result,,\r\n,result,table,_value\r\n,,3,fine\r\n"
    "\r\n"
)


class TestInfluxDB:
    async def ask(self, stand_in: StandIn, answer: Any, secret: dict[str, str] | None = None, **spec: Any) -> Any:
        stand_in.answers["*"] = answer
        entries = {"address": stand_in.address, "authToken": "t0ken", "org": "my org", **(secret or {})}
        return await take("influxdb", {"query": "from(x)", **spec}, secrets={("ops", "influxdb"): entries})

    async def test_given_tables_then_their_values_are_the_result(self, stand_in: StandIn) -> None:
        reading = await self.ask(stand_in, (200, TABLES.encode()))

        assert reading.error == ""
        assert reading.value == [0.25, 1.5, True, 7.0, None, "fine"]
        assert reading.text == "[0.25 1.5 true 7 <nil> fine]"
        (asked,) = stand_in.asked
        assert (asked.method, asked.path, asked.query) == ("POST", "/api/v2/query", {"org": "my org"})
        assert asked.headers["Authorization"] == "Token t0ken"
        assert asked.json["query"] == "from(x)"
        assert asked.json["type"] == "flux"
        assert asked.json["dialect"]["annotations"] == ["datatype", "group", "default"]

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            ((200, b"\r\n"), "found no values"),
            ((200, b"#datatype,string,long\r\n,result,table\r\n,,0\r\n"), "found no values"),
            ((200, b"#datatype,string\r\n#default,\r\n,error,reference\r\n,no t0ken left,897\r\n"), "no ***** left"),
            ((200, b",error,reference\r\n,broken,1\r\n"), "did not carry out the query: broken"),
            ((200, b",result,table,_value\r\n,,0,1\r\n"), "is not annotated CSV"),
            ((200, b"#datatype,a,b,double\r\n,result,table,_value\r\n,,0,x\r\n"), "is not annotated CSV"),
            ((200, b"#datatype,a,b,double\r\n,result,table,_value\r\n,,0\r\n"), "is not annotated CSV"),
            ((200, b"\xff\xfe"), "is not CSV"),
            ((400, {"code": "invalid", "message": "error @1:1"}), "answered 400 Bad Request: error @1:1"),
        ],
    )
    async def test_given_no_values_then_it_is_an_error(self, stand_in: StandIn, answer: Any, told: str) -> None:
        reading = await self.ask(stand_in, answer)

        assert told in reading.error
        assert reading.value is None

    @pytest.mark.parametrize("key", ["address", "authToken", "org"])
    async def test_given_a_broken_profile_then_nothing_is_asked(self, stand_in: StandIn, key: str) -> None:
        reading = await self.ask(stand_in, (200, TABLES.encode()), {key: ""})

        assert reading.error == f"Secret ops/influxdb has no text under the key {key}"
        assert stand_in.asked == []

    async def test_given_another_profile_then_its_secret_is_read(self) -> None:
        assert (await take("influxdb", {"query": "q", "profile": "mine"})).error == "Secret ops/mine not found"

    def test_given_a_mistake_then_its_place_is_told(self) -> None:
        assert mistakes("influxdb", {}) == ["query"]


class TestSkyWalking:
    async def ask(self, stand_in: StandIn, answer: Any, **spec: Any) -> Any:
        stand_in.answers["*"] = answer
        return await take("skywalking", {"address": stand_in.address, "query": "query q($duration: Duration!)", **spec})

    @pytest.mark.parametrize(("spec", "minutes"), [({}, 5), ({"interval": "1h30m"}, 90)])
    async def test_given_data_then_it_is_the_result(
        self, stand_in: StandIn, spec: dict[str, Any], minutes: int
    ) -> None:
        data = {"service_apdex": {"values": {"values": [{"value": 9900}]}}}

        reading = await self.ask(stand_in, {"data": data}, **spec)

        assert (reading.error, reading.value) == ("", data)
        assert reading.text == '{"service_apdex":{"values":{"values":[{"value":9900}]}}}'
        (asked,) = stand_in.asked
        assert (asked.method, asked.path) == ("POST", "/graphql")
        assert asked.json["query"] == "query q($duration: Duration!)"
        duration = asked.json["variables"]["duration"]
        assert duration["step"] == "MINUTE"
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d{4}", duration[end]) for end in ("start", "end"))
        start, end = (datetime.strptime(duration[name], "%Y-%m-%d %H%M") for name in ("start", "end"))
        assert end - start == timedelta(minutes=minutes)
        assert abs(end.astimezone() - datetime.now(UTC)) < timedelta(minutes=2)

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            ({"data": None}, "gave an answer without data"),
            ({"data": {"a": 1}, "errors": [{"message": "Validation error"}]}, "query: Validation error"),
            ({"errors": "broken"}, "query: broken"),
        ],
    )
    async def test_given_no_data_then_it_is_an_error(self, stand_in: StandIn, answer: Any, told: str) -> None:
        reading = await self.ask(stand_in, answer)

        assert told in reading.error
        assert reading.value is None

    def test_given_a_mistake_then_its_place_is_told(self) -> None:
        assert mistakes("skywalking", {}) == ["address", "query"]
        assert mistakes("skywalking", {"address": "http://x", "query": "q", "interval": "x"}) == ["interval"]
