"""Several controllers in one cluster: each looks after its own Rollouts by their label."""

from __future__ import annotations

import pytest

from tests.crash.theatre import Theatre
from tests.engine.test_workloads import deployment, phase, rollout, size
from tidegate.api import names
from tidegate.shell.operator import engine_settings
from tidegate.shell.settings import Settings, read_settings

RUN = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AnalysisRun",
    "metadata": {"name": "by-hand", "namespace": "default"},
    "spec": {"metrics": [{"name": "m", "provider": {"prometheus": {"address": "http://p", "query": "good"}}}]},
}


def theatre(label: str) -> Theatre:
    given = rollout()
    run = {**RUN, "metadata": dict(RUN["metadata"])}  # type: ignore[call-overload]
    if label:
        given["metadata"]["labels"] = run["metadata"]["labels"] = {names.INSTANCE_ID: label}
    return Theatre(given, [deployment(), run], services=())


@pytest.mark.looptime
@pytest.mark.parametrize("label", ["", "a", "b"])
@pytest.mark.parametrize("instance", ["", "a"])
async def test_only_rollouts_and_runs_of_the_instance_are_looked_after(label: str, instance: str) -> None:
    async with theatre(label) as stage:
        stage.deploy()
        looked = 0

        def long_enough() -> bool:
            nonlocal looked
            looked += 1
            return looked > 400 or phase(stage) == "Healthy"

        await stage.play(long_enough, instance_id=instance)
        run = stage.cluster.peek("AnalysisRun", "by-hand")
        assert run is not None
        assert phase(stage) == ("Healthy" if label == instance else "")
        assert ("status" in run) is (label == instance)


@pytest.mark.looptime
async def test_a_rollout_that_goes_to_another_instance_keeps_its_deployment_down() -> None:
    async with theatre("") as stage:
        stage.rollout["spec"]["workloadRef"]["scaleDown"] = "onsuccess"
        stage.deploy()
        looked = 0

        def moved() -> bool:
            nonlocal looked
            if phase(stage) == "Healthy" and size(stage) == 0:
                stage.cluster.patch("Rollout", "app", {"metadata": {"labels": {names.INSTANCE_ID: "b"}}})
                looked += 1
            return looked > 100

        await stage.play(moved)
        assert size(stage) == 0
        looked = 0
        await stage.play(moved)
        assert size(stage) == 0, "nor does a restart find it an orphan"


def test_each_instance_elects_its_own_leader() -> None:
    plain, one = read_settings([]), read_settings(["--instance-id=a"])
    assert (plain.lease_name, one.lease_name) == (Settings().lease_name, Settings().lease_name + "-a")
    assert read_settings(["--instance-id=a", "--lease-name=mine"]).lease_name == "mine"
    assert engine_settings(one).instance_id == "a"
    lease = engine_settings(one).lease
    assert lease is not None and lease.name.endswith("-a")


@pytest.mark.parametrize("given", ["Team_A", "-a", "a" * 41])
def test_an_instance_id_that_can_be_no_lease_is_refused(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_settings([f"--instance-id={given}"])
    assert "--instance-id must be" in capsys.readouterr().err
