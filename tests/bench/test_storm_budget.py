"""What the benchmark's storm costs, counted and not timed: a guard that no slow machine can upset.

One Rollout goes the storm's way over the cluster in memory. A write or a reconcile more per Rollout shows here at once,
long before anybody runs the benchmark.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from benchmarks.objects import storm_rollout
from tests.crash import stories
from tests.crash.theatre import SETTLING, Theatre
from tidegate.core.plan import Event, Key
from tidegate.engine.controller import Result

pytestmark = pytest.mark.looptime

WRITES = {
    "create ReplicaSet": 2,
    "patch ReplicaSet": 2,  # to its full size; when the old one is to go
    "patch Service": 4,  # both at birth, then each end once
    "patch VirtualService": 4,  # 10, 50, 100, and back to 0 with the new version as stable
    "patch Rollout": 10,  # two revisions; three times its status at birth and with the new image, five times its steps
    "create AnalysisRun": 1,
    "patch AnalysisRun": 2,  # one for each measurement
}
"""From birth to rest, without events and without the end of the old pods half a minute later."""
BUDGET = 26
RECONCILES = {"rollout": 14, "analysisrun": 2}
"""At most. Of two changes at one instant either may be seen first, so a Rollout may be looked at twelve times only."""


@dataclass
class Tally:
    """What the operator asked of the API server and how often it looked at a key: the engine's `Watching`."""

    writes: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    reconciles: Counter[str] = field(default_factory=Counter)

    def request(self, verb: str, kind: str, status: int, seconds: float) -> None:
        if verb in ("get", "list"):
            self.reads[f"{verb} {kind}"] += 1
        elif verb != "watch" and kind != "Event":
            self.writes[f"{verb} {kind}"] += 1

    def reconciled(self, controller: str, key: Key, result: Result, seconds: float) -> None:
        self.reconciles[controller] += 1

    def waited(self, controller: str, seconds: float) -> None:
        """Of no interest: time is virtual."""

    def recorded(self, about: Mapping[str, Any], event: Event) -> None:
        """Of no interest: events are no work."""

    def changed(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Of no interest."""


def storm() -> Theatre:
    """The benchmark's strategy in the theatre's Rollout."""
    rollout = stories.rollout(storm_rollout("app", "v1")["spec"]["strategy"], replicas=2)
    objects = [
        stories.service("app-canary"),
        stories.service("app-stable"),
        stories.virtual_service(),
        stories.template("storm", "good", count=2, interval="2s"),
    ]
    return Theatre(rollout, objects, services=("app-canary", "app-stable"), virtual_services=("app",))


def through(story: Iterator[None]) -> Callable[[], bool]:
    """Play a story that says at every `yield` that it waits; true once it has ended."""
    return lambda: next(story, story) is story


def updated(theatre: Theatre) -> Iterator[None]:
    """Birth, a new image, Healthy again, and ten seconds more: the old pods still wait for their end."""
    yield from healthy_for(theatre, 0)
    theatre.set_image("app:v2")
    yield from healthy_for(theatre, 10)


def healthy_for(theatre: Theatre, seconds: float) -> Iterator[None]:
    clock = asyncio.get_running_loop().time
    since = None
    while since is None or clock() - since < seconds:
        yield
        if not theatre.is_at("Healthy"):
            since = None
        elif since is None:
            since = clock()


async def test_given_the_storms_rollout_when_it_is_updated_then_it_costs_no_more_writes_than_allowed() -> None:
    tally = Tally()
    async with storm() as theatre:
        theatre.deploy()
        await theatre.play(through(updated(theatre)), watching=tally)

        assert theatre.status["currentStepIndex"] == 5
        assert theatre.provider.asked == 2

    assert dict(tally.writes) == WRITES
    assert tally.writes.total() <= BUDGET


async def test_given_watches_when_a_rollout_is_updated_then_nothing_is_read_but_the_first_lists() -> None:
    tally = Tally()
    async with storm() as theatre:
        theatre.deploy()
        await theatre.play(through(updated(theatre)), watching=tally)

    assert {verb for verb, _, _ in (read.partition(" ") for read in tally.reads)} == {"list"}
    assert set(tally.reads.values()) == {1}


async def test_given_the_storms_rollout_when_it_is_updated_then_it_is_looked_at_no_more_often_than_allowed() -> None:
    tally = Tally()
    async with storm() as theatre:
        theatre.deploy()
        await theatre.play(through(updated(theatre)), watching=tally)

    assert {name: count for name, count in tally.reconciles.items() if count > RECONCILES[name]} == {}
    assert tally.reconciles.keys() == RECONCILES.keys()


async def test_given_a_settled_rollout_when_five_minutes_pass_then_nothing_is_written_asked_or_looked_at() -> None:
    tally = Tally()

    def story(theatre: Theatre) -> Iterator[None]:
        yield from updated(theatre)
        yield from healthy_for(theatre, SETTLING)
        asked = theatre.provider.asked
        for counter in (tally.writes, tally.reads, tally.reconciles):
            counter.clear()
        yield from healthy_for(theatre, 300)
        assert theatre.provider.asked == asked

    async with storm() as theatre:
        theatre.deploy()
        await theatre.play(through(story(theatre)), watching=tally)

    assert (tally.writes, tally.reads, tally.reconciles) == (Counter(), Counter(), Counter())
