"""CloudWatch: the form of GetMetricData, its signature, and what its XML means."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.providers.stand_in import StandIn, take
from tidegate.core.analysis.conditions import compile_condition
from tidegate.core.analysis.metrics import read_run
from tidegate.providers.cloud_watch import _Access

QUERIES: list[dict[str, Any]] = [
    {"id": "rate", "expression": "errors / requests", "label": "Rate", "period": 60},
    {
        "id": "errors",
        "metricStat": {
            "metric": {"namespace": "app", "metricName": "errors", "dimensions": [{"name": "LB", "value": "a b"}]},
            "period": "300",
            "stat": "Sum",
            "unit": "Count",
        },
        "returnData": False,
    },
]

ANSWER = b"""<GetMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><GetMetricDataResult>
<Messages><member><Code>c</Code><Value>late data</Value></member></Messages>
<MetricDataResults><member><Id>rate</Id><Label>Rate</Label><StatusCode>Complete</StatusCode>
<Timestamps><member>2026-05-01T10:00:00Z</member><member>2026-05-01T10:01:00Z</member></Timestamps>
<Values><member>0.25</member><member>1.0</member></Values></member>
<member><Id>b</Id><Label>b</Label><StatusCode>Complete</StatusCode><Timestamps/><Values/></member></MetricDataResults>
</GetMetricDataResult></GetMetricDataResponse>"""


@pytest.fixture(autouse=True)
def environment(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", stand_in.address)


async def ask(stand_in: StandIn, answer: Any, **spec: Any) -> Any:
    stand_in.answers["*"] = answer
    return await take("cloudWatch", {"metricDataQueries": QUERIES, **spec})


async def test_given_results_then_they_are_maps_by_the_names_of_the_api(stand_in: StandIn) -> None:
    reading = await ask(stand_in, (200, ANSWER))

    assert reading.error == ""
    assert reading.value[0]["Values"] == [0.25, 1.0]
    assert reading.value[0]["Id"] == "rate"
    assert reading.text == "[[0.25 1] []]"
    assert reading.metadata == {"messages": "late data"}
    condition = compile_condition("len(result[0].Values) >= 2 and all(result[0].Values, {# <= 1})")
    assert condition.holds(reading.value)


async def test_given_queries_then_the_documented_form_is_sent(stand_in: StandIn) -> None:
    await ask(stand_in, (200, ANSWER), interval="30m")

    (asked,) = stand_in.asked
    form = dict(parse_qsl(asked.body.decode()))
    since, until = (datetime.fromisoformat(form.pop(name)) for name in ("StartTime", "EndTime"))
    assert (until - since).total_seconds() == 1800
    assert abs((until - datetime.now(UTC)).total_seconds()) < 60
    one, two = "MetricDataQueries.member.1", "MetricDataQueries.member.2"
    assert form == {
        "Action": "GetMetricData",
        "Version": "2010-08-01",
        f"{one}.Id": "rate",
        f"{one}.Expression": "errors / requests",
        f"{one}.Label": "Rate",
        f"{one}.Period": "60",
        f"{two}.Id": "errors",
        f"{two}.ReturnData": "false",
        f"{two}.MetricStat.Metric.MetricName": "errors",
        f"{two}.MetricStat.Metric.Namespace": "app",
        f"{two}.MetricStat.Metric.Dimensions.member.1.Name": "LB",
        f"{two}.MetricStat.Metric.Dimensions.member.1.Value": "a b",
        f"{two}.MetricStat.Period": "300",
        f"{two}.MetricStat.Stat": "Sum",
        f"{two}.MetricStat.Unit": "Count",
    }
    assert (asked.method, asked.path) == ("POST", "/")
    assert asked.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
    assert (
        "/eu-central-1/monitoring/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature="
        in (asked.headers["Authorization"])
    )
    assert asked.headers["Host"] == stand_in.address.removeprefix("http://")


def test_given_a_request_then_its_signature_is_what_amazons_own_client_makes() -> None:
    """The expected signature is botocore's for this very request."""
    access = _Access("eu-central-1", "AKID", "s3cret", "tok", "https://monitoring.eu-central-1.amazonaws.com/")

    signed = access.sign(b"Action=GetMetricData&Version=2010-08-01", datetime(2026, 5, 1, 10, 30, tzinfo=UTC))

    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKID/20260501/eu-central-1/monitoring/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "
        "Signature=e27195b0b8968c924f0f14b3a89bd3a01e19be48d4079c12a88b35bf61921b60"
    )
    assert signed["x-amz-security-token"] == "tok"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            (403, b"<ErrorResponse><Error><Code>x</Code><Message>s3cret is wrong</Message></Error></ErrorResponse>"),
            "answered 403 Forbidden: ***** is wrong",
        ),
        ((200, b"<Other/>"), "is not a result of GetMetricData"),
        ((200, b"{}"), "is not a result of GetMetricData"),
        ((200, ANSWER.replace(b"1.0", b"lots")), "is not a result of GetMetricData"),
        ((200, b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + ANSWER), "is not a result of GetMetricData"),
        ((200, ANSWER.replace(b"Complete", b"InternalError", 1)), "could not carry out the query rate"),
    ],
)
async def test_given_no_results_then_it_is_an_error(stand_in: StandIn, answer: Any, told: str) -> None:
    reading = await ask(stand_in, answer)

    assert told in reading.error
    assert reading.value is None


async def test_given_no_credentials_then_what_is_missing_is_told(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert (await ask(stand_in, (200, ANSWER))).error == (
        "CloudWatch can't be asked: AWS_REGION, AWS_SECRET_ACCESS_KEY not set in the operator's environment"
    )


MISTAKES = [
    ({}, "metricDataQueries", "is required"),
    ({"metricDataQueries": QUERIES, "interval": "x"}, "interval", "is not a duration"),
    ({"metricDataQueries": [{"expression": "a"}]}, "metricDataQueries[0].id", "is required"),
    ({"metricDataQueries": [{"id": "a"}]}, "metricDataQueries[0]", "either expression or metricStat"),
    ({"metricDataQueries": [{"id": "a", "expression": "b", "period": "x"}]}, "metricDataQueries[0].period", "seconds"),
    (
        {"metricDataQueries": [{"id": "a", "metricStat": {"metric": {"metricName": "m"}}}]},
        "metricDataQueries[0].metricStat.stat",
        "is required",
    ),
]


@pytest.mark.parametrize(("spec", "path", "told"), MISTAKES)
def test_given_a_mistake_then_its_place_is_told_before_a_run_begins(spec: dict[str, Any], path: str, told: str) -> None:
    _, problems = read_run({"spec": {"metrics": [{"name": "m", "provider": {"cloudWatch": spec}}]}})

    assert [problem.path for problem in problems] == [f"spec.metrics[0].provider.cloudWatch.{path}"]
    assert told in problems[0].message
