"""Argo Rollouts has ended and left its objects: Tidegate goes on from exactly there.

Wrong programs that this catches: one that takes another version's hash for a changed template (every pod restarts, as
users of Argo Rollouts saw in its issue 4696), or for changed steps (the canary starts again at the first), one that
starts a pause or an analysis anew, and one that tidies up before it has understood what it found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from tests.rollout.argo import ANALYSE, HASHES, STEP_HASHES, STEPS, VERSIONS, analysis_run, left, stamp
from tests.rollout.objects import blue_green, canary
from tests.rollout.stage import NAMESPACE, ROLLOUT, Stage
from tidegate.core.hashing import step_hash
from tidegate.core.plan import Key

CANARY: Final = canary(*STEPS)
TIMED: Final = canary({"setWeight": 25}, {"setWeight": 50}, {"pause": {"duration": 60}}, ANALYSE)
PAUSED: Final = {"controllerPause": True, "phase": "Paused"}
UPDATING: Final = {"app-canary": "v2", "app-stable": "v1"}
by_version = pytest.mark.parametrize("by", VERSIONS)


def weights(by: str, canary: int, *, hash_: str = "v2") -> dict[str, Any]:
    ends = {"canary": (canary, hash_), "stable": (100 - canary, "v1")}
    return {
        name: {"weight": weight, "serviceName": f"app-{name}", "podTemplateHash": HASHES[by][version]}
        for name, (weight, version) in ends.items()
    }


def held(by: str, reason: str, **fields: Any) -> dict[str, Any]:
    return {**PAUSED, "message": reason, "pauseConditions": [{"reason": reason, "startTime": stamp(-20)}], **fields}


def settled(by: str) -> Stage:
    ends = {"app-canary": "v1", "app-stable": "v1"}
    status = {"phase": "Healthy", "currentStepIndex": 4, "canary": {"weights": weights(by, 0, hash_="v1")}}
    return left(CANARY, {"v1": 4}, status, by=by, ends=ends)


def in_a_pause(by: str) -> Stage:
    """At the third step, 20 of its 60 seconds ago; the steps' hash is no version's, for all of these steps' sake."""
    status = held(by, "CanaryPauseStep", currentStepIndex=2, currentStepHash="77c5b8d9f4")
    return left(
        TIMED, {"v1": 4, "v2": 2}, {**status, "canary": {"weights": weights(by, 50)}}, by=by, ends=UPDATING, weight=50
    )


def in_an_analysis(by: str) -> Stage:
    name = f"app-{HASHES[by]['v2']}-2-2"
    run = {"name": name, "status": "Running"}
    status = {
        "phase": "Progressing",
        "message": "more replicas need to be updated",
        "currentStepIndex": 2,
        "canary": {"weights": weights(by, 50), "currentStepAnalysisRunStatus": run},
    }
    stage = left(CANARY, {"v1": 4, "v2": 2}, status, by=by, ends=UPDATING, weight=50)
    analysis_run(stage, name, HASHES[by]["v2"], revision=2, step=2)
    return stage


def in_a_preview(by: str) -> Stage:
    selectors = {"activeSelector": HASHES[by]["v1"], "previewSelector": HASHES[by]["v2"]}
    status = held(by, "BlueGreenPause", blueGreen=selectors)
    ends = {"app-active": "v1", "app-preview": "v2"}
    return left(blue_green(autoPromotionEnabled=False), {"v1": 4, "v2": 4}, status, by=by, ends=ends)


def after_an_abort(by: str) -> Stage:
    message = "Rollout aborted update to revision 2: Step-based analysis phase error/failed"
    status = {
        "abort": True,
        "abortedAt": stamp(-300),
        "phase": "Degraded",
        "message": f"RolloutAborted: {message}",
        "currentStepIndex": 0,
        "canary": {"weights": weights(by, 0, hash_="v1")},
        "conditions": [
            {
                "type": "Progressing",
                "status": "False",
                "reason": "RolloutAborted",
                "message": message,
                "lastUpdateTime": stamp(-300),
                "lastTransitionTime": stamp(-300),
            }
        ],
    }
    return left(CANARY, {"v1": 4, "v2": 0}, status, by=by, ends={"app-canary": "v1", "app-stable": "v1"})


