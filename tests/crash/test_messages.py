"""Messages and death: what is told is told once, whoever was killed when, and no receiver holds a release up."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.clocks import loop_clock
from tests.fakes.transport import CrashPoint
from tidegate.api import names
from tidegate.core.times import parse_time
from tidegate.engine.engine import Engine
from tidegate.observe.metrics import Metrics
from tidegate.observe.notify.courier import Courier
from tidegate.observe.notify.sending import SendError
from tidegate.observe.notify.services import Parcel, Request
from tidegate.observe.notify.settings import CONFIG_MAP, SECRET

from . import stories
from .theatre import Obj, Theatre

pytestmark = pytest.mark.looptime

TRIGGERS = ("on-rollout-updated", "on-rollout-step-completed", "on-rollout-aborted", "on-analysis-run-failed")


class Receiver:
    """Stands for every webhook: takes messages, refuses the first few, or lets each wait."""

    def __init__(self, *, refuses: int = 0, takes: float = 0.05, again: bool = True) -> None:
        self.taken: list[tuple[str, str]] = []
        self.tries = 0
        self.refuses = refuses
        self._takes = takes
        self._again = again

    async def send(self, parcel: Parcel) -> None:
        assert isinstance(parcel, Request)
        self.tries += 1
        await asyncio.sleep(self._takes)
        if self.tries <= self.refuses:
            raise SendError("the receiver answered with HTTP 503", again=self._again)
        body = json.loads(parcel.body)
        self.taken.append((body["trigger"], parcel.headers["Idempotency-Key"]))

    async def close(self) -> None:
        """There is nothing to close."""

    @property
    def triggers(self) -> Counter[str]:
        return Counter(trigger for trigger, _ in self.taken)


def subscribed(make: Callable[[], Theatre], *triggers: str, data: dict[str, str] | None = None) -> Theatre:
    theatre = make()
    annotations = {f"notifications.argoproj.io/subscribe.{trigger}.hook": "" for trigger in triggers or TRIGGERS}
    theatre.rollout["metadata"]["annotations"] = annotations
    service = {"service.webhook.hook": "url: http://receiver/\nheaders: [{name: X-Token, value: $token}]\n"}
    theatre.cluster.create(config("ConfigMap", CONFIG_MAP, {**service, **(data or {})}))
    theatre.cluster.create(config("Secret", SECRET, {"token": base64.b64encode(b"planted").decode()}))
    return theatre


def config(kind: str, name: str, data: dict[str, str]) -> Obj:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, "data": data}


def with_courier(receiver: Receiver, metrics: Metrics) -> Callable[[Engine], Any]:
    async def run(engine: Engine) -> None:
        courier = Courier(engine.desk(metrics.notified), receiver, loop_clock)
        engine.listen(courier)
        await courier.run()

    return run


async def play(
    theatre: Theatre, receiver: Receiver, until: Callable[[], bool], *, crash: tuple[int, CrashPoint] | None = None
) -> Any:
    return await theatre.play(until, crash=crash, beside=with_courier(receiver, Metrics()))


def quiet(theatre: Theatre, phase: str, seconds: float = 20.0) -> Callable[[], bool]:
    since: float | None = None

    def reached() -> bool:
        nonlocal since
        now = asyncio.get_running_loop().time()
        since = (since if since is not None else now) if theatre.is_at(phase) else None
        return since is not None and now - since > seconds

    return reached


EXPECTED = Counter({"on-rollout-updated": 2, "on-rollout-aborted": 1, "on-analysis-run-failed": 1})


async def tell(crash: tuple[int, CrashPoint] | None) -> tuple[Receiver, Counter[str], int]:
    """An update that is undone, by an operator that may die on the way; what should be told, and the writes."""
    receiver = Receiver()
    async with subscribed(lambda: stories.canary(background="bad")) as theatre:
        theatre.deploy()
        await play(theatre, receiver, quiet(theatre, "Healthy", 2))
        theatre.set_image("app:v2")
        first = await play(theatre, receiver, quiet(theatre, "Degraded"), crash=crash)
        if first.killed.is_set() and crash:
            await asyncio.sleep(1)
            await play(theatre, receiver, quiet(theatre, "Degraded"))
        assert theatre.violations == []
        # How many steps were taken before the analysis failed hangs on when the operator was away.
        steps = len(theatre.status["releases"]["steps"])
        return receiver, EXPECTED + Counter({"on-rollout-step-completed": steps}), first.writes


async def test_killed_at_any_write_every_message_arrives_and_none_is_another_one() -> None:
    undisturbed, expected, writes = await tell(None)
    assert undisturbed.triggers == expected
    points: tuple[CrashPoint, ...] = ("before", "unseen", "after")
    for number in range(1, writes + 1):
        receiver, expected, _ = await tell((number, points[number % 3]))

        assert Counter(trigger for trigger, _ in set(receiver.taken)) == expected, f"killed at write {number}"
        # Only what was sent and not yet written down may come again, and then under the same id.
        again = receiver.triggers - expected
        assert again.total() <= 3, f"killed at write {number}: {again}"


async def test_a_restart_in_peace_tells_nothing_again() -> None:
    receiver = Receiver()
    async with subscribed(stories.canary, "on-rollout-completed") as theatre:
        theatre.deploy()
        await play(theatre, receiver, quiet(theatre, "Healthy"))
        await play(theatre, receiver, quiet(theatre, "Healthy"))
        assert receiver.triggers == {"on-rollout-completed": 1}


async def test_a_dead_receiver_changes_nothing_for_the_release_and_gets_its_messages_later() -> None:
    ends, times = [], []
    for refuses in (0, 30):
        receiver = Receiver()
        async with subscribed(stories.canary, "on-rollout-completed", "on-rollout-step-completed") as theatre:
            theatre.deploy()
            await play(theatre, receiver, quiet(theatre, "Healthy", 5))
            receiver.refuses, receiver.tries = refuses, 0
            theatre.set_image("app:v2")
            await play(theatre, receiver, quiet(theatre, "Healthy", 400))
            duration = theatre.status["duration"]
            times.append(parse_time(duration["finishedAt"]) - parse_time(duration["rolloutStartedAt"]))
            ends.append(receiver.triggers)
    assert abs((times[0] - times[1]).total_seconds()) <= 1
    assert ends[0] == ends[1] == {"on-rollout-completed": 2, "on-rollout-step-completed": 5}


async def test_a_slow_receiver_changes_nothing_for_the_release() -> None:
    slow = Receiver(takes=9.0)
    async with subscribed(stories.canary, "on-rollout-step-completed", "on-traffic-weight-updated") as theatre:
        theatre.deploy()
        await play(theatre, slow, quiet(theatre, "Healthy", 2))
        theatre.set_image("app:v2")
        begun = asyncio.get_running_loop().time()
        await play(theatre, slow, quiet(theatre, "Healthy", 1))
        assert asyncio.get_running_loop().time() - begun < 30


async def test_a_receiver_that_says_no_is_asked_once_and_the_rollout_says_so() -> None:
    receiver = Receiver(refuses=99, again=False)
    async with subscribed(stories.canary, "on-rollout-completed") as theatre:
        theatre.deploy()
        await play(theatre, receiver, quiet(theatre, "Healthy", 90))
        assert receiver.tries == 1
        told = [e["message"] for e in theatre.cluster.peek_all("Event") if e["reason"] == "NotificationNotSent"]
        assert told == [
            "Message not sent: on-rollout-completed to hook: the receiver answered with HTTP 503; it is not tried again"
        ]


async def test_a_condition_of_the_users_own_is_told_once_while_it_holds_and_again_when_it_holds_anew() -> None:
    data = {
        "trigger.on-big": "- when: rollout.spec.replicas > 7\n  send: [rollout-completed]\n",
        "trigger.on-image": "- when: 'true'\n  oncePer: rollout.spec.template.spec.containers[0].image\n"
        "  send: [rollout-completed]\n",
    }
    receiver = Receiver()
    async with subscribed(stories.rolling, "on-big", "on-image", data=data) as theatre:
        theatre.deploy()
        await play(theatre, receiver, quiet(theatre, "Healthy", 5))
        assert receiver.triggers == {"on-image": 1}
        for replicas in (9, 3, 8):
            theatre.cluster.patch("Rollout", "app", {"spec": {"replicas": replicas}})
            await play(theatre, receiver, quiet(theatre, "Healthy", 5))
        assert receiver.triggers == {"on-image": 1, "on-big": 2}


async def test_what_is_told_costs_one_write_and_no_key_is_reconciled_for_it() -> None:
    receiver = Receiver()
    async with subscribed(stories.canary, "on-rollout-completed") as theatre:
        theatre.deploy()
        await play(theatre, receiver, quiet(theatre, "Healthy"))
        told = json.loads(theatre.cluster.peek("Rollout", "app")["metadata"]["annotations"][names.NOTIFIED])
        assert len(told) == 1
        (remembered,) = told
        assert remembered.endswith(":on-rollout-completed:[0].2jmj7l5rSw0yVb_vlWAYkK_YBwk:hook:")
