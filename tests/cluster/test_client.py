"""What goes over the wire for each verb, and what becomes of each kind of answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from tests.cluster.scripted import Script, answer, bookmark, event, expired, listing, refusal, service
from tidegate.cluster.client import Client
from tidegate.cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    NotLeading,
    ServerError,
    TooManyRequests,
    TransportError,
    Unauthorized,
)
from tidegate.cluster.limits import TokenBucket
from tidegate.cluster.transport import Response
from tidegate.core.plan import Key, Write

ROLLOUT = Key("Rollout", "web", "shop")
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/web/rollouts"
MERGE = "application/merge-patch+json"


@pytest.mark.parametrize(
    ("write", "method", "path", "content_type", "body", "query"),
    [
        pytest.param(
            Write("create", Key("ReplicaSet", "web", "shop-1"), {"metadata": {"name": "shop-1"}}),
            "POST",
            "/apis/apps/v1/namespaces/web/replicasets",
            "application/json",
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "shop-1"}},
            {"fieldManager": "tidegate"},
            id="create adds the type",
        ),
        pytest.param(
            Write("patch", Key("Service", "web", "shop"), {"spec": {"selector": {"h": "1"}}}),
            "PATCH",
            "/api/v1/namespaces/web/services/shop",
            MERGE,
            {"spec": {"selector": {"h": "1"}}},
            {"fieldManager": "tidegate"},
            id="merge patch in the core group",
        ),
        pytest.param(
            Write("patch", ROLLOUT, MappingProxyType({"status": {"phase": "Healthy"}}), subresource="status"),
            "PATCH",
            f"{ROLLOUTS}/shop/status",
            MERGE,
            {"status": {"phase": "Healthy"}},
            {"fieldManager": "tidegate"},
            id="status",
        ),
        pytest.param(
            Write("patch", ROLLOUT, ({"op": "test", "path": "/a", "value": 1},), patch="json"),
            "PATCH",
            f"{ROLLOUTS}/shop",
            "application/json-patch+json",
            [{"op": "test", "path": "/a", "value": 1}],
            {"fieldManager": "tidegate"},
            id="json patch",
        ),
        pytest.param(
            Write("delete", Key("ClusterAnalysisTemplate", "", "ok"), uid="u-1"),
            "DELETE",
            "/apis/argoproj.io/v1alpha1/clusteranalysistemplates/ok",
            "application/json",
            {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "propagationPolicy": "Background",
                "preconditions": {"uid": "u-1"},
            },
            {},
            id="delete of exactly this object",
        ),
    ],
)
async def test_a_write_is_one_request(
    write: Write, method: str, path: str, content_type: str, body: Any, query: Mapping[str, str]
) -> None:
    script = Script([answer(200, {"kind": "Whatever"})])

    assert await Client(script).send(write) == {"kind": "Whatever"}

    [sent] = script.sent
    assert (sent.method, sent.path, sent.content_type) == (method, path, content_type)
    assert sent.body == body
    assert sent.query == query


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (400, "BadRequest", ApiError),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Expired),
        (410, "Gone", Expired),
        (422, "Invalid", Invalid),
        (500, "InternalError", ServerError),
        (503, "ServiceUnavailable", ServerError),
        (504, "Timeout", ServerError),
    ],
)
async def test_each_refusal_has_its_type_and_says_what_was_tried(
    status: int, reason: str, expected: type[ApiError]
) -> None:
    script = Script([refusal(status, reason, "no such luck")])

    with pytest.raises(ApiError) as caught:
        await Client(script).send(Write("patch", ROLLOUT, {}))

    assert type(caught.value) is expected
    assert caught.value.status == status
    for part in ("patch", "Rollout web/shop", str(status), "no such luck"):
        assert part in str(caught.value)
    assert len(script.sent) == 1, "a refused write is never repeated"


async def test_a_proxy_page_in_place_of_a_status_is_quoted() -> None:
    script = Script([answer(502, b"<html>bad gateway</html>")])
    with pytest.raises(ServerError, match="bad gateway"):
        await Client(script).get(ROLLOUT)


@pytest.mark.parametrize("body", [b"", b"[1]", b'{"cut": '])
async def test_success_without_an_object_is_an_error(body: bytes) -> None:
    with pytest.raises(ServerError, match="makes no sense"):
        await Client(Script([answer(200, body)])).send(Write("patch", ROLLOUT, {}))


async def test_a_lost_connection_is_tried_again_for_reads_only() -> None:
    lost = TransportError("connection reset")
    script = Script([lost, answer(200, service("a", 1))])
    await Client(script).get(Key("Service", "web", "a"))
    assert len(script.sent) == 2

    script = Script([lost, lost])
    with pytest.raises(TransportError, match=r"get Service web/a: connection reset"):
        await Client(script).get(Key("Service", "web", "a"))

    script = Script([lost, answer(200, {})])
    with pytest.raises(TransportError, match="patch Rollout web/shop"):
        await Client(script).send(Write("patch", ROLLOUT, {}))
    assert len(script.sent) == 1, "whether the first took effect is unknown"


@pytest.mark.looptime
async def test_a_busy_server_is_given_the_time_it_asks_for() -> None:
    busy = refusal(429, "TooManyRequests", Retry_After="7")
    script = Script([busy, busy, answer(200, {"kind": "Rollout"})])

    await Client(script).send(Write("patch", ROLLOUT, {}))

    assert [round(sent.at) for sent in script.sent] == [0, 7, 14]


@pytest.mark.looptime
async def test_a_server_that_stays_busy_is_given_up_after_three_more_tries() -> None:
    script = Script([refusal(429, "TooManyRequests", Retry_After="3600") for _ in range(9)])

    with pytest.raises(TooManyRequests) as caught:
        await Client(script).send(Write("patch", ROLLOUT, {}))

    assert [round(sent.at) for sent in script.sent] == [0, 30, 60, 90], "nor does it wait for an hour"
    assert caught.value.retry_after == 3600


@pytest.mark.looptime
async def test_requests_are_paced_and_leases_are_not() -> None:
    clock = asyncio.get_running_loop().time
    script = Script([answer(200, {}) for _ in range(5)])
    client = Client(script, limiter=TokenBucket(rate=1.0, burst=2, clock=clock))

    for _ in range(4):
        await client.get(ROLLOUT)
    await client.get(Key("Lease", "tidegate", "leader"))

    assert [round(sent.at) for sent in script.sent] == [0, 0, 1, 2, 2]


async def test_a_replica_that_no_longer_leads_sends_no_write() -> None:
    left = 3.0
    script = Script([answer(200, {}), answer(200, {}), answer(200, {}), answer(200, {})])
    client = Client(script, write_budget=lambda: left)

    await client.send(Write("patch", ROLLOUT, {}))
    assert script.sent[-1].timeout == 3.0, "a write must not outlive the leadership it was made under"
    left = 0.0
    with pytest.raises(NotLeading, match="patch Rollout web/shop"):
        await client.send(Write("patch", ROLLOUT, {}))
    with pytest.raises(NotLeading):
        await client.send(Write("delete", ROLLOUT))
    await client.get(ROLLOUT)
    await client.send(Write("patch", Key("Lease", "tidegate", "leader"), {}))
    await client.send(Write("create", Key("Event", "web", "e"), {}))

    assert [sent.method for sent in script.sent] == ["PATCH", "GET", "PATCH", "POST"]


async def test_a_list_is_read_in_pages_of_one_moment_and_its_items_are_typed() -> None:
    bare = service("a", 1)
    del bare["kind"], bare["apiVersion"]
    script = Script([listing(7, bare, more="next"), listing(7, service("b", 2))])

    items, version = await Client(script).list("Service", "web", "app=shop", metadata_only=True)

    assert [(item["apiVersion"], item["kind"], item["metadata"]["name"]) for item in items] == [
        ("v1", "Service", "a"),
        ("v1", "Service", "b"),
    ]
    assert version == "7"
    assert [sent.query for sent in script.sent] == [
        {"limit": "500", "labelSelector": "app=shop"},
        {"limit": "500", "labelSelector": "app=shop", "continue": "next"},
    ]
    assert "PartialObjectMetadataList" in (script.sent[0].accept or "")
    assert script.sent[0].path == "/api/v1/namespaces/web/services"


async def test_a_list_without_a_version_can_not_be_followed_and_is_an_error() -> None:
    with pytest.raises(ServerError, match="makes no sense"):
        await Client(Script([answer(200, {"items": []})])).list("Service")


async def test_a_watch_yields_events_until_the_server_reports_an_error() -> None:
    script = Script(streams=[[event("ADDED", service("a", 3)), bookmark(5), expired()]])
    seen = []
    with pytest.raises(Expired, match="too old"):
        async with Client(script).watch("Service", "web", "x=y", resource_version="2") as events:
            async for type_, obj, version in events:
                seen.append((type_, obj["metadata"].get("name"), version))

    assert seen == [("ADDED", "a", "3"), ("BOOKMARK", None, "5")]
    assert script.watched == [
        {"watch": "1", "resourceVersion": "2", "allowWatchBookmarks": "true", "labelSelector": "x=y"}
    ]


async def test_what_is_known_by_its_version_is_told_as_a_bookmark_and_an_end_is_told_all_the_same() -> None:
    """A version that an answer has brought: of a watch by label, a write of ours may be the object's end."""
    unread = b'{"type":"MODIFIED","object":{"metadata":{"name":"a","resourceVersion":"4"},"spec":{"resourceVersion":"9"'
    lines = [
        event("ADDED", service("a", 3)),
        unread,
        event("MODIFIED", service("b", 5)),
        event("DELETED", service("a", 6)),
    ]
    seen, asked = [], []

    def known(version: str) -> bool:
        asked.append(version)
        return version in ("4", "6")

    async with Client(Script(streams=[lines])).watch("Service", resource_version="2", known=known) as events:
        async for type_, obj, version in events:
            seen.append((type_, obj["metadata"].get("name"), version))

    assert seen == [("ADDED", "a", "3"), ("BOOKMARK", None, "4"), ("MODIFIED", "b", "5"), ("DELETED", "a", "6")]
    assert asked == ["3", "4", "5"]


