"""What Argo CD shows of a Rollout, and what its actions do.

Argo CD has both built in, as scripts for this kind. The health check is written here from the contract (2.2), the
actions are the patches that it names (1.8). Health is asked after every single write, for a sync wave goes on at the
first Healthy that is seen, however short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given

from tests.rollout import generated
from tests.rollout.generated import PEOPLE, PODS, STRANGERS, Move, stories
from tests.rollout.objects import ANALYSIS, Obj, blue_green, canary
from tests.rollout.stage import ROLLOUT, Stage, Verdict, deployed
from tests.rollout.test_generated_stories import FEW, REPLICAS, VERDICTS
from tests.rollout.test_workload import DEPLOYMENT, referring, update, workload
from tidegate.api.names import WORKLOAD_GENERATION
from tidegate.core.times import format_time

SPEC_LAG = "waiting for rollout spec update to be observed"
WORKLOAD_LAG = "waiting for rollout spec update to be observed for the reference workload"


def health(rollout: Mapping[str, Any]) -> tuple[str, str]:
    """Status and message that Argo CD shows."""
    metadata, status = rollout["metadata"], rollout.get("status") or {}
    if "phase" not in status or int(status["observedGeneration"]) != metadata["generation"]:
        return "Progressing", SPEC_LAG
    workload = (metadata.get("annotations") or {}).get("rollout.argoproj.io/workload-generation")
    if workload is not None and workload != status.get("workloadObservedGeneration"):
        return "Progressing", WORKLOAD_LAG
    phase = status["phase"]
    return "Suspended" if phase == "Paused" else phase, status.get("message", "")


# -- the actions: the fields that Argo CD looks at to offer one, and the patch that it makes


def promoted(rollout: Obj) -> bool:
    return bool(rollout["status"]["currentPodHash"] == rollout["status"]["stableRS"])


def resume(stage: Stage) -> None:
    assert stage.status.get("pauseConditions") or stage.rollout["spec"].get("paused")
    stage.edit(ROLLOUT, {"spec": {"paused": None}, "status": {"pauseConditions": None}})


def abort(stage: Stage) -> None:
    assert not promoted(stage.rollout) and not stage.status.get("abort")
    stage.user(abort=True)


def retry(stage: Stage) -> None:
    assert not promoted(stage.rollout) and stage.status.get("abort")
    stage.user(abort=None)


def retry_and_clear_runs(stage: Stage) -> None:
    """As older versions do, which know of the runs."""
    assert stage.status.get("abort")
    runs = {
        "blueGreen": ("prePromotionAnalysisRunStatus", "postPromotionAnalysisRunStatus"),
        "canary": ("currentStepAnalysisRunStatus", "currentBackgroundAnalysisRunStatus"),
    }
    stage.user(abort=None, **{part: dict.fromkeys(slots) for part, slots in runs.items()})


def promote_full(stage: Stage) -> None:
    assert not promoted(stage.rollout) and not stage.status.get("promoteFull")
    stage.user(promoteFull=True)


def skip_current_step(stage: Stage) -> None:
    index = stage.status["currentStepIndex"]
    assert index < len(stage.rollout["spec"]["strategy"]["canary"]["steps"])
    stage.user(pauseConditions=None, currentStepIndex=index + 1)


def pause(stage: Stage) -> None:
    assert not promoted(stage.rollout) and not stage.rollout["spec"].get("paused")
    stage.spec(paused=True)


def restart(stage: Stage) -> None:
    stage.spec(restartAt=format_time(stage.now))


@dataclass
class Watched(Stage):
    """A stage whose Rollout Argo CD looks at after every write, its own and other people's."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    def put(self, obj: Obj) -> Obj:
        done = super().put(obj)
        self._look()
        return done

    def store(self, obj: Obj) -> None:
        super().store(obj)
        self._look()

    def _look(self) -> None:
        if ROLLOUT not in self.objects or self.rollout["metadata"].get("generation") is None:
            return
        self.seen.append(health(self.rollout))
        if self.seen[-1][0] == "Healthy":
            self._check_healthy()

    def _check_healthy(self) -> None:
        """Healthy means: the present template has all its pods, they are available, and every end leads to them."""
        given = self.rollout["spec"] if "template" in self.rollout["spec"] else self.objects[DEPLOYMENT]["spec"]
        image = given["template"]["spec"]["containers"][0]["image"]
        if image not in self.sets():
            assert given is not self.rollout["spec"], "only another object's change goes unseen"
            return
        own = self.sets()[image]
        wanted = self.rollout["spec"]["replicas"]
        hash_ = own["metadata"]["labels"]["rollouts-pod-template-hash"]
        assert (hash_, hash_) == (self.status["stableRS"], self.status["currentPodHash"])
        assert own["spec"]["replicas"] >= wanted

    def shown(self) -> list[str]:
        """The states that were seen, one after the other."""
        return [state for state, _ in groupby(state for state, _ in self.seen)]


