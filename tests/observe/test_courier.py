"""Who is told what and when: subscriptions, the leader alone, and receivers that are slow, away or too many."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.clocks import START, loop_clock
from tidegate.api import names
from tidegate.core.plan import Event, Key
from tidegate.core.times import format_time
from tidegate.observe.notify import courier as module
from tidegate.observe.notify import sending
from tidegate.observe.notify.courier import Courier
from tidegate.observe.notify.deciding import Due, decide, decide_event, remember, remembered
from tidegate.observe.notify.occasions import LASTING, trigger_of
from tidegate.observe.notify.sending import SendError
from tidegate.observe.notify.services import Parcel, Request, check_service
from tidegate.observe.notify.settings import Settings, read_settings
from tidegate.observe.notify.threshold import DeskError, Threshold

pytestmark = pytest.mark.looptime

Obj = dict[str, Any]
HOOKS = {f"service.webhook.{name}": f"url: http://{name}/" for name in ("a", "b")}
KEY = Key("Rollout", "prod", "shop")


def settings(**data: str) -> Settings:
    return read_settings({"data": {**HOOKS, **data}}, None, check=check_service)


def rollout(annotations: dict[str, str], labels: dict[str, str] | None = None, *, minutes_ago: float = 1) -> Obj:
    aborted = format_time(START - timedelta(minutes=minutes_ago))
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Rollout",
        "metadata": {
            "name": "shop",
            "namespace": "prod",
            "uid": "u",
            "generation": 1,
            "annotations": annotations,
            "labels": labels or {},
        },
        "spec": {"replicas": 3},
        "status": {"currentPodHash": "h", "abort": True, "abortedAt": aborted, "message": "no"},
    }


def subscribed(*services: str, trigger: str = "on-rollout-aborted") -> dict[str, str]:
    return {f"notifications.argoproj.io/subscribe.{trigger}.{service}": "" for service in services}


# -- subscriptions

ABORTED = "on-rollout-aborted"


@pytest.mark.parametrize(
    ("data", "annotations", "labels", "told"),
    [
        ({}, {"subscribe.on-rollout-aborted.a": "x; y"}, {}, ["a:x", "a:y"]),
        ({}, {"subscribe.on-rollout-aborted.a": ""}, {}, ["a:"]),
        ({}, {"subscribe.on-rollout-completed.a": ""}, {}, []),
        ({"defaultTriggers": f"[{ABORTED}]"}, {"subscribe.a": "x"}, {}, ["a:x"]),
        ({"defaultTriggers.b": f"[{ABORTED}]"}, {"subscribe.a": "x", "subscribe.b": "y"}, {}, ["b:y"]),
        (
            {},
            {"subscriptions": f"- trigger: [{ABORTED}]\n  destinations: [{{service: b, recipients: [x, y]}}]"},
            {},
            ["b:x", "b:y"],
        ),
        ({"subscriptions": f"- {{recipients: ['a:x'], triggers: [{ABORTED}]}}"}, {}, {}, ["a:x"]),
        (
            {"subscriptions": f"- {{recipients: ['a:x'], triggers: [{ABORTED}], selector: 'team in (red),!old'}}"},
            {},
            {"team": "red"},
            ["a:x"],
        ),
        (
            {"subscriptions": f"- {{recipients: ['a:x'], triggers: [{ABORTED}], selector: 'team!=red'}}"},
            {},
            {"team": "red"},
            [],
        ),
    ],
)
def test_a_subscription_in_each_of_its_forms(
    data: dict[str, str], annotations: dict[str, str], labels: dict[str, str], told: list[str]
) -> None:
    given = settings(**data)
    assert given.faults == ()
    obj = rollout({f"notifications.argoproj.io/{name}": text for name, text in annotations.items()}, labels)
    assert [f"{due.service}:{due.recipient}" for due in decide(given, obj, [], START).due] == told


def test_what_is_older_than_an_hour_is_no_news() -> None:
    given, annotations = settings(), subscribed("a")
    assert decide(given, rollout(annotations, minutes_ago=59), [], START).due
    assert not decide(given, rollout(annotations, minutes_ago=61), [], START).due


def test_a_subscription_that_can_not_be_served_is_said_to_be_so() -> None:
    given = settings(**{"service.github": "appID: 1"})
    obj = rollout({**subscribed("github", "nobody"), **subscribed("a", trigger="on-mars")})
    told = " ".join(decide(given, obj, [], START).troubles)
    assert "service type 'github' is not supported" in told
    assert "service 'nobody' is not in ConfigMap" in told
    assert "trigger on-mars is not in ConfigMap" in told


def test_a_run_in_each_phase_has_its_trigger() -> None:
    given, phases = settings(), ("Running", "Failed", "Error")
    annotations = {
        k: v for phase in phases for k, v in subscribed("a", trigger=f"on-analysis-run-{phase.lower()}").items()
    }
    runs = [
        {"metadata": {"name": phase, "creationTimestamp": format_time(START)}, "status": {"phase": phase}}
        for phase in ("Pending", *phases)
    ]
    assert Counter(due.reason for due in decide(given, rollout(annotations), runs, START).due) == {
        f"AnalysisRun{phase}": 1 for phase in phases
    }


def test_reasons_have_argos_triggers() -> None:
    assert trigger_of("ScalingReplicaSet") == "on-scaling-replica-set"
    assert {trigger_of(reason) for reason in LASTING} >= {"on-rollout-step-completed", "on-analysis-run-error"}


def test_a_rollout_remembers_a_hundred_messages_the_newest_and_argos_own() -> None:
    obj = rollout({names.NOTIFIED: '{"by-argo": 99999999999, "odd": "x"}'})
    for number in range(120):
        text = remember(obj, [f"k{number}"], [], START + timedelta(seconds=number))
        obj = rollout({names.NOTIFIED: text or ""})
    known = remembered(obj)
    assert len(known) == 100
    assert {"by-argo", "k119"} <= known.keys()
    assert remember(rollout({names.NOTIFIED: '{"k": 1}'}), [], ["k"], START) is None
    assert remembered(rollout({names.NOTIFIED: "no json"})) == {}


# -- the courier


class Desk:
    def __init__(self, *objects: Obj, **data: str) -> None:
        self.leading = True
        self.objects = {Key("Rollout", "prod", o["metadata"]["name"]): o for o in objects}
        self.given: Settings | DeskError = settings(**data)
        self.events: list[str] = []
        self.tries: list[tuple[str, bool]] = []
        self.marks = 0
        self.broken = 0
        self.looks = 0

    def rollouts(self) -> list[Key]:
        return list(self.objects)

    def rollout(self, key: Key) -> Obj | None:
        return self.objects.get(key)

    def runs(self, obj: Any) -> list[Obj]:
        return []

    async def set_up(self) -> bool:
        self.looks += 1
        return bool(await self.settings())

    async def settings(self) -> Settings:
        if isinstance(self.given, DeskError):
            raise self.given
        return self.given

    async def mark(self, obj: Any, text: str | None) -> None:
        self.marks += 1
        if self.marks <= self.broken:
            raise DeskError("the server is away")
        metadata = {**obj["metadata"], "annotations": {**obj["metadata"]["annotations"], names.NOTIFIED: text}}
        self.objects[Key("Rollout", "prod", metadata["name"])] = {**obj, "metadata": metadata}

    def record(self, obj: Any, event: Event) -> None:
        self.events.append(event.message)

    def sent(self, due: Due, seconds: float, worked: bool) -> None:
        self.tries.append((due.service, worked))


class Sender:
    """takes: seconds that a host takes; refuses: what a host raises."""

    def __init__(self, takes: dict[str, float] | None = None, refuses: dict[str, SendError] | None = None) -> None:
        self.takes = takes or {}
        self.refuses = refuses or {}
        self.got: list[tuple[str, float]] = []

    async def send(self, parcel: Parcel) -> None:
        assert isinstance(parcel, Request)
        host = parcel.url.split("/")[2]
        await asyncio.sleep(self.takes.get(host, 0.01))
        if host in self.refuses:
            raise self.refuses[host]
        self.got.append((host, asyncio.get_running_loop().time()))

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def running(desk: Desk, sender: Sender) -> AsyncIterator[Courier]:
    courier = Courier(desk, sender, loop_clock)
    task = asyncio.create_task(courier.run())
    courier.look_at_everything()
    yield courier
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_only_the_leader_sends() -> None:
    desk, sender = Desk(rollout(subscribed("a"))), Sender()
    desk.leading = False
    async with running(desk, sender) as courier:
        await asyncio.sleep(5)
        assert sender.got == []
        desk.leading = True
        courier.look_at_everything()
        await asyncio.sleep(5)
        assert len(sender.got) == desk.marks == 1


async def test_who_loses_the_lease_stops_trying() -> None:
    desk, sender = Desk(rollout(subscribed("a"))), Sender(refuses={"a": SendError("away", again=True)})
    async with running(desk, sender):
        await asyncio.sleep(10)
        desk.leading = False
        tries = len(desk.tries)
        assert tries > 2
        await asyncio.sleep(600)
        assert len(desk.tries) <= tries


async def test_a_slow_service_holds_up_itself_alone() -> None:
    objects = [rollout(subscribed("a", "b")) for _ in range(12)]
    for number, obj in enumerate(objects):
        obj["metadata"] |= {"name": f"shop-{number}", "uid": f"u{number}"}
    desk, sender = Desk(*objects), Sender(takes={"a": 9.0})
    async with running(desk, sender):
        await asyncio.sleep(60)
    assert Counter(host for host, _ in sender.got) == {"a": 12, "b": 12}
    assert max(at for host, at in sender.got if host == "b") < 1
    assert max(at for host, at in sender.got if host == "a") == pytest.approx(27, abs=1), "four at a time"


async def test_what_does_not_fit_is_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    desk, sender = Desk(rollout({"notifications.argoproj.io/subscribe.on-rollout-aborted.a": "1;2;3;4;5"})), Sender()
    async with running(desk, sender):
        await asyncio.sleep(2)
        assert Counter(desk.tries) == {("a", True): 3, ("a", False): 2}


async def test_a_mark_that_can_not_be_written_is_tried_again_and_nothing_is_told_twice() -> None:
    desk, sender = Desk(rollout(subscribed("a"))), Sender()
    desk.broken = 3
    async with running(desk, sender) as courier:
        for _ in range(20):
            courier.changed(KEY)
            await asyncio.sleep(1)
    assert len(sender.got) == 1
    assert names.NOTIFIED in desk.objects[KEY]["metadata"]["annotations"]


async def test_settings_that_can_not_be_read_are_waited_for() -> None:
    desk, sender = Desk(rollout(subscribed("a"))), Sender()
    good, desk.given = desk.given, DeskError("away")
    async with running(desk, sender):
        await asyncio.sleep(12)
        desk.given = good
        await asyncio.sleep(6)
        assert len(sender.got) == 1


async def test_what_was_given_up_is_sent_once_the_settings_have_changed() -> None:
    desk, sender = Desk(rollout(subscribed("a"))), Sender(refuses={"a": SendError("HTTP 404", again=False)})
    async with running(desk, sender) as courier:
        await asyncio.sleep(5)
        courier.changed(KEY)
        await asyncio.sleep(40)
        assert len(desk.tries) == 1
        sender.refuses, desk.given = {}, settings()
        courier.changed(KEY)
        await asyncio.sleep(5)
        assert len(sender.got) == 1
    assert desk.events == ["Message not sent: on-rollout-aborted to a: HTTP 404; it is not tried again"]


async def test_an_event_without_a_trace_is_told_once_from_the_event() -> None:
    desk, sender = Desk(rollout(subscribed("a", trigger="on-scaling-replica-set"))), Sender()
    async with running(desk, sender) as courier:
        courier.heard(KEY, Event("ScalingReplicaSet", "up"))
        courier.heard(KEY, Event("RolloutAborted", "told from the state"))
        await asyncio.sleep(5)
    assert (len(sender.got), desk.marks) == (1, 0)


TIMED = (
    Event("RolloutUpdated", "revision 2"),
    Event("RolloutStepCompleted", "1 of 2", step=0),
    Event("RolloutStepCompleted", "2 of 2", step=1),
    Event("RolloutCompleted", "all of it"),
)


def test_given_definitions_that_drop_the_times_of_an_update_then_events_tell_of_it() -> None:
    """Argo Rollouts' definitions do, and an update that was taken over in its middle has none either."""
    given, annotations = settings(), {}
    for event in TIMED:
        annotations |= subscribed("a", trigger=trigger_of(event.reason))
    obj = rollout(annotations)
    obj["status"] = {"currentPodHash": "h", "stableRS": "h", "currentStepIndex": 2, "observedGeneration": "1"}
    assert decide(given, obj, [], START).due == ()
    made = [due for event in TIMED for due in decide_event(given, obj, event)]
    assert [due.reason for due in made] == [event.reason for event in TIMED]
    assert [due.rollout["status"]["currentStepIndex"] for due in made] == [2, 0, 1, 2]
    assert {due.key for due in made} == {""}, "nothing to remember them by"


