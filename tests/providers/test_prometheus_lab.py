"""The provider and a real Prometheus: that the stand-in of the other tests speaks as Prometheus does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lab.cluster import Lab
from tidegate.core.analysis.conditions import compile_condition
from tidegate.core.analysis.metrics import Metric
from tidegate.core.analysis.verdicts import judge_measurement
from tidegate.core.analysis.world import Reading
from tidegate.providers.prometheus import Prometheus

pytestmark = pytest.mark.lab


@pytest.fixture
async def prometheus(lab: Lab) -> AsyncIterator[Prometheus]:
    provider = Prometheus(default_address=lab.prometheus_url)
    yield provider
    await provider.close()


async def ask(provider: Prometheus, query: str) -> Reading:
    return await provider.measure({"query": query}, seconds=10)


VALUES = [
    ("vector(0.95)", "[0.95]"),
    ("scalar(vector(42))", "42"),
    ("vector(0) / vector(0)", "[NaN]"),
    ("vector(1) / vector(0)", "[+Inf]"),
    ("-1 / 0", "-Inf"),
    ("1e21", "1000000000000000000000"),
    ("no_such_metric_anywhere", "[]"),
    ('label_replace(vector(1), "a", "x", "", "") or label_replace(vector(2), "a", "y", "", "")', "[1,2]"),
]


@pytest.mark.parametrize(("query", "text"), VALUES)
async def test_values_read_as_argo_shows_them(prometheus: Prometheus, query: str, text: str) -> None:
    reading = await ask(prometheus, query)

    assert (reading.error, reading.text) == ("", text)


async def test_a_range_query_reads_as_all_its_values(prometheus: Prometheus) -> None:
    span = {"start": 'now() - duration("4s")', "end": "now()", "step": "2s"}

    reading = await prometheus.measure({"query": "vector(7)", "rangeQuery": span}, seconds=10)

    assert (reading.error, reading.text) == ("", "[7,7,7]")
    assert (await ask(prometheus, "vector(7)[4s:2s]")).text.startswith("[7,7")


USELESS = [
    ("sum(", "answered 400 Bad Request: bad_data: invalid parameter"),
    ('"text"', "gave a string"),
]


@pytest.mark.parametrize(("query", "expected"), USELESS)
async def test_what_holds_no_value_is_an_error(prometheus: Prometheus, query: str, expected: str) -> None:
    assert expected in (await ask(prometheus, query)).error


async def test_an_empty_vector_is_no_success(prometheus: Prometheus) -> None:
    reading = await ask(prometheus, "no_such_metric_anywhere")
    metric = Metric("rate", {}, success=compile_condition("result[0] >= 0.95"))

    assert judge_measurement(metric, reading).phase == "Error"
