"""Analysis with the real Prometheus: what is asked, what the answers mean, and what becomes of the rollout."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.scenarios.chronicle import ARGO, Obj
from tests.scenarios.story import (
    HASH,
    Story,
    analysis,
    by_host,
    canary,
    rollout,
    split_by_host,
    template,
    wait,
    weigh,
)

pytestmark = pytest.mark.lab


def begin(story: Story, strategy: Obj) -> str:
    """Version v1 of a canary, Healthy; its hash."""
    if "trafficRouting" in strategy["canary"]:
        story.services("app-stable", "app-canary")
        story.route(split_by_host())
    story.apply(rollout("v1", strategy, replicas=1))
    return str(story.until_phase("Healthy")["currentPodHash"])


def measured(run: Obj) -> list[str]:
    """The phases of a run's measurements."""
    (result,) = run["status"]["metricResults"]
    return [measurement["phase"] for measurement in result["measurements"]]


def reasons(story: Story) -> list[str]:
    """Why the rollout is paused."""
    return [condition["reason"] for condition in story.status().get("pauseConditions", [])]


def test_a_cluster_wide_template_gets_values_and_hashes(story: Story) -> None:
    name = f"hashes-{story.namespace}"
    query = 'label_replace(vector({{args.wanted}}), "hash", "{{args.new}}-{{args.old}}", "", "")'
    story.apply(
        template(name, query, cluster=True, args=["wanted", "new", "old"], successCondition="result == 7", count=2)
    )
    args = [
        {"name": "wanted", "value": "7"},
        {"name": "new", "valueFrom": {"podTemplateHashValue": "Latest"}},
        {"name": "old", "valueFrom": {"podTemplateHashValue": "Stable"}},
    ]
    inline = {"templates": [{"templateName": name, "clusterScope": True}], "args": args}
    try:
        old = begin(story, by := by_host(weigh(50), {"analysis": inline}, weigh(100)))
        story.apply(rollout("v2", by, replicas=1))
        new = story.until_phase("Healthy")["stableRS"]
    finally:
        story.lab.client.delete("ClusterAnalysisTemplate", name, api_version="argoproj.io/v1alpha1")
    (run,) = story.runs()
    assert run["metadata"]["name"] == f"app-{new}-2-1"
    assert run["metadata"]["labels"] == {"app": "app", HASH: new, "rollout-type": "Step", "step-index": "1"}
    assert run["metadata"]["annotations"]["rollout.argoproj.io/revision"] == "2"
    given = {arg["name"]: arg["value"] for arg in run["spec"]["args"]}
    assert given == {"wanted": "7", "new": new, "old": old}
    (result,) = run["status"]["metricResults"]
    assert f"{new}-{old}" in result["metadata"]["ResolvedPrometheusQuery"]
    assert measured(run) == ["Successful", "Successful"] and result["measurements"][0]["value"] == "[7]"


def test_the_fourth_failure_undoes_where_three_are_borne(story: Story) -> None:
    story.apply(template("no", "vector(0.5)", successCondition="result < 0.01", failureLimit=3))
    old = begin(story, strategy := by_host(weigh(50), wait(30), analysis=analysis("no")))
    story.apply(rollout("v2", strategy, replicas=1))
    story.until_phase("Degraded", "RolloutAborted")
    (run,) = story.runs("Background")
    assert measured(run) == ["Failed"] * 4
    assert run["status"]["message"] == 'Metric "m" assessed Failed due to failed (4) > failureLimit (3)'
    assert story.weight() == 0 and story.selected("app-stable") == old


def test_an_inconclusive_step_waits_for_a_person(story: Story) -> None:
    doubtful: Obj = {"successCondition": "result > 5", "failureCondition": "result < 1", "count": 1}
    story.apply(template("doubtful", "vector(3)", **doubtful))
    begin(story, strategy := by_host(weigh(50), {"analysis": analysis("doubtful")}, weigh(100)))
    story.apply(rollout("v2", strategy, replicas=1))
    story.until_phase("Paused", "InconclusiveAnalysisRun")
    (run,) = story.runs()
    assert measured(run) == ["Inconclusive"] and run["status"]["phase"] == "Inconclusive"
    story.holds(lambda: story.weight() == 50, "the weight while nobody decides", 1)

    story.ask(pauseConditions=None)
    story.until(lambda: len(story.runs()) == 2, "the question being asked again")
    story.until(lambda: story.runs()[-1].get("status", {}).get("phase") == "Inconclusive", "the second answer")
    story.until_phase("Paused", "InconclusiveAnalysisRun")

    # What `kubectl argo rollouts promote` does then: on to the next step.
    story.ask(pauseConditions=None, controllerPause=False, currentStepIndex=2)
    story.until_phase("Healthy")
    story.until_weight(0)


