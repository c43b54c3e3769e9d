"""The provider `web`: the request that a metric describes, and the value that its jsonPath picks."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.providers.stand_in import StandIn, take
from tidegate.core.analysis.conditions import compile_condition
from tidegate.core.analysis.jsonpath import JsonPathError, parse_json_path
from tidegate.core.analysis.metrics import read_run

DOCUMENT: dict[str, Any] = {
    "ok": True,
    "none": None,
    "data": {"rate": 0.95, "whole": 5.0, "count": 7, "a.b": "dotted", "a-b": 1, "rates": [1, 2, 3]},
    "hosts": [{"name": "a", "up": 1}, {"name": "b", "up": 0.5}, {"name": "c"}],
}

VALUES = [
    ("", DOCUMENT, None),
    ("{$}", DOCUMENT, None),
    ("{$.ok}", True, "true"),
    ("{.ok}", True, "true"),
    ("{$.none}", None, "null"),
    ("{$.data.rate}", 0.95, "0.95"),
    ("{$.data.whole}", 5.0, "5"),
    ("{$.data.count}", 7, "7"),
    ("{$.data['a.b']}", "dotted", '"dotted"'),
    (r"{$.data.a\.b}", "dotted", '"dotted"'),
    ("{$['data'].a-b}", 1, "1"),
    ("{$.data.rates[0]}", 1, "1"),
    ("{$.data.rates[-1]}", 3, "3"),
    ("{$.data.rates[-1:]}", 3, "3"),
    ("{$.data.rates[1:3]}", 2, "2"),
    ("{$.data.rates}", [1, 2, 3], "[1,2,3]"),
    ("{$.hosts[*].name}", "a", '"a"'),
    ('{$.hosts[?(@.name=="b")].up}', 0.5, "0.5"),
    ("{$.hosts[?(@.up < 1)].name}", "b", '"b"'),
    ("{$.hosts[?(@.up)].name}", "a", '"a"'),
    ("{$.hosts[0]}", {"name": "a", "up": 1}, '{"name":"a","up":1}'),
]


@pytest.mark.parametrize(("path", "value", "text"), VALUES, ids=[row[0] for row in VALUES])
async def test_given_a_path_then_the_value_there_is_the_result(
    stand_in: StandIn, path: str, value: Any, text: str | None
) -> None:
    stand_in.answers["/rate"] = DOCUMENT

    reading = await take("web", {"url": f"{stand_in.address}/rate", "jsonPath": path})

    assert reading.error == ""
    assert reading.value == value
    assert text is None or reading.text == text


@pytest.mark.parametrize("path", ["{$.missing}", "{$.data.rates[3]}", "{$.ok.x}", "{$.hosts[?(@.name=='z')]}"])
async def test_given_a_path_that_leads_nowhere_then_it_is_an_error(stand_in: StandIn, path: str) -> None:
    stand_in.answers["/rate"] = DOCUMENT

    reading = await take("web", {"url": f"{stand_in.address}/rate", "jsonPath": path})

    assert reading.error == f"the server at {stand_in.address}/rate gave an answer that has nothing at {path}"


async def test_given_an_answer_of_text_then_it_is_the_result_unless_a_path_asks_for_a_part_of_it(
    stand_in: StandIn,
) -> None:
    stand_in.answers["/healthz"] = (200, b"all is well\n")
    url = f"{stand_in.address}/healthz"

    reading = await take("web", {"url": url})
    assert (reading.error, reading.value) == ("", "all is well\n")
    part = await take("web", {"url": url, "jsonPath": "{$.ok}"})
    assert part.error == f"the server at {url} gave an answer that is not JSON"
    stand_in.answers["/healthz"] = (503, b"all is well\n")
    assert "answered 503" in (await take("web", {"url": url})).error


@pytest.mark.parametrize(
    "path",
    ["$.a", "a", "{$.a", "{$..a}", "{$.a[0,1]}", "{range .a}{.b}{end}", "text {.a}", "{$.a[]}", "{$.a[x]}", "{$.a b}",
     "{$.a[::0]}", "{$.a[?(@.b ~ 1)]}", "{$.a[?(@.b == c)]}"],
)  # fmt: skip
def test_given_a_path_that_is_not_supported_then_it_is_refused_before_a_run_begins(path: str) -> None:
    with pytest.raises(JsonPathError):
        parse_json_path(path)
    metric = {"name": "m", "provider": {"web": {"url": "http://x", "jsonPath": path}}}
    assert [problem.path for problem in read_run({"spec": {"metrics": [metric]}})[1]] == [
        "spec.metrics[0].provider.web.jsonPath"
    ]


async def test_given_only_an_address_then_it_is_got(stand_in: StandIn) -> None:
    stand_in.answers["/rate"] = DOCUMENT

    await take("web", {"url": f"{stand_in.address}/rate?service=a%20b&x=%2F"})

    (asked,) = stand_in.asked
    assert (asked.method, asked.path, asked.query, asked.body) == ("GET", "/rate", {"service": "a b", "x": "/"}, b"")
    assert "Content-Type" not in asked.headers


async def test_given_a_body_then_it_is_sent_as_it_stands(stand_in: StandIn) -> None:
    stand_in.answers["/rate"] = DOCUMENT
    headers = [{"key": "X-A", "value": "1"}, {"key": "Content-Type", "value": "text/plain"}]

    await take("web", {"url": f"{stand_in.address}/rate", "method": "PUT", "body": "a=1 ü", "headers": headers})

    (asked,) = stand_in.asked
    assert (asked.method, asked.path, asked.body.decode()) == ("PUT", "/rate", "a=1 ü")
    assert asked.headers["X-A"] == "1"
    assert asked.headers["Content-Type"] == "text/plain"


async def test_given_a_json_body_then_its_type_is_json_whatever_the_headers_say(stand_in: StandIn) -> None:
    stand_in.answers["/rate"] = DOCUMENT
    spec = {
        "url": f"{stand_in.address}/rate",
        "method": "POST",
        "jsonBody": {"a": {"b": ["x", 1]}},
        "headers": [{"key": "content-type", "value": "text/plain"}],
    }

    await take("web", spec)

    (asked,) = stand_in.asked
    assert asked.json == {"a": {"b": ["x", 1]}}
    assert asked.headers.getall("Content-Type") == ["application/json"]  # type: ignore[attr-defined]


async def test_given_basic_authentication_then_name_and_password_are_sent_and_hidden(stand_in: StandIn) -> None:
    stand_in.answers["/rate"] = {"you sent": "Basic dXNlcjpodW50ZXIy"}
    access = {"basicAuth": {"username": "user", "password": "hunter2"}}

    reading = await take("web", {"url": f"{stand_in.address}/rate", "authentication": access})

    assert stand_in.asked[0].headers["Authorization"] == "Basic dXNlcjpodW50ZXIy"
    assert reading.text == '{"you sent":"Basic *****"}'


class TestOAuth2:
    def spec(self, stand_in: StandIn) -> dict[str, Any]:
        oauth2 = {
            "clientId": "id@x",
            "clientSecret": "s/cret",
            "scopes": ["a", "b"],
            "tokenUrl": f"{stand_in.address}/token",
        }
        return {"url": f"{stand_in.address}/rate", "authentication": {"oauth2": oauth2, "basicAuth": {}}}

    async def test_given_a_client_then_a_token_is_got_and_sent_and_hidden(self, stand_in: StandIn) -> None:
        stand_in.answers = {"/token": {"access_token": "t0ken", "token_type": "bearer"}, "/rate": {"sent": "t0ken"}}

        reading = await take("web", self.spec(stand_in))

        token, asked = stand_in.asked
        assert token.method == "POST"
        assert parse_qs(token.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["a b"]}
        name_and_secret = base64.b64decode(token.headers["Authorization"].removeprefix("Basic ")).decode()
        assert name_and_secret == "id%40x:s%2Fcret"
        assert asked.headers["Authorization"] == "Bearer t0ken"
        assert reading.text == '{"sent":"*****"}'

    async def test_given_a_server_that_wants_the_secret_in_the_form_then_it_gets_it_there(
        self, stand_in: StandIn
    ) -> None:
        stand_in.answers = {"/token": [(401, {}), (200, {"access_token": "t0ken"})], "/rate": DOCUMENT}

        assert (await take("web", self.spec(stand_in))).error == ""

        form = parse_qs(stand_in.asked[1].body.decode())
        assert (form["client_id"], form["client_secret"]) == (["id@x"], ["s/cret"])

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            ((400, {"error": "invalid_client s/cret"}), "answered 400 Bad Request: invalid_client *****"),
            ((200, {"token": "x"}), "gave an answer without an access token"),
            ((200, b"hello"), "gave an answer without an access token"),
            ("hang", "gave no answer within 0.3 s"),
        ],
    )
    async def test_given_no_token_then_nothing_is_asked_and_the_error_says_so(
        self, stand_in: StandIn, answer: Any, told: str
    ) -> None:
        stand_in.answers = {"/token": answer, "/rate": DOCUMENT}

        reading = await take("web", self.spec(stand_in), seconds=0.3)

        assert reading.error == f"the OAuth2 server at {stand_in.address}/token {told}"
        assert {asked.path for asked in stand_in.asked} == {"/token"}


async def test_given_a_redirect_on_the_same_host_then_it_is_followed_with_all_headers(stand_in: StandIn) -> None:
    stand_in.answers = {"/rate": (302, b"", {"Location": "/new"}), "/new": DOCUMENT}

    reading = await take(
        "web", {"url": f"{stand_in.address}/rate", "headers": [{"key": "X-A", "value": "1"}], "jsonPath": "{.ok}"}
    )

    assert reading.value is True
    assert stand_in.asked[1].headers["X-A"] == "1"


async def test_given_redirects_in_a_circle_then_it_is_an_error(stand_in: StandIn) -> None:
    stand_in.answers["*"] = (302, b"", {"Location": "/again"})

    assert "round in circles" in (await take("web", {"url": f"{stand_in.address}/rate"})).error


async def test_given_a_secret_that_ends_with_a_line_break_then_the_error_says_what_to_mend(stand_in: StandIn) -> None:
    reading = await take(
        "web",
        {"url": stand_in.address, "headers": [{"key": "X-Key", "value": "hunter2\n"}]},
        hidden=frozenset({"hunter2\n"}),
    )

    assert "the header 'X-Key' holds a line break, and a Secret may end with one" in reading.error
    assert "hunter2" not in reading.error


async def test_given_a_secret_in_the_address_then_no_message_shows_it() -> None:
    reading = await take(
        "web", {"url": "http://user:pw@127.0.0.1:1/hook/hunter2?key=hunter2"}, hidden=frozenset({"hunter2"})
    )

    assert reading.error == "the server at http://127.0.0.1:1/hook/***** can't be reached: Connection refused"


@pytest.mark.parametrize("provider", ["web", "prometheus"])
async def test_given_an_address_with_a_password_then_a_server_that_repeats_it_is_not_quoted(
    stand_in: StandIn, provider: str
) -> None:
    stand_in.answers["*"] = 401, {"status": "error", "error": "hunter2, or Basic dXNlcjpodW50ZXIy, is wrong"}
    where = stand_in.address.replace("//", "//user:hunter2@")

    reading = await take(provider, {"web": {"url": where}, "prometheus": {"address": where, "query": "up"}}[provider])

    assert reading.error.endswith("answered 401 Unauthorized: *****, or Basic *****, is wrong")


async def test_given_a_huge_answer_then_all_is_judged_and_a_little_is_shown(stand_in: StandIn) -> None:
    stand_in.answers["/rate"] = {"list": list(range(10_000))}

    reading = await take("web", {"url": f"{stand_in.address}/rate"})

    assert compile_condition("len(result.list) == 10000").holds(reading.value)
    assert len(reading.text) == 2000


MISTAKES = [
    ({}, "url", "is required"),
    ({"url": ""}, "url", "is required"),
    ({"url": "example.org"}, "url", "is not an address"),
    ({"method": "DELETE"}, "method", "must be 'GET', 'POST' or 'PUT'"),
    ({"body": "x"}, "body", "can't be sent by GET"),
    ({"jsonBody": {}}, "jsonBody", "can't be sent by GET"),
    ({"method": "POST", "body": "x", "jsonBody": {}}, "jsonBody", "stands beside body"),
    ({"headers": [{"key": "a b", "value": "x"}]}, "headers[0].key", "is not the name of a header"),
    ({"headers": [{"value": "x"}]}, "headers[0].key", "is required"),
    ({"timeoutSeconds": -1}, "timeoutSeconds", "must be 0 or more"),
    (
        {"authentication": {"oauth2": {"tokenUrl": "http://t", "clientId": "x"}}},
        "authentication.oauth2.clientSecret",
        "is required",
    ),
    (
        {"authentication": {"oauth2": {"clientId": "x", "clientSecret": "y"}}},
        "authentication.oauth2.tokenUrl",
        "is required",
    ),
    ({"authentication": {"basicAuth": {"password": "x"}}}, "authentication.basicAuth.username", "is required"),
    (
        {"authentication": {"basicAuth": {"username": "x"}}, "headers": [{"key": "authorization", "value": "y"}]},
        "headers[0].key",
        "is set by authentication too",
    ),
]


@pytest.mark.parametrize(("fields", "path", "told"), MISTAKES)
def test_given_a_mistake_then_its_place_is_told_before_a_run_begins(
    fields: dict[str, Any], path: str, told: str
) -> None:
    web = fields if not fields or "url" in fields else {"url": "http://x", **fields}
    _, problems = read_run({"spec": {"metrics": [{"name": "m", "provider": {"web": web}}]}})

    assert [problem.path for problem in problems] == [f"spec.metrics[0].provider.web.{path}"]
    assert told in problems[0].message


@pytest.mark.parametrize(("fields", "seconds"), [({}, 10), ({"timeoutSeconds": 0}, 10), ({"timeoutSeconds": 25}, 25)])
def test_given_a_time_then_a_measurement_may_take_it(fields: dict[str, Any], seconds: int) -> None:
    (metric,), _ = read_run({"spec": {"metrics": [{"name": "m", "provider": {"web": {"url": "http://x", **fields}}}]}})

    assert metric.timeout.total_seconds() == seconds


def test_given_two_providers_in_one_metric_then_that_is_refused() -> None:
    provider = {"web": {"url": "http://x"}, "prometheus": {"query": "up"}}
    _, problems = read_run({"spec": {"metrics": [{"name": "m", "provider": provider}]}})

    assert [str(problem) for problem in problems] == [
        "spec.metrics[0].provider: names prometheus and web; make a metric of each"
    ]
