"""A Prometheus that remembers an incident: the lab's program beside the lab's own server, filled by its OTLP receiver.

The incident is that of docs/analysis-compare.md. A server that has scraped cannot be told of the past, and one that has
been told of May takes today's samples all the same, so it is filled in the order of time.
"""

from __future__ import annotations

import random
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, NumberDataPoint

from lab.processes import Process

PORT: Final = 9190
ADDRESS: Final = f"http://127.0.0.1:{PORT}"

INCIDENT: Final = datetime(2026, 5, 1, 10, tzinfo=UTC).timestamp()
HOUR: Final = 3600
SCRAPE: Final = 15
REQUESTS: Final = 150
"""Of each pod between two scrapes."""

STABLE: Final = dict.fromkeys((f"shop-59c7-{end}" for end in ("4k2pq", "8xw6d", "jh5zt", "qv9bn")), 0.005)
CANARY: Final = {"shop-6d4f-c7rml": 0.03}
"""Pods, and the share of requests that each fails."""


@contextmanager
def remembering(program: Path, folder: Path) -> Iterator[None]:
    """The server, for the `with` block, at ADDRESS. program: Prometheus."""
    folder.mkdir()
    config = folder / "prometheus.yaml"
    config.write_text("{}\n")
    command = [str(program), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{PORT}", "--web.enable-otlp-receiver", "--log.level=warn"]
    command += ["--storage.tsdb.retention.time=10y"]
    server = Process("remembering", command, folder / "prometheus.log", _ready)
    server.start()
    try:
        server.wait_ready()
        chance = random.Random(5)
        _tell(INCIDENT, 1 * HOUR, STABLE | CANARY, chance)
        _tell(time.time() - 6 * HOUR, 6 * HOUR, STABLE, chance)
        yield
    finally:
        server.stop()


def _ready() -> bool:
    try:
        with urllib.request.urlopen(f"{ADDRESS}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _tell(begin: float, seconds: int, pods: dict[str, float], chance: random.Random) -> None:
    """Ten minutes at once: what is more than an hour older than the newest is refused."""
    counts = {(pod, code): 0 for pod in pods for code in ("200", "500")}
    scrapes = [begin + at for at in range(0, seconds, SCRAPE)]
    for first in range(0, len(scrapes), 40):
        points = []
        for at in scrapes[first : first + 40]:
            for pod, share in pods.items():
                failed = sum(chance.random() < share for _ in range(REQUESTS))
                counts[pod, "200"] += REQUESTS - failed
                counts[pod, "500"] += failed
            points += [_point(at, pod, code, count) for (pod, code), count in counts.items()]
        _send(points)


def _point(at: float, pod: str, code: str, count: int) -> NumberDataPoint:
    labels = {"namespace": "shop", "pod": pod, "code": code}
    attributes = [KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in labels.items()]
    return NumberDataPoint(attributes=attributes, time_unix_nano=int(at * 1e9), as_int=count)


def _send(points: list[NumberDataPoint]) -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="http_requests")
    metric.sum.is_monotonic = True
    metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    metric.sum.data_points.extend(points)
    sent = urllib.request.Request(
        f"{ADDRESS}/api/v1/otlp/v1/metrics",
        request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
    )
    with urllib.request.urlopen(sent, timeout=30):
        pass