def test_an_inconclusive_background_run_holds_the_rollout_where_it_is(story: Story) -> None:
    doubtful: Obj = {"successCondition": "result > 5", "failureCondition": "result < 1"}
    story.apply(template("doubtful", "vector(3)", **doubtful))
    begin(story, strategy := by_host(weigh(30), wait(2), weigh(100), analysis=analysis("doubtful", startingStep=1)))
    story.apply(rollout("v2", strategy, replicas=1))
    story.until(lambda: "InconclusiveAnalysisRun" in reasons(story), "the pause for the inconclusive run")
    held = story.status()
    assert held["phase"] == "Paused"
    assert held["canary"]["currentBackgroundAnalysisRunStatus"]["status"] == "Inconclusive"
    story.apply(template("doubtful", "vector(8)", **doubtful))
    story.holds(lambda: story.weight() == 30, "the weight while nobody decides", 3)
    story.ask(pauseConditions=None)
    story.until_phase("Healthy")
    assert story.runs()[0]["status"]["phase"] == "Inconclusive"


def test_the_background_begins_at_its_step_and_several_templates_make_one_run(story: Story) -> None:
    story.apply(template("one", "vector(1)", successCondition="result[0] == 1"))
    second = template("two", "scalar(vector(2))", successCondition="result == 2")
    second["spec"]["metrics"][0]["name"] = "n"
    story.apply(second)
    background = analysis("one", "two", startingStep=2)
    begin(story, strategy := canary(weigh(50), wait(), wait(3), analysis=background))
    story.apply(rollout("v2", strategy, replicas=1))
    story.until_phase("Paused", "CanaryPauseStep")
    story.holds(lambda: not story.runs(), "no run before its step", 1)
    story.ask(pauseConditions=None)
    done = story.until_phase("Healthy")
    story.until(lambda: all("completedAt" in run["status"] for run in story.runs()), "the run being ended")
    (run,) = story.runs()
    assert run["metadata"]["name"] == f"app-{done['stableRS']}-2" and run["spec"]["terminate"] is True
    assert run["status"]["phase"] == "Successful"
    assert {result["name"] for result in run["status"]["metricResults"]} == {"m", "n"}
    assert all(result["successful"] >= 2 for result in run["status"]["metricResults"])


def test_a_prometheus_that_can_not_be_reached_never_passes_and_its_password_is_not_told(story: Story) -> None:
    secret = "swordfish"
    address = f"http://ops:{secret}@127.0.0.1:9"
    story.apply(template("dead", "vector(1)", successCondition="result == 1", address=address, consecutiveErrorLimit=1))
    old = begin(story, strategy := by_host(weigh(50), wait(60), analysis=analysis("dead")))
    story.apply(rollout("v2", strategy, replicas=1))
    bad = story.until_phase("Degraded", "RolloutAborted", timeout=40)
    (run,) = story.runs()
    assert run["status"]["phase"] == "Error" and measured(run) == ["Error", "Error"]
    first, second = run["status"]["metricResults"][0]["measurements"]
    assert first["finishedAt"] < second["startedAt"], "an error is tried again later"
    assert story.weight() == 0 and story.selected("app-stable") == old
    told = [bad, run["status"], story.events(), story.get("Rollout")["status"]]
    assert "127.0.0.1:9" in json.dumps(run["status"]), "the person has to know which Prometheus"
    assert secret not in json.dumps(told)
    assert secret not in story.operator.log.read_text()
    assert secret not in story.operator.metrics()


def test_no_data_is_an_error_and_not_a_success(story: Story) -> None:
    story.apply(template("nothing", "absent_metric", successCondition="result == 1", count=1, consecutiveErrorLimit=0))
    begin(story, strategy := by_host(weigh(50), {"analysis": analysis("nothing")}, weigh(100)))
    story.apply(rollout("v2", strategy, replicas=1))
    bad = story.until_phase("Degraded", "RolloutAborted")
    (run,) = story.runs()
    assert measured(run) == ["Error"] and "empty list" in run["status"]["message"]
    assert run["status"]["message"] in bad["message"]


