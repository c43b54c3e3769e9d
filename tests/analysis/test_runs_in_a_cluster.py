"""Runs as a whole operator makes and ends them, on the cluster in memory and in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.crash import stories
from tests.crash.theatre import Obj, Theatre

pytestmark = pytest.mark.looptime


def canary(*steps: Obj, templates: list[Obj], **fields: Any) -> Theatre:
    """A canary without a router and with these steps."""
    return Theatre(
        stories.rollout({"canary": {"steps": list(steps), **fields}}, replicas=2),
        [stories.service("app"), *templates],
        services=(),
    )


async def update(theatre: Theatre, phase: str = "Healthy") -> None:
    """Deploy version 1, then version 2, and wait for the phase."""
    theatre.deploy()
    await theatre.play(lambda: theatre.is_at("Healthy"))
    theatre.set_image("app:v2")
    await theatre.play(lambda: theatre.is_at(phase))


def runs(theatre: Theatre) -> list[Obj]:
    return sorted(theatre.cluster.peek_all("AnalysisRun"), key=lambda run: str(run["metadata"]["name"]))


def only(theatre: Theatre) -> Obj:
    (run,) = runs(theatre)
    return run


def phase(theatre: Theatre, name: str) -> str | None:
    run = theatre.cluster.peek("AnalysisRun", name)
    return None if run is None else (run.get("status") or {}).get("phase", "")


EVERYTHING: Obj = {
    "templates": [{"templateName": "all"}],
    "dryRun": [{"metricName": "^doubtful$"}],
    "measurementRetention": [{"metricName": "success", "limit": 2}],
    "analysisRunMetadata": {"labels": {"team": "shop"}, "annotations": {"example.com/why": "a release"}},
}


def all_templates() -> list[Obj]:
    """A template that contains two: one that succeeds three times and one that fails."""
    outer = stories.template("all", "good")
    outer["spec"] = {"templates": [{"templateName": "rate"}, {"templateName": "doubtful"}]}
    doubtful = stories.template("doubtful", "bad")
    doubtful["spec"]["metrics"][0]["name"] = "doubtful"
    return [outer, doubtful, stories.template("rate", "good", count=3, interval="1s")]


def assert_everything(run: Obj) -> None:
    """What the analysis says of the run stands in it, and was done."""
    assert run["metadata"]["labels"] | {"team": "shop", "app": "app"} == run["metadata"]["labels"]
    assert run["metadata"]["annotations"] == {"example.com/why": "a release", "rollout.argoproj.io/revision": "2"}
    status = run["status"]
    assert (status["phase"], status["dryRunSummary"]) == ("Successful", {"count": 1, "failed": 1})
    results = {result["name"]: result for result in status["metricResults"]}
    assert (results["success"]["count"], len(results["success"]["measurements"])) == (3, 2)
    assert results["doubtful"]["dryRun"] is True


async def test_a_step_hands_all_that_it_says_to_its_run() -> None:
    async with canary({"analysis": EVERYTHING}, {"setWeight": 50}, templates=all_templates()) as theatre:
        await update(theatre)

    assert_everything(only(theatre))
    assert only(theatre)["metadata"]["labels"]["step-index"] == "0"


async def test_the_background_hands_all_that_it_says_to_its_run() -> None:
    steps = ({"setWeight": 50}, {"pause": {"duration": 10}})
    async with canary(*steps, templates=all_templates(), analysis=EVERYTHING) as theatre:
        await update(theatre)

    assert_everything(only(theatre))


@pytest.mark.parametrize("place", ["prePromotionAnalysis", "postPromotionAnalysis"])
async def test_blue_green_hands_all_that_it_says_to_its_run(place: str) -> None:
    strategy = {"blueGreen": {"activeService": "app", place: EVERYTHING}}
    theatre = Theatre(stories.rollout(strategy, replicas=2), [stories.service("app"), *all_templates()], services=())
    async with theatre:
        await update(theatre)

    assert_everything(only(theatre))


async def test_a_template_that_appears_on_the_second_level_lets_the_update_go_on() -> None:
    outer, *inner = all_templates()
    async with canary({"analysis": EVERYTHING}, templates=[outer]) as theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.status.get("phase") == "Degraded")
        assert "AnalysisTemplate all: spec.templates[0].templateName: AnalysisTemplate rate not found" in str(
            theatre.status["message"]
        )
        for template in inner:
            theatre.cluster.create(template)
        await theatre.play(lambda: theatre.is_at("Healthy"))


def by_hand(name: str, query: str = "{{args.what}}", **spec: Any) -> Obj:
    """A run that a person creates from a template, as `kubectl argo rollouts create analysisrun` does."""
    run = stories.template(name, query)
    return {**run, "kind": "AnalysisRun", "spec": {**run["spec"], "args": [{"name": "what", "value": "good"}], **spec}}


async def test_a_run_that_a_person_creates_is_carried_out_without_any_rollout() -> None:
    async with canary({"setWeight": 50}, templates=[]) as theatre:
        theatre.cluster.create(by_hand("mine"))
        theatre.cluster.create(by_hand("bad", args=[{"name": "what", "value": "bad"}]))
        await theatre.play(lambda: bool(phase(theatre, "mine")) and bool(phase(theatre, "bad")))

    assert (phase(theatre, "mine"), phase(theatre, "bad")) == ("Successful", "Failed")


TTL = [
    # (the answer, ttlStrategy, seconds that the run is kept)
    ("good", {"secondsAfterCompletion": 60}, 60),
    ("good", {"secondsAfterCompletion": 60, "secondsAfterSuccess": 30, "secondsAfterFailure": 90}, 30),
    ("good", {"secondsAfterCompletion": 60, "secondsAfterFailure": 90}, 60),
    ("bad", {"secondsAfterCompletion": 60, "secondsAfterSuccess": 30, "secondsAfterFailure": 90}, 90),
    ("bad", {"secondsAfterCompletion": 60, "secondsAfterFailure": 0}, 0),
    ("bad", {"secondsAfterSuccess": 30}, None),
    ("good", {}, None),
]


@pytest.mark.parametrize(("answer", "strategy", "kept"), TTL)
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_run_is_deleted_when_its_time_is_over(
    answer: str, strategy: Obj, kept: float | None, restarted: bool
) -> None:
    async with canary({"setWeight": 50}, templates=[]) as theatre:
        theatre.cluster.create(by_hand("mine", answer, ttlStrategy=strategy))
        clock = asyncio.get_running_loop().time
        began = clock()
        gone_at: list[float] = []
        theatre.cluster.observers.append(lambda w: gone_at.append(clock()) if w.verb == "delete" else None)
        if restarted:
            await theatre.play(lambda: bool(phase(theatre, "mine")) or bool(gone_at))
        await theatre.play(lambda: bool(gone_at) or clock() > began + 200)

        assert [at - began for at in gone_at] == ([] if kept is None else [pytest.approx(kept, abs=1.1)])


async def test_a_run_whose_spec_could_not_be_read_is_deleted_too() -> None:
    async with canary({"setWeight": 50}, templates=[]) as theatre:
        theatre.cluster.create(by_hand("mine", "{{args.gone}}", ttlStrategy={"secondsAfterFailure": 20}))
        await theatre.play(lambda: phase(theatre, "mine") == "Error")
        await theatre.play(lambda: phase(theatre, "mine") is None)


async def test_a_run_that_a_rollout_names_outlives_its_time() -> None:
    """Without its run a rollout would ask the analysis again, and an aborted one could not say why."""
    async with canary({"analysis": {"templates": [{"templateName": "rate"}]}}, templates=[bad("rate")]) as theatre:
        await update(theatre, "Degraded")
        name = only(theatre)["metadata"]["name"]
        theatre.cluster.patch("AnalysisRun", name, {"spec": {"ttlStrategy": {"secondsAfterCompletion": 1}}})
        until = asyncio.get_running_loop().time() + 60
        await theatre.play(lambda: asyncio.get_running_loop().time() > until)
        assert phase(theatre, name) == "Failed"

        theatre.set_image("app:v1")

        await theatre.play(lambda: phase(theatre, name) is None)


def bad(name: str) -> Obj:
    return stories.template(name, "bad")


async def test_only_so_many_ended_runs_are_kept_and_not_those_of_revisions_that_are_gone() -> None:
    """The limits of spec.analysis, and what outlives its ReplicaSet."""
    template = stories.template("rate", "good")
    theatre = canary({"analysis": {"templates": [{"templateName": "rate"}]}}, {"setWeight": 50}, templates=[template])
    theatre.rollout["spec"] |= {
        "analysis": {"successfulRunHistoryLimit": 2, "unsuccessfulRunHistoryLimit": 1},
        "revisionHistoryLimit": 4,
    }
    async with theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        for number in range(2, 7):
            theatre.provider.answers = {"good": float(number not in (3, 4))}
            theatre.set_image(f"app:v{number}")
            end = "Degraded" if number in (3, 4) else "Healthy"
            await theatre.play(lambda end=end: theatre.is_at(end))  # type: ignore[misc]
            await asyncio.sleep(1)
        await theatre.play(lambda: theatre.is_at("Healthy") and len(runs(theatre)) == 3)
        kept = {int(run["metadata"]["annotations"]["rollout.argoproj.io/revision"]) for run in runs(theatre)}
        assert kept == {4, 5, 6}

        theatre.cluster.patch("Rollout", "app", {"spec": {"revisionHistoryLimit": 0}})

        await theatre.play(lambda: len(runs(theatre)) == 1)
        assert only(theatre)["metadata"]["annotations"]["rollout.argoproj.io/revision"] == "6"


DOUBTFUL: Obj = {"successCondition": "result[0] > 5", "failureCondition": "result[0] < 0"}
"""Neither for an answer of 1: inconclusive."""


def doubtful(**fields: Any) -> list[Obj]:
    return [stories.template("rate", "good", **DOUBTFUL, **fields)]


INLINE: Obj = {"analysis": {"templates": [{"templateName": "rate"}]}}


def paused_for(theatre: Theatre) -> list[str]:
    return [condition["reason"] for condition in theatre.status.get("pauseConditions") or ()]


def is_in_doubt(theatre: Theatre) -> bool:
    return "InconclusiveAnalysisRun" in paused_for(theatre) and theatre.is_at("Paused")


async def in_doubt(theatre: Theatre) -> None:
    theatre.deploy()
    await theatre.play(lambda: theatre.is_at("Healthy"))
    theatre.set_image("app:v2")
    await theatre.play(lambda: is_in_doubt(theatre))


async def test_a_step_in_doubt_waits_for_ever_and_does_not_become_overdue() -> None:
    """Argo Rollouts #3015: no verdict is neither a failure nor a success, and only a person can make it one."""
    async with canary({"setWeight": 50}, INLINE, templates=doubtful()) as theatre:
        theatre.rollout["spec"]["progressDeadlineSeconds"] = 20
        await in_doubt(theatre)
        until = asyncio.get_running_loop().time() + 120
        await theatre.play(lambda: asyncio.get_running_loop().time() > until)

        assert theatre.is_at("Paused") and theatre.status["currentStepIndex"] == 1
        assert len(runs(theatre)) == 1
        entry = theatre.status["canary"]["currentStepAnalysisRunStatus"]
        assert entry["status"] == "Inconclusive" and "inconclusiveLimit (0)" in entry["message"]


