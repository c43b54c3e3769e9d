"""Pace and patience, by an injected clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.cluster.limits import Backoff, TokenBucket


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


@given(
    rate=st.floats(0.5, 50),
    burst=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 3), max_size=60),
)
def test_no_span_of_time_sees_more_than_its_burst_and_rate(rate: float, burst: int, pauses: list[float]) -> None:
    clock = Clock()
    bucket = TokenBucket(rate=rate, burst=burst, clock=clock)
    taken = []
    for pause in pauses:
        clock.time += pause
        if bucket.try_take():
            taken.append(clock.time)
    for start in range(len(taken)):
        for end in range(start, len(taken)):
            assert end - start + 1 <= burst + rate * (taken[end] - taken[start]) + 1e-6


async def test_those_who_wait_are_served_in_order_one_for_each_regained_token() -> None:
    clock = Clock()
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    bucket = TokenBucket(rate=2.0, burst=1, clock=clock, sleep=sleep)
    for _ in range(4):
        await bucket.take()

    assert waits == [0.5, 1.0, 1.5]


def test_a_bucket_that_rested_holds_no_more_than_its_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=1.0, burst=2, clock=clock)
    clock.time = 1000.0
    assert [bucket.try_take() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
def test_pauses_double_up_to_the_cap_spread_around_it_and_start_over_after_a_success(
    chance: float, factor: float
) -> None:
    backoff = Backoff(base=1.0, cap=5.0, random=lambda: chance)

    assert [backoff.next() / factor for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    backoff.reset()
    assert backoff.next() / factor == 1.0


def test_a_backoff_can_fail_for_years() -> None:
    backoff = Backoff(base=0.1, cap=5.0)
    for _ in range(5000):
        assert backoff.next() <= 7.5
