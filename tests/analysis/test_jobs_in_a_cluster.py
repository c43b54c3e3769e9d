"""Metrics that are Jobs, measured by a whole operator on the cluster in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.crash import stories
from tests.crash.theatre import Obj, Theatre
from tests.fakes.jobs import Jobs
from tests.fakes.status import failure
from tests.fakes.transport import CrashPoint, FakeTransport, Fault, Request

pytestmark = pytest.mark.looptime

GOOD, BAD, ENDLESS = ["exit", "0"], ["exit", "1"], ["sleep", "infinity"]


def metric(command: list[str], name: str = "smoke", image: str = "check:v1", **fields: Any) -> Obj:
    pod = {"containers": [{"name": "check", "image": image, "command": command}], "restartPolicy": "Never"}
    return {"name": name, "provider": {"job": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}}}, **fields}


def query(answer: str, name: str = "rate", **fields: Any) -> Obj:
    (found,) = stories.template(name, answer, **fields)["spec"]["metrics"]
    return {**found, "name": name}


def run(*metrics: Obj, **spec: Any) -> Obj:
    """An AnalysisRun that a person creates."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": "mine", "namespace": "default"},
        "spec": {"metrics": list(metrics), **spec},
    }


class Stage:
    """A theatre with one run and a Job controller."""

    def __init__(self, body: Obj, takes: float = 2.0) -> None:
        self.theatre = Theatre(stories.rollout({"canary": {}}, replicas=1), [], services=())
        self.cluster = self.theatre.cluster
        self.jobs = Jobs(self.cluster, takes)
        self.body = body

    async def __aenter__(self) -> Stage:
        await self.theatre.__aenter__()
        self.uid = self.cluster.create(self.body)["metadata"]["uid"]
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.theatre.__aexit__(*error)

    @property
    def status(self) -> Obj:
        return (self.cluster.peek("AnalysisRun", "mine") or {}).get("status") or {}

    def result(self, name: str = "smoke") -> Obj:
        return next(result for result in self.status.get("metricResults", ()) if result["name"] == name)

    @property
    def under_way(self) -> bool:
        return any("finishedAt" not in m for r in self.status.get("metricResults", ()) for m in r["measurements"])

    @property
    def alive(self) -> list[str]:
        """The Jobs that are there and have not ended."""
        jobs = self.cluster.peek_all("Job")
        return [j["metadata"]["name"] for j in jobs if not has_ended(j)]

    @property
    def ended(self) -> bool:
        return self.status.get("phase") in ("Successful", "Failed", "Error", "Inconclusive")

    async def play(self, until: Callable[[], bool] | None = None, **how: Any) -> FakeTransport:
        """Until the run has ended and a moment longer, or until something else."""
        return await self.theatre.play(until or lasting(lambda: self.ended), **how)

    def ask(self, **spec: Any) -> None:
        self.cluster.patch("AnalysisRun", "mine", {"spec": spec})


def has_ended(job: Obj) -> bool:
    return any(c["type"] in ("Complete", "Failed") for c in job.get("status", {}).get("conditions", ()))


def lasting(holds: Callable[[], bool], seconds: float = 1.0) -> Callable[[], bool]:
    since: float | None = None

    def reached() -> bool:
        nonlocal since
        now = asyncio.get_running_loop().time()
        since = (since if since is not None else now) if holds() else None
        return since is not None and now - since >= seconds

    return reached


async def test_a_job_that_completes_is_a_good_measurement() -> None:
    async with Stage(run(metric(GOOD))) as stage:
        await stage.play(lambda: stage.under_way)
        name = f"{stage.uid}.smoke.1"
        (flight,) = stage.result()["measurements"]
        assert (stage.status["phase"], stage.result()["phase"]) == ("Running", "Running")
        assert flight["phase"] == "Running" and flight["startedAt"]
        assert flight["metadata"] == {"job-name": name, "job-namespace": "default"}

        await stage.play()

        assert stage.jobs.created == [name]
        (measurement,) = stage.result()["measurements"]
        assert (measurement["phase"], measurement["metadata"]) == ("Successful", flight["metadata"])
        assert measurement["startedAt"] == flight["startedAt"] < measurement["finishedAt"]
        assert (stage.status["phase"], stage.result()["successful"]) == ("Successful", 1)