def in_a_delay(by: str) -> Stage:
    """Promoted 10 s ago: the old version's pods have 20 s left."""
    now = HASHES[by]["v2"]
    status = {
        "phase": "Healthy",
        "stableRS": now,
        "currentStepIndex": 4,
        "canary": {
            "weights": {
                "canary": {"weight": 0, "serviceName": "app-canary", "podTemplateHash": now},
                "stable": {"weight": 100, "serviceName": "app-stable", "podTemplateHash": now},
            }
        },
    }
    ends = {"app-canary": "v2", "app-stable": "v2"}
    return left(CANARY, {"v1": 4, "v2": 4}, status, by=by, ends=ends, deadlines={"v1": stamp(20)})


WORLDS: Final[tuple[Callable[[str], Stage], ...]] = (
    settled,
    in_a_pause,
    in_an_analysis,
    in_a_preview,
    after_an_abort,
    in_a_delay,
)


def standing(stage: Stage) -> dict[str, Any]:
    """What must not change: who has which pods, where traffic goes, and where the update stands."""
    status = stage.status
    kept = (
        "currentPodHash",
        "stableRS",
        "currentStepIndex",
        "pauseConditions",
        "controllerPause",
        "abort",
        "abortedAt",
    )
    return {
        "pods": {uid: [(pod.born, pod.ready_at) for pod in pods] for uid, pods in stage.pods.items()},
        "sets": {key: obj["spec"] for key, obj in stage.objects.items() if key.kind == "ReplicaSet"},
        "traffic": stage.shares(),
        "runs": [key.name for key in stage.objects if key.kind == "AnalysisRun"],
        "status": {name: status.get(name) for name in kept},
        "phase": stage.phase(),
        "weights": (status.get("canary") or {}).get("weights"),
    }


@by_version
@pytest.mark.parametrize("world", WORLDS)
def test_given_what_argo_left_when_first_looked_at_then_only_status_and_annotations_are_written(
    world: Callable[[str], Stage], by: str
) -> None:
    stage = world(by)
    before = standing(stage)
    stage.reconcile()

    assert standing(stage) == before
    assert [write for write in stage.writes if not _harmless(write)] == []
    assert sum(write.subresource == "status" for write in stage.writes) <= 1


@by_version
@pytest.mark.parametrize("world", WORLDS)
def test_given_what_argo_left_when_the_first_look_is_cut_short_anywhere_then_the_second_finds_it_standing(
    world: Callable[[str], Stage], by: str
) -> None:
    stage = world(by)
    before = standing(stage)
    for _ in range(4):
        stage.reconcile(crash_after=1)
        assert standing(stage) == before


def _harmless(write: Any) -> bool:
    """Whether a write is to the status, or to nothing but annotations."""
    body: Mapping[str, Any] = write.body
    metadata = body.get("metadata", {})
    inside = set(body) == {"metadata"} and set(metadata) <= {"annotations", "uid", "resourceVersion"}
    return write.verb == "patch" and (write.subresource == "status" or inside)


@by_version
def test_given_a_settled_rollout_when_taken_over_then_nothing_happens_ever(by: str) -> None:
    stage = settled(by)
    before = standing(stage)
    stage.settle()
    assert standing(stage) == before
    assert stage.phase() == ("Healthy", "")


@by_version
def test_given_a_pause_that_runs_when_taken_over_then_it_ends_when_it_would_have(by: str) -> None:
    stage = in_a_pause(by)
    stage.play(39)
    assert (stage.status["currentStepIndex"], stage.phase()[0]) == (2, "Paused")
    stage.play(2.5)
    assert stage.status["currentStepIndex"] == 3
    assert stage.weight() == 50


@by_version
def test_given_a_run_of_argos_when_it_ends_then_its_verdict_counts(by: str) -> None:
    for phase, index in (("Successful", 4), ("Failed", 0)):
        stage = in_an_analysis(by)
        stage.play(10)
        assert list(stage.runs()) == [f"app-{HASHES[by]['v2']}-2-2"], "no second run is asked"
        (run,) = stage.runs()
        stage.edit(Key("AnalysisRun", NAMESPACE, run), {"status": {"phase": phase}})
        stage.play(1)
        assert stage.status["currentStepIndex"] == index
        assert (stage.status.get("abort") or False) is (phase == "Failed")
        stage.settle()
        assert stage.sizes() == {"v2" if phase == "Successful" else "v1": 4}
        assert len(stage.sets()) == 2


