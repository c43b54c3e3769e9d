"""What must hold for what a metric says to a provider, beyond the types of its fields.

Source of the rules: Argo Rollouts' providers, which tell of these mistakes with the first measurement only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tidegate.api.analysis import MetricProvider
from tidegate.api.common import is_duration, is_templated, is_time
from tidegate.api.jobs import check_job
from tidegate.api.problems import Problem
from tidegate.api.providers import (
    Authentication,
    CloudWatchMetric,
    DatadogMetric,
    GraphiteMetric,
    Header,
    InfluxdbMetric,
    KayentaMetric,
    NewRelicMetric,
    PrometheusMetric,
    SkyWalkingMetric,
    WavefrontMetric,
    WebMetric,
)
from tidegate.api.unsupported import known_fields

_HTTP_ADDRESS: Final = re.compile(r"https?://[^/\s]+\S*")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def check_provider(provider: MetricProvider, at: str) -> Iterator[Problem]:
    """Every problem of the provider that stands at `at`."""
    settings = {name: getattr(provider, attribute) for name, attribute in _NAMES.items()}
    named = [name for name, setting in settings.items() if setting is not None]
    if not named:
        yield Problem(at, f"names no provider: add one of {', '.join(_NAMES)}")
    elif len(named) > 1:
        yield Problem(at, f"names {' and '.join(named)}; make a metric of each")
    else:
        yield from _CHECKS[named[0]](settings[named[0]], f"{at}.{named[0]}")


def _check_prometheus(prometheus: PrometheusMetric, at: str) -> Iterator[Problem]:
    if not prometheus.query.strip():
        yield Problem(f"{at}.query", "is required, except in a metric with compare")
    if prometheus.address:
        yield from _check_address(prometheus.address, f"{at}.address", "http://prometheus.monitoring:9090")
    yield from _check_access(prometheus.headers, prometheus.authentication, at)
    if prometheus.range_query is not None:
        asked = prometheus.range_query
        for field in ("start", "end", "step"):
            yield from _required(getattr(asked, field), f"{at}.rangeQuery.{field}")
        if asked.step:
            yield from _check_duration(asked.step, f"{at}.rangeQuery.step")


def _check_web(web: WebMetric, at: str) -> Iterator[Problem]:
    yield from _check_address(web.url, f"{at}.url", "http://checks.monitoring/rate")
    yield from _check_access(web.headers, web.authentication, at)
    if web.body and web.json_body is not None:
        yield Problem(f"{at}.jsonBody", "stands beside body; keep one of the two")
    elif (web.body or web.json_body is not None) and web.method in (None, "GET"):
        field = "body" if web.body else "jsonBody"
        yield Problem(f"{at}.{field}", "can't be sent by GET; set method to POST or PUT")


def _check_datadog(datadog: DatadogMetric, at: str) -> Iterator[Problem]:
    queries = datadog.queries or {}
    version = datadog.api_version or "v1"
    if datadog.query and queries:
        yield Problem(f"{at}.queries", "stands beside query; keep one of the two")
    elif version == "v1":
        yield from _required(datadog.query, f"{at}.query")
        for field, value in (("queries", queries), ("formula", datadog.formula), ("aggregator", datadog.aggregator)):
            if value and not (field == "queries" and not datadog.query):
                yield Problem(f"{at}.{field}", "needs apiVersion v2")
    elif not datadog.query and not queries:
        yield Problem(f"{at}.query", "is required, or else queries")
    elif datadog.formula and not queries:
        yield Problem(f"{at}.formula", "needs queries")
    elif len(queries) > 1 and not datadog.formula:
        yield Problem(f"{at}.formula", "is required: several queries become one value by a formula")
    if datadog.secret_ref.namespaced and not datadog.secret_ref.name:
        yield Problem(f"{at}.secretRef.name", "is required because namespaced is true")
    for field, text in (("interval", datadog.interval), ("requestTimeout", datadog.request_timeout)):
        if text:
            yield from _check_duration(text, f"{at}.{field}")


def _check_wavefront(wavefront: WavefrontMetric, at: str) -> Iterator[Problem]:
    yield from _required(wavefront.address, f"{at}.address")
    yield from _required(wavefront.query, f"{at}.query")


def _check_new_relic(new_relic: NewRelicMetric, at: str) -> Iterator[Problem]:
    yield from _required(new_relic.query, f"{at}.query")


def _check_graphite(graphite: GraphiteMetric, at: str) -> Iterator[Problem]:
    yield from _check_address(graphite.address, f"{at}.address", "http://graphite.monitoring")
    yield from _required(graphite.query, f"{at}.query")


def _check_influxdb(influxdb: InfluxdbMetric, at: str) -> Iterator[Problem]:
    yield from _required(influxdb.query, f"{at}.query")


def _check_skywalking(skywalking: SkyWalkingMetric, at: str) -> Iterator[Problem]:
    yield from _check_address(skywalking.address, f"{at}.address", "http://skywalking-oap.monitoring:12800")
    yield from _required(skywalking.query, f"{at}.query")
    if skywalking.interval:
        yield from _check_duration(skywalking.interval, f"{at}.interval")


def _check_cloud_watch(cloud_watch: CloudWatchMetric, at: str) -> Iterator[Problem]:
    if not cloud_watch.metric_data_queries:
        yield Problem(f"{at}.metricDataQueries", "is required")
    if cloud_watch.interval:
        yield from _check_duration(cloud_watch.interval, f"{at}.interval")
    for index, query in enumerate(cloud_watch.metric_data_queries):
        place = f"{at}.metricDataQueries[{index}]"
        yield from _required(query.id, f"{place}.id")
        if (query.expression is None) == (query.metric_stat is None):
            yield Problem(place, "must have either expression or metricStat")
        periods = {f"{place}.period": query.period}
        if query.metric_stat is not None:
            stat = query.metric_stat
            periods[f"{place}.metricStat.period"] = stat.period
            yield from _required(stat.metric.metric_name, f"{place}.metricStat.metric.metricName")
            yield from _required(stat.stat, f"{place}.metricStat.stat")
        for where, period in periods.items():
            if period is not None and not is_templated(period) and not str(period).isdigit():
                yield Problem(where, f"{period!r} is not a number of seconds")


def _check_kayenta(kayenta: KayentaMetric, at: str) -> Iterator[Problem]:
    yield from _check_address(kayenta.address, f"{at}.address", "http://kayenta.spinnaker:8090")
    yield from _required(kayenta.application, f"{at}.application")
    yield from _required(kayenta.canary_config_name, f"{at}.canaryConfigName")
    good, bad = kayenta.threshold.pass_score, kayenta.threshold.marginal
    if bad > good:
        yield Problem(f"{at}.threshold.marginal", f"is {bad}, must not be above pass, which is {good}")
    if not kayenta.scopes:
        yield Problem(f"{at}.scopes", "is required: what is compared with what")
    names: set[str] = set()
    for index, scope in enumerate(kayenta.scopes):
        place = f"{at}.scopes[{index}]"
        yield from _required(scope.name, f"{place}.name")
        if scope.name in names:
            yield Problem(f"{place}.name", f"{scope.name!r} is the name of another scope too; give each its own")
        names.add(scope.name)
        for side, detail in (("controlScope", scope.control_scope), ("experimentScope", scope.experiment_scope)):
            yield from _required(detail.scope, f"{place}.{side}.scope")
            if detail.step < 1:
                yield Problem(f"{place}.{side}.step", f"is {detail.step}, must be 1 second or more")
            for field, text in (("start", detail.start), ("end", detail.end)):
                if text and not is_templated(text) and not is_time(text):
                    yield Problem(f"{place}.{side}.{field}", f"{text!r} is not a time such as 2026-11-01T10:00:00Z")


def _check_access(headers: tuple[Header, ...], authentication: Authentication, at: str) -> Iterator[Problem]:
    oauth2, basic = authentication.oauth2, authentication.basic_auth
    for field, value in (
        ("tokenUrl", oauth2.token_url),
        ("clientId", oauth2.client_id),
        ("clientSecret", oauth2.client_secret),
    ):
        if not value and any((oauth2.token_url, oauth2.client_id, oauth2.client_secret, oauth2.scopes)):
            yield Problem(f"{at}.authentication.oauth2.{field}", "is required")
    if oauth2.token_url:
        yield from _check_address(
            oauth2.token_url, f"{at}.authentication.oauth2.tokenUrl", "https://login.example.org/token"
        )
    if basic.password and not basic.username:
        yield Problem(f"{at}.authentication.basicAuth.username", "is required")
    if oauth2.token_url and basic.username:
        yield Problem(f"{at}.authentication.basicAuth", "stands beside oauth2; keep one of the two")
    for index, header in enumerate(headers):
        if not is_templated(header.key) and _HEADER.fullmatch(header.key) is None:
            yield Problem(f"{at}.headers[{index}].key", f"{header.key!r} is not the name of a header")
        elif header.key.lower() == "authorization" and (oauth2.token_url or basic.username):
            yield Problem(f"{at}.headers[{index}].key", "is set by authentication too; keep one of the two")


def _check_address(address: str, at: str, example: str) -> Iterator[Problem]:
    if not address.strip():
        yield Problem(at, "is required")
    elif not is_templated(address) and _HTTP_ADDRESS.fullmatch(address) is None:
        yield Problem(at, f"{address!r} is not an address such as {example}")


def _check_duration(text: str, at: str) -> Iterator[Problem]:
    if is_templated(text):
        return
    if not is_duration(text):
        yield Problem(at, f"{text!r} is not a duration such as 30s, 5m or 1h30m")
    elif text.startswith("-") or not text.strip("0hmsnuµ.+"):
        yield Problem(at, f"is {text}, must be more than nothing")


def _required(text: str, at: str) -> Iterator[Problem]:
    if not text.strip():
        yield Problem(at, "is required")


_NAMES: Final[Mapping[str, str]] = dict(
    zip(known_fields(MetricProvider), MetricProvider.__dataclass_fields__, strict=True)
)
_CHECKS: Final[Mapping[str, Callable[[Any, str], Iterator[Problem]]]] = {
    "prometheus": _check_prometheus,
    "web": _check_web,
    "datadog": _check_datadog,
    "wavefront": _check_wavefront,
    "newRelic": _check_new_relic,
    "graphite": _check_graphite,
    "influxdb": _check_influxdb,
    "skywalking": _check_skywalking,
    "cloudWatch": _check_cloud_watch,
    "kayenta": _check_kayenta,
    "job": check_job,
}
