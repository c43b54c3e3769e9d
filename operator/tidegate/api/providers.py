"""What a metric says to each source of measurements. Texts may hold `{{args.name}}`."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from tidegate.api.common import SPEC, Bool, Natural, Opaque, Str


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Header:
    """A header of an HTTP request."""

    key: Str
    """The header's name."""
    value: Str
    """The header's value."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class OAuth2:
    """A client that gets an access token for each measurement, by the client credentials grant."""

    token_url: Str = ""
    """Where tokens are given out."""
    client_id: Str = ""
    """The client's id."""
    client_secret: Str = ""
    """The client's secret; an argument that comes from a Secret."""
    scopes: tuple[Str, ...] = ()
    """The scopes to ask for."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class BasicAuth:
    """A user who is known by a password."""

    username: Str = ""
    """The user's name."""
    password: Str = ""
    """The user's password; an argument that comes from a Secret."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Authentication:
    """How a request says who sends it."""

    oauth2: OAuth2 = OAuth2()
    """An access token from an OAuth2 server."""
    basic_auth: BasicAuth = BasicAuth()
    """A name and a password."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class RangeQuery:
    """The times that a query is evaluated at."""

    start: Str = ""
    """The first time, such as now() - duration("5m")."""
    end: Str = ""
    """The last time, such as now()."""
    step: Str = ""
    """What lies between two of them, such as 1m."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class PrometheusMetric:
    """A query to Prometheus."""

    address: Str = ""
    """The server's address, such as http://prometheus:9090. Default: the one that the operator was started
    with."""
    query: Str = ""
    """The query, in PromQL."""
    timeout: Natural | None = None
    """Seconds that the query may take. Default: 30."""
    insecure: Bool = False
    """Whether to accept any TLS certificate of the server. Default: false."""
    headers: tuple[Header, ...] = ()
    """Headers of the request."""
    authentication: Authentication = Authentication()
    """Who asks."""
    range_query: RangeQuery | None = None
    """Ask for many times at once. The result is a list of all values. Default: only for now."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class WebMetric:
    """A request to any server that answers with JSON."""

    url: Str
    """The address to ask."""
    method: Literal["GET", "POST", "PUT"] | None = None
    """GET, POST or PUT. Default: GET."""
    headers: tuple[Header, ...] = ()
    """Headers of the request."""
    body: Str = ""
    """What is sent with a POST or PUT."""
    json_body: Opaque | None = None
    """What is sent with a POST or PUT, as JSON."""
    timeout_seconds: Natural = 0
    """Seconds that the request may take. Default: 10."""
    json_path: Str = ""
    """Where the result stands in the answer, such as {$.data.value}. Default: {$}, the whole answer."""
    insecure: Bool = False
    """Whether to accept any TLS certificate of the server. Default: false."""
    authentication: Authentication = Authentication()
    """Who asks."""