async def test_a_job_costs_a_write_when_it_starts_and_one_when_it_ends() -> None:
    async with Stage(run(metric(GOOD)), takes=300) as stage:
        transport = await stage.play()

    writes = [f"{written.verb} {written.kind}" for written in stage.cluster.log if written.actor == "operator"]
    assert [write for write in writes if "Event" not in write] == [
        "create Job",
        "patch AnalysisRun",
        "patch AnalysisRun",
    ]
    assert transport.writes == 3


async def test_a_job_that_fails_is_a_bad_measurement_and_says_why() -> None:
    async with Stage(run(metric(BAD, count=3, interval="1s", failureLimit=1))) as stage:
        await stage.play()

    assert stage.status["phase"] == "Failed" and len(stage.jobs.created) == 2
    assert stage.status["message"] == (
        'Metric "smoke" assessed Failed due to failed (2) > failureLimit (1): '
        '"Error Message: BackoffLimitExceeded: Job has reached the specified backoff limit"'
    )


async def test_jobs_of_one_metric_follow_each_other_by_its_interval() -> None:
    async with Stage(run(metric(GOOD, count=3, interval="10s", initialDelay="5s"))) as stage:
        await stage.play()

    assert stage.jobs.created == [f"{stage.uid}.smoke.{number}" for number in (1, 2, 3)]
    created = [
        w.after["metadata"]["creationTimestamp"]
        for w in stage.cluster.log
        if (w.verb, w.kind) == ("create", "Job") and w.after
    ]
    seconds = [int(text[17:19]) for text in created]
    assert seconds[0] == 5 and [b - a for a, b in pairwise(seconds)] == [12, 12]


async def test_arguments_are_filled_into_the_job() -> None:
    asked = metric(["exit", "{{args.code}}"], image="check:{{args.tag}}")
    async with Stage(run(asked, args=[{"name": "code", "value": "1"}, {"name": "tag", "value": "v7"}])) as stage:
        await stage.play()
        (job,) = stage.cluster.peek_all("Job")

    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "check:v7"
    assert stage.status["phase"] == "Failed"


async def test_a_job_whose_image_cannot_be_had_is_inconclusive_and_is_deleted() -> None:
    async with Stage(run(metric(GOOD, image="missing:v1"))) as stage:
        await stage.play()

        assert stage.status["phase"] == "Inconclusive"
        assert "ErrImagePull: no such image" in stage.status["message"]
        assert stage.cluster.peek_all("Job") == [] and stage.cluster.peek_all("Pod") == []


async def test_a_job_without_an_image_is_deleted_though_the_run_goes_on() -> None:
    async with Stage(run(metric(GOOD, image="missing:v1", count=2, interval="5s", inconclusiveLimit=2))) as stage:
        await stage.play()

        assert (stage.status["phase"], stage.result()["inconclusive"]) == ("Successful", 2)
        assert stage.cluster.peek_all("Job") == []


@pytest.mark.parametrize("moment", [0.0, 0.004, 0.012, 0.5, 1.99, 2.0])
async def test_a_person_ends_a_run_whose_job_is_under_way(moment: float) -> None:
    """At any moment: before its Job is in the status, while it runs, as it ends."""
    async with Stage(run(metric(GOOD))) as stage:
        loop = asyncio.get_running_loop()
        stage.cluster.observers.append(
            lambda w: (
                loop.call_later(moment, lambda: stage.ask(terminate=True)) and None
                if (w.verb, w.kind) == ("create", "Job")
                else None
            )
        )
        await stage.play()

        assert stage.alive == [] and len(stage.jobs.created) == 1
        if moment < 1.99:
            assert stage.status["phase"] == "Inconclusive"
            (measurement,) = stage.result()["measurements"]
            assert (measurement["phase"], stage.cluster.peek_all("Job")) == ("Inconclusive", [])
        else:
            assert stage.status["phase"] in ("Successful", "Inconclusive")


async def test_a_run_that_is_ended_before_it_began_starts_no_job() -> None:
    async with Stage(run(metric(GOOD), terminate=True)) as stage:
        await stage.play()

    assert (stage.status["phase"], stage.jobs.created) == ("Successful", [])


async def test_a_run_that_fails_by_another_metric_stops_its_job() -> None:
    async with Stage(run(metric(ENDLESS), query("bad", initialDelay="5s"))) as stage:
        await stage.play()

        assert (stage.status["phase"], stage.result()["phase"]) == ("Failed", "Inconclusive")
        assert stage.cluster.peek_all("Job") == []
        assert 'Metric "rate"' in stage.status["message"]