@by_version
def test_given_a_preview_when_promoted_after_the_take_over_then_users_get_it(by: str) -> None:
    stage = in_a_preview(by)
    stage.settle()
    assert stage.selects("app-active") == "v1", "nobody has promoted it yet"
    stage.user(pauseConditions=None)
    stage.settle()
    assert (stage.selects("app-active"), stage.phase()) == ("v2", ("Healthy", ""))
    assert len(stage.sets()) == 2


@by_version
def test_given_an_abort_when_taken_over_then_it_stays_until_somebody_retries(by: str) -> None:
    stage = after_an_abort(by)
    stage.settle()
    assert (stage.phase()[0], stage.sizes()) == ("Degraded", {"v1": 4})
    assert "Step-based analysis" in stage.phase()[1], "why it was aborted is not forgotten"
    stage.user(abort=False)
    stage.play(5)
    assert (stage.status["currentStepIndex"], stage.weight()) == (1, 50)
    assert len(stage.sets()) == 2


@by_version
def test_given_a_delay_when_taken_over_then_pods_go_when_it_ends(by: str) -> None:
    stage = in_a_delay(by)
    stage.play(19)
    assert stage.sizes() == {"v1": 4, "v2": 4}
    stage.play(3)
    assert stage.sizes() == {"v2": 4}


@by_version
@pytest.mark.parametrize("world", WORLDS)
def test_given_an_autoscaler_that_scales_between_the_two_when_taken_over_then_no_update_begins(
    world: Callable[[str], Stage], by: str
) -> None:
    stage = world(by)
    before = standing(stage)
    stage.spec(replicas=5)
    assert stage.status["observedGeneration"] != str(stage.rollout["metadata"]["generation"])
    stage.play(5)
    assert len(stage.sets()) == len(before["sets"])
    assert stage.status["currentPodHash"] == before["status"]["currentPodHash"]
    assert not [event for event in stage.events if event == "RolloutUpdated"]
    if by != "older" and world is not in_a_pause:
        assert stage.status.get("currentStepIndex") == before["status"]["currentStepIndex"]


@by_version
def test_given_steps_that_were_changed_between_the_two_when_taken_over_then_they_begin_anew(by: str) -> None:
    stage = in_an_analysis(by)
    stage.edit(ROLLOUT, [{"op": "replace", "path": "/spec/strategy/canary/steps/0/setWeight", "value": 25}])
    stage.play(5)
    assert stage.status["currentStepIndex"] == 1
    assert stage.status["currentStepHash"] == step_hash(stage.rollout["spec"]["strategy"]["canary"]["steps"])
    assert len(stage.sets()) == 2


@by_version
def test_given_a_new_template_between_the_two_when_taken_over_then_it_is_rolled_out(by: str) -> None:
    stage = settled(by)
    stage.image("v2")
    stage.play(5)
    assert stage.sizes() == {"v1": 4, "v2": 2}
    assert stage.status["currentStepIndex"] == 1


@by_version
def test_given_a_take_over_when_done_then_the_steps_bear_the_hash_of_this_version(by: str) -> None:
    stage = in_an_analysis(by)
    assert stage.status["currentStepHash"] == STEP_HASHES[by]
    stage.reconcile()
    assert stage.status["currentStepHash"] == STEP_HASHES["1.10"]


# -- which ReplicaSet it is ------------------------------------------------------------------------------------------


