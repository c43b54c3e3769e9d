"""Every verb of the command line against the real operator, each a process of its own: what pipelines see."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import manifests as m
from lab.paths import REPOSITORY
from lab.toolchain import kubectl
from tests.oracles import definitions
from tests.scenarios.chronicle import ARGO, Obj
from tests.scenarios.story import (
    HASH,
    Story,
    analysis,
    blue_green,
    by_host,
    canary,
    rollout,
    split_by_host,
    template,
    wait,
    weigh,
)
from tests.scenarios.terminal import Ran, Terminal, terminal
from tidegate.cli.manifests import parse
from tidegate.cli.migrating import moves_of

pytestmark = pytest.mark.lab

_PYTHON = [sys.executable, "-m", "tidegate"]


def environment(story: Story, **more: str) -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": str(story.lab.kubeconfig), "PYTHONPATH": str(REPOSITORY / "operator"), **more}


_TERMINAL: list[Terminal] = []


@pytest.fixture(scope="module", autouse=True)
def _terminal() -> Iterator[None]:
    """Stories run in threads of their own and get no fixtures, so what they share stands in the module."""
    with terminal() as opened:
        _TERMINAL.append(opened)
        yield
        _TERMINAL.clear()


def cli(story: Story, *arguments: str, code: int = 0, stdin: str = "") -> Ran:
    """Run the command in the story's namespace and expect this exit code."""
    environ = {"KUBECONFIG": str(story.lab.kubeconfig)}
    ran = _TERMINAL[0].run(*arguments, "-n", story.namespace, environ=environ, stdin=stdin)
    assert ran.code == code, f"{arguments} ended with {ran.code}\n{ran.out}\n{ran.err}"
    assert "Traceback" not in ran.err
    return ran


def data(story: Story, *arguments: str, code: int = 0, stdin: str = "") -> Any:
    return json.loads(cli(story, *arguments, "-o", "json", code=code, stdin=stdin).out)


def test_a_pipeline_follows_a_release_through_a_persons_word_to_its_end(story: Story) -> None:
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    strategy = by_host(weigh(20), wait(), weigh(60), wait(1))
    story.apply(rollout("v1", strategy))
    cli(story, "status", "app", "--timeout", "60s")

    cli(story, "set", "image", "app", "app=lab.local/app:v2")
    ran = cli(story, "status", "rollout/app", "--timeout", "60s", code=2)
    assert "step 2 of 4 pauses until somebody promotes" in ran.out

    tree = data(story, "get", "app")
    assert (tree["phase"], tree["step"], tree["weight"]) == ("Paused", 1, 20)
    assert [(r["revision"], r["roles"], r["weight"]) for r in tree["revisions"]] == [
        (2, ["canary"], 20),
        (1, ["stable"], 80),
    ]
    assert all(pod["status"] == "Running" for revision in tree["revisions"] for pod in revision["pods"])
    assert "weight 20" in cli(story, "get", "app").out
    assert data(story, "list")["items"][0]["status"] == "Paused"

    assert "goes on from step 2 of 4" in cli(story, "promote", "app").out
    done = data(story, "status", "app", "--timeout", "60s")
    assert (done["verdict"], done["exitCode"], done["currentPodHash"]) == ("healthy", 0, done["stableRS"])

    story.kubectl("delete", "events", "--all")  # After an hour they are gone, and the status still has its record.
    first, second = data(story, "history", "app")["items"]
    assert (first["revision"], first["outcome"], first["stable"]) == (2, "Promoted", True)
    assert first["seconds"] > 0
    assert (second["revision"], second["outcome"]) == (1, "Promoted")
    assert cli(story, "history", "app").out.splitlines()[1].split()[:2] == ["2", "Promoted"]


def test_a_bad_release_ends_with_1_and_the_metric_that_undid_it(story: Story) -> None:
    story.apply(template("errors", "vector(0.2)", successCondition="result < 0.1"))
    strategy = canary(weigh(50), wait(30), analysis=analysis("errors"))
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    story.apply(rollout("v2", strategy))

    ran = cli(story, "status", "app", "--timeout", "60s", code=1)

    assert "RolloutAborted" in ran.out
    assert "metric m: " in ran.out and "0.2" in ran.out
    newest = data(story, "history", "app")["items"][0]
    assert (newest["revision"], newest["outcome"], newest["stable"]) == (2, "Aborted", False)
    assert newest["finished"] == story.status()["releases"]["recent"][-1]["finishedAt"]
    assert 'Metric "m" assessed Failed' in newest["reason"]