async def test_a_run_whose_spec_is_spoilt_while_its_job_is_under_way_stops_it() -> None:
    async with Stage(run(metric(ENDLESS))) as stage:
        await stage.play(lambda: stage.under_way)
        stage.ask(metrics=[metric(ENDLESS, count="many")])
        await stage.play()

        assert (stage.status["phase"], stage.cluster.peek_all("Job")) == ("Error", [])


async def test_jobs_and_questions_stand_side_by_side_and_a_job_may_only_be_watched() -> None:
    body = run(metric(BAD), query("good", count=3, interval="4s"), dryRun=[{"metricName": "smoke"}])
    async with Stage(body) as stage:
        await stage.play()

    assert (stage.status["phase"], stage.result()["phase"]) == ("Successful", "Failed")
    assert stage.result("rate")["successful"] == 3


def refusing(status: int, reason: str, times: int = 99) -> Callable[[FakeTransport], None]:
    """The API server's answer to the first few Jobs."""
    left = times

    def decide(request: Request) -> Fault | None:
        nonlocal left
        if request.kind != "Job" or request.method != "POST" or not left:
            return None
        left -= 1
        return Fault(failure(status, reason, "exceeded quota: none of your Jobs"))

    return lambda transport: transport.faults.append(decide)


@pytest.mark.parametrize(
    ("status", "reason"), [(403, "Forbidden"), (422, "Invalid"), (400, "BadRequest"), (404, "NotFound")]
)
async def test_a_job_that_the_server_refuses_is_an_error_that_is_tried_again(status: int, reason: str) -> None:
    async with Stage(run(metric(GOOD))) as stage:
        await stage.play(arrange=refusing(status, reason, times=2))

    assert (stage.status["phase"], stage.result()["error"]) == ("Successful", 2)
    first = stage.result()["measurements"][0]
    assert first["phase"] == "Error" and "exceeded quota: none of your Jobs" in first["message"]
    assert stage.jobs.created == [f"{stage.uid}.smoke.3"]


async def test_a_job_that_the_server_always_refuses_ends_the_run_in_error() -> None:
    async with Stage(run(metric(GOOD))) as stage:
        await stage.play(arrange=refusing(403, "Forbidden"))

    assert (stage.status["phase"], stage.result()["error"]) == ("Error", 5)
    assert "the Job was not created" in stage.status["message"]


async def test_a_server_in_trouble_is_no_measurement() -> None:
    async with Stage(run(metric(GOOD))) as stage:
        await stage.play(arrange=refusing(503, "ServiceUnavailable", times=3))

    assert (stage.status["phase"], stage.result().get("error", 0)) == ("Successful", 0)
    assert stage.jobs.created == [f"{stage.uid}.smoke.1"]


