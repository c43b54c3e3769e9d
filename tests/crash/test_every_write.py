"""What always holds, 6: *killed anywhere, same end*; and on the way 1: *traffic only goes where there is capacity*.

The operator is stopped at its k-th write, for every k of each story and for each way to die: before the write takes
effect, after it has but before the answer arrives, and after the answer. A new process must bring the story to the end
of an undisturbed one, and no write may leave a share of the traffic without a pod.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from tests.fakes.transport import CrashPoint

from . import stories
from .theatre import SETTLING, Obj, Theatre

pytestmark = pytest.mark.looptime

STORIES: dict[str, tuple[Callable[[], Theatre], str]] = {
    "canary promoted": (partial(stories.canary, background="good"), "Healthy"),
    "canary undone": (partial(stories.canary, background="bad"), "Degraded"),
    "undecided and undone": (partial(stories.unsure, "undo"), "Degraded"),
    "undecided and promoted by a person": (
        partial(stories.unsure, "pause", (stories.in_doubt, stories.lifted, 3)),
        "Healthy",
    ),
    "blue-green promoted": (partial(stories.blue_green, after="good"), "Healthy"),
    "blue-green flipped back": (partial(stories.blue_green, after="bad"), "Degraded"),
    "experiment undone": (partial(stories.trial, answer="bad"), "Degraded"),
    "rolling": (stories.rolling, "Healthy"),
    "metadata of a role": (stories.roles, "Healthy"),
    "compared and promoted": (stories.judged, "Healthy"),
    "compared and undone": (partial(stories.judged, canary=(120, 400)), "Degraded"),
    "aborted, retried, promoted in full": (stories.second_thoughts, "Healthy"),
    "overtaken by a third version": (stories.overtaken, "Healthy"),
    "previewed and back": (stories.previewed, "Healthy"),
    "never ready": (stories.never_ready, "Degraded"),
}
WITH_PEOPLE = (
    "undecided and undone",
    "undecided and promoted by a person",
    "aborted, retried, promoted in full",
    "overtaken by a third version",
    "previewed and back",
    "never ready",
)
"""Long stories, interrupted in one way alone: after the write took effect and before its answer arrived."""
POINTS: tuple[CrashPoint, ...] = ("before", "unseen", "after")


async def tell(
    make: Callable[[], Theatre], phase: str, crash: tuple[int, CrashPoint] | None
) -> tuple[Obj, int, list[str]]:
    """Play a story, interrupted or not: its end, the writes of the first process since the new image, violations."""
    async with make() as theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        theatre.set_image("app:v2")
        first = await theatre.play(settled(theatre, phase), crash=crash)
        if first.killed.is_set() and crash:
            await asyncio.sleep(1)
            await theatre.play(settled(theatre, phase))
        return theatre.end(), first.writes, theatre.violations


def settled(theatre: Theatre, phase: str) -> Callable[[], bool]:
    """The phase has been reached, and for long enough that every delay is over."""
    since: float | None = None

    def reached() -> bool:
        nonlocal since
        now = asyncio.get_running_loop().time()
        since = (since if since is not None else now) if theatre.is_at(phase) else None
        return since is not None and now - since > SETTLING

    return reached


@pytest.mark.parametrize("story", STORIES)
async def test_killed_at_any_write_the_story_ends_the_same(story: str) -> None:
    make, phase = STORIES[story]
    undisturbed, writes, violations = await tell(make, phase, None)
    assert violations == []
    assert writes > 5

    for number in range(1, writes + 1):
        for point in POINTS if story not in WITH_PEOPLE else POINTS[1:2]:
            end, _, violations = await tell(make, phase, (number, point))

            assert violations == [], f"killed {point} write {number}"
            assert end == undisturbed, f"killed {point} write {number}"
