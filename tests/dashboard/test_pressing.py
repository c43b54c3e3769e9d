"""Buttons: the patch that each sends, and that nothing is done to what has moved on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.release import NEW, OLD, Release
from tests.dashboard.house import Browser, People, house, until
from tests.fakes.cluster import FakeCluster
from tests.fakes.transport import Fault
from tidegate.dashboard.actions import ACTIONS

pytestmark = pytest.mark.looptime

APP = "/api/rollouts/shop/app"
ABORTED = {"abort": True, "abortedAt": "2026-01-01T00:01:00Z", "phase": "Degraded", "pauseConditions": None}


async def seen(browser: Browser, name: str) -> dict[str, Any]:
    async with browser.events(APP) as events:
        shown = await until(events, "whole")
    found: dict[str, Any] = next(button for button in shown["actions"] if button["name"] == name)
    return found


EFFECTS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("promote", {}, {}, {"pauseConditions": None}),
    ("skip", {}, {}, {"currentStepIndex": 2}),
    ("promote-full", {}, {}, {"promoteFull": True}),
    ("abort", {}, {}, {"abort": True}),
    ("retry", ABORTED, {}, {"abort": False}),
    ("pause", {}, {}, {"spec.paused": True}),
    ("resume", {}, {"paused": True}, {"spec.paused": False}),
    ("restart", {}, {}, {"spec.restartAt": "2026-01-01T00:00:00Z"}),
    ("undo", {}, {}, {"image": "app:v1"}),
]


def test_every_button_has_its_line() -> None:
    assert {effect[0] for effect in EFFECTS} == set(ACTIONS)


@pytest.mark.parametrize(("name", "status", "spec", "effect"), EFFECTS, ids=[effect[0] for effect in EFFECTS])
async def test_what_a_button_does(
    cluster: FakeCluster,
    release: Release,
    people: People,
    name: str,
    status: dict[str, Any],
    spec: dict[str, Any],
    effect: dict[str, Any],
) -> None:
    release.spec(**spec)
    release.status(**status)
    release.observe()
    async with house(cluster, people, laptop="edith") as page:
        browser = page.browser(cookies={"page": "secret"})
        button = await seen(browser, name)
        writes = len(cluster.log)
        answer = await browser.post(f"{APP}/{name}", {"seen": button["seen"]})

    now = release.now
    found = {
        **{f"spec.{field}": value for field, value in now["spec"].items()},
        **now["status"],
        "image": now["spec"]["template"]["spec"]["containers"][0]["image"],
    }
    assert answer.status == 200 and answer.data["said"]
    if name == "restart":
        assert found["spec.restartAt"].endswith("Z")
    else:
        assert {field: found.get(field) for field in effect} == effect
    assert {(write.kind, write.name, write.actor) for write in cluster.log[writes:]} == {("Rollout", "app", "edith")}


# What has happened between the look and the click, and for which buttons that matters.
MEANWHILE: list[tuple[str, dict[str, Any], set[str]]] = [
    ("the next step", {"currentStepIndex": 3}, {"promote", "skip"}),
    ("the pause was lifted", {"pauseConditions": None}, {"promote", "skip"}),
    ("another version", {"currentPodHash": "third"}, {"promote", "skip", "promote-full", "abort", "pause", "undo"}),
    ("nothing that matters", {"availableReplicas": 4, "message": "other words"}, set()),
]


@pytest.mark.parametrize(("what", "status", "refused"), MEANWHILE, ids=[case[0] for case in MEANWHILE])
@pytest.mark.parametrize("name", ["promote", "skip", "promote-full", "abort", "pause", "undo", "restart"])
async def test_nothing_is_done_to_what_has_moved_on(
    cluster: FakeCluster,
    release: Release,
    people: People,
    name: str,
    what: str,
    status: dict[str, Any],
    refused: set[str],
) -> None:
    async with house(cluster, people, laptop="edith") as page:
        browser = page.browser(cookies={"page": "secret"})
        button = await seen(browser, name)
        release.status(**status)
        before = release.now
        answer = await browser.post(f"{APP}/{name}", {"seen": button["seen"]})

    if name in refused:
        assert answer.status == 409 and "has moved on since you saw it" in answer.data["said"]
        assert release.now == before
    else:
        assert answer.status == 200 and release.now != before


async def test_a_change_at_the_very_last_moment_is_noticed_by_the_server(
    cluster: FakeCluster, release: Release, people: People
) -> None:
    async with house(cluster, people) as page:
        browser = page.browser()
        await browser.post("/api/session", {"token": "token-of-edith"})
        button = await seen(browser, "skip")

        def move_on(request: Any) -> Fault | None:
            if request.method == "PATCH":
                release.status(currentStepIndex=2)
            return None

        page.faults.append(move_on)
        answer = await browser.post(f"{APP}/skip", {"seen": button["seen"]})

    assert answer.status == 409 and release.now["status"]["currentStepIndex"] == 2


async def test_nothing_is_asked_of_a_status_that_tells_of_an_older_spec(
    cluster: FakeCluster, release: Release, people: People
) -> None:
    async with house(cluster, people, laptop="edith") as page:
        browser = page.browser(cookies={"page": "secret"})
        button = await seen(browser, "abort")
        release.spec(template={"metadata": {"labels": {"app": "app", "new": "yes"}}})
        answer = await browser.post(f"{APP}/abort", {"seen": button["seen"]})

    assert answer.status == 409 and "not taken note of yet" in answer.data["said"]
    assert "abort" not in release.now["status"]


async def test_what_makes_no_sense_is_refused_in_the_pages_words(
    cluster: FakeCluster, release: Release, people: People
) -> None:
    async with house(cluster, people, laptop="edith") as page:
        browser = page.browser(cookies={"page": "secret"})
        answer = await browser.post(f"{APP}/retry", {"seen": (await seen(browser, "retry"))["seen"]})

    assert (answer.status, answer.data) == (409, {"said": "app is not aborted, so there is nothing to retry."})


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (f"{APP}/explode", {"seen": {}}, 404),
        (f"{APP}/abort", {}, 400),
        (f"{APP}/abort", [], 400),
        (f"{APP}/abort", {"seen": "x"}, 400),
        (f"{APP}/abort", {"seen": {}}, 409),
        (f"{APP}/undo", {"seen": {}, "revision": -1}, 400),
        (f"{APP}/undo", {"seen": {}, "revision": "1"}, 400),
        ("/api/rollouts/shop/nothing/abort", {"seen": {}}, 404),
        ("/api/rollouts/shop/..%2f..%2fsecrets/abort", {"seen": {}}, 404),
    ],
)
async def test_requests_that_the_page_never_makes(
    cluster: FakeCluster, release: Release, people: People, path: str, body: Any, status: int
) -> None:
    async with house(cluster, people, laptop="edith") as page:
        before = release.now
        answer = await page.browser(cookies={"page": "secret"}).post(path, body)

    assert answer.status == status and release.now == before


async def test_an_undo_goes_to_the_revision_that_was_chosen(
    cluster: FakeCluster, release: Release, people: People
) -> None:
    Release(cluster, name="other", namespace="shop")
    async with house(cluster, people, laptop="edith") as page:
        browser = page.browser(cookies={"page": "secret"})
        button = await seen(browser, "undo")
        gone = await browser.post(f"{APP}/undo", {"seen": button["seen"], "revision": 7})
        answer = await browser.post(f"{APP}/undo", {"seen": button["seen"], "revision": 1})

    assert button["revisions"] == [{"revision": 1, "hash": OLD, "images": ["app:v1"]}]
    assert gone.status == 409 and "no revision 7" in gone.data["said"]
    assert answer.status == 200
    assert release.now["spec"]["template"]["spec"]["containers"][0]["image"] == "app:v1"


async def test_live_means_without_asking(cluster: FakeCluster, release: Release, people: People) -> None:
    async with house(cluster, people, laptop="edith") as page:
        browser = page.browser(cookies={"page": "secret"})
        async with browser.events(APP) as events:
            assert (await until(events, "whole"))["step"] == 1
            release.status(currentStepIndex=2, pauseConditions=None, phase="Progressing")
            assert (await until(events, "whole"))["step"] == 2
            release.run("run", "Running")
            assert (await until(events, "whole"))["runs"][0]["name"] == "run"
            cluster.patch("ReplicaSet", f"app-{NEW}", {"spec": {"replicas": 3}}, "shop")
            assert (await until(events, "whole"))["revisions"][0]["replicas"] == 3
            cluster.delete("Rollout", "app", "shop")
            assert (await until(events, "whole"))["missing"] is True
        assert page.live.viewers == 0


async def test_names_that_are_markup_travel_as_text(cluster: FakeCluster, release: Release, people: People) -> None:
    markup = "<script>alert(1)</script>"
    release.status(message=markup)
    async with house(cluster, people, laptop="edith") as page:
        browser = page.browser(cookies={"page": "secret"})
        async with browser.events(APP) as events:
            assert (await until(events, "whole"))["message"] == markup
        shell = await browser.get(f"/rollouts/shop/{markup}".replace("<", "%3C").replace(">", "%3E"))
        files = [
            await browser.get(f"/assets/{name}") for name in ("page.js", "dom.js", "list.js", "rollout.js", "charts.js")
        ]

    assert b"alert" not in shell.body
    for file in files:
        assert file.status == 200 and file.headers["content-type"].startswith("text/javascript")
        for sink in (b"innerHTML", b"outerHTML", b"insertAdjacentHTML", b"document.write", b"eval(", b"DOMParser"):
            assert sink not in file.body
