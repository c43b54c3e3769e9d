"""What always holds of an Experiment by itself, over stories that nobody would write by hand."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.experiment.standalone import NAMESPACE, TRIAL, Obj, Trial, asked, begin, experiment, version
from tests.rollout.generated import VERDICTS, Move
from tests.rollout.stage import Verdict
from tidegate.core.plan import Key
from tidegate.core.rollout.world import ENDED

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _some(**fields: Any) -> Obj:
    return {name: value for name, value in fields.items() if value is not None}


@st.composite
def experiments(draw: st.DrawFn) -> Obj:
    names = draw(st.sampled_from((("one",), ("one", "two"))))
    services = st.sampled_from((None, {}, {"name": "own"}))
    versions = [
        version(
            name,
            draw(st.sampled_from(("v1", "v2"))),
            **_some(
                replicas=draw(st.sampled_from((None, 0, 1, 3))),
                minReadySeconds=draw(st.sampled_from((None, 4))),
                service=draw(services) if name == "one" else None,
            ),
        )
        for name in names
    ]
    analyses = [
        asked(name, requiredForCompletion=draw(st.booleans()))
        for name in draw(st.sampled_from(((), ("a",), ("a", "b"))))
    ]
    return experiment(
        *versions,
        analyses=analyses,
        progressDeadlineSeconds=draw(st.sampled_from((30, 120))),
        **_some(
            duration=draw(st.sampled_from((None, "0s", "10s", "1m"))),
            scaleDownDelaySeconds=draw(st.sampled_from((None, 0, 7))),
        ),
    )


def _crash(stage: Trial, seconds: float) -> None:
    for pods in stage.pods.values():
        for pod in pods[:1]:
            pod.ready_at = stage._seconds() + seconds
    stage.cluster_moves()


def _drop(stage: Trial, kind: str) -> None:
    for key in [key for key in stage.objects if key.kind == kind]:
        stage.remove(key)


def _retry(stage: Trial) -> None:
    stage.edit(TRIAL, {"status": None})


MOVES = st.sampled_from(
    [
        *(Move(f"wait {s} s", lambda stage, s=s: stage.play(s)) for s in (0, 1, 5, 15, 70)),  # type: ignore[misc]
        Move("a pod of each is gone for 5 s", lambda stage: _crash(stage, 5)),  # type: ignore[arg-type]
        Move("a pod of each crashes", lambda stage: _crash(stage, 10_000)),  # type: ignore[arg-type]
        Move("v2 is slow", lambda stage: stage.boot.update(v2=50.0)),
        Move("v2 never starts", lambda stage: stage.boot.update(v2=None)),
        Move("the ReplicaSets are deleted", lambda stage: _drop(stage, "ReplicaSet")),  # type: ignore[arg-type]
        Move("the Services are deleted", lambda stage: _drop(stage, "Service")),  # type: ignore[arg-type]
        Move("the analysis runs are deleted", lambda stage: _drop(stage, "AnalysisRun")),  # type: ignore[arg-type]
        Move("terminate", lambda stage: stage.change(terminate=True)),  # type: ignore[attr-defined]
        Move("go on", lambda stage: stage.change(terminate=False)),  # type: ignore[attr-defined]
        Move("retry", _retry),  # type: ignore[arg-type]
    ]
)


@FEW
@given(experiments(), st.lists(VERDICTS, max_size=3), st.lists(MOVES, max_size=10))
def test_an_experiment_is_decided_once_and_leaves_nothing_behind(
    obj: Obj, verdicts: list[Verdict], story: list[Move]
) -> None:
    """10. Idle is silent, which `settle` checks. 7. No data is not success. And what has ended stays so."""
    stage = begin(obj, verdicts={"Experiment": verdicts} if verdicts else {})
    for move in story:
        before, tried_again = stage.ended, move.words == "retry"
        move(stage)
        if before.get("phase") in ENDED and not tried_again:
            assert stage.ended["phase"] == before["phase"]
        if "availableAt" in before and not tried_again:
            assert stage.ended["availableAt"] == before["availableAt"]
    stage.change(terminate=True)
    stage.settle()

    assert stage.phase_now in ENDED
    assert not [key for key in stage.objects if key.kind == "Service"]
    assert not any(stage.wanted().values())
    assert set(stage.runs().values()) <= ENDED
    runs = {each["name"]: each.get("phase") for each in stage.ended.get("analysisRuns", ())}
    if stage.phase_now == "Successful":
        required = [each["name"] for each in obj["spec"]["analyses"] if each["requiredForCompletion"]]
        assert all(runs.get(name) == "Successful" for name in required)
        assert (
            not [name for name, phase in runs.items() if phase in ("Failed", "Error", "Inconclusive")] or not required
        )


@FEW
@given(experiments(), st.lists(VERDICTS, max_size=3), st.lists(MOVES, max_size=8))
def test_pods_stay_until_the_verdict(obj: Obj, verdicts: list[Verdict], story: list[Move]) -> None:
    """3. Nothing is scaled down before there is a verdict, nor before its delay."""
    stage = begin(obj, verdicts={"Experiment": verdicts} if verdicts else {})
    wanted = {each["name"]: each.get("replicas", 1) for each in obj["spec"]["templates"]}
    for move in story:
        move(stage)
        stage.cluster_moves()
        stage.reconcile()
        if stage.phase_now in ENDED:
            continue
        sizes = {key.name: rs["spec"]["replicas"] for key, rs in stage.objects.items() if key.kind == "ReplicaSet"}
        for name, size in wanted.items():
            rs = sizes.get(f"trial-{name}")
            status = stage.objects.get(Key("ReplicaSet", NAMESPACE, f"trial-{name}"), {}).get("status") or {}
            assert rs is None or rs == size or status.get("replicas", 0) > rs, "but one that is still shrinking waits"
