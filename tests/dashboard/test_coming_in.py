"""Who gets to see and do what: tokens, rights, other sites, other names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.release import Release
from tests.dashboard.house import OPERATOR, Browser, House, People, house, until
from tests.fakes.cluster import FakeCluster
from tidegate.cluster.credentials import Credentials, authorization
from tidegate.dashboard.beside_operator import bare

pytestmark = pytest.mark.looptime

APP = "/api/rollouts/shop/app"


async def signed_in(page: House, token: str) -> Browser:
    browser = page.browser()
    assert (await browser.post("/api/session", {"token": token})).status == 200
    return browser


async def seen(browser: Browser, action: str) -> dict[str, Any]:
    """What the page shows for a button."""
    async with browser.events(APP) as events:
        shown = await until(events, "whole")
    found: dict[str, Any] = next(button for button in shown["actions"] if button["name"] == action)
    return found


async def press(browser: Browser, action: str, **more: Any) -> Any:
    return await browser.post(f"{APP}/{action}", {"seen": (await seen(browser, action))["seen"], **more})


async def test_without_a_token_there_is_nothing_to_see(cluster: FakeCluster, release: Release, people: People) -> None:
    async with house(cluster, people) as page:
        browser = page.browser()

        assert (await browser.get("/api/me")).status == 401
        assert (await browser.post(f"{APP}/abort", {"seen": {}})).status == 401
        for path in ("/api/rollouts", APP):
            async with browser.events(path) as events:
                assert (await until(events, "refused"))["signIn"] is True
        shell = await browser.get("/")

    assert shell.status == 200 and b"shop" not in shell.body
    assert "abort" not in release.now["status"]


@pytest.mark.parametrize("token", ["", "wrong", "x" * 20_000, "two words", "tok\u00e9n", 'a"b;c', None, {"a": 1}])
async def test_what_is_no_token_of_the_cluster_signs_nobody_in(
    cluster: FakeCluster, people: People, token: object
) -> None:
    async with house(cluster, people) as page:
        browser = page.browser()
        answer = await browser.post("/api/session", {"token": token})

        assert answer.status == 401 and not answer.cookies
        browser.cookies["page"] = "wrong"
        assert (await browser.get("/api/me")).status == 401


async def test_the_token_is_kept_where_no_script_and_no_other_site_gets_at_it(
    cluster: FakeCluster, people: People
) -> None:
    async with house(cluster, people, hosts=("page.example.com",)) as page:
        near, far = page.browser(), page.browser(host="page.example.com")
        (cookie,) = (await near.post("/api/session", {"token": "token-of-vera"})).cookies
        (abroad,) = (
            await far.post("/api/session", {"token": "token-of-vera"}, origin="https://page.example.com")
        ).cookies
        out = await near.post("/api/session", method="DELETE")

        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie and "Secure" not in cookie
        assert "Secure" in abroad
        assert out.status == 200 and not near.cookies


async def test_one_sees_what_ones_own_rights_show(cluster: FakeCluster, release: Release, people: People) -> None:
    Release(cluster, name="bank", namespace="vault")
    async with house(cluster, people) as page:
        for name, expected in (("vera", ["app"]), ("edith", ["app", "bank"]), ("noone", [])):
            browser = await signed_in(page, f"token-of-{name}")
            async with browser.events("/api/rollouts") as events:
                rows = (await until(events, "all"))["rows"]
            assert [row["name"] for row in rows] == expected
        vera = await signed_in(page, "token-of-vera")
        for path in ("/api/rollouts?namespace=vault", "/api/rollouts/vault/bank", "/api/rollouts/vault/nothing"):
            async with vera.events(path) as events:
                refusal = await until(events, "refused")
                assert "kubectl auth can-i" in refusal["said"] and refusal["signIn"] is False


async def test_changes_of_a_namespace_that_one_may_not_read_are_not_told(
    cluster: FakeCluster, release: Release, people: People
) -> None:
    bank = Release(cluster, name="bank", namespace="vault")
    async with house(cluster, people) as page:
        vera = await signed_in(page, "token-of-vera")
        async with vera.events("/api/rollouts") as events:
            await until(events, "all")
            bank.status(phase="Degraded", message="of no concern")
            release.status(phase="Degraded", message="look here")
            row = await until(events, "row")
            assert (row["name"], row["message"]) == ("app", "look here")
            assert events.empty()


async def test_who_may_only_look_can_only_look(cluster: FakeCluster, release: Release, people: People) -> None:
    async with house(cluster, people) as page:
        vera = await signed_in(page, "token-of-vera")
        button = await seen(vera, "abort")
        answer = await press(vera, "abort")

        assert not button["allowed"] and not button["possible"] and "auth can-i patch rollouts" in button["why"]
        assert answer.status == 403 and "vera may not" in answer.data["said"]
        assert not [call for call in people.sent if call[1] == "PATCH"]


async def test_what_one_may_not_list_is_left_out_and_said_to_be(
    cluster: FakeCluster, release: Release, people: People
) -> None:
    release.run("run", "Running")
    release.event("RolloutPaused", "now", "2026-01-01T00:01:00Z")
    people.roles["vera"] = {"shop": "narrow"}
    async with house(cluster, people) as page:
        vera = await signed_in(page, "token-of-vera")
        async with vera.events(APP) as events:
            shown = await until(events, "whole")

    assert (shown["phase"], shown["revisions"], shown["runs"], shown["events"]) == ("Paused", [], [], [])
    assert [note.split()[0] for note in shown["notes"]] == ["ReplicaSets", "AnalysisRuns", "Pods", "Events"]


async def test_a_right_that_only_the_review_grants_is_still_refused_by_the_server(
    cluster: FakeCluster, release: Release, people: People
) -> None:
    """The operator's rights are never lent: what is sent is sent as the visitor."""
    async with house(cluster, people) as page:
        edith = await signed_in(page, "token-of-edith")
        button = await seen(edith, "abort")
        people.roles["edith"] = {"": "view"}  # The review is remembered for some seconds; the server knows at once.
        answer = await edith.post(f"{APP}/abort", {"seen": button["seen"]})

        assert answer.status == 403 and "edith" in answer.data["said"]
        assert "abort" not in release.now["status"]


