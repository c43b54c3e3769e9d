"""What a metric says to each source of measurements. Texts may hold `{{args.name}}`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tidegate.api.common import SPEC, Bool, Int, IntOrString, Natural, Opaque, Str, StringMap


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
    """A request to any web server; an answer of another status than 2xx is an error."""

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
    """Where the result stands in the answer, such as {$.data.value}. Default: the whole answer, JSON or text."""
    insecure: Bool = False
    """Whether to accept any TLS certificate of the server. Default: false."""
    authentication: Authentication = Authentication()
    """Who asks."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class SecretRef:
    """A Secret with the credentials of a provider."""

    name: Str = ""
    """The Secret's name."""
    namespaced: Bool = False
    """Whether it is in the run's namespace. Default: false, in the operator's."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class DatadogMetric:
    """A query to Datadog."""

    api_version: Literal["v1", "v2"] | None = None
    """The version of Datadog's API, v1 or v2. Default: v1."""
    interval: Str = ""
    """How far the query looks back, such as 10m. Default: 5m."""
    query: Str = ""
    """The query."""
    queries: StringMap | None = None
    """Queries by name, for formula. Only with v2."""
    formula: Str = ""
    """What to make of the queries. Only with v2."""
    aggregator: Literal["avg", "min", "max", "sum", "last", "percentile", "mean", "l2norm", "area"] | None = None
    """How the values of the interval become one. Only with v2. Default: last."""
    secret_ref: SecretRef = SecretRef()
    """The Secret with address, api-key and app-key. Default: DD_ADDRESS, DD_API_KEY and DD_APP_KEY in the
    operator's environment, or else the Secret datadog in its namespace."""
    request_timeout: Str = ""
    """How long the request may take. Default: 10s."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class WavefrontMetric:
    """A query to Wavefront."""

    address: Str = ""
    """The server's host name. The Secret wavefront-api-tokens in the operator's namespace holds a token for it."""
    query: Str = ""
    """The query."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class NewRelicMetric:
    """A query to New Relic."""

    profile: Str = ""
    """The Secret in the operator's namespace with personal-api-key, account-id and region. Default: newrelic."""
    query: Str
    """The query, in NRQL."""
    timeout: Natural | None = None
    """Seconds that New Relic may take for the query. Default: 5."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class GraphiteMetric:
    """A query to Graphite."""

    address: Str = ""
    """The server's address."""
    query: Str = ""
    """The parameters of the render API, such as target=summarize(errors,'5min','avg')&from=-5min."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class InfluxdbMetric:
    """A query to InfluxDB."""

    profile: Str = ""
    """The Secret in the operator's namespace with address, authToken and org. Default: influxdb."""
    query: Str = ""
    """The query, in Flux."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class SkyWalkingMetric:
    """A query to SkyWalking."""

    address: Str = ""
    """The server's address."""
    query: Str = ""
    """The query, in GraphQL. It may use the variable $duration."""
    interval: Str = ""
    """How far $duration looks back, such as 10m. Default: 5m."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class CloudWatchDimension:
    """One of the names by which a metric of CloudWatch is told from others."""

    name: Str = ""
    """The dimension's name."""
    value: Str = ""
    """The dimension's value."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class CloudWatchStatMetric:
    """A metric of CloudWatch."""

    namespace: Str = ""
    """The metric's namespace."""
    metric_name: Str = ""
    """The metric's name."""
    dimensions: tuple[CloudWatchDimension, ...] = ()
    """The metric's dimensions."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class CloudWatchStat:
    """A statistic over a metric of CloudWatch."""

    metric: CloudWatchStatMetric = CloudWatchStatMetric()
    """The metric."""
    period: IntOrString | None = None
    """Seconds that each value stands for."""
    stat: Str = ""
    """The statistic, such as Sum or p99."""
    unit: Str = ""
    """The unit of the values, such as Count."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class CloudWatchQuery:
    """One query of several that are asked together."""

    id: Str = ""
    """The name by which expressions know this query."""
    expression: Str | None = None
    """What to make of other queries. Either this or metricStat is set."""
    label: Str | None = None
    """What the result is called."""
    metric_stat: CloudWatchStat | None = None
    """A statistic over a metric."""
    period: IntOrString | None = None
    """Seconds that each value of an expression stands for."""
    return_data: Bool | None = None
    """Whether the values belong to the result. Default: true."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class CloudWatchMetric:
    """Queries to Amazon CloudWatch."""

    interval: Str = ""
    """How far the queries look back, such as 30m. Default: 5m."""
    metric_data_queries: tuple[CloudWatchQuery, ...] = ()
    """The queries. At least one."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class KayentaThreshold:
    """The scores, of 0 to 100, that divide good from bad."""

    pass_score: Annotated[Int, Field(alias="pass")]
    """A score of at least this is good."""
    marginal: Int
    """A score below this is bad. One in between is inconclusive."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class KayentaScopeDetail:
    """Whose measurements Kayenta takes, and of which time."""

    scope: Str = ""
    """What is measured, as Kayenta's source of metrics names it."""
    region: Str = ""
    """Where it runs, for sources that part metrics by region."""
    step: Int = 0
    """Seconds between two values."""
    start: Str = ""
    """The first moment, such as 2026-11-01T10:00:00Z. Default: the metric's interval ago, or the start of the analysis
    if lookback is true."""
    end: Str = ""
    """The last moment, such as 2026-11-01T11:00:00Z. Default: now."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class KayentaScope:
    """The two sides of a comparison."""

    name: Str
    """What the canary configuration calls this scope, such as default."""
    control_scope: KayentaScopeDetail
    """The side to compare with."""
    experiment_scope: KayentaScopeDetail
    """The side that is judged."""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class KayentaMetric:
    """A judgement by Kayenta, which takes minutes. The measurement goes on until Kayenta has come to its score."""

    address: Str
    """The server's address."""
    application: Str
    """The application that the canary configuration belongs to."""
    canary_config_name: Str
    """The canary configuration's name."""
    metrics_account_name: Str = ""
    """Kayenta's account for metrics. Default: its own choice, as for the other two."""
    configuration_account_name: Str = ""
    """Kayenta's account for canary configurations."""
    storage_account_name: Str = ""
    """Kayenta's account for results."""
    threshold: KayentaThreshold
    """Which scores are good."""
    scopes: tuple[KayentaScope, ...] = ()
    """What is compared. At least one."""
    lookback: Bool = False
    """Whether a start that is not given is that of the analysis. Default: false, the metric's interval ago."""
