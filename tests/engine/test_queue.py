"""The work queue's promises, checked one by one in virtual time and all together against a model."""

from __future__ import annotations

import asyncio

import pytest

from tidegate.engine.queue import ShutDown, WorkQueue

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


async def take_all(queue: WorkQueue[str]) -> list[str]:
    """Take and finish everything that is ready now."""
    taken = []
    while queue.depth:
        taken.append(await queue.get())
        queue.done(taken[-1])
    return taken


async def test_given_a_key_added_many_times_when_taken_then_it_comes_once_in_its_first_place() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a", "c", "b"):
        queue.add(key)
    assert await take_all(queue) == ["a", "b", "c"]


async def test_given_a_key_in_work_when_added_again_then_it_is_held_back_until_done() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 10)
    queue.done("a")
    assert await asyncio.wait_for(queue.get(), 10) == "a"


async def test_given_low_keys_when_others_come_then_these_go_first_but_never_starve_the_low_ones() -> None:
    queue: WorkQueue[int] = WorkQueue()
    for key in range(100, 103):
        queue.add(key, low=True)
    for key in range(14):
        queue.add(key)
    order = [await queue.get() for _ in range(17)]
    assert order == [*range(7), 100, *range(7, 14), 101, 102], "one pick in eight is a low one"


async def test_given_a_low_key_when_added_normally_then_it_moves_up_and_comes_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("low1", "low2", "low3"):
        queue.add(key, low=True)
    queue.add("edit")
    queue.add("low2")
    queue.add("low2", low=True)
    assert await take_all(queue) == ["edit", "low2", "low1", "low3"]


@pytest.mark.parametrize(
    ("delays", "due"),
    [
        ((5.0,), 5.0),
        ((5.0, 2.0), 2.0),
        ((2.0, 5.0), 2.0),
        ((9.0, 3.0, 6.0), 3.0),
        ((3.0, 0.0), 0.0),
        ((-1.0,), 0.0),
    ],
)
async def test_given_several_delays_when_waiting_then_the_earliest_holds(delays: tuple[float, ...], due: float) -> None:
    queue: WorkQueue[str] = WorkQueue()
    started = now()
    for delay in delays:
        queue.add_after("a", delay)
    assert await queue.get() == "a"
    assert now() - started == due
    queue.done("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 60)


async def test_given_a_delay_when_the_key_is_taken_before_then_the_delay_is_void() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 5)
    queue.add("a")
    await queue.get()
    assert queue.delayed == 0
    queue.add_after("a", 8)  # The new decision, later than the one that it replaces.
    queue.done("a")
    started = now()
    assert await queue.get() == "a"
    assert now() - started == 8


async def test_given_a_delay_that_ends_during_work_when_done_then_the_key_comes_again() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add_after("a", 1)
    await asyncio.sleep(2)
    queue.done("a")
    started = now()
    assert await queue.get() == "a"
    assert now() == started


async def test_given_failures_when_retried_then_delays_double_to_the_cap_and_a_success_resets_them() -> None:
    queue: WorkQueue[str] = WorkQueue()
    delays = []
    for _ in range(20):
        started = now()
        queue.add_rate_limited("a")
        queue.done(await queue.get())
        delays.append(round(now() - started, 6))
    expected = [min(60.0, round(0.005 * 2**n, 6)) for n in range(20)]
    assert delays == expected
    assert (queue.failures("a"), queue.retrying) == (20, 1)
    queue.forget("a")
    assert queue.add_rate_limited("a") == 0.005
    assert queue.add_rate_limited("b") == 0.005, "keys count for themselves"


async def test_given_thousands_of_failures_when_retried_then_the_delay_stays_at_the_cap() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for _ in range(5000):
        delay = queue.add_rate_limited("a")
    assert delay == 60.0


async def test_given_a_waiter_woken_and_cancelled_at_once_when_others_wait_then_the_key_reaches_them() -> None:
    queue: WorkQueue[str] = WorkQueue()
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")  # Wakes the first ...
    first.cancel()  # ... which never gets to see it.
    assert await asyncio.wait_for(second, 1) == "a"
    assert first.cancelled()


async def test_given_a_closed_queue_when_read_then_what_was_ready_comes_out_and_then_the_end() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add_after("b", 1)
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    queue.shut_down()
    queue.add("c")
    queue.add_after("d", 1)
    ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)
    assert [str(each) if isinstance(each, str) else type(each) for each in ended] == ["a", ShutDown, ShutDown]


async def test_given_waiting_keys_when_asked_then_depth_and_latency_are_told() -> None:
    waits: list[float] = []
    queue: WorkQueue[str] = WorkQueue(on_wait=waits.append)
    queue.add("a")
    queue.add("b", low=True)
    queue.add_after("c", 100)
    await asyncio.sleep(3)
    assert (queue.depth, queue.delayed, queue.processing, queue.longest_wait()) == (2, 1, 0, 3)
    await queue.get()
    await asyncio.sleep(2)
    queue.add("a")
    await asyncio.sleep(4)
    assert (queue.depth, queue.processing) == (2, 1)
    queue.done("a")
    await queue.get()
    assert waits == [3, 4], "what was added during work has waited since it was added"
    assert queue.longest_wait() == 9


async def test_given_many_moved_delays_when_counted_then_memory_follows_the_keys_not_the_calls() -> None:
    queue: WorkQueue[int] = WorkQueue()
    queue.add_after(0, 1)
    for moved in range(10_000):
        queue.add_after(1, 20_000 - moved)
    assert queue.delayed == 2
    assert len(queue._heap) < 200
