"""promote, abort, undo and the others: which patch is sent, and that it acts on what was seen and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.cli.release import NEW, OLD, Release, template
from tests.fakes.cluster import FakeCluster, Written


def fields(release: Release, *names: str) -> dict[str, Any]:
    return {name: release.now["status"].get(name) for name in names}


def test_promote_lifts_the_pause(cli: Cli, release: Release) -> None:
    said = cli.ok("promote", "app").out

    assert fields(release, "pauseConditions", "controllerPause", "currentStepIndex") == {
        "pauseConditions": None,
        "controllerPause": True,
        "currentStepIndex": 1,
    }
    assert said == "Rollout app goes on from step 2 of 4 (pause)\n"


def test_promote_passes_a_step_that_is_no_pause_and_skip_any_step(cli: Cli, release: Release) -> None:
    release.status(currentStepIndex=2, pauseConditions=None, controllerPause=None, phase="Progressing")
    cli.ok("promote", "app")
    assert release.now["status"]["currentStepIndex"] == 3

    cli.ok("skip", "app")
    assert release.now["status"]["currentStepIndex"] == 4
    assert "past all of its 4 steps" in cli("skip", "app").err


def test_promote_of_an_inconclusive_step_passes_it(cli: Cli, release: Release) -> None:
    pause = [{"reason": "InconclusiveAnalysisRun", "startTime": "2026-01-01T00:00:00Z"}]
    release.status(
        pauseConditions=pause, canary={"currentStepAnalysisRunStatus": {"name": "r", "status": "Inconclusive"}}
    )

    cli.ok("promote", "app")

    assert fields(release, "pauseConditions", "controllerPause", "currentStepIndex") == {
        "pauseConditions": None,
        "controllerPause": False,
        "currentStepIndex": 2,
    }


def test_promote_of_a_rollout_that_somebody_holds_lets_it_go_and_skips_nothing(cli: Cli, release: Release) -> None:
    release.status(pauseConditions=None, controllerPause=None, currentStepIndex=2)
    cli.ok("pause", "app")
    release.observe()
    assert release.now["spec"]["paused"] is True
    assert "is paused already" in cli.ok("pause", "app").out

    cli.ok("promote", "app")

    assert release.now["spec"]["paused"] is False
    assert release.now["status"]["currentStepIndex"] == 2


def test_promote_in_full_abort_and_retry(cli: Cli, release: Release) -> None:
    cli.ok("promote", "--full", "app")
    assert release.now["status"]["promoteFull"] is True
    assert "already" in cli.ok("promote", "app", "--full").out

    cli.ok("abort", "app")
    assert release.now["status"]["abort"] is True
    assert "is aborted already" in cli.ok("abort", "app").out
    assert "`tidegate retry` tries the update again" in cli("promote", "app").err

    cli.ok("retry", "rollout", "app")
    assert release.now["status"]["abort"] is False
    assert cli("retry", "app").code == 4


@pytest.mark.parametrize("verb", ["abort", "skip", "promote"])
def test_without_an_update_there_is_nothing_to_ask(cli: Cli, release: Release, verb: str) -> None:
    release.status(stableRS=NEW, phase="Healthy", pauseConditions=None, controllerPause=None, currentStepIndex=4)
    before = release.now

    said = cli.ok(verb, "app").out

    assert f"has no update to {verb}" in said
    assert release.now == before


@pytest.mark.parametrize(
    ("verb", "meanwhile"),
    [
        ("promote", {"pauseConditions": None, "controllerPause": None, "currentStepIndex": 3}),
        ("promote", {"pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-01-01T00:09:00Z"}]}),
        ("skip", {"currentStepIndex": 2}),
        ("abort", {"currentPodHash": "third"}),
        ("promote --full", {"currentPodHash": "third"}),
    ],
)
def test_what_has_moved_on_since_it_was_read_is_left_alone(
    cli: Cli, release: Release, verb: str, meanwhile: dict[str, Any]
) -> None:
    """A wrong program promotes the second pause because the first ended between its read and its write."""

    def move(transport: Any) -> None:
        def at_first_write(request: Any) -> None:
            if request.is_write and meanwhile:
                release.status(**meanwhile)
                meanwhile.clear()

        transport.faults.append(at_first_write)

    cli.arrange = move
    wanted = {**release.now["status"], **meanwhile}

    answer = cli(*verb.split(), "app")

    assert answer.code == 4
    assert "has changed since it was read, so nothing was done" in answer.err
    assert release.now["status"] == {name: value for name, value in wanted.items() if value is not None}


def test_a_spec_that_nobody_has_seen_is_waited_for(cli: Cli, release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    release.spec(replicas=6)
    cli.since, cli.later = "GET", [(0.3, release.observe)]
    cli.ok("abort", "app")
    assert release.now["status"]["abort"] is True

    monkeypatch.setattr("tidegate.cli.session._OBSERVED_WITHIN", 0.3)
    cli.later = []
    release.spec(replicas=7)
    answer = cli("retry", "app")
    assert answer.code == 4
    assert "generation 3, observed 2" in answer.err and "is Tidegate running" in answer.err


def test_undo_goes_back_without_what_the_controller_put_in(cli: Cli, cluster: FakeCluster, release: Release) -> None:
    borne = '{"labels":{"role":"stable"}}'
    name = f"app-{OLD}"
    cluster.patch("ReplicaSet", name, {"metadata": {"annotations": {"rollout.argoproj.io/ephemeral-metadata": borne}}})
    cluster.patch("ReplicaSet", name, {"spec": {"template": {"metadata": {"labels": {"role": "stable"}}}}})

    said = cli.ok("undo", "app").out

    spec = release.now["spec"]["template"]
    assert spec["metadata"] == template("app:v1")["metadata"]
    assert spec["spec"]["containers"][0]["image"] == "app:v1"
    assert "revision 1" in said


def test_undo_to_a_revision_and_what_it_refuses(cli: Cli, release: Release) -> None:
    missing, here = cli("undo", "app", "--to-revision", "7"), cli.ok("undo", "app", "--to-revision=2")

    assert missing.err.startswith("tidegate: Rollout app has no revision 7; there are 1, 2")
    assert "is at revision 2 already" in here.out
    assert release.now["metadata"]["generation"] == 1

    cli.ok("undo", "app", "--to-revision=1")
    assert release.now["spec"]["template"]["spec"]["containers"][0]["image"] == "app:v1"


def test_undo_tells_of_git(cli: Cli, cluster: FakeCluster, release: Release) -> None:
    cluster.patch("Rollout", "app", {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "x"}}})

    assert "Argo CD manages this Rollout from Git" in cli.ok("undo", "app").err


def test_set_image(cli: Cli, release: Release) -> None:
    cli.ok("set", "image", "app", "app=app:v3")
    assert release.now["spec"]["template"]["spec"]["containers"] == [{"name": "app", "image": "app:v3"}]
    cli.ok("set", "image", "rollout/app", "*=app:v4")
    assert release.now["spec"]["template"]["spec"]["containers"][0]["image"] == "app:v4"

    assert "runs these images already" in cli.ok("set", "image", "app", "app=app:v4").out
    assert "has no container web; there are app" in cli("set", "image", "app", "web=x").err
    assert "is not CONTAINER=IMAGE" in cli("set", "image", "app", "app=").err
    none = cli("set", "image", "app")
    assert none.code == 4 and "say which image: `tidegate set image app CONTAINER=IMAGE`" in none.err


def test_a_template_that_comes_from_a_workload_is_changed_there(
    cli: Cli, cluster: FakeCluster, release: Release
) -> None:
    cluster.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"template": template("app:v2"), "selector": {"matchLabels": {"app": "app"}}},
        }
    )
    release.spec(workloadRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, template=None)

    cli.ok("set", "image", "app", "app=app:v3")
    assert _image(cluster) == "app:v3"
    cli.ok("undo", "app")
    assert _image(cluster) == "app:v1"
    assert "template" not in release.now["spec"]


def _image(cluster: FakeCluster) -> str:
    found = cluster.get("Deployment", "web")
    assert found is not None
    image: str = found["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def test_restart_now_and_later(cli: Cli, release: Release) -> None:
    cli.ok("restart", "app")
    now = release.now["spec"]["restartAt"]
    cli.ok("restart", "app", "--in", "1h")

    assert release.now["spec"]["restartAt"] > now
    assert "--in: 'soon' is not a duration" in cli("restart", "app", "--in", "soon").err


def test_terminate(cli: Cli, cluster: FakeCluster, release: Release) -> None:
    release.run("app-run", "Running")
    release.run("app-over", "Failed")

    cli.ok("terminate", "analysisrun", "app-run")
    found = cluster.get("AnalysisRun", "app-run")

    assert found is not None and found["spec"]["terminate"] is True
    assert "has ended already (Failed)" in cli.ok("terminate", "ar/app-over").out
    assert "say which kind" in cli("terminate", "app-run").err
    assert "there is no AnalysisRun app-ran" in cli("terminate", "analysisrun", "app-ran").err


@pytest.mark.parametrize(
    ("asked", "changed", "message"),
    [
        (["promote", "app"], True, "Rollout app goes on from step 2 of 4 (pause)"),
        (["promote", "app", "--full"], True, "Rollout app is promoted in full"),
        (["skip", "app"], True, "Rollout app skips step 2 of 4 (pause)"),
        (["pause", "app"], True, "Rollout app is held at step 2 of 4 (pause); `tidegate promote app` lets it go on"),
        (["abort", "app"], True, "Rollout app is aborted: traffic goes back to the stable version; "),
        (["retry", "app"], True, "Rollout app tries the update again from its first step"),
        (["undo", "app", "--to-revision", "1"], True, "Rollout app goes back to the pod template of revision 1"),
        (["undo", "app", "--to-revision", "2"], False, "Rollout app is at revision 2 already"),
        (["restart", "app"], True, "Rollout app is restarted now, a few pods at once"),
        (["set", "image", "app", "app=app:v3"], True, "Rollout app has got its new image; "),
        (["set", "image", "app", "app=app:v2"], False, "Rollout app runs these images already"),
        (["terminate", "analysisrun", "app-run"], True, "AnalysisRun app-run is being terminated; "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_was_asked_is_told_in_each_form(
    cli: Cli, release: Release, asked: list[str], changed: bool, message: str
) -> None:
    release.run("app-run", "Running")
    if asked[0] == "retry":
        cli.ok("abort", "app")

    told = cli.ok(*asked, "-o", "json").data

    assert told.pop("message").startswith(message)
    kind, name = ("AnalysisRun", "app-run") if asked[0] == "terminate" else ("Rollout", "app")
    assert told == {"kind": kind, "namespace": "default", "name": name, "changed": changed}
    if not changed:
        assert cli.ok(*asked, "-o", "name").out == f"{kind.lower()}.argoproj.io/{name}\n"


def test_every_write_is_made_under_the_command_lines_own_name(cli: Cli, cluster: FakeCluster, release: Release) -> None:
    """The operator's fields must not look as if a person had written them, nor the other way round."""
    seen: list[Written] = []
    queries: list[str] = []
    cluster.observers.append(seen.append)
    request = cluster.request

    def spy(method: str, path: str, query: Any = None, *rest: Any, **more: Any) -> Any:
        if method == "PATCH":
            queries.append((query or {}).get("fieldManager", ""))
        return request(method, path, query, *rest, **more)

    cluster.request = spy  # type: ignore[method-assign]
    cli.ok("abort", "app")

    assert [(w.actor, w.subresource) for w in seen] == [("cli", "status")]
    assert queries == ["tidegate-cli"]


@pytest.mark.parametrize("spec", [{"templates": []}, {"templates": [], "terminate": True}], ids=["ended", "terminated"])
def test_retry_of_an_experiment_takes_away_how_it_ended(
    cli: Cli, cluster: FakeCluster, release: Release, spec: dict[str, Any]
) -> None:
    """Its status is part of the object in either project's definitions, so one write does it."""
    kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment"}
    ended = {"phase": "Failed", "message": "no"}
    cluster.create({**kind, "metadata": {"name": "trial", "namespace": "default"}, "spec": spec, "status": ended})
    seen: list[Written] = []
    cluster.observers.append(seen.append)

    assert cli.ok("retry", "experiment", "trial").out == "Experiment trial runs again from the beginning\n"

    now = cluster.peek("Experiment", "trial", "default")
    assert now is not None
    assert (now.get("status"), now["spec"].get("terminate", False)) == (None, False)
    assert [w.subresource for w in seen] == [""]
    assert "has not ended" in cli("retry", "experiment", "trial").err
