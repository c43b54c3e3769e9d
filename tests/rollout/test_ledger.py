"""`status.releases`: what is kept of past updates, and that keeping it costs no write."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.rollout.objects import ANALYSIS, Obj, blue_green, canary
from tests.rollout.stage import ROLLOUT, START, Stage, Verdict, deployed
from tidegate.core.times import format_time, parse_time

WAIT = canary({"setWeight": 50}, {"pause": {}})
COMMIT = "tidegate.dev/commit-time"


def update(stage: Stage, image: str = "v2", **annotations: str) -> None:
    if annotations:
        stage.edit(ROLLOUT, {"metadata": {"annotations": annotations}})
    stage.image(image)
    stage.play(30)


def promote(stage: Stage) -> None:
    stage.user(pauseConditions=None)
    stage.play(200)


def abort(stage: Stage) -> None:
    stage.user(abort=True)
    stage.play(200)


def retry(stage: Stage) -> None:
    abort(stage)
    stage.user(abort=False)
    stage.play(30)
    promote(stage)


def supersede(stage: Stage) -> None:
    stage.image("v3")
    stage.play(30)
    promote(stage)


def go_back(stage: Stage) -> None:
    stage.image("v1")
    stage.play(200)


def promote_and_go_back(stage: Stage) -> None:
    promote(stage)
    stage.image("v1")
    stage.play(30)
    promote(stage)


BY_STEPS = "Completed all 2 canary steps"


def outcomes(stage: Stage) -> list[tuple[int, str]]:
    return [(r["revision"], r["outcome"]) for r in stage.status["releases"]["recent"]]


def totals(stage: Stage) -> dict[str, int]:
    return {entry["outcome"]: entry["count"] for entry in stage.status["releases"]["totals"]["outcomes"]}


@pytest.mark.parametrize(
    ("ending", "told", "why"),
    [
        (promote, [(2, "Promoted")], [BY_STEPS]),
        (abort, [(2, "Aborted")], ["RolloutAborted: Rollout aborted update to revision 2"]),
        (retry, [(2, "Aborted"), (2, "Promoted")], ["RolloutAborted: Rollout aborted update to revision 2", BY_STEPS]),
        (supersede, [(2, "Superseded"), (3, "Promoted")], ["", BY_STEPS]),
        (go_back, [(2, "FastRolledBack")], [""]),
        (promote_and_go_back, [(2, "Promoted"), (3, "RolledBack")], [BY_STEPS, BY_STEPS]),
    ],
)
def test_given_an_update_when_it_ends_then_it_is_kept_with_its_outcome(
    ending: Callable[[Stage], None], told: list[tuple[int, str]], why: list[str]
) -> None:
    stage = deployed(WAIT)
    update(stage)
    ending(stage)
    assert outcomes(stage) == [(1, "Promoted"), *told]
    kept = stage.status["releases"]["recent"]
    assert [record.get("reason", "") for record in kept] == ["Initial deploy", *why]
    assert [record["podHash"] for record in kept[:2]] == [stage.hash("v1"), stage.hash("v2")]
    assert all(record["startedAt"] <= record["finishedAt"] for record in kept)
    counted: dict[str, int] = {}
    for _, outcome in outcomes(stage):
        counted[outcome] = counted.get(outcome, 0) + 1
    assert totals(stage) == counted


def test_given_more_updates_than_are_kept_when_counted_then_the_totals_know_of_all() -> None:
    stage = deployed(canary())
    for number in range(2, 16):
        stage.image(f"v{number}")
        stage.play(60)
    assert [r["revision"] for r in stage.status["releases"]["recent"]] == list(range(6, 16))
    assert totals(stage) == {"Promoted": 15}


class Measured(Stage):
    """A stage on which a failed run shows a measurement that failed seven seconds earlier, and an older good one."""

    def store(self, obj: Obj) -> None:
        if obj["kind"] == "AnalysisRun" and (obj.get("status") or {}).get("phase") == "Failed":
            bad, fine = (format_time(self.now - timedelta(seconds=ago)) for ago in (7, 12))
            measurements = [{"phase": "Successful", "finishedAt": fine}, {"phase": "Failed", "finishedAt": bad}]
            dry = {"name": "dry", "dryRun": True, "measurements": [{"phase": "Failed", "finishedAt": fine}]}
            results = [{"name": "m", "measurements": measurements}, dry]
            obj = {**obj, "status": {**obj["status"], "metricResults": results}}
        super().store(obj)


def test_given_a_failed_analysis_when_undone_then_recovery_runs_from_the_first_bad_measurement() -> None:
    stage = Measured(verdicts={"Background": [Verdict("Failed", after=20.0)]})
    deployed(canary({"setWeight": 50}, {"pause": {}}, analysis=ANALYSIS), stage=stage)
    stage.image("v2")
    stage.play(300)
    last = stage.status["releases"]["recent"][-1]
    assert last["outcome"] == "Aborted"
    assert "RolloutAborted" in last["reason"]
    assert parse_time(last["finishedAt"]) - parse_time(last["badAt"]) == timedelta(seconds=7)
    assert last["startedAt"] <= last["finishedAt"] <= last["restoredAt"]
    total = stage.status["releases"]["totals"]
    assert total["recoveryCount"] == 1
    assert total["recoverySeconds"] == (parse_time(last["restoredAt"]) - parse_time(last["badAt"])).total_seconds()


def test_given_a_blue_green_flip_that_is_undone_when_flipped_back_then_it_counts_as_recovered() -> None:
    stage = deployed(blue_green(autoPromotionEnabled=False))
    update(stage)
    abort(stage)
    assert stage.status["releases"]["recent"][-1]["restoredAt"]


@pytest.mark.parametrize("where", ["rollout", "template"])
def test_given_a_commit_time_when_promoted_then_the_lead_time_is_counted(where: str) -> None:
    stage = deployed(WAIT)
    made = START - timedelta(hours=2)
    if where == "rollout":
        update(stage, **{COMMIT: format_time(made)})
    else:
        stage.spec(template={"metadata": {"annotations": {COMMIT: format_time(made)}}})
        stage.play(30)
    promote(stage)
    last = stage.status["releases"]["recent"][-1]
    assert last["changedAt"] == format_time(made)
    total = stage.status["releases"]["totals"]
    assert total["leadCount"] == 1
    assert total["leadSeconds"] == (parse_time(last["finishedAt"]) - parse_time(last["changedAt"])).total_seconds()


def test_given_a_commit_time_that_is_none_when_promoted_then_an_event_says_so() -> None:
    stage = deployed(WAIT)
    update(stage, **{COMMIT: "yesterday"})
    promote(stage)
    assert "changedAt" not in stage.status["releases"]["recent"][-1]
    (told,) = [event for event in stage.told if event.reason == "InvalidAnnotation"]
    assert COMMIT in told.message


def test_given_steps_when_they_are_done_then_their_times_are_kept_and_go_with_the_next_update() -> None:
    stage = deployed(canary({"setWeight": 20}, {"pause": {"duration": 10}}, {"setWeight": 60}, {"pause": {}}))
    stage.image("v2")
    stage.play(60)
    times = list(map(parse_time, stage.status["releases"]["steps"]))
    assert len(times) == 3
    assert timedelta(seconds=9) <= times[1] - times[0] <= timedelta(seconds=13)
    stage.image("v3")
    stage.play(3)
    assert len(stage.status["releases"].get("steps", ())) <= 1


def test_given_a_full_promotion_when_it_is_over_then_the_steps_it_passed_over_were_not_done() -> None:
    stage = deployed(canary({"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}))
    update(stage)
    done = stage.status["releases"]["steps"]
    stage.user(promoteFull=True)
    stage.play(100)
    assert stage.status["releases"]["steps"] == done


def test_given_a_whole_update_when_written_then_no_status_changes_the_record_alone() -> None:
    stage = deployed(WAIT)
    update(stage)
    retry(stage)

    def rest(status: Any) -> Obj:
        return {key: value for key, value in status.items() if key != "releases"}

    for before, after in zip(stage.statuses, stage.statuses[1:], strict=False):
        assert rest(before) != rest(after)
    assert stage.objects[ROLLOUT]["status"]["releases"]["totals"]
