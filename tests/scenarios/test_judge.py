"""Canaries compared with stable under real traffic: what the judge finds, and what becomes of the rollout."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from lab.cluster import Lab
from lab.paths import REPOSITORY
from tests.scenarios.chronicle import ARGO, Obj
from tests.scenarios.story import Story, by_host, rollout, split_by_host, wait, weigh

pytestmark = pytest.mark.lab

HASH_OF_ARM: Final = 'namespace="{{arm.namespace}}",rollouts_pod_template_hash="{{arm.podTemplateHash}}"'
REQUESTS: Final = f"http_requests_total{{{HASH_OF_ARM}}}"
ERRORS: Final = f'http_requests_total{{{HASH_OF_ARM},code=~"5.."}}'
BUCKETS: Final = f"http_request_duration_seconds_bucket{{{HASH_OF_ARM}}}"


def compared(name: str, compare: Obj, **metric: Any) -> Obj:
    provider = {"prometheus": {"address": Lab.prometheus_url}}
    return {"name": name, "interval": "2s", "provider": provider, "compare": compare, **metric}


def errors(**metric: Any) -> Obj:
    return compared("errors", {"counts": {"total": REQUESTS, "bad": ERRORS}}, **metric)


def judge_template(*metrics: Obj, **judge: Any) -> Obj:
    spec = {"metrics": list(metrics), **({"judge": judge} if judge else {})}
    return {"apiVersion": ARGO, "kind": "AnalysisTemplate", "metadata": {"name": "judge"}, "spec": spec}


JUDGE: Final = {"templates": [{"templateName": "judge"}]}


def version(tag: str, strategy: Obj, **env: str) -> Obj:
    """A Rollout whose pods are scraped."""
    found = rollout(tag, strategy, replicas=2, env=env)
    found["spec"]["template"]["metadata"]["annotations"] = {"prometheus.io/scrape": "true"}
    return found


def begin(story: Story, strategy: Obj, **env: str) -> str:
    """Version v1, Healthy; its hash."""
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    story.apply(version("v1", strategy, **env))
    return str(story.until_phase("Healthy")["currentPodHash"])


def found(story: Story, metric: str = "errors") -> Obj:
    """What a metric of the one run has found."""
    (run,) = story.runs()
    result: Obj = next(each for each in run["status"]["metricResults"] if each["name"] == metric)["compare"]
    return result


SEEDED: Final = {"ERROR_RATE": "0.3", "SEED": "11"}


@pytest.mark.parametrize("time", ["first", "second"])
def test_twice_stables_errors_are_undone_and_the_same_seed_gives_the_same_verdict(story: Story, time: str) -> None:
    story.apply(judge_template(errors()))
    old = begin(story, strategy := by_host(weigh(50), wait(120), analysis=JUDGE), ERROR_RATE="0.15", SEED="7")
    with story.users(rate=80):
        story.apply(version("v2", strategy, **SEEDED))
        bad = story.until_phase("Degraded", "RolloutAborted", timeout=80)
    finding = found(story)
    assert finding["verdict"] == "worse" and finding["message"] in bad["message"]
    # Whoever stops at the first look that suffices has an estimate that is too high rather than too low; the end of the
    # interval is promised at such a look too.
    ratio = finding["record"]["ratio"]
    assert 1.1 < ratio["lower"] < 2 < ratio["upper"] and 1.3 < ratio["value"] < 6, ratio
    assert "state" not in finding and len(json.dumps(finding)) < 3000
    assert story.weight() == 0 and story.selected("app-stable") == old
    if time == "first":
        it_is_explained_and_replayed(story, stable=old, canary=str(bad["currentPodHash"]))


def it_is_explained_and_replayed(story: Story, *, stable: str, canary: str) -> None:
    """The record by the command line, and the same incident from what Prometheus has recorded."""
    (run,) = story.runs()
    name, began, ended = run["metadata"]["name"], run["status"]["startedAt"], run["status"]["completedAt"]
    explained = tidegate(story, "analysis", "explain", name, "-n", story.namespace)
    assert explained.startswith(f"AnalysisRun {name}: Failed") and "reached at look" in explained and "█" in explained
    with tempfile.TemporaryDirectory() as folder:
        template, picture = Path(folder, "template.json"), Path(folder, "incident.svg")
        template.write_text(json.dumps(judge_template(errors())))
        known = f"namespace={story.namespace},podTemplateHash="
        asked = ("analysis", "backtest", str(template), "--prometheus", Lab.prometheus_url, "--stable", known + stable)
        span = ("--start", began, "--end", ended)
        replayed = tidegate(story, *asked, *span, "--canary", known + canary, "--picture", str(picture))
        assert replayed.splitlines()[1].split()[:2] == ["errors", "worse"] and "times as often" in replayed
        assert "enough" in picture.read_text()
        metric, splits, alarms, *_ = tidegate(story, *asked, *span, "--split", "pod").splitlines()[1].split()
        assert (metric, splits, alarms) == ("errors", "2", "0")


def tidegate(story: Story, *arguments: str) -> str:
    environ = {**os.environ, "KUBECONFIG": str(story.lab.kubeconfig), "PYTHONPATH": str(REPOSITORY / "operator")}
    command = [sys.executable, "-m", "tidegate", *arguments]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert not ran.returncode, f"{arguments} ended with {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def test_an_equally_bad_canary_is_not_undone_and_goes_on_as_soon_as_it_is_safe(story: Story) -> None:
    story.apply(judge_template(errors(count=60), advanceWhenSafe=True))
    strategy = by_host(weigh(50), {"analysis": JUDGE}, weigh(100))
    begin(story, strategy, ERROR_RATE="0.05")
    with story.users(rate=80):
        story.apply(version("v2", strategy, ERROR_RATE="0.05"))
        story.until_phase("Healthy", timeout=120)
    (run,) = story.runs()
    assert run["status"]["phase"] == "Successful" and found(story)["verdict"] == "safe"
    assert run["status"]["metricResults"][0]["count"] < 60, "it went on before the planned end"


def test_a_canary_worse_than_a_fresh_baseline_of_stable_is_undone(story: Story) -> None:
    """Two new pods beside each other, of one age and size; the Rollout's own pods are not looked at."""
    story.apply(judge_template(errors(count=60)))
    versions = [{"name": f"new-{ref}", "specRef": ref, "weight": 25} for ref in ("canary", "stable")]
    asked = {"name": "fresh", "templateName": "judge", "requiredForCompletion": True}
    step = {"experiment": {"templates": versions, "analyses": [asked], "scaleDownDelaySeconds": 1}}
    begin(story, strategy := by_host(step), ERROR_RATE="0.05")
    with story.users(rate=80):
        story.apply(version("v2", strategy, ERROR_RATE="0.3"))
        bad = story.until_phase("Degraded", "Experiment", timeout=80)
    (experiment,) = story.lab.client.list("Experiment", story.namespace, api_version=ARGO)
    fresh = {each["name"]: each["podTemplateHash"] for each in experiment["status"]["templateStatuses"]}
    run = story.get("AnalysisRun", experiment["status"]["analysisRuns"][0]["analysisRun"])
    arms = run["spec"]["metrics"][0]["compare"]["arms"]
    assert {arm: known["podTemplateHash"] for arm, known in arms.items()} == {
        "canary": fresh["new-canary"],
        "stable": fresh["new-stable"],
    }
    finding = run["status"]["metricResults"][0]["compare"]
    assert finding["verdict"] == "worse" and finding["message"] in bad["message"]
    canary, stable = (finding["record"]["arms"][arm]["total"] for arm in ("canary", "stable"))
    assert 0.5 < canary / stable < 2, "both got the same share of the users"


