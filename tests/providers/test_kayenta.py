"""Kayenta, against a server that speaks its documented API: canaryConfig, canary/{config}, canary/{execution}."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.providers.stand_in import StandIn, take
from tidegate.core.analysis.metrics import read_run
from tidegate.core.analysis.world import Reading

CONFIGS = [
    {"id": "c-0", "name": "other", "updatedTimestamp": 1, "applications": ["guestbook"]},
    {"id": "c/1", "name": "my-test", "updatedTimestamp": 2, "applications": ["guestbook"]},
]
STARTED = {"canaryExecutionId": "01EXECUTION"}
NOW = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def side(scope: str, **more: Any) -> dict[str, Any]:
    return {"scope": scope, "step": 60, **more}


def spec(address: str = "http://kayenta", **more: Any) -> dict[str, Any]:
    return {
        "address": address,
        "application": "guestbook",
        "canaryConfigName": "my-test",
        "threshold": {"pass": 90, "marginal": 75},
        "scopes": [{"name": "default", "controlScope": side("a=1"), "experimentScope": side("a=2")}],
        **more,
    }


def done(score: Any, *results: dict[str, Any], summary: str = "Pass", **more: Any) -> dict[str, Any]:
    """What Kayenta tells of an execution that is over."""
    judged = {
        "judgeName": "NetflixACAJudge-v1.0",
        "results": [{"name": "cpu", "classification": "Pass", "groups": ["system"]}, *results],
        "groupScores": [{"name": "system", "score": score}],
        "score": {"score": score, "classification": summary, "classificationReason": ""},
    }
    return {"complete": True, "status": "succeeded", "result": {"judgeResult": judged}, **more}


async def start(stand_in: StandIn, configs: Any = CONFIGS, answer: Any = STARTED, **more: Any) -> Reading:
    stand_in.answers = {"/canaryConfig": [configs], "/canary/c/1": answer}
    how = {key: more.pop(key) for key in ("interval", "started_at") if key in more}
    return await take("kayenta", spec(f" {stand_in.address}/ ", **more), **how)


RUNNING = {"application": "guestbook", "complete": False, "status": "running"}


async def test_given_that_it_was_begun_by_an_operator_that_died_then_it_is_gone_on_with(stand_in: StandIn) -> None:
    """An operator that dies between the start of an execution and the write of its id started another one."""
    theirs = {**RUNNING, "pipelineId": "01OTHER", "parentPipelineExecutionId": "uid.m.2"}
    stand_in.answers = {"/canaryConfig": [CONFIGS], "/canary/executions": [[theirs]], "/canary/c/1": STARTED}
    first = await take("kayenta", spec(stand_in.address, storageAccountName="store"), id_="uid.m.1")

    listed, _, started = stand_in.asked
    statuses = {"statuses": "NOT_STARTED,RUNNING"}
    assert listed.path == "/canary/executions"
    assert listed.query == {"application": "guestbook", "storageAccountName": "store", **statuses}
    assert (started.method, started.query["parentPipelineExecutionId"]) == ("POST", "uid.m.1")

    ours = {**theirs, "pipelineId": "01EXECUTION", "parentPipelineExecutionId": "uid.m.1"}
    stand_in.answers["/canary/executions"] = [[theirs, ours]]
    again = await take("kayenta", spec(stand_in.address, storageAccountName="store"), id_="uid.m.1")

    assert [asked.path for asked in stand_in.asked[3:]] == ["/canary/executions"], "nothing is started"
    assert (again.metadata, again.resume) == (first.metadata, first.resume) == (STARTED, timedelta(seconds=15))


@pytest.mark.parametrize("answer", [(404, {}), (500, {"error": "no execution of that name"}), {}, [[1, {}]]])
async def test_given_a_kayenta_that_lists_nothing_then_an_execution_is_started(stand_in: StandIn, answer: Any) -> None:
    stand_in.answers = {"/canaryConfig": [CONFIGS], "/canary/executions": answer, "/canary/c/1": STARTED}

    reading = await take("kayenta", spec(stand_in.address), id_="uid.m.1")

    assert (reading.error, reading.metadata) == ("", STARTED)


async def look(stand_in: StandIn, answer: Any, **more: Any) -> Reading:
    stand_in.answers = {"/canary/01EXECUTION": answer}
    return await take("kayenta", spec(stand_in.address, **more), resume=STARTED)


async def test_given_a_new_measurement_then_an_execution_is_started_and_goes_on_later(stand_in: StandIn) -> None:
    reading = await start(
        stand_in,
        metricsAccountName="m&m",
        configurationAccountName="conf",
        storageAccountName="store",
        scopes=[
            {
                "name": "default",
                "controlScope": side("a=1", region="eu", start="2026-05-01T10:00:00Z", end="2026-05-01T11:00:00Z"),
                "experimentScope": side("a=2", region="us", start="2026-05-01T12:00:00Z", end="2026-05-01T13:00:00Z"),
            }
        ],
    )

    assert (reading.error, reading.value, reading.text) == ("", None, "")
    assert (reading.resume, reading.metadata) == (timedelta(seconds=15), STARTED)
    lookup, started = stand_in.asked
    assert (lookup.method, lookup.path) == ("GET", "/canaryConfig")
    assert lookup.query == {"application": "guestbook", "configurationAccountName": "conf"}
    assert (started.method, started.path) == ("POST", "/canary/c/1")
    assert started.headers["Content-Type"] == "application/json"
    assert started.query == {
        "application": "guestbook",
        "metricsAccountName": "m&m",
        "configurationAccountName": "conf",
        "storageAccountName": "store",
    }
    assert started.json == {
        "thresholds": {"pass": 90, "marginal": 75},
        "scopes": {
            "default": {
                "controlScope": {
                    "scope": "a=1",
                    "region": "eu",
                    "location": "eu",
                    "step": 60,
                    "start": "2026-05-01T10:00:00Z",
                    "end": "2026-05-01T11:00:00Z",
                },
                "experimentScope": {
                    "scope": "a=2",
                    "region": "us",
                    "location": "us",
                    "step": 60,
                    "start": "2026-05-01T12:00:00Z",
                    "end": "2026-05-01T13:00:00Z",
                },
            }
        },
    }


@pytest.mark.parametrize(("lookback", "minutes"), [(False, 10), (True, 45)])
async def test_given_no_times_then_kayenta_looks_back_by_the_interval_or_to_the_start(
    stand_in: StandIn, lookback: bool, minutes: int
) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=45)

    await start(stand_in, lookback=lookback, interval=timedelta(minutes=10), started_at=begun)

    for sent in stand_in.asked[1].json["scopes"]["default"].values():
        assert NOW.fullmatch(sent["start"]) and NOW.fullmatch(sent["end"])
        since, until = (datetime.fromisoformat(sent[end]) for end in ("start", "end"))
        assert abs(until - datetime.now(UTC)) < timedelta(seconds=30)
        assert abs(until - since - timedelta(minutes=minutes)) < timedelta(seconds=2)


async def test_given_no_account_for_configurations_then_that_for_results_is_asked(stand_in: StandIn) -> None:
    await start(stand_in, storageAccountName="store")

    assert stand_in.asked[0].query["configurationAccountName"] == "store"
    assert "configurationAccountName" not in stand_in.asked[1].query


@pytest.mark.parametrize(
    ("configs", "answer", "told"),
    [
        ([], STARTED, "has no canary configuration my-test for application guestbook"),
        (CONFIGS[:1], STARTED, "has no canary configuration my-test for application guestbook"),
        ([{"name": "my-test"}], STARTED, "has no canary configuration my-test"),
        ({"timestamp": 1}, STARTED, "is not a list of canary configurations"),
        (["my-test"], STARTED, "is not a list of canary configurations"),
        (CONFIGS, {}, "gave an answer without canaryExecutionId"),
        (CONFIGS, {"canaryExecutionId": ""}, "gave an answer without canaryExecutionId"),
        (CONFIGS, (400, {"message": "Canary metrics require scopes"}), "400 Bad Request: Canary metrics require"),
    ],
)
async def test_given_an_execution_that_cannot_be_started_then_it_is_an_error(
    stand_in: StandIn, configs: Any, answer: Any, told: str
) -> None:
    reading = await start(stand_in, configs, answer)

    assert told in reading.error
    assert (reading.value, reading.resume) == (None, None)


async def test_given_an_execution_under_way_then_it_is_looked_at_and_never_started_again(stand_in: StandIn) -> None:
    reading = await look(stand_in, {"complete": False, "status": "running"}, storageAccountName="store")

    assert (reading.error, reading.resume) == ("", timedelta(seconds=15))
    (asked,) = stand_in.asked
    assert (asked.method, asked.path, asked.query) == (
        "GET",
        "/canary/01EXECUTION",
        {"storageAccountName": "store"},
    )


@pytest.mark.parametrize(("score", "text"), [(95, "95"), (89.5, "89.5"), (0.0, "0")])
async def test_given_an_execution_that_is_over_then_its_score_is_the_result(
    stand_in: StandIn, score: float, text: str
) -> None:
    reading = await look(stand_in, done(score))

    assert (reading.error, reading.value, reading.text, reading.resume) == ("", score, text, None)


CRASHED = {"details": {"error": "Unexpected Task Failure", "errors": ["RServe went away"]}}
BROKEN = {"name": "errors", "classification": "Error", "classificationReason": "no R"}
UNJUDGED: list[tuple[Any, str]] = [
    ({"status": "running"}, "is not the status of a canary execution"),
    ({"complete": "true"}, "is not the status of a canary execution"),
    ({"complete": True, "status": "terminal", "exception": CRASHED}, "its status is terminal: RServe went away"),
    ({"complete": True, "status": "canceled"}, "ended execution 01EXECUTION without a verdict"),
    (done(100, exception=CRASHED), "its status is succeeded: RServe went away"),
    (done(100, exception="boom"), "its status is succeeded: boom"),
    (done(100, status="terminal"), "its status is terminal"),
    (done(100, status=None), "its status is unknown"),
    (done(100, BROKEN), "could not judge all of execution 01EXECUTION"),
    (done(100, BROKEN), "metric errors is Error (no R)"),
    (done(0, summary="Nodata"), "the whole is Nodata"),
    (done(0, summary="Error"), "the whole is Error"),
    (done(None), "without a score"),
    (done("NaN"), "without a score"),
    (done(True), "without a score"),
    ({"complete": True, "status": "succeeded"}, "without a score"),
    ({"complete": True, "status": "succeeded", "result": {"judgeResult": {"score": {}}}}, "without a score"),
    ({"complete": True, "status": "succeeded", "result": {"judgeResult": []}}, "without a score"),
    (done(100, "broken"), "without a score"),  # type: ignore[arg-type]
    ((404, {"message": "No pipeline found for 01EXECUTION"}), "answered 404 Not Found: No pipeline found"),
]


@pytest.mark.parametrize(("answer", "told"), UNJUDGED)
async def test_kayenta_fails_open_a_judge_that_failed_never_passes(stand_in: StandIn, answer: Any, told: str) -> None:
    """Kayenta's scorer leaves out what its classifier threw an exception at, and what remains is a full score."""
    reading = await look(stand_in, answer)

    assert told in reading.error
    assert (reading.value, reading.resume) == (None, None)


