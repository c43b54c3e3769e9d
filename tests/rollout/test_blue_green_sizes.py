"""How many pods each version has around the flip of a blue-green update, and the quick way back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rollout.objects import ANALYSIS, blue_green, rollout
from tests.rollout.stage import MIXED, Stage, deployed
from tidegate.api.parsing import parse_rollout

MANUAL = {"autoPromotionEnabled": False}


def update(stage: Stage | None = None, replicas: int = 5, **fields: Any) -> Stage:
    """v2 on its way, not yet begun."""
    stage = deployed(blue_green(**fields), stage=stage, replicas=replicas)
    stage.image("v2")
    return stage


@pytest.mark.parametrize(("count", "pods"), [(None, 5), (2, 2), (7, 7), (0, 0)])
def test_given_a_preview_replica_count_then_the_preview_has_as_many_pods_until_it_is_promoted(
    count: int | None, pods: int
) -> None:
    stage = update(previewReplicaCount=count, **MANUAL) if count is not None else update(**MANUAL)
    stage.play(60)
    assert stage.phase() == ("Paused", "BlueGreenPause")
    assert stage.sizes().get("v2", 0) == pods

    stage.user(pauseConditions=None)
    stage.play(10)

    assert (stage.selects("app-active"), stage.sizes()) == ("v2", {"v1": 5, "v2": 5})


def test_given_a_preview_replica_count_then_the_full_size_is_there_before_the_flip_and_the_checkpoint_says_so() -> None:
    stage = update(previewReplicaCount=1, **MANUAL, stage=Stage(boot={"v2": 10.0}))
    stage.play(60)
    assert "scaleUpPreviewCheckPoint" not in stage.status["blueGreen"]

    stage.user(pauseConditions=None)
    stage.play(5)
    assert stage.status["blueGreen"]["scaleUpPreviewCheckPoint"] is True
    assert (stage.selects("app-active"), stage.sizes()["v2"]) == ("v1", 5)
    assert stage.phase()[0] == "Progressing"

    stage.play(10)
    assert stage.selects("app-active") == "v2"
    assert "scaleUpPreviewCheckPoint" not in stage.status["blueGreen"]


def test_given_an_analysis_before_the_flip_then_it_judges_the_preview_and_is_not_asked_again() -> None:
    stage = update(previewReplicaCount=1, prePromotionAnalysis=ANALYSIS)
    stage.play(5)
    assert stage.sizes()["v2"] == 1
    assert list(stage.runs().values()) == ["Running"]

    stage.settle()

    assert list(stage.runs().values()) == ["Successful"]
    assert stage.sizes() == {"v2": 5}


def test_given_an_abort_after_the_checkpoint_then_a_retry_begins_with_the_preview() -> None:
    stage = update(previewReplicaCount=1, **MANUAL)
    stage.play(60)
    stage.boot["v2"] = None
    stage.user(pauseConditions=None)
    stage.play(5)
    assert stage.sizes()["v2"] == 5

    stage.user(abort=True)
    stage.play(5)
    stage.user(abort=False)
    stage.play(5)

    assert stage.sizes()["v2"] == 1
    assert "scaleUpPreviewCheckPoint" not in stage.status["blueGreen"]


def test_given_promotion_in_full_then_the_preview_is_skipped() -> None:
    stage = update(previewReplicaCount=1, **MANUAL)
    stage.play(60)

    stage.user(promoteFull=True)
    stage.play(10)

    assert (stage.selects("app-active"), stage.sizes()["v2"]) == ("v2", 5)


def test_given_a_negative_preview_replica_count_then_its_path_is_told() -> None:
    _, problems = parse_rollout(rollout(blue_green(previewReplicaCount=-1)))

    assert [problem.path for problem in problems] == ["spec.strategy.blueGreen.previewReplicaCount"]


SLOW = {"prePromotionAnalysis": ANALYSIS, "postPromotionAnalysis": ANALYSIS, "autoPromotionSeconds": 100}


def promoted(**fields: Any) -> Stage:
    """v2 was promoted a moment ago, and v1 is still up."""
    stage = update(scaleDownDelaySeconds=60, **fields)
    for _ in range(300):
        stage.play(1)
        if stage.status["stableRS"] == stage.hash("v2"):
            break
    assert stage.sizes() == {"v1": 5, "v2": 5}
    stage.writes.clear()
    return stage


@pytest.mark.parametrize("fields", [SLOW, {**SLOW, "previewReplicaCount": 1}])
def test_given_a_way_back_while_the_old_version_is_up_then_users_are_back_at_once(fields: dict[str, Any]) -> None:
    """Argo Rollouts' fast track: no pause, no analysis, and no pods lost on the way."""
    stage = promoted(**fields)
    runs = stage.runs()

    stage.image("v1")
    stage.reconcile()

    assert stage.selects("app-active") == "v1"
    assert stage.status["stableRS"] == stage.hash("v1")
    assert not [write for write in stage.writes if "replicas" in dict(write.body or {}).get("spec", {})]
    stage.settle()
    assert stage.phase() == ("Healthy", "")
    assert stage.sizes() == {"v1": 5}
    assert stage.runs() == runs


