"""The provider and a real Prometheus: that the stand-in of the other tests speaks as Prometheus does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lab.cluster import Lab
from tidegate.core.analysis.compare.windows import Window, increases, labelled, last_values, summed
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


class Counters(BaseHTTPRequestHandler):
    """A page of counters of ours."""

    page = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(self.page.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def scraped(lab: Lab) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 18099), Counters)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    lab.add_targets("counters", ["127.0.0.1:18099"])
    try:
        yield
    finally:
        lab.add_targets("counters", [])
        server.shutdown()
        server.server_close()


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


async def test_a_window_counts_what_was_added_also_by_counters_that_begin_begin_anew_or_end(
    lab: Lab, prometheus: Prometheus
) -> None:
    """What `tests/analysis/traffic.py` takes for granted of the real Prometheus."""

    async def counted(query: str) -> dict[str, float]:
        reading = await prometheus.measure({"query": query, "series": True}, seconds=10)
        assert reading.error == "" and isinstance(reading.value, tuple)
        return {labels.get("pod", ""): value for labels, value in reading.value}

    async def shown(page: str) -> datetime:
        Counters.page = page
        await asyncio.sleep(2.5)
        return now()

    with scraped(lab):
        Counters.page = 'n{pod="a"} 1000\nn{pod="b"} 50\nn{pod="gone",code="500"} 7\n'
        for _ in range(40):
            if (await ask(prometheus, 'n{pod="a"}')).value:
                break
            await asyncio.sleep(0.25)
        start = await shown(Counters.page)
        middle = await shown('n{pod="a"} 1030\nn{pod="b"} 3\nn{pod="gone",code="500"} 9\nn{pod="new"} 4\n')
        end = await shown('n{pod="a"} 1041\nn{pod="b"} 3\nn{pod="new"} 6\n')

    first, second = Window(start, middle), Window(middle, end)
    assert await counted(summed("pod", increases("n", first))) == {"a": 30, "b": 3, "gone": 2, "new": 4}
    assert await counted(summed("pod", increases("n", second))) == {"a": 11, "b": 0, "gone": 0, "new": 2}
    assert await counted(summed("", increases("n", Window(start, end)))) == {"": 30 + 11 + 3 + 2 + 6}
    early = Window(start - timedelta(hours=1), start - timedelta(minutes=59))
    parts = [
        labelled("canary", "total", summed("pod", increases("n", second))),
        labelled("stable", "known", f"count({last_values('n', early.start)})"),
    ]
    reading = await prometheus.measure({"query": " or ".join(parts), "series": True}, seconds=10)
    assert len(reading.value) == 4, "each element says what it is, and there is none of what was not there"
