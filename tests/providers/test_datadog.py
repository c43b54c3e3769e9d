"""Datadog, against a server that speaks its documented query APIs (v1 query, v2 scalar)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.providers.stand_in import StandIn, take
from tidegate.core.analysis.metrics import read_run

KEYS = {"api-key": "k1", "app-key": "k2"}
REF = {"name": "dd", "namespaced": True}


def series(*points: Any) -> dict[str, Any]:
    return {"status": "ok", "series": [{"metric": "m", "pointlist": list(points)}]}


def columns(*found: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"type": "scalar_response", "attributes": {"columns": list(found)}}}


async def ask(stand_in: StandIn, answer: Any, **spec: Any) -> Any:
    stand_in.answers["*"] = answer
    secrets = {("shop", "dd"): {"address": stand_in.address, **KEYS}}
    return await take("datadog", {"secretRef": REF, **spec}, secrets=secrets)


async def test_given_v1_then_the_last_point_of_the_series_is_the_result(stand_in: StandIn) -> None:
    reading = await ask(stand_in, series([1, 0.5], [2, 0.25]), query="sum:a{*}", interval="10m")

    assert (reading.error, reading.value, reading.text) == ("", 0.25, "0.25")
    (asked,) = stand_in.asked
    assert (asked.method, asked.path) == ("GET", "/api/v1/query")
    assert (asked.headers["DD-API-KEY"], asked.headers["DD-APPLICATION-KEY"]) == ("k1", "k2")
    assert asked.query["query"] == "sum:a{*}"
    assert int(asked.query["to"]) - int(asked.query["from"]) == 600
    assert abs(int(asked.query["to"]) - time.time()) < 60


async def test_given_v2_with_queries_and_a_formula_then_one_number_is_asked_for(stand_in: StandIn) -> None:
    answer = columns({"type": "group", "values": [["x"]]}, {"type": "number", "name": "f", "values": [0.01, 5]})

    reading = await ask(
        stand_in, answer, apiVersion="v2", queries={"a": "qa", "b": "qb"}, formula="a / b", aggregator="avg"
    )

    assert (reading.error, reading.value, reading.text) == ("", 0.01, "0.01")
    (asked,) = stand_in.asked
    assert (asked.method, asked.path, asked.headers["Content-Type"]) == (
        "POST",
        "/api/v2/query/scalar",
        "application/json",
    )
    data = asked.json["data"]
    assert data["type"] == "scalar_request"
    assert data["attributes"]["to"] - data["attributes"]["from"] == 300_000
    assert data["attributes"]["formulas"] == [{"formula": "a / b"}]
    assert data["attributes"]["queries"] == [
        {"aggregator": "avg", "data_source": "metrics", "name": "a", "query": "qa"},
        {"aggregator": "avg", "data_source": "metrics", "name": "b", "query": "qb"},
    ]


async def test_given_v2_with_one_query_then_its_last_value_is_asked_for(stand_in: StandIn) -> None:
    reading = await ask(stand_in, columns({"name": "query", "values": [7]}), apiVersion="v2", query="q")

    assert reading.text == "7"
    attributes = stand_in.asked[0].json["data"]["attributes"]
    assert attributes["queries"][0] | {"query": ""} == {
        "aggregator": "last",
        "data_source": "metrics",
        "name": "query",
        "query": "",
    }
    assert attributes["formulas"] == []


@pytest.mark.parametrize(
    ("version", "answer", "text"),
    [
        ("v1", {"series": []}, "[]"),
        ("v1", {"series": None}, "[]"),
        ("v1", series(), '[{"metric":"m","pointlist":[]}]'),
        ("v1", series([1, None]), '[{"metric":"m","pointlist":[[1,null]]}]'),
        ("v2", columns(), "[]"),
        ("v2", columns({"values": []}), "[]"),
        ("v2", columns({"values": [None]}), "[null]"),
    ],
)
async def test_given_no_data_then_the_result_is_nil_and_not_zero(
    stand_in: StandIn, version: str, answer: Any, text: str
) -> None:
    reading = await ask(stand_in, answer, apiVersion=version, query="q")

    assert (reading.error, reading.value, reading.text) == ("", None, text)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"status": "error", "error": "no such metric"}, "did not carry out the query: no such metric"),
        ({"errors": ["bad", "query"]}, "did not carry out the query: bad; query"),
        ({"data": {"errors": "bad k1"}}, "did not carry out the query: bad *****"),
        ((403, {"errors": ["Forbidden"]}), "answered 403 Forbidden: Forbidden"),
        ({"series": [{"pointlist": [[1, "x"]]}]}, "gave an answer that is not a result"),
    ],
)
async def test_given_an_error_in_the_answer_then_it_is_told(stand_in: StandIn, answer: Any, told: str) -> None:
    reading = await ask(stand_in, answer, query="q")

    assert told in reading.error
    assert reading.value is None


class TestCredentials:
    async def test_given_no_secret_then_the_environment_is_used(
        self, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stand_in.answers["*"] = series([1, 2])
        for name, value in (("DD_ADDRESS", stand_in.address), ("DD_API_KEY", "e1"), ("DD_APP_KEY", "e2")):
            monkeypatch.setenv(name, value)

        assert (await take("datadog", {"query": "q"})).value == 2
        assert stand_in.asked[0].headers["DD-API-KEY"] == "e1"

    @pytest.mark.parametrize(
        ("ref", "where"),
        [({}, ("ops", "datadog")), ({"name": "x"}, ("ops", "x")), ({"name": "x", "namespaced": True}, ("shop", "x"))],
    )
    async def test_given_a_reference_then_the_secret_is_looked_for_there(
        self, stand_in: StandIn, ref: dict[str, Any], where: tuple[str, str]
    ) -> None:
        stand_in.answers["*"] = series([1, 2])
        spec = {"query": "q", "secretRef": ref}

        found = await take("datadog", spec, secrets={where: {"address": stand_in.address, **KEYS}})
        absent = await take("datadog", spec)
        empty = await take("datadog", spec, secrets={where: {"api-key": "k"}})

        assert found.value == 2
        assert absent.error == f"Secret {'/'.join(where)} not found"
        assert empty.error == f"Secret {'/'.join(where)} has no text under the key app-key"


MISTAKES = [
    ({}, "query", "is required"),
    ({"apiVersion": "v3", "query": "q"}, "apiVersion", "must be 'v1' or 'v2'"),
    ({"query": "q", "queries": {"a": "b"}}, "queries", "stands beside query"),
    ({"query": "q", "formula": "a"}, "formula", "needs apiVersion v2"),
    ({"query": "q", "aggregator": "avg"}, "aggregator", "needs apiVersion v2"),
    ({"query": "q", "aggregator": "median"}, "aggregator", "must be 'avg'"),
    ({"queries": {"a": "b"}}, "query", "is required"),
    ({"apiVersion": "v2"}, "query", "or else queries"),
    ({"apiVersion": "v2", "query": "q", "formula": "a"}, "formula", "needs queries"),
    ({"apiVersion": "v2", "queries": {"a": "x", "b": "y"}}, "formula", "is required"),
    ({"query": "q", "secretRef": {"namespaced": True}}, "secretRef.name", "is required"),
    ({"query": "q", "interval": "often"}, "interval", "is not a duration"),
    ({"query": "q", "requestTimeout": "0s"}, "requestTimeout", "must be more than nothing"),
]


@pytest.mark.parametrize(("spec", "path", "told"), MISTAKES)
def test_given_a_mistake_then_its_place_is_told_before_a_run_begins(spec: dict[str, Any], path: str, told: str) -> None:
    _, problems = read_run({"spec": {"metrics": [{"name": "m", "provider": {"datadog": spec}}]}})

    assert [problem.path for problem in problems] == [f"spec.metrics[0].provider.datadog.{path}"]
    assert told in problems[0].message


@pytest.mark.parametrize(("spec", "seconds"), [({}, 10), ({"requestTimeout": "45s"}, 45)])
def test_given_a_time_then_a_measurement_may_take_it(spec: dict[str, Any], seconds: int) -> None:
    metric = {"name": "m", "provider": {"datadog": {"query": "q", **spec}}}

    assert read_run({"spec": {"metrics": [metric]}})[0][0].timeout.total_seconds() == seconds
