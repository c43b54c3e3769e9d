"""A background analysis that compares and has no verdict when the last step that it can compare at is behind: held and
told, until there is a verdict or a person's word, or what the template says of that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.crash import stories
from tests.rollout.objects import Obj, canary
from tests.rollout.stage import Stage, Verdict, deployed, set_up
from tests.rollout.test_judged_pauses import background, played, update
from tidegate.api import names
from tidegate.api.parsing import parse_rollout
from tidegate.core.analysis.nesting import TemplateName
from tidegate.core.plan import Write
from tidegate.core.rollout.analyses import check_analyses

ANALYSIS: Obj = {"templates": [{"templateName": "ok"}]}
SO_SO = {"undecided": 'Metric "errors": 1.4 times as often; 60 % of the evidence'}
TOO_FEW = {"hold": 'Metric "errors" has had too little traffic for a verdict'}
W20, W50, W100 = ({"setWeight": weight} for weight in (20, 50, 100))
BRIEF: Obj = {"pause": {"duration": 5}}
LEAD: Obj = {"setHeaderRoute": {"name": "lead", "match": [{"headerName": "b", "headerValue": {"exact": "y"}}]}}
TWO_PODS: Obj = {"setCanaryScale": {"replicas": 2}}


def judged(*steps: Obj, judge: Obj, policy: str = "pause", start: int = 0, **spec: Any) -> Stage:
    """v2 is on its way, and this is what its background analysis has found for the next minutes."""
    verdicts = {"Background": [Verdict(after=None, judge=judge, undecided=policy)], "Step": [Verdict()]}
    strategy = canary(*steps, analysis={**ANALYSIS, "startingStep": start})
    stage = deployed(strategy, replicas=4, stage=Stage(verdicts=verdicts, twice=True), **spec)
    stage.put(stories.comparing("ok", count=3))
    stage.image("v2")
    return stage.play(60)


def told(stage: Stage) -> str:
    found: str = (stage.status["canary"].get("currentBackgroundAnalysisRunStatus") or {}).get("message", "")
    return found


def undecided(stage: Stage) -> list[str]:
    return [event.message for event in stage.told if event.reason == names.REASON_UNDECIDED]


@pytest.mark.parametrize(
    ("steps", "start", "at"),
    [
        ((W50, BRIEF), 0, 1),
        ((W20, W50), 0, 1),
        ((W50, BRIEF, W100, BRIEF), 0, 1),
        ((W20, W50, W100), 1, 1),
        ((W50, {"analysis": ANALYSIS}), 0, 1),
        ((TWO_PODS, LEAD, BRIEF, W100), 0, 2),
        ((W50, BRIEF, TWO_PODS), 2, 2),
    ],
)
def test_no_verdict_pauses_before_the_last_step_that_has_users_on_both_versions_is_left(
    steps: tuple[Obj, ...], start: int, at: int
) -> None:
    stage = judged(*steps, judge=SO_SO, start=start)

    assert stage.phase() == ("Paused", "InconclusiveAnalysisRun") and stage.status["currentStepIndex"] == at
    assert "60 % of the evidence" in told(stage) and "Promote it to go on now, or abort it" in told(stage)
    (event,) = undecided(stage)
    assert "whenUndecided is pause, so the update waits" in event and "60 % of the evidence" in event
    run = next(obj for key, obj in stage.objects.items() if key.kind == "AnalysisRun" and "analysis" not in key.name)
    assert not run["spec"].get("terminate"), "it looks on"
    stage.play(3600)
    assert stage.phase() == ("Paused", "InconclusiveAnalysisRun"), "however long it takes"


@pytest.mark.parametrize("steps", [(W50, BRIEF), (W20, W50), (W50, {"analysis": ANALYSIS}), (W50, BRIEF, W100, BRIEF)])
def test_it_goes_on_by_itself_once_the_canary_is_safe_or_when_a_person_says_so(steps: tuple[Obj, ...]) -> None:
    safe = judged(*steps, judge=SO_SO)
    safe.found(safe=True)
    safe.play(120)
    person = judged(*steps, judge=SO_SO)
    person.user(pauseConditions=None)
    person.play(120)

    for stage in (safe, person):
        assert stage.phase() == ("Healthy", "") and len(undecided(stage)) == 1
        assert names.REASON_RESUMED in [event.reason for event in stage.told]


def test_while_it_waits_the_sentence_is_the_latest_and_traffic_may_lack_again() -> None:
    stage = judged(W50, BRIEF, judge=SO_SO)
    for judge in ({"undecided": "1.3 times as often"}, TOO_FEW):
        stage.found(**judge)
        stage.play(5)
        assert next(iter(judge.values())) in told(stage)
    assert stage.phase() == ("Paused", "InconclusiveAnalysisRun")


def test_a_pause_for_a_steps_own_analysis_is_not_ended_by_the_background_finding_the_canary_safe() -> None:
    verdicts = {"Background": [Verdict(after=None, judge={"safe": True})], "Step": [Verdict("Inconclusive")]}
    strategy = canary(W50, {"analysis": ANALYSIS}, analysis=ANALYSIS)
    stage = deployed(strategy, replicas=4, stage=Stage(verdicts=verdicts, twice=True))
    stage.image("v2")
    stage.play(600)

    assert stage.phase() == ("Paused", "InconclusiveAnalysisRun")


def test_a_canary_that_is_found_worse_meanwhile_is_undone() -> None:
    stage = judged(W50, BRIEF, judge=SO_SO)
    run = next(obj for key, obj in stage.objects.items() if key.kind == "AnalysisRun")
    stage.store({**run, "status": {"phase": "Failed", "message": "canary fails 3 times as often"}})
    stage.play(60)

    assert stage.phase()[0] == "Degraded" and "3 times as often" in stage.phase()[1]


def test_promote_goes_on_and_says_so() -> None:
    stage = judged(W50, BRIEF, judge=SO_SO, policy="promote")

    assert stage.phase() == ("Healthy", "")
    (event,) = undecided(stage)
    assert "whenUndecided is promote, so the update goes on: Metric" in event


@pytest.mark.parametrize("steps", [(W50, BRIEF), (W20, W50), (W20, BRIEF, W50)])
def test_undo_is_written_down_and_then_undone(steps: tuple[Obj, ...]) -> None:
    stage = judged(*steps, judge=SO_SO, policy="undo")

    phase, message = stage.phase()
    assert phase == "Degraded" and "whenUndecided is undo" in message and "60 % of the evidence" in message
    assert stage.weight() == 0 and stage.status["abort"] and not stage.status.get("pauseConditions")
    first = next(status for status in stage.statuses if status.get("abort"))
    assert first["canary"]["weights"]["canary"]["weight"] == 50, "the decision came before what follows from it"


def test_the_run_is_not_ended_before_it_is_written_down_what_it_was_ended_for() -> None:
    """Or its end, which is none of worse, would be found in place of its lack of a verdict by who takes over."""
    written: list[bool] = []

    class Watched(Stage):
        def carry_out(self, write: Write) -> None:
            if write.key.kind == "AnalysisRun" and write.verb == "patch":
                written.append(bool(self.status.get("abort")))
            super().carry_out(write)

    background = [Verdict(after=None, judge=SO_SO, undecided="undo")]
    strategy = canary(W50, BRIEF, analysis=ANALYSIS)
    stage = deployed(strategy, replicas=4, stage=Watched(verdicts={"Background": background}))
    stage.image("v2")
    stage.play(60)

    assert written == [True]


@pytest.mark.parametrize("policy", ["pause", "promote", "undo"])
def test_too_little_traffic_holds_whatever_the_policy_says_and_is_no_lack_of_progress(policy: str) -> None:
    deadline = {"progressDeadlineSeconds": 30, "progressDeadlineAbort": True}
    for steps in ((W20, W50), (W50, {"analysis": ANALYSIS}), (W20, W50, W100)):
        stage = judged(*steps, judge=TOO_FEW, policy=policy, **deadline)
        stage.play(600)
        assert stage.phase() == ("Progressing", "more replicas need to be updated"), steps
        assert told(stage).startswith(TOO_FEW["hold"]) and not undecided(stage)
        stage.found(safe=True)
        stage.play(60)
        assert stage.phase() == ("Healthy", ""), steps


@pytest.mark.parametrize("policy", ["pause", "promote", "undo"])
def test_planned_looks_are_waited_for_before_no_verdict_means_anything(policy: str) -> None:
    for steps, phase in (
        ((W20, W50), "Progressing"),
        ((W50, BRIEF), "Paused"),
        ((W50, {"analysis": ANALYSIS}), "Progressing"),
    ):
        stage = judged(*steps, judge={**SO_SO, "looksLeft": 7}, policy=policy)

        assert stage.phase()[0] == phase and stage.status["currentStepIndex"] == 1
        assert "has 7 looks yet to take: Metric" in told(stage) and not undecided(stage)
        assert [event.reason for event in stage.told].count("RolloutPaused") == (phase == "Paused"), "it pauses once"
        stage.found(**SO_SO)
        stage.play(120)
        assert stage.phase()[0] == {"pause": "Paused", "promote": "Healthy", "undo": "Degraded"}[policy]


def test_a_pause_at_which_only_one_version_has_users_is_not_held_for_traffic_that_cannot_come() -> None:
    stage = judged(BRIEF, TWO_PODS, BRIEF, W50, {"pause": {}}, W100, BRIEF, judge=TOO_FEW)
    assert stage.phase() == ("Paused", "CanaryPauseStep") and stage.status["currentStepIndex"] == 4

    stage.user(pauseConditions=None)
    stage.play(60)
    assert stage.phase() == ("Healthy", ""), "a person's word stands for the verdict"


def test_a_step_that_is_passed_at_once_is_not_left_before_its_analysis_has_begun() -> None:
    """The analysis begins with a step that is done when it is reached."""
    stage = judged(W50, TWO_PODS, judge=SO_SO, start=1)

    assert stage.phase() == ("Paused", "InconclusiveAnalysisRun") and stage.status["currentStepIndex"] == 1


def test_a_person_ends_a_run_that_holds_and_the_next_one_is_asked() -> None:
    stage = judged(W50, BRIEF, judge=SO_SO)
    for key, run in list(stage.objects.items()):
        if key.kind == "AnalysisRun":
            stage.store({**run, "status": {"phase": "Inconclusive", "message": "ended before there was a verdict"}})
    stage.play(30)
    assert stage.phase() == ("Paused", "InconclusiveAnalysisRun"), "an ended run finds nothing any more"
    stage.user(pauseConditions=None)
    stage.play(30)
    assert sum(key.kind == "AnalysisRun" for key in stage.objects) == 2
    stage.found(safe=True)
    stage.play(60)
    assert stage.phase() == ("Healthy", "")


def test_a_person_goes_on_past_a_run_that_has_ended_without_a_verdict() -> None:
    """Resume asks a new run, as ever, but the last step is not held for that."""
    for steps in ((W20, W50), (W50, {"analysis": ANALYSIS})):
        stage = judged(*steps, judge=SO_SO)
        for key, run in list(stage.objects.items()):
            if key.kind == "AnalysisRun" and (run.get("status") or {}).get("phase") == "Running":
                stage.store({**run, "status": {"phase": "Inconclusive", "message": "no verdict until the end"}})
        stage.play(30)
        assert stage.phase() == ("Paused", "InconclusiveAnalysisRun")
        stage.verdicts = {"Background": [Verdict(after=None, judge=TOO_FEW)]}
        stage.user(pauseConditions=None)
        stage.play(60)
        assert stage.phase() == ("Healthy", ""), steps


def test_an_analysis_that_does_not_compare_costs_nothing_and_holds_nothing() -> None:
    strategy = canary(W50, BRIEF, W100, analysis=ANALYSIS)
    stage = deployed(strategy, stage=Stage(verdicts={"Background": [Verdict(after=None)]}, twice=True))
    stage.image("v2")
    stage.play(60)

    assert stage.phase() == ("Healthy", "") and not undecided(stage)
    assert all(
        not (each["canary"].get("currentBackgroundAnalysisRunStatus") or {}).get("message") for each in stage.statuses
    )


# -- what could never be compared


def problems(*steps: Obj, start: int = 0, dry: bool = False, **compare: Any) -> list[str]:
    metric = stories.comparing("ok")
    (only,) = metric["spec"]["metrics"]
    only["compare"] |= compare
    if dry:
        metric["spec"]["dryRun"] = [{"metricName": ".*"}]
    strategy = canary(*steps, analysis={**ANALYSIS, "startingStep": start})
    raw = stories.rollout(strategy)
    spec, wrong = parse_rollout(raw)
    assert spec is not None and not wrong, wrong
    return [str(each) for each in check_analyses(raw, spec, {TemplateName(False, "ok"): metric})]


@pytest.mark.parametrize(
    ("steps", "start", "told"),
    [
        ((), 0, "spec.strategy.canary.steps: is required: metric success compares the canary with stable"),
        ((W100,), 0, "spec.strategy.canary.steps: metric success compares the canary with stable, and would never see"),
        ((BRIEF, W100, BRIEF), 0, "add a setWeight below 100 and a pause"),
        (
            (W50, BRIEF, W100, BRIEF),
            2,
            "spec.strategy.canary.analysis.startingStep: is 2: metric success compares the canary with stable, and "
            "would never see users of both from there on; step 1 is the last at which both have some",
        ),
        ((W50, BRIEF, W100, BRIEF), 1, ""),
        ((W50, W100), 0, ""),
        ((TWO_PODS, LEAD, BRIEF), 0, ""),
    ],
)
def test_a_comparison_that_would_never_see_both_versions_is_refused(
    steps: tuple[Obj, ...], start: int, told: str
) -> None:
    found = problems(*steps, start=start)

    assert told in found[0] if told else not found, found


def test_what_is_only_watched_or_has_arms_of_its_own_is_not() -> None:
    other = {"arms": {"stable": {"podTemplateHash": "6f"}}}
    assert problems(W100, dry=True) == []
    assert problems(W100, BRIEF, **other) == []
    assert "is required" in problems(**other)[0], "there is no step to hold the update at"


def test_arms_of_its_own_are_judged_before_the_promotion() -> None:
    """Whom the template compares the canary with has users of its own, whatever the Rollout's weights are."""
    verdicts = {"Background": [Verdict(after=None, judge=SO_SO)]}
    stage = set_up(canary(W100, BRIEF, analysis=ANALYSIS), replicas=4, stage=Stage(verdicts=verdicts, twice=True))
    own = stories.comparing("ok")
    own["spec"]["metrics"][0]["compare"]["arms"] = {"stable": {"namespace": "other", "podTemplateHash": "6f"}}
    stage.put(own)
    stage.settle()
    stage.image("v2")
    stage.play(60)

    assert stage.phase() == ("Paused", "InconclusiveAnalysisRun") and stage.status["currentStepIndex"] == 1