def test_given_a_way_back_and_forth_then_both_are_at_once() -> None:
    stage = promoted(**SLOW)

    for image in ("v1", "v2", "v1"):
        stage.image(image)
        stage.play(3)
        assert stage.selects("app-active") == image


def test_given_a_way_back_after_a_change_of_size_then_the_flip_waits_for_all_pods() -> None:
    stage = promoted(**SLOW)
    stage.boot["v1"] = 10.0
    stage.spec(replicas=8)
    stage.play(3)

    stage.image("v1")
    stage.play(5)
    assert stage.selects("app-active") == "v2"

    stage.play(10)
    assert stage.selects("app-active") == "v1"


def test_given_the_old_version_is_gone_then_the_way_back_takes_pause_and_analysis() -> None:
    stage = promoted(**SLOW)
    stage.play(200)
    assert stage.sizes() == {"v2": 5}

    stage.image("v1")
    stage.play(10)

    assert stage.selects("app-active") == "v2"
    assert "Running" in stage.runs().values() or stage.phase()[0] == "Paused"


def test_given_a_preview_that_was_never_promoted_then_it_is_not_flipped_to_though_it_has_a_deadline() -> None:
    """Superseded: v2 never served users, however long it is still up."""
    stage = update(scaleDownDelaySeconds=60, **MANUAL)
    stage.play(10)
    stage.image("v3")
    stage.play(10)
    assert stage.sizes()["v2"] == 5

    stage.image("v2")
    stage.play(10)

    assert stage.selects("app-active") == "v1"
    assert stage.phase() == ("Paused", "BlueGreenPause")


def test_given_an_aborted_preview_with_a_deadline_then_a_retry_takes_pause_and_analysis() -> None:
    stage = update(**MANUAL)
    stage.play(10)
    stage.user(abort=True)
    stage.play(10)
    assert "scale-down-deadline" in stage.sets()["v2"]["metadata"]["annotations"]

    stage.user(abort=False)
    stage.play(10)

    assert stage.selects("app-active") == "v1"
    assert stage.phase() == ("Paused", "BlueGreenPause")


def test_given_a_way_back_that_was_aborted_then_a_retry_takes_pause_and_analysis() -> None:
    stage = promoted(**SLOW)
    stage.crash_pods("v1", 5, 20)
    stage.image("v1")
    stage.play(2)
    assert stage.selects("app-active") == "v2"

    stage.user(abort=True)
    stage.play(30)
    stage.user(abort=False)
    stage.play(10)

    assert stage.selects("app-active") == "v2"


def test_given_a_held_rollout_then_the_way_back_waits() -> None:
    stage = promoted(**SLOW)

    stage.spec(paused=True)
    stage.image("v1")
    stage.play(5)
    assert stage.selects("app-active") == "v2"

    stage.spec(paused=False)
    stage.play(5)
    assert stage.selects("app-active") == "v1"


@pytest.mark.parametrize(("limit", "left"), [(None, {"v1", "v2", "v3"}), (1, {"v2", "v3"}), (0, {"v3"})])
def test_given_a_limit_of_revisions_then_only_so_many_old_versions_wait_for_their_delay(
    limit: int | None, left: set[str]
) -> None:
    fields = {} if limit is None else {"scaleDownDelayRevisionLimit": limit}
    stage = update(scaleDownDelaySeconds=500, **fields)
    stage.play(20)

    stage.image("v3")
    stage.play(20)

    assert set(stage.sizes()) == left


@pytest.mark.parametrize("from_the_start", [True, False])
@pytest.mark.parametrize("auto", [True, False])
def test_given_no_replicas_then_an_update_ends_all_the_same_and_pods_meet_their_services_later(
    from_the_start: bool, auto: bool
) -> None:
    """An autoscaler to zero, or an environment that is switched off, must not leave it Progressing for ever."""
    stage = deployed(blue_green(autoPromotionEnabled=auto), replicas=0 if from_the_start else 3)
    stage.spec(replicas=0)
    stage.settle()
    stage.image("v2")
    stage.settle()
    if not auto:
        assert stage.phase() == ("Paused", "BlueGreenPause")
        stage.user(pauseConditions=None)
        stage.settle()

    assert stage.phase() == ("Healthy", "")
    assert stage.status["stableRS"] == stage.hash("v2")
    assert stage.selects("app-active") == (MIXED if from_the_start else "v2")

    stage.spec(replicas=3)
    stage.settle()
    assert (stage.phase(), stage.selects("app-active"), stage.sizes()) == (("Healthy", ""), "v2", {"v2": 3})


def test_given_a_scale_to_zero_in_the_middle_then_the_update_ends_too() -> None:
    stage = update(replicas=3, **MANUAL)
    stage.play(60)
    stage.spec(replicas=0)
    stage.user(pauseConditions=None)
    stage.settle()

    assert (stage.phase(), stage.selects("app-active")) == (("Healthy", ""), "v2")
