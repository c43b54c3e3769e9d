"""A timed pause and a background analysis that compares: held while traffic lacks, ended once the canary is safe."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.crash import stories
from tests.crash.theatre import Theatre

pytestmark = pytest.mark.looptime

STABLE = (1.0, 20.0)
NOBODY = (0.0, 0.002)


def paused(canary: tuple[float, float], *, advance: bool, duration: int | None = 30) -> Theatre:
    """One pause at 50 %, watched in the background."""
    pause = {} if duration is None else {"duration": duration}
    return watched(canary, {"setWeight": 50}, {"pause": pause}, advance=advance)


def watched(canary: tuple[float, float], *steps: dict[str, Any], advance: bool = False) -> Theatre:
    """Steps with a background analysis that compares."""
    strategy = {"canary": {"analysis": {"templates": [{"templateName": "compared"}]}, "steps": list(steps)}}
    template = stories.comparing(judge={"advanceWhenSafe": advance})
    theatre = Theatre(stories.rollout(strategy), [stories.service("app"), template], services=("app",))
    theatre.provider.rates = {"canary": canary, "stable": STABLE}
    return theatre


async def update(theatre: Theatre) -> None:
    theatre.deploy()
    await theatre.play(lambda: theatre.is_at("Healthy"))
    theatre.set_image("app:v2")


def background(theatre: Theatre) -> dict[str, Any]:
    found: dict[str, Any] = (theatre.status.get("canary") or {}).get("currentBackgroundAnalysisRunStatus") or {}
    return found


async def seconds_until_promoted(theatre: Theatre) -> float:
    """From the new image to the promotion."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await theatre.play(lambda: theatre.is_at("Healthy"))
    return loop.time() - began


async def test_a_pause_lasts_its_time_unless_the_analysis_says_that_safe_is_enough() -> None:
    async with paused(STABLE, advance=False, duration=120) as theatre:
        theatre.provider.rates = {"canary": (20, 400), "stable": (20, 400)}
        await update(theatre)
        planned = await seconds_until_promoted(theatre)
    async with paused(STABLE, advance=True, duration=120) as theatre:
        theatre.provider.rates = {"canary": (20, 400), "stable": (20, 400)}
        await update(theatre)
        shorter = await seconds_until_promoted(theatre)

    assert planned >= 120
    assert 2 < shorter < 80, "but not before a look that began after the pause"


async def test_too_little_traffic_holds_a_timed_pause_and_says_why_until_it_comes() -> None:
    async with paused(NOBODY, advance=False, duration=5) as theatre:
        await update(theatre)
        asleep = asyncio.get_running_loop().time() + 60
        await theatre.play(lambda: asyncio.get_running_loop().time() > asleep)
        assert theatre.status["phase"] == "Paused" and theatre.status["currentStepIndex"] == 1
        assert "too little traffic" in background(theatre)["message"]

        theatre.provider.rates = {"canary": (20, 400), "stable": (20, 400)}
        await theatre.play(lambda: theatre.is_at("Healthy"))


async def played(theatre: Theatre, seconds: float) -> None:
    late = asyncio.get_running_loop().time() + seconds
    await theatre.play(lambda: asyncio.get_running_loop().time() > late)


async def test_an_update_of_weights_alone_is_not_over_before_there_was_traffic_to_judge_it_by() -> None:
    async with watched(NOBODY, {"setWeight": 25}, {"setWeight": 50}) as theatre:
        await update(theatre)
        await played(theatre, 500)
        await played(theatre, 500)
        assert theatre.status["currentStepIndex"] == 0
        assert theatre.status["phase"] == "Progressing", "no lack of progress, however long it takes"
        assert "too little traffic" in background(theatre)["message"]

        theatre.provider.rates = {"canary": (20, 400), "stable": (20, 400)}
        await theatre.play(lambda: theatre.is_at("Healthy"))
        assert theatre.status["currentStepIndex"] == 2


async def test_a_person_passes_a_weight_that_is_held() -> None:
    async with watched(NOBODY, {"setWeight": 25}, {"setWeight": 50}) as theatre:
        await update(theatre)
        await theatre.play(lambda: "too little traffic" in background(theatre).get("message", ""))
        theatre.ask(currentStepIndex=1)
        await played(theatre, 60)
        assert theatre.status["currentStepIndex"] == 1 and theatre.status["phase"] == "Progressing"
        theatre.ask(promoteFull=True)
        await theatre.play(lambda: theatre.is_at("Healthy"))


async def test_a_weight_at_which_nothing_can_be_compared_is_not_held() -> None:
    async with watched(NOBODY, {"setWeight": 50}, {"pause": {}}, {"setWeight": 100}) as theatre:
        await update(theatre)
        await theatre.play(lambda: theatre.is_at("Paused"))
        theatre.ask(pauseConditions=None)
        await theatre.play(lambda: theatre.is_at("Healthy"))


async def test_a_person_passes_a_pause_that_is_held() -> None:
    async with paused(NOBODY, advance=False, duration=5) as theatre:
        await update(theatre)
        await theatre.play(lambda: "too little traffic" in background(theatre).get("message", ""))
        theatre.ask(pauseConditions=None)
        await theatre.play(lambda: theatre.is_at("Healthy"))


async def test_a_pause_without_a_time_waits_for_a_person_however_safe_the_canary_is() -> None:
    async with paused((20.0, 400.0), advance=True, duration=None) as theatre:
        theatre.provider.rates = {"canary": (20, 400), "stable": (20, 400)}
        await update(theatre)
        late = asyncio.get_running_loop().time() + 120
        await theatre.play(lambda: asyncio.get_running_loop().time() > late)
        assert theatre.status["phase"] == "Paused"
        (run,) = theatre.cluster.peek_all("AnalysisRun")
        assert run["status"]["judge"]["safe"] is True


async def test_the_arms_of_a_run_are_the_rollouts_versions() -> None:
    async with paused(STABLE, advance=False) as theatre:
        await update(theatre)
        await theatre.play(lambda: bool(theatre.cluster.peek_all("AnalysisRun")))
        (run,) = theatre.cluster.peek_all("AnalysisRun")
        stable, new = theatre.status["stableRS"], theatre.status["currentPodHash"]
    assert run["spec"]["metrics"][0]["compare"]["arms"] == {
        "canary": {"namespace": "default", "podTemplateHash": new, "replicaSet": f"app-{new}"},
        "stable": {"namespace": "default", "podTemplateHash": stable, "replicaSet": f"app-{stable}"},
    }