def test_given_the_times_of_an_update_then_no_event_tells_of_it_again() -> None:
    given = settings()
    then = format_time(START - timedelta(minutes=1))
    done = {"rolloutStartedAt": then, "finishedAt": then, "completionStatus": "Promoted"}
    obj = rollout(
        {names.REVISION: "2", **{k: v for e in TIMED for k, v in subscribed("a", trigger=trigger_of(e.reason)).items()}}
    )
    obj["status"] = {"currentPodHash": "h", "stableRS": "h", "observedGeneration": "1", "duration": done}
    obj["status"]["releases"] = {"steps": [then, then]}
    assert Counter(due.reason for due in decide(given, obj, [], START).due) == Counter(e.reason for e in TIMED)
    assert [due for event in TIMED for due in decide_event(given, obj, event)] == []


def test_a_condition_of_ones_own_holds_for_what_is_told_from_the_event() -> None:
    mine = "- {send: [x], when: rollout.status.currentStepIndex == 1}"
    given = settings(**{"trigger.on-rollout-step-completed": mine})
    obj = rollout(subscribed("a", trigger="on-rollout-step-completed"))
    made = [due for event in TIMED for due in decide_event(given, obj, event)]
    assert [due.rollout["status"]["currentStepIndex"] for due in made] == [1]


