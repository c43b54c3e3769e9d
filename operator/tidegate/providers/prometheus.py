"""Prometheus, asked through prometheus-api-client.

The client is synchronous, so each server gets a few threads of its own: a server that hangs then only holds
up the runs that ask it. The client asks the questions; its session is ours and adds what it lacks: headers of
a single question, a limit on the whole answer's time and size, errors that are fit to be shown, and none of the
work that requests does for environment variables on every question (0.34 of 0.84 ms CPU each, measured).

Runs that were started by one event ask the same questions at the same moment. Those are asked once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson

from tidegate.core.analysis.moments import moment
from tidegate.core.analysis.world import Reading
from tidegate.core.times import parse_duration
from tidegate.providers.base import NOBODY, Asker, OnQuery
from tidegate.providers.http import Http, of_address
from tidegate.providers.prometheus_answers import read_answer
from tidegate.providers.talk import AskError, Talk, access_in, breaks_line, broken_header, header_map
from tidegate.providers.wording import AnswerError, explain, public_address
from tidegate.threads import DaemonPool

if TYPE_CHECKING:
    from prometheus_api_client import PrometheusConnect
    from requests import PreparedRequest, Response, Session

ADDRESS_VARIABLE: Final = "ARGO_ROLLOUTS_PROMETHEUS_ADDRESS"
RESOLVED_QUERY: Final = "ResolvedPrometheusQuery"

_MOST_BYTES: Final = 8 * 1024 * 1024
_TOO_MUCH: Final = f"gave an answer of more than {_MOST_BYTES // 2**20} MiB; narrow the query down"
_MOST_SERVERS: Final = 32
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Server:
    """Where to ask. `insecure` takes any TLS certificate."""

    address: str
    insecure: bool


@dataclass(frozen=True, slots=True)
class _Question:
    """What makes two questions the same.

    access: `headers` and `authentication` of the metric, as JSON. span: its `rangeQuery`, as JSON. series:
    whether the labels of what is found are wanted.
    """

    server: _Server
    query: str
    seconds: float
    access: bytes = b"{}"
    span: bytes = b"null"
    series: bool = False


@dataclass(frozen=True, slots=True)
class _Span:
    """The times that a query is evaluated at."""

    start: datetime
    end: datetime
    step: str

    @classmethod
    def read(cls, raw: Mapping[str, Any] | None, now: datetime) -> _Span | None:
        """Raises MomentError and ValueError."""
        if raw is None:
            return None
        step = parse_duration(str(raw["step"])).total_seconds()
        return cls(moment(str(raw["start"]), now), moment(str(raw["end"]), now), f"{step:g}")


class Prometheus:
    """The provider `prometheus`. To be used from one event loop."""

    def __init__(
        self,
        *,
        default_address: str = "",
        threads: int = 8,
        on_query: OnQuery | None = None,
        http: Http | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """default_address: for metrics that name none; the contract's environment variable if empty.

        threads: how many questions to one server may be out at once. http: by which access tokens are got.
        """
        self._http = http or Http()
        self._now = now
        self._default_address = default_address or os.environ.get(ADDRESS_VARIABLE, "")
        self._threads = threads
        self._on_query = on_query
        self._connections: OrderedDict[_Server, _Connection] = OrderedDict()
        self._in_flight: dict[_Question, asyncio.Task[Reading]] = {}

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker = NOBODY) -> Reading:
        """Ask a query. A vector or a matrix reads as a list of floats, a scalar as a float."""
        address = str(spec.get("address") or self._default_address).strip().rstrip("/")
        query = str(spec.get("query") or "")
        if not address:
            return Reading(
                error="there is no Prometheus to ask: set provider.prometheus.address in the metric, or "
                f"{ADDRESS_VARIABLE} in the operator's environment"
            )
        access = {"headers": spec.get("headers"), "authentication": spec.get("authentication")}
        question = _Question(
            _Server(address, bool(spec.get("insecure"))),
            query,
            seconds,
            orjson.dumps(access),
            orjson.dumps(spec.get("rangeQuery")),
            bool(spec.get("series")),
        )
        reading = await asyncio.shield(self._asked(question))
        return replace(reading, asked={RESOLVED_QUERY: query})

    def _asked(self, question: _Question) -> asyncio.Task[Reading]:
        """The answer to come; asked for only if nobody is waiting for it yet.

        It is a task of its own, so that one run that stops waiting takes the answer from nobody else.
        """
        task = self._in_flight.get(question)
        if task is None:
            task = asyncio.create_task(self._ask(question), name="prometheus")
            self._in_flight[question] = task
            task.add_done_callback(lambda _: self._in_flight.pop(question, None))
        return task

    async def _ask(self, question: _Question) -> Reading:
        connection = self._connection(question.server)
        since = time.monotonic()
        talk = Talk(self._http, "Prometheus", question.seconds, question.server.insecure)
        try:
            span = _Span.read(orjson.loads(question.span), self._now())
            async with asyncio.timeout(question.seconds):
                headers = await _headers(talk, question.server.address, orjson.loads(question.access))
                future = connection.pool.submit(lambda: connection.ask(question, headers=headers, span=span))
                reading = await asyncio.wrap_future(future)
        except TimeoutError as error:
            reading = Reading(error=f"Prometheus at {connection.shown} {explain(error, question.seconds)}")
        except (AskError, ValueError) as error:
            reading = Reading(error=str(error))
        if talk.hidden:
            reading = replace(reading, hidden=talk.hidden)
        if self._on_query is not None:
            self._on_query("prometheus", "error" if reading.error else "answered", time.monotonic() - since)
        return reading

    def _connection(self, server: _Server) -> _Connection:
        """The connection to one server; of many, those asked last are kept."""
        connection = self._connections.get(server)
        if connection is None:
            connection = self._connections[server] = _Connection(server, self._threads)
            if len(self._connections) > _MOST_SERVERS:
                self._connections.popitem(last=False)[1].close()
        self._connections.move_to_end(server)
        return connection

    async def close(self) -> None:
        """Forget all connections. Threads that still wait for an answer end with it, or with the process."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        await self._http.close()


