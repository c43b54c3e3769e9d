"""What must hold for what a metric says to a provider, beyond the types of its fields.

Source of the rules: Argo Rollouts' providers, which tell of these mistakes with the first measurement only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tidegate.api.analysis import MetricProvider
from tidegate.api.common import is_duration, is_templated
from tidegate.api.problems import Problem
from tidegate.api.providers import Authentication, Header, PrometheusMetric, WebMetric
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
    yield from _required(prometheus.query, f"{at}.query")
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
}
