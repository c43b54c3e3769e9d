"""Undoing: by analysis, by a person, by a deadline; and every way on from there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.chronicle import Obj
from tests.scenarios.story import Story, analysis, by_host, rollout, split_by_host, template, wait, weigh

pytestmark = pytest.mark.lab


def begin(story: Story, strategy: Obj, **more: Any) -> str:
    """Version v1, Healthy behind two Services and a route; its hash."""
    story.services("app-stable", "app-canary")
    story.route(split_by_host())
    story.apply(rollout("v1", strategy, **more))
    return str(story.until_phase("Healthy")["currentPodHash"])


def errors(story: Story, service: str) -> str:
    """The share of failed requests of a Service, as the gateway counts them."""
    of = f'envoy_cluster_upstream_rq{{cluster_name=~"outbound[|]80[|][|]{service}[.]{story.namespace}[.].*"'
    bad, total = f'{of},response_code_class="5xx"}}', f'{of},response_code_class!=""}}'
    return f"(sum(rate({bad}[5s])) or vector(0)) / sum(rate({total}[5s]))"


def ended(story: Story, name: str) -> Obj | None:
    """The analysis run of this name once it is over."""
    return next((r for r in story.runs() if r["metadata"]["name"] == name and "completedAt" in r["status"]), None)


def test_a_version_that_fails_its_users_is_undone_and_the_next_is_not(story: Story) -> None:
    query, fine = errors(story, "app-canary"), "len(result) == 0 || isNaN(result[0]) || result[0] < 0.1"
    story.apply(template("errors", query, successCondition=fine, failureLimit=1))
    strategy = by_host(weigh(30), wait(7), weigh(100), analysis=analysis("errors", startingStep=1))
    old = begin(story, strategy)
    start = story.version()
    with story.users(60) as users:
        story.apply(rollout("v2", strategy, env={"ERROR_RATE": "0.6"}))
        bad = story.until_phase("Degraded", "RolloutAborted")
        new = bad["currentPodHash"]
        assert story.weight() == 0, "an undone version has no traffic when its status says that it is undone"
        assert 'Background analysis phase error/failed: Metric "m" assessed Failed' in bad["message"]
        assert bad["canary"]["currentBackgroundAnalysisRunStatus"]["status"] == "Failed"
        assert bad["currentStepIndex"] == 0 and bad["stableRS"] == old
        assert story.condition("Progressing")["reason"] == "RolloutAborted"
        story.until_event("RolloutAborted", "Background analysis", "Warning")
        assert story.weights(since=start) == [30, 0]
        story.until(lambda: story.replicas(new) == 0, "the canary going after its delay", 10)
        assert users.failures
    # The Service's figures know no versions: the next one would be judged by what the last one did.
    story.until(lambda: not any(float(r["value"][1]) > 0 for r in story.lab.query(query)), "the errors being forgotten")
    with story.users(60) as happy:
        story.apply(rollout("v3", strategy))
        done = story.until_phase("Healthy")
        run = story.until(lambda: ended(story, f"app-{done['stableRS']}-3"), "the analysis being ended")
        assert run["status"]["phase"] == "Successful" and run["spec"]["terminate"] is True
        assert run["status"]["metricResults"][0]["successful"] >= 3
    story.check_users(happy)
    assert set(happy.by_version) == {"v1", "v3"}


def test_a_person_aborts_retries_and_promotes_in_full(story: Story) -> None:
    strategy = by_host(weigh(25), wait(1), weigh(50), wait(), weigh(75), wait(), weigh(100))
    old = begin(story, strategy, replicas=4)
    start = story.version()
    with story.users() as users:
        story.apply(rollout("v2", strategy, replicas=4))
        story.until(lambda: story.status().get("currentStepIndex") == 3, "the endless pause")
        new = story.status()["currentPodHash"]
        story.ask(abort=True)
        aborted = story.until_phase("Degraded", "RolloutAborted")
        assert aborted["abortedAt"] and "pauseConditions" not in aborted
        assert story.weight() == 0
        story.kubectl("scale", "rollout/app", "--replicas=6")
        story.until(lambda: story.replicas(old) == 6, "scaling while aborted")
        story.until(lambda: story.replicas(new) == 0, "the canary going", 10)

        story.ask(abort=False)
        story.until(lambda: story.status().get("currentStepIndex") == 3, "the endless pause again")
        retried = story.status()
        assert "abortedAt" not in retried and not retried.get("abort")
        assert story.replicas(new) == 3
        story.ask(promoteFull=True)
        done = story.until_phase("Healthy")
        story.until_weight(0)
    assert done["stableRS"] == new
    assert story.weights(since=start) == [25, 50, 0, 25, 50, 100, 0]
    story.check_users(users)


def test_a_version_that_never_starts_is_undone_at_its_deadline(story: Story) -> None:
    strategy = by_host(weigh(50), wait(1), weigh(100))
    old = begin(story, strategy, progressDeadlineSeconds=3, progressDeadlineAbort=True)
    start = story.version()
    with story.users() as users:
        story.apply(
            rollout("v2", strategy, image="lab.local/missing:v2", progressDeadlineSeconds=3, progressDeadlineAbort=True)
        )
        bad = story.until_phase("Degraded", "RolloutAborted")
        new = bad["currentPodHash"]
        assert "timed out progressing" in bad["message"] and bad["abort"] is True
        story.until(lambda: story.replicas(new) == 0, "the pods that never started going", 10)
        assert story.weights(since=start) == [] and story.replicas(old) == 2
    story.check_users(users)


def test_a_version_that_never_starts_is_only_told_of_and_may_be_mended(story: Story) -> None:
    strategy = by_host(weigh(50), wait(1), weigh(100))
    begin(story, strategy, progressDeadlineSeconds=2)
    start = story.version()
    story.apply(rollout("v2", strategy, image="lab.local/missing:v2", progressDeadlineSeconds=2))
    late = story.until_phase("Degraded", "ProgressDeadlineExceeded")
    assert not late.get("abort") and story.weights(since=start) == []
    assert story.condition("Progressing")["status"] == "False"
    story.apply(rollout("v3", strategy, progressDeadlineSeconds=2))
    story.until_phase("Healthy")
    story.until_weight(0)
    assert story.weights(since=start) == [50, 100, 0]


def test_a_new_template_in_the_middle_starts_over_and_stables_ends_it(story: Story) -> None:
    strategy = by_host(weigh(40), wait(), weigh(100))
    old = begin(story, strategy)
    start = story.version()
    with story.users() as users:
        story.apply(rollout("v2", strategy))
        story.until_phase("Paused", "CanaryPauseStep")
        second = story.status()["currentPodHash"]

        story.apply(rollout("v3", strategy))
        story.until(lambda: story.status()["currentPodHash"] not in (old, second), "the third version")
        third = story.status()["currentPodHash"]
        story.until(lambda: story.weight() == 40 and story.selected("app-canary") == third, "the third version's turn")
        status = story.until_phase("Paused", "CanaryPauseStep")
        story.holds(lambda: story.weight() == 40, "the third version's weight", 0.5)
        assert status["stableRS"] == old and status["currentStepIndex"] == 1
        assert story.selected("app-stable") == old
        story.until(lambda: story.replicas(second) == 0, "the second version going", 10)

        story.apply(rollout("v1", strategy))
        back = story.until_phase("Healthy")
        story.until_weight(0)
        story.until(lambda: story.replicas(third) == 0, "the third version going", 10)
    assert back["stableRS"] == back["currentPodHash"] == old and back["currentStepIndex"] == 3
    assert story.weights(since=start) == [40, 0, 40, 0]
    story.check_users(users)
    assert {"v1", "v3"} <= set(users.by_version)
    revisions = {rs["metadata"]["annotations"]["rollout.argoproj.io/revision"] for rs in story.sets().values()}
    assert revisions == {"2", "3", "4"}
    history = story.sets()[old]["metadata"]["annotations"]["rollout.argoproj.io/revision-history"]
    assert history == "1"


def test_only_so_many_old_revisions_are_kept(story: Story) -> None:
    strategy = by_host(weigh(100), scaleDownDelaySeconds=0)
    begin(story, strategy, replicas=1, revisionHistoryLimit=1)
    kept = []
    for version in ("v2", "v3", "v4"):
        story.apply(rollout(version, strategy, replicas=1, revisionHistoryLimit=1))
        kept.append(story.until_phase("Healthy")["stableRS"])
    story.until(lambda: set(story.sets()) == set(kept[1:]), "only the last old revision being kept")