def test_a_canary_that_is_slower_only_in_its_tail_is_undone(story: Story) -> None:
    slow = compared("latency", {"distribution": {"buckets": BUCKETS}})
    story.apply(judge_template(slow))
    begin(story, strategy := by_host(weigh(50), wait(120), analysis=JUDGE), LATENCY_MS="2")
    with story.users(rate=60):
        story.apply(version("v2", strategy, LATENCY_MS="2", TAIL_RATE="0.08", TAIL_LATENCY_MS="60"))
        story.until_phase("Degraded", "RolloutAborted", timeout=80)
    finding = found(story, "latency")
    assert finding["verdict"] == "worse" and "slower" in finding["message"]
    canary, stable = (finding["record"]["arms"][arm] for arm in ("canary", "stable"))
    assert canary["p50"] < 2 * stable["p50"] and canary["p99"] > 2 * stable["p99"]


def test_two_requests_a_second_hold_the_step_and_it_says_so(story: Story) -> None:
    story.apply(judge_template(errors(count=3)))
    begin(story, strategy := by_host(weigh(50), {"analysis": JUDGE}, weigh(100)), ERROR_RATE="0.05")
    with story.users(rate=2):
        story.apply(version("v2", strategy, ERROR_RATE="0.05"))
        story.until(lambda: any("too little traffic" in told(run) for run in story.runs()), "the hold", 40)
        story.holds(lambda: story.weight() == 50 and story.runs()[0]["status"]["phase"] == "Running", "the step", 8)
        message = told(story.runs()[0])
        assert "at the present rate" in message and "of the evidence" in message
        entry = story.status()["canary"]["currentStepAnalysisRunStatus"]
        assert "too little traffic" in entry["message"]
    story.until_event("AnalysisRunHolding", "too little traffic")


