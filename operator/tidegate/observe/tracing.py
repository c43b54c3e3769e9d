"""Exporting releases as traces, by OpenTelemetry's library: loaded with the first one, in a thread of its own.

A receiver that is away or slow costs the trace and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from tidegate import __version__
from tidegate.core.plan import Event, Key
from tidegate.observe.spans import Span, ended, release_spans
from tidegate.threads import DaemonPool

log = structlog.get_logger("tidegate.observe.traces")

Obj = Mapping[str, Any]
Export = Callable[[Sequence[Span]], bool]

_SETTLING: Final = 3.0
"""Seconds in which the analyses that end with a release come to their end."""
_FRESH: Final = timedelta(minutes=5)
"""A release that ended longer ago is not exported by a new leader: the old one has done it."""
_MOST_WAITING: Final = 100
_REMEMBERED: Final = 5000
_SECONDS: Final = 10


class Reading(Protocol):
    """What is read of the operator."""

    @property
    def leading(self) -> bool: ...

    def rollouts(self) -> Sequence[Key]: ...

    def rollout(self, key: Key) -> Obj | None: ...

    def runs(self, rollout: Obj) -> Sequence[Obj]: ...


class Tracer:
    """Exports each release once, when it is over, while this replica leads.

    export: sends spans, from a thread; whether they were taken.
    """

    def __init__(self, reading: Reading, export: Export, now: Callable[[], datetime], *, team_label: str) -> None:
        self._reading = reading
        self._export = export
        self._now = now
        self._team_label = team_label
        self._done: OrderedDict[str, datetime] = OrderedDict()
        self._threads = DaemonPool(1, "traces")
        self._waiting = 0
        self._lost = False

    def changed(self, key: Key) -> None:
        """A Rollout, or a run of its, is not what it was."""
        rollout = self._reading.rollout(key)
        if rollout is None or not self._reading.leading:
            return
        end, uid = ended(rollout), rollout["metadata"]["uid"]
        if end is None or self._now() - end > _FRESH or self._done.get(uid) == end:
            return
        self._done[uid] = end
        self._done.move_to_end(uid)
        if len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)
        asyncio.get_running_loop().call_later(_SETTLING, self._send, key)

    def heard(self, key: Key, event: Event) -> None:
        """Events tell nothing that the statuses don't."""

    def look_at_everything(self) -> None:
        """This replica has begun to lead."""
        for key in self._reading.rollouts():
            self.changed(key)

    def forget(self, key: Key) -> None:
        """A Rollout is gone; its release may still be on its way."""

    def close(self) -> None:
        """Let the thread end."""
        self._threads.close()

    def _send(self, key: Key) -> None:
        rollout = self._reading.rollout(key)
        if rollout is None or not self._reading.leading or self._waiting >= _MOST_WAITING:
            return
        try:
            spans = release_spans(rollout, self._reading.runs(rollout), self._team_label)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("no trace: the status is not as it should be", rollout=str(key), error=type(error).__name__)
            return
        if not spans:
            return
        self._waiting += 1
        loop = asyncio.get_running_loop()
        self._threads.submit(lambda: self._export(spans)).add_done_callback(
            lambda future: loop.call_soon_threadsafe(self._sent, future)
        )

    def _sent(self, future: Future[bool]) -> None:
        self._waiting -= 1
        taken = future.exception() is None and future.result()
        if not taken and not self._lost:
            log.warning("traces of releases are not taken by their receiver; they are lost until it is back")
        self._lost = not taken


def otlp_exporter(endpoint: str) -> Export:
    """Sends spans by OTLP over HTTP. Headers, certificates and so on come from OpenTelemetry's own variables."""
    made: list[Any] = []

    def export(spans: Sequence[Span]) -> bool:
        for name in ("opentelemetry", "urllib3"):
            # They log the endpoint, which may hold a token.
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415

        if not made:
            made.append(OTLPSpanExporter(endpoint=endpoint, timeout=_SECONDS))
        return bool(made[0].export([_readable(span) for span in spans]) is SpanExportResult.SUCCESS)

    return export


def _readable(span: Span) -> Any:
    """The span as the library wants it."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
    from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags  # noqa: PLC0415

    def context(span_id: int) -> SpanContext:
        return SpanContext(span.trace, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    return ReadableSpan(
        name=span.name,
        context=context(span.id),
        parent=context(span.parent) if span.parent else None,
        resource=Resource.create({"service.name": "tidegate", "service.version": __version__}),
        attributes=dict(span.attributes),
        status=Status(StatusCode.ERROR, span.problem) if span.problem else Status(StatusCode.OK),
        start_time=_nanoseconds(span.start),
        end_time=_nanoseconds(span.end),
        instrumentation_scope=InstrumentationScope("tidegate", __version__),
    )


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
