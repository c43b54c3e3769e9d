"""Evictions on their way to the API server: a refusal is an answer, not a failure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from tests.rollout.objects import canary
from tests.rollout.stage import NAMESPACE, ROLLOUT, Stage, deployed
from tidegate.cluster.client import Client
from tidegate.cluster.events import Recorder
from tidegate.cluster.store import Store
from tidegate.cluster.transport import Response
from tidegate.core.times import format_time
from tidegate.engine.claims import Claims
from tidegate.engine.kinds import RULES
from tidegate.engine.rollouts import Rollouts
from tidegate.engine.signatures import Signatures
from tidegate.engine.writing import Writer


class Server:
    """Answers of an API server whose disruption budget refuses."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []
        self.answer = 429

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str], body: bytes | None = None, **_: Any
    ) -> Response:
        self.asked.append((method, path, query))
        if path.endswith("/pods"):
            listed = {"metadata": {"resourceVersion": "9"}, "items": self.stage.pod_objects([self.stage.hash("v1")])}
            return Response(200, orjson.dumps(listed), {})
        if path.endswith("/eviction"):
            said = {"kind": "Status", "code": self.answer, "details": {"retryAfterSeconds": 10}}
            return Response(self.answer, orjson.dumps(said), {})
        assert body is not None
        obj = orjson.loads(orjson.dumps(self.stage.objects[ROLLOUT]))
        obj["status"] |= orjson.loads(body)["status"]
        obj["metadata"]["resourceVersion"] = "999"
        return Response(200, orjson.dumps(obj), {})

    def evictions(self) -> list[str]:
        return [path for _, path, _ in self.asked if path.endswith("/eviction")]


async def _nothing(_kind: str) -> None:
    """Every kind is known."""


def make(stage: Stage) -> tuple[Server, Rollouts, list[datetime]]:
    server, clock = Server(stage), [stage.now]
    client = Client(server)  # type: ignore[arg-type]
    store = Store(RULES)
    for key, obj in stage.objects.items():
        store.apply(key.kind, "ADDED", orjson.loads(orjson.dumps(obj)))
    recorder = Recorder(client, instance="test")
    given = {
        "signatures": Signatures(store, lambda _: None),
        "claims": Claims(store, lambda _: None),
        "ensure": _nothing,
    }
    return server, Rollouts(store, Writer(client, store), recorder, lambda: clock[0], **given), clock


async def test_a_refused_eviction_is_left_alone_for_half_a_minute_and_the_status_still_written() -> None:
    stage = deployed(canary(how="pods"))
    stage.spec(restartAt=format_time(stage.now))
    server, rollouts, clock = make(stage)

    outcome = await rollouts.reconcile(ROLLOUT)
    assert outcome.requeue_after is not None and 29 <= outcome.requeue_after <= 30
    assert len(server.evictions()) == 1, "not asked again within the request"
    assert any(path.endswith("/rollouts/app/status") for _, path, _ in server.asked)

    clock[0] += timedelta(seconds=10)
    server.asked.clear()
    await rollouts.reconcile(ROLLOUT)
    assert not [path for _, path, _ in server.asked if "/pods" in path]

    clock[0] += timedelta(seconds=20)
    await rollouts.reconcile(ROLLOUT)
    assert len(server.evictions()) == 1


async def test_pods_are_listed_by_their_hash_in_their_namespace_and_evicted_by_uid() -> None:
    stage = deployed(canary(how="pods"))
    stage.spec(restartAt=format_time(stage.now))
    server, rollouts, _ = make(stage)

    await rollouts.reconcile(ROLLOUT)

    method, path, query = server.asked[0]
    assert (method, path) == ("GET", f"/api/v1/namespaces/{NAMESPACE}/pods")
    assert query["labelSelector"] == f"rollouts-pod-template-hash in ({stage.hash('v1')})"
    (evicted,) = server.evictions()
    assert evicted.startswith(f"/api/v1/namespaces/{NAMESPACE}/pods/app-")


async def test_a_pod_that_is_gone_already_counts_as_evicted() -> None:
    stage = deployed(canary(how="pods", maxUnavailable=2))
    stage.spec(restartAt=format_time(stage.now))
    server, rollouts, _ = make(stage)
    server.answer = 404
    lists = 0

    async def leave(*_: Any) -> tuple[Any, ...]:
        nonlocal lists
        lists += 1
        return () if lists > 1 else await original(NAMESPACE, frozenset({stage.hash("v1")}))

    original = rollouts._writer.pods
    rollouts._writer.pods = leave  # type: ignore[method-assign]
    await rollouts.reconcile(ROLLOUT)

    assert len(server.evictions()) == 2
