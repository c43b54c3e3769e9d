"""Whatever a server does, a provider answers: with an error that says what happened, and never with a success."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest

from tests.providers.stand_in import SecretMap, StandIn, take
from tidegate.api.analysis import MetricProvider
from tidegate.api.unsupported import known_fields

KEY = "k3y-that-nobody-may-see"


@dataclass(frozen=True)
class Case:
    """How a provider is sent to a server, with a credential that the server knows."""

    spec: Callable[[str], dict[str, Any]]
    secrets: Callable[[str], SecretMap] = field(default=lambda address: {})
    reads: str = "JSON"


CASES: dict[str, Case] = {
    "prometheus": Case(
        lambda address: {"address": address, "query": "up", "headers": [{"key": "X-Key", "value": KEY}]},
    ),
    "datadog": Case(
        lambda address: {"query": "q", "secretRef": {"name": "dd", "namespaced": True}},
        lambda address: {("shop", "dd"): {"address": address, "api-key": KEY, "app-key": "app"}},
    ),
    "wavefront": Case(
        lambda address: {"address": address, "query": "q"},
        lambda address: {("ops", "wavefront-api-tokens"): {address: KEY}},
    ),
    "newRelic": Case(
        lambda address: {"query": "q"},
        lambda address: {
            ("ops", "newrelic"): {
                "personal-api-key": KEY,
                "account-id": "7",
                "base-url-nerdgraph": f"{address}/graphql",
            }
        },
    ),
    "graphite": Case(lambda address: {"address": address, "query": f"target=a&token={KEY}"}),
    "influxdb": Case(
        lambda address: {"query": "q"},
        lambda address: {("ops", "influxdb"): {"address": address, "authToken": KEY, "org": "o"}},
        reads="CSV",
    ),
    "skywalking": Case(lambda address: {"address": address, "query": f'query {{ a(key: "{KEY}") }}'}),
    "cloudWatch": Case(
        lambda address: {"metricDataQueries": [{"id": "a", "expression": f"b + {KEY}"}]},
        reads="XML",
    ),
    "kayenta": Case(
        lambda address: {
            "address": address,
            "application": KEY,
            "canaryConfigName": "c",
            "threshold": {"pass": 90, "marginal": 75},
            "scopes": [],
        }
    ),
    "web": Case(
        lambda address: {
            "url": f"{address}/rate",
            "headers": [{"key": "X-Key", "value": KEY}],
            "jsonPath": "{$}",  # without one an answer may be any text
        }
    ),
}

HERE = set(known_fields(MetricProvider)) - {"job"}


def test_given_a_provider_then_it_is_put_to_the_tests_below() -> None:
    assert set(CASES) == HERE


async def ask(name: str, address: str, seconds: float = 5) -> Any:
    case = CASES[name]
    amazon = {
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": KEY,
        "AWS_ENDPOINT_URL_CLOUDWATCH": address,
    }
    with patch.dict(os.environ, amazon):
        reading = await take(
            name, case.spec(address), seconds=seconds, secrets=case.secrets(address), hidden=frozenset({KEY})
        )
    shown = (reading.text, reading.error, reading.metadata, reading.asked)
    assert KEY not in str(shown)
    assert reading.value is None
    return reading.error


BAD = [
    ((400, {"error": f"bad query, {KEY}"}), "answered 400 Bad Request"),
    ((401, {}), "answered 401 Unauthorized"),
    ((403, b"<html>who are you?</html>"), "answered 403 Forbidden"),
    ((404, {}), "answered 404 Not Found"),
    ((429, {"errors": ["slow down"]}), "answered 429 Too Many Requests"),
    ((500, {"message": "out of memory"}), "answered 500 Internal Server Error"),
    ((502, b"<html>secret page</html>"), "answered 502 Bad Gateway"),
    ((599, {}), "answered 599 an unknown status"),
]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("answer", "told"), BAD, ids=[str(answer[0]) for answer, _ in BAD])
async def test_given_an_error_of_the_server_then_its_status_is_told(
    stand_in: StandIn, name: str, answer: Any, told: str
) -> None:
    stand_in.answers["*"] = answer

    error = await ask(name, stand_in.address)

    assert told in error
    assert "<html>" not in error


NO_JSON = [b"", b"<html>login</html>", b'{"half']
OTHER = [b"null", b"[]", b'{"data": 5}', b'"text"', b"3"]


@pytest.mark.parametrize(
    ("name", "body"), [(name, body) for name in CASES for body in (NO_JSON if name == "web" else NO_JSON + OTHER)]
)
async def test_given_an_answer_of_another_kind_then_it_is_an_error(stand_in: StandIn, name: str, body: bytes) -> None:
    stand_in.answers["*"] = (200, body)

    assert await ask(name, stand_in.address)


@pytest.mark.parametrize("name", CASES)
async def test_given_a_server_that_hangs_then_the_time_is_kept(stand_in: StandIn, name: str) -> None:
    stand_in.answers["*"] = "hang"
    since = time.monotonic()

    assert "gave no answer within 0.2 s" in await ask(name, stand_in.address, 0.2)
    assert time.monotonic() - since < 2


@pytest.mark.parametrize("name", CASES)
async def test_given_an_answer_without_end_then_it_is_cut_off(stand_in: StandIn, name: str) -> None:
    stand_in.answers["*"] = "flood"

    assert "more than 8 MiB" in await ask(name, stand_in.address)


@pytest.mark.parametrize("name", CASES)
async def test_given_an_answer_that_breaks_off_then_it_is_an_error(stand_in: StandIn, name: str) -> None:
    stand_in.answers["*"] = "break"

    error = await ask(name, stand_in.address)

    assert error
    assert "could not be asked" not in error


@pytest.mark.parametrize("name", CASES)
async def test_given_nobody_at_the_address_then_that_is_told(name: str) -> None:
    free = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{free.getsockname()[1]}"
    free.close()

    assert "can't be reached: Connection refused" in await ask(name, address)


@pytest.mark.parametrize("name", CASES)
async def test_given_a_redirect_to_another_host_then_no_credential_follows(stand_in: StandIn, name: str) -> None:
    elsewhere = stand_in.address.replace("127.0.0.1", "localhost")
    stand_in.answers["*"] = [(307, b"", {"Location": f"{elsewhere}/onward"}), (401, {})]

    error = await ask(name, stand_in.address)

    first, *onward = stand_in.asked
    assert KEY in str(first)
    if first.body:
        assert onward == []
        assert "redirects what is sent to another host" in error
        return
    (second,) = onward
    assert second.path == "/onward"
    assert KEY not in str({**second.headers, "": second.query})
    assert "Authorization" not in second.headers