def job_template(name: str, command: list[str], **metric: Any) -> Obj:
    """A template whose only metric is a Job, one unless `metric` says otherwise."""
    found = template(name, "", args=["answer"], **{"interval": "", **metric})
    (smoke,) = found["spec"]["metrics"]
    image = "missing:v1" if not command else "check:v1"
    pod = {"containers": [{"name": "check", "image": image, "command": command}], "restartPolicy": "Never"}
    smoke["provider"] = {"job": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}}}
    return found


def jobs(story: Story) -> list[Obj]:
    return story.lab.client.list("Job", story.namespace, api_version="batch/v1")


def test_a_step_goes_by_the_end_of_real_jobs(story: Story) -> None:
    story.apply(job_template("smoke", ["sh", "-c", "sleep 1; test {{args.answer}} = yes"], count=2, interval="1s"))
    asked = analysis("smoke", args=[{"name": "answer", "value": "yes"}])
    begin(story, strategy := by_host(weigh(50), {"analysis": asked}, wait(1)))
    story.apply(rollout("v2", strategy, replicas=1))
    new = story.until_phase("Healthy", timeout=60)["stableRS"]
    (run,) = story.runs()
    uid = run["metadata"]["uid"]
    done = jobs(story)
    assert sorted(job["metadata"]["name"] for job in done) == [f"{uid}.m.1", f"{uid}.m.2"]
    assert all(job["metadata"]["ownerReferences"][0]["uid"] == uid for job in done)
    (result,) = run["status"]["metricResults"]
    assert [m["metadata"]["job-name"] for m in result["measurements"]] == [f"{uid}.m.1", f"{uid}.m.2"]

    asked["args"][0]["value"] = "no"
    story.apply(rollout("v3", strategy, replicas=1))
    bad = story.until_phase("Degraded", "RolloutAborted", timeout=60)
    assert "BackoffLimitExceeded" in bad["message"] and story.selected("app-stable") == new


def test_a_job_without_an_image_leaves_the_step_in_doubt_and_is_deleted(story: Story) -> None:
    story.apply(job_template("gone", []))
    asked = analysis("gone", args=[{"name": "answer", "value": ""}])
    begin(story, strategy := by_host(weigh(50), {"analysis": asked}, wait(1)))
    story.apply(rollout("v2", strategy, replicas=1))
    story.until_phase("Paused", "InconclusiveAnalysisRun")
    (run,) = story.runs()
    assert measured(run) == ["Inconclusive"] and "ErrImagePull" in run["status"]["message"]
    story.until(lambda: not jobs(story), "the Job being deleted")


def test_a_person_starts_a_run_by_hand_ends_another_and_both_go_in_their_time(story: Story) -> None:
    def by_hand(name: str, command: list[str]) -> Obj:
        spec = job_template(name, command)["spec"]
        spec |= {"args": [{"name": "answer", "value": "yes"}], "ttlStrategy": {"secondsAfterCompletion": 3}}
        return {"apiVersion": ARGO, "kind": "AnalysisRun", "metadata": {"name": name}, "spec": spec}

    story.apply(by_hand("quick", ["true"]), by_hand("endless", ["sleep", "600"]))
    story.until(lambda: phase_of(story, "quick") == "Successful", "the run by hand")
    story.until(lambda: phase_of(story, "endless") == "Running" and len(jobs(story)) == 2, "the endless Job")
    story.kubectl("patch", "analysisrun", "endless", "--type=merge", "-p", '{"spec":{"terminate":true}}')
    story.until(lambda: phase_of(story, "endless") == "Inconclusive", "the end of the endless run")
    story.until(lambda: [run["metadata"]["name"] for run in by_name(story)] == [], "both runs being deleted")
    # The garbage collector learns of kinds as new as ours are in the lab only every half minute.
    story.until(lambda: not jobs(story), "their Jobs going with them", timeout=120)


def by_name(story: Story) -> list[Obj]:
    return story.lab.client.list("AnalysisRun", story.namespace, api_version=ARGO)


def phase_of(story: Story, name: str) -> str | None:
    found = (run.get("status", {}).get("phase") for run in by_name(story) if run["metadata"]["name"] == name)
    return next(found, None)
