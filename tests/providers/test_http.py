"""The session that providers share: whom it trusts, by which way it goes, and what it lets go of."""

from __future__ import annotations

import socket
import ssl
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import certifi
import pytest
import requests

from tests.providers.stand_in import StandIn, take
from tests.serving import serving
from tidegate.providers.http import Http


class Recorded:
    """What is asked of the client library, in place of a session."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    @asynccontextmanager
    async def request(self, method: str, url: str, **more: Any) -> Any:
        self.asked.append(more)
        raise ConnectionError
        yield

    async def close(self) -> None: ...


@pytest.mark.parametrize(("insecure", "variable"), [(True, ""), (False, ""), (False, "REQUESTS_CA_BUNDLE")])
async def test_given_the_metrics_wish_then_certificates_are_trusted(
    monkeypatch: pytest.MonkeyPatch, insecure: bool, variable: str
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, certifi.where())
    sent = Recorded()
    http = Http()
    monkeypatch.setattr(http, "_session", sent)

    with pytest.raises(ConnectionError):
        await http.send("GET", "https://x", {}, None, insecure=insecure)

    (asked,) = sent.asked
    if insecure:
        assert asked["ssl"] is False
    elif variable:
        assert isinstance(asked["ssl"], ssl.SSLContext)
        assert asked["ssl"].verify_mode is ssl.CERT_REQUIRED
    else:
        assert asked["ssl"] is True


@pytest.mark.parametrize("insecure", [True, False])
async def test_given_the_metrics_wish_then_prometheus_and_web_servers_are_asked_by_it(
    monkeypatch: pytest.MonkeyPatch, insecure: bool
) -> None:
    wishes: list[bool] = []

    async def send(self: Http, *args: Any, insecure: bool, **more: Any) -> Any:
        wishes.append(insecure)
        raise ConnectionError

    monkeypatch.setattr(Http, "send", send)
    monkeypatch.setattr(requests.Session, "send", lambda self, *args, **more: wishes.append(more["verify"] is False))
    await take("web", {"url": "https://x.invalid", "insecure": insecure})
    await take("prometheus", {"address": "https://x.invalid", "query": "up", "insecure": insecure})

    assert wishes == [insecure, insecure]


async def test_given_a_proxy_in_the_environment_then_questions_go_through_it(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", stand_in.address.replace("//", "//me:pw@"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    stand_in.answers["*"] = {"ok": 1}

    far = await take("web", {"url": "http://rates.invalid/rate"})
    near = await take("web", {"url": f"{stand_in.address}/rate"})

    assert (far.error, near.error) == ("", "")
    assert stand_in.asked[0].headers["Host"] == "rates.invalid"
    assert stand_in.asked[0].headers["Proxy-Authorization"] == "Basic bWU6cHc="
    assert "Proxy-Authorization" not in stand_in.asked[1].headers


def _version(name: str) -> type[BaseHTTPRequestHandler]:
    """A pod of a version, which keeps connections as long as it is let."""

    class Version(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *_: object) -> None: ...

    return Version


async def test_given_a_name_that_leads_to_another_address_then_the_next_question_goes_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program that keeps what a name meant would let the old version pass the check of the new one."""
    address = "127.0.0.1"
    real = socket.getaddrinfo

    def looked_up(host: Any, *args: Any, **more: Any) -> Any:
        return real(address if host == "hello-canary.shop.svc" else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    http = Http()
    with serving(_version("old")) as port, serving(_version("new"), port=port, address="127.0.0.2"):
        url = f"http://hello-canary.shop.svc:{port}/"
        before = await http.send("GET", url, {}, None, insecure=False)
        address = "127.0.0.2"
        after = await http.send("GET", url, {}, None, insecure=False)
    await http.close()
    assert (before.body, after.body) == (b"old", b"new")


async def test_given_an_address_that_leads_to_another_pod_then_the_next_question_goes_there() -> None:
    """As behind the address of a Service: who is connected still talks to the pod that the Service has left."""
    http = Http()
    with serving(_version("old")) as port:
        before = await http.send("GET", f"http://127.0.0.1:{port}/", {}, None, insecure=False)
    with serving(_version("new"), port=port):
        after = await http.send("GET", f"http://127.0.0.1:{port}/", {}, None, insecure=False)
    await http.close()
    assert (before.body, after.body) == (b"old", b"new")


def test_given_the_repository_then_only_one_module_of_providers_opens_sessions() -> None:
    """Limits on time and size and care with credentials hold because nobody else speaks HTTP."""
    modules = Path(__file__).parents[2].joinpath("operator", "tidegate", "providers").glob("*.py")
    speaking = {module.name for module in modules if "ClientSession(" in module.read_text(encoding="utf-8")}

    assert speaking == {"http.py"}
