"""Which events a Rollout's story causes. Notifications and people's scripts wait for these reasons."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given

from tests.rollout import generated
from tests.rollout.generated import PEOPLE, PODS, STRANGERS, Move, stories
from tests.rollout.objects import ANALYSIS, Obj, blue_green, canary, trial
from tests.rollout.stage import NAMESPACE, ROLLOUT, Stage, Verdict, deployed
from tests.rollout.test_generated_stories import FEW, REPLICAS, VERDICTS, tell
from tidegate.core.plan import Event, Key, Write

DOCUMENT = Path(__file__).parents[2] / "docs" / "events.md"
ONE_STEP = canary({"setWeight": 50}, {"pause": {}})
TOLD_BY_WRITES = {"ScalingReplicaSet", "SwitchService", "UpdatedDestinationRule", "TrafficWeightUpdated"}


def update(stage: Stage) -> None:
    stage.image("v2")
    stage.play(20)


def resume(stage: Stage) -> None:
    update(stage)
    stage.user(pauseConditions=None)
    stage.play(20)


def abort(stage: Stage) -> None:
    update(stage)
    stage.user(abort=True)
    stage.play(20)


def retry(stage: Stage) -> None:
    abort(stage)
    stage.user(abort=False)
    stage.play(20)


def claim_a_commit_time_that_is_none(stage: Stage) -> None:
    stage.edit(ROLLOUT, {"metadata": {"annotations": {"tidegate.dev/commit-time": "yesterday"}}})
    resume(stage)


def go_back(stage: Stage) -> None:
    update(stage)
    stage.image("v1")
    stage.play(20)


def go_back_within_the_window(stage: Stage) -> None:
    stage.spec(rollbackWindow={"revisions": 1})
    update(stage)
    stage.user(promoteFull=True)
    stage.play(20)
    stage.told.clear()
    stage.image("v1")
    stage.play(20)


def never_start(stage: Stage) -> None:
    stage.boot["v2"] = None
    stage.image("v2")
    stage.play(700)


def lose_route(stage: Stage) -> None:
    stage.remove(Key("VirtualService", NAMESPACE, "app"))
    stage.play(60)


def lose_rule(stage: Stage) -> None:
    stage.remove(Key("DestinationRule", NAMESPACE, "app"))
    stage.play(60)


BEGUN = ["NewReplicaSetCreated", "RolloutUpdated", "RolloutNotCompleted"]
TRIED = canary(trial(None, analyses=[{"name": "look", "templateName": "ok"}], duration="1h"))
WITH_RUN = canary({"setWeight": 50}, {"analysis": ANALYSIS})
STORIES: dict[str, tuple[Obj, str, Callable[[Stage], None], list[str]]] = {
    "a pause": (ONE_STEP, "", update, [*BEGUN, "RolloutStepCompleted", "RolloutPaused"]),
    "a person goes on": (
        ONE_STEP,
        "",
        resume,
        [*BEGUN, "RolloutStepCompleted", "RolloutPaused", "RolloutResumed", "RolloutStepCompleted", "RolloutCompleted"],
    ),
    "an experiment that fails": (
        TRIED,
        "Failed",
        update,
        [*BEGUN, "ExperimentCreated", "ExperimentFailed", "RolloutAborted"],
    ),
    "a pause of some seconds": (
        canary({"pause": {"duration": 2}}),
        "",
        update,
        [*BEGUN, "RolloutPaused", "RolloutResumed", "RolloutStepCompleted", "RolloutCompleted"],
    ),
    "one pause after the other": (
        canary({"pause": {"duration": 2}}, {"pause": {}}),
        "",
        update,
        [*BEGUN, "RolloutPaused", "RolloutResumed", "RolloutStepCompleted", "RolloutPaused"],
    ),
    "a commit time that is none": (
        ONE_STEP,
        "",
        claim_a_commit_time_that_is_none,
        [
            *(*BEGUN, "RolloutStepCompleted", "RolloutPaused", "RolloutResumed"),
            *("RolloutStepCompleted", "RolloutCompleted", "InvalidAnnotation"),
        ],
    ),
    "a person gives up": (ONE_STEP, "", abort, [*BEGUN, "RolloutStepCompleted", "RolloutPaused", "RolloutAborted"]),
    "a person tries again": (
        ONE_STEP,
        "",
        retry,
        [
            *(*BEGUN, "RolloutStepCompleted", "RolloutPaused", "RolloutAborted"),
            *("RolloutRetry", "RolloutStepCompleted", "RolloutPaused"),
        ],
    ),
    "the template goes back to stable's": (
        ONE_STEP,
        "",
        go_back,
        [*BEGUN, "RolloutStepCompleted", "RolloutPaused", "RolloutUpdated", "SkipSteps"],
    ),
    "the template goes back within the window": (
        ONE_STEP,
        "",
        go_back_within_the_window,
        ["RolloutUpdated", "SkipSteps", "RolloutCompleted"],
    ),
    "blue-green's goes back within the window": (
        blue_green(autoPromotionEnabled=False, scaleDownDelaySeconds=5),
        "",
        go_back_within_the_window,
        ["RolloutUpdated", "SkipSteps", "RolloutNotCompleted", "RolloutCompleted"],
    ),
    "a run that passes": (
        WITH_RUN,
        "Successful",
        update,
        [
            *(*BEGUN, "RolloutStepCompleted", "AnalysisRunRunning", "AnalysisRunSuccessful"),
            *("RolloutStepCompleted", "RolloutCompleted"),
        ],
    ),
    "a run that fails": (
        WITH_RUN,
        "Failed",
        update,
        [*BEGUN, "RolloutStepCompleted", "AnalysisRunRunning", "AnalysisRunFailed", "RolloutAborted"],
    ),
    "a run that can't tell": (
        WITH_RUN,
        "Inconclusive",
        update,
        [*BEGUN, "RolloutStepCompleted", "AnalysisRunRunning", "AnalysisRunInconclusive", "RolloutPaused"],
    ),
    "a comparison without a verdict": (
        canary({"setWeight": 50}, analysis=ANALYSIS),
        "",
        update,
        [*BEGUN, "AnalysisRunRunning", "AnalysisRunUndecided", "RolloutPaused"],
    ),
    "a preview whose run breaks": (
        blue_green(prePromotionAnalysis=ANALYSIS),
        "Error",
        update,
        [*BEGUN, "AnalysisRunRunning", "AnalysisRunError", "RolloutAborted"],
    ),
    "pods that never get ready": (ONE_STEP, "", never_start, [*BEGUN, "ProgressDeadlineExceeded"]),
    "a field that does nothing": (
        canary({"setWeight": 50}, {"pause": {}}, how="pods", minPodsPerReplicaSet=2),
        "",
        update,
        [
            "NewReplicaSetCreated",
            "RolloutUpdated",
            "RolloutNotCompleted",
            "FieldWithoutEffect",
            "RolloutStepCompleted",
            "RolloutPaused",
        ],
    ),
    "a route that is gone": (ONE_STEP, "", lose_route, ["InvalidSpec", "VirtualServiceNotFound"]),
    "a rule that is gone": (canary(how="subsets"), "", lose_rule, ["InvalidSpec", "DestinationRuleNotFound"]),
}
WARNINGS = {
    "ExperimentFailed",
    "AnalysisRunError",
    "AnalysisRunFailed",
    "AnalysisRunUndecided",
    "DestinationRuleNotFound",
    "FieldWithoutEffect",
    "InvalidAnnotation",
    "InvalidSpec",
    "ProgressDeadlineExceeded",
    "RolloutAborted",
    "VirtualServiceNotFound",
}


def play(name: str) -> list[Event]:
    strategy, verdict, story, _ = STORIES[name]
    runs = {kind: [Verdict(verdict or "Successful")] for kind in ("Step", "PrePromotion", "Experiment")}
    runs["Background"] = [Verdict(after=None, judge={"undecided": "neither better nor worse"})]
    stage = deployed(strategy, stage=Stage(verdicts=runs))
    stage.told.clear()
    story(stage)
    return stage.told


@pytest.mark.parametrize("name", STORIES)
def test_given_a_story_when_played_then_each_change_is_told_once_and_in_order(name: str) -> None:
    told = [event for event in play(name) if event.reason not in TOLD_BY_WRITES]
    assert [event.reason for event in told] == STORIES[name][3]
    assert {event.reason for event in told if event.type == "Warning"} == WARNINGS & {event.reason for event in told}


def test_given_runs_when_they_end_then_the_message_names_run_and_phases_in_argos_words() -> None:
    [ended] = [event for event in play("a run that fails") if event.reason == "AnalysisRunFailed"]
    form = r"Step Analysis Run 'app-[a-z0-9]+-2-1' Status New: 'Failed' Previous: 'Running'"
    assert re.fullmatch(form, ended.message)


def test_given_the_list_of_events_when_read_then_it_has_every_reason_that_is_told_and_no_other() -> None:
    stories_told = {event.reason for name in STORIES for event in play(name)}
    by_subsets = deployed(canary({"setWeight": 50}, how="subsets"))
    update(by_subsets)
    refused = {
        "ReplicaSetCreateError",
        "ReconciliationError",
    }  # What an API server refuses: tests/engine/test_refused_writes.py
    told = stories_told | set(by_subsets.events) | refused
    section = DOCUMENT.read_text().split("## About a Rollout")[1].split("## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == told


@FEW
@given(generated.canaries(), REPLICAS, VERDICTS, stories(PEOPLE, PODS, STRANGERS))
def test_given_any_canary_when_it_is_over_then_no_change_was_told_twice(
    strategy: Obj, replicas: int, verdicts: dict[str, list[Verdict]], story: list[Move]
) -> None:
    stage = tell(strategy, replicas, verdicts, story)
    ended = [e for e in stage.told if e.reason.startswith("AnalysisRun") and "Running' Prev" not in e.message]
    ends = Counter(re.findall(r"Analysis Run '(.+?)'", " ".join(e.message for e in ended)))
    # Where somebody has deleted a ReplicaSet with its runs, one of the same name may be made again, and end again.
    made = Counter(write.key.name for write in stage.writes if is_new_run(write))
    assert not ends - made
    pauses = [e.reason for e in stage.told if e.reason in ("RolloutPaused", "RolloutResumed")]
    assert not [pair for pair in pairwise(pauses) if pair == ("RolloutResumed", "RolloutResumed")]


def is_new_run(write: Write) -> bool:
    return write.verb == "create" and write.key.kind == "AnalysisRun"
