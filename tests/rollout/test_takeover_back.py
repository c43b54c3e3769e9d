"""And back: what Tidegate leaves in the middle of an update is what Argo Rollouts' controller would have left.

Each line of the contract on which its controller builds is held against the objects; the hashes are its own. Wrong
programs that this catches: a status field in another type than Argo's Go structs have (its controller would drop the
whole Rollout, or refuse it), a hash of our own, and state that is kept anywhere but where Argo looks for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from tests.rollout.argo import HASHES, STEP_HASHES, STEPS
from tests.rollout.objects import ANALYSIS, blue_green, canary
from tests.rollout.stage import HASH, NAMESPACE, Stage, Verdict, deployed
from tidegate.core.plan import Key

Obj = dict[str, Any]
OLD: Final = HASHES["1.10"]["v1"]
NEW: Final = HASHES["1.10"]["v2"]
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

RUN: Final = {"name": str, "status": str, "message": str}
END: Final = {"weight": int, "serviceName": str, "podTemplateHash": str}
STATUS: Final[Mapping[str, Any]] = {
    "HPAReplicas": int,
    "abort": bool,
    "abortedAt": TIME,
    "availableReplicas": int,
    "blueGreen": {
        "activeSelector": str,
        "previewSelector": str,
        "scaleUpPreviewCheckPoint": bool,
        "prePromotionAnalysisRunStatus": RUN,
        "postPromotionAnalysisRunStatus": RUN,
    },
    "canary": {
        "currentStepAnalysisRunStatus": RUN,
        "currentBackgroundAnalysisRunStatus": RUN,
        "currentExperiment": str,
        "stablePingPong": str,
        "weights": {"canary": END, "stable": END, "additional": [END], "verified": bool},
    },
    "collisionCount": int,
    "conditions": [
        {
            "type": str,
            "status": str,
            "lastUpdateTime": TIME,
            "lastTransitionTime": TIME,
            "reason": str,
            "message": str,
        }
    ],
    "controllerPause": bool,
    "currentPodHash": str,
    "currentStepHash": str,
    "currentStepIndex": int,
    "message": str,
    "observedGeneration": str,
    "pauseConditions": [{"reason": str, "startTime": TIME}],
    "phase": str,
    "promoteFull": bool,
    "readyReplicas": int,
    "replicas": int,
    "restartedAt": TIME,
    "selector": str,
    "stableRS": str,
    "updatedReplicas": int,
    "workloadObservedGeneration": str,
    "duration": {
        "rolloutStartedAt": TIME,
        "manualPauseStartedAt": TIME,
        "totalManualPauseDurationSeconds": int,
        "finishedAt": TIME,
        "completionStatus": str,
    },
}
"""The JSON types of RolloutStatus, from `pkg/apis/rollouts/v1alpha1/types.go`."""


def misfits(value: Any, kind: Any, path: str = "status") -> list[str]:
    """Where a value is not what Go's decoder takes for this kind."""
    if isinstance(kind, Mapping):
        if not isinstance(value, Mapping):
            return [path]
        unknown = [f"{path}.{name}" for name in value if name not in kind]
        return unknown + [
            bad for name in value if name in kind for bad in misfits(value[name], kind[name], f"{path}.{name}")
        ]
    if isinstance(kind, list):
        return [bad for number, each in enumerate(value) for bad in misfits(each, kind[0], f"{path}[{number}]")]
    if isinstance(kind, re.Pattern):
        return [] if isinstance(value, str) and kind.fullmatch(value) else [path]
    return [] if type(value) is kind else [path]


def in_a_pause() -> Stage:
    stage = deployed(canary(*STEPS))
    stage.image("v2")
    return stage.play(30)


def in_an_analysis() -> Stage:
    stage = Stage(verdicts={"Step": [Verdict(after=None)]})
    stage = deployed(canary(*STEPS), stage=stage)
    stage.image("v2")
    stage.play(30)
    stage.user(pauseConditions=None)
    return stage.play(30)


def after_an_abort() -> Stage:
    stage = in_an_analysis()
    stage.user(abort=True)
    return stage.play(10)


def in_a_preview() -> Stage:
    stage = deployed(blue_green(autoPromotionEnabled=False, prePromotionAnalysis=ANALYSIS))
    stage.image("v2")
    return stage.play(30)


def in_a_delay() -> Stage:
    stage = in_a_preview()
    stage.user(pauseConditions=None)
    return stage.play(5)


WORLDS: Final[tuple[Callable[[], Stage], ...]] = (
    in_a_pause,
    in_an_analysis,
    after_an_abort,
    in_a_preview,
    in_a_delay,
)