@pytest.mark.parametrize(
    "line",
    [
        b"}{",
        b"[]",
        b'{"type": "ADDED"}',
        b'{"type": "ADDED", "object": {}}',
        b'{"type":"ADDED","object":{"metadata":{"resourceVersion":"\xff"}}}',
    ],
)
async def test_a_line_that_is_no_event_breaks_the_watch_and_is_quoted(line: bytes) -> None:
    with pytest.raises(TransportError, match="no event"):
        async with Client(Script(streams=[[line]])).watch("Service", resource_version="1") as events:
            async for _ in events:
                pytest.fail("there is no event to see")


async def test_every_request_is_counted_with_verb_kind_and_outcome() -> None:
    counted: list[tuple[str, str, int]] = []
    script = Script(
        [answer(201, {}), refusal(409, "Conflict"), TransportError("gone"), listing(1)],
        streams=[[TransportError("cut")], Forbidden(403, "Forbidden", "no")],
    )
    client = Client(script, on_request=lambda verb, kind, status, seconds: counted.append((verb, kind, status)))

    await client.send(Write("create", ROLLOUT, {}))
    for _ in range(2):
        with pytest.raises((Conflict, TransportError)):
            await client.send(Write("patch", ROLLOUT, {}))
    await client.list("Service")
    with pytest.raises(TransportError):
        async with client.watch("Service", resource_version="1") as events:
            async for _ in events:
                pytest.fail("it was cut before the first event")
    with pytest.raises(Forbidden):
        async with client.watch("Service", resource_version="1"):
            pass

    assert counted == [
        ("create", "Rollout", 201),
        ("patch", "Rollout", 409),
        ("patch", "Rollout", 0),
        ("list", "Service", 200),
        ("watch", "Service", 200),
        ("watch", "Service", 403),
    ]


async def test_an_unknown_kind_is_named_beside_those_that_exist() -> None:
    with pytest.raises(KeyError, match=r"Rolout.*Rollout"):
        await Client(Script()).get(Key("Rolout", "web", "shop"))


@pytest.mark.looptime
async def test_no_more_than_sixteen_requests_are_under_way_at_once_and_the_lease_never_queues() -> None:
    at_once: list[int] = []
    under_way: list[str] = []

    class Slow(Script):
        async def request(self, method: str, path: str, **options: Any) -> Response:
            under_way.append(path)
            at_once.append(len(under_way))
            await asyncio.sleep(1)
            under_way.remove(path)
            return answer(200, {})

    client = Client(Slow())
    writes = [asyncio.create_task(client.send(Write("patch", ROLLOUT, {}))) for _ in range(40)]
    await asyncio.sleep(0.5)
    began = asyncio.get_running_loop().time()
    await client.get(Key("Lease", "tidegate", "leader"))
    assert asyncio.get_running_loop().time() - began == pytest.approx(1)
    await asyncio.gather(*writes)

    assert max(at_once) == 16 + 1
    assert asyncio.get_running_loop().time() == pytest.approx(3)