@pytest.mark.parametrize("spoil", [lambda obj: obj["status"].update(abortedAt=5), lambda obj: obj.update(status=[])])
async def test_one_spoilt_rollout_keeps_no_other_waiting(spoil: Callable[[Obj], None]) -> None:
    bad, good = rollout(subscribed("a")), rollout(subscribed("b"))
    bad["metadata"] |= {"name": "bad", "uid": "bad"}
    spoil(bad)
    desk, sender = Desk(bad, good), Sender()
    async with running(desk, sender):
        await asyncio.sleep(5)
    assert [host for host, _ in sender.got] == ["b"]


# -- before there are settings


async def test_without_a_config_map_one_look_in_half_a_minute_is_all_that_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk, sender = Desk(rollout(subscribed("a"))), Sender()
    monkeypatch.setattr(sending, "WideSender", lambda: sender)
    there = False

    async def set_up() -> bool:
        desk.looks += 1
        return there

    desk.set_up = set_up  # type: ignore[method-assign]
    threshold = Threshold(desk, loop_clock)
    running = asyncio.create_task(threshold.run())
    threshold.look_at_everything()
    for _ in range(100):
        threshold.changed(KEY)
        await asyncio.sleep(1)
    assert desk.looks in (3, 4)
    there = True
    await asyncio.sleep(31)
    threshold.changed(KEY)
    await asyncio.sleep(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(sender.got) == 1


async def test_an_api_server_that_is_away_is_asked_again_for_the_config_map() -> None:
    desk = Desk(rollout({}))
    desk.given = DeskError("away")
    threshold = Threshold(desk, loop_clock)
    running = asyncio.create_task(threshold.run())
    threshold.look_at_everything()
    await asyncio.sleep(22)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert desk.looks == 5


def test_an_operator_without_notifications_has_not_loaded_them() -> None:
    code = "import sys, tidegate.shell.operator; print([m for m in sys.modules if 'notify' in m or 'opentel' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = "tidegate.observe.notify"
    assert done.stdout.strip() == str([here, f"{here}.desk", f"{here}.threshold"])
