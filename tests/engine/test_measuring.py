"""Secrets on their way: read when a question goes out, filled into it, and in nothing that comes back."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.api.analysis import SecretKeyRef
from tidegate.cluster.errors import Forbidden, NotFound, ServerError, TransportError
from tidegate.core.analysis.world import Measure, Reading
from tidegate.core.plan import Key
from tidegate.engine.measuring import Measuring
from tidegate.providers.base import Asker, Providers

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TOKEN = {"token": SecretKeyRef(name="tokens", key="web")}


class Cluster:
    """Secrets by namespace and name; an error instead of one is raised."""

    def __init__(self, secrets: Mapping[tuple[str, str], Any]) -> None:
        self.secrets = secrets
        self.read: list[Key] = []

    async def get(self, key: Key) -> dict[str, Any]:
        self.read.append(key)
        await asyncio.sleep(0)
        found = self.secrets.get((key.namespace, key.name), NotFound(404, "NotFound", "secrets not found"))
        if isinstance(found, Exception):
            raise found
        return {"data": {name: base64.b64encode(value).decode() for name, value in found.items()}}


class Echo:
    """A provider that sends back all it was asked, everywhere."""

    def __init__(self) -> None:
        self.specs: list[Mapping[str, Any]] = []
        self.askers: list[Asker] = []

    async def measure(self, spec: Mapping[str, Any], *, seconds: float, asker: Asker) -> Reading:
        self.specs.append(spec)
        self.askers.append(asker)
        said = str(spec["query"])
        return Reading({"said": said}, said, "" if "good" in said else said, {"warnings": said}, {"query": said})

    async def close(self) -> None: ...


def measuring(secrets: Mapping[tuple[str, str], Any], provider: Any) -> tuple[Measuring, Cluster]:
    cluster = Cluster(secrets)
    return Measuring(Providers({"echo": provider}), cluster, "ops", lambda: NOW), cluster


def measure(metric: str = "m", query: str = "Bearer {{args.token}}", secrets: Any = TOKEN) -> Measure:
    return Measure(metric, {"echo": {"query": query}}, timedelta(seconds=5), secrets)


async def test_given_a_secret_then_the_provider_gets_it_and_no_text_shows_it() -> None:
    echo = Echo()
    taker, cluster = measuring({("shop", "tokens"): {"another": b"0ther", "web": b"hunter2"}}, echo)

    (taken,) = await taker.take("shop", [measure()])

    assert echo.specs == [{"query": "Bearer hunter2"}]
    assert cluster.read == [Key("Secret", "shop", "tokens")]
    reading = taken.reading
    assert reading.text == reading.error == reading.metadata["warnings"] == reading.asked["query"] == "Bearer *****"
    assert reading.hidden == {"hunter2"}
    assert "hunter2" not in repr(reading.hidden and taken).replace(repr(reading.value), "")


async def test_given_several_questions_then_a_secret_is_read_once_for_all_and_anew_the_next_time() -> None:
    secrets: dict[tuple[str, str], Any] = {("shop", "tokens"): {"web": b"old"}}
    taker, cluster = measuring(secrets, echo := Echo())

    await taker.take("shop", [measure("a"), measure("b"), measure("c", "plain", {})])
    secrets["shop", "tokens"] = {"web": b"new"}
    await taker.take("shop", [measure("a")])

    assert [spec["query"] for spec in echo.specs] == ["Bearer old", "Bearer old", "plain", "Bearer new"]
    assert len(cluster.read) == 2


WRONG = [
    (None, "Secret shop/tokens not found"),
    ({"other": b"x"}, "Secret shop/tokens has no text under the key web"),
    ({"web": b"\xff\xfe"}, "Secret shop/tokens has no text under the key web"),
    (Forbidden(403, "Forbidden", "no"), "the operator's role does not allow it; add the name to the chart's value"),
    (ServerError(500, "", "etcd is down"), "can't be read: the API server answered 500"),
    (TransportError("refused"), "can't be read: the API server gave no answer"),
]


@pytest.mark.parametrize(("secret", "told"), WRONG)
async def test_given_a_secret_that_cannot_be_used_then_its_metric_has_an_error_and_the_others_are_measured(
    secret: Any, told: str
) -> None:
    taker, _ = measuring({} if secret is None else {("shop", "tokens"): secret}, echo := Echo())

    broken, sound = await taker.take("shop", [measure(), measure("sound", "good", {})])

    assert told in broken.reading.error
    assert broken.reading.value is None
    assert sound.reading.error == ""
    assert [spec["query"] for spec in echo.specs] == ["good"]


async def test_given_a_provider_then_it_learns_for_whom_it_asks_and_may_read_secrets_of_its_own() -> None:
    taker, _ = measuring({("ops", "datadog"): {"api-key": b"k"}}, echo := Echo())

    about = {"interval": timedelta(minutes=5), "run_started_at": NOW, "resume": {"execution": "7"}}
    await taker.take("shop", [replace(measure("m", "good", {}), **about)])

    (asker,) = echo.askers
    assert (asker.namespace, asker.home) == ("shop", "ops")
    assert (asker.interval, asker.started_at, asker.resume) == tuple(about.values())
    assert await asker.read_secret("ops", "datadog") == {"api-key": "k"}
