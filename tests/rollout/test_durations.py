"""`status.duration`: when an update began and ended, how it ended, and how long it waited for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from prometheus_client import CollectorRegistry

from tests.rollout.objects import Obj, blue_green, canary
from tests.rollout.stage import ROLLOUT, Stage, deployed
from tidegate.core.times import parse_time
from tidegate.observe.durations import Durations

WAIT = canary({"setWeight": 50}, {"pause": {}})
PREVIEW = blue_green(autoPromotionEnabled=False)
WAIT_A_LITTLE = canary({"setWeight": 50}, {"pause": {"duration": 60}})


@dataclass
class Observed(Stage):
    """A stage whose changes of the Rollout are told to the metrics, as the engine does."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.durations = Durations(self.registry)

    def store(self, obj: Obj) -> None:
        before = self.objects.get(ROLLOUT)
        super().store(obj)
        if obj["kind"] == "Rollout" and before is not None:
            self.durations.changed(before, self.rollout)

    def measured(self, status: str) -> tuple[float | None, ...]:
        kinds = ("rollout", "rollout_progression", "rollout_manual_pause")
        return tuple(self.registry.get_sample_value(f"{k}_duration_seconds_sum", {"status": status}) for k in kinds)


def updating(strategy: Obj) -> Observed:
    stage = Observed()
    deployed(strategy, stage=stage)
    assert stage.status["duration"]["completionStatus"] == "Promoted", "the first deployment"
    stage.registry = CollectorRegistry()
    stage.durations = Durations(stage.registry)  # without the first deployment, which was promoted too
    stage.image("v2")
    stage.play(100)
    return stage


def promote(stage: Stage) -> None:
    stage.user(pauseConditions=None)
    stage.play(200)


def promote_full(stage: Stage) -> None:
    stage.user(promoteFull=True)
    stage.play(200)


def abort(stage: Stage) -> None:
    stage.user(abort=True)
    stage.play(200)


def go_back(stage: Stage) -> None:
    stage.image("v1")
    stage.play(200)


def go_back_within_the_window(stage: Stage) -> None:
    stage.spec(rollbackWindow={"revisions": 1})
    promote(stage)
    go_back(stage)


def go_back_while_it_is_still_up(stage: Stage) -> None:
    stage.user(pauseConditions=None)
    stage.play(10)
    go_back(stage)


def release_an_old_one(stage: Stage) -> None:
    promote(stage)
    stage.image("v1")
    stage.play(100)
    promote(stage)


@pytest.mark.parametrize(
    ("story", "status"),
    [
        (promote, "Promoted"),
        (promote_full, "FastPromoted"),
        (abort, "Aborted"),
        (go_back, "FastRolledBack"),
        (release_an_old_one, "RolledBack"),
    ],
)
@pytest.mark.parametrize("strategy", [WAIT, PREVIEW])
def test_given_an_update_when_it_ends_then_its_end_and_its_waiting_are_told(
    story: Callable[[Stage], None], status: str, strategy: Obj
) -> None:
    stage = updating(strategy)
    assert "finishedAt" not in stage.status["duration"]
    story(stage)

    kept = stage.status["duration"]
    assert kept["completionStatus"] == status
    took = seconds(kept["rolloutStartedAt"], kept["finishedAt"])
    assert 90 <= kept["totalManualPauseDurationSeconds"] <= took
    assert "manualPauseStartedAt" not in kept
    total, progression, pause = stage.measured(status)
    assert (total, pause) == (took, kept["totalManualPauseDurationSeconds"])
    assert total is not None and pause is not None and progression == total - pause


@pytest.mark.parametrize(
    ("strategy", "story", "replicas"),
    [
        (WAIT, go_back_within_the_window, 4),
        (WAIT, go_back_within_the_window, 0),
        (PREVIEW, go_back_within_the_window, 4),
        (PREVIEW, go_back_within_the_window, 0),
        (PREVIEW, go_back_while_it_is_still_up, 4),
    ],
)
def test_given_a_way_back_without_steps_when_it_ends_then_it_was_fast(
    strategy: Obj, story: Callable[[Stage], None], replicas: int
) -> None:
    """Also where all of it is one decision, so that no status shows that it was hastened."""
    stage = updating(strategy)
    stage.spec(replicas=replicas)
    story(stage)

    kept = stage.status["duration"]
    assert kept["completionStatus"] == "FastRolledBack"
    assert "totalManualPauseDurationSeconds" not in kept
    assert seconds(kept["rolloutStartedAt"], kept["finishedAt"]) < 60
    assert stage.phase() == ("Healthy", "")


def test_given_a_pause_with_a_duration_when_it_is_over_then_nobody_has_waited_for_a_person() -> None:
    stage = updating(WAIT_A_LITTLE)
    assert stage.status["duration"]["completionStatus"] == "Promoted"
    assert "totalManualPauseDurationSeconds" not in stage.status["duration"]


def test_given_a_new_template_in_the_middle_when_measured_then_the_update_before_was_superseded() -> None:
    stage = updating(WAIT)
    begun = stage.status["duration"]["rolloutStartedAt"]
    stage.image("v3")
    stage.play(5)
    anew = stage.status["duration"]
    assert anew["rolloutStartedAt"] != begun
    total, _, pause = stage.measured("Superseded")
    assert total == seconds(begun, anew["rolloutStartedAt"])
    assert pause is not None and pause > 90


def test_given_an_abort_when_tried_again_then_the_time_begins_anew() -> None:
    stage = updating(WAIT)
    abort(stage)
    stage.user(abort=False)
    stage.play(5)
    assert stage.status["duration"].keys() <= {"rolloutStartedAt", "manualPauseStartedAt"}


def test_given_a_settled_rollout_without_duration_when_looked_at_then_nothing_is_written() -> None:
    stage = updating(WAIT)
    promote(stage)
    stage.user(duration=None)
    writes = len(stage.writes)
    stage.play(600)
    assert len(stage.writes) == writes, "an upgrade starts nothing"


def seconds(begin: str, end: str) -> float:
    times: list[datetime] = [parse_time(text) for text in (begin, end)]
    return (times[1] - times[0]).total_seconds()
