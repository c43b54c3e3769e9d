"""A message to a real receiver, exactly one although the operator is killed on the way; and figures that outlive it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from lab.operator import NAMESPACE, Operator
from tests.scenarios.chronicle import Obj
from tests.scenarios.story import Story, by_host, rollout, split_by_host, wait, weigh
from tests.serving import serving

pytestmark = pytest.mark.lab

TOKEN = "pl4nted-in-the-secret"
FIGURES = ("tidegate_releases_total", "tidegate_dora_", "tidegate_release_duration_seconds")


class Post:
    """A webhook's receiver on the lab. While `open` is false it refuses."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.open = True
        self.tries = 0
        self.taken: list[tuple[str, str, Obj]] = []

    def of(self, namespace: str) -> list[str]:
        return [body["trigger"] for _, _, body in self.taken if body["namespace"] == namespace]


@contextmanager
def receiver() -> Iterator[Post]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            post.tries += 1
            if post.open:
                post.taken.append((self.headers["X-Token"], self.headers["Idempotency-Key"], body))
            self.send_response(200 if post.open else 503)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with serving(Handler) as port:
        post = Post(port)
        yield post


@contextmanager
def settings(story: Story, post: Post) -> Iterator[None]:
    name = "argo-rollouts-notification"
    service = f"url: http://127.0.0.1:{post.port}/\nheaders: [{{name: X-Token, value: $token}}]\n"
    objects: list[Obj] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{name}-configmap", "namespace": NAMESPACE},
            "data": {"service.webhook.hook": service, "service.github": f"appID: {TOKEN}"},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{name}-secret", "namespace": NAMESPACE},
            "data": {"token": base64.b64encode(TOKEN.encode()).decode()},
        },
    ]
    story.apply(*objects)
    yield
    for obj in objects:
        story.lab.client.delete(obj["kind"], obj["metadata"]["name"], NAMESPACE)


def figures(tidegate: Operator, namespace: str) -> list[str]:
    lines = tidegate.metrics().splitlines()
    return sorted(line for line in lines if line.startswith(FIGURES) and f'namespace="{namespace}"' in line)


def marks(story: Story) -> str:
    told: str = story.get("Rollout")["metadata"]["annotations"].get("notified.notifications.argoproj.io", "")
    return told


def test_one_message_of_an_undo_although_the_operator_is_killed_and_figures_that_stay(
    alone: Story, tidegate: Operator
) -> None:
    subscribe = "notifications.argoproj.io/subscribe"
    annotations = {
        f"{subscribe}.on-rollout-aborted.hook": "",
        f"{subscribe}.on-rollout-completed.hook": "",
        f"{subscribe}.on-rollout-paused.github": "x",
        "tidegate.dev/commit-time": "2026-01-01T00:00:00Z",
    }
    strategy = by_host(weigh(50), wait())
    with receiver() as post, settings(alone, post):
        tidegate.kill()  # Its settings are known for half a minute.
        tidegate.start()
        alone.services("app-stable", "app-canary")
        alone.route(split_by_host())
        alone.apply(rollout("v1", strategy, annotations=annotations))
        alone.until_phase("Healthy")
        alone.until(lambda: post.of(alone.namespace) == ["on-rollout-completed"], "the message of v1")

        post.open = False
        alone.apply(rollout("v2", strategy, annotations=annotations))
        alone.until_phase("Paused")
        alone.ask(abort=True)
        alone.until_weight(0)
        tries = post.tries
        alone.until(lambda: post.tries > tries, "a try")
        tidegate.kill()
        post.open = True
        tidegate.start()
        alone.until(lambda: post.of(alone.namespace)[1:], "the message of the undo")
        alone.until(lambda: ":on-rollout-aborted:" in marks(alone), "the mark")
        before = figures(tidegate, alone.namespace)
        tidegate.kill()
        tidegate.start()
        alone.holds(lambda: len(post.of(alone.namespace)) == 2, "no message is told again", 3)

    assert post.of(alone.namespace) == ["on-rollout-completed", "on-rollout-aborted"]
    assert {token for token, _, _ in post.taken} == {TOKEN}
    assert figures(tidegate, alone.namespace) == before
    assert len([line for line in before if line.startswith("tidegate_releases_total")]) == 2
    refused = alone.until_event("NotificationNotSent", "service type 'github' is not supported", "Warning")
    shown = json.dumps([alone.rollout(), alone.events(), refused]) + tidegate.metrics() + tidegate.log.read_text()
    assert TOKEN not in shown