async def test_all_that_is_done_is_done_by_the_visitor(cluster: FakeCluster, release: Release, people: People) -> None:
    async with house(cluster, people) as page:
        edith = await signed_in(page, "token-of-edith")
        answer = await press(edith, "abort")

        assert answer.data == {"said": "app is aborted: traffic goes back to the stable version."}
        assert release.now["status"]["abort"] is True
        assert {user for user, method, _ in people.sent if method == "PATCH"} == {"edith"}
        mine = {path.rpartition("/")[2] for user, method, path in people.sent if (user, method) == (OPERATOR, "POST")}
        assert mine == {"tokenreviews", "subjectaccessreviews"}
        assert not any(transport.open for transport in page.transports)


def test_a_visitors_connection_has_none_of_the_operators_credentials() -> None:
    operators = Credentials(
        server="https://api",
        ca_data="CA",
        token="mine",
        token_path="/mine",
        certificate_data="mine",
        private_key_data="mine",
        certificate_path="/mine",
        private_key_path="/mine",
        username="mine",
        password="mine",
    )

    theirs = bare(operators, "theirs")

    assert theirs == Credentials(server="https://api", ca_data="CA", token="theirs")
    assert authorization(theirs) == "Bearer theirs"


async def test_a_token_that_is_revoked_ends_what_it_has_opened(
    cluster: FakeCluster, release: Release, people: People
) -> None:
    async with house(cluster, people) as page:
        vera = await signed_in(page, "token-of-vera")
        async with vera.events("/api/rollouts") as listed, vera.events(APP) as whole:
            await until(listed, "all")
            await until(whole, "whole")
            del people.tokens["token-of-vera"]
            assert (await until(listed, "refused"))["signIn"] is True
            assert (await until(whole, "refused"))["signIn"] is True


async def test_a_role_that_is_taken_away_ends_what_it_has_shown(
    cluster: FakeCluster, release: Release, people: People
) -> None:
    async with house(cluster, people) as page:
        vera = await signed_in(page, "token-of-vera")
        async with vera.events("/api/rollouts") as listed, vera.events(APP) as whole:
            assert len((await until(listed, "all"))["rows"]) == 1
            await until(whole, "whole")
            people.roles["vera"] = {}
            assert (await until(listed, "all"))["rows"] == []
            assert (await until(whole, "refused"))["signIn"] is False


async def test_a_proxys_header_signs_in_and_forms_of_it_that_are_no_token_do_not(
    cluster: FakeCluster, release: Release, people: People
) -> None:
    async with house(cluster, people) as page:
        by_proxy = page.browser(headers={"authorization": "Bearer token-of-vera"})
        assert (await by_proxy.get("/api/me")).data["name"] == "vera"
        for value in ("Basic token-of-vera", "Bearer", "token-of-vera", "Bearer wrong"):
            assert (await page.browser(headers={"authorization": value}).get("/api/me")).status == 401


