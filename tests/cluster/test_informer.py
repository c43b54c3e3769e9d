"""The informer through everything a watch can do to it. Time is virtual, so an outage of minutes costs nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.cluster.scripted import Script, bookmark, event, expired, listing, refusal, service
from tidegate.cluster.client import Client
from tidegate.cluster.errors import ApiError, Expired, Forbidden, NotFound, ServerError, TransportError
from tidegate.cluster.informer import Informer
from tidegate.cluster.rules import KindRules
from tidegate.cluster.store import Store
from tidegate.core.plan import Key

pytestmark = pytest.mark.looptime

LOST = TransportError("connection reset")
DOWN = ServerError(503, "ServiceUnavailable", "starting")


def names(store: Store) -> set[str]:
    return {key.name for key in store.keys("Service")}


class Run:
    """An informer of Services against a script, for some virtual seconds."""

    def __init__(self, script: Script, **options: Any) -> None:
        self.script = script
        self.store = Store(freeze=True)
        self.informer = Informer(Client(script), self.store, "Service", **options)

    async def seconds(self, count: float) -> None:
        task = asyncio.create_task(self.informer.run())
        done, _ = await asyncio.wait([task], timeout=count)
        for crashed in done:
            crashed.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_lists_then_follows_from_the_version_of_the_list() -> None:
    run = Run(
        Script(
            [listing(10, service("a", 1), more="p2"), listing(10, service("b", 2))],
            [[event("ADDED", service("c", 11)), event("DELETED", service("a", 12))]],
        )
    )
    assert not run.informer.synced.is_set()
    assert run.informer.last_event_age is None

    await run.seconds(60)

    assert names(run.store) == {"b", "c"}
    assert run.informer.synced.is_set()
    assert run.store.synced("Service")
    assert run.script.watched[0]["resourceVersion"] == "10"
    assert len(run.script.sent) == 2, "nothing is ever listed again without a reason"
    assert run.informer.last_event_age == pytest.approx(60, abs=0.1)


async def test_its_namespace_and_label_selector_are_asked_of_the_server() -> None:
    run = Run(Script([listing(1)]), namespace="web", label_selector="hash")
    await run.seconds(1)
    assert run.script.sent[0].path == "/api/v1/namespaces/web/services"
    assert run.script.sent[0].query["labelSelector"] == "hash"
    assert run.script.watched[0]["labelSelector"] == "hash"


@pytest.mark.parametrize(
    ("end", "version"),
    [
        pytest.param([event("ADDED", service("a", 11))], "11", id="the server ends the stream"),
        pytest.param([event("ADDED", service("a", 11)), LOST], "11", id="the connection breaks"),
        pytest.param([event("ADDED", service("a", 11)), bookmark(40)], "40", id="after a bookmark"),
        pytest.param([event("ADDED", service("a", 11)), b"}garbage"], "11", id="a line of garbage"),
        pytest.param([event("ADDED", service("a", 11)), b'{"type": "ADDED"}'], "11", id="half an event"),
    ],
)
async def test_a_stream_that_ends_is_resumed_at_once_where_it_ended(end: list[Any], version: str) -> None:
    run = Run(Script([listing(10)], [end, [event("ADDED", service("b", 50))]]))

    await run.seconds(0.05)

    assert [watch["resourceVersion"] for watch in run.script.watched[:2]] == ["10", version]
    assert names(run.store) == {"a", "b"}
    assert len(run.script.sent) == 1


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param([expired()], id="said in the stream"),
        pytest.param(Expired(410, "Gone", "too old"), id="said when it is opened"),
    ],
)
async def test_an_expired_version_leads_to_a_list_that_removes_what_is_gone(stream: Any) -> None:
    woken: list[object] = []
    run = Run(
        Script(
            [listing(10, service("a", 1), service("b", 2)), listing(90, service("b", 2), service("c", 80))],
            [stream],
        )
    )
    run.store.on_wake = woken.append
    for name in ("a", "b"):
        view = run.store.view(f"reader of {name}")
        view.get(Key("Service", "web", name))
        view.commit()

    await run.seconds(1)

    assert names(run.store) == {"b", "c"}
    assert woken == ["reader of a", "reader of b", "reader of a"], "b is as it was"
    assert [watch["resourceVersion"] for watch in run.script.watched] == ["10", "90"]


async def test_an_outage_is_waited_out_with_growing_pauses_and_without_losing_anything() -> None:
    outage: list[Any] = [LOST, DOWN, LOST, DOWN]
    run = Run(Script([listing(10, service("a", 1))], [*outage, [event("ADDED", service("b", 11))]]))

    with capture_logs() as logs:
        await run.seconds(30)

    assert names(run.store) == {"a", "b"}
    assert {watch["resourceVersion"] for watch in run.script.watched[:5]} == {"10"}
    assert len(run.script.sent) == 1, "a short outage needs no new list"
    assert run.informer.problem == ""
    assert [entry["event"] for entry in logs][-1] == "following again"


async def test_during_an_outage_the_problem_is_shown_and_the_last_knowledge_kept() -> None:
    run = Run(Script([listing(10, service("a", 1))] + [LOST] * 400, [LOST] * 100))

    with capture_logs() as logs:
        await run.seconds(300)

    assert names(run.store) == {"a"}
    assert "can't follow Service" in run.informer.problem
    assert "connection reset" in run.informer.problem
    age = run.informer.last_event_age
    assert age is not None
    assert age > 299
    attempts = len(run.script.watched) + len(run.script.sent)
    assert 40 < attempts < 200, "neither asleep for long nor hammering"
    assert len(logs) < 20, "an outage is not a line for every attempt"


async def test_a_list_that_fails_is_tried_again_and_counts_for_nothing_until_it_succeeds() -> None:
    run = Run(
        Script(
            [
                refusal(500, "InternalError"),
                listing(10, service("a", 1), more="p2"),
                refusal(410, "Expired"),
                LOST,
                LOST,
                listing(20, service("b", 15)),
            ]
        )
    )

    await run.seconds(0.01)
    assert not run.informer.synced.is_set()
    await run.seconds(30)

    assert run.informer.synced.is_set()
    assert names(run.store) == {"b"}, "what the broken list had shown is gone by now"
    assert run.script.watched[0]["resourceVersion"] == "20"


async def test_a_version_that_never_works_is_given_up_for_a_new_list() -> None:
    """The server was restored from a backup: our version is from its future, and stays so for ever."""
    future = ServerError(504, "Timeout", "Too large resource version")
    run = Run(Script([listing(1000, service("a", 999)), listing(50, service("b", 20))], [future] * 8))

    await run.seconds(120)

    assert names(run.store) == {"b"}
    assert run.script.watched[-1]["resourceVersion"] == "50"


async def test_a_missing_kind_is_empty_and_synced_and_found_once_it_is_there() -> None:
    missing = [refusal(404, "NotFound") for _ in range(2)]
    run = Run(Script([*missing, listing(10, service("a", 5))]))

    await run.seconds(14)
    assert run.informer.synced.is_set()
    assert names(run.store) == set()
    assert len(run.script.sent) == 1, "it is looked for every half minute or so, not at once"

    await run.seconds(200)
    assert names(run.store) == {"a"}


async def test_a_kind_that_is_removed_while_it_is_followed_takes_its_objects_along() -> None:
    run = Run(Script([listing(10, service("a", 5)), refusal(404, "NotFound")], [NotFound(404, "NotFound", "no kind")]))
    await run.seconds(5)
    assert names(run.store) == set()


async def test_a_missing_role_is_said_once_with_what_to_do_and_never_mistaken_for_an_empty_kind() -> None:
    denied: list[Any] = [refusal(403, "Forbidden", "services is forbidden") for _ in range(50)]
    run = Run(Script([*denied, listing(10, service("a", 5))]))

    with capture_logs() as logs:
        await run.seconds(600)

    assert not run.informer.synced.is_set()
    assert "grant list and watch" in run.informer.problem
    assert "services is forbidden" in run.informer.problem
    assert len(logs) == 1
    assert 8 < len(run.script.sent) < 30


async def test_a_role_taken_away_keeps_what_is_known() -> None:
    forbidden: ApiError = Forbidden(403, "Forbidden", "no")
    run = Run(Script([listing(10, service("a", 5))] + [refusal(403, "Forbidden")] * 9, [forbidden]))
    await run.seconds(60)
    assert names(run.store) == {"a"}
    assert "not allowed" in run.informer.problem


@pytest.mark.parametrize("arrives", ["in the list", "in the watch"])
async def test_one_bad_object_is_named_and_hurts_only_itself(arrives: str) -> None:
    def refuse_bad(obj: dict[str, Any]) -> dict[str, Any]:
        if obj["metadata"]["name"] == "bad":
            raise ValueError("a field of a shape that nobody expected")
        return obj

    bad, good = service("bad", 11), service("good", 12)
    if arrives == "in the list":
        script = Script([listing(20, bad, good)])
    else:
        script = Script([listing(10)], [[event("ADDED", bad), event("ADDED", good)]])
    run = Run(script)
    run.store = Store({"Service": KindRules(project=refuse_bad)})
    run.informer = Informer(Client(script), run.store, "Service")

    with capture_logs() as logs:
        await run.seconds(5)

    assert names(run.store) == {"good"}
    assert run.informer.errors == 1
    [entry] = [entry for entry in logs if entry["log_level"] == "error"]
    assert (entry["namespace"], entry["name"]) == ("web", "bad")
    assert len(script.sent) == 1, "one bad object is no reason to list anew"


async def test_a_server_that_ends_every_stream_at_once_is_not_hammered() -> None:
    run = Run(Script([listing(10)] + [listing(10) for _ in range(50)], [[] for _ in range(1000)]))
    await run.seconds(60)
    assert len(run.script.watched) < 60


async def test_patience_lost_in_one_outage_is_regained_by_the_next() -> None:
    first_outage: list[Any] = [LOST] * 7
    alive: list[Any] = [event("ADDED", service("a", 11)), LOST]
    run = Run(Script([listing(10)], [*first_outage, alive, LOST, [event("ADDED", service("b", 12))]]))

    task = asyncio.create_task(run.seconds(60))
    while "a" not in names(run.store):
        await asyncio.sleep(0.01)
    recovered = asyncio.get_running_loop().time()
    while "b" not in names(run.store):
        await asyncio.sleep(0.01)

    assert recovered > 3
    assert asyncio.get_running_loop().time() - recovered < 0.3
    await task