async def test_the_job_of_a_stranger_under_our_name_is_an_error_and_not_touched() -> None:
    async with Stage(run(metric(GOOD, consecutiveErrorLimit=0))) as stage:
        job = run()
        spec = metric(ENDLESS)["provider"]["job"]["spec"]
        spec["template"]["metadata"] = {"labels": {}}
        name = f"{stage.uid}.smoke.1"
        stage.cluster.create({**job, "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec})
        await stage.play()

        assert stage.status["phase"] == "Error" and "already exists" in stage.status["message"]
        assert stage.alive == [name]


async def test_a_job_that_somebody_deletes_is_an_error_and_another_is_started() -> None:
    async with Stage(run(metric(GOOD))) as stage:
        await stage.play(lambda: stage.under_way)
        stage.cluster.delete("Job", f"{stage.uid}.smoke.1")
        await stage.play()

    assert (stage.status["phase"], stage.result()["error"]) == ("Successful", 1)
    assert "is gone" in stage.result()["measurements"][0]["message"]
    assert stage.jobs.created == [f"{stage.uid}.smoke.1", f"{stage.uid}.smoke.2"]


async def test_a_job_that_ended_while_no_operator_was_there_is_told_by_the_next_one() -> None:
    async with Stage(run(metric(BAD))) as stage:
        await stage.play(lambda: stage.under_way)
        await asyncio.sleep(60)
        await stage.play()

    assert stage.status["phase"] == "Failed" and len(stage.jobs.created) == 1


async def test_only_the_jobs_of_the_measurements_that_are_kept_are_kept() -> None:
    body = run(metric(GOOD, count=6, interval="1s"), measurementRetention=[{"metricName": "smoke", "limit": 2}])
    async with Stage(body) as stage:
        await stage.play()

        kept = sorted(job["metadata"]["name"] for job in stage.cluster.peek_all("Job"))
        assert kept == [f"{stage.uid}.smoke.5", f"{stage.uid}.smoke.6"]
        assert [m["metadata"]["job-name"] for m in stage.result()["measurements"]] == kept


async def test_jobs_go_with_their_run() -> None:
    async with Stage(run(metric(ENDLESS))) as stage:
        await stage.play(lambda: stage.under_way)
        stage.cluster.delete("AnalysisRun", "mine")
        await stage.play(lambda: stage.cluster.peek_all("Job") == [] and stage.cluster.peek_all("Pod") == [])


async def test_a_job_that_takes_long_costs_nothing_meanwhile() -> None:
    """*Idle is silent*: nobody asks how the Job is doing."""
    async with Stage(run(metric(GOOD)), takes=7200) as stage:
        requests: list[Request] = []

        def note(request: Request) -> None:
            if stage.under_way and not stage.ended and request.method == "GET":
                requests.append(request)

        began = asyncio.get_running_loop().time()
        writes = len(stage.cluster.log)
        seen: list[int] = []
        stage.cluster.observers.append(
            lambda w: (
                seen.append(1)
                if w.actor == "operator" and 10 < asyncio.get_running_loop().time() - began < 7000
                else None
            )
        )
        await stage.theatre.play(
            lambda: asyncio.get_running_loop().time() - began > 500, arrange=lambda t: t.faults.append(note)
        )

    assert writes < len(stage.cluster.log)
    assert (seen, requests) == ([], [])


BODIES: dict[str, Obj] = {
    "three good": run(metric(GOOD, count=3, interval="1s")),
    "a bad one beside a question": run(metric(BAD), query("good", count=2, interval="1s")),
    "without an image": run(metric(GOOD, image="missing:v1")),
    "stopped by another metric": run(metric(ENDLESS), query("bad", initialDelay="1s")),
    "two at once": run(metric(GOOD, "a"), metric(GOOD, "b", count=2, interval="1s")),
}
POINTS: tuple[CrashPoint, ...] = ("before", "unseen", "after")


@pytest.mark.parametrize("story", BODIES)
async def test_killed_at_any_write_the_run_ends_the_same_and_no_job_is_started_twice(story: str) -> None:
    """*Killed anywhere, same end.*"""

    async def tell(crash: tuple[int, CrashPoint] | None) -> tuple[Any, int]:
        async with Stage(BODIES[story], takes=1.0) as stage:
            first = await stage.play(lasting(lambda: stage.ended, 5), crash=crash)
            if first.killed.is_set() and crash:
                await asyncio.sleep(0.3)
                await stage.play(lasting(lambda: stage.ended, 5))
            told = {r["name"]: (r["phase"], len(r["measurements"])) for r in stage.status["metricResults"]}
            return (stage.status["phase"], told, sorted(stage.jobs.created), stage.alive), first.writes

    undisturbed, writes = await tell(None)
    assert writes >= 3
    for number in range(1, writes + 1):
        for point in POINTS:
            end, _ = await tell((number, point))

            assert end == undisturbed, f"killed {point} write {number}"


@pytest.mark.parametrize(("command", "phase"), [(GOOD, "Healthy"), (BAD, "Degraded")])
async def test_a_rollout_goes_by_the_jobs_of_its_step(command: list[str], phase: str) -> None:
    template = stories.template("smoke", "good")
    template["spec"] = {"metrics": [metric(command)]}
    inline = {"analysis": {"templates": [{"templateName": "smoke"}]}}
    strategy = {"canary": {"steps": [{"setWeight": 50}, inline]}}
    theatre = Theatre(stories.rollout(strategy, replicas=2), [stories.service("app"), template], services=())
    Jobs(theatre.cluster)
    async with theatre:
        theatre.deploy()
        await theatre.play(lambda: theatre.is_at("Healthy"))
        theatre.set_image("app:v2")
        await theatre.play(lambda: theatre.is_at(phase))