def test_it_is_told_on_the_rollout_before_an_update() -> None:
    stage = set_up(canary(W100, analysis=ANALYSIS))
    stage.put(stories.comparing("ok"))
    stage.settle()

    (invalid,) = [each["message"] for each in stage.status["conditions"] if each["type"] == "InvalidSpec"]
    assert invalid.startswith("spec.strategy.canary.steps: metric success compares the canary with stable")


# -- with the judge itself


@pytest.mark.looptime
async def test_the_judges_own_sentence_is_what_is_missing_and_its_verdict_takes_the_update_on() -> None:
    async with stories.unsure("pause") as theatre:
        await update(theatre)
        await theatre.play(lambda: theatre.status.get("message") == "InconclusiveAnalysisRun")
        await played(theatre, 30)
        message = background(theatre)["message"]
        assert "times as often" in message and "of the evidence" in message and "Promote it to go on now" in message
        (run,) = theatre.cluster.peek_all("AnalysisRun")
        assert run["status"]["phase"] == "Running" and run["status"]["judge"]["undecided"] in message

        theatre.provider.rates = {"canary": (20, 400), "stable": (20, 400)}
        await theatre.play(lambda: theatre.is_at("Healthy"))


@pytest.mark.looptime
async def test_the_judge_finds_nothing_and_the_update_is_undone() -> None:
    async with stories.unsure("undo") as theatre:
        await update(theatre)
        began = asyncio.get_running_loop().time()
        await theatre.play(lambda: theatre.is_at("Degraded"))
        assert asyncio.get_running_loop().time() - began > 30, "not before the pause is over"
        assert "whenUndecided is undo" in theatre.status["message"]