@pytest.mark.parametrize("after", [{"pause": {}}, INLINE])
async def test_promoting_a_step_in_doubt_goes_on_to_the_next_one_and_not_further(after: Obj) -> None:
    """`kubectl argo rollouts promote` clears the pause and the controller's mark, and counts the step up."""
    async with canary({"setWeight": 50}, INLINE, after, templates=doubtful()) as theatre:
        await in_doubt(theatre)

        theatre.ask(pauseConditions=None, controllerPause=False, currentStepIndex=2)

        await theatre.play(lambda: bool(paused_for(theatre)))
        assert theatre.status["currentStepIndex"] == 2
        first, *more = runs(theatre)
        assert first["metadata"]["labels"]["step-index"] == "1"
        if after is INLINE:
            assert paused_for(theatre) == ["InconclusiveAnalysisRun"]
            assert [run["metadata"]["labels"]["step-index"] for run in more] == ["2"]
        else:
            assert paused_for(theatre) == ["CanaryPauseStep"] and not more


async def test_resuming_a_step_in_doubt_asks_its_question_again() -> None:
    """What Argo CD's action does: it clears the pause and nothing else. As in Argo Rollouts that is a new question,
    not an answer, so that a resume by habit can't let a doubtful version through."""
    async with canary({"setWeight": 50}, INLINE, templates=doubtful()) as theatre:
        await in_doubt(theatre)
        theatre.provider.answers = {"good": 9.0}

        theatre.ask(pauseConditions=None)

        await theatre.play(lambda: theatre.is_at("Healthy"))
        assert sorted(run["status"]["phase"] for run in runs(theatre)) == ["Inconclusive", "Successful"]


