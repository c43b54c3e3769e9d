"""Messages as their receivers get them, over real sockets; and secrets, which nothing but the receiver gets."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from aiohttp import web

from tidegate.api import names
from tidegate.core.plan import Event, Key
from tidegate.observe.exposition import Family
from tidegate.observe.metrics import Metrics
from tidegate.observe.notify import sending
from tidegate.observe.notify.courier import Courier
from tidegate.observe.notify.deciding import Due, decide
from tidegate.observe.notify.messages import word
from tidegate.observe.notify.sending import SendError, WideSender
from tidegate.observe.notify.services import Note, Parcel, check_service, pack
from tidegate.observe.notify.settings import Settings, read_settings

Obj = dict[str, Any]
ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
# Apprise's own imports warn.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
MARK = "pl4nted"
"""Stands in every secret."""


def rollout(**annotations: str) -> Obj:
    given = {f"notifications.argoproj.io/subscribe.{name}": text for name, text in annotations.items()}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Rollout",
        "metadata": {
            "name": "shop",
            "namespace": "prod",
            "uid": "u-1",
            "generation": 2,
            "labels": {"team": "red"},
            "annotations": {names.REVISION: "2", **given},
        },
        "spec": {"replicas": 3, "strategy": {"canary": {"steps": []}}, "template": {"spec": {"containers": []}}},
        "status": {
            "observedGeneration": "2",
            "currentPodHash": "abc",
            "stableRS": "old",
            "abort": True,
            "abortedAt": "2026-05-01T11:59:00Z",
            "message": "RolloutAborted: too many errors",
            "phase": "Degraded",
        },
    }


def settings(data: Mapping[str, str], **secrets: str) -> Settings:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in secrets.items()}
    return read_settings({"data": data}, {"data": encoded}, check=check_service)


def parcel(data: Mapping[str, str], to: str, **secrets: str) -> Parcel:
    """What one aborted Rollout sends to `service:recipient`."""
    service, _, recipient = to.partition(":")
    given = settings(data, **secrets)
    assert given.faults == ()
    (due,) = decide(given, rollout(**{f"on-rollout-aborted.{service}": recipient}), [], NOW).due
    return pack(given.services[service], recipient, word(given, due))


@asynccontextmanager
async def receiver(*answers: tuple[int, str]) -> AsyncIterator[tuple[str, list[Obj]]]:
    """An address that notes what it is sent. answers: status and body, the last one for ever."""
    got: list[Obj] = []

    async def take(request: web.Request) -> web.Response:
        status, text = answers[min(len(got), len(answers) - 1)] if answers else (200, "{}")
        body = (await request.read()).decode()
        got.append({"method": request.method, "path": request.path_qs, "headers": dict(request.headers), "body": body})
        return web.Response(status=status, text=text, headers={"Location": "http://127.0.0.1:1/"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", got
    finally:
        await runner.cleanup()


async def sent(sending_of: Parcel) -> None:
    sender = WideSender()
    try:
        await sender.send(sending_of)
    finally:
        await sender.close()


async def test_a_webhook_gets_method_path_headers_login_and_body_as_written() -> None:
    async with receiver() as (url, got):
        data = {
            "service.webhook.hook": f"url: {url}/base/\nheaders:\n- {{name: X-Token, value: $token}}\n"
            "basicAuth: {username: me, password: $word}\n",
            "template.mine": "webhook:\n  hook:\n    method: PUT\n    path: /{{.rollout.metadata.name}}\n"
            '    body: |\n      {"why": "{{.rollout.status.message}}", "to": "{{.recipient}}"}\n',
            "trigger.on-rollout-aborted": "- send: [mine]\n",
        }
        await sent(parcel(data, "hook:x", token="s3cret", word="p:w"))
    (request,) = got
    assert (request["method"], request["path"]) == ("PUT", "/base/shop")
    assert json.loads(request["body"]) == {"why": "RolloutAborted: too many errors", "to": "x"}
    assert request["headers"]["X-Token"] == "s3cret"
    assert base64.b64decode(request["headers"]["Authorization"].removeprefix("Basic ")) == b"me:p:w"
    assert len(request["headers"]["Idempotency-Key"]) == 32


async def test_a_webhook_without_a_template_of_its_own_gets_the_facts_as_json() -> None:
    async with receiver() as (url, got):
        await sent(parcel({"service.webhook.hook": f"url: {url}"}, "hook"))
    body = json.loads(got[0]["body"])
    assert got[0]["method"] == "POST"
    assert got[0]["headers"]["Content-Type"] == "application/json"
    assert (body["trigger"], body["namespace"], body["rollout"]) == ("on-rollout-aborted", "prod", "shop")
    assert body["message"] == "Rollout prod/shop: the update was undone. RolloutAborted: too many errors"


async def test_slack_gets_argos_attachments_and_its_no_is_heard() -> None:
    async with receiver((200, '{"ok": true}'), (200, '{"ok": false, "error": "channel_not_found"}')) as (url, got):
        data = {
            "service.slack": f"token: $slack-token\napiURL: {url}/api\nusername: tide\nicon: ':ocean:'\n",
            "template.mine": "message: m {{.rollout.metadata.name}}\nslack:\n  attachments: |\n"
            '    [{"title": "{{ .rollout.metadata.name}}", "color": "#E01E5A"}]\n',
            "trigger.on-rollout-aborted": "- send: [mine]\n",
        }
        message = parcel(data, "slack:releases", **{"slack-token": "xoxb-1"})
        await sent(message)
        with pytest.raises(SendError) as raised:
            await sent(message)
    assert got[0]["path"] == "/api/chat.postMessage"
    assert got[0]["headers"]["Authorization"] == "Bearer xoxb-1"
    assert json.loads(got[0]["body"]) == {
        "channel": "releases",
        "text": "m shop",
        "attachments": [{"title": "shop", "color": "#E01E5A"}],
        "username": "tide",
        "icon_emoji": ":ocean:",
    }
    assert str(raised.value) == "the receiver said no: channel_not_found"
    assert not raised.value.again


async def test_mattermost_pagerduty_and_opsgenie_get_their_own_forms() -> None:
    async with receiver((202, "{}")) as (url, got):
        data = {
            "service.mattermost": f"apiURL: {url}\ntoken: $t",
            "service.pagerdutyv2": f"apiURL: {url}/v2/enqueue\nserviceKeys: {{shop: $t}}",
            "service.opsgenie": f"apiUrl: {url}\napiKeys: {{red: $t}}",
        }
        for to in ("mattermost:chan", "pagerdutyv2:shop", "opsgenie:red"):
            await sent(parcel(data, to, t="k3y"))
    posts, enqueued, alert = (json.loads(request["body"]) for request in got)
    assert posts["channel_id"] == "chan"
    assert (enqueued["routing_key"], enqueued["payload"]["source"]) == ("k3y", "prod/shop")
    assert got[2]["headers"]["Authorization"] == "GenieKey k3y"
    assert alert["message"].startswith("Rollout prod/shop")


async def test_apprise_reaches_what_has_an_address_of_its_kind() -> None:
    async with receiver() as (url, got):
        data = {"service.apprise.pager": f"url: {url.replace('http', 'json')}/$path"}
        message = parcel(data, "pager", path="in")
        assert isinstance(message, Note)
        await sent(message)
    body = json.loads(got[0]["body"])
    assert got[0]["path"].startswith("/in")
    assert body["message"] == "Rollout prod/shop: the update was undone. RolloutAborted: too many errors"


@pytest.mark.parametrize(
    ("data", "to", "url"),
    [
        (
            {"service.email": "host: mail\nport: 587\nusername: me@x\npassword: $p\nfrom: me@x\n"},
            "email:you@y",
            "mailtos://me%40x:p%2F%40%3A@mail:587?from=me%40x&to=you%40y&smtp=mail&mode=starttls",
        ),
        (
            {"service.email": "host: mail\nfrom: me@x\n"},
            "email:you@y",
            "mailto://mail:25?from=me%40x&to=you%40y&smtp=mail",
        ),
        ({"service.telegram": "token: '1:a'\n"}, "telegram:-100", "tgram://1:a/-100/"),
        ({"service.googlechat": "webhooks: {ops: 'https://g/$p'}\n"}, "googlechat:ops", "https://g/p/@:"),
        ({"service.pushover": "token: tok\n"}, "pushover:who", "pover://who@tok"),
    ],
)
def test_notes_carry_the_address_that_apprise_reads(data: dict[str, str], to: str, url: str) -> None:
    message = parcel(data, to, p="p/@:")
    assert isinstance(message, Note)
    assert message.url == url


async def test_email_arrives_by_smtp() -> None:
    lines: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        data = False
        while line := (await reader.readline()).decode():
            lines.append(line.strip())
            if data:
                data = line != ".\r\n"
                writer.write(b"" if data else b"250 taken\r\n")
            else:
                data = line.upper().startswith("DATA")
                writer.write(b"354 go on\r\n" if data else b"250 ok\r\n")
            if line.upper().startswith("QUIT"):
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        data = {"service.email": f"host: 127.0.0.1\nport: {port}\nfrom: tide@example.com\n"}
        await sent(parcel(data, "email:ops@example.com"))
    assert any("ops@example.com" in line for line in lines if line.upper().startswith("RCPT"))
    assert any("Subject" in line for line in lines)


@pytest.mark.parametrize(
    ("answer", "again"), [((503, "x"), True), ((429, "x"), True), ((404, "x"), False), ((302, "x"), False)]
)
async def test_an_answer_that_is_no_yes_is_an_error_and_only_some_are_tried_again(
    answer: tuple[int, str], again: bool
) -> None:
    async with receiver(answer) as (url, got):
        with pytest.raises(SendError) as raised:
            await sent(parcel({"service.webhook.hook": f"url: {url}"}, "hook"))
    assert raised.value.again is again
    assert len(got) == 1


async def test_a_receiver_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.2)

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(SendError, match="no answer in time"):
            await sent(parcel({"service.webhook.hook": f"url: {url}"}, "hook"))


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("service.github", "appID: 1", "service type 'github' is not supported"),
        ("service.awssqs", "queue: q", "service type 'awssqs' is not supported"),
        ("service.slack", "signingSecret: x\ntoken: t", "signingSecret is not supported for slack"),
        ("service.slack", "username: x", "token is missing"),
        ("service.slack", "token: $gone", "has no key gone"),
        ("service.webhook.hook", "url: ftp://x", "url is no http or https address"),
        ("service.webhook.hook", "- a", "must be a mapping"),
        ("trigger.on-x", "- when: rollout.a ==\n", "[0].when:"),
        ("trigger.on-x", "- when: time.Now() > 1\n", "unknown name time; there is rollout"),
        ("trigger.on-x", "- whn: x\n", "[0].whn is no field of a trigger"),
        ("template.t", "message: '{{ .a | genPrivateKey }}'", "the function genPrivateKey is not supported"),
        ("template.t", "message: '{{ .a '", "message: {{ without its }}"),
        ("subscriptions", "- recipients: [slack:x]\n  selector: 'a ~ b'\n", "[0].selector:"),
        ("template.t", "a: b: c", "is not YAML (line 1"),
    ],
)
def test_what_can_not_be_done_is_refused_by_the_name_of_its_key(key: str, text: str, why: str) -> None:
    (fault,) = settings({key: text}).faults
    assert fault.key == key
    assert why in fault.message


# -- secrets


class Desk:
    """An operator with one Rollout, whose every word is kept."""

    leading = True

    def __init__(self, obj: Obj, given: Settings) -> None:
        self.obj = obj
        self.given = given
        self.events: list[Event] = []
        self.metrics = Metrics()
        self.marks: list[str | None] = []

    def rollouts(self) -> list[Key]:
        return [Key("Rollout", "prod", "shop")]

    def rollout(self, key: Key) -> Obj:
        return self.obj

    def runs(self, obj: Any) -> list[Obj]:
        return []

    async def set_up(self) -> bool:
        return True

    async def settings(self) -> Settings:
        return self.given

    async def mark(self, obj: Any, text: str | None) -> None:
        self.marks.append(text)
        self.obj = {**obj, "metadata": {**obj["metadata"], "annotations": {names.NOTIFIED: text}}}

    def record(self, obj: Any, event: Event) -> None:
        self.events.append(event)

    def sent(self, due: Due, seconds: float, worked: bool) -> None:
        self.metrics.notified(due, seconds, worked)


def secret_everywhere(url: str) -> dict[str, str]:
    """Services of every type with secrets in each place that can hold one, all bound to fail."""
    port = url.rpartition(":")[2]
    return {
        "service.webhook.hook": f"url: {url}/$s?key=$s\nheaders: [{{name: X, value: $s}}]\n"
        f"basicAuth: {{username: {MARK}-in-map, password: $s}}",
        "service.webhook.nowhere": f"url: http://127.0.0.1:1/{MARK}-in-map/$s",
        "service.webhook.broken": f'url: "http://[{MARK}$s/"',
        "service.webhook.line": f'url: {url}\nheaders: [{{name: X, value: "{MARK}\\nY: $s"}}]',
        "service.slack": f"token: $s\napiURL: {url}/$s",
        "service.mattermost": f"token: $s\napiURL: {url}/$s",
        "service.pagerdutyv2": f"apiURL: {url}/$s\nserviceKeys: {{shop: $s}}",
        "service.opsgenie": f"apiUrl: {url}/$s\napiKeys: {{red: $s}}",
        "service.apprise.pager": f"url: json://user:$s@127.0.0.1:{port}/$s",
        "service.apprise.none": "url: nonsense://$s",
        "service.googlechat": f"webhooks: {{ops: '{url}/$s'}}",
        "service.telegram": "token: $s",
        "service.yaml": f"a: b: {MARK}",
        "service.slack.odd": f"token: $s\n{MARK}",
        "trigger.on-mine": f"- when: rollout.metadata.name == '{MARK}' + 1\n  send: [x]",
        "template.bad": f"message: '{{{{ lt \"{MARK}\" 1 }}}}'",
    }


async def test_no_secret_is_in_any_log_event_metric_or_mark(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logs: list[Any] = []
    structlog.configure(
        processors=[lambda _, __, line: logs.append(dict(line)) or (_ for _ in ()).throw(structlog.DropEvent)]
    )
    secret = f"{MARK}-{'k' * 30}"
    try:
        async with receiver((500, f"no: {secret}"), (403, f'{{"error": "{secret}"}}')) as (url, got):
            given = settings(secret_everywhere(url), s=secret)
            wanted = {f"on-rollout-aborted.{name}": "ops;shop;red" for name in given.services}
            desk = Desk(rollout(**wanted, **{"on-mine.hook": "x"}), given)
            courier = Courier(desk, WideSender(), lambda: NOW)
            running = asyncio.create_task(courier.run())
            courier.look_at_everything()
            async with asyncio.timeout(60):
                while sum(len(counts) for counts in desk.metrics._messages.values()) < 1 or len(desk.events) < 20:
                    await asyncio.sleep(0.1)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    finally:
        structlog.reset_defaults()
    assert any(secret in json.dumps(request) for request in got), "the receiver got it, so it was there to be shown"
    families = list(desk.metrics._families(Nothing()))  # type: ignore[arg-type]
    metrics = "".join(line for family, lines in families if isinstance(family, Family) for line in lines)
    assert "notification_send_error" in metrics
    said = [json.dumps(logs, default=str), caplog.text, repr(desk.events), repr(desk.marks), metrics, repr(given)]
    assert [MARK in text for text in said] == [False] * len(said)


class Nothing:
    """An engine without objects."""

    leading = True
    standing_aside = ""

    def objects(self, kind: str) -> list[Obj]:
        return []

    def queues(self) -> list[tuple[str, int, list[float]]]:
        return []


def test_the_example_and_the_documentation_are_understood_and_worded() -> None:
    example = list(yaml.safe_load_all((ROOT / "examples" / "notifications.yaml").read_text()))
    documented = [
        obj
        for block in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "notifications.md").read_text(), re.DOTALL)
        for obj in yaml.safe_load_all(block)
    ]
    secrets = {key: "x" for obj in (*example, *documented) for key in obj.get("stringData", {})}
    config_maps = [obj["data"] for obj in (*example, *documented) if "data" in obj]
    assert len(config_maps) == 3
    for data in config_maps:
        given = settings(data, **secrets)
        assert given.faults == ()
        for trigger, conditions in given.triggers.items():
            for condition in conditions:
                for service in given.services:
                    due = Due("k", trigger, "R", "Normal", service, "to", condition.send, rollout())
                    assert pack(given.services[service], "to", word(given, due))
