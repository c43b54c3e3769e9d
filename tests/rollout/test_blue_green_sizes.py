"""How many pods each version has around the flip of a blue-green update, and the quick way back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rollout.objects import ANALYSIS, blue_green, rollout
from tests.rollout.stage import Stage, deployed
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
