"""Any order of calls against the queue, beside a model so plain that it is right by looking at it."""

from __future__ import annotations

import asyncio

import looptime
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidegate.engine.queue import WorkQueue

KEYS = st.sampled_from("abcdef")
# Eighths of a second are exact in floating point, so due times can be compared.
DELAYS = st.integers(-1, 40).map(lambda eighths: eighths / 8)


class QueueModel(RuleBasedStateMachine):
    """The model: which keys are wanted now, which are in work, and when others are due."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = looptime.new_event_loop()
        self.queue: WorkQueue[str] = WorkQueue(base=0.125, cap=2.0)
        self.wanted: set[str] = set()
        self.in_work: set[str] = set()
        self.due: dict[str, float] = {}
        self.failures: dict[str, int] = {}
        self.now = self.loop.time()

    def teardown(self) -> None:
        self.loop.close()

    def at_once(self, call: object) -> None:
        """Run one call inside the loop, and let everything happen that is due at this instant."""

        async def run() -> None:
            call()  # type: ignore[operator]
            await asyncio.sleep(0)

        self.loop.run_until_complete(run())

    @rule(key=KEYS, low=st.booleans())
    def add(self, key: str, low: bool) -> None:
        self.at_once(lambda: self.queue.add(key, low=low))
        self.wanted.add(key)

    @rule(key=KEYS, delay=DELAYS)
    def add_after(self, key: str, delay: float) -> None:
        self.at_once(lambda: self.queue.add_after(key, delay))
        self.expect_after(key, delay)

    def expect_after(self, key: str, delay: float) -> None:
        if delay <= 0:
            self.wanted.add(key)
        else:
            self.due[key] = min(self.due.get(key, self.now + delay), self.now + delay)

    @rule(key=KEYS)
    def fail(self, key: str) -> None:
        self.at_once(lambda: self.queue.add_rate_limited(key))
        failures = self.failures.get(key, 0)
        self.failures[key] = failures + 1
        self.expect_after(key, min(2.0, 0.125 * 2**failures))

    @rule(key=KEYS)
    def succeed(self, key: str) -> None:
        self.queue.forget(key)
        self.failures.pop(key, None)

    @rule(eighths=st.integers(1, 24))
    def time_passes(self, eighths: int) -> None:
        self.loop.run_until_complete(asyncio.sleep(eighths / 8))
        self.now += eighths / 8
        for key in [key for key, at in self.due.items() if at <= self.now]:
            del self.due[key]
            self.wanted.add(key)

    @precondition(lambda self: self.wanted - self.in_work)
    @rule()
    def take(self) -> None:
        key = self.loop.run_until_complete(asyncio.wait_for(self.queue.get(), 1))
        assert key not in self.in_work, "one key with two workers"
        assert key in self.wanted, "a key that nobody wanted"
        self.wanted.discard(key)
        self.due.pop(key, None)
        self.in_work.add(key)

    @precondition(lambda self: not (self.wanted - self.in_work))
    @rule()
    def nothing_to_take(self) -> None:
        getter = self.loop.create_task(self.queue.get())
        self.at_once(lambda: None)
        assert not getter.done(), "a key out of nothing, or one that is in work"
        getter.cancel()
        self.at_once(lambda: None)

    @precondition(lambda self: self.in_work)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.in_work)))
        self.at_once(lambda: self.queue.done(key))
        self.in_work.discard(key)

    @invariant()
    def the_figures_agree(self) -> None:
        assert self.queue.depth == len(self.wanted)
        assert self.queue.processing == len(self.in_work)
        assert self.queue.delayed == len(self.due)
        assert self.queue.retrying == len(self.failures)


TestQueueModel = QueueModel.TestCase
TestQueueModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