def test_given_metadata_of_a_role_and_rules_in_the_template_when_compared_then_they_do_not_count() -> None:
    stage = settled("1.8")
    (name,) = (key for key in stage.objects if key.kind == "ReplicaSet")
    rule = {
        "labelSelector": {
            "matchExpressions": [{"key": "rollouts-pod-template-hash", "operator": "In", "values": ["x"]}]
        },
        "namespaces": [NAMESPACE],
        "topologyKey": "kubernetes.io/hostname",
    }
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}}
    note = '{"labels":{"role":"stable"},"annotations":{"tier":"gold"}}'
    stage.edit(
        name,
        {
            "metadata": {"annotations": {"rollout.argoproj.io/ephemeral-metadata": note}},
            "spec": {
                "template": {
                    "metadata": {"labels": {"role": "stable"}, "annotations": {"tier": "gold"}},
                    "spec": {"affinity": affinity},
                }
            },
        },
    )
    role = {"labels": {"role": "stable"}, "annotations": {"tier": "gold"}}
    # Another generation: the status vouches for nothing.
    stage.spec(replicas=4, paused=False, strategy={"canary": {"stableMetadata": role}})
    stage.play(5)
    assert list(stage.sets()) == ["v1"]
    assert stage.sizes() == {"v1": 4}


def test_given_two_sets_that_mean_the_same_when_compared_then_the_one_that_runs_is_kept() -> None:
    """Argo Rollouts issue 4696: an upgrade left a second ReplicaSet of the same template."""
    for field, kept in (("currentPodHash", "6f8b7c9d4b"), ("stableRS", "6f8b7c9d4b"), (None, "5d59d67564")):
        stage = settled("older")
        (first,) = (obj for key, obj in stage.objects.items() if key.kind == "ReplicaSet")
        hash_ = HASHES["older"]["v2"]
        labels = {"app": "app", "rollouts-pod-template-hash": hash_}
        copy = {**first, "metadata": {**first["metadata"], "name": f"app-{hash_}", "labels": labels, "uid": "twin"}}
        stage.put({**copy, "metadata": {**copy["metadata"], "creationTimestamp": stamp(-60)}})
        noted = {"currentPodHash": None, "stableRS": None, **({field: kept} if field else {})}
        stage.user(**noted, observedGeneration="1")
        assert stage.world().status.get(field or "stableRS") == (kept if field else None)
        stage.play(1)
        assert stage.status["currentPodHash"] == kept, field


def test_given_a_set_that_cannot_be_read_when_compared_then_it_is_passed_over() -> None:
    stage = settled("older")
    (good,) = (obj for key, obj in stage.objects.items() if key.kind == "ReplicaSet")
    bad = {**good, "metadata": {**good["metadata"], "name": "app-bad", "uid": "bad"}}
    bad["metadata"] |= {"labels": {"rollouts-pod-template-hash": "b4d"}, "creationTimestamp": stamp(-9000)}
    stage.put(
        {
            **bad,
            "spec": {
                **bad["spec"],
                "replicas": 0,
                "template": {"spec": {"containers": [{"image": "bad", "ports": "none"}]}},
            },
        }
    )
    stage.image("v2")  # No ReplicaSet means this, so each is asked.
    stage.play(5)
    assert stage.sizes() == {"v1": 4, "v2": 2}


def test_given_a_refused_spec_that_is_mended_when_looked_at_again_then_its_new_template_is_not_overlooked() -> None:
    """A status vouches only for a spec that was acted on: a missing Service refuses the one with the new image."""
    stage = settled("1.10")
    service = stage.objects[Key("Service", NAMESPACE, "app-canary")]
    stage.remove(Key("Service", NAMESPACE, "app-canary"))
    stage.image("v2")
    stage.play(5)
    assert stage.condition("InvalidSpec")["status"] == "True"
    stage.put({**service, "metadata": {"name": "app-canary"}})
    stage.play(5)
    assert stage.sizes() == {"v1": 4, "v2": 2}


def test_given_a_taken_name_when_the_hash_is_salted_then_the_new_template_is_not_overlooked() -> None:
    stage = settled("1.10")
    stage.image("v2")
    stranger = f"app-{HASHES['1.10']['v2']}"
    stage.put({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": stranger}, "spec": _nobodys()})
    stage.play(5)
    assert stage.status["collisionCount"] == 1
    assert stage.sizes() == {"v1": 4, "v2": 2}
    assert stage.status["observedGeneration"] == str(stage.rollout["metadata"]["generation"])


def _nobodys() -> dict[str, Any]:
    return {"replicas": 0, "template": {"metadata": {"labels": {}}, "spec": {"containers": [{"image": "other"}]}}}
