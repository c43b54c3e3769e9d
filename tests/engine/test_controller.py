"""What a controller does with each way in which a reconcile can end, and with leadership that comes and goes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from tidegate.cluster.errors import Conflict, NotLeading, TransportError
from tidegate.engine.controller import DONE, Controller, Outcome, Result, TerminalError
from tidegate.engine.queue import WorkQueue

pytestmark = pytest.mark.looptime

Step = Outcome | BaseException | Callable[[], Awaitable[Outcome]]


def now() -> float:
    return asyncio.get_running_loop().time()


def conflict() -> Conflict:
    return Conflict(409, "Conflict", "the object has been modified")


class Script:
    """A reconcile that plays a list of endings for each key, then is done; it notes when it was called."""

    def __init__(self, **steps: list[Step]) -> None:
        self.steps = steps
        self.calls: dict[str, list[float]] = defaultdict(list)
        self.started = now()

    async def __call__(self, key: str) -> Outcome:
        self.calls[key].append(round(now() - self.started, 6))
        steps = self.steps.get(key)
        step = steps.pop(0) if steps else DONE
        if isinstance(step, BaseException):
            raise step
        return step if isinstance(step, Outcome) else await step()


@asynccontextmanager
async def running(
    script: Callable[[str], Awaitable[Outcome]], *keys: str, **options: Any
) -> AsyncIterator[Controller[str]]:
    controller = Controller[str]("rollout", WorkQueue(), script, **options)
    for key in keys:
        controller.queue.add(key)
    await controller.start()
    try:
        yield controller
    finally:
        await controller.stop()


def hang(seconds: float) -> Callable[[], Awaitable[Outcome]]:
    async def step() -> Outcome:
        await asyncio.sleep(seconds)
        return DONE

    return step


@pytest.mark.parametrize(
    ("steps", "calls", "results"),
    [
        pytest.param([DONE], [0], ["done"], id="done is forgotten"),
        pytest.param(
            [Outcome(7.5), Outcome(0.25), DONE],
            [0, 7.5, 7.75],
            ["requeue", "requeue", "done"],
            id="requeue-after is exact",
        ),
        pytest.param([Outcome(0), DONE], [0, 0], ["requeue", "done"], id="at once"),
        pytest.param(
            [ValueError("a")] * 4 + [DONE],
            [0, 0.005, 0.015, 0.035, 0.075],
            ["error"] * 4 + ["done"],
            id="errors back off",
        ),
        pytest.param(
            [ValueError("a"), ValueError("a"), Outcome(1), ValueError("a"), DONE],
            [0, 0.005, 0.015, 1.015, 1.02],
            ["error", "error", "requeue", "error", "done"],
            id="requeue-after resets the backoff",
        ),
        pytest.param([TerminalError("bad")], [0], ["terminal"], id="terminal errors are not retried"),
        pytest.param(
            [conflict(), conflict(), DONE],
            [0, 0.005, 0.015],
            ["conflict", "conflict", "done"],
            id="conflicts are retried",
        ),
        pytest.param([NotLeading(), DONE], [0, 0.005], ["not_leading", "done"], id="a fenced write is retried"),
        pytest.param([hang(1000), DONE], [0, 120.005], ["error", "done"], id="what hangs is given up and retried"),
        pytest.param(
            [asyncio.CancelledError(), DONE], [0, 0.005], ["error", "done"], id="a stray cancellation is an error"
        ),
    ],
)
async def test_given_an_ending_when_reconciled_then_the_contract_holds(
    steps: list[Step], calls: list[float], results: list[Result]
) -> None:
    script = Script(a=list(steps))
    seen: list[Result] = []
    async with running(script, "a", on_result=lambda _key, result, _seconds: seen.append(result)) as controller:
        await asyncio.sleep(500)
        assert script.calls["a"] == calls
        assert seen == results
        assert (controller.queue.depth, controller.queue.delayed, controller.queue.retrying) == (0, 0, 0)


async def test_given_keys_under_way_then_it_is_told_for_how_long_and_what_has_ended_is_not() -> None:
    script = Script(quick=[DONE], failed=[ValueError("no")], slow=[hang(50)], cut_off=[hang(10_000)])
    async with running(script, "quick", "failed", "slow", "cut_off", workers=4) as controller:
        await asyncio.sleep(20)
        assert sorted(controller.under_way()) == [20, 20]
        await asyncio.sleep(40)
        assert controller.under_way() == [60]
        await controller.stop(within=1)
        assert controller.under_way() == []


async def test_given_a_terminal_error_when_the_object_changes_then_it_is_looked_at_again() -> None:
    script = Script(a=[TerminalError("bad"), DONE])
    async with running(script, "a") as controller:
        await asyncio.sleep(50)
        controller.queue.add("a")
        await asyncio.sleep(1)
    assert script.calls["a"] == [0, 50]


async def test_given_a_key_that_breaks_hooks_and_all_when_others_wait_then_they_are_not_held_up() -> None:
    def broken_hook(key: str, error: Exception) -> None:
        raise RuntimeError(f"hook broken for {key}")

    script = Script(bad=[ValueError("no")] * 1000, hung=[hang(10_000)] * 1000)
    async with running(script, "bad", "hung", "good", workers=2, on_error=broken_hook) as controller:
        for _ in range(100):
            await asyncio.sleep(1)
            controller.queue.add("good")
        await asyncio.sleep(1)
    assert len(script.calls["good"]) == 101
    assert len(script.calls["bad"]) > 10


async def test_given_one_key_added_all_the_time_when_worked_on_then_never_twice_at_once() -> None:
    at_once, most = 0, 0

    async def reconcile(key: str) -> Outcome:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.5)
        at_once -= 1
        return DONE

    async with running(reconcile, "a", workers=4) as controller:
        for _ in range(100):
            controller.queue.add("a")
            await asyncio.sleep(0.07)
    assert most == 1


async def test_given_many_keys_when_worked_on_then_as_many_at_once_as_there_are_workers() -> None:
    script = Script(**{key: list[Step]([hang(10)]) for key in "abcdefg"})
    async with running(script, *"abcdefg", workers=3):
        await asyncio.sleep(100)
    assert sorted(calls[0] for calls in script.calls.values()) == [0, 0, 0, 10, 10, 10, 20]


async def test_given_a_standby_when_it_becomes_leader_then_it_works_on_all_that_gathered() -> None:
    script = Script()
    controller = Controller[str]("rollout", WorkQueue(), script)
    for _ in range(3):
        controller.queue.add("a")
        controller.queue.add_after("b", 5)
        await asyncio.sleep(10)
    assert not script.calls
    assert not controller.running
    await controller.start()
    await controller.start()
    await asyncio.sleep(0.1)
    assert script.calls == {"a": [30], "b": [30]}
    await controller.stop()


async def test_given_work_in_flight_when_stopped_then_it_ends_and_nothing_new_begins() -> None:
    script = Script(a=[hang(3)])
    controller = Controller[str]("rollout", WorkQueue(), script, workers=1)
    controller.queue.add("a")
    controller.queue.add("b")
    await controller.start()
    await asyncio.sleep(1)
    await controller.stop(within=10)
    assert now() - script.started == 3, "as long as the work took, and no longer"
    assert script.calls == {"a": [0]}
    assert (controller.queue.depth, controller.queue.processing) == (1, 0)
    assert not controller.running


async def test_given_work_that_does_not_end_when_stopped_then_it_is_cut_off_and_done_again_later() -> None:
    script = Script(a=[hang(60), DONE])
    controller = Controller[str]("rollout", WorkQueue(), script)
    controller.queue.add("a")
    await controller.start()
    await asyncio.sleep(1)
    await controller.stop(within=5)
    assert now() - script.started == 6
    assert (controller.queue.depth, controller.queue.processing) == (1, 0)
    await controller.start()
    await asyncio.sleep(1)
    await controller.stop()
    assert script.calls["a"] == [0, 6]


async def test_given_work_that_swallows_its_cancellation_when_stopped_then_stopping_still_ends() -> None:
    async def stubborn(key: str) -> Outcome:
        for _ in range(20):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                continue
        return DONE

    controller = Controller[str]("rollout", WorkQueue(), stubborn)
    controller.queue.add("a")
    await controller.start()
    await asyncio.sleep(1)
    started = now()
    await controller.stop(within=5)
    assert now() - started == 6
    await asyncio.sleep(300)


async def test_given_a_stop_under_way_when_started_again_then_no_worker_of_before_goes_on() -> None:
    script = Script(a=[hang(3)], b=[hang(3)], c=[hang(3)])
    controller = Controller[str]("rollout", WorkQueue(), script, workers=1)
    controller.queue.add("a")
    await controller.start()
    await asyncio.sleep(1)
    stopping = asyncio.create_task(controller.stop())
    await asyncio.sleep(1)
    await controller.start()
    controller.queue.add("b")
    controller.queue.add("c")
    await stopping
    await asyncio.sleep(20)
    assert [script.calls[key] for key in "abc"] == [[0], [2], [5]], "one worker, one key at a time"
    await controller.stop()


async def test_given_a_closed_queue_when_drained_then_the_workers_end() -> None:
    script = Script()
    controller = Controller[str]("rollout", WorkQueue(), script)
    controller.queue.add("a")
    await controller.start()
    controller.queue.shut_down()
    await asyncio.sleep(0.1)
    assert script.calls == {"a": [0]}
    await controller.stop()


async def test_given_errors_when_logged_then_with_key_and_place_and_without_secrets() -> None:
    secret = "s3cr3t-t0k3n"
    errors = [
        ValueError(f"GET http://user:{secret}@prometheus:9090/api failed: Authorization: Bearer {secret}"),
        TransportError(f"patch Service shop/web: connection refused by https://{secret}@api"),
        TerminalError(f"spec.strategy: Basic {secret}"),
    ]
    with capture_logs() as lines:
        async with running(Script(a=[*errors]), "a"):
            await asyncio.sleep(10)
    told = [line for line in lines if "reconcile failed" in line["event"]]
    assert [line["log_level"] for line in told] == ["error", "warning", "error"]
    assert secret not in repr(lines)
    assert "http://[redacted]@prometheus:9090/api" in told[0]["error"]
    assert any("test_controller.py" in frame for frame in told[0]["at"]), "where it happened"
    assert told[0]["failures"] == 1


async def test_given_conflicts_when_few_then_silent_and_when_endless_then_told() -> None:
    with capture_logs() as lines:
        async with running(Script(a=[conflict() for _ in range(7)]), "a"):
            await asyncio.sleep(10)
    assert [line for line in lines if line["log_level"] == "warning"] == []
    with capture_logs() as lines:
        async with running(Script(a=[conflict() for _ in range(9)]), "a"):
            await asyncio.sleep(10)
    assert [line["failures"] for line in lines if line["log_level"] == "warning"] == [8, 9]


async def test_given_a_reconcile_when_it_logs_then_the_key_is_bound() -> None:
    from structlog.contextvars import get_contextvars

    bound = []

    async def reconcile(key: str) -> Outcome:
        bound.append(get_contextvars())
        return DONE

    async with running(reconcile, "shop/web"):
        await asyncio.sleep(1)
    assert bound == [{"controller": "rollout", "key": "shop/web"}]


async def test_when_a_worker_dies_then_another_takes_its_place_and_its_key_is_not_lost() -> None:
    """A defect below the controller must not leave all rollouts standing still, a worker at a time."""
    script = Script(a=[Outcome(1.0)])
    queue = WorkQueue[str]()
    broken, add_after = [True], queue.add_after

    def add_after_once_broken(key: str, delay: float) -> None:
        if broken.pop() if broken else False:
            raise AttributeError("a timer of another loop")
        add_after(key, delay)

    queue.add_after = add_after_once_broken  # type: ignore[method-assign]
    controller = Controller[str]("rollout", queue, script, workers=1)
    queue.add("a")
    with capture_logs() as logs:
        await controller.start()
        await asyncio.sleep(1)
        queue.add("b")
        await asyncio.sleep(1)
        await controller.stop()

    assert (len(script.calls["a"]), len(script.calls["b"])) == (2, 1)
    assert [line["event"] for line in logs if line["log_level"] == "critical"] == ["a worker of the controller died"]