async def test_the_anonymous_see_what_the_cluster_lets_them_see_and_only_if_the_operator_says_so(
    cluster: FakeCluster, release: Release, people: People
) -> None:
    people.roles["system:anonymous"] = {"shop": "edit"}
    async with house(cluster, people) as closed:
        assert (await closed.browser().get("/api/me")).status == 401
    async with house(cluster, people, anonymous=True) as page:
        browser = page.browser()
        async with browser.events(APP) as events:
            shown = await until(events, "whole")
        answer = await browser.post(f"{APP}/abort", {"seen": shown["actions"][0]["seen"]})

    assert shown["name"] == "app" and not any(button["possible"] for button in shown["actions"])
    assert (shown["events"], [pod for revision in shown["revisions"] for pod in revision["pods"]]) == ([], [])
    assert answer.status == 403 and "abort" not in release.now["status"]


async def test_on_a_laptop_the_secret_of_the_address_opens_and_nothing_else_does(
    cluster: FakeCluster, release: Release, people: People
) -> None:
    async with house(cluster, people, laptop="edith") as page:
        browser = page.browser()
        for path in ("/api/me", "/enter", "/enter?key=wrong"):
            assert (await browser.get(path)).status == 401
        assert (await browser.get("/api/me", authorization="Bearer token-of-edith")).status == 401
        assert (await browser.post("/api/session", {"token": "token-of-edith"})).status == 404
        came = await browser.get("/enter?key=secret", sec_fetch_site="none")
        answer = await press(browser, "abort")

        assert came.status == 200 and b"secret" not in came.body
        assert "HttpOnly" in came.cookies[0] and "SameSite=strict" in came.cookies[0]
        assert answer.status == 200 and release.now["status"]["abort"] is True


FOREIGN: list[tuple[str, dict[str, Any]]] = [
    ("another origin", {"origin": "https://evil.example"}),
    ("another port of this machine", {"origin": "http://localhost:9999"}),
    ("no origin", {"origin": ""}),
    ("an opaque origin", {"origin": "null"}),
    ("a site next door", {"sec_fetch_site": "same-site"}),
    ("another site", {"sec_fetch_site": "cross-site"}),
    ("a form", {"content_type": "application/x-www-form-urlencoded"}),
    ("a form that looks like JSON", {"content_type": "text/plain"}),
    ("no header of the page's", {"x_tidegate_page": ""}),
    ("a body without end", {"content_length": "99999999"}),
    ("a body of unknown length", {"content_length": "many"}),
]


@pytest.mark.parametrize(("what", "headers"), FOREIGN, ids=[what for what, _ in FOREIGN])
async def test_another_sites_page_can_press_no_button(
    cluster: FakeCluster, release: Release, people: People, what: str, headers: dict[str, str]
) -> None:
    async with house(cluster, people, laptop="edith") as page:
        browser = page.browser(cookies={"page": "secret"})
        button = await seen(browser, "abort")
        answer = await browser.post(f"{APP}/abort", {"seen": button["seen"]}, **headers)

        assert answer.status in (403, 413)
        assert "abort" not in release.now["status"]


async def test_no_button_is_pressed_by_a_link(cluster: FakeCluster, release: Release, people: People) -> None:
    async with house(cluster, people, laptop="edith") as page:
        browser = page.browser(cookies={"page": "secret"})
        for method in ("GET", "HEAD", "PUT", "PATCH", "OPTIONS"):
            assert (await browser.send(method, f"{APP}/abort", None, {})).status in (404, 405)
        assert (await browser.get("/api/me", sec_fetch_site="cross-site")).status == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("LOCALHOST", 200),
        ("page.example.com", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("evil.example#localhost", 421),
        ("localhost:x", 421),
        ("", 421),
    ],
)
async def test_a_foreign_name_that_leads_here_is_refused(
    cluster: FakeCluster, people: People, host: str, status: int
) -> None:
    async with house(cluster, people, laptop="edith", hosts=("page.example.com",)) as page:
        browser = page.browser(host=host, cookies={"page": "secret"})

        assert (await browser.get("/")).status == status
        assert (await browser.get("/api/me")).status == status


async def test_every_answer_carries_the_policy(cluster: FakeCluster, people: People) -> None:
    async with house(cluster, people) as page:
        browser = page.browser()
        answers = [await browser.get(path) for path in ("/", "/assets/page.js", "/assets/nothing", "/api/me", "/x")]
        answers.append(await browser.get("/", host="evil.example"))

    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and "require-trusted-types-for 'script'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["..%2fapp.py", "../app.py", "app.py", "%2e%2e/app.py", "page.py", ""])
async def test_only_the_pages_own_files_are_served(cluster: FakeCluster, people: People, path: str) -> None:
    async with house(cluster, people) as page:
        assert (await page.browser().get(f"/assets/{path}")).status == 404