@pytest.mark.parametrize("world", WORLDS)
def test_given_any_moment_when_left_then_the_status_decodes_into_argos_structs(world: Callable[[], Stage]) -> None:
    stage = world()
    # Go passes over a field that it does not know; this one is Tidegate's own, and the only one.
    assert misfits(stage.status, STATUS) in ([], ["status.releases"])
    assert stage.status["observedGeneration"] == str(stage.rollout["metadata"]["generation"])
    assert stage.status["currentPodHash"] == NEW
    assert stage.rollout["metadata"]["annotations"]["rollout.argoproj.io/revision"] == "2"
    assert "finalizers" not in stage.rollout["metadata"]


@pytest.mark.parametrize("world", WORLDS)
def test_given_any_moment_when_left_then_argo_finds_its_replica_sets(world: Callable[[], Stage]) -> None:
    stage = world()
    sets = stage.sets()
    assert {image: rs["metadata"]["name"] for image, rs in sets.items()} == {"v1": f"app-{OLD}", "v2": f"app-{NEW}"}
    for revision, (image, hash_) in enumerate((("v1", OLD), ("v2", NEW)), 1):
        rs = sets[image]
        metadata, spec = rs["metadata"], rs["spec"]
        labels = {"app": "app", HASH: hash_}
        assert metadata["labels"] == spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == labels
        assert metadata["annotations"]["rollout.argoproj.io/revision"] == str(revision)
        assert metadata["annotations"]["rollout.argoproj.io/desired-replicas"] == "4", "or it takes this for a scaling"
        assert metadata["annotations"]["owner"] == "shop", "a copy of the Rollout's"
        (owner,) = metadata["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("Rollout", "app", True)
        assert owner["uid"] == stage.rollout["metadata"]["uid"]


def test_given_a_pause_when_left_then_argo_knows_the_step_and_since_when_it_waits() -> None:
    stage = in_a_pause()
    status = stage.status
    assert (status["currentStepIndex"], status["currentStepHash"]) == (1, STEP_HASHES["1.10"])
    assert [pause["reason"] for pause in status["pauseConditions"]] == ["CanaryPauseStep"]
    assert (status["controllerPause"], status["stableRS"]) == (True, OLD)
    assert status["canary"]["weights"]["canary"] == {"weight": 50, "serviceName": "app-canary", "podTemplateHash": NEW}
    for name, hash_ in (("app-canary", NEW), ("app-stable", OLD)):
        service = stage.objects[Key("Service", NAMESPACE, name)]
        assert service["spec"]["selector"][HASH] == hash_
        assert service["metadata"]["annotations"]["argo-rollouts.argoproj.io/managed-by-rollouts"] == "app"


def test_given_an_analysis_when_left_then_argo_finds_its_run() -> None:
    stage = in_an_analysis()
    told = stage.status["canary"]["currentStepAnalysisRunStatus"]
    assert told == {"name": f"app-{NEW}-2-2", "status": "Running"}
    metadata = stage.objects[Key("AnalysisRun", NAMESPACE, told["name"])]["metadata"]
    labels = {"app": "app", HASH: NEW, "rollout-type": "Step", "step-index": "2"}
    assert metadata["labels"] == labels
    assert metadata["annotations"] == {"rollout.argoproj.io/revision": "2"}
    assert metadata["ownerReferences"][0]["uid"] == stage.rollout["metadata"]["uid"]


def test_given_an_abort_when_left_then_argo_holds_it_and_knows_when_the_pods_go() -> None:
    stage = after_an_abort()
    status = stage.status
    assert (status["abort"], status["currentStepIndex"], status["stableRS"]) == (True, 0, OLD)
    assert TIME.fullmatch(status["abortedAt"])
    assert stage.condition("Progressing")["reason"] == "RolloutAborted"
    assert TIME.fullmatch(stage.sets()["v2"]["metadata"]["annotations"]["scale-down-deadline"])


def test_given_a_preview_when_left_then_argo_knows_both_sides_and_why_it_waits() -> None:
    stage = in_a_preview()
    status = stage.status
    assert (status["blueGreen"]["activeSelector"], status["blueGreen"]["previewSelector"]) == (OLD, NEW)
    assert [pause["reason"] for pause in status["pauseConditions"]] == ["BlueGreenPause"]
    assert status["blueGreen"]["prePromotionAnalysisRunStatus"]["name"] == f"app-{NEW}-2-pre"
    assert "currentStepHash" not in status, "blue-green has none"


def test_given_a_delay_when_left_then_argo_knows_when_the_old_pods_go() -> None:
    stage = in_a_delay()
    assert (stage.status["stableRS"], stage.selects("app-active")) == (NEW, "v2")
    assert TIME.fullmatch(stage.sets()["v1"]["metadata"]["annotations"]["scale-down-deadline"])