def test_no_verdict_in_the_background_waits_before_the_promotion(story: Story) -> None:
    """All requests take longer than the only edge, so no traffic brings a verdict; a person decides."""
    only_edge = BUCKETS[:-1] + ',le=~"0.005|[+]Inf"}'
    story.apply(judge_template(compared("latency", {"distribution": {"buckets": only_edge}})))
    begin(story, strategy := by_host(weigh(50), wait(8), weigh(100), analysis=JUDGE), LATENCY_MS="20")
    with story.users(rate=60):
        story.apply(version("v2", strategy, LATENCY_MS="20"))
        story.until_phase("Paused", "InconclusiveAnalysisRun", timeout=60)
        story.until_event("AnalysisRunUndecided", "whenUndecided is pause, so the update waits", "Warning")
        story.holds(lambda: story.weight() == 50 and story.runs()[0]["status"]["phase"] == "Running", "the step", 8)
        entry = story.status()["canary"]["currentBackgroundAnalysisRunStatus"]
        assert "slower than 0.005 s" in entry["message"] and "Promote it to go on now" in entry["message"]
        story.ask(pauseConditions=None)
        story.until_phase("Healthy", timeout=60)


def told(run: Obj) -> str:
    return str(run.get("status", {}).get("message", ""))


def nine() -> list[Obj]:
    """Nine metrics of one canary, as practice has them."""
    count = f"http_request_duration_seconds_count{{{HASH_OF_ARM}}}"
    within = f'http_request_duration_seconds_bucket{{{HASH_OF_ARM},le="%s"}}'
    cluster = 'cluster_name=~"outbound[|]80[|][|]{{arm.service}}[.].*"'
    envoy = f'envoy_cluster_upstream_rq{{{cluster},response_code_class!=""}}'
    return [
        errors(),
        compared("seen-at-the-gateway", {"counts": {"total": envoy, "bad": envoy.replace('!=""', '="5xx"'), "by": ""}}),
        compared("over-100-ms", {"counts": {"total": count, "good": within % "0.1"}}),
        compared("over-500-ms", {"counts": {"total": count, "good": within % "0.5"}}),
        compared("latency", {"distribution": {"buckets": BUCKETS}}),
        compared(
            "latency-at-the-gateway",
            {"distribution": {"buckets": f"envoy_cluster_upstream_rq_time_bucket{{{cluster}}}", "unit": "ms"}},
        ),
        compared("busy", {"samples": {"counter": f"http_request_duration_seconds_sum{{{HASH_OF_ARM}}}", "per": count}}),
        compared("requests", {"samples": {"counter": REQUESTS, "direction": "either", "tolerated": 3, "safe": 5}}),
        compared("scraped", {"samples": {"gauge": f"up{{{HASH_OF_ARM}}}", "direction": "decrease"}}),
    ]


@contextmanager
def pods_killed(story: Story, every: float) -> Iterator[None]:
    """Pods of the Rollout are deleted at random."""
    chance, over = random.Random(3), threading.Event()

    def kill() -> None:
        while not over.wait(every):
            pods = [pod["metadata"]["name"] for pod in story.lab.client.list("Pod", story.namespace)]
            if pods:
                story.lab.client.delete("Pod", chance.choice(sorted(pods)), story.namespace)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()


def test_nine_metrics_judge_together_while_pods_are_killed(story: Story) -> None:
    groups = [
        {"name": "errors", "metrics": ["errors", "seen-at-the-gateway"], "weight": 60},
        {"name": "latency", "metrics": ["over-100-ms", "over-500-ms", "latency", "latency-at-the-gateway"]},
    ]
    score = {"pass": 90, "marginal": 80, "groups": groups}
    story.apply(judge_template(*nine(), score=score))
    begin(story, strategy := by_host(weigh(50), wait(150), analysis=JUDGE), ERROR_RATE="0.02")
    with story.users(rate=60), pods_killed(story, 4):
        story.apply(version("v2", strategy, ERROR_RATE="0.2"))
        bad = story.until_phase("Degraded", "RolloutAborted", timeout=120)
    (run,) = story.runs()
    assert "score" in bad["message"] and len(run["status"]["metricResults"]) == 9
    worse = {m["name"] for m in run["status"]["metricResults"] if m["compare"].get("verdict") == "worse"}
    assert worse & {"errors", "seen-at-the-gateway"} and "over-500-ms" not in worse
    assert len(json.dumps(run["status"])) < 60_000