async def test_given_a_metric_that_does_not_count_then_its_trouble_does_not_either(stand_in: StandIn) -> None:
    assert (await look(stand_in, done(100, {**BROKEN, "muted": True}))).value == 100
    assert (await look(stand_in, done(80, {"name": "quiet", "classification": "Nodata"}))).value == 80


def scopes(**control: Any) -> list[dict[str, Any]]:
    return [{"name": "default", "controlScope": {**side("a"), **control}, "experimentScope": side("b")}]


@pytest.mark.parametrize(
    ("wrong", "interval", "places"),
    [
        ({"address": "kayenta"}, "1h", ["address"]),
        ({"application": " "}, "1h", ["application"]),
        ({"canaryConfigName": ""}, "1h", ["canaryConfigName"]),
        ({"threshold": {"pass": 50, "marginal": 51}}, "1h", ["threshold.marginal"]),
        ({"threshold": {"pass": 50}}, "1h", ["threshold.marginal"]),
        ({"thresholds": {"pass": 50, "marginal": 10}}, "1h", ["thresholds"]),
        ({"scopes": []}, "1h", ["scopes"]),
        ({"scopes": scopes() * 2}, "1h", ["scopes[1].name"]),
        ({"scopes": scopes(scope="", step=0)}, "1h", ["scopes[0].controlScope.scope", "scopes[0].controlScope.step"]),
        ({"scopes": scopes(start="yesterday")}, "1h", ["scopes[0].controlScope.start"]),
        ({"scopes": scopes(end="{{args.end}}")}, "1h", ["end"]),
        ({}, None, ["scopes[0].controlScope.start", "scopes[0].experimentScope.start"]),
        ({"lookback": True}, None, []),
    ],
)
def test_given_a_mistake_then_its_place_is_told(wrong: dict[str, Any], interval: str | None, places: list[str]) -> None:
    metric = {"name": "m", "provider": {"kayenta": spec(**wrong)}, **({"interval": interval} if interval else {})}

    _, problems = read_run({"spec": {"metrics": [metric]}})

    assert [each.path.removeprefix("spec.metrics[0].provider.kayenta.") for each in problems] == (
        places if places != ["end"] else ["spec.metrics[0]"]  # an argument that is nowhere given
    )