async def test_a_background_in_doubt_that_is_resumed_is_asked_again_and_can_still_undo() -> None:
    steps = ({"setWeight": 50}, {"pause": {"duration": 300}})
    background = {"templates": [{"templateName": "rate"}]}
    async with canary(*steps, templates=doubtful(interval="1s"), analysis=background) as theatre:
        await in_doubt(theatre)
        theatre.provider.answers = {"good": -1.0}

        theatre.ask(pauseConditions=None)

        await theatre.play(lambda: theatre.is_at("Degraded"))
        assert sorted(run["status"]["phase"] for run in runs(theatre)) == ["Failed", "Inconclusive"]


@pytest.mark.parametrize("place", ["prePromotionAnalysis", "postPromotionAnalysis"])
async def test_blue_green_in_doubt_goes_on_when_a_second_answer_is_good(place: str) -> None:
    strategy = {"blueGreen": {"activeService": "app", place: {"templates": [{"templateName": "rate"}]}}}
    theatre = Theatre(stories.rollout(strategy, replicas=2), [stories.service("app"), *doubtful()], services=())
    async with theatre:
        await in_doubt(theatre)
        flipped = place == "postPromotionAnalysis"
        assert (theatre.status["blueGreen"]["activeSelector"] == theatre.status["currentPodHash"]) is flipped
        theatre.provider.answers = {"good": 9.0}

        theatre.ask(pauseConditions=None)

        await theatre.play(lambda: theatre.is_at("Healthy"))


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.02, 0.1, 2.5])
async def test_a_person_ends_a_run_at_any_moment(moment: float) -> None:
    """`kubectl argo rollouts terminate analysisrun`, also between the question and its answer."""
    async with canary(
        INLINE, {"setWeight": 50}, templates=[stories.template("rate", "good", count=9, interval="1s")]
    ) as theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        theatre.set_image("app:v2")
        loop = asyncio.get_running_loop()

        def end(_: object = None) -> None:
            if runs(theatre):
                theatre.cluster.patch("AnalysisRun", only(theatre)["metadata"]["name"], {"spec": {"terminate": True}})

        def created(written: Any) -> None:
            if written.kind == "AnalysisRun" and written.verb == "create":
                loop.call_later(moment, end)

        theatre.cluster.observers.append(created)
        await theatre.play(lambda: theatre.is_at("Healthy"))

        status = only(theatre)["status"]
        assert (status["phase"], status["message"]) == ("Successful", "Run Terminated")
        assert sum(result.get("count", 0) for result in status.get("metricResults", [])) <= 4 < 9


async def test_a_new_template_that_lacks_the_field_of_an_argument_is_refused_though_the_strategy_is_the_same() -> None:
    """What is wrong with analyses is not looked for again where only an image changes, unless they read fields."""
    where = "spec.template.metadata.annotations['example.com/team']"
    argument = {"name": "team", "valueFrom": {"fieldRef": {"fieldPath": where}}}
    template = stories.template("rate", "good")
    template["spec"]["args"] = [{"name": "team"}]
    analysis = {"analysis": {"templates": [{"templateName": "rate"}], "args": [argument]}}
    async with canary(analysis, templates=[template]) as theatre:
        theatre.rollout["spec"]["template"]["metadata"]["annotations"] = {"example.com/team": "shop"}
        theatre.deploy()

        def in_one_process() -> Iterator[None]:
            while not theatre.is_at("Healthy"):
                yield
            bare = {"spec": {"template": {"metadata": {"annotations": None}}}}
            theatre.cluster.patch("Rollout", "app", bare)
            while not theatre.is_at("Degraded"):
                yield

        story = in_one_process()
        await theatre.play(lambda: next(story, story) is story)
        assert where in theatre.status["message"]
        assert len(theatre.cluster.peek_all("ReplicaSet")) == 1, "the update has begun"
