"""Defects of Argo Rollouts' controller: rollouts that stand still until a restart, lost commands, work and memory that
grow with what others do. The whole operator over the cluster in memory."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from tests.bench.test_storm_budget import Tally
from tests.crash import stories
from tests.crash.test_every_write import settled
from tests.crash.theatre import Theatre
from tests.fakes.cluster import Written
from tests.fakes.transport import Fault, Request
from tidegate.cluster.events import Recorder
from tidegate.core.plan import Key
from tidegate.engine.controller import Result

pytestmark = pytest.mark.looptime


def held() -> Theatre:
    """20, a pause until somebody promotes, 100."""
    theatre = stories.canary()
    theatre.rollout["spec"]["strategy"]["canary"]["steps"] = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 100}]
    return theatre


def is_held(written: Written) -> bool:
    status = (written.after or {}).get("status") or {}
    return written.kind == "Rollout" and written.subresource == "status" and bool(status.get("pauseConditions"))


@pytest.mark.parametrize("after", [0.0, 0.005, 0.01, 0.02, 0.03, 0.1, 1.0])
async def test_argo_4694_a_promotion_is_not_lost_whenever_it_comes(after: float) -> None:
    """#4694, #3316, #720: the command meets a controller that still believes, or writes back, what was before it; the
    pause is put on again or stays for ever. Here somebody promotes so long after the pause was written, while an
    autoscaler gives the operator a reason to write its status at the same moment."""
    async with held() as theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        commanded: list[asyncio.Task[None]] = []

        async def command() -> None:
            await asyncio.sleep(after)
            theatre.cluster.patch("Rollout", "app", {"spec": {"replicas": 5}})
            theatre.ask(pauseConditions=None)

        def watch(written: Written) -> None:
            if is_held(written) and not commanded:
                commanded.append(asyncio.get_running_loop().create_task(command()))
                theatre.spare(commanded[0])

        theatre.cluster.observers.append(watch)
        theatre.set_image("app:v2")
        await theatre.play(settled(theatre, "Healthy"))

        assert commanded
        assert theatre.status["stableRS"] == theatre.status["currentPodHash"]
        assert theatre.violations == []


@pytest.mark.parametrize("every", [1, 2])
async def test_argo_3849_an_autoscaler_that_writes_with_us_costs_conflicts_and_no_update(every: int) -> None:
    """#3849, #5052, #4073: "the object has been modified", for ever. Somebody writes the Rollout before every write (or
    every second) that we make to it."""
    async with stories.canary() as theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        theatre.set_image("app:v2")
        met = 0

        def meddle(request: Request) -> bool:
            nonlocal met
            if request.is_write and request.kind == "Rollout":
                met += 1
                if met % every == 0 and met < 40:
                    theatre.cluster.patch("Rollout", "app", {"metadata": {"annotations": {"scaled": str(met)}}})
            return False

        await theatre.play(settled(theatre, "Healthy"), arrange=lambda it: it.fail(Fault(), when=meddle))

        assert met > 4
        assert theatre.status["stableRS"] == theatre.status["currentPodHash"]
        rollout = theatre.cluster.peek("Rollout", "app")
        assert rollout is not None and "scaled" in rollout["metadata"]["annotations"]
        assert theatre.violations == []


class ByKey(Tally):
    """How often each key was looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: Counter[str] = Counter()

    def reconciled(self, controller: str, key: Key, result: Result, seconds: float) -> None:
        self.looks[key.name] += 1

    def changed(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Of no interest."""


async def test_argo_performance_the_update_of_one_rollout_is_no_work_for_another() -> None:
    """#4140, and getAnalysisRunsForRollout: everything of a namespace is listed and filtered for each Rollout."""
    async with stories.canary() as theatre:
        other = stories.rollout({"canary": {}})
        other["metadata"]["name"] = "other"
        theatre.cluster.create(other)
        theatre.deploy()
        looks = ByKey()
        await theatre.play(settled(theatre, "Healthy"), watching=looks)
        looks.looks.clear()
        theatre.set_image("app:v2")
        before = dict(looks.looks)
        await theatre.play(settled(theatre, "Healthy"), watching=looks)

        assert before == {}
        assert looks.looks["app"] > 8
        assert looks.looks["other"] == 1, "once, at the start of the process"


async def test_argo_4571_what_is_deleted_is_forgotten() -> None:
    """#4571: from 140 MB to 8.8 GB in 127 days. Forty Rollouts come, are updated and go; what is kept afterwards does
    not depend on how many there were. The recorder of events alone remembers, up to a bound, what it has said."""
    kept = []
    for number in (2, 40):
        async with stories.canary() as theatre:
            theatre.deploy()

            async def come_and_go(count: int, theatre: Theatre = theatre) -> None:
                for at in range(count):
                    passing = stories.rollout({"canary": {"steps": [{"setWeight": 50}]}}, replicas=1)
                    passing["metadata"]["name"] = f"passing-{at}"
                    theatre.cluster.create(passing)
                    await asyncio.sleep(3)
                    image = [{"name": "app", "image": "app:v2"}]
                    patch = {"spec": {"template": {"spec": {"containers": image}}}}
                    theatre.cluster.patch("Rollout", f"passing-{at}", patch)
                    await asyncio.sleep(3)
                    theatre.cluster.delete("Rollout", f"passing-{at}")
                    await asyncio.sleep(1)

            done: list[asyncio.Task[None]] = []
            story = settled(theatre, "Healthy")
            await theatre.play(
                lambda done=done, story=story: done[0].done() and story(),
                arrange=lambda _, done=done, number=number: done.append(asyncio.create_task(come_and_go(number))),
            )
            done[0].result()
            kept.append(_size(theatre.engine))
    few, many = kept
    assert many <= few + 10, f"{many - few} entries more after forty Rollouts than after two"


def _size(root: object) -> int:
    """How many entries there are in all dicts, lists and sets that can be reached from an object of the operator."""
    seen, count, todo = set(), 0, [root]
    while todo:
        found = todo.pop()
        if id(found) in seen or isinstance(found, type | str | bytes | int | Recorder) or callable(found):
            continue
        seen.add(id(found))
        if isinstance(found, dict | list | set | tuple | frozenset):
            count += len(found)
        elif not type(found).__module__.startswith("tidegate"):
            continue
        todo += gc.get_referents(found)
    return count