def test_abort_retry_skip_pause_promote_and_undo(story: Story) -> None:
    strategy = canary(weigh(50), wait(), wait(), wait())
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    story.apply(rollout("v2", strategy))
    cli(story, "abort", "app")  # The operator may not have seen the new version yet: it is waited for.
    assert "RolloutAborted" in cli(story, "status", "app", "--timeout", "60s", code=1).out

    cli(story, "retry", "app")
    assert cli(story, "status", "app", "--timeout", "60s", code=2)
    tries = [(item["revision"], item["outcome"]) for item in data(story, "history", "app")["items"]]
    assert tries == [(2, "Paused"), (2, "Aborted"), (1, "Promoted")]
    assert data(story, "get", "app")["step"] == 1
    cli(story, "skip", "app")
    story.until(lambda: story.status().get("currentStepIndex") == 2, "the step skipped")
    cli(story, "status", "app", "--timeout", "30s", code=2)

    cli(story, "pause", "app")
    assert "somebody has paused it" in cli(story, "status", "app", "--timeout", "30s", code=2).out
    cli(story, "promote", "app", "--full")
    cli(story, "status", "app", "--timeout", "60s")
    assert story.rollout()["spec"]["paused"] is False

    cli(story, "undo", "app")
    cli(story, "status", "app", "--timeout", "60s", code=2)
    cli(story, "promote", "--full", "app")
    cli(story, "status", "app", "--timeout", "60s")
    assert story.get("Rollout")["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":v1")
    cli(story, "undo", "app", "--to-revision", "2")
    story.until(lambda: story.status().get("phase") == "Paused", "the way to revision 2 again")
    assert story.get("Rollout")["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":v2")
    assert HASH not in story.get("Rollout")["spec"]["template"]["metadata"]["labels"]


def test_a_blue_green_switch_waits_for_a_word_and_a_run_is_terminated(story: Story) -> None:
    story.services("app", "app-preview")
    story.apply(template("forever", "vector(1)", successCondition="result == 1", count=1000))
    strategy = blue_green(autoPromotionEnabled=False, prePromotionAnalysis=analysis("forever"))
    story.apply(rollout("v1", strategy))
    cli(story, "status", "app", "--timeout", "60s")
    story.apply(rollout("v2", strategy))
    run = story.until(lambda: next(iter(story.runs("PrePromotion")), None), "the analysis")["metadata"]["name"]
    story.until(lambda: story.runs()[0].get("status", {}).get("phase") == "Running", "a first measurement")

    tree = data(story, "get", "app")
    assert [(r["roles"], r["weight"]) for r in tree["revisions"]] == [(["preview"], 0), (["stable", "active"], 100)]
    assert [r["name"] for r in tree["revisions"][0]["runs"]] == [run]
    cli(story, "terminate", "analysisrun", run)
    story.until(lambda: story.runs()[0]["status"]["phase"] == "Successful", "the run's end")

    assert "waits to be promoted" in cli(story, "status", "app", "--timeout", "60s", code=2).out
    cli(story, "promote", "app")
    cli(story, "status", "app", "--timeout", "60s")


def test_an_experiment_is_shown_listed_ended_and_run_again(story: Story) -> None:
    story.apply(template("forever", "vector(1)", successCondition="result == 1", count=1000))
    pods = m.pod_template({"app": "trial"}, m.app_container("v1"))
    tried = {"name": "only", "replicas": 2, "selector": {"matchLabels": {"app": "trial"}}, "template": pods}
    spec = {"templates": [tried], "analyses": [{"name": "good", "templateName": "forever"}]}
    story.apply({"apiVersion": ARGO, "kind": "Experiment", "metadata": {"name": "trial"}, "spec": spec})

    def shown(phase: str) -> Obj | None:
        found: Obj = data(story, "get", "experiment", "trial")
        return found if found["phase"] == phase and found["versions"][0]["available"] == 2 else None

    found = story.until(lambda: shown("Running"), "the trial running")
    assert [(v["name"], v["status"], v["available"], v["replicas"]) for v in found["versions"]] == [
        ("only", "Running", 2, 2)
    ]
    story.until(lambda: data(story, "get", "exp/trial")["analyses"][0]["phase"] == "Running", "its analysis")
    table = cli(story, "get", "exp", "trial").out
    assert "only" in table and "2/2" in table and "trial-good" in table
    (item,) = data(story, "list", "experiments")["items"]
    assert (item["name"], item["status"], item["versions"], item["available"]) == ("trial", "Running", "only", "2/2")
    assert cli(story, "list", "exp", "-o", "name").out == "experiment.argoproj.io/trial\n"
    assert "has not ended" in cli(story, "retry", "experiment", "trial", code=4).err
    assert "did you mean trial?" in cli(story, "get", "experiment", "trail", code=4).err

    cli(story, "terminate", "experiment", "trial")
    ended = {"Successful", "Inconclusive"}
    story.until(lambda: data(story, "get", "experiment", "trial")["phase"] in ended, "its end")
    assert "has ended already" in cli(story, "terminate", "experiment", "trial").out
    cli(story, "retry", "experiment", "trial")
    story.until(lambda: shown("Running"), "another try")
    assert data(story, "get", "experiment", "trial")["analyses"][0]["run"] == "trial-good.1"
    story.patch("Experiment", "trial", {"spec": {"terminate": True}})


def test_a_step_s_experiment_is_in_the_rollout_s_tree(story: Story) -> None:
    tried = [{"name": "candidate", "specRef": "canary"}]
    strategy = canary({"experiment": {"templates": tried, "duration": "10m"}})
    story.apply(rollout("v1", strategy, replicas=1))
    story.until_phase("Healthy")
    story.apply(rollout("v2", strategy, replicas=1))
    name = story.until(lambda: story.status().get("canary", {}).get("currentExperiment"), "the Experiment")

    newest = data(story, "get", "app")["revisions"][0]
    assert [(run["kind"], run["name"]) for run in newest["runs"]] == [("Experiment", name)]
    cli(story, "terminate", "experiment", name)
    cli(story, "status", "app", "--timeout", "60s")


def test_diff_foretells_the_hash_and_restart_replaces_the_pods(story: Story) -> None:
    strategy = canary(weigh(50), wait(0))
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    text = yaml.safe_dump(rollout("v2", strategy))

    (item,) = data(story, "diff", "-f", "-", code=1, stdin=text)["items"]
    assert (item["change"], item["revision"], item["steps"]) == ("changed", "new", ["setWeight 50", "pause 0"])
    assert story.rollout()["metadata"]["generation"] == 1, "nothing was applied"
    story.apply(rollout("v2", strategy))
    story.until_phase("Healthy")
    assert story.status()["currentPodHash"] == item["hash"]
    (after,) = data(story, "diff", "-f", "-", stdin=text)["items"]
    assert (after["change"], after["diff"]) == ("unchanged", [])

    before = {pod["name"] for pod in data(story, "get", "app")["revisions"][0]["pods"]}
    time.sleep(1.1)  # A pod of the very second of restartAt is young enough.
    cli(story, "restart", "app")
    story.until(lambda: story.status().get("restartedAt"), "the restart", 60)
    cli(story, "status", "app", "--timeout", "60s")
    now = {pod["name"] for pod in data(story, "get", "app")["revisions"][0]["pods"] if pod["status"] == "Running"}
    assert now and not now & before


def test_the_tree_is_kept_up_to_date_until_it_is_interrupted(story: Story) -> None:
    strategy = canary(weigh(50), wait(), weigh(100))
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    watching = subprocess.Popen(
        # A shell that runs the tests in the background ignores the signal, and so would whatever they start.
        ["env", "--default-signal=INT", *_PYTHON, "get", "app", "-w", "-n", story.namespace],
        env=environment(story),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        while "Healthy" not in watching.stdout.readline():
            pass
        story.apply(rollout("v2", strategy))
        for line in watching.stdout:
            if "Paused - CanaryPauseStep" in line:
                break
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 130
    finally:
        watching.kill()
        watching.stdout.close()  # type: ignore[union-attr]
        watching.wait()


def test_kubectl_finds_the_plugin_and_what_is_not_allowed_is_named(story: Story) -> None:
    folder = Path(story.lab.workdir, f"bin-{story.namespace}")
    folder.mkdir()
    for name, entry in (("kubectl-tidegate", "main:main"), ("kubectl_complete-tidegate", "kubectl_complete:main")):
        module, function = entry.split(":")
        script = folder / name
        script.write_text(f"#!{sys.executable}\nfrom tidegate.cli.{module} import {function}\n{function}()\n")
        script.chmod(0o755)
    path = f"{folder}:{kubectl().parent}:{os.environ['PATH']}"
    story.apply(rollout("v1", canary(weigh(50), wait())))
    story.until_phase("Healthy")

    def plugin(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(kubectl()), *arguments],
            env=environment(story, PATH=path, **env),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert "kubectl-tidegate" in plugin("plugin", "list").stdout
    assert "app" in plugin("tidegate", "list", "-n", story.namespace).stdout
    assert "Usage: kubectl tidegate get" in plugin("tidegate", "get", "--help").stdout
    completed = plugin("__complete", "tidegate", "get", "-n", story.namespace, "a").stdout.splitlines()
    assert completed[:1] == ["app"], completed

    reader = story.lab.kubeconfig_for("default", "default")
    told = plugin("tidegate", "abort", "app", "-n", story.namespace, "--kubeconfig", str(reader))
    assert told.returncode == 4
    assert f"may not get rollouts in namespace {story.namespace}" in told.stderr
    nobody = plugin("tidegate", "get", "ap", "-n", story.namespace)
    assert "there is no Rollout ap " in nobody.stderr and "did you mean app?" in nobody.stderr
    far = json.loads(Path(story.lab.kubeconfig).read_text())
    far["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    lost = folder / "lost.kubeconfig"
    lost.write_text(json.dumps(far))
    assert "can't be reached" in plugin("tidegate", "list", KUBECONFIG=str(lost)).stderr


def test_a_flagger_canary_comes_over_without_losing_a_request(story: Story) -> None:
    """The steps that migrate names, taken in their order, with users at the gateway all the time."""
    pods = m.pod_template({"app": "app"}, m.app_container("v1"))
    old = m.pod_template({"app": "app-primary"}, m.app_container("v1"))
    story.apply(
        m.deployment("app-primary", story.namespace, old, replicas=2),
        m.deployment("app", story.namespace, pods, replicas=0),
        m.service("app-primary", story.namespace, {"app": "app-primary"}),
        m.service("app", story.namespace, {"app": "app-primary"}),
    )
    flagger: Obj = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "app", "namespace": story.namespace},
        "spec": {
            "provider": "istio",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
            "service": {"port": 80, "targetPort": m.APP_PORT, "gateways": [m.GATEWAY], "hosts": [story.host]},
            "analysis": {"interval": "1s", "threshold": 3, "stepWeight": 50, "maxWeight": 50},
        },
    }
    theirs = str(definitions() / "crd.yaml")
    story.lab.kubectl("apply", "--server-side", "-f", theirs)
    story.lab.kubectl("wait", "--for=condition=Established", "--timeout=20s", "-f", theirs)
    story.apply(flagger)
    said = cli(story, "migrate").out
    assert "becomes Service app-stable, Service app-next, Rollout app, VirtualService app" in said
    found = [
        story.lab.client.get("Deployment", name, story.namespace, api_version="apps/v1")
        for name in ("app", "app-primary")
    ]
    given = story.lab.client.get("Canary", "app", story.namespace, api_version="flagger.app/v1beta1")
    (move,) = moves_of(parse(yaml.safe_dump_all([given, *found])))
    in_a_file = yaml.safe_dump_all([flagger, *found])
    assert cli(story, "migrate", "-f", "-", stdin=in_a_file).out == said, "from a file it says the same"

    story.apply(*move.handover)
    with story.users() as users:
        story.apply(*(obj for obj in move.manifests if obj["kind"] != "VirtualService"))
        cli(story, "status", "app", "--timeout", "60s")
        story.apply(*(obj for obj in move.manifests if obj["kind"] == "VirtualService"))
        time.sleep(1)
        story.lab.client.delete("Deployment", "app-primary", story.namespace, api_version="apps/v1")
        cli(story, "set", "image", "app", "app=lab.local/app:v2")
        cli(story, "status", "app", "--timeout", "60s")
    story.check_users(users)
    story.until(lambda: story.weight(route="app") == 0, "the route at rest")
    assert 50 in story.weights(route="app")
