"""Experiments on the real cluster: by themselves, and as a canary step that gives them users on Istio."""

from __future__ import annotations

import pytest

from lab import manifests as m
from tests.scenarios.chronicle import ARGO
from tests.scenarios.story import (
    HASH,
    Obj,
    Story,
    by_host,
    by_subset,
    rollout,
    split_by_host,
    split_by_subset,
    template,
)

pytestmark = pytest.mark.lab

TRIED = ("baseline", "candidate")


def status(story: Story, name: str) -> Obj:
    found: Obj = (story.chronicle.latest(story.namespace, "Experiment", name) or {}).get("status") or {}
    return found


def until_ended(story: Story, name: str, phase: str) -> Obj:
    return story.until(
        lambda: found if (found := status(story, name)).get("phase") == phase else None, f"{name} being {phase}"
    )


def pods(story: Story, name: str) -> int:
    """How many pods the versions of an Experiment have or should have."""
    sets = {e.name: e.obj for e in story.chronicle.entries(story.namespace, "ReplicaSet") if e.name.startswith(name)}
    return sum(rs["spec"]["replicas"] + rs["status"].get("replicas", 0) for rs in sets.values())


def step(query: str, **more: object) -> Obj:
    """Both versions with a tenth of the users each, and an analysis of them."""
    versions = zip(TRIED, ("stable", "canary"), strict=True)
    asked = {"name": "look", "templateName": query, "requiredForCompletion": True}
    return {
        "experiment": {
            "templates": [{"name": name, "specRef": ref, "weight": 10} for name, ref in versions],
            "analyses": [asked],
            "scaleDownDelaySeconds": 1,
            **more,
        }
    }


def test_two_versions_run_beside_each_other_and_are_compared(story: Story) -> None:
    query = 'label_replace(vector(1), "hash", "{{args.hash}}", "", "")'
    story.apply(template("compare", query, args=["hash"], successCondition="len(result) == 1", count=6))
    templates = [
        {
            "name": color,
            "selector": {"matchLabels": {"app": "trial", "color": color}},
            "template": m.pod_template({"app": "trial", "color": color}, m.app_container(color)),
            "service": {"name": color},
        }
        for color in ("purple", "orange")
    ]
    asked = {"name": "purple", "templateName": "compare", "requiredForCompletion": True}
    asked["args"] = [{"name": "hash", "value": "{{templates.purple.podTemplateHash}}"}]
    spec = {"templates": templates, "analyses": [asked], "duration": "6s", "scaleDownDelaySeconds": 1}
    story.route({"route": [m.destination("purple", port=m.APP_PORT)]})
    story.apply({"apiVersion": ARGO, "kind": "Experiment", "metadata": {"name": "trial"}, "spec": spec})

    story.until(lambda: status(story, "trial").get("phase") == "Running", "the trial running")
    story.until(lambda: reaches(story) == "purple", "the Service of a version leading to its pods")
    ended = until_ended(story, "trial", "Successful")

    run = story.get("AnalysisRun", "trial-purple")
    hashes = {each["name"]: each["podTemplateHash"] for each in ended["templateStatuses"]}
    assert len(set(hashes.values())) == 2
    assert run["spec"]["args"] == [{"name": "hash", "value": hashes["purple"]}]
    assert run["status"]["metricResults"][0]["measurements"][0]["value"].startswith("[1")
    story.until(lambda: pods(story, "trial") == 0, "the pods being gone")
    story.until(lambda: story.chronicle.latest(story.namespace, "Service", "purple") is None, "its Service being gone")
    assert story.kubectl("get", "exp", "trial", "-o", "name") == "experiment.argoproj.io/trial\n"
    story.kubectl("wait", "--for=jsonpath={.status.phase}=Successful", "exp/trial", "--timeout=5s")
    story.until_event("ExperimentSuccessful")

    story.patch("Experiment", "trial", {"status": None})  # as `kubectl argo rollouts retry experiment` does
    story.until(lambda: status(story, "trial").get("phase") == "Running", "another try")
    story.patch("Experiment", "trial", {"spec": {"terminate": True}})
    story.until(lambda: status(story, "trial").get("phase") not in ("Pending", "Running"), "its end")
    assert status(story, "trial")["analysisRuns"][0]["analysisRun"] == "trial-purple.1"


