"""Two Rollouts over the same objects, with the whole engine: at most one of them ever writes to these.

Wrong programs that these catch: one in which both write, each after the other; one that lets the second have the
objects while the first is there; one in which the second waits for ever after the first has gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, Final

import looptime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crash import stories
from tests.crash.theatre import Obj, Theatre
from tests.routers.test_letting_go import BY_SUBSET, rule
from tidegate.api import names
from tidegate.core.plan import Write
from tidegate.engine.engine import Engine

ENDS: Final = {"canaryService": "app-canary", "stableService": "app-stable"}
ROUTE: Final = {"istio": {"virtualService": {"name": "app", "routes": ["primary"]}}}
SUBSETS: Final = {"istio": {**BY_SUBSET, "virtualService": {"name": "subsets"}}}
STRATEGIES: Final[dict[str, Obj]] = {
    "hosts": {"canary": {**ENDS, "steps": [{"setWeight": 50}], "trafficRouting": ROUTE}},
    "subsets": {"canary": {"steps": [{"setWeight": 50}], "trafficRouting": SUBSETS}},
    "blue-green": {"blueGreen": {"activeService": "app-stable", "previewService": "app-canary"}},
}
ALONE: Final[Obj] = {"canary": {"steps": [{"setWeight": 50}]}}
SHARED: Final = ("Service", "VirtualService", "DestinationRule")
NOTICED: Final = 1.0
"""Seconds after an event in which the operator may not have heard of it yet."""


class Duel:
    """A cluster with objects for one Rollout, and two that want them.

    wrote: (when, who, what) of each write to a Service, a route or a rule.
    """

    def __init__(self, strategy: str) -> None:
        self.strategy = STRATEGIES[strategy]
        split = stories.virtual_service()
        split["metadata"] = {**split["metadata"], "name": "subsets"}
        to = [{"destination": {"host": "app", "subset": s}, "weight": w} for s, w in (("stable", 100), ("canary", 0))]
        split["spec"] = {"hosts": ["b.example.com"], "http": [{"route": to}]}
        services = [stories.service(name) for name in ("app", "app-stable", "app-canary")]
        given = [*services, rule(), stories.virtual_service(), split]
        self.theatre = Theatre(self.rollout("app"), given, services=())
        self.cluster = self.theatre.cluster
        self.wrote: list[tuple[float, str, str]] = []

    def rollout(self, name: str) -> Obj:
        made = stories.rollout(self.strategy, replicas=2)
        made["metadata"]["name"] = name
        labels = {"app": "app", "of": name}
        made["spec"]["selector"] = {"matchLabels": labels}
        made["spec"]["template"]["metadata"]["labels"] = labels
        return made

    async def play(self, story: Callable[[], Awaitable[None]]) -> None:
        """Run the operator from the beginning of the story until a minute after its end."""
        over = asyncio.Event()

        async def tell() -> None:
            await story()
            await asyncio.sleep(60)
            over.set()

        async def overhear(engine: Engine) -> None:
            send = engine._writer.send

            async def noted(write: Write, author: Any) -> None:
                if write.key.kind in SHARED:
                    self.wrote.append((asyncio.get_running_loop().time(), author.name, str(write.key)))
                await send(write, author)

            engine._writer.send = noted  # type: ignore[method-assign]

        async with self.theatre:
            telling = asyncio.create_task(tell())
            self.theatre.spare(telling)
            await self.theatre.play(over.is_set, beside=overhear)
            await telling

    def create(self, name: str) -> None:
        self.cluster.create(self.rollout(name))

    def update(self, name: str, image: str) -> None:
        containers = [{"name": "app", "image": image}]
        self.cluster.patch("Rollout", name, {"spec": {"template": {"spec": {"containers": containers}}}})

    def name_objects(self, name: str, *, ours: bool) -> None:
        strategy = self.strategy if ours else ALONE
        gone = {kind: None for kind in ("canary", "blueGreen") if kind not in strategy}
        fields = {"canaryService": None, "stableService": None, "trafficRouting": None} if not ours else {}
        body = {kind: {**fields, **part} for kind, part in strategy.items()}
        self.cluster.patch("Rollout", name, {"spec": {"strategy": {**gone, **body}}})

    def claims(self, name: str) -> bool:
        found = self.cluster.peek("Rollout", name)
        return found is not None and any(name in str(found["spec"]["strategy"]) for name in ("app-stable", "subsets"))

    def phase(self, name: str) -> tuple[str, str]:
        status = (self.cluster.peek("Rollout", name) or {}).get("status") or {}
        return status.get("phase", ""), status.get("message", "")

    def writers(self, since: float, until: float) -> set[str]:
        return {who for when, who, _ in self.wrote if since + NOTICED < when <= until}


@pytest.mark.looptime
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_second_waits_says_why_and_goes_on_by_itself(strategy: str) -> None:
    duel = Duel(strategy)

    async def story() -> None:
        duel.create("app")
        await asyncio.sleep(2)
        duel.create("other")
        await asyncio.sleep(20)
        phase, message = duel.phase("other")
        assert phase == "Degraded" and "InvalidSpec" in message and "Rollout default/app" in message
        duel.update("app", "app:v2")
        await asyncio.sleep(60)
        assert duel.phase("app") == ("Healthy", "")
        assert {who for _, who, _ in duel.wrote} == {"app"}
        duel.cluster.delete("Rollout", "app")

    await duel.play(story)

    assert duel.phase("other") == ("Healthy", "")
    status = (duel.cluster.peek("Rollout", "other") or {})["status"]
    shown = {s["spec"]["selector"].get(names.POD_TEMPLATE_HASH) for s in duel.cluster.peek_all("Service")}
    for each in duel.cluster.peek_all("DestinationRule"):
        shown |= {(subset.get("labels") or {}).get(names.POD_TEMPLATE_HASH) for subset in each["spec"]["subsets"]}
    assert shown == {None, status["stableRS"]}, "nothing of the first one is left, and the second one's is there"


MOVES = st.sampled_from(("create", "delete", "update", "let go", "name"))
STORIES = st.lists(st.tuples(MOVES, st.sampled_from(("app", "other")), st.sampled_from((3, 12))), max_size=8)


@settings(max_examples=25)
@given(st.sampled_from(sorted(STRATEGIES)), STORIES)
def test_in_any_order_at_most_one_writes_and_whoever_has_the_objects_keeps_them(
    strategy: str, moves: list[tuple[str, str, int]]
) -> None:
    duel = Duel(strategy)
    marks: list[tuple[float, dict[str, bool]]] = []

    async def story() -> None:
        now = asyncio.get_running_loop().time
        for number, (move, name, gap) in enumerate([("create", "app", 0), ("create", "other", 3), *moves]):
            there = duel.cluster.peek("Rollout", name) is not None
            match move:
                case "create" if not there:
                    duel.create(name)
                case "delete" if there:
                    duel.cluster.delete("Rollout", name)
                case "update" if there:
                    duel.update(name, f"app:v{number}")
                case "let go" | "name" if there:
                    duel.name_objects(name, ours=move == "name")
            marks.append((now(), {each: duel.claims(each) for each in ("app", "other")}))
            await asyncio.sleep(gap)
        await asyncio.sleep(60)
        marks.append((now(), {}))

    loop = looptime.new_event_loop(noop_cycles=0)
    try:
        loop.run_until_complete(duel.play(story))
    finally:
        loop.close()

    holder = ""
    for (since, claims), (until, _) in pairwise(marks):
        wrote = duel.writers(since, until) & {name for name, claim in claims.items() if claim}
        assert len(wrote) <= 1, duel.wrote
        if claims.get(holder):
            assert wrote <= {holder}, f"{holder} had the objects"
        holder = next(iter(wrote), holder if claims.get(holder) else "")
    quiet = max((when for when, _, _ in duel.wrote), default=0.0)
    assert quiet < marks[-1][0] - 30, "somebody is still writing"
    claimants = [name for name in ("app", "other") if duel.claims(name)]
    settled = [name for name in claimants if duel.phase(name)[0] == "Healthy"]
    assert len(settled) == min(len(claimants), 1), {name: duel.phase(name) for name in claimants}