class _Connection:
    """One server: its threads and the client that they share."""

    def __init__(self, server: _Server, threads: int) -> None:
        self.shown = public_address(server.address)
        self.pool = DaemonPool(threads, f"prometheus {self.shown}")
        self._server = server
        self._threads = threads
        self._making = threading.Lock()
        self._client: PrometheusConnect | None = None
        self._of_thread = threading.local()
        """`headers` and `series` of the question that this thread is asking."""

    def ask(self, question: _Question, *, headers: Mapping[str, str], span: _Span | None) -> Reading:
        """Ask and wait; called in a thread. Every failure is a reading with an error."""
        query, seconds = question.query, question.seconds
        try:
            client = self._connected()
            self._of_thread.headers, self._of_thread.series = headers, question.series
            if span is None:
                answer: Reading = client.custom_query(query, timeout=seconds)
            else:
                answer = client.custom_query_range(query, span.start, span.end, span.step, timeout=seconds)
        except AnswerError as error:
            return Reading(error=f"Prometheus at {self.shown} {error}")
        except Exception as error:  # noqa: BLE001 - whatever goes wrong while asking is the measurement's error
            return Reading(error=f"Prometheus at {self.shown} {explain(error, seconds)}")
        return answer

    def close(self) -> None:
        self.pool.close()
        if self._client is not None:
            self._client.close()

    def _connected(self) -> PrometheusConnect:
        with self._making:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def _make_client(self) -> PrometheusConnect:
        # Imported with the first question: an operator whose Rollouts have no analysis never pays for it.
        from urllib3.util.retry import Retry  # noqa: PLC0415

        from tidegate.providers.light_prometheus import PrometheusConnect, requests  # noqa: PLC0415

        # It logs addresses, and a query in one may hold a secret.
        logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)
        session = _session(requests.Session(), self._server, self._of_thread)
        client = PrometheusConnect(self._server.address, session=session, retry=Retry(0))
        # The client mounts an adapter that keeps ten connections and so would drop some of a larger pool.
        session.mount(
            self._server.address, requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=self._threads)
        )
        return client


async def _headers(talk: Talk, address: str, access: Mapping[str, Any]) -> dict[str, str]:
    """The headers of one question. Raises AskError."""
    talk.hide(*access_in(address))
    headers = of_address(address) | header_map(access["headers"]) | await talk.access(access["authentication"] or {})
    for name, value in headers.items():
        if breaks_line(name + value):
            raise AskError(f"Prometheus can't be asked: {broken_header(name)}", talk.hidden)
    return headers


def _session(session: Session, server: _Server, of_thread: threading.local) -> Session:
    """A session that has looked at the environment once, and that reads answers by our rules.

    of_thread: what the question that the calling thread asks wants. Its headers follow no redirect to another host.
    """
    import urllib3  # noqa: PLC0415
    from requests.utils import get_environ_proxies  # noqa: PLC0415

    session.proxies = get_environ_proxies(server.address)
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    session.trust_env = False
    session.max_redirects = 3
    session.headers.clear()
    session.headers.update({"User-Agent": "tidegate", "Accept-Encoding": "identity"})
    if server.insecure:
        session.verify = False
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the user has asked for it
    session.hooks["response"].append(lambda response, **sent: _read_response(response, of_thread.series, **sent))

    def headers() -> Mapping[str, str]:
        return getattr(of_thread, "headers", {})

    def add(request: PreparedRequest) -> PreparedRequest:
        request.headers.update(headers())
        return request

    def rebuild(request: PreparedRequest, response: Response) -> None:
        if urlsplit(request.url).hostname != urlsplit(response.request.url).hostname:
            for name in (*headers(), "Authorization"):
                request.headers.pop(name, None)

    session.auth = add
    session.rebuild_auth = rebuild  # type: ignore[method-assign]
    return session


def _read_response(response: Response, series: bool, **sent: Any) -> None:
    """Read an answer within its limits, and leave what it means where the client looks for it.

    The client's timeout is one for each read from the socket: a server that sends a byte now and then is cut
    off here. The client returns `json()["data"]["result"]`, but only the whole answer says what kind of
    result it is.
    """
    if response.is_redirect:
        return
    until = time.monotonic() + sent["timeout"] - response.elapsed.total_seconds()
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if time.monotonic() > until or len(body) > _MOST_BYTES:
            response.close()
            raise AnswerError(_TOO_MUCH) if len(body) > _MOST_BYTES else TimeoutError
    reading = read_answer(response.status_code, bytes(body), series=series)
    response._content = b""
    response.json = lambda **_: {"data": {"result": reading}}  # type: ignore[method-assign]