def reaches(story: Story) -> str:
    try:
        return story.reaches()
    except OSError:
        return ""


def test_a_step_that_fails_takes_its_users_back_and_undoes_the_update(story: Story) -> None:
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    story.apply(template("bad", "vector(0)", successCondition="result[0] == 1", initialDelay="6s", count=1))
    strategy = by_host(step("bad"))
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    before = story.get("VirtualService")["spec"]
    with story.users() as users:
        story.apply(rollout("v2", strategy))
        story.until(
            lambda: sorted(story.lab.weights(story.host).values()) in ([0, 10, 10, 80], [10, 10, 80]),
            "the gateway sending a tenth to each version",
        )
        name = story.until(lambda: story.status()["canary"].get("currentExperiment"), "the status naming it")
        shown = story.until(lambda: story.status()["canary"]["weights"].get("additional"), "the status telling so")
        assert [(each["serviceName"], each["weight"]) for each in shown] == [(f"{name}-{each}", 10) for each in TRIED]
        story.until(lambda: {story.reaches() for _ in range(20)} == {"v1", "v2"}, "users reaching both versions")

        failed = story.until_phase("Degraded", f"Experiment {name} has ended as Failed")
        assert "additional" not in failed["canary"]["weights"] and "currentExperiment" not in failed["canary"]
        assert story.get("VirtualService")["spec"] == before
        story.until(lambda: pods(story, name) == 0, "the pods being gone")
    story.check_users(users)
    labels = story.get("Experiment", name)["metadata"]["labels"]
    assert labels[HASH] == story.status()["currentPodHash"]


def test_a_step_by_subset_that_succeeds_leaves_nothing_behind(story: Story) -> None:
    story.services("app")
    story.route(split_by_subset())
    story.apply(
        m.destination_rule("app", story.namespace, "app", {"stable": {}, "canary": {}}),
        template("good", "vector(1)", successCondition="result[0] == 1", initialDelay="2s", count=1),
    )
    strategy = by_subset(step("good"))
    story.apply(rollout("v1", strategy))
    story.until_phase("Healthy")
    with story.users() as users:
        story.apply(rollout("v2", strategy))
        story.until_phase("Healthy")
        story.until(lambda: len(story.get("DestinationRule")["spec"]["subsets"]) == 2, "only the Rollout's subsets")
    story.check_users(users)
    rules = [entry.obj["spec"]["subsets"] for entry in story.chronicle.entries(story.namespace, "DestinationRule")]
    assert max(map(len, rules)) == 4, "a subset for each version"
    shown = [entry.obj.get("status", {}) for entry in story.chronicle.entries(story.namespace, "Rollout")]
    assert any(status.get("canary", {}).get("weights", {}).get("additional") for status in shown), "users on both"
    assert len(story.get("VirtualService")["spec"]["http"][0]["route"]) == 2


def test_an_abort_ends_the_experiment_and_no_more_are_kept_than_were_asked_for(story: Story) -> None:
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    story.apply(template("long", "vector(1)", successCondition="result[0] == 1", initialDelay="10m", count=1))
    strategy, none = by_host(step("long")), {"successfulRunHistoryLimit": 0, "unsuccessfulRunHistoryLimit": 0}
    story.apply(rollout("v1", strategy, replicas=1, analysis=none))
    story.until_phase("Healthy")
    story.apply(rollout("v2", strategy, replicas=1, analysis=none))
    name = story.until(lambda: story.status()["canary"].get("currentExperiment"), "the status naming it")
    until_ended(story, name, "Running")
    story.ask(abort=True)
    story.until_phase("Degraded", "RolloutAborted")
    ended = until_ended(story, name, "Successful")
    assert ended["phase"] == "Successful", "ended by somebody, and nothing bad was found"
    story.until(lambda: story.chronicle.latest(story.namespace, "Experiment", name) is None, "it being forgotten")