STEPS = ({"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}})
BY_HOST, BY_SUBSET, BY_PODS = canary(*STEPS), canary(*STEPS, how="subsets"), canary(*STEPS, how="pods")
PREVIEW = blue_green(autoPromotionEnabled=False)
CANARIES = (BY_HOST, BY_SUBSET, BY_PODS)
ALL = (*CANARIES, PREVIEW)

UPDATED = ["Progressing", "Suspended"]
ACTIONS: list[tuple[tuple[Obj, ...], tuple[Callable[[Stage], None], ...], list[str]]] = [
    (CANARIES, (resume,), [*UPDATED, "Progressing", "Suspended"]),
    ((PREVIEW,), (resume,), [*UPDATED, "Healthy"]),
    (CANARIES, (resume, resume), [*UPDATED, "Progressing", "Suspended", "Progressing", "Healthy"]),
    (CANARIES, (skip_current_step,), [*UPDATED, "Progressing", "Suspended"]),
    (ALL, (abort,), [*UPDATED, "Degraded"]),
    (ALL, (abort, retry), [*UPDATED, "Degraded", "Progressing", "Suspended"]),
    (ALL, (abort, retry_and_clear_runs), [*UPDATED, "Degraded", "Progressing", "Suspended"]),
    (CANARIES, (promote_full,), [*UPDATED, "Progressing", "Healthy"]),
    ((PREVIEW,), (promote_full,), [*UPDATED, "Healthy"]),
    (CANARIES, (abort, retry, promote_full), [*UPDATED, "Degraded", *UPDATED, "Progressing", "Healthy"]),
    ((PREVIEW,), (abort, retry, promote_full), [*UPDATED, "Degraded", *UPDATED, "Healthy"]),
    (ALL, (pause,), [*UPDATED, "Progressing", "Suspended"]),
    (ALL, (restart,), [*UPDATED, "Progressing", "Suspended"]),
    (ALL, (abort, restart), [*UPDATED, "Degraded", "Progressing", "Degraded"]),
    (CANARIES, (pause, resume), [*UPDATED, "Progressing", "Suspended", "Progressing", "Suspended"]),
]
CASES = [
    pytest.param(strategy, actions, shown, id=f"{', '.join(a.__name__ for a in actions)}-{number}")
    for strategies, actions, shown in ACTIONS
    for number, strategy in enumerate(strategies)
]


def released(strategy: Obj, **options: Any) -> Watched:
    """v1 is deployed, v2 has been applied and waits for a person."""
    stage = Watched(**options)
    deployed(strategy, stage=stage)
    assert stage.seen[-1] == ("Healthy", "")
    stage.seen.clear()
    stage.image("v2")
    stage.play(30)
    return stage


@pytest.mark.parametrize(("strategy", "actions", "shown"), CASES)
def test_given_an_update_when_actions_are_used_then_health_shows_each_state_once_and_no_other(
    strategy: Obj, actions: tuple[Callable[[Stage], None], ...], shown: list[str]
) -> None:
    stage = released(strategy)
    for action in actions:
        action(stage)
        stage.play(60)
    assert stage.shown() == shown


@pytest.mark.parametrize("strategy", ALL)
def test_given_a_healthy_rollout_when_it_is_restarted_then_it_is_progressing_until_every_pod_is_new(
    strategy: Obj,
) -> None:
    stage = Watched()
    deployed(strategy, stage=stage)
    stage.play(10)
    old = {pod.name for pods in stage.pods.values() for pod in pods}
    stage.seen.clear()

    restart(stage)
    while stage.shown() != ["Progressing", "Healthy"]:
        stage.play(1)
        assert stage.shown() in (["Progressing"], ["Progressing", "Healthy"])

    assert not old & {pod.name for pods in stage.pods.values() for pod in pods}
    told = [message for message, _ in groupby(message for _, message in stage.seen)]
    assert told[:2] == [SPEC_LAG, "rollout is restarting"]


def test_given_a_workload_when_its_template_changes_then_the_old_phase_does_not_count_from_the_first_write_on() -> None:
    """The Rollout's own generation stays: the annotation says what the workload's is, and the status which is meant."""
    stage = Watched()
    referring("Deployment", BY_HOST, stage=stage)
    stage.put(workload("Deployment"))
    stage.settle()
    assert stage.seen[-1] == ("Healthy", "")
    stage.seen.clear()

    update(stage, "Deployment", "v2")
    assert {state for state, _ in stage.seen} == {"Healthy"}, "nobody has looked at it yet"
    stage.seen.clear()
    stage.play(30)

    assert stage.seen[0] == ("Progressing", WORKLOAD_LAG)
    assert stage.shown() == UPDATED
    assert stage.rollout["metadata"]["annotations"][WORKLOAD_GENERATION] == stage.status["workloadObservedGeneration"]
    resume(stage)
    stage.play(60)
    resume(stage)
    stage.play(60)
    assert stage.shown() == [*UPDATED, "Progressing", "Suspended", "Progressing", "Healthy"]


@pytest.mark.parametrize("first", [{"pause": {}}, {"analysis": ANALYSIS}], ids=["a pause", "an analysis in doubt"])
@pytest.mark.parametrize("again", [skip_current_step, resume])
def test_given_two_pauses_in_a_row_when_the_first_is_skipped_then_the_second_waits_for_its_own_person(
    first: Obj, again: Callable[[Stage], None]
) -> None:
    """Argo Rollouts takes a skip of the first for a resume at the second."""
    strategy = canary(first, {"pause": {}}, {"pause": {}}, {"setWeight": 50}, {"pause": {}})
    stage = released(strategy, verdicts={"Step": [Verdict("Inconclusive")]})
    assert (stage.status["phase"], stage.status["currentStepIndex"]) == ("Paused", 0)

    for step in (1, 2):
        skip_current_step(stage)
        stage.play(60)
        assert (stage.status["phase"], stage.status["currentStepIndex"]) == ("Paused", step)
        assert stage.status["controllerPause"] and stage.status["pauseConditions"]
    again(stage)
    stage.play(60)

    assert stage.status["currentStepIndex"] == 4


def test_given_two_pauses_in_a_row_when_the_plugin_promotes_then_it_goes_on_by_one() -> None:
    stage = released(canary({"pause": {}}, {"pause": {"duration": "1h"}}, {"pause": {}}))

    for step in (1, 2, 3):
        stage.user(pauseConditions=None)  # what `kubectl argo rollouts promote` sends to a paused Rollout
        stage.play(60)
        assert stage.status["currentStepIndex"] == step
    assert stage.seen[-1] == ("Healthy", "")
    assert "pausedStepIndex" not in stage.status["canary"]


def test_given_a_healthy_rollout_when_a_new_template_is_applied_then_it_is_not_healthy_for_a_moment() -> None:
    stage = released(BY_HOST)
    assert stage.seen[0] == ("Progressing", SPEC_LAG), "the old status is about another generation"
    assert "Healthy" not in stage.shown()


@pytest.mark.parametrize(
    "strategy", [canary({"setWeight": 50}, {"analysis": ANALYSIS}), blue_green(prePromotionAnalysis=ANALYSIS)]
)
def test_given_a_bad_analysis_when_it_ends_then_health_goes_from_progressing_to_degraded(strategy: Obj) -> None:
    bad = [Verdict("Failed")]
    stage = released(strategy, verdicts={"Step": bad, "PrePromotion": bad})
    assert stage.shown() == ["Progressing", "Degraded"]
    assert stage.seen[-1][1].startswith("RolloutAborted: ")


@pytest.mark.parametrize(
    ("generation", "observed", "annotation", "workload", "shown"),
    [
        (2, "2", None, None, ("Suspended", "CanaryPauseStep")),
        (3, "2", None, None, ("Progressing", SPEC_LAG)),
        (2, "2", "5", "5", ("Suspended", "CanaryPauseStep")),
        (2, "2", "6", "5", ("Progressing", WORKLOAD_LAG)),
        (2, "2", "6", None, ("Progressing", WORKLOAD_LAG)),
    ],
)
def test_given_generations_when_the_status_lags_behind_then_its_phase_does_not_count(
    generation: int, observed: str, annotation: str | None, workload: str | None, shown: tuple[str, str]
) -> None:
    annotations = {"rollout.argoproj.io/workload-generation": annotation} if annotation else {}
    status = {"phase": "Paused", "message": "CanaryPauseStep", "observedGeneration": observed}
    lagging = {**status, **({"workloadObservedGeneration": workload} if workload else {})}
    assert health({"metadata": {"generation": generation, "annotations": annotations}, "status": lagging}) == shown
    assert health({"metadata": {"generation": 1}}) == ("Progressing", SPEC_LAG)


@FEW
@given(generated.canaries(), REPLICAS, VERDICTS, stories(PEOPLE, PODS, STRANGERS))
def test_given_any_canary_when_watched_then_healthy_is_never_seen_in_the_middle_of_an_update(
    strategy: Obj, replicas: int, verdicts: dict[str, list[Verdict]], story: list[Move]
) -> None:
    stage = Watched(verdicts=verdicts)
    deployed(strategy, stage=stage, replicas=replicas, ports=True)
    stage.image("v2")
    for move in story:
        move(stage)
    stage.settle()
